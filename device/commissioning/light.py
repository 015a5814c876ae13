"""What pictures of a seated person tell of the room's light and of the ring light: numbers for `judging`, in light and not in codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from device.vision.frame import Pixels
from device.vision.geometry import Box

_GAMMA: Final = 2.2
_DARK, _WHITE = 25, 247
"""Codes at or beyond which a pixel tells nothing. Source: as `device.vision.quality` (OFIQ's ranges of luma)."""
_FLAT_RECEPTOR: Final = 250.0
"""Incident light times exposure time times speed over the square of the f-number, lx s: a constant that is commonly given for light meters
(ISO 2720 has 240 to 400); the standard was not opened."""
_APERTURE: Final = 1.8
"""f-number of Camera Module 3; other lenses make the estimate wrong by the square of theirs over this one's."""
_BASE_SPEED: Final = 100.0
"""ISO speed at gain 1, assumed; the sensors' makers give none."""
_SKIN: Final = 0.35
"""Reflectance of a face, between light and dark skin; it moves the estimate by a stop either way."""


@dataclass(frozen=True, slots=True)
class RoomLight:
    """The room's light on a face and around it."""

    black_share: float
    """Of the face's pixels, 0..1."""
    white_share: float
    white_around: float
    """Of the pixels around the face, 0..1."""
    backlight: float
    """Mean light around the face over that on it; 1 is even."""
    lux: float | None
    """On the face, a rough estimate (a stop either way); None where the frames say no exposure."""


@dataclass(frozen=True, slots=True)
class HalfLight:
    """What one half of the ring adds to a face."""

    gain: float
    """Light added, over what the room gives."""
    side: float
    """Of the light added, the part more on the right of the picture, which is the subject's left: -1..1."""


def room_light(
    pixels: Pixels, face: Box, *, exposure_us: float | None = None, analogue_gain: float | None = None
) -> RoomLight:
    """Measure a picture of somebody who sits where people will sit, with the ring dark.

    Args:
        pixels: uint8 (H, W, 3) RGB.
        face: the face's box, pixels.
        exposure_us: exposure time of the picture.
        analogue_gain: its amplification, 1 = none.
    """
    luma = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    inside = _inside(luma.shape, _scaled(face, 0.8))
    around = ~_inside(luma.shape, _scaled(face, 1.6))
    light = _light(luma)
    on_face = max(float(light[inside].mean()), 1e-6)
    lux = None
    if exposure_us and analogue_gain:
        speed = _BASE_SPEED * analogue_gain
        lux = _FLAT_RECEPTOR * _APERTURE**2 / (exposure_us / 1e6 * speed) * on_face / _SKIN
    return RoomLight(
        black_share=float((luma[inside] <= _DARK).mean()),
        white_share=float((luma[inside] >= _WHITE).mean()),
        white_around=float((luma[around] >= _WHITE).mean()) if around.any() else 0.0,
        backlight=float(light[around].mean()) / on_face if around.any() else 1.0,
        lux=lux,
    )


def half_light(dark: Sequence[Pixels], lit: Sequence[Pixels], face: Box) -> HalfLight:
    """Measure one half of the ring by pictures under one held exposure.

    Args:
        dark: uint8 (H, W, 3) RGB, with the ring dark.
        lit: with this half alone.
        face: the face's box, pixels.
    """
    before, after = (_light(_mean_luma(pictures)) for pictures in (dark, lit))
    x_min, _, x_max, _ = face
    middle = (x_min + x_max) / 2
    inside = _inside(before.shape, _scaled(face, 0.8))
    columns = np.broadcast_to(np.arange(before.shape[1]), before.shape)
    gains = [
        float((after - before)[part].mean()) / max(float(before[part].mean()), 1e-6)
        for part in (inside & (columns < middle), inside & (columns >= middle))
    ]
    room = max(float(before[inside].mean()), 1e-6)
    total = sum(max(gain, 0.0) for gain in gains)
    side = (max(gains[1], 0.0) - max(gains[0], 0.0)) / total if total > 0 else 0.0
    return HalfLight(float((after - before)[inside].mean()) / room, side)


def _mean_luma(pictures: Sequence[Pixels]) -> NDArray[np.float64]:
    return np.asarray(np.mean([cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in pictures], axis=0), np.float64)


def _light(luma: NDArray[np.uint8] | NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((luma.astype(np.float64) / 255) ** _GAMMA)


def _scaled(box: Box, factor: float) -> Box:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half_x, half_y = (box[2] - box[0]) / 2 * factor, (box[3] - box[1]) / 2 * factor
    return x - half_x, y - half_y, x + half_x, y + half_y


def _inside(shape: tuple[int, ...], box: Box) -> NDArray[np.bool_]:
    inside = np.zeros(shape, bool)
    inside[max(0, int(box[1])) : max(0, int(box[3])), max(0, int(box[0])) : max(0, int(box[2]))] = True
    return inside
