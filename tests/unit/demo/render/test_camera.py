"""Directions and scales of the rendering camera."""

from __future__ import annotations

import numpy as np
import pytest

from demo.render.camera import HEIGHT, WIDTH, focal_px, look_from, projection, rays, rotation, to_pixels, zoomed


def test_the_own_left_is_on_the_right_of_the_picture() -> None:
    seen = to_pixels(np.array([[0.1, 0.05, -0.5]], np.float32))
    assert seen[0, 0] > WIDTH / 2
    assert seen[0, 1] < HEIGHT / 2


def test_pixels_and_clip_space_agree() -> None:
    points = np.array([[0.1, 0.05, -0.5], [-0.2, 0.1, -0.8]], np.float32)
    clip = np.c_[points, np.ones(2)] @ projection().T
    across, up = clip[:, 0] / clip[:, 3], clip[:, 1] / clip[:, 3]
    assert np.allclose(to_pixels(points), np.stack([(across + 1) * WIDTH / 2, (1 - up) * HEIGHT / 2], -1), atol=1e-3)


def test_rays_go_through_the_pixels_they_belong_to() -> None:
    ways = rays()
    seen = to_pixels(ways[[10, 300], [20, 500]])
    assert np.allclose(seen, [[20.5, 10.5], [500.5, 300.5]], atol=1e-2)


def test_zoom_multiplies_what_is_seen() -> None:
    assert zoomed(2.0)[0, 0] == pytest.approx(2 * projection()[0, 0])
    assert focal_px(1280) == pytest.approx(2 * focal_px(640))


@pytest.mark.parametrize(
    ("angles", "axis", "sign"),
    [((20, 0, 0), 0, 1), ((-20, 0, 0), 0, -1), ((0, 20, 0), 1, 1), ((0, -20, 0), 1, -1)],
)
def test_a_head_turns_to_the_own_left_and_up(angles: tuple[float, float, float], axis: int, sign: int) -> None:
    forward = rotation(*angles) @ np.array([0, 0, 1])
    assert np.degrees(np.arcsin(forward[axis])) == pytest.approx(20 * sign, abs=1e-3)


def test_positive_roll_leans_the_crown_to_the_own_left() -> None:
    assert (rotation(0, 0, 15) @ np.array([0, 1, 0]))[0] > 0


@pytest.mark.parametrize("is_far", [True, False])
def test_a_light_sees_its_target_in_the_middle(is_far: bool) -> None:
    eye, target = np.array([0.1, 0.3, 0.2], np.float32), np.array([0, 0, -0.5], np.float32)
    matrix = look_from(eye, target, extent=0.3, is_far=is_far)
    clip = matrix @ np.append(target, 1)
    assert np.allclose(clip[:2] / clip[3], 0, atol=1e-6)
    assert abs(clip[2] / clip[3]) < 1
