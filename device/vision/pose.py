"""Head pose and mouth opening from the landmarks.

All signs are from the subject's point of view: positive yaw turns to the subject's own left (to the right in the picture),
positive pitch looks up, positive roll tilts the head to the subject's own left shoulder (clockwise in the picture).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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
    *sides, (top_x, top_y, top_z), (chin_x, chin_y, chin_z) = landmarks.points[_PLANE].tolist()
    half = len(sides) // 2
    across_x, across_y, across_z = (
        sum(side[axis] for side in sides[half:]) - sum(side[axis] for side in sides[:half]) for axis in range(3)
    )
    down_x, down_y, down_z = chin_x - top_x, chin_y - top_y, chin_z - top_z
    forward_x = across_z * down_y - across_y * down_z
    forward_y = across_x * down_z - across_z * down_x
    forward_z = across_y * down_x - across_x * down_y
    length = math.hypot(forward_x, forward_y, forward_z)
    if length == 0.0:
        return HeadPose(0.0, 0.0, 0.0)
    return HeadPose(
        yaw_deg=math.degrees(math.atan2(forward_x, -forward_z)),
        pitch_deg=math.degrees(math.asin(max(-1.0, min(1.0, -forward_y / length)))) - _REST_PITCH_DEG,
        roll_deg=math.degrees(math.atan2(across_y, across_x)),
    )


def mouth_openness(landmarks: FaceLandmarks) -> float:
    """Return the distance of the inner lips divided by the width of the mouth, 0 closed; both measured in space."""
    upper, lower, right, left = landmarks.points[_MOUTH].tolist()
    return math.dist(upper, lower) / max(math.dist(right, left), 1e-3)


_RIGHT_SIDE, _LEFT_SIDE = (234, 127, 93), (454, 356, 323)
"""Pairs at the ears: the subject's right, left."""
_FOREHEAD, _CHIN = 10, 152
_PLANE = [*_RIGHT_SIDE, *_LEFT_SIDE, _FOREHEAD, _CHIN]
_REST_PITCH_DEG = -8.0
"""Pitch of the plane through ears, forehead and chin when the eyes look straight ahead: the chin stands back.
Source: median over clips of four real and two rendered people facing the camera: -5, -8, -12, (+10, turning), -7, -13."""
_UPPER_LIP, _LOWER_LIP = 13, 14
_MOUTH_RIGHT, _MOUTH_LEFT = 61, 291
_MOUTH = [_UPPER_LIP, _LOWER_LIP, _MOUTH_RIGHT, _MOUTH_LEFT]
