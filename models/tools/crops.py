"""Cutting faces and eyes out of pictures for calibration, with the float networks and the terminal's geometry.

This is the one place where the build repeats geometry of the terminal: a network file must not change because the terminal's
code did. All coordinates are pixels of the picture, x to the right, y down.

Source: MediaPipe's graphs `face_detection_full_range`, `face_landmark_front` and `iris_landmark_left_and_right` for the regions;
Deng et al., "ArcFace", CVPR 2019, reference code, for the five target points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.tools.pictures import Matrix, Picture, letterbox, sample

Floats = NDArray[np.float64]
Network = Callable[[Picture], list[NDArray[np.float32]]]
"""A float network with its own scaling of pixels: picture in, outputs in the file's order."""

DETECTION_SIZE = 192
LANDMARK_SIZE = 192
EYE_SIZE = 64
FACE_SIZE = 112
FACE_POINTS = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
"""Eye centres (picture left, right), nose tip, mouth corners (left, right) in the 112 x 112 ArcFace chip."""
# The build works on pictures that hold one face, so the best anchor is enough; no suppression is needed.
_MIN_SCORE = 0.5
_GRID = 48
_ROI_SCALE = 1.5
_EYE_SCALE = 2.3
_LEFT_EYE_CORNERS = (33, 133)
_RIGHT_EYE_CORNERS = (362, 263)
_LEFT_EYE = (33, 133, 159, 145)
_RIGHT_EYE = (263, 362, 386, 374)
_NOSE, _MOUTH_LEFT, _MOUTH_RIGHT = 1, 61, 291


@dataclass(frozen=True, slots=True)
class Face:
    """One face as the float networks see it."""

    score: float
    """Detection score, 0..1, larger is surer."""
    roi: Matrix
    """From landmark-network pixels to picture pixels."""
    points: Floats
    """float64 (468, 2), picture pixels."""


def find_face(picture: Picture, detection: Network, landmarks: Network) -> Face | None:
    """Return the surest face of a picture, or None where no anchor reaches score 0.5."""
    square, back = letterbox(picture, DETECTION_SIZE)
    boxes, scores = sorted(detection(square), key=lambda output: -output.shape[-1])
    best = decode_best(boxes, scores)
    if best is None:
        return None
    score, corners = best
    roi = _face_roi(_moved(corners, back))
    crop = sample(picture, roi, LANDMARK_SIZE, LANDMARK_SIZE)
    mesh = next(output for output in landmarks(crop) if output.size == 468 * 3)
    return Face(score, roi, _moved(mesh.reshape(468, 3)[:, :2].astype(np.float64), roi))


def decode_best(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> tuple[float, Floats] | None:
    """Return score and (4, 2) points (box corners, right and left eye) of the best anchor, in network pixels."""
    logits = scores.reshape(-1).astype(np.float64)
    best = int(logits.argmax())
    score = float(1 / (1 + np.exp(-np.clip(logits[best], -80, 80))))
    if score < _MIN_SCORE:
        return None
    raw = boxes.reshape(-1, 16)[best].astype(np.float64)
    anchor = (np.array([best % _GRID, best // _GRID]) + 0.5) / _GRID * DETECTION_SIZE
    centre, half = raw[:2] + anchor, raw[2:4] / 2
    return score, np.stack([centre - half, centre + half, raw[4:6] + anchor, raw[6:8] + anchor])


def face_crop(picture: Picture, face: Face) -> Picture:
    """Return the 192 x 192 region the landmark network sees: 1.5 times the box, turned until the eyes are level."""
    return sample(picture, face.roi, LANDMARK_SIZE, LANDMARK_SIZE)


def close_up(picture: Picture, face: Face, scale: float) -> Picture:
    """Return what a detector sees of a face that nearly fills the frame: `scale` times the landmark region, 192 x 192."""
    middle = np.full(2, (DETECTION_SIZE - 1) / 2)
    turn, centre = face.roi[:, :2] * scale, _moved(middle[None], face.roi)[0]
    return sample(picture, np.column_stack([turn, centre - turn @ middle]), DETECTION_SIZE, DETECTION_SIZE)


def eye_crops(picture: Picture, face: Face) -> tuple[Picture, Picture]:
    """Return both 64 x 64 eye regions, the picture-right one mirrored: the network knows one kind of eye."""
    left, right = (_eye_roi(face.points[list(corners)]) for corners in (_LEFT_EYE_CORNERS, _RIGHT_EYE_CORNERS))
    right_crop = sample(picture, right, EYE_SIZE, EYE_SIZE)[:, ::-1]
    return sample(picture, left, EYE_SIZE, EYE_SIZE), np.ascontiguousarray(right_crop)


def five_points(points: Floats) -> Floats:
    """Return eye centres, nose tip and mouth corners, float64 (5, 2), of a 468-point mesh."""
    eyes = [points[list(group)].mean(axis=0) for group in (_LEFT_EYE, _RIGHT_EYE)]
    return np.stack([*eyes, points[_NOSE], points[_MOUTH_LEFT], points[_MOUTH_RIGHT]])


def aligned_chip(picture: Picture, points: Floats, target: Floats, size: int) -> Picture:
    """Return the (size, size, 3) chip in which the five points lie as near as can be to their targets."""
    return sample(picture, similarity(target, five_points(points)), size, size)


def similarity(source: Floats, target: Floats) -> Matrix:
    """Return the rotation, scale and shift that carry points onto others with the least squared error.

    Source: Umeyama, IEEE TPAMI 13(4), 1991, equations 40 to 43.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    s, t = source - source_mean, target - target_mean
    u, singular, vt = np.linalg.svd(t.T @ s / len(source))
    sign = np.diag([1.0, float(np.sign(np.linalg.det(u) * np.linalg.det(vt)))])
    rotation = u @ sign @ vt
    scale = float((singular * np.diag(sign)).sum() / (s**2).sum(axis=1).mean())
    return np.column_stack([scale * rotation, target_mean - scale * rotation @ source_mean])


def _face_roi(points: Floats) -> Matrix:
    low, high, right_eye, left_eye = points
    return _square((low + high) / 2, float((high - low).max()) * _ROI_SCALE, left_eye - right_eye, LANDMARK_SIZE)


def _eye_roi(corners: Floats) -> Matrix:
    along = corners[1] - corners[0]
    return _square(corners.mean(axis=0), float(np.hypot(*along)) * _EYE_SCALE, along, EYE_SIZE)


def _square(centre: Floats, side: float, along: Floats, size: int) -> Matrix:
    # Quarter pixels: rounding differences between processors in the float networks do not reach the crop.
    centre, side = np.round(centre * 4) / 4, round(side * 4) / 4
    angle = np.deg2rad(np.round(np.rad2deg(np.arctan2(along[1], along[0])) * 4) / 4)
    scale = side / size
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, centre - turn @ np.full(2, (size - 1) / 2)])


def _moved(points: Floats, matrix: Matrix) -> Floats:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])
