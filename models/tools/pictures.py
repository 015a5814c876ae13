"""The pictures that int8 ranges are found on: synthetic clips, one public-domain portrait, and changes made to both.

Everything here is plain numpy arithmetic with a fixed seed, so that the same pictures come out on every machine; only decoding
the clips is left to OpenCV, whose version the build environment pins. Evaluation data is never read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""uint8 (H, W, 3), RGB, 0..255."""
Matrix = NDArray[np.float64]
"""float64 (2, 3): where in the source picture a pixel of the result comes from, both in pixel coordinates."""

# Of a live clip every third frame, of an attack clip every fifth: faces in all poses, seen straight, printed and replayed.
_LIVE_STEP = 3
_ATTACK_STEP = 5
_PORTRAIT_TIMES = 4


@dataclass(frozen=True, slots=True)
class Change:
    """One way a picture may differ between terminals: light, colour, noise, distance, tilt, side."""

    gain: float
    """Factor on all channels, 0.45..1.5."""
    colour: tuple[float, float, float]
    """Factor on R, G, B, 0.85..1.15: warm and cold lamps."""
    gamma: float
    """Exponent on 0..1 values, 0.7..1.4."""
    noise: float
    """Standard deviation of added noise in grey levels, 0..8."""
    zoom: float
    """Factor on lengths about the middle, 0.6..1.4."""
    turn_deg: float
    """Rotation in the picture plane, -15..15, degrees."""
    is_mirrored: bool
    """Whether left and right are exchanged."""


def sample(picture: Picture, matrix: Matrix, width: int, height: int) -> Picture:
    """Return the (height, width, 3) picture whose pixel p is the source at `matrix` (p, 1), bilinear, black outside.

    Where the result is smaller than its source, several points are averaged for each pixel, so that nothing aliases.
    """
    shrink = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    points = max(1, round(shrink))
    offsets = (np.arange(points) + 0.5) / points - 0.5
    total = np.zeros((height, width, 3))
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    for dy in offsets:
        for dx in offsets:
            x = matrix[0, 0] * (columns + dx) + matrix[0, 1] * (rows + dy) + matrix[0, 2]
            y = matrix[1, 0] * (columns + dx) + matrix[1, 1] * (rows + dy) + matrix[1, 2]
            total += _bilinear(picture, x, y)
    return np.asarray(np.clip(np.rint(total / points**2), 0, 255), np.uint8)


def letterbox(picture: Picture, size: int) -> tuple[Picture, Matrix]:
    """Return the whole picture fitted into a black (size, size, 3) square, and the matrix from square to picture."""
    height, width = picture.shape[:2]
    scale = max(width, height) / size
    matrix = np.array(
        [[scale, 0, (width - 1) / 2 - scale * (size - 1) / 2], [0, scale, (height - 1) / 2 - scale * (size - 1) / 2]]
    )
    return sample(picture, matrix, size, size), matrix


def calibration_pictures(clips: Sequence[Path], portrait: Path, count: int, seed: int) -> list[Picture]:
    """Return `count` changed pictures, taken in turn from all clips and the portrait.

    Raises:
        FileNotFoundError: if one of them cannot be read.
    """
    originals = _originals(clips, portrait)
    generator = np.random.Generator(np.random.PCG64(seed))
    order = generator.permutation(len(originals))
    return [apply(originals[order[k % len(order)]], draw_change(generator), generator) for k in range(count)]


def apply(picture: Picture, change: Change, generator: np.random.Generator) -> Picture:
    """Return a changed picture of the same size."""
    height, width = picture.shape[:2]
    angle, scale = np.deg2rad(change.turn_deg), 1 / change.zoom
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    flip = -1.0 if change.is_mirrored else 1.0
    cx, cy = (width - 1) / 2, (height - 1) / 2
    turn = np.array([[cos * flip, -sin], [sin * flip, cos]])
    shift = np.array([cx, cy]) - turn @ np.array([cx, cy])
    moved = sample(picture, np.column_stack([turn, shift]), width, height)
    lit = (moved / 255.0) ** change.gamma * 255.0 * change.gain * np.array(change.colour)
    noisy = lit + generator.normal(0.0, change.noise, lit.shape)
    return np.asarray(np.clip(np.rint(noisy), 0, 255), np.uint8)


def draw_change(generator: np.random.Generator) -> Change:
    """Return a change from the ranges that `Change` names."""
    red, green, blue = generator.uniform(0.85, 1.15, 3)
    return Change(
        gain=float(generator.uniform(0.45, 1.5)),
        colour=(float(red), float(green), float(blue)),
        gamma=float(generator.uniform(0.7, 1.4)),
        noise=float(generator.uniform(0, 8)),
        zoom=float(generator.uniform(0.6, 1.4)),
        turn_deg=float(generator.uniform(-15, 15)),
        is_mirrored=bool(generator.integers(2)),
    )


def _originals(clips: Sequence[Path], portrait: Path) -> list[Picture]:
    image = cv2.imread(str(portrait))
    if image is None:
        raise FileNotFoundError(f"picture {portrait.name} cannot be read")
    pictures = [_rgb(image)] * _PORTRAIT_TIMES
    for clip in clips:
        pictures += read_clip(clip)[:: _LIVE_STEP if clip.name.startswith("live") else _ATTACK_STEP]
    return pictures


def read_clip(path: Path) -> list[Picture]:
    """Return every frame of a clip.

    Raises:
        FileNotFoundError: if it cannot be opened or holds no frame.
    """
    capture = cv2.VideoCapture(str(path))
    frames: list[Picture] = []
    try:
        while True:
            is_read, frame = capture.read()
            if not is_read:
                break
            frames.append(_rgb(frame))
    finally:
        capture.release()
    if not frames:
        raise FileNotFoundError(f"clip {path.name} cannot be read")
    return frames


def _rgb(frame: Any) -> Picture:
    return np.ascontiguousarray(np.asarray(frame, np.uint8)[..., ::-1])


def _bilinear(picture: Picture, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    height, width = picture.shape[:2]
    left, top = (np.asarray(np.floor(values), np.int64) for values in (x, y))
    fx, fy = (x - left)[..., None], (y - top)[..., None]

    def at(row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.float64]:
        is_inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        values = picture[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)].astype(np.float64)
        return np.asarray(np.where(is_inside[..., None], values, 0.0), np.float64)

    upper = at(top, left) * (1 - fx) + at(top, left + 1) * fx
    lower = at(top + 1, left) * (1 - fx) + at(top + 1, left + 1) * fx
    return np.asarray(upper * (1 - fy) + lower * fy, np.float64)
