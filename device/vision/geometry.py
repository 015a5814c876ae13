"""Boxes, similarity transforms and cutting a turned square out of a frame without aliasing."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from device.vision.frame import Pixels

Box = tuple[float, float, float, float]
"""(x_min, y_min, x_max, y_max) in frame pixels; may reach over the frame's border."""
Points = NDArray[np.float32]
"""float32 (N, 2): x, y in frame pixels."""
Transform = NDArray[np.float64]
"""float64 (2, 3): maps a column (x, y, 1) to (x', y')."""
Real = NDArray[np.floating[Any]]
"""A floating array of any width."""


def area(box: Box) -> float:
    """Return the area of a box in square pixels, 0 for an inverted one."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def intersection_over_union(a: Box, b: Box) -> float:
    """Return the overlap of two boxes, 0..1; 0 where both are empty."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    united = area(a) + area(b) - shared
    return shared / united if united > 0 else 0.0


def square_to_frame(
    centre: tuple[float, float], side: float, angle: float, size: int, *, mirror: bool = False
) -> Transform:
    """Return the transform from the pixels of a `size` x `size` crop to frame pixels.

    Args:
        centre: of the square, in frame pixels.
        side: of the square, in frame pixels.
        angle: by which the square is turned clockwise in the picture, in radians.
        size: of the crop, in pixels.
        mirror: whether the crop is flipped left to right.
    """
    scale = side / size
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    across_x, across_y = (-cos, -sin) if mirror else (cos, sin)
    middle = (size - 1) / 2
    return np.array(
        (
            (across_x, -sin, centre[0] - (across_x - sin) * middle),
            (across_y, cos, centre[1] - (across_y + cos) * middle),
        )
    )


# Two by two is too small for a linear algebra library: a call costs more than the sum, and its threads spin.


def apply(transform: Transform, points: Real) -> Points:
    """Map the first two columns of points, (N, 2) or wider, through a transform."""
    (a, b, x), (c, d, y) = transform.tolist()
    mapped = np.empty((len(points), 2), np.float32)
    mapped[:, 0] = points[:, 0] * a + points[:, 1] * b + x
    mapped[:, 1] = points[:, 0] * c + points[:, 1] * d + y
    return mapped


def invert(transform: Transform) -> Transform:
    """Return the inverse of a transform.

    Raises:
        ZeroDivisionError: if it has none.
    """
    (a, b, x), (c, d, y) = transform.tolist()
    determinant = a * d - b * c
    a, b, c, d = d / determinant, -b / determinant, -c / determinant, a / determinant
    return np.array(((a, b, -a * x - b * y), (c, d, -c * x - d * y)))


def scale_of(transform: Transform) -> float:
    """Return by how much a transform enlarges lengths: the root of how much it enlarges areas."""
    (a, b, _), (c, d, _) = transform.tolist()
    return math.sqrt(abs(a * d - b * c))


def cut(pixels: Pixels, to_frame: Transform, size: tuple[int, int]) -> Pixels:
    """Cut a turned and scaled rectangle out of a frame; what lies outside the frame is black.

    Where the crop shows less than half the resolution, only the needed part of the frame is halved first (bilinear halving
    is the mean of 2 x 2 pixels), so that fine texture does not alias; the full frame is never copied.

    Args:
        pixels: uint8 (H, W, 3).
        to_frame: transform from crop pixels to frame pixels.
        size: (width, height) of the crop.

    Returns:
        uint8 (height, width, 3).
    """
    transform = to_frame
    scale = scale_of(transform)
    if scale >= 2.0:
        pixels, transform = _reduced(pixels, transform, size, halvings=int(math.log2(scale)))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(pixels, transform, size, flags=flags, borderMode=cv2.BORDER_CONSTANT), np.uint8)


def _reduced(pixels: Pixels, transform: Transform, size: tuple[int, int], *, halvings: int) -> tuple[Pixels, Transform]:
    """Return the needed part of the frame, halved, and the transform into it."""
    width, height = size
    corners = apply(transform, np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64))
    step = 1 << halvings
    low = np.maximum(np.floor(corners.min(axis=0)) - step, 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0)) + step, np.array(pixels.shape[1::-1])).astype(int)
    if (high <= low).any():
        return pixels, transform
    part = pixels[low[1] : high[1], low[0] : high[0]]
    factors = np.ones(2)
    for _ in range(halvings):
        before = np.array(part.shape[1::-1])
        after = np.maximum(before // 2, 1)
        part = np.asarray(cv2.resize(part, tuple(int(n) for n in after), interpolation=cv2.INTER_LINEAR), np.uint8)
        factors *= after / before
    moved = transform.copy()
    moved[:, 2] += 0.5 - low
    moved *= factors[:, None]
    moved[:, 2] -= 0.5
    return part, moved
