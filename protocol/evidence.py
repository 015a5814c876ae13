"""Evidence of liveness as it stands in signed records, and its fusion into one PAD decision.

The fusion is here and not on the terminal alone, so that the fleet can repeat it from a record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Finite = Annotated[float, Field(allow_inf_nan=False)]


class EvidenceKind(StrEnum):
    """The kinds of evidence; each gives its own result and none outvotes another."""

    CHALLENGE = "challenge"
    CONTINUITY = "continuity"
    PLANARITY = "planarity"
    ILLUMINATION = "illumination"
    TEXTURE = "texture"
    PULSE = "pulse"
    CAPTURE_PATH = "capture_path"


class EvidenceStatus(StrEnum):
    """What came of one kind of evidence."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not_run"


class EvidenceResult(BaseModel):
    """The result of one kind of evidence in one certification session."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: EvidenceKind
    status: EvidenceStatus
    score: Finite | None = None
    """The measured value, larger = more likely bona fide; None where the kind has none or did not run."""
    threshold: Finite | None = None
    """What the score was compared with; a score equal to it passes."""
    reason: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    """Reason code, e.g. `all_performed`, `wrong_action`, `no_answer`, `frame_rate`, `not_installed`."""
    measures: dict[str, Finite] = Field(default_factory=dict)
    """What stands behind the score, by name; `protocol.explain` says each in a sentence."""

    @model_validator(mode="after")
    def _status_fits_score(self) -> Self:
        if self.status is EvidenceStatus.NOT_RUN or self.score is None or self.threshold is None:
            return self
        if self.status is EvidenceStatus.PASSED and self.score < self.threshold:
            raise ValueError(f"evidence {self.kind}: passed with score {self.score} below {self.threshold}")
        return self


class PadOutcome(StrEnum):
    """The PAD decision over all evidence."""

    BONA_FIDE = "bona_fide"
    ATTACK_SUSPECTED = "attack_suspected"
    INCOMPLETE = "incomplete"


class PadDecision(BaseModel):
    """The fused decision and everything that stood in the way of `bona_fide`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: PadOutcome
    failed: tuple[EvidenceKind, ...] = ()
    """Every kind that failed, required or not, in the order of `EvidenceKind`."""
    missing: tuple[EvidenceKind, ...] = ()
    """Every required kind that did not run or was not handed in, in the order of `EvidenceKind`."""


class Role(StrEnum):
    """What a path says of a kind of evidence."""

    REQUIRED = "required"
    ADVISORY = "advisory"
    UNNAMED = "unnamed"


class Effect(StrEnum):
    """What one kind of evidence does to the decision."""

    SUPPORTS = "supports"
    """Needed and there."""
    NOTHING = "nothing"
    MISSING = "missing"
    """Needed and not there: `incomplete`."""
    STOPS = "stops"
    """Speaks against: `attack_suspected`, whatever the others say."""


FUSION: Mapping[tuple[Role, EvidenceStatus], Effect] = {
    (Role.REQUIRED, EvidenceStatus.PASSED): Effect.SUPPORTS,
    (Role.REQUIRED, EvidenceStatus.NOT_RUN): Effect.MISSING,
    (Role.REQUIRED, EvidenceStatus.FAILED): Effect.STOPS,
    (Role.ADVISORY, EvidenceStatus.PASSED): Effect.NOTHING,
    (Role.ADVISORY, EvidenceStatus.NOT_RUN): Effect.NOTHING,
    (Role.ADVISORY, EvidenceStatus.FAILED): Effect.STOPS,
    (Role.UNNAMED, EvidenceStatus.PASSED): Effect.NOTHING,
    (Role.UNNAMED, EvidenceStatus.NOT_RUN): Effect.NOTHING,
    (Role.UNNAMED, EvidenceStatus.FAILED): Effect.STOPS,
}
"""The whole decision table. Evidence that is not handed in did not run; of several results of one kind the worst counts (failed,
then not run)."""


def fuse(
    results: Iterable[EvidenceResult],
    required: Collection[EvidenceKind],
    advisory: Collection[EvidenceKind] = (),
) -> PadDecision:
    """Fuse evidence by `FUSION` for the kinds that a path names; fails closed.

    `attack_suspected` if any kind stops; else `incomplete` if any is missing, or if nothing supports: a path that asks for nothing
    shows nothing. A kind that is named as both required and advisory is required.
    """
    status = dict.fromkeys(EvidenceKind, EvidenceStatus.NOT_RUN)
    seen: set[EvidenceKind] = set()
    for result in results:
        if result.kind not in seen or _SEVERITY[result.status] > _SEVERITY[status[result.kind]]:
            status[result.kind] = result.status
        seen.add(result.kind)
    effects = {kind: FUSION[_role(kind, required, advisory), found] for kind, found in status.items()}
    if Effect.STOPS in effects.values():
        outcome = PadOutcome.ATTACK_SUSPECTED
    elif Effect.MISSING in effects.values() or Effect.SUPPORTS not in effects.values():
        outcome = PadOutcome.INCOMPLETE
    else:
        outcome = PadOutcome.BONA_FIDE
    return PadDecision(
        outcome=outcome,
        failed=tuple(kind for kind, effect in effects.items() if effect is Effect.STOPS),
        missing=tuple(kind for kind, effect in effects.items() if effect is Effect.MISSING),
    )


def _role(kind: EvidenceKind, required: Collection[EvidenceKind], advisory: Collection[EvidenceKind]) -> Role:
    if kind in required:
        return Role.REQUIRED
    return Role.ADVISORY if kind in advisory else Role.UNNAMED


_SEVERITY = {EvidenceStatus.PASSED: 0, EvidenceStatus.NOT_RUN: 1, EvidenceStatus.FAILED: 2}
