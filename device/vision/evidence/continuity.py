"""One person, all the time: an unbroken track, and features of all phases that agree."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from device.vision.comparison import compare
from device.vision.features import FeatureVector
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus

SIMILARITY_THRESHOLD = 0.55
"""Least similarity between any two phases. Source: single frames of one person within one clip, whatever they do: 1st percentile
.58 to .77 over four real clips, least .50 in mid-speech with the head turned; the best frames of a phase are more alike. On LFW,
different people reach .533 once in 10,000 pairs."""


@dataclass(frozen=True, slots=True, eq=False)
class PhaseSample:
    """One sample of a phase of the certification session (acquisition, each prompt, comparison)."""

    phase: str
    track_id: int
    features: FeatureVector | None
    """None where the phase gave no sample good enough."""


def assess_continuity(samples: Sequence[PhaseSample], *, threshold: float = SIMILARITY_THRESHOLD) -> EvidenceResult:
    """Judge whether one person was there in all phases.

    Args:
        samples: at least one of each phase.
        threshold: least similarity; equal passes.

    Returns:
        Failed with `track_broken` if the track ids differ and `features_differ` if two samples are less alike than the
        threshold. Not run with `one_phase` or `no_features` if there is nothing to compare. The score is the least similarity.

    Raises:
        IncomparableFeatures: if the samples are of different networks; a bug of the caller.
    """

    def result(status: EvidenceStatus, reason: str, score: float | None = None) -> EvidenceResult:
        return EvidenceResult(
            kind=EvidenceKind.CONTINUITY, status=status, score=score, threshold=threshold, reason=reason
        )

    if len({sample.track_id for sample in samples}) > 1:
        return result(EvidenceStatus.FAILED, "track_broken")
    if len({sample.phase for sample in samples}) < 2:
        return result(EvidenceStatus.NOT_RUN, "one_phase")
    vectors = [sample.features for sample in samples if sample.features is not None]
    if {sample.phase for sample in samples} != {sample.phase for sample in samples if sample.features is not None}:
        return result(EvidenceStatus.NOT_RUN, "no_features")
    least = min(compare(a, b).similarity for a, b in itertools.combinations(vectors, 2))
    if least < threshold:
        return result(EvidenceStatus.FAILED, "features_differ", least)
    return result(EvidenceStatus.PASSED, "same_person", least)
