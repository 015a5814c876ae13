"""One person, all the time: an unbroken track, and features of all phases that agree."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from device.errors import IncomparableFeatures
from device.vision.comparison import compare
from device.vision.features import FeatureVector
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus


@dataclass(frozen=True, slots=True, eq=False)
class PhaseSample:
    """One sample of a phase of the certification session (acquisition, the rest before each prompt, each action, the end)."""

    phase: str
    track_id: int
    features: FeatureVector | None
    """None where the phase gave no sample good enough."""
    is_moving: bool = False
    """Whether it shows an action. Faces turned to opposite sides look less alike than either does to the face at rest."""


def assess_continuity(
    samples: Sequence[PhaseSample], *, threshold: float, phases: Sequence[str] = (), is_blind: bool = False
) -> EvidenceResult:
    """Judge whether one person was there in all phases.

    Every two samples are compared except two that both show an action: each of those is compared with every sample at rest.

    Args:
        samples: what there is of each phase.
        threshold: least similarity; equal passes. The policy's, which names its source.
        phases: which phases there must be; one without features is never passed over.
        is_blind: whether the face was out of sight for want of frames; then who was seen may be one person, and may not.

    Returns:
        Failed with `track_broken` if the track ids differ and `features_differ` if two samples are less alike than the
        threshold. Not run with `no_features` if a phase is without features or they cannot be compared, `one_phase` if there
        is nothing to compare, and `blind` if nobody knows who was there meanwhile. The score is the least similarity.
    """

    def result(status: EvidenceStatus, reason: str, score: float | None = None) -> EvidenceResult:
        return EvidenceResult(
            kind=EvidenceKind.CONTINUITY, status=status, score=score, threshold=threshold, reason=reason
        )

    if not is_blind and len({sample.track_id for sample in samples}) > 1:
        return result(EvidenceStatus.FAILED, "track_broken")
    named = {sample.phase for sample in samples} | set(phases)
    if len(named) < 2:
        return result(EvidenceStatus.NOT_RUN, "one_phase")
    try:
        scores = [
            compare(a.features, b.features).similarity
            for a, b in itertools.combinations(samples, 2)
            if a.features is not None and b.features is not None and not (a.is_moving and b.is_moving)
        ]
    except IncomparableFeatures:
        return result(EvidenceStatus.NOT_RUN, "no_features")
    least = min(scores, default=None)
    if least is not None and not least >= threshold:
        return result(EvidenceStatus.FAILED, "features_differ", least)
    if is_blind:
        return result(EvidenceStatus.NOT_RUN, "blind", least)
    if least is None or named != {sample.phase for sample in samples if sample.features is not None}:
        return result(EvidenceStatus.NOT_RUN, "no_features")
    return result(EvidenceStatus.PASSED, "same_person", least)
