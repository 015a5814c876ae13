"""Sharpness of a printed target on renderings whose blur is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from device.commissioning.focus import find_square, sharpness
from device.commissioning.judging import LEAST_MTF50, judge_focus
from device.simulated.actor import EmptyRoom
from device.simulated.target import target_picture

pytestmark = pytest.mark.provisioning


def mtf50_of(blur_px: float) -> float:
    """Of a Gaussian blur: exp(-2 pi^2 s^2 f^2) is a half at f = sqrt(ln 2 / 2) / (pi s)."""
    return math.sqrt(math.log(2) / 2) / (math.pi * blur_px)


@pytest.mark.parametrize("blur_px", [1.0, 1.5, 2.0, 4.0])
def test_a_known_blur_is_measured(blur_px: float) -> None:
    found = sharpness(target_picture(blur_px=blur_px))
    assert found is not None
    assert found.edges == 4
    # A pixel is as wide as it is, which takes some contrast besides the lens.
    assert found.mtf50 == pytest.approx(mtf50_of(blur_px), rel=0.06)


def test_neither_light_nor_contrast_nor_noise_makes_a_picture_sharper() -> None:
    found = [
        sharpness(target_picture(blur_px=1.5, ink=ink, paper=paper, seed=seed))
        for ink, paper, seed in ((12, 215, 1), (40, 110, 2), (60, 250, 3), (20, 90, 4))
    ]
    measured = [each.mtf50 for each in found if each is not None]
    assert len(measured) == 4
    assert max(measured) / min(measured) < 1.05


@pytest.mark.parametrize(("side_px", "turned_deg"), [(60.0, 7.0), (110.0, 3.0), (110.0, 20.0), (260.0, 7.0)])
def test_distance_and_turn_of_the_sheet_do_not_matter(side_px: float, turned_deg: float) -> None:
    found = sharpness(target_picture(blur_px=1.5, side_px=side_px, turned_deg=turned_deg))
    assert found is not None
    assert found.mtf50 == pytest.approx(mtf50_of(1.5), rel=0.1)


def test_the_limit_lies_between_blurs_that_features_bear_and_do_not() -> None:
    for blur_px, status in ((0.6, "passed"), (1.3, "passed"), (1.8, "failed"), (3.5, "failed")):
        assert judge_focus(sharpness(target_picture(blur_px=blur_px)), scale=1.0).status == status
    assert mtf50_of(1.56) == pytest.approx(LEAST_MTF50, rel=0.01)


def test_a_larger_picture_is_judged_in_pixels_of_the_frame() -> None:
    # Blurred by 3 pixels of a picture that is 2.5 times as wide: 1.2 pixels of the frame.
    found = sharpness(target_picture(blur_px=3.0))
    assert judge_focus(found, scale=1.0).status == "failed"
    assert judge_focus(found, scale=2.5).status == "passed"


def test_without_a_target_nothing_is_measured() -> None:
    empty = EmptyRoom(20.0).picture(0.0)
    noise = np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8)
    for picture in (empty, noise, np.full((480, 640, 3), 200, np.uint8), target_picture(ink=200, paper=212)):
        assert sharpness(picture) is None
    assert judge_focus(None, scale=1.0).reason == "no_target"


def test_the_square_is_found_where_it_is() -> None:
    corners = find_square(target_picture(side_px=160, turned_deg=0.5))
    assert corners is not None
    assert corners.mean(axis=0) == pytest.approx([320, 240], abs=2)
    assert np.ptp(corners, axis=0) == pytest.approx([160, 160], abs=5)
