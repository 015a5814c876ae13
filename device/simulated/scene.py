"""What is in front of the simulated camera: pictures by lamp, added in linear light.

Light is additive. A person, a print or a screen is rendered once under each lamp, and any state of the lamps is a sum of these
layers (Debevec et al., Acquiring the reflectance field of a human face, SIGGRAPH 2000). A screen adds its own glow.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from device.vision.frame import Pixels

Linear = NDArray[np.float32]
"""float32 (H, W, 3), RGB, linear in light; 1 is what a sensor at exposure 1 just does not clip."""

LAYER_GAMMA = 2.2
"""A layer's code is 255 * (linear / scale) ** (1 / 2.2)."""
_LINEAR = (np.arange(256, dtype=np.float64) / 255) ** LAYER_GAMMA
_REFLECTS_LEAST = 0.25
"""Of the lamp's gain on the nearest thing, the part from which on something is near and no background."""
_BESIDE = 0.26
"""Part of the picture's width that somebody beside the subject takes."""
_BESIDE_SIZE = 0.8
"""Their size against the subject's: they stand half a step back."""


@dataclass(frozen=True, slots=True)
class RingState:
    """Brightness of the two halves of the ring, 0..1; left and right are the subject's own."""

    left: float = 0.0
    right: float = 0.0


DARK = RingState()


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """One moment, by lamp."""

    ambient: Pixels
    left: Pixels
    right: Pixels
    scale: tuple[float, float, float]
    """Linear light of code 255, of ambient, left and right."""


