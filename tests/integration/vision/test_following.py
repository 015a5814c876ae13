"""Faces followed between detections by the real networks: nobody slips into another one's track, nothing is left hanging."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from device.vision.comparison import compare
from device.vision.evidence.actions import ActionDetector, motion_of
from device.vision.features import FeatureVector
from device.vision.frame import Frame
from device.vision.inference import Networks
from device.vision.pipeline import FrameObservation, VisionPipeline

pytestmark = pytest.mark.integration
RATE = 30


def process(pipeline: VisionPipeline, shown: list[np.ndarray], *, rate: float = RATE) -> list[FrameObservation]:
    return [
        pipeline.process(Frame(picture, index, round(index * 1e9 / rate)), want_features=True)
        for index, picture in enumerate(shown)
    ]


def is_more_like(features: FeatureVector, one: FeatureVector, other: FeatureVector) -> bool:
    return compare(features, one).similarity > compare(features, other).similarity


def side_by_side(back: np.ndarray, x_back: int, front: np.ndarray, x_front: int) -> np.ndarray:
    """Show two heads on one picture; the front one hides the back one where they meet."""
    picture = np.zeros((480, 960, 3), np.uint8)
    for head, x in ((back, x_back), (front, x_front)):
        picture[110:430, x : x + 240] = head[110:430, 200:440]
    return picture


@pytest.fixture
def people(networks: Networks, pictures: Callable) -> list[tuple[np.ndarray, FeatureVector]]:
    """A picture and the features of each of two people."""
    found = []
    for who in ("om", "of"):
        picture = pictures(f"live_{who}")[0]
        subject = VisionPipeline(networks).process(Frame(picture, 0, 0), want_features=True).subject
        found.append((picture, subject.features))
    return found


@pytest.mark.parametrize("is_subject_in_front", [False, True])
def test_two_people_who_change_places_keep_their_tracks(
    networks: Networks, people: list[tuple[np.ndarray, FeatureVector]], is_subject_in_front: bool
) -> None:
    (man, man_features), (woman, woman_features) = people
    shown = []
    for x in [*[320] * 3, *range(320, 720, 20), *[720] * 3]:
        # The man begins nearer to the middle, so he is the subject; the woman comes from the side and crosses his way.
        other_x = 1040 - x
        pair = (woman, other_x, man, x) if is_subject_in_front else (man, x, woman, other_x)
        shown.append(side_by_side(*pair))
    observations = process(VisionPipeline(networks), shown)
    first = observations[0].subject
    assert first is not None
    assert is_more_like(first.features, man_features, woman_features)
    assert max(observation.face_count for observation in observations) == 2
    for observation in observations:
        subject = observation.subject
        if subject is not None and subject.track_id == first.track_id and observation.face_count == 2:
            assert is_more_like(subject.features, man_features, woman_features)


def test_second_face_is_noticed_within_a_quarter_of_a_second(
    networks: Networks, people: list[tuple[np.ndarray, FeatureVector]]
) -> None:
    (man, _), (woman, _) = people
    alone, both = side_by_side(man, 320, man, 320), side_by_side(man, 320, woman, 640)
    observations = process(VisionPipeline(networks), [*[alone] * 10, *[both] * 10])
    assert [observation.face_count for observation in observations[:10]] == [1] * 10
    noticed = next(index for index, observation in enumerate(observations) if observation.face_count == 2)
    assert (noticed - 10) / RATE <= 0.25


def test_face_that_leaves_is_gone_in_the_same_frame(
    networks: Networks, people: list[tuple[np.ndarray, FeatureVector]]
) -> None:
    (man, _), _ = people
    empty = np.zeros_like(man)
    observations = process(VisionPipeline(networks), [*[man] * 4, *[empty] * 12, *[man] * 2])
    ids = [observation.subject.track_id if observation.subject else None for observation in observations]
    assert ids[4:16] == [None] * 12
    assert ids[16] not in {None, ids[0]}


def test_face_that_jumps_is_not_the_same_track(
    networks: Networks, people: list[tuple[np.ndarray, FeatureVector]]
) -> None:
    (man, _), _ = people
    here, there = side_by_side(man, 40, man, 40), side_by_side(man, 640, man, 640)
    observations = process(VisionPipeline(networks), [*[here] * 4, *[there] * 12])
    ids = {observation.subject.track_id for observation in observations[4:] if observation.subject}
    assert ids
    assert observations[0].subject.track_id not in ids


def test_followed_face_is_measured_like_a_detected_one(networks: Networks, pictures: Callable) -> None:
    shown = [picture for picture in pictures("live_of")[16:26] for _ in range(3)]
    followed = process(VisionPipeline(networks), shown)
    pipeline = VisionPipeline(networks)
    detected = []
    for index, picture in enumerate(shown):
        pipeline.forget_subject()
        detected.append(pipeline.process(Frame(picture, index, index), want_features=True))
    for one, other in zip(followed, detected, strict=True):
        assert one.subject.pose.yaw_deg == pytest.approx(other.subject.pose.yaw_deg, abs=4)
        assert one.subject.openness.mean == pytest.approx(other.subject.openness.mean, abs=0.04)
        assert one.subject.mouth == pytest.approx(other.subject.mouth, abs=0.06)
        assert compare(one.subject.features, other.subject.features).similarity > 0.95


@pytest.mark.parametrize("distance", [1.0, 0.5, 0.25, 0.12])
def test_small_faces_and_covered_lenses_give_clear_observations(
    networks: Networks, pictures: Callable, distance: float
) -> None:
    detector, pipeline = ActionDetector(), VisionPipeline(networks)
    noise = np.random.default_rng(0)
    small = cv2.resize(pictures("live_of")[0], None, fx=distance, fy=distance, interpolation=cv2.INTER_AREA)
    far = np.full((480, 640, 3), 90, np.uint8)
    far[: small.shape[0], : small.shape[1]] = small
    covered = [noise.integers(0, 12, far.shape, dtype=np.uint8) for _ in range(4)]
    observations = process(pipeline, [*[far] * 5, *covered, *[far] * 5], rate=5)
    for observation in observations:
        report = detector.observe(motion_of(observation), monotonic_ns=observation.monotonic_ns)
        assert not report.completed
    assert all(observation.subject is None for observation in observations[5:9])
    assert all((observation.subject is None) == (observation.face_count == 0) for observation in observations)
    if distance >= 0.5:
        assert observations[-1].subject is not None
