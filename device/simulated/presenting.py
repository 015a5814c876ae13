"""Actors made of layered clips: people and sheets under the lamp, screens that show recordings, files fed in place of the sensor.

An actor gives what is seen at a moment as a `View`, which the simulated camera's sensor takes a picture of, or as a picture that never
was at a sensor (`Injected`), or says that the sensor gave nothing new (`Stuck`).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np

from device.simulated.layered import LayeredClip, Screen
from device.simulated.performers import Performer
from device.simulated.scene import DARK, LAYER_GAMMA, Glow, Layers, Linear, Place, RingState, Room, View, beside, skin
from device.simulated.sensor import Sensor
from device.vision.frame import Pixels

_SETTLE_FRAMES = 25
"""Frames that a camera needs until its exposure has settled."""
_GRID_CONTRAST = 0.06
"""Of the dark between a display's pixels, what is left after the lens: an assumption, no lens was measured."""
_SURELY_SKIN = 0.5
_KEPT = 40


class Says(StrEnum):
    """What a forged frame claims about its exposure."""

    NOTHING = "nothing"
    OBEYS = "obeys"
    """Everything that the true sensor says, at the same moment."""
    STUCK = "stuck"
    """What the last true frame said."""


@dataclass(frozen=True, slots=True, eq=False)
class Injected:
    """A picture that is fed in behind the sensor."""

    pixels: Pixels
    says: Says
    follows_exposure: bool = False
    """Whether it is made brighter and darker by calculation as the terminal commands."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """The frame before, once more, bit by bit."""

    says: Says


Seen = Pixels | View | Injected | Stuck


@dataclass(frozen=True, slots=True)
class Pulse:
    """The blood-volume pulse in a face."""

    rate_bpm: float
    amplitude: float
    """Relative change of green, peak. Source: some 0.5 to 1 % in faces (Verkruysse et al., 2008; Wang et al., Algorithmic principles of
    remote PPG, IEEE TBME 64, 2017)."""

    def at(self, at_s: float) -> float:
        """Return the relative change at a moment; the rate breathes, as in every healthy person."""
        phase = 2 * math.pi * self.rate_bpm / 60 * at_s + 0.3 * math.sin(2 * math.pi * 0.25 * at_s)
        return self.amplitude * (0.8 * math.sin(phase) + 0.2 * math.sin(2 * phase + 0.9))


@dataclass(frozen=True, slots=True)
class Tremor:
    """A hand that holds something: slow sway and 8 to 12 Hz tremor (here what frames can show of it), in pixels."""

    amplitude_px: float
    phase: float = 0.0

    def at(self, at_s: float) -> Place:
        """Return where the thing is at a moment."""
        right = math.sin(2.1 * at_s + self.phase) + 0.5 * math.sin(7.3 * at_s + 2 * self.phase)
        down = math.sin(1.7 * at_s + 3 * self.phase) + 0.5 * math.sin(8.9 * at_s + self.phase)
        return Place(1.0, round(self.amplitude_px * right), round(self.amplitude_px * down))


_STEADY = Tremor(0.0)


class Present:
    """A person, or a sheet with one on it, before the camera."""

    def __init__(
        self,
        clip: LayeredClip,
        performer: Performer,
        *,
        room: Room | None = None,
        place: Place | None = None,
        pulse: Pulse | None = None,
        tremor: Tremor = _STEADY,
        helper: Layers | None = None,
    ) -> None:
        """Prepare.

        Args:
            clip: the person or sheet.
            performer: what they do.
            room: the room.
            place: where they are.
            pulse: of living people.
            tremor: of the hand that holds a sheet.
            helper: somebody who stands beside them, at rest.
        """
        self._clip = clip
        self._helper = helper
        self._performer = performer
        self._room = room or Room()
        self._place = place or Place()
        self._pulse = pulse
        self._tremor = tremor

    @property
    def rate(self) -> float:
        """Frames per second of the camera."""
        return self._clip.description.shown_rate

    def picture(self, at_s: float) -> View:
        """Return what is seen."""
        index = self._performer.index(at_s)
        layers = self._clip.moments[index]
        return View(
            key=(self._clip.name, index, self._room, self._place),
            layers=layers if self._helper is None else beside(layers, self._helper),
            room=self._room,
            place=self._place,
            tremor=self._tremor.at(at_s),
            blood=self._pulse.at(at_s) if self._pulse else 0.0,
        )

    def is_acting(self, at_s: float) -> bool:
        """Return whether a movement is under way."""
        return self._performer.is_acting(at_s)

    def hear(self, line: str, at_s: float) -> None:
        """Hear a line of the terminal."""
        self._performer.hear(line, at_s)


class StandIn:
    """One who rests, and another who comes for every action, at the same place."""

    def __init__(self, rests: Present, acts: Present) -> None:
        self._rests = rests
        self._acts = acts

    @property
    def rate(self) -> float:
        """Frames per second of the camera."""
        return self._rests.rate

    def picture(self, at_s: float) -> View:
        """Return whoever is there."""
        return (self._acts if self._acts.is_acting(at_s) else self._rests).picture(at_s)

    def hear(self, line: str, at_s: float) -> None:
        """Only the one who acts listens."""
        self._acts.hear(line, at_s)


class Filming:
    """What a camera of somebody else's saw of a person: the content of screens and of injected files."""

    def __init__(
        self,
        scene: Present,
        *,
        ring: Callable[[float], RingState] = lambda _: DARK,
        seed: int = 0,
        is_clean: bool = False,
    ) -> None:
        """Prepare.

        Args:
            scene: what was filmed.
            ring: the light that a ring gave during the recording, by its time in seconds.
            seed: of the sensor's noise.
            is_clean: whether noise is the same in like pictures, as compression leaves it; saves time.
        """
        self._scene = scene
        self._ring = ring
        self._sensor = Sensor(seed)
        for _ in range(_SETTLE_FRAMES):
            self._sensor.expose(scene.picture(0.0), ring(0.0))
        self._sensor.lock(1.0)
        self._is_clean = is_clean
        self._kept: OrderedDict[Hashable, Pixels] = OrderedDict()

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self._scene.rate

    def frame(self, at_s: float) -> tuple[Hashable, Pixels]:
        """Return the frame of a moment and a key; the same key means a like frame."""
        view, ring = self._scene.picture(at_s), self._ring(at_s)
        key = (view.key, ring)
        if self._is_clean and key in self._kept:
            return key, self._kept[key]
        pixels = self._sensor.expose(view, ring).pixels
        if self._is_clean:
            self._kept[key] = pixels
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return key, pixels

    def centre(self) -> tuple[float, float]:
        """Return where the face is, x and y in pixels; the middle of the picture where no skin is seen."""
        height, width = self._scene.picture(0.0).layers.ambient.shape[:2]
        rows, columns = np.nonzero(skin(self._scene.picture(0.0).layers) > _SURELY_SKIN)
        return (float(columns.mean()), float(rows.mean())) if len(rows) else (width / 2, height / 2)

    def hear(self, line: str, at_s: float) -> None:
        """Pass a line on to whoever is filmed: a puppet answers."""
        self._scene.hear(line, at_s)


