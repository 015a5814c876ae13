from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.vision.detection import OVERLAP, FaceDetector, letterbox, weighted_suppression
from device.vision.geometry import intersection_over_union

OUTPUTS = {"boxes": (1, 2304, 16), "scores": (1, 2304, 1)}


def test_decoded_box_and_keypoints_are_in_frame_pixels(fake_network: Callable) -> None:
    boxes, scores = np.zeros((1, 2304, 16), np.float32), np.full((1, 2304, 1), -50, np.float32)
    # The cell in column 24, row 20 has its centre at (98, 82) of 192; the face is 40 wide and its centre is 2 to the right.
    index = 20 * 48 + 24
    boxes[0, index, :4] = 2, 0, 40, 40
    boxes[0, index, 4:6] = -10, -5
    scores[0, index] = 4
    detector = FaceDetector(fake_network("face_detection", 192, OUTPUTS, lambda _: {"boxes": boxes, "scores": scores}))
    (face,) = detector.detect(np.zeros((480, 640, 3), np.uint8))
    scale = 640 / 192
    assert face.box == pytest.approx([80 * scale, (62 - 24) * scale, 120 * scale, (102 - 24) * scale], abs=0.01)
    assert face.keypoints[0] == pytest.approx([88 * scale, (77 - 24) * scale], abs=0.01)
    assert face.score == pytest.approx(1 / (1 + np.exp(-4)))


def test_nothing_above_the_threshold_is_no_face(fake_network: Callable) -> None:
    answer = {"boxes": np.zeros((1, 2304, 16), np.float32), "scores": np.full((1, 2304, 1), -9, np.float32)}
    detector = FaceDetector(fake_network("face_detection", 192, OUTPUTS, lambda _: answer))
    assert detector.detect(np.zeros((480, 640, 3), np.uint8)) == ()


@pytest.mark.parametrize("size", [(480, 640), (640, 480), (100, 100), (1080, 1920), (1, 1), (3, 500)])
def test_letterbox_keeps_the_aspect_and_centres(size: tuple[int, int]) -> None:
    picture, scale, offset = letterbox(np.full((*size, 3), 255, np.uint8), 192)
    assert picture.shape == (192, 192, 3)
    lit = np.argwhere(picture[:, :, 0] > 128)
    height, width = lit.max(axis=0) - lit.min(axis=0) + 1
    assert height == pytest.approx(max(1, size[0] * scale), abs=1)
    assert width == pytest.approx(max(1, size[1] * scale), abs=1)
    assert tuple(lit.min(axis=0)) == (offset[1], offset[0])


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_suppression_leaves_faces_apart_and_loses_none(count: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    low = generator.uniform(0, 1, (count, 2))
    boxes = np.concatenate([low, low + generator.uniform(0.05, 0.4, (count, 2))], axis=1)
    scores = generator.uniform(0.5, 1, count)
    merged = weighted_suppression(boxes, np.zeros((count, 6, 2)), scores)
    assert [score for *_, score in merged] == sorted((score for *_, score in merged), reverse=True)
    assert merged[0][2] == scores.max()
    for box in boxes:  # every detection lies in a group around a best box it overlaps, or is one itself
        best = [boxes[np.flatnonzero(scores == score)[0]] for *_, score in merged]
        assert any(
            intersection_over_union(tuple(box), tuple(other)) > OVERLAP or (box == other).all() for other in best
        )


def test_suppression_weighs_boxes_by_score() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10]], float)
    ((box, _, score),) = weighted_suppression(boxes, np.zeros((2, 6, 2)), np.array([0.75, 0.25]))
    assert box == pytest.approx([0.25, 0, 10.25, 10])
    assert score == 0.75
