"""What admission is told of the things a record names, and what it says of a record in a word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fleet.admission.conflicts import LifeEvent
from fleet.admission.operators import KnownStaff
from protocol.policy import Policy
from protocol.references import CaptureKind


class Flag(StrEnum):
    """What a reader of a stored link should know."""

    CLOCK_CONTRADICTED = "clock_contradicted"
    """The wall clock with its bound lies outside what the fleet itself knows; it was not used."""
    TIME_UNBOUNDED = "time_unbounded"
    """No lower bound of the moment is known."""
    DECISION_UNSUPPORTED = "decision_unsupported"
    """The outcome does not follow from the record's own comparison, evidence and challenge by the policy it names."""
    POLICY_UNKNOWN = "policy_unknown"
    """The fleet never issued the policy it names; a pass does not count."""
    REFERENCE_UNFIT = "reference_unfit"
    """The reference it compared with is not the subject's, of another kind or network, withdrawn or out of date; it does not count."""
    SIMULATED = "simulated"
    """No camera saw it; it counts only where the settings accept that."""
    WITNESS_UNKNOWN = "witness_unknown"
    """Its area has operators, and the witness that it names was none in service. It does not count where the path needs a witness; else,
    and for a case, that is for whoever decides."""
    WITNESS_IS_OPERATOR = "witness_is_operator"
    """Who was signed in vouched for the presentation, and nobody else did; it counts."""
    OPERATOR_UNFIT = "operator_unfit"
    """An enrolment, or a case, by somebody who is unknown, may not do that, was not in service or is of another area; an enrolment of such
    an operator does not count. Or a certification whose operator was none in service there; it counts."""
    REFERENCE_UNREADABLE = "reference_unreadable"
    """An enrolment without a reference that the fleet can use; it does not count."""
    COMPARISON_LACKING = "comparison_lacking"
    """An enrolment of somebody who had a live reference, without a match with it; a person decides whether it is the same one."""
    LIFE_EVENT = "life_event"
    """It would count, were the subject not reported dead, missing or imprisoned then: held until a person has decided which is wrong."""


@dataclass(frozen=True, slots=True)
class KnownReference:
    """What the fleet holds of the reference a record names, under the subject the record names."""

    capture: CaptureKind
    model_sha256: str
    expires_at: datetime
    """The end of its last day of validity."""
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True)
class KnownMade:
    """What the fleet found in the seal of the reference that an enrolment made."""

    model_sha256: str | None
    """The network that made it; None where it cannot be used, whatever is wrong with it."""
    has_earlier: bool
    """Whether the subject had a live reference of this network already, which could have been compared with."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the fleet knows of the things one record names."""

    policy: Policy | None
    """The policy the record names, if this fleet issued it."""
    reference: KnownReference | None
    """The reference the record names, if this fleet holds it for the subject the record names."""
    staff: KnownStaff
    """Who may have been at its terminal then."""
    made: KnownMade | None = None
    """With an enrolment: what it made; None where nothing was looked at yet."""
    life_events: tuple[LifeEvent, ...] = ()
    """Reports about the subject that stand, of the kinds that a live pass contradicts."""
