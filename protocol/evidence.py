"""Evidence of liveness as it stands in signed records, and its fusion into one PAD decision.

The fusion is here and not on the terminal alone, so that the fleet can repeat it from a record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
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


def fuse(results: Iterable[EvidenceResult], required: Collection[EvidenceKind]) -> PadDecision:
    """Fuse evidence by the required kinds of a path; fails closed.

    Any failed result, required or not, gives `attack_suspected`. Otherwise a required kind that did not run or is absent
    gives `incomplete`, and so does an empty set of required kinds: a path that asks for nothing shows nothing. Of several
    results of one kind the worst counts (failed, then not run).
    """
    worst: dict[EvidenceKind, EvidenceStatus] = {}
    for result in results:
        known = worst.get(result.kind)
        if known is None or _SEVERITY[result.status] > _SEVERITY[known]:
            worst[result.kind] = result.status
    failed = tuple(kind for kind in EvidenceKind if worst.get(kind) is EvidenceStatus.FAILED)
    missing = tuple(
        kind
        for kind in EvidenceKind
        if kind in required and worst.get(kind, EvidenceStatus.NOT_RUN) is EvidenceStatus.NOT_RUN
    )
    if failed:
        outcome = PadOutcome.ATTACK_SUSPECTED
    elif missing or not required:
        outcome = PadOutcome.INCOMPLETE
    else:
        outcome = PadOutcome.BONA_FIDE
    return PadDecision(outcome=outcome, failed=failed, missing=missing)


_SEVERITY = {EvidenceStatus.PASSED: 0, EvidenceStatus.NOT_RUN: 1, EvidenceStatus.FAILED: 2}
