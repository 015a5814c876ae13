"""How each kind of evidence writes its result down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus


@dataclass(frozen=True, slots=True)
class Writer:
    """Makes the results of one kind. What is no number never passes and is never written down."""

    kind: EvidenceKind

    def not_run(self, reason: str, measures: Mapping[str, float] | None = None) -> EvidenceResult:
        """Return that there was nothing to judge."""
        return EvidenceResult(
            kind=self.kind, status=EvidenceStatus.NOT_RUN, reason=reason, measures=_finite(measures or {})
        )

    def failed(
        self,
        reason: str,
        score: float | None = None,
        threshold: float | None = None,
        measures: Mapping[str, float] | None = None,
    ) -> EvidenceResult:
        """Return that what was seen is not what a living person in front of the sensor shows."""
        return EvidenceResult(
            kind=self.kind,
            status=EvidenceStatus.FAILED,
            score=score if score is not None and math.isfinite(score) else None,
            threshold=threshold,
            reason=reason,
            measures=_finite(measures or {}),
        )

    def judged(
        self, score: float, threshold: float, *, reasons: tuple[str, str], measures: Mapping[str, float]
    ) -> EvidenceResult:
        """Return passed if the score is a number and reaches the threshold, failed otherwise.

        Args:
            score: larger = more likely bona fide.
            threshold: equal passes.
            reasons: of passing, of failing.
            measures: what stands behind the score.
        """
        if not math.isfinite(score):
            return self.not_run("no_measurement", measures)
        if score < threshold:
            return self.failed(reasons[1], score, threshold, measures)
        return EvidenceResult(
            kind=self.kind,
            status=EvidenceStatus.PASSED,
            score=score,
            threshold=threshold,
            reason=reasons[0],
            measures=_finite(measures),
        )


def _finite(measures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in measures.items() if math.isfinite(value)}
