"""The outcomes of a certification session, and the reasons that can stand behind them."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What a session ended with. Every outcome has a voice line, a screen text and a next step."""

    CERTIFIED = "certified"
    """Present, alive, and the claimed subject."""
    REVIEW = "review"
    """A person decides within the review clock (R6-1, R6-2)."""
    NOT_CERTIFIED = "not_certified"
    """Another face, or the evidence did not come together; another way is offered."""
    NO_REFERENCE = "no_reference"
    """Nothing to compare with (R1-8); enrolment is offered."""
    POOR_SAMPLE = "poor_sample"
    """No usable picture in the time given; try again with better light or position."""
    PRESENTATION_ATTACK = "presentation_attack"
    """Evidence contradicts a living person in front of the camera."""
    TIME_UNCERTAIN = "time_uncertain"
    """Everything held but nothing vouches for the date; the fleet works it out."""
    CANCELLED = "cancelled"
    """Ended by the person, by walking away, or by a fault."""


class Reason(StrEnum):
    """Why a session did not end as `certified`; a decision carries every one that holds."""

    NO_SUBJECT = "no_subject"
    """The claim names nobody this terminal has."""
    NO_USABLE_REFERENCE = "no_usable_reference"
    """The subject is known, without a reference this terminal can compare with."""
    REFERENCE_PROVISIONAL = "reference_provisional"
    """The only reference is a photo nobody has confirmed (R1-19)."""
    NO_FACE = "no_face"
    QUALITY = "quality"
    TOO_MANY_FACES = "too_many_faces"
    """More people in the picture than the path allows, until the time was up."""
    COMPARISON_MISSING = "comparison_missing"
    COMPARISON_GREY = "comparison_grey"
    COMPARISON_NON_MATCH = "comparison_non_match"
    EVIDENCE_FAILED = "evidence_failed"
    EVIDENCE_NOT_RUN = "evidence_not_run"
    WITNESS_MISSING = "witness_missing"
    """The path asks for a worker who vouches for the presentation, and none was named."""
    OPERATOR_MISSING = "operator_missing"
    """An enrolment needs an operator who may enrol."""
    CLOCK = "clock"
    POLICY_UNKNOWN = "policy_unknown"
    """No policy in force, or it does not know this path or network."""
    CANCELLED_BY_PERSON = "cancelled_by_person"
    LEFT = "left"
    """The face left the picture and did not come back."""
    FAULT = "fault"
