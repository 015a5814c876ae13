"""Simulated recapture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.tools.pad_recapture import (
    SIZE,
    Camera,
    Light,
    Picture,
    Random,
    bona_fide,
    draw_camera,
    photograph,
    print_attack,
    screen_attack,
    to_linear,
    to_srgb,
)

Show = Callable[[Light, Camera, Random], Picture]
SHOWN = pytest.mark.parametrize("show", [bona_fide, print_attack, screen_attack])


@pytest.fixture(scope="module")
def scene() -> Light:
    """Soft blobs of light, dark below."""
    random = np.random.Generator(np.random.PCG64(1))
    blobs = cv2.resize(random.random((12, 12, 3), np.float32), (160, 160), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(blobs, 0, 1) * np.linspace(1, 0.1, 160, dtype=np.float32)[:, None, None], np.float32)


def generator(seed: int = 2) -> Random:
    return np.random.Generator(np.random.PCG64(seed))


def small_camera(seed: int = 2) -> Camera:
    return replace(draw_camera(generator(seed)), side_px=100)


@given(arrays(np.float32, (4, 4, 3), elements=st.floats(0, 1, width=32)))
def test_light_and_values_convert_both_ways(values: Light) -> None:
    np.testing.assert_allclose(to_srgb(to_linear(values)), values, atol=1e-4)


@SHOWN
def test_presentation_is_what_the_network_sees_and_repeats_with_its_seed(show: Show, scene: Light) -> None:
    first, again, other = (show(scene, small_camera(), generator(seed)) for seed in (5, 5, 6))
    assert first.shape == (SIZE, SIZE, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@SHOWN
def test_scene_stays_upright_and_recognisable(show: Show, scene: Light) -> None:
    # Blurred, so that the medium's own pattern does not count.
    wanted = cv2.GaussianBlur(cv2.resize(to_srgb(scene).mean(2), (SIZE, SIZE)), (0, 0), 6)
    agreements = []
    for seed in range(8):
        found = cv2.GaussianBlur(show(scene, small_camera(seed), generator(seed)).mean(2), (0, 0), 6)
        agreements.append(float(np.corrcoef(found[16:-16, 16:-16].ravel(), wanted[16:-16, 16:-16].ravel())[0, 1]))
    assert np.median(agreements) > 0.8


@pytest.mark.parametrize("show", [print_attack, screen_attack])
def test_brightness_is_no_sign_of_an_attack(show: Show, scene: Light) -> None:
    levels = [[float(s(scene, small_camera(k), generator(k)).mean()) for k in range(12)] for s in (bona_fide, show)]
    assert abs(np.mean(levels[0]) - np.mean(levels[1])) < 0.5 * np.std(levels[0])


def test_exposure_follows_the_light(scene: Light) -> None:
    camera = small_camera()
    bright, dark = (photograph(scene * np.float32(k), camera, generator()).mean() for k in (1, 0.2))
    assert abs(float(bright) - float(dark)) < 4


def test_border_of_the_medium_shows_what_is_behind_it(scene: Light) -> None:
    behind = np.full((64, 64, 3), (0.02, 0.4, 0.02), np.float32)
    greens = []
    for seed in range(6):
        picture = print_attack(scene, small_camera(seed), generator(seed), behind).astype(np.float64)
        greens.append(picture[:4, :, 1].mean() - picture[:4, :, 0].mean())
    assert np.median(greens) > 10
