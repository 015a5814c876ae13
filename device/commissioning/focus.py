"""How sharp a camera sees a printed target: MTF50 by slanted edges, which does not depend on brightness or contrast.

The target (`lifecert-provision target`) is a black square on white paper, turned a little. Each of its sides is an edge at a slant, so that
the pixels along it sample the edge finer than the pixels lie apart.

Source: the method of ISO 12233 (edge spread function by projection along the edge, its derivative, the modulus of the Fourier transform) as
Burns describes it (Slanted-edge MTF for digital camera and scanner analysis, PICS 2000); the standard's text was not opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from device.vision.frame import Pixels

_GAMMA: Final = 2.2
"""Of the camera's tone curve, roughly: an edge is measured in light, not in codes."""
_LEAST_AREA, _MOST_AREA = 0.004, 0.5
"""Of the picture, that a square on a sheet at arm's length can take."""
_LEAST_CONTRAST: Final = 24.0
"""Codes between paper and ink; below that noise is what is measured."""
_MOST_ASKEW: Final = 1.4
"""Longest side by shortest: more is a sheet that is held askew, or something else."""
_BIN_PX: Final = 0.25
_LEAST_SIDE_PX: Final = 24.0


@dataclass(frozen=True, slots=True)
class Sharpness:
    """What the target's edges tell."""

    mtf50: float
    """Cycles per pixel of the picture at which half of the contrast is left, median over the sides; larger = sharper."""
    edges: int
    """Sides that could be measured."""
    corners: NDArray[np.float32]
    """float32 (4, 2), pixels, of the square, in turn."""


def find_square(pixels: Pixels) -> NDArray[np.float32] | None:
    """Return the corners of the target's square, float32 (4, 2), in turn; None where none is seen.

    Args:
        pixels: uint8 (H, W, 3) RGB.
    """
    grey = np.asarray(cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (5, 5), 0), np.uint8)
    _, dark = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    outlines, _ = cv2.findContours(dark, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    best: tuple[float, NDArray[np.float32]] | None = None
    for outline in outlines:
        size = cv2.contourArea(outline)
        if not _LEAST_AREA * grey.size <= size <= _MOST_AREA * grey.size or (best is not None and size <= best[0]):
            continue
        corners = cv2.approxPolyDP(outline, 0.04 * cv2.arcLength(outline, True), True).reshape(-1, 2)
        if len(corners) == 4 and _is_target(grey, np.asarray(corners, np.float32), size):
            best = (size, np.asarray(corners, np.float32))
    return None if best is None else best[1]


def sharpness(pixels: Pixels) -> Sharpness | None:
    """Measure the target in a picture; None where it is not seen or none of its sides can be measured.

    Args:
        pixels: uint8 (H, W, 3) RGB; the target anywhere in it, some 5 to 60 per cent of its width.
    """
    corners = find_square(pixels)
    if corners is None:
        return None
    light = (cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float64) / 255) ** _GAMMA
    found = [
        value
        for index in range(4)
        if (value := _mtf50(light, corners[index].astype(float), corners[(index + 1) % 4].astype(float))) is not None
    ]
    return Sharpness(float(np.median(found)), len(found), corners) if found else None


def _is_target(grey: NDArray[np.uint8], corners: NDArray[np.float32], size: float) -> bool:
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    if not cv2.isContourConvex(corners) or sides.max() > _MOST_ASKEW * sides.min() or sides.min() < _LEAST_SIDE_PX:
        return False
    # A square that is full: letters and frames are not.
    if size < 0.85 * cv2.contourArea(corners):
        return False
    middle = corners.mean(axis=0)
    inside = _mean_at(grey, middle + (corners - middle) * 0.5)
    around = _mean_at(grey, middle + (corners - middle) * 1.25)
    return around - inside >= _LEAST_CONTRAST


def _mean_at(grey: NDArray[np.uint8], places: NDArray[np.float32]) -> float:
    height, width = grey.shape
    x = np.clip(np.rint(places[:, 0]).astype(int), 0, width - 1)
    y = np.clip(np.rint(places[:, 1]).astype(int), 0, height - 1)
    return float(grey[y, x].mean())


