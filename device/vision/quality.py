"""Sample quality in named components, each of which a person can do something about.

The names are those of the quality elements of ISO/IEC 29794-5 as its open reference implementation spells them (OFIQ,
`OFIQlib/modules/measures` of the repository BSI-OFIQ/OFIQ-Project), in snake case. The scales are ours: 100 needs nothing, 50 is
where comparison begins to suffer, 0 is useless; OFIQ's scales serve passport photographs. How each is measured here, and where that
differs from OFIQ, stands beside it.

Not measured: background uniformity, head coverings, expression (no influence on comparison that a prompt could mend), compression
(frames come from the sensor), natural colour (white balance is the camera's), occlusion of the mouth by itself (the landmark network
has one word for the whole face), and OFIQ's unified score by a network: `protocol.quality.unified_score` ranks frames instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from device.vision.eyelids import EyeOpenness
from device.vision.frame import Pixels
from device.vision.geometry import Box, area
from device.vision.landmarks import LEFT_EYE, RIGHT_EYE, FaceLandmarks
from device.vision.pose import HeadPose

ACCEPTABLE = 50.0
"""Where comparison begins to suffer; each component's scale is made so. What a sample must reach is the policy's word."""


@dataclass(frozen=True, slots=True)
class QualityAssessment:
    """Quality components of one sample, each 0..100, larger = better."""

    illumination_uniformity: float
    """Mean luma of the darker half of the face against the brighter one. OFIQ: common part of both halves' histograms."""
    under_exposure_prevention: float
    """Part of the face whose luma is not 25 or less. OFIQ: the same range of luma, face region by landmarks."""
    over_exposure_prevention: float
    """Part of the face whose luma is not 247 or more. OFIQ: likewise."""
    dynamic_range: float
    """Entropy of the luma of the face in bits; low in fog, flare and against a bright window. OFIQ: the same, face region by landmarks."""
    sharpness: float
    """Second difference of luma against its spread, in the direction where it is less, so that motion blur shows. OFIQ: random
    trees over Laplace, Sobel and mean-difference features."""
    single_face_present: float
    """1 - sqrt(area of the second largest face / area of the largest). OFIQ: the same."""
    eyes_open: float
    """Lid distance by eye width of the less open eye, from the eyelid contour. OFIQ: by the distance of eyes and chin."""
    mouth_closed: float
    """Distance of the inner lips by the width of the mouth. OFIQ: by the distance of eyes and chin."""
    eyes_visible: float
    """Part of both eyes' boxes, a twentieth of the eye distance wider, that no glare hides (all colours 247 or more), as on
    glasses. OFIQ: part that its occlusion network leaves free; hair and dark lenses lower `face_occlusion_prevention` here."""
    face_occlusion_prevention: float
    """Logit of the presence of a face, by the landmark network: it falls from 16 to 8 while a cloth covers chin and mouth, where the
    presence itself stays above .999. OFIQ: part of the face that its occlusion network leaves free."""
    inter_eye_distance: float
    """Pixels between the eyes, divided by the cosine of yaw. OFIQ: the same."""
    head_size: float
    """Longer side of the face against the frame; low when too near. OFIQ: distance of eyes and chin against the frame's height,
    too far as well as too near."""
    leftward_crop_of_the_face_image: float
    """Part of the landmarks' width beyond the left border of the picture. OFIQ: from the eye on that side to the border."""
    rightward_crop_of_the_face_image: float
    """Likewise, right border."""
    margin_above_of_the_face_image: float
    """Part of the landmarks' height beyond the upper border. OFIQ: from the eyes to the border."""
    margin_below_of_the_face_image: float
    """Likewise, lower border."""
    head_pose_yaw: float
    """How nearly the face looks into the camera, sideways. OFIQ: squared cosine of the angle."""
    head_pose_pitch: float
    """Likewise, up and down."""
    head_pose_roll: float
    """Likewise, towards the shoulder."""

    @property
    def overall(self) -> float:
        """The weakest component: no strength makes up for a weakness."""
        return min(self.components().values())

    def components(self) -> dict[str, float]:
        """Return all components by name."""
        return {name: getattr(self, name) for name in COMPONENTS}


COMPONENTS = tuple(field.name for field in fields(QualityAssessment))
"""All names."""


