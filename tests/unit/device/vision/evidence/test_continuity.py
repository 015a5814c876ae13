from __future__ import annotations

import numpy as np
import pytest

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
    result = assess_continuity([sample("start", 0), sample("end", 0, track_id=2)], threshold=0.5)
    assert (result.status, result.reason) == (EvidenceStatus.FAILED, "track_broken")


def test_a_face_out_of_sight_for_want_of_frames_is_not_judged_unless_two_were_seen() -> None:
    one = [sample("start", 0), sample("end", 20, track_id=2)]
    result = assess_continuity(one, threshold=0.5, is_blind=True)
    assert (result.status, result.reason) == (EvidenceStatus.NOT_RUN, "blind")
    result = assess_continuity([*one, sample("later", 80, track_id=2)], threshold=0.5, is_blind=True)
    assert (result.status, result.reason) == (EvidenceStatus.FAILED, "features_differ")


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        ([], "one_phase"),
        ([sample("start", 0), sample("start", 0)], "one_phase"),
        ([sample("start", 0), sample("prompt", None), sample("end", 0)], "no_features"),
    ],
)
def test_nothing_to_compare_is_not_run(samples: list[PhaseSample], reason: str) -> None:
    result = assess_continuity(samples, threshold=0.5)
    assert (result.status, result.reason, result.score) == (EvidenceStatus.NOT_RUN, reason, None)


def test_a_phase_that_was_asked_for_and_is_missing_never_passes() -> None:
    samples = [sample("start", 0), sample("end", 0)]
    result = assess_continuity(samples, threshold=0.5, phases=("start", "action_1", "end"))
    assert (result.status, result.reason) == (EvidenceStatus.NOT_RUN, "no_features")


def test_an_action_is_compared_with_every_rest_but_not_with_another_action() -> None:
    acts = [sample("left", 40), sample("right", -40)]
    moving = [PhaseSample(act.phase, 1, act.features, is_moving=True) for act in acts]
    assert assess_continuity([sample("start", 0), *acts], threshold=0.7).status is EvidenceStatus.FAILED
    assert assess_continuity([sample("start", 0), *moving], threshold=0.7).status is EvidenceStatus.PASSED
    assert assess_continuity([sample("start", 10), *moving], threshold=0.7).status is EvidenceStatus.FAILED


@pytest.mark.parametrize("worth", [float("nan"), float("inf"), 0.0])
def test_features_that_are_no_numbers_never_pass(worth: float) -> None:
    broken = PhaseSample("end", 1, FeatureVector(np.full(2, worth, np.float32), "a"))
    result = assess_continuity([sample("start", 0), broken], threshold=-1.0)
    assert (result.status, result.reason) == (EvidenceStatus.NOT_RUN, "no_features")


def test_samples_of_two_networks_never_pass() -> None:
    result = assess_continuity([sample("start", 0), sample("end", 0, digest="b")], threshold=0.5)
    assert result.status is EvidenceStatus.NOT_RUN
