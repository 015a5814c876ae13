"""What a camera, a room and a person can do to a picture of a face, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from device.vision.frame import Pixels
from device.vision.geometry import Box
from device.vision.landmarks import FaceLandmarks

_NOISE = 3.0
"""Standard deviation of the noise that a camera adds in dim light, in steps of 255."""


@dataclass(frozen=True, slots=True)
class Face:
    """Where the face is, before anything was done to the picture."""

    box: Box
    landmarks: FaceLandmarks


@dataclass(frozen=True, slots=True)
class Degradation:
    """One way to spoil a picture."""

    name: str
    component: str
    """The quality component that should see it first."""
    unit: str
    """What a level means."""
    levels: Sequence[float]
    """From hardly to hopelessly."""
    apply: Callable[[Pixels, Face, float], Pixels]
    """Returns the spoilt picture, uint8 (H, W, 3) RGB."""


def _blur(picture: Pixels, _: Face, level: float) -> Pixels:
    return _pixels(cv2.GaussianBlur(picture, (0, 0), level))


def _movement(picture: Pixels, _: Face, level: float) -> Pixels:
    length = int(level)
    return _pixels(cv2.filter2D(picture, -1, np.full((1, length), 1 / length, np.float32)))


def _dim(picture: Pixels, _: Face, level: float) -> Pixels:
    noise = np.random.default_rng(0).normal(0, _NOISE, picture.shape)
    return _pixels(picture * level + noise)


def _expose(picture: Pixels, _: Face, level: float) -> Pixels:
    return _pixels(picture * level)


def _fog(picture: Pixels, _: Face, level: float) -> Pixels:
    return _pixels(picture * (1 - level) + 200.0 * level)


def _shade(picture: Pixels, face: Face, level: float) -> Pixels:
    """Leave the face's left half in the picture with 1 - level of its light, the edge a fifth of the face wide."""
    middle = (face.box[0] + face.box[2]) / 2
    width = max(face.box[2] - face.box[0], 1.0) / 5
    light = 1 - level / (1 + np.exp((np.arange(picture.shape[1]) - middle) / width * 4))
    return _pixels(picture * light[None, :, None])


def _shrink(picture: Pixels, _: Face, level: float) -> Pixels:
    height, width = picture.shape[:2]
    small = cv2.resize(picture, None, fx=level, fy=level, interpolation=cv2.INTER_AREA)
    canvas = np.full_like(picture, 90)
    top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return canvas


def _enlarge(picture: Pixels, face: Face, level: float) -> Pixels:
    """Enlarge about the middle of the face until its longer side is `level` of the frame's."""
    height, width = picture.shape[:2]
    x_min, y_min, x_max, y_max = face.box
    scale = level / max((x_max - x_min) / width, (y_max - y_min) / height)
    centre = np.array([(x_min + x_max) / 2, (y_min + y_max) / 2])
    shift = np.array([width, height]) / 2 - centre * scale
    return _moved(picture, np.column_stack([np.eye(2) * scale, shift]))


def _cut(side: str) -> Callable[[Pixels, Face, float], Pixels]:
    """Shift the picture until this part of the landmarks' extent lies beyond a border."""

    def apply(picture: Pixels, face: Face, level: float) -> Pixels:
        height, width = picture.shape[:2]
        low, high = face.landmarks.points[:, :2].min(axis=0), face.landmarks.points[:, :2].max(axis=0)
        beyond = (high - low) * level
        shifts = {
            "left": (-float(low[0] + beyond[0]), 0.0),
            "right": (float(width - high[0] + beyond[0]), 0.0),
            "above": (0.0, -float(low[1] + beyond[1])),
            "below": (0.0, float(height - high[1] + beyond[1])),
        }
        return _moved(picture, np.column_stack([np.eye(2), np.array(shifts[side])]))

    return apply


def _tilt(picture: Pixels, face: Face, level: float) -> Pixels:
    x_min, y_min, x_max, y_max = face.box
    return _moved(picture, cv2.getRotationMatrix2D(((x_min + x_max) / 2, (y_min + y_max) / 2), level, 1.0))


def _glare(picture: Pixels, face: Face, level: float) -> Pixels:
    """Put a white spot on each eye, `level` eye distances wide."""
    spoilt = picture.copy()
    radius = max(1, round(face.landmarks.interocular_px * level / 2))
    for centre in face.landmarks.eye_centres:
        cv2.ellipse(
            spoilt, (round(float(centre[0])), round(float(centre[1]))), (radius, radius), 0, 0, 360, (255,) * 3, -1
        )
    return spoilt


