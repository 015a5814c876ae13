"""The policy: every threshold, path and timer of a session, issued and signed by the fleet and named in each record.

Thresholds are not settings of a device. Values and the source of each stand in `default_policy.toml`, which a fleet starts with.
"""

from __future__ import annotations

import tomllib
from enum import StrEnum
from importlib.resources import files
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from protocol.challenge import Action
from protocol.evidence import EvidenceKind
from protocol.wire import UtcTime, WireMessage, WirePart

POLICY_TYP = "lifecert-policy"


class PathName(StrEnum):
    """A way through the session, for people who cannot go the standard one."""

    STANDARD = "standard"


class PathPolicy(WirePart):
    """Which evidence a path needs."""

    required: tuple[EvidenceKind, ...] = Field(min_length=1)
    """Each of these must have passed."""
    advisory: tuple[EvidenceKind, ...] = ()
    """Recorded; one that failed stops certification all the same, one that was not run does not."""


class ChallengePolicy(WirePart):
    """The challenge: what is asked and how long is waited."""

    actions: tuple[Action, ...] = Field(min_length=2)
    """What may be asked; drawn at random, never the same twice in a row."""
    count: int = Field(ge=2, le=5)
    """Actions that must be performed in one session."""
    answer_timeout_s: float = Field(gt=0, le=60)
    """From the end of the prompt to the completed action."""
    rest_shortest_s: float = Field(default=0.8, ge=0, le=5)
    """Least time that head and mouth must be at rest before a prompt is given."""
    rest_longest_s: float = Field(default=2.4, ge=0, le=5)
    """Most of it; each pause is drawn from the nonce between the two."""
    rest_timeout_s: float = Field(default=20.0, gt=0, le=120)
    """How long is waited for such a rest before the challenge counts as not run."""
    reaction_s: float = Field(default=0.4, ge=0, le=1)
    """An action that begins sooner after the prompt is no answer to it."""
    prompt_s: float = Field(ge=0, le=20)
    """How long a prompt takes to speak; an action during it counts."""
    wrong_actions_allowed: int = Field(ge=0, le=3)
    """After so many wrong actions a fresh one is drawn and the prompt is given again; one more fails the challenge."""
    repeats: int = Field(ge=0, le=3)
    """How often an unanswered prompt is given again before the challenge counts as not answered."""

    @model_validator(mode="after")
    def _drawable(self) -> Self:
        if len(set(self.actions)) != len(self.actions):
            raise ValueError("an action is named twice")
        if self.rest_shortest_s > self.rest_longest_s:
            raise ValueError("shortest rest above longest rest")
        return self


class ContinuityPolicy(WirePart):
    """Whether all phases showed one face."""

    min_similarity: float = Field(ge=-1, le=1)
    """Least cosine between the features of any two phases."""


class QualityPolicy(WirePart):
    """What a sample must reach to be compared, components 0..100."""

    minimum: dict[str, float]
    """Per named component of the terminal's quality assessment."""
    probe_samples: int = Field(ge=1, le=20)
    """Acceptable frames that are fused into a probe."""


class ComparisonPolicy(WirePart):
    """The three zones for one feature network; scores are cosines, larger = more alike.

    A score equal to a threshold belongs to the better zone.
    """

    match: float = Field(ge=-1, le=1)
    grey: float = Field(ge=-1, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.grey > self.match:
            raise ValueError("grey threshold above match threshold")
        return self


class TimerPolicy(WirePart):
    """Longest waits of the session, in seconds."""

    acquire_s: float = Field(gt=0, le=300)
    """Until enough acceptable frames are there."""
    compare_s: float = Field(gt=0, le=60)
    """Until comparison and evidence are there."""
    store_s: float = Field(gt=0, le=60)
    """Until the record is on the disk."""
    face_lost_s: float = Field(gt=0, le=60)
    """How long the face may be out of the picture."""
    result_s: float = Field(gt=0, le=60)
    """How long the result stays before the terminal is idle again."""


class Policy(WireMessage):
    """All of it."""

    TYPE: ClassVar[str] = "policy"
    VERSION: ClassVar[int] = 1

    type: Literal["policy"] = "policy"
    version: Literal[1] = 1
    policy_version: str = Field(pattern=r"^[0-9A-Za-z.-]{1,40}$")
    issued_at: UtcTime
    paths: dict[PathName, PathPolicy]
    challenge: ChallengePolicy
    continuity: ContinuityPolicy
    quality: QualityPolicy
    comparison: dict[str, ComparisonPolicy]
    """By name of the feature network."""
    timers: TimerPolicy
    attack_evidence: tuple[EvidenceKind, ...]
    """Kinds whose failure alone is reported as `presentation_attack`; a failure of any other kind goes to review."""
    max_clock_uncertainty_s: float = Field(gt=0)
    """Above this (or with no bound at all) a session that would certify ends as `time_uncertain`."""


def default_policy() -> Policy:
    """Return the policy a new fleet starts with."""
    text = files("protocol").joinpath("default_policy.toml").read_text(encoding="utf-8")
    return Policy.model_validate(tomllib.loads(text))