def assess(
    pixels: Pixels,
    *,
    box: Box,
    others: Sequence[Box],
    landmarks: FaceLandmarks,
    pose: HeadPose,
    openness: EyeOpenness,
    mouth: float,
    crop: Pixels,
) -> QualityAssessment:
    """Assess one sample.

    Args:
        pixels: uint8 (H, W, 3) RGB, the frame; only its size and the places of the eyes are looked at.
        box: of the face, frame pixels.
        others: boxes of the other faces in the frame.
        landmarks: of the face.
        pose: of the head.
        openness: of the eyes.
        mouth: lip distance divided by mouth width.
        crop: uint8 (h, w, 3) RGB, the aligned face; light and sharpness are measured on what the network sees.
    """
    measured = measure(
        pixels, box=box, others=others, landmarks=landmarks, pose=pose, openness=openness, mouth=mouth, crop=crop
    )
    return QualityAssessment(
        *[min(100.0, max(0.0, (measured[name] - worst) * slope)) for name, worst, slope in _SLOPES]
    )


def measure(
    pixels: Pixels,
    *,
    box: Box,
    others: Sequence[Box],
    landmarks: FaceLandmarks,
    pose: HeadPose,
    openness: EyeOpenness,
    mouth: float,
    crop: Pixels,
) -> dict[str, float]:
    """Return what each component rests on, before its ramp; arguments as for `assess`."""
    height, width = pixels.shape[:2]
    places: list[list[float]] = landmarks.points[_PLACES, :2].tolist()
    right_eye, left_eye = places[:4], places[4:8]
    eye_distance = math.dist(_centre(right_eye), _centre(left_eye))
    left, top, right, bottom = _extent(places)
    across, down = max(right - left, 1e-3), max(bottom - top, 1e-3)
    second = max((area(other) for other in others), default=0.0)
    cosine = math.cos(math.radians(min(abs(pose.yaw_deg), _MOST_YAW_DEG)))
    return {
        **_light_of(_face_of(crop)),
        "single_face_present": 1.0 - math.sqrt(min(1.0, second / max(area(box), 1e-3))),
        "eyes_open": min(openness.right, openness.left),
        "mouth_closed": mouth,
        "eyes_visible": _glare(pixels, [right_eye, left_eye], border=eye_distance / 20),
        "face_occlusion_prevention": _logit(landmarks.presence),
        "inter_eye_distance": eye_distance / cosine,
        "head_size": max((box[2] - box[0]) / width, (box[3] - box[1]) / height),
        "leftward_crop_of_the_face_image": -left / across,
        "rightward_crop_of_the_face_image": (right - width) / across,
        "margin_above_of_the_face_image": -top / down,
        "margin_below_of_the_face_image": (bottom - height) / down,
        "head_pose_yaw": abs(pose.yaw_deg),
        "head_pose_pitch": abs(pose.pitch_deg),
        "head_pose_roll": abs(pose.roll_deg),
    }


def _logit(share: float) -> float:
    return math.log(max(share, _LEAST_SHARE) / max(1.0 - share, _LEAST_SHARE))


