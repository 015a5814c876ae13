from __future__ import annotations

import numpy as np
import pytest

from device.errors import IncomparableFeatures
from device.vision.evidence.continuity import PhaseSample, assess_continuity
from device.vision.features import FeatureVector
from protocol.evidence import EvidenceStatus


def sample(phase: str, angle_deg: float | None, *, track_id: int = 1, digest: str = "a") -> PhaseSample:
    features = None
    if angle_deg is not None:
        angle = np.radians(angle_deg)
        features = FeatureVector(np.array([np.cos(angle), np.sin(angle)], np.float32), digest)
    return PhaseSample(phase=phase, track_id=track_id, features=features)


def test_one_person_in_all_phases_passes() -> None:
    result = assess_continuity([sample("start", 0), sample("prompt", 20), sample("end", 40)], threshold=0.7)
    assert (result.status, result.reason) == (EvidenceStatus.PASSED, "same_person")
    assert result.score == pytest.approx(np.cos(np.radians(40)), abs=1e-6)


def test_score_equal_to_the_threshold_passes() -> None:
    samples = [sample("start", 0), sample("end", 0)]
    assert assess_continuity(samples, threshold=1.0).status is EvidenceStatus.PASSED


def test_person_swapped_in_the_middle_fails() -> None:
    result = assess_continuity([sample("start", 0), sample("prompt", 80), sample("end", 0)], threshold=0.55)
    assert (result.status, result.reason) == (EvidenceStatus.FAILED, "features_differ")


def test_broken_track_fails_whatever_the_features_say() -> None:
    result = assess_continuity([sample("start", 0), sample("end", 0, track_id=2)])
    assert (result.status, result.reason) == (EvidenceStatus.FAILED, "track_broken")


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        ([], "one_phase"),
        ([sample("start", 0), sample("start", 0)], "one_phase"),
        ([sample("start", 0), sample("prompt", None), sample("end", 0)], "no_features"),
    ],
)
def test_nothing_to_compare_is_not_run(samples: list[PhaseSample], reason: str) -> None:
    result = assess_continuity(samples)
    assert (result.status, result.reason, result.score) == (EvidenceStatus.NOT_RUN, reason, None)


def test_samples_of_two_networks_are_a_bug() -> None:
    with pytest.raises(IncomparableFeatures):
        assess_continuity([sample("start", 0), sample("end", 0, digest="b")])
