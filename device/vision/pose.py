"""Head pose and mouth opening from the landmarks.

All signs are from the subject's point of view: positive yaw turns to the subject's own left (to the right in the picture),
positive pitch looks up, positive roll tilts the head to the subject's own left shoulder (clockwise in the picture).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from device.vision.landmarks import FaceLandmarks


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Angles of the head against the camera's axis, in degrees; 0, 0, 0 looks into the camera.

    They come from the mesh's own depth, whose scale and zero differ a little from person to person (slope against the true
    yaw 1.03 and 1.35 on two rendered heads; .11 to .15 on flat prints): use differences from the person's own rest.
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float


def head_pose(landmarks: FaceLandmarks) -> HeadPose:
    """Return the pose of a face from the plane through its sides, forehead and chin."""
    points = landmarks.points
    across = np.mean([points[left] - points[right] for right, left in _SIDES], axis=0)
    down = points[_CHIN] - points[_FOREHEAD]
    back = np.cross(across, down)
    length = float(np.linalg.norm(back))
    if length == 0.0:
        return HeadPose(0.0, 0.0, 0.0)
    forward_x, forward_y, forward_z = (float(value) for value in -back / length)
    return HeadPose(
        yaw_deg=math.degrees(math.atan2(forward_x, -forward_z)),
        pitch_deg=math.degrees(math.asin(max(-1.0, min(1.0, -forward_y)))) - _REST_PITCH_DEG,
        roll_deg=math.degrees(math.atan2(float(across[1]), float(across[0]))),
    )


def mouth_openness(landmarks: FaceLandmarks) -> float:
    """Return the distance of the inner lips divided by the width of the mouth, 0 closed; both measured in space."""
    points = landmarks.points
    gap = float(np.linalg.norm(points[_UPPER_LIP] - points[_LOWER_LIP]))
    width = float(np.linalg.norm(points[_MOUTH_LEFT] - points[_MOUTH_RIGHT]))
    return gap / max(width, 1e-3)


_SIDES = ((234, 454), (127, 356), (93, 323))
"""Pairs at the ears: the subject's right, left."""
_FOREHEAD, _CHIN = 10, 152
_REST_PITCH_DEG = -8.0
"""Pitch of the plane through ears, forehead and chin when the eyes look straight ahead: the chin stands back.
Source: median over clips of four real and two rendered people facing the camera: -5, -8, -12, (+10, turning), -7, -13."""
_UPPER_LIP, _LOWER_LIP = 13, 14
_MOUTH_RIGHT, _MOUTH_LEFT = 61, 291
