from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from device.vision.frame import Frame
from device.vision.inference import Networks
from device.vision.landmarks import FaceLandmarks
from device.vision.pipeline import VisionPipeline


@pytest.fixture
def networks(fake_network: Callable, frontal_landmarks: FaceLandmarks) -> Networks:
    """A detector that sees a face wherever the frame's top left pixel is lit, and plain answers behind it."""
    boxes, scores = np.zeros((1, 2304, 16), np.float32), np.full((1, 2304, 1), -50, np.float32)
    boxes[0, 24 * 48 + 24, :4] = 0, 0, 40, 40
    boxes[0, 24 * 48 + 24, 4:8] = -8, -4, 8, -4
    found = scores.copy()
    found[0, 24 * 48 + 24] = 5

    def detect(image: np.ndarray) -> dict[str, np.ndarray]:
        return {"boxes": boxes, "scores": found if image.max() > 0 else scores}

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
            lambda _: {"points": points.reshape(1, -1), "presence": np.array([[9.0]], np.float32)},
        ),
        eyelids=fake_network("eyelids", 64, {"contour": (1, 213)}, lambda _: {"contour": contour.reshape(1, -1)}),
        features=fake_network(
            "features", 112, {"features": (1, 4)}, lambda _: {"features": np.ones((1, 4), np.float32)}
        ),
    )


def frame(sequence: int, level: int = 100) -> Frame:
    return Frame(np.full((480, 640, 3), level, np.uint8), sequence, sequence * 50_000_000)


def test_frame_with_a_face_gives_numbers(networks: Networks) -> None:
    observation = VisionPipeline(networks).process(frame(7))
    subject = observation.subject
    assert (observation.sequence, observation.face_count) == (7, 1)
    assert subject is not None
    assert subject.presence > 0.99
    assert subject.pose.yaw_deg == pytest.approx(0, abs=0.5)
    assert subject.openness.mean == pytest.approx(1 / 3, abs=0.01)
    assert subject.features is None
    assert not networks.features.seen  # type: ignore[attr-defined]  # the fake counts what it is asked


def test_features_are_made_only_when_asked_for(networks: Networks) -> None:
    subject = VisionPipeline(networks).process(frame(1), want_features=True).subject
    assert subject is not None
    assert subject.features is not None
    assert subject.features.values == pytest.approx([0.5] * 4)
    assert subject.features.model_digest == networks.features.digest


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
