from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from device.vision.frame import Frame
from device.vision.inference import Networks
from device.vision.landmarks import FaceLandmarks
from device.vision.pipeline import VisionPipeline
from device.vision.tracking import DETECTION_PERIOD_NS


@pytest.fixture
def networks(fake_network: Callable, frontal_landmarks: FaceLandmarks) -> Networks:
    """A detector that sees a face in the middle of every frame with any light in it, and plain answers behind it."""
    boxes, scores = np.zeros((1, 2304, 16), np.float32), np.full((1, 2304, 1), -50, np.float32)
    boxes[0, 24 * 48 + 24, :4] = 0, 0, 40, 40
    boxes[0, 24 * 48 + 24, 4:8] = -8, -4, 8, -4
    found = scores.copy()
    found[0, 24 * 48 + 24] = 5

    def detect(image: np.ndarray) -> dict[str, np.ndarray]:
        return {"boxes": boxes, "scores": found if image.max() > 0 else scores}

    def present(image: np.ndarray) -> np.ndarray:
        return np.array([[9.0 if image.max() > 0 else -9.0]], np.float32)

    points = frontal_landmarks.points * np.array([0.3, 0.4, 0.3], np.float32)
    contour = np.zeros((1, 213), np.float32).reshape(71, 3)
    contour[[0, 8], 0] = 0, 30
    contour[[11, 12, 13], 1] = -5
    contour[[3, 4, 5], 1] = 5
    return Networks(
        detection=fake_network("face_detection", 192, {"boxes": (1, 2304, 16), "scores": (1, 2304, 1)}, detect),
        landmarks=fake_network(
            "face_landmarks",
            192,
            {"points": (1, 1404), "presence": (1, 1)},
            lambda image: {"points": points.reshape(1, -1), "presence": present(image)},
        ),
        eyelids=fake_network("eyelids", 64, {"contour": (1, 213)}, lambda _: {"contour": contour.reshape(1, -1)}),
        features=fake_network(
            "features", 112, {"features": (1, 4)}, lambda _: {"features": np.ones((1, 4), np.float32)}
        ),
    )


STEP = 50_000_000


def frame(sequence: int, level: int = 100) -> Frame:
    return Frame(np.full((480, 640, 3), level, np.uint8), sequence, sequence * STEP)


def test_frame_with_a_face_gives_numbers(networks: Networks) -> None:
    observation = VisionPipeline(networks).process(frame(7))
    subject = observation.subject
    assert (observation.sequence, observation.face_count) == (7, 1)
    assert subject is not None
    assert subject.presence > 0.99
    assert subject.pose.yaw_deg == pytest.approx(0, abs=0.5)
    assert subject.openness is not None
    assert subject.openness.mean == pytest.approx(1 / 3, abs=0.01)
    assert subject.features is None
    assert not networks.features.seen  # type: ignore[attr-defined]  # the fake counts what it is asked


def test_features_are_made_only_when_asked_for(networks: Networks) -> None:
    subject = VisionPipeline(networks).process(frame(1), want_features=True).subject
    assert subject is not None
    assert subject.features is not None
    assert subject.features.values == pytest.approx([0.5] * 4)
    assert subject.features.model_digest == networks.features.digest


def test_eyes_and_quality_are_looked_at_unless_nobody_wants_them(networks: Networks) -> None:
    pipeline = VisionPipeline(networks)
    eyelids = networks.eyelids.seen  # type: ignore[attr-defined]  # the fake counts what it is asked
    neither = pipeline.process(frame(1), want_quality=False, want_eyes=False).subject
    assert neither is not None
    assert (neither.openness, neither.quality, neither.crop, len(eyelids)) == (None, None, None, 0)
    eyes = pipeline.process(frame(2), want_quality=False).subject
    assert eyes is not None
    assert eyes.openness is not None
    assert (eyes.quality, len(eyelids)) == (None, 2)
    features = pipeline.process(frame(3), want_features=True, want_quality=False, want_eyes=False).subject
    assert features is not None
    assert features.quality is not None
    assert features.features is not None