def _extent(places: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    """Return (x_min, y_min, x_max, y_max) of places."""
    x, y = [place[0] for place in places], [place[1] for place in places]
    return min(x), min(y), max(x), max(y)


def _centre(places: Sequence[Sequence[float]]) -> tuple[float, float]:
    return sum(place[0] for place in places) / len(places), sum(place[1] for place in places) / len(places)


def _face_of(crop: Pixels) -> Pixels:
    """Return the middle of an aligned crop: eyes to mouth, hardly any hair or background."""
    size = crop.shape[0]
    return crop[size // 4 : size - size // 8, size // 4 : size - size // 4]


def _light_of(face: Pixels) -> dict[str, float]:
    """Return what is measured on the luma of the face."""
    luma = np.asarray(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), np.uint8)
    middle = luma.shape[1] // 2
    halves = cv2.mean(luma[:, :middle])[0], cv2.mean(luma[:, middle:])[0]
    shares = cv2.calcHist([luma], [0], None, [256], [0, 256]).ravel() / luma.size
    mean = float(np.dot(shares, _LEVELS))
    spread = math.sqrt(max(0.0, float(np.dot(shares, _SQUARED_LEVELS)) - mean * mean))
    return {
        "illumination_uniformity": min(halves) / max(*halves, 1.0),
        "under_exposure_prevention": float(shares[_DARK].sum()),
        "over_exposure_prevention": float(shares[_BRIGHT].sum()),
        "dynamic_range": _entropy(shares),
        "sharpness": _detail(luma) / max(spread, 1.0),
    }


def _entropy(shares: NDArray[np.float32]) -> float:
    """Return the entropy of shares that add up to 1, in bits."""
    present = shares[shares > 0]
    return -float(np.dot(present, np.log2(present)))


def _detail(luma: NDArray[np.uint8]) -> float:
    """Return the root mean square of the second difference in the direction where it is less, in steps of luma."""
    values = luma.astype(np.int16)
    across = values[:, 2:] + values[:, :-2] - 2 * values[:, 1:-1]
    down = values[2:] + values[:-2] - 2 * values[1:-1]
    return min(cv2.norm(across) / math.sqrt(across.size), cv2.norm(down) / math.sqrt(down.size))


def _glare(pixels: Pixels, eyes: Sequence[Sequence[Sequence[float]]], *, border: float) -> float:
    """Return the part of the eyes' boxes that is white, 0..1; 0 where they lie outside the frame."""
    white = total = 0
    for eye in eyes:
        x_min, y_min, x_max, y_max = _extent(eye)
        rows = slice(max(0, int(y_min - border)), max(0, int(y_max + border) + 1))
        columns = slice(max(0, int(x_min - border)), max(0, int(x_max + border) + 1))
        region = pixels[rows, columns]
        if region.size:
            white += cv2.countNonZero(cv2.inRange(region, _WHITE, _WHITEST))
            total += region.shape[0] * region.shape[1]
    return white / max(total, 1)


_OUTLINE = [10, 152, 234, 454, 127, 356, 93, 323, 58, 288, 172, 397, 136, 365]
"""Forehead, chin, and pairs down the sides of the face."""
_PLACES = [*RIGHT_EYE, *LEFT_EYE, *_OUTLINE]
_DARK = slice(0, 26)
_BRIGHT = slice(247, 256)
"""Ranges of luma. Source: `darkRange` and `lightRange` of OFIQ's UnderExposurePrevention.cpp and OverExposurePrevention.cpp."""
_LEAST_SHARE = 1e-7
"""Keeps the logit finite, within 16.2; the int8 network's own ends there, too."""
_LEVELS = np.arange(256, dtype=np.float32)
_SQUARED_LEVELS = _LEVELS**2
_WHITE, _WHITEST = np.full(3, 247.0), np.full(3, 255.0)
_MOST_YAW_DEG = 60.0
"""Beyond it one eye is hidden and the distance of both says nothing."""

RAMPS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "illumination_uniformity": (0.1, 0.9),
        "under_exposure_prevention": (0.7, 0.0),
        "over_exposure_prevention": (1.0, 0.0),
        "dynamic_range": (3.5, 6.5),
        "sharpness": (0.04, 0.07),
        "single_face_present": (0.0, 1.0),
        "eyes_open": (0.10, 0.22),
        "mouth_closed": (1.0, 0.1),
        "eyes_visible": (0.6, 0.0),
        "face_occlusion_prevention": (0.0, 16.0),
        "inter_eye_distance": (12.0, 35.2),
        "head_size": (1.5, 0.5),
        "leftward_crop_of_the_face_image": (0.2, 0.0),
        "rightward_crop_of_the_face_image": (0.2, 0.0),
        "margin_above_of_the_face_image": (0.2, 0.0),
        "margin_below_of_the_face_image": (0.2, 0.0),
        "head_pose_yaw": (38.0, 10.0),
        "head_pose_pitch": (40.0, 10.0),
        "head_pose_roll": (90.0, 0.0),
    }
)
"""Value at 0 and value at 100 of each component, in the order of the fields; straight between, flat beyond.

Source: the middle, 50, is where the cosine of the features to those of the same frame undisturbed falls to 0.9, by
`lifecert-models evaluate quality` over three frames of each of the two rendered people in `demo/people`; with these exceptions:

- single_face_present: OFIQ's scale; another face does not change the features of this one.
- eyes_open: closed lids read .10 to .13, open ones .26 and more (rendered and real people).
- face_occlusion_prevention: at 8 a cloth has reached the mouth (cosine .88); people who act and turn stay at 9 and above.
- inter_eye_distance: at 12 pixels the face is about to be lost (cosine .96, at worst .72); with 35.2, the distance in the crop of the
  feature network, the crop is no enlargement.
- head_size: at 1.0 the face fills the frame; above it detection begins to fail, at a cosine of .95.
- crops and margins: with a tenth outside, an ear, the chin or the forehead is lost; beyond .2 faces are not found any more.
- head_pose_pitch: as yaw, by one degree; the clips have no pitch beyond 10 degrees.
- head_pose_roll: turning the region upright makes up for it (cosine .99 up to 80 degrees); 45 is where lying heads begin.
"""
_SLOPES = tuple((name, RAMPS[name][0], 100.0 / (RAMPS[name][1] - RAMPS[name][0])) for name in COMPONENTS)