class OnScreen:
    """A display before the camera that shows what was filmed."""

    def __init__(
        self,
        screen: Screen,
        content: Filming,
        *,
        crop: float = 1.0,
        brightness: float = 1.0,
        room: Room | None = None,
        tremor: Tremor = _STEADY,
    ) -> None:
        """Prepare.

        Args:
            screen: the display.
            content: what it shows.
            crop: the part of the filmed picture's height that is shown; smaller shows the face larger.
            brightness: of the display, 1 = full.
            room: the room before the camera.
            tremor: of the hand that holds it.
        """
        self._screen = screen
        self._content = content
        self._crop = crop
        self._brightness = brightness
        self._room = room or Room()
        self._tremor = tremor
        self._projection: _Projection | None = None

    @property
    def rate(self) -> float:
        """Frames per second of the camera."""
        return self._content.rate

    def picture(self, at_s: float) -> View:
        """Return the display with what it shows now."""
        key, pixels = self._content.frame(at_s)
        if self._projection is None:
            shown = _Shown(pixels.shape[1], pixels.shape[0], self._content.centre(), self._crop)
            self._projection = _Projection(self._screen, shown, self._brightness)
        return View(
            key=(self._screen.name, self._crop, self._brightness, self._room, key),
            layers=self._screen.layers,
            room=self._room,
            glow=self._projection.glow(pixels),
            tremor=self._tremor.at(at_s),
        )

    def hear(self, line: str, at_s: float) -> None:
        """Pass a line on to whoever is filmed."""
        self._content.hear(line, at_s)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What of a film is shown."""

    width: int
    height: int
    centre: tuple[float, float]
    crop: float


class _Projection:
    """From a filmed picture to the light of a display in the camera's picture."""

    def __init__(self, screen: Screen, filmed: _Shown, brightness: float) -> None:
        description = screen.description
        quad = np.array(description.quad, np.float32)
        height, width = screen.layers.ambient.shape[:2]
        self._left, self._top = (int(value) for value in np.floor(np.maximum(quad.min(0), 0)))
        right, bottom = (int(value) for value in np.ceil(np.minimum(quad.max(0) + 1, (width, height))))
        self._size = (right - self._left, bottom - self._top)
        across = (np.linalg.norm(quad[1] - quad[0]) + np.linalg.norm(quad[2] - quad[3])) / 2
        down = (np.linalg.norm(quad[3] - quad[0]) + np.linalg.norm(quad[2] - quad[1])) / 2
        tall = min(filmed.height * filmed.crop, filmed.width * filmed.crop * float(down / across))
        wide = tall * float(across / down)
        # The face is in the middle, as far as the film reaches.
        x = min(max(filmed.centre[0] - wide / 2, 0.0), filmed.width - wide)
        y = min(max(filmed.centre[1] - tall / 2, 0.0), filmed.height - tall)
        shown = np.array([[x, y], [x + wide, y], [x + wide, y + tall], [x, y + tall]], np.float32)
        self._matrix = cv2.getPerspectiveTransform(shown, quad - np.array([self._left, self._top], np.float32))
        levels = (np.arange(256) / 255) ** LAYER_GAMMA * description.emission * brightness
        self._levels = levels.astype(np.float32)
        self._grid = self._pattern(wide, tall, description.pixel_grid, x, y)

    def glow(self, pixels: Pixels) -> Glow:
        """Return the light that the display gives when it shows a picture."""
        shown = cv2.warpPerspective(
            pixels, self._matrix, self._size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_CONSTANT
        )
        return Glow(
            np.asarray(cv2.multiply(cv2.LUT(shown, self._levels), self._grid), np.float32), self._top, self._left
        )

    def _pattern(self, wide: float, tall: float, pixels: float, x: float, y: float) -> Linear:
        """Return the display's pixels as the camera samples them, mean 1: where they do not fit its own, bands appear."""
        columns, rows = np.meshgrid(
            np.arange(self._size[0], dtype=np.float64), np.arange(self._size[1], dtype=np.float64)
        )
        back = np.linalg.inv(self._matrix)
        points = np.stack([columns, rows, np.ones_like(columns)], -1) @ back.T
        across = (points[..., 0] / points[..., 2] - x) / wide * pixels
        down = (points[..., 1] / points[..., 2] - y) / tall * pixels * tall / wide
        bands = np.cos(2 * np.pi * across) + np.cos(2 * np.pi * down)
        pattern = (1 + _GRID_CONTRAST * bands / 2).astype(np.float32)
        return np.repeat(pattern[..., None], 3, axis=2)


class Injection:
    """A file fed to the terminal in place of the sensor's frames."""

    def __init__(self, content: Filming, *, says: Says, follows_exposure: bool = False) -> None:
        self._content = content
        self._says = says
        self._follows_exposure = follows_exposure

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self._content.rate

    def picture(self, at_s: float) -> Injected:
        """Return the file's picture of this moment."""
        return Injected(self._content.frame(at_s)[1], self._says, self._follows_exposure)

    def hear(self, line: str, at_s: float) -> None:
        """Pass a line on to whoever is filmed."""
        self._content.hear(line, at_s)


class Frozen:
    """A living person for a while; from then on the sensor's last frame comes again and again."""

    def __init__(self, scene: Present, *, after_s: float, says: Says) -> None:
        self._scene = scene
        self._after_s = after_s
        self._says = says

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self._scene.rate

    def picture(self, at_s: float) -> View | Stuck:
        """Return the person, then nothing new."""
        return self._scene.picture(at_s) if at_s < self._after_s else Stuck(self._says)

    def hear(self, line: str, at_s: float) -> None:
        """Let the person hear."""
        self._scene.hear(line, at_s)