def _mtf50(light: NDArray[np.float64], begin: NDArray[np.float64], end: NDArray[np.float64]) -> float | None:
    """Return the MTF50 across the edge between two corners, None where it cannot be measured."""
    length = float(np.linalg.norm(end - begin))
    along = (end - begin) / length
    across = np.array([-along[1], along[0]])
    half = min(40.0, max(8.0, 0.3 * length))
    distance, level, place = _near(light, begin, along, across, length=length, half=half)
    if len(level) < 200:
        return None
    distance = distance - _edge_line(distance, level, place)
    return _mtf50_of(distance, level, half=half - 2)


def _near(
    light: NDArray[np.float64],
    begin: NDArray[np.float64],
    along: NDArray[np.float64],
    across: NDArray[np.float64],
    *,
    length: float,
    half: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return of the pixels beside the middle of a side: distance from it, light, and place along it."""
    height, width = light.shape
    ends = np.array([begin + along * t * length + across * s for t in (0.2, 0.8) for s in (-half, half)])
    left, top = np.maximum(np.floor(ends.min(axis=0)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(ends.max(axis=0)).astype(int) + 1, (width, height))
    y, x = np.mgrid[top:bottom, left:right]
    place = (x - begin[0]) * along[0] + (y - begin[1]) * along[1]
    distance = (x - begin[0]) * across[0] + (y - begin[1]) * across[1]
    is_near = (np.abs(distance) <= half) & (place >= 0.2 * length) & (place <= 0.8 * length)
    return distance[is_near], light[top:bottom, left:right][is_near], place[is_near]


def _edge_line(
    distance: NDArray[np.float64], level: NDArray[np.float64], place: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return where the edge really is beside the line between the corners, for each place: a straight line through its crossings."""
    low, high = np.percentile(level, (5, 95))
    strips = np.linspace(place.min(), place.max(), 9)
    centres, crossings = [], []
    for first, last in pairwise(strips):
        strip = (place >= first) & (place < last)
        if strip.sum() < 10:
            continue
        # The dark part's width beside the line, whatever the blur: the mean of what is lit moves with the edge.
        order = np.argsort(distance[strip])
        d, v = distance[strip][order], np.clip((level[strip][order] - low) / max(high - low, 1e-6), 0, 1)
        lit = float(((v[1:] + v[:-1]) / 2 * np.diff(d)).sum())
        rises = v[len(v) // 2 :].mean() > v[: len(v) // 2].mean()
        crossings.append(d[-1] - lit if rises else d[0] + lit)
        centres.append((first + last) / 2)
    if len(centres) < 3:
        return np.zeros_like(place)
    slope, offset = np.polyfit(centres, crossings, 1)
    return np.asarray(slope * place + offset)


def _mtf50_of(distance: NDArray[np.float64], level: NDArray[np.float64], *, half: float) -> float | None:
    """Return the MTF50 of an edge from light against distance from it."""
    edges = np.arange(-half, half + _BIN_PX, _BIN_PX)
    which = np.digitize(distance, edges) - 1
    is_in = (which >= 0) & (which < len(edges) - 1)
    count = np.bincount(which[is_in], minlength=len(edges) - 1)
    if (count == 0).mean() > 0.5:
        return None
    total = np.bincount(which[is_in], weights=level[is_in], minlength=len(edges) - 1)
    middles = (edges[:-1] + edges[1:]) / 2
    profile = np.interp(middles, middles[count > 0], total[count > 0] / count[count > 0])
    slope = np.diff(profile)
    # A window about the edge keeps noise far from it out, and is wide against any blur that passes.
    slope = slope * np.hanning(len(slope))
    spectrum = np.abs(np.fft.rfft(slope, 8 * len(slope)))
    if spectrum[0] <= 1e-9:
        return None
    frequency = np.fft.rfftfreq(8 * len(slope), _BIN_PX)
    # The difference of neighbours is no derivative at high frequencies: what it takes is given back.
    contrast = spectrum / spectrum[0] / np.maximum(np.sinc(frequency * _BIN_PX), 0.1)
    below = np.flatnonzero(contrast < 0.5)
    if not below.size or below[0] == 0:
        return None
    after = int(below[0])
    before = after - 1
    share = (contrast[before] - 0.5) / (contrast[before] - contrast[after])
    return float(frequency[before] + share * (frequency[after] - frequency[before]))