def _cover(picture: Pixels, face: Face, level: float) -> Pixels:
    """Put a pale cloth over the face from the chin up, `level` of the way to the eyes."""
    spoilt = picture.copy()
    points = face.landmarks.points
    chin, eyes = float(points[_CHIN, 1]), float(np.mean([centre[1] for centre in face.landmarks.eye_centres]))
    left, right = int(points[:, 0].min()), int(points[:, 0].max())
    spoilt[max(0, int(chin - (chin - eyes) * level)) : int(chin) + 1, max(0, left) : right + 1] = _CLOTH
    return spoilt


def _accompany(picture: Pixels, face: Face, level: float) -> Pixels:
    """Put the same face beside itself, `level` as large."""
    spoilt = picture.copy()
    x_min, y_min, x_max, y_max = (max(0, int(value)) for value in _wider(face.box))
    other = cv2.resize(picture[y_min:y_max, x_min:x_max], None, fx=level, fy=level, interpolation=cv2.INTER_AREA)
    room = spoilt[: other.shape[0], : x_min // 2 * 2]
    height, width = min(room.shape[0], other.shape[0]), min(room.shape[1], other.shape[1])
    spoilt[:height, :width] = other[:height, :width]
    return spoilt


def _wider(box: Box) -> Box:
    across, down = (box[2] - box[0]) * 0.25, (box[3] - box[1]) * 0.3
    return box[0] - across, box[1] - down, box[2] + across, box[3] + down


def _moved(picture: Pixels, transform: NDArray[np.integer[Any] | np.floating[Any]]) -> Pixels:
    size = (picture.shape[1], picture.shape[0])
    return _pixels(cv2.warpAffine(picture, transform, size, flags=cv2.INTER_LINEAR, borderValue=(90, 90, 90)))


def _pixels(values: NDArray[np.generic]) -> Pixels:
    return np.ascontiguousarray(np.clip(np.rint(values.astype(np.float32)), 0, 255).astype(np.uint8))


_CHIN = 152
_CLOTH = (190, 205, 215)

DEGRADATIONS = (
    Degradation(
        "shade on one side",
        "illumination_uniformity",
        "part of the light lost",
        (0.2, 0.4, 0.6, 0.8, 0.9, 0.95),
        _shade,
    ),
    Degradation("dim light", "under_exposure_prevention", "factor", (0.5, 0.3, 0.2, 0.15, 0.1, 0.06), _dim),
    Degradation("over-exposure", "over_exposure_prevention", "factor", (1.3, 1.7, 2.2, 3.0, 4.0, 6.0), _expose),
    Degradation("fog", "dynamic_range", "part of fog", (0.3, 0.5, 0.7, 0.8, 0.9, 0.95), _fog),
    Degradation("blur", "sharpness", "standard deviation in pixels", (0.5, 1.0, 2.0, 3.0, 4.0, 6.0), _blur),
    Degradation("movement", "sharpness", "pixels", (3, 7, 11, 15, 21, 31), _movement),
    Degradation("second face", "single_face_present", "size", (0.4, 0.6, 0.8, 0.95), _accompany),
    Degradation("glare on the eyes", "eyes_visible", "eye distances", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), _glare),
    Degradation(
        "cloth from the chin up", "face_occlusion_prevention", "way to the eyes", (0.2, 0.4, 0.6, 0.8, 0.9), _cover
    ),
    Degradation("distance", "inter_eye_distance", "factor", (0.8, 0.6, 0.45, 0.35, 0.25, 0.18), _shrink),
    Degradation(
        "nearness", "head_size", "longer side of the face in frames", (0.5, 0.7, 0.85, 1.0, 1.15, 1.3), _enlarge
    ),
    Degradation(
        "cut on the left", "leftward_crop_of_the_face_image", "part", (0.0, 0.05, 0.1, 0.2, 0.3, 0.4), _cut("left")
    ),
    Degradation(
        "cut on the right", "rightward_crop_of_the_face_image", "part", (0.0, 0.05, 0.1, 0.2, 0.3, 0.4), _cut("right")
    ),
    Degradation("cut above", "margin_above_of_the_face_image", "part", (0.0, 0.05, 0.1, 0.2, 0.3, 0.4), _cut("above")),
    Degradation("cut below", "margin_below_of_the_face_image", "part", (0.0, 0.05, 0.1, 0.2, 0.3, 0.4), _cut("below")),
    Degradation("tilt", "head_pose_roll", "degrees", (10, 20, 30, 45, 60, 80), _tilt),
)
"""All of them. Yaw, pitch, lids and mouth cannot be changed in a picture; clips of people who move show those."""
