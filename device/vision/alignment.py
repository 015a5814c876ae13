"""Turning, scaling and cutting a face into the position the feature network was trained on."""

from __future__ import annotations

import numpy as np

from device.errors import NetworkRefused
from device.vision.frame import Pixels
from device.vision.geometry import Real, Transform, cut, invert
from device.vision.landmarks import LEFT_EYE, RIGHT_EYE, FaceLandmarks
from protocol.manifest import Preprocessing


class UnknownAlignment(NetworkRefused):
    """A feature network whose input size belongs to no known alignment."""


def check_alignment(preprocessing: Preprocessing) -> None:
    """Make sure that there is an alignment for a feature network.

    Raises:
        UnknownAlignment: if there is none.
    """
    size = (preprocessing.width, preprocessing.height)
    if size not in _TEMPLATES:
        raise UnknownAlignment(f"alignment: input {size[0]}x{size[1]} is unknown, expected one of {sorted(_TEMPLATES)}")


def align(pixels: Pixels, landmarks: FaceLandmarks, preprocessing: Preprocessing) -> Pixels:
    """Return the aligned crop for a feature network.

    The manifest's input size chooses the alignment: 112 x 112 is the five-point alignment of ArcFace, 150 x 150 the chip of
    the dlib network.

    Args:
        pixels: uint8 (H, W, 3) RGB.
        landmarks: of the face.
        preprocessing: of the feature network's manifest, checked by `check_alignment`.

    Returns:
        uint8 (height, width, 3) RGB.
    """
    size = (preprocessing.width, preprocessing.height)
    template, groups = _TEMPLATES[size]
    found = np.array([_middle(landmarks.points[group, :2].tolist()) for group in groups])
    return cut(pixels, invert(similarity(found, template)), size)


def similarity(source: Real, target: Real) -> Transform:
    """Return the rotation, uniform scale and shift that maps `source` to `target` with the least squared error.

    Args:
        source: (N, 2), N >= 2, not all equal.
        target: (N, 2).

    Source: Umeyama, Least-squares estimation of transformation parameters between two point patterns, IEEE TPAMI 13(4),
    1991, equations 38 to 43, whose rotation has this closed form in the plane.
    """
    pairs = list(zip(source.tolist(), target.tolist(), strict=True))
    (from_x, from_y), (to_x, to_y) = _middle([place for place, _ in pairs]), _middle([place for _, place in pairs])
    extent = cos = sin = 0.0
    for (source_x, source_y), (target_x, target_y) in pairs:
        x, y, u, v = source_x - from_x, source_y - from_y, target_x - to_x, target_y - to_y
        extent += x * x + y * y
        cos += x * u + y * v
        sin += x * v - y * u
    cos, sin = cos / extent, sin / extent
    return np.array(((cos, -sin, to_x - cos * from_x + sin * from_y), (sin, cos, to_y - sin * from_x - cos * from_y)))


def _middle(places: list[list[float]]) -> tuple[float, float]:
    return sum(x for x, _ in places) / len(places), sum(y for _, y in places) / len(places)


_ARCFACE_112 = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Eye of the subject's right and left, nose tip, mouth corners, in a crop of 112 x 112.
Source: `arcface_src` of the ArcFace reference implementation, to which the network's training faces were aligned."""
_ARCFACE_GROUPS = (RIGHT_EYE, LEFT_EYE, [1], [61], [291])

_DLIB_PADDING = 0.25
_DLIB_MEAN = np.array(
    [
        [0.8595674595992, 0.2134981538014],
        [0.6460604764104, 0.2289674387677],
        [0.1205750620789, 0.2137274526848],
        [0.3340850613712, 0.2290642403242],
        [0.4901123135679, 0.6277975316475],
    ]
)
"""Outer and inner corner of the subject's left eye, of the right eye, base of the nose, in a unit square.
Source: `get_face_chip_details` of dlib's `interpolation.h`, the branch for five points, with its usual padding of 0.25."""
_DLIB_GROUPS = ([263], [362], [33], [133], [2])
_DLIB_150 = (_DLIB_MEAN + _DLIB_PADDING) / (2 * _DLIB_PADDING + 1) * 150

_TEMPLATES = {(112, 112): (_ARCFACE_112, _ARCFACE_GROUPS), (150, 150): (_DLIB_150, _DLIB_GROUPS)}
