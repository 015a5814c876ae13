"""How radiance becomes the numbers of a library entry, and how its description is written."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from demo.render.mesh import Floats

LAYERS = ("ambient", "left", "right")
GAMMA = 2.2
"""Code = 255 * (radiance / scale) ** (1 / GAMMA)."""
_HEADROOM = 1.15


def scale_of(samples: Iterable[Floats]) -> list[float]:
    """Return the radiance of code 255 for each layer, from samples (3, H, W, 3): nearly the brightest there is."""
    peaks = np.array([[np.percentile(layer, 99.97) for layer in sample] for sample in samples])
    return [round(float(peak) * _HEADROOM, 4) for peak in np.maximum(peaks.max(axis=0), 1e-3)]


def to_code(layers: Floats, scale: list[float]) -> NDArray[np.uint8]:
    """Return the coded picture (3H, W, 3) of linear layers (3, H, W, 3)."""
    shares = np.clip(layers / np.array(scale, np.float32)[:, None, None, None], 0, 1)
    code = np.round(255 * shares ** (1 / GAMMA)).astype(np.uint8)
    return np.asarray(code.reshape(-1, layers.shape[2], 3), np.uint8)


def write_description(path: Path, comment: str, content: Mapping[str, object]) -> None:
    """Write a TOML file: a line of comment, plain values, then tables; what is written is read back as a check."""
    lines = [f"# {comment}"]
    tables = {name: value for name, value in content.items() if isinstance(value, Mapping)}
    lines += [f"{name} = {_literal(value)}" for name, value in content.items() if name not in tables]
    for table, values in tables.items():
        lines += ["", f"[{table}]", *(f"{name} = {_literal(value)}" for name, value in values.items())]
    text = "\n".join(lines) + "\n"
    tomllib.loads(text)
    path.write_text(text, encoding="utf-8")


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(round(value, 4))
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
