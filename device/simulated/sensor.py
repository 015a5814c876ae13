"""The sensor of the simulated camera: exposure, gain, white balance, noise and the tone curve, as a camera of the Pi has them.

Left alone, exposure and white balance follow what is seen. Locked, they stay, and a commanded exposure is in force `DELAY` frames
later, as with real sensors, whose registers are written while earlier frames are still on their way.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from device.simulated.scene import Linear, RingState, View, mix, moved, skin
from device.vision.frame import Pixels

SENSOR_ID = "simulated-imx708"
DELAY = 2
"""Frames until a commanded exposure is in force. Source: libcamera, `CamHelper` of the imx708, exposure delay 2."""

_UNIT_US = 10_000.0
"""Exposure time at which light 1 just fills the sensor."""
_AUTO_LONGEST_US = 33_000.0
"""The automatic control amplifies rather than expose for longer than this: 30 frames/s must remain possible."""
_LONGEST_US = 50_000.0
"""A frame at 20 frames/s."""
_LINE_US = 18.0
"""Exposure comes in whole lines of the sensor."""
_MOST_GAIN = 16.0
_AUTO_TARGET = 0.17
"""Mean light, weighted to the middle, that the automatic control aims at: grey of 18 per cent reflectance."""
_AUTO_STEP = 0.3
"""Part of the difference, in stops, that is taken back with each frame."""
_SETTLE_FRAMES = 20
"""A second (`device.ports.Camera.lock_exposure`)."""
_BALANCE_STEP = 0.1
_BALANCE_PART = 0.6
"""How much of a colour cast is taken out; a camera leaves the evening warm."""
_FULL_WELL_E = 12_000.0
"""Electrons of a pixel of the reduced picture at full scale and gain 1: some 1.4 um pixels binned."""
_NOISE_PIXELS = 96
"""The pool of noise is so much larger than a picture; each frame takes it from another corner."""
_KEPT = 24
"""Mixed pictures kept: a resting face comes again."""
_TONE = 1 / 2.2
_BLOOD = (0.35, 1.0, 0.6)
"""The pulse's share of red and blue against green. Source: Verkruysse et al., Remote plethysmographic imaging using ambient light,
Optics Express 16, 2008: green is strongest, then blue, then red."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a frame is taken with."""

    time_us: float
    gain: float


@dataclass(frozen=True, slots=True, eq=False)
class Exposed:
    """A frame as it leaves the sensor."""

    pixels: Pixels
    exposure: Exposure


@dataclass(frozen=True, slots=True, eq=False)
class _Blushing:
    """Where the pulse shows."""

    top: int
    left: int
    strength: NDArray[np.float32]
    """Float32 (h, w, 3)."""


