"""Faces made of numbers: a head with a nose and its landmarks, its picture under the two halves of the ring, and signals frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from device.vision.evidence.actions import ActionDetector, ActionReport, Motion
from device.vision.evidence.face_patch import PATCH_HEIGHT, PATCH_SCALE, PATCH_WIDTH
from device.vision.landmarks import LEFT_EYE, RIGHT_EYE, FaceLandmarks

Array = NDArray[np.float64]
Signals = dict[str, float | None]
EYE_RIGHT, EYE_LEFT = (31.5 - PATCH_SCALE / 2, 22.0), (31.5 + PATCH_SCALE / 2, 22.0)
_SPREAD = {10: (31.5, 1.0), 2: (31.5, 44.0), 4: (31.5, 38.0), 152: (31.5, 70.0)}
_MOUTH = (0, 409, 291, 375, 17, 146, 61, 185)
_SOCKETS = (70, 46, 124, 111, 119, 188, 412, 348, 340, 353, 276, 300, 336, 9, 107)


def mesh() -> Array:
    """Return landmarks in pixels of the patch, (468, 2): over an oval, eyes and sockets where they belong."""
    count = np.arange(468)
    radius, turn = np.sqrt((count + 0.5) / 468), count * 2.399963
    points = np.column_stack([31.5 + 29 * radius * np.cos(turn), 36.0 + 35 * radius * np.sin(turn)])
    for indices, eye in ((RIGHT_EYE, EYE_RIGHT), (LEFT_EYE, EYE_LEFT)):
        points[indices] = np.array(eye) + np.array([[-4, 0], [4, 0], [0, -1.5], [0, 1.5]])
    for index, turn_by in zip(_SOCKETS, np.linspace(0, 2 * np.pi, len(_SOCKETS), endpoint=False), strict=True):
        points[index] = [31.5 + 22 * np.cos(turn_by), 22 + 8 * np.sin(turn_by)]
    for index, turn_by in zip(_MOUTH, np.linspace(0, 2 * np.pi, len(_MOUTH), endpoint=False), strict=True):
        points[index] = [31.5 + 10 * np.sin(turn_by), 57 - 4 * np.cos(turn_by)]
    for index, place in _SPREAD.items():
        points[index] = place
    return points


def landmarks_at(points: Array, *, scale: float = 1.0, offset: tuple[float, float] = (0.0, 0.0)) -> FaceLandmarks:
    """Return landmarks from patch places, in a frame where the patch is scaled and moved."""
    placed = points * scale + np.array(offset)
    return FaceLandmarks(np.column_stack([placed, np.zeros(len(placed))]).astype(np.float32), 1.0)


@dataclass(frozen=True)
class Lit:
    """Pictures (PATCH_HEIGHT, PATCH_WIDTH) in linear light: in the room, and what each half of the ring adds."""

    room: Array
    left: Array
    right: Array

    def at(self, left: float, right: float) -> Array:
        return np.asarray(self.room + left * self.left + right * self.right)


_ROWS, _COLUMNS = np.mgrid[0:PATCH_HEIGHT, 0:PATCH_WIDTH].astype(np.float64)
_X, _Y = (_COLUMNS - 31.5) / PATCH_SCALE, (_ROWS - 36.0) / PATCH_SCALE
"""In distances between the eyes."""


def _bump(x: float, y: float, width: float, height: float) -> Array:
    return np.asarray(np.exp(-(((_X - x) / width) ** 2) - ((_Y - y) / height) ** 2))


def head() -> Array:
    """Return the heights of a round head with nose, sockets and lips."""
    dome = 1.1 * np.sqrt(np.clip(1 - (_X / 1.3) ** 2 - (_Y / 1.7) ** 2, 0.02, None))
    nose = 0.35 * _bump(0, 0.15, 0.18, 0.35)
    sockets = 0.15 * (_bump(-0.5, -0.5, 0.25, 0.18) + _bump(0.5, -0.5, 0.25, 0.18))
    return np.asarray(dome + nose - sockets + 0.06 * _bump(0, 0.75, 0.3, 0.12))


def paint() -> Array:
    """Return how much of the light each place of a face reflects: brows, eyes and lips are dark."""
    dark = 0.3 * (_bump(-0.5, -0.72, 0.28, 0.06) + _bump(0.5, -0.72, 0.28, 0.06))
    dark += 0.25 * (_bump(-0.5, -0.5, 0.16, 0.05) + _bump(0.5, -0.5, 0.16, 0.05)) + 0.2 * _bump(0, 0.75, 0.3, 0.07)
    return np.asarray(0.5 - dark)


def _shade(heights: Array, light: tuple[float, float, float], *, is_near: bool) -> Array:
    """Return the light on a surface from a direction, or from a place, in distances between the eyes."""
    down, across = np.gradient(heights, 1 / PATCH_SCALE)
    normal = np.stack([-across, -down, np.ones_like(heights)])
    normal /= np.linalg.norm(normal, axis=0)
    if not is_near:
        way = np.array(light) / np.linalg.norm(light)
        return np.asarray(np.clip(np.tensordot(way, normal, axes=1), 0, None))
    way = np.stack([light[0] - _X, light[1] - _Y, light[2] - heights])
    distance = np.linalg.norm(way, axis=0)
    return np.asarray(np.clip((way / distance * normal).sum(axis=0), 0, None) * (light[2] / distance) ** 2)


def _lamps(heights: Array) -> tuple[Array, Array]:
    return _shade(heights, (1.0, 0.0, 9.0), is_near=True), _shade(heights, (-1.0, 0.0, 9.0), is_near=True)


def lit_face(gain: float = 0.3) -> Lit:
    """Return a living face: one surface, lit by the room from above and by the ring from the front."""
    heights = np.asarray(cv2.GaussianBlur(head(), (0, 0), 1.0), np.float64)
    room = 0.4 + 0.6 * _shade(heights, (0.3, -0.8, 0.6), is_near=False)
    left, right = _lamps(heights)
    return Lit(0.4 * paint() * room, 0.4 * gain * paint() * left, 0.4 * gain * paint() * right)


def lit_sheet(*, bend: float = 0.0, tilt: float = 0.0, gain: float = 0.3) -> Lit:
    """Return a print of the same face on a sheet, flat or bent around the vertical."""
    picture = 1.3 * lit_face(gain).room
    heights = tilt * _X - bend * _X**2
    left, right = _lamps(heights)
    return Lit(
        picture * _shade(heights, (0.3, -0.8, 0.9), is_near=False), picture * gain * left, picture * gain * right
    )


def lit_screen(*, spot: float = 2.0, haze: float = 0.04) -> Lit:
    """Return a screen that shows the same face: its glass mirrors the ring and knows nothing of the picture."""
    glass = [haze + spot * _bump(side * 0.3, 0.3, 0.1, 0.1) for side in (1, -1)]
    return Lit(lit_face().room, 0.2 * glass[0], 0.2 * glass[1])


SURFACES: dict[str, Callable[[], Lit]] = {
    "face": lit_face,
    "flat": lit_sheet,
    "tilted": lambda: lit_sheet(tilt=0.5),
    "bent": lambda: lit_sheet(bend=0.4),
    "bent more": lambda: lit_sheet(bend=0.8),
    "screen": lit_screen,
    "matt screen": lambda: lit_screen(spot=0.0, haze=0.15),
}


@pytest.fixture
def surfaces() -> dict[str, Callable[[], Lit]]:
    """What may be lit, by name."""
    return SURFACES


@pytest.fixture
def face_mesh() -> Array:
    """Landmarks in pixels of the patch."""
    return mesh()


@pytest.fixture
def place_landmarks() -> Callable[..., FaceLandmarks]:
    """Make landmarks from patch places."""
    return landmarks_at


@pytest.fixture
def play() -> Callable[..., list[ActionReport]]:
    """Run signals through a detector; what a frame does not name is at rest."""

    def run(
        frames: Iterable[Signals | None], *, rate: float = 30, detector: ActionDetector | None = None, start: int = 0
    ) -> list[ActionReport]:
        detector = detector or ActionDetector()
        reports = []
        for index, signals in enumerate(frames, start):
            now = round(index * 1e9 / rate)
            motion = None
            if signals is not None:
                rest = {"yaw_deg": 0.0, "pitch_deg": 0.0, "mouth": 0.02, "openness": 0.3, "track_id": 1}
                motion = Motion(sequence=index, monotonic_ns=now, **{**rest, **signals})
            reports.append(detector.observe(motion, monotonic_ns=now))
        return reports

    return run
