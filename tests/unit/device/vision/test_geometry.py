from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.vision.geometry import apply, cut, intersection_over_union, invert, square_to_frame

COORDINATES = st.floats(-500, 500)
BOXES = st.builds(
    lambda x, y, w, h: (x, y, x + w, y + h), COORDINATES, COORDINATES, st.floats(1, 300), st.floats(1, 300)
)


@given(BOXES, BOXES)
def test_overlap_is_symmetric_and_a_share(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    overlap = intersection_over_union(a, b)
    assert overlap == pytest.approx(intersection_over_union(b, a))
    assert 0 <= overlap <= 1 + 1e-9
    assert intersection_over_union(a, a) == pytest.approx(1)


def test_boxes_apart_and_empty_boxes_do_not_overlap() -> None:
    assert intersection_over_union((0, 0, 1, 1), (2, 2, 3, 3)) == 0
    assert intersection_over_union((1, 1, 1, 1), (1, 1, 1, 1)) == 0


@given(st.floats(0, 640), st.floats(0, 480), st.floats(10, 600), st.floats(-3, 3), st.booleans())
def test_square_is_centred_and_can_be_inverted(x: float, y: float, side: float, angle: float, mirror: bool) -> None:
    transform = square_to_frame((x, y), side, angle, 64, mirror=mirror)
    middle = apply(transform, np.array([[31.5, 31.5]]))[0]
    assert middle == pytest.approx([x, y], abs=1e-2)
    points = np.array([[3.0, 60.0], [10.0, 5.0]])
    assert apply(invert(transform), apply(transform, points)) == pytest.approx(points, abs=0.05)


def test_turned_square_has_its_x_axis_along_the_angle() -> None:
    transform = square_to_frame((100, 100), 64, math.pi / 2, 64)
    along = apply(transform, np.array([[31.5, 31.5], [32.5, 31.5]]))
    assert along[1] - along[0] == pytest.approx([0, 1], abs=1e-5)


def test_cut_in_full_resolution_copies_pixels() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    assert (cut(picture, np.array([[1.0, 0, 7], [0, 1.0, 5]]), (20, 10)) == picture[5:15, 7:27]).all()


def test_cut_outside_the_frame_is_black() -> None:
    picture = np.full((40, 60, 3), 200, np.uint8)
    assert not cut(picture, np.array([[1.0, 0, 500], [0, 1.0, 500]]), (20, 10)).any()
    assert not cut(picture, np.array([[8.0, 0, 500], [0, 8.0, 500]]), (20, 10)).any()


def test_much_reduced_cut_averages_instead_of_aliasing() -> None:
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 255
    reduced = cut(stripes, np.array([[8.0, 0, 3.5], [0, 8.0, 3.5]]), (50, 50))
    assert np.abs(reduced[2:-2, 2:-2].astype(int) - 127).max() <= 2


def test_reduced_cut_keeps_its_place() -> None:
    picture = np.zeros((480, 640, 3), np.uint8)
    picture[200:232, 320:352] = 255
    reduced = cut(picture, np.array([[8.0, 0, 3.5], [0, 8.0, 3.5]]), (80, 60))
    assert (reduced[25:29, 40:44] > 250).all()
    assert reduced.astype(int).sum() == pytest.approx(255 * 16 * 3, rel=0.05)