@dataclass(frozen=True, slots=True)
class Room:
    """How the room differs from the one that was rendered; all are factors on its light."""

    light: float = 1.0
    """0.1 is a hut with a small window, 5 the shade at noon; the ring's light stays as it is."""
    back_light: float = 0.0
    """How much more light is behind the person than on the face; 0 is none."""
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Colour of the light, RGB."""


@dataclass(frozen=True, slots=True, eq=False)
class Glow:
    """Light that something gives off by itself."""

    light: Linear
    top: int
    left: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the picture the scene is, against where it was rendered."""

    zoom: float = 1.0
    """Below 1 is further away."""
    right_px: int = 0
    down_px: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the lens sees at one moment."""

    key: Hashable
    """The same key means the same layers, glow, room and place; tremor and pulse may differ."""
    layers: Layers
    room: Room = field(default_factory=Room)
    glow: Glow | None = None
    place: Place = field(default_factory=Place)
    tremor: Place = field(default_factory=Place)
    """Where it is at this moment, against its place."""
    blood: float = 0.0
    """Relative change of green in the skin by the pulse, at this moment."""


def mix(view: View, ring: RingState) -> Linear:
    """Return the light that reaches the lens."""
    layers, room = view.layers, view.room
    total = _lit(layers.ambient, layers.scale[0] * room.light, room.tint)
    if room.back_light:
        total *= 1 + room.back_light * (1 - nearness(layers))[..., None]
    for codes, scale, brightness in (
        (layers.left, layers.scale[1], ring.left),
        (layers.right, layers.scale[2], ring.right),
    ):
        if brightness > 0:
            cv2.add(total, _lit(codes, scale * brightness), dst=total)
    if view.glow is not None:
        height, width = view.glow.light.shape[:2]
        total[view.glow.top : view.glow.top + height, view.glow.left : view.glow.left + width] += view.glow.light
    return total


def beside(layers: Layers, other: Layers) -> Layers:
    """Return the scene with somebody else of another one at its right side, smaller and further back.

    The seam is a straight line: walls differ, faces are whole.
    """
    height, width = layers.ambient.shape[:2]
    wide = round(width * _BESIDE)
    taken = round(wide / _BESIDE_SIZE)
    begin = (width - taken) // 2

    def join(own: Pixels, theirs: Pixels, factor: float) -> Pixels:
        table = np.minimum(np.arange(256) * factor ** (1 / LAYER_GAMMA), 255).astype(np.uint8)
        strip = cv2.resize(
            theirs[:, begin : begin + taken], (wide, round(height * _BESIDE_SIZE)), interpolation=cv2.INTER_AREA
        )
        joined = own.copy()
        joined[height - strip.shape[0] :, width - wide :] = cv2.LUT(strip, table)
        return joined

    ambient, left, right = (
        join(own, theirs, theirs_scale / own_scale)
        for own, theirs, own_scale, theirs_scale in zip(
            (layers.ambient, layers.left, layers.right),
            (other.ambient, other.left, other.right),
            layers.scale,
            other.scale,
            strict=True,
        )
    )
    return Layers(ambient, left, right, layers.scale)


def nearness(layers: Layers) -> NDArray[np.float32]:
    """Return float32 (H, W), 0..1: 1 where something near the lamp is, 0 for the background; soft at the edges.

    Light falls off with the square of the distance, so what the lamp brightens little compared with the room's light is far away.
    """
    small = [
        _lit(codes[::4, ::4], scale)
        for codes, scale in zip((layers.ambient, layers.left, layers.right), layers.scale, strict=True)
    ]
    room, lamp = small[0].mean(2), (small[1] + small[2]).mean(2)
    gain = cv2.GaussianBlur(lamp, (0, 0), 2.0) / (cv2.GaussianBlur(room, (0, 0), 2.0) + 1e-4)
    most = float(np.percentile(gain, 95))
    near = np.clip((gain / max(most, 1e-6) - _REFLECTS_LEAST / 2) / (_REFLECTS_LEAST / 2), 0, 1).astype(np.float32)
    return np.asarray(cv2.resize(near, layers.ambient.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def skin(layers: Layers) -> NDArray[np.float32]:
    """Return float32 (H, W), 0..1: where skin is, soft at the edges.

    Near, and with more red than green and more green than blue, as every human skin is. Source of the ratios: Kovac et al., Human skin
    colour clustering for face detection, EUROCON 2003, widened for the light of rooms.
    """
    red, green, blue = (channel.astype(np.float32) for channel in cv2.split(layers.ambient))
    is_skin = (red > 1.05 * green) & (green > 0.95 * blue) & (red > 40) & (red < 2.2 * green)
    mask = cv2.blur(is_skin.astype(np.float32), (9, 9))
    return np.asarray(mask * (mask > 0.5) * nearness(layers), np.float32)


Picture = TypeVar("Picture", Pixels, Linear)


def moved(pixels: Picture, place: Place) -> Picture:
    """Return the picture with the scene at its place; what comes into the picture continues its border."""
    if place == Place():
        return pixels
    height, width = pixels.shape[:2]
    if place.zoom == 1.0:
        return _shifted(pixels, place.right_px, place.down_px)
    matrix = np.array(
        [
            [place.zoom, 0, (1 - place.zoom) * width / 2 + place.right_px],
            [0, place.zoom, (1 - place.zoom) * height / 2 + place.down_px],
        ],
        np.float32,
    )
    interpolation = cv2.INTER_AREA if place.zoom < 1 else cv2.INTER_LINEAR
    return np.asarray(
        cv2.warpAffine(pixels, matrix, (width, height), flags=interpolation, borderMode=cv2.BORDER_REPLICATE),
        pixels.dtype,
    )


def _shifted(pixels: Picture, right: int, down: int) -> Picture:
    height, width = pixels.shape[:2]
    x, y = max(0, -right), max(0, -down)
    inside = pixels[y : height - max(0, down), x : width - max(0, right)]
    top, left = max(0, down), max(0, right)
    return np.asarray(cv2.copyMakeBorder(inside, top, y, left, x, cv2.BORDER_REPLICATE), pixels.dtype)


def _lit(codes: Pixels, scale: float, tint: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Linear:
    """Return the light of a layer at a scale; a white one takes half the time."""
    if tint == (1.0, 1.0, 1.0):
        return np.asarray(cv2.LUT(codes, (_LINEAR * scale).astype(np.float32)), np.float32)
    table = (_LINEAR[:, None] * np.array(tint) * scale).astype(np.float32)
    return np.asarray(cv2.LUT(codes, table.reshape(1, 256, 3)), np.float32)