class Sensor:
    """Turns views into pictures, one frame after another. The same seed and views give the same pictures."""

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._auto = Exposure(_UNIT_US, 1.0)
        self._locked: Exposure | None = None
        self._released: Exposure | None = None
        self._free_frames = 0
        self._wanted = self._auto
        self._coming = deque([self._auto] * DELAY)
        self._balance = np.ones(3)
        self._roots: OrderedDict[Hashable, Linear] = OrderedDict()
        self._blushing: OrderedDict[Hashable, _Blushing | None] = OrderedDict()

    def lock(self, factor: float) -> None:
        """Hold exposure and white balance as they were when first locked, with a factor on the exposure time; see `device.ports.Camera`."""
        if self._locked is None:
            is_settling = self._free_frames < _SETTLE_FRAMES
            self._locked = self._released if self._released is not None and is_settling else self._coming[0]
        wanted_us = min(self._locked.time_us * factor, _LONGEST_US)
        self._wanted = replace(self._locked, time_us=max(_LINE_US, round(wanted_us / _LINE_US) * _LINE_US))

    def release(self) -> None:
        """Follow the light again."""
        if self._locked is not None:
            self._released, self._free_frames = self._locked, 0
        self._locked = None

    def factor_of(self, exposure: Exposure) -> float:
        """Return the factor on the locked exposure; 1 while the control is automatic."""
        return exposure.time_us / self._locked.time_us if self._locked is not None else 1.0

    def idle(self) -> Exposure:
        """Let a frame pass that nobody looks at; return what it was taken with."""
        self._free_frames += 1
        self._coming.append(self._wanted)
        return self._coming.popleft()

    def expose(self, view: View, ring: RingState) -> Exposed:
        """Take the next frame."""
        self._free_frames += 1
        self._coming.append(self._wanted)
        exposure = self._coming.popleft()
        root = self._root(view, ring)
        amount = np.sqrt(exposure.time_us / _UNIT_US * exposure.gain)
        pixels = self._developed(root, float(amount), exposure.gain)
        if view.blood:
            self._blush(pixels, root, view, float(amount), exposure.gain)
        pixels = np.asarray(cv2.LUT(pixels, self._tones()), np.uint8)
        if self._locked is None:
            self._follow(root)
        return Exposed(pixels, exposure)

    def _root(self, view: View, ring: RingState) -> Linear:
        """Return the square root of the light at the lens: in it shot noise is the same everywhere."""
        key = (view.key, ring)
        root = self._roots.get(key)
        if root is None:
            root = np.asarray(cv2.sqrt(mix(view, ring)), np.float32)
            root = moved(root, view.place)
            self._roots[key] = root
            if len(self._roots) > _KEPT:
                self._roots.popitem(last=False)
        else:
            self._roots.move_to_end(key)
        return moved(root, view.tremor)

    def _developed(self, root: Linear, amount: float, gain: float) -> Pixels:
        """Return uint8 square-root codes with noise. Shot noise of N electrons is 1/2 of one in the root of N (Anscombe, 1948)."""
        height, width = root.shape[:2]
        pool = _noise(max(height, 480) + _NOISE_PIXELS, max(width, 640) + _NOISE_PIXELS)
        y, x = self._random.integers(0, _NOISE_PIXELS, 2)
        sigma = 255 * 0.5 * np.sqrt(gain / _FULL_WELL_E)
        noise = pool[y : y + height, x : x + width]
        return np.asarray(cv2.addWeighted(root, 255 * amount, noise, float(sigma), 0, dtype=cv2.CV_8U), np.uint8)

    def _blush(self, pixels: Pixels, root: Linear, view: View, amount: float, gain: float) -> None:
        if view.key not in self._blushing:
            self._blushing[view.key] = _blushing(view)
            if len(self._blushing) > 4 * _KEPT:
                self._blushing.popitem(last=False)
        where = self._blushing[view.key]
        if where is None:
            return
        height, width = where.strength.shape[:2]
        area = np.s_[where.top : where.top + height, where.left : where.left + width]
        # The root of 1 + x is 1 + x / 2 for a change this small.
        changed = root[area] * (1 + where.strength * np.float32(view.blood / 2))
        pixels[area] = self._developed(changed, amount, gain)

    def _tones(self) -> Pixels:
        """Return the table from square-root codes to codes, uint8 (1, 256, 3), with the white balance in it."""
        light = (np.arange(256)[:, None] / 255) ** 2 * self._balance
        return np.asarray(np.round(255 * np.minimum(light, 1) ** _TONE), np.uint8).reshape(1, 256, 3)

    def _follow(self, root: Linear) -> None:
        light = root[::16, ::16].astype(np.float64) ** 2
        mean = (light * _weights(*light.shape[:2])[..., None]).sum((0, 1)) + 1e-6
        cast = mean[1] / mean
        self._balance += _BALANCE_STEP * (np.clip(cast, 0.4, 2.5) ** _BALANCE_PART - self._balance)
        wanted = _AUTO_TARGET / float(mean.mean()) * _UNIT_US
        now = self._wanted.time_us * self._wanted.gain
        total = now * (wanted / now) ** _AUTO_STEP
        time_us = max(_LINE_US, round(min(total, _AUTO_LONGEST_US) / _LINE_US) * _LINE_US)
        self._auto = Exposure(time_us, min(max(total / time_us, 1.0), _MOST_GAIN))
        self._wanted = self._auto


def _blushing(view: View) -> _Blushing | None:
    strength = moved(skin(view.layers), view.place)
    rows, columns = np.flatnonzero(strength.max(1) > 0.05), np.flatnonzero(strength.max(0) > 0.05)
    if not len(rows) or not len(columns):
        return None
    top, left = int(rows[0]), int(columns[0])
    inside = strength[top : rows[-1] + 1, left : columns[-1] + 1, None]
    return _Blushing(top, left, np.ascontiguousarray(inside * np.array(_BLOOD, np.float32)))


@lru_cache(maxsize=2)
def _noise(height: int, width: int) -> Linear:
    return np.random.default_rng(height * width).standard_normal((height, width, 3), np.float32)


@lru_cache(maxsize=4)
def _weights(height: int, width: int) -> NDArray[np.float64]:
    """Return the weights of the light meter, which looks at the middle most; their sum is 1."""
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    weights = np.exp(-2 * (x**2 + y**2))
    return np.asarray(weights / weights.sum())
