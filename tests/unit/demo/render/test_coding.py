"""The coding of radiance."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from demo.render.coding import GAMMA, scale_of, to_code, write_description


def from_code(code: NDArray[np.uint8], scale: list[float]) -> NDArray[np.float64]:
    """Linear layers (3, H, W, 3) of a coded picture (3H, W, 3), as the package's description gives the formula."""
    layers = ((code / 255) ** GAMMA).reshape(len(scale), -1, code.shape[1], 3)
    return np.asarray(layers * np.array(scale)[:, None, None, None])


def test_coded_light_comes_back_within_half_a_code() -> None:
    random = np.random.default_rng(1)
    layers = random.uniform(0, 1, (3, 4, 5, 3)).astype(np.float32) * np.array([2.0, 0.3, 0.1])[:, None, None, None]
    scale = [2.0, 0.3, 0.1]
    code = to_code(layers.astype(np.float32), scale)
    assert code.shape == (12, 5, 3)
    again = to_code(from_code(code, scale).astype(np.float32), scale)
    assert np.array_equal(code, again)
    step = 2.2 / 255 * np.array(scale)[:, None, None, None]
    assert (np.abs(from_code(code, scale) - layers) < step).all()


def test_what_is_brighter_than_the_scale_saturates() -> None:
    assert (to_code(np.full((3, 1, 1, 3), 9.0, np.float32), [1.0, 1.0, 1.0]) == 255).all()


def test_the_scale_leaves_room_above_the_brightest_sample() -> None:
    samples = [np.full((3, 8, 8, 3), value, np.float32) for value in (0.2, 0.4)]
    assert scale_of(samples) == pytest.approx([0.46] * 3)


def test_a_description_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    write_description(
        path, "A test.", {"kind": "layered", "scale": [0.5, 1.0], "truth": {"lids": [0.0, 1.0]}, "is": True}
    )
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    assert content == {"kind": "layered", "scale": [0.5, 1.0], "is": True, "truth": {"lids": [0.0, 1.0]}}
