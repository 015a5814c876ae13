"""The region a texture network sees, and the score it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.vision.texture import TextureScorer, texture_region

SIDES = st.floats(1.0, 2000.0)
CORNERS = st.floats(-1500.0, 1500.0)
LENGTHS = st.integers(1, 1200)


@pytest.fixture
def texture_network(fake_network: Callable[..., Any]) -> Callable[[float], Any]:
    def make(answer: float) -> Any:
        network = fake_network("features", 8, {"bona_fide": (1, 1)}, lambda _: {"bona_fide": np.full((1, 1), answer)})
        steps = network.manifest.preprocessing.model_copy(update={"box_scale": 2.0})
        network.manifest = network.manifest.model_copy(update={"preprocessing": steps, "task": "texture"})
        return network

    return make


@given(LENGTHS, LENGTHS, CORNERS, CORNERS, SIDES, SIDES, st.floats(0.5, 8.0))
def test_region_is_never_empty_and_never_outside(
    height: int, width: int, x: float, y: float, box_width: float, box_height: float, scale: float
) -> None:
    left, top, right, bottom = texture_region((height, width), (x, y, x + box_width, y + box_height), scale)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_region_is_the_box_enlarged_about_its_centre() -> None:
    assert texture_region((480, 640, 3), (300, 200, 340, 240), 2.5) == (270, 170, 370, 270)


def test_region_at_the_border_is_moved_inside() -> None:
    assert texture_region((480, 640, 3), (0, 440, 40, 480), 2.0) == (0, 400, 80, 480)


def test_region_larger_than_the_frame_is_reduced_in_its_own_shape() -> None:
    assert texture_region((480, 640, 3), (200, 100, 400, 300), 4.0) == (60, 0, 540, 480)


@pytest.mark.parametrize("box", [(10, 10, 10, 20), (30, 10, 20, 20), (float("nan"), 0, 10, 10)])
def test_empty_box_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="is empty"):
        texture_region((480, 640, 3), box, 2.0)


def test_network_sees_the_region_at_its_own_size(texture_network: Callable[[float], Any]) -> None:
    network = texture_network(0.25)
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[16:48, 16:48] = (10, 20, 30)
    assert TextureScorer(network).score(frame, (24, 24, 40, 40)) == 0.25
    (seen,) = network.seen
    assert seen.shape == (8, 8, 3)
    assert (seen == (10, 20, 30)).all()


def test_fine_pattern_is_averaged_and_not_sampled(texture_network: Callable[[float], Any]) -> None:
    network = texture_network(0.5)
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[:, ::2] = 255
    TextureScorer(network).score(frame, (16, 16, 48, 48))
    assert int(network.seen[0].max()) - int(network.seen[0].min()) <= 1


@pytest.mark.parametrize(("answer", "score"), [(-0.01, 0.0), (1.004, 1.0), (0.7, 0.7)])
def test_score_stays_within_its_range(texture_network: Callable[[float], Any], answer: float, score: float) -> None:
    frame = np.zeros((16, 16, 3), np.uint8)
    assert TextureScorer(texture_network(answer)).score(frame, (4, 4, 12, 12)) == pytest.approx(score)


def test_network_without_a_region_is_refused(fake_network: Callable[..., Any]) -> None:
    network = fake_network("features", 8, {"features": (1, 4)}, lambda _: {})
    with pytest.raises(ValueError, match="box scale"):
        TextureScorer(network)
