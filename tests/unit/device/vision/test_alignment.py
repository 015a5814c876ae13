from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.vision.alignment import UnknownAlignment, align, check_alignment, similarity
from device.vision.geometry import apply
from device.vision.landmarks import FaceLandmarks
from protocol.manifest import Preprocessing


@given(st.floats(-math.pi, math.pi), st.floats(0.05, 20), st.floats(-500, 500), st.floats(-500, 500))
def test_known_similarity_is_recovered(angle: float, scale: float, x: float, y: float) -> None:
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    known = np.array([[cos, -sin, x], [sin, cos, y]])
    source = np.array([[0.0, 0], [10, 1], [4, 8], [-3, 5], [2, -6]])
    target = source @ known[:, :2].T + known[:, 2]
    assert similarity(source, target) == pytest.approx(known, abs=1e-6 * max(scale, 1) * 100)


def test_mirrored_points_do_not_give_a_mirrored_picture() -> None:
    source = np.array([[0.0, 0], [10, 1], [4, 8]])
    assert np.linalg.det(similarity(source, source * [-1, 1])[:, :2]) > 0


def test_aligned_points_lie_on_the_template(frontal_landmarks: FaceLandmarks) -> None:
    picture = np.zeros((480, 640, 3), np.uint8)
    for x, y in ((285, 220), (355, 220)):
        picture[y - 3 : y + 4, x - 3 : x + 4] = 255
    crop = align(picture, frontal_landmarks, Preprocessing(width=112, height=112, multiply=1, add=0, region=""))
    lit = np.argwhere(crop[:, :, 0] > 128)
    left, right = lit[lit[:, 1] < 56].mean(axis=0), lit[lit[:, 1] >= 56].mean(axis=0)
    assert left == pytest.approx([51.7, 38.3], abs=3)
    assert right == pytest.approx([51.5, 73.5], abs=3)


def test_dlib_chip_is_chosen_by_size(frontal_landmarks: FaceLandmarks) -> None:
    picture = np.full((480, 640, 3), 90, np.uint8)
    chip = align(picture, frontal_landmarks, Preprocessing(width=150, height=150, multiply=1, add=0, region=""))
    assert chip.shape == (150, 150, 3)
    assert (chip[30:120, 30:120] == 90).all()


def test_unknown_size_is_refused() -> None:
    with pytest.raises(UnknownAlignment, match="96x96"):
        check_alignment(Preprocessing(width=96, height=96, multiply=1, add=0, region=""))


def test_turned_head_is_brought_upright(frontal_landmarks: FaceLandmarks) -> None:
    generator = np.random.default_rng(0)
    picture = generator.integers(0, 256, (48, 64, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
    steps = Preprocessing(width=112, height=112, multiply=1, add=0, region="")
    quarter = np.ascontiguousarray(np.rot90(picture, -1))
    turned = frontal_landmarks.points.copy()
    turned[:, :2] = apply(np.array([[0.0, -1, 479], [1.0, 0, 0]]), frontal_landmarks.points[:, :2])
    straight = align(picture, frontal_landmarks, steps).astype(int)
    upright = align(quarter, replace(frontal_landmarks, points=turned), steps).astype(int)
    assert np.abs(straight - upright).mean() < 2