def test_features_made_afterwards_are_those_made_at_once(networks: Networks) -> None:
    pipeline = VisionPipeline(networks)
    subject = pipeline.process(frame(1), want_quality=False, want_eyes=False).subject
    at_once = pipeline.process(frame(2), want_features=True).subject
    assert subject is not None
    assert at_once is not None
    assert at_once.features is not None
    assert (pipeline.features_of(frame(1), subject).values == at_once.features.values).all()
    first, second = networks.features.seen  # type: ignore[attr-defined]  # the fake keeps what it is asked
    assert np.array_equal(first, second)


def test_frame_without_a_face_gives_no_subject(networks: Networks) -> None:
    observation = VisionPipeline(networks).process(frame(1, level=0))
    assert observation.face_count == 0
    assert observation.subject is None


def test_track_stays_and_changes_after_being_forgotten(networks: Networks) -> None:
    pipeline = VisionPipeline(networks)
    ids = [pipeline.process(frame(n)).subject.track_id for n in range(3)]  # type: ignore[union-attr]  # a face is there
    pipeline.forget_subject()
    again = pipeline.process(frame(3)).subject
    assert len(set(ids)) == 1
    assert again is not None
    assert again.track_id not in ids


def test_steady_face_is_detected_now_and_then_and_followed_between(networks: Networks) -> None:
    pipeline = VisionPipeline(networks)
    seen = [pipeline.process(frame(n)) for n in range(41)]
    assert all(observation.face_count == 1 for observation in seen)
    assert len({observation.subject.track_id for observation in seen if observation.subject}) == 1
    assert all(observation.subject for observation in seen)
    detections = len(networks.detection.seen)  # type: ignore[attr-defined]  # the fake counts what it is asked
    assert detections == 1 + 40 * STEP // DETECTION_PERIOD_NS
    assert len(networks.landmarks.seen) == 41  # type: ignore[attr-defined]  # likewise


def test_covered_lens_is_no_face_at_once(networks: Networks) -> None:
    pipeline = VisionPipeline(networks)
    seen = [pipeline.process(frame(n, level=100 if n < 3 else 0)) for n in range(6)]
    assert [observation.subject is not None for observation in seen] == [True] * 3 + [False] * 3
    assert [observation.face_count for observation in seen] == [1, 1, 1, 0, 0, 0]


def test_frame_that_is_not_newer_is_not_looked_at(networks: Networks) -> None:
    pipeline = VisionPipeline(networks)
    first = pipeline.process(frame(5))
    looked = len(networks.landmarks.seen)  # type: ignore[attr-defined]  # the fake counts what it is asked
    for sequence in (5, 4, 1):
        late = pipeline.process(frame(sequence, level=0))
        assert late.is_late
        assert (late.sequence, late.subject, late.face_count) == (sequence, None, 0)
    assert len(networks.landmarks.seen) == looked  # type: ignore[attr-defined]  # likewise
    after = pipeline.process(frame(6))
    assert not after.is_late
    assert after.subject is not None
    assert first.subject is not None
    assert after.subject.track_id == first.subject.track_id


def test_clock_may_start_anew_with_a_new_subject(networks: Networks) -> None:
    pipeline = VisionPipeline(networks)
    pipeline.process(frame(100))
    pipeline.forget_subject()
    assert pipeline.process(frame(1)).subject is not None


def test_dropped_frames_and_five_frames_a_second_keep_the_track(networks: Networks) -> None:
    pipeline = VisionPipeline(networks)
    subjects = [pipeline.process(frame(n)).subject for n in range(0, 100, 4)]
    assert all(subjects)
    assert len({subject.track_id for subject in subjects if subject}) == 1
    assert len(networks.detection.seen) == len(subjects)  # type: ignore[attr-defined]  # the fake counts what it is asked
