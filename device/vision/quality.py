"""Sample quality in named components, and the one advice that would help most."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from device.vision.eyelids import EyeOpenness
from device.vision.frame import Pixels
from device.vision.geometry import Box
from device.vision.landmarks import FaceLandmarks
from device.vision.pose import HeadPose

ACCEPTABLE = 50.0
"""A component at or above it does not stand in the way of a comparison; each component's scale is made so."""


class Advice(StrEnum):
    """What the subject should do for a better sample."""

    NEARER = "nearer"
    FURTHER = "further"
    CENTRE = "centre"
    MORE_LIGHT = "more_light"
    TOO_BRIGHT = "too_bright"
    HOLD_STILL = "hold_still"
    LOOK_AT_CAMERA = "look_at_camera"
    UNCOVER_FACE = "uncover_face"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class QualityAssessment:
    """Quality components of one sample, each 0..100, larger = better, 50 = just acceptable."""

    size: float
    """Distance of the eyes in pixels against the 35 pixels the feature network sees."""
    border: float
    """How much of the face is inside the frame."""
    brightness: float
    """Mean luma of the face, neither dark nor washed out."""
    contrast: float
    """Spread of luma over the face; low in fog, flare and against a bright window."""
    sharpness: float
    """Fine detail against contrast, low when out of focus or moved."""
    pose: float
    """How nearly the face looks into the camera."""
    eyes: float
    """How far the less open eye is open."""
    visibility: float
    """How surely the landmark network sees a face; low when it is covered."""
    advice: Advice
    """What would raise the weakest component that is not acceptable; `none` if all are."""

    @property
    def overall(self) -> float:
        """The weakest component: no strength makes up for a weakness."""
        return min(self.components().values())

    @property
    def is_acceptable(self) -> bool:
        """Whether every component is acceptable."""
        return self.overall >= ACCEPTABLE

    def components(self) -> dict[str, float]:
        """Return all components by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "advice"}


def assess(
    pixels: Pixels,
    *,
    box: Box,
    landmarks: FaceLandmarks,
    pose: HeadPose,
    openness: EyeOpenness,
    crop: Pixels,
) -> QualityAssessment:
    """Assess one sample.

    Args:
        pixels: uint8 (H, W, 3) RGB, the frame; only its size is used.
        box: of the face, frame pixels.
        landmarks: of the face.
        pose: of the head.
        openness: of the eyes.
        crop: uint8 (h, w, 3) RGB, the aligned face; light and sharpness are measured on what the network sees.
    """
    luma = np.asarray(cv2.cvtColor(_face_of(crop), cv2.COLOR_RGB2GRAY), np.uint8)
    mean, spread = float(luma.mean()), float(luma.std())
    interocular = landmarks.interocular_px
    height, width = pixels.shape[:2]
    too_near = _ramp(max((box[2] - box[0]) / width, (box[3] - box[1]) / height), *_FILLING)
    too_far = _ramp(interocular, *_INTEROCULAR_PX)
    dark, bright = _ramp(mean, *_DARK), _ramp(mean, *_BRIGHT)
    values = {
        "size": min(too_far, too_near),
        "border": _ramp(_inside(box, width, height), *_INSIDE),
        "brightness": min(dark, bright),
        "contrast": _ramp(spread, *_CONTRAST),
        "sharpness": _ramp(_detail(luma, spread), *_SHARPNESS),
        "pose": min(
            _ramp(abs(pose.yaw_deg), *_YAW_DEG),
            _ramp(abs(pose.pitch_deg), *_PITCH_DEG),
            _ramp(abs(pose.roll_deg), *_ROLL_DEG),
        ),
        "eyes": _ramp(min(openness.right, openness.left), *_OPENNESS),
        "visibility": _ramp(landmarks.presence, *_PRESENCE),
    }
    advice = {
        "size": Advice.NEARER if too_far <= too_near else Advice.FURTHER,
        "border": Advice.CENTRE,
        "brightness": Advice.MORE_LIGHT if dark <= bright else Advice.TOO_BRIGHT,
        "contrast": Advice.MORE_LIGHT if mean < _MIDDLE_LUMA else Advice.TOO_BRIGHT,
        "sharpness": Advice.HOLD_STILL,
        "pose": Advice.LOOK_AT_CAMERA,
        "eyes": Advice.LOOK_AT_CAMERA,
        "visibility": Advice.UNCOVER_FACE,
    }
    weakest = min(values, key=lambda name: values[name])
    return QualityAssessment(**values, advice=advice[weakest] if values[weakest] < ACCEPTABLE else Advice.NONE)


def _ramp(value: float, worst: float, best: float) -> float:
    """Return 0 at `worst`, 100 at `best`, straight between and flat beyond; `worst` may be the larger one."""
    return 100.0 * max(0.0, min(1.0, (value - worst) / (best - worst)))


def _inside(box: Box, width: int, height: int) -> float:
    """Return the part of the box that lies inside the frame, 0..1."""
    across = max(0.0, min(box[2], width) - max(box[0], 0.0)) / max(box[2] - box[0], 1e-6)
    down = max(0.0, min(box[3], height) - max(box[1], 0.0)) / max(box[3] - box[1], 1e-6)
    return across * down


def _face_of(crop: Pixels) -> Pixels:
    """Return the middle of an aligned crop: eyes to mouth, hardly any hair or background."""
    size = crop.shape[0]
    return crop[size // 4 : size - size // 8, size // 4 : size - size // 4]


def _detail(luma: NDArray[np.uint8], spread: float) -> float:
    """Return the fine detail per contrast in the direction where it is less, so that motion blur shows; unit-free."""
    values = luma.astype(np.float32)
    across = float(np.diff(values, n=2, axis=1).std())
    down = float(np.diff(values, n=2, axis=0).std())
    return min(across, down) / max(spread, 1.0)


# The ramps are (value at 0, value at 100); 50 lies in the middle. Unless another source is named, the middle is where the
# features of six frames of two rendered people, disturbed step by step, fell to a cosine of 0.9 to the undisturbed frame.
_MIDDLE_LUMA = 128.0
_INTEROCULAR_PX = (12.0, 35.2)
"""At 12 pixels the cosine is .94; with 35.2, the distance in the crop of the feature network, the crop is no enlargement."""
_FILLING = (1.5, 0.5)
"""Longer side of the face against the frame: at 1.0 the face fills the frame and chin or forehead is lost."""
_INSIDE = (0.8, 1.0)
"""Part of the face box inside the frame: with a tenth outside, an ear, the chin or the forehead is lost."""
_DARK = (0.0, 60.0)
"""Mean luma 27 gives .91 (sensor noise of 3 steps)."""
_BRIGHT = (240.0, 200.0)
"""Mean luma 208 gives .98, 248 gives .76."""
_CONTRAST = (0.0, 18.0)
"""Standard deviation of luma 8.8 gives .91."""
_SHARPNESS = (0.04, 0.07)
"""Detail .055 is left by a blur of 3 pixels and by a movement of 15 pixels, which both give .90; noise-free blur ends at .047."""
_YAW_DEG = (50.0, 10.0)
_PITCH_DEG = (40.0, 10.0)
"""Live rendered heads turned by 25 to 30 degrees keep a cosine of .75 to .85 to the front view."""
_ROLL_DEG = (60.0, 0.0)
"""Turning the region upright makes up for roll; 30 degrees is where lying heads begin."""
_OPENNESS = (0.10, 0.22)
"""Closed lids read .10 to .13, open ones .26 and more (rendered and real people)."""
_PRESENCE = (0.95, 1.0)
"""A covered mouth gives .97, a covered half of the face .97, an uncovered face .999."""
