from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from device.vision.landmarks import FaceLandmarks
from device.vision.pose import head_pose, mouth_openness


def turned(landmarks: FaceLandmarks, axis: str, degrees: float) -> FaceLandmarks:
    """Turn the points about the face's middle; x right, y down, z away from the camera."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = {
        "y": [[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]],
        "x": [[1, 0, 0], [0, cos, sin], [0, -sin, cos]],
        "z": [[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]],
    }[axis]
    middle = np.array([320, 240, 0])
    return replace(landmarks, points=((landmarks.points - middle) @ np.array(matrix).T + middle).astype(np.float32))


@pytest.mark.parametrize("degrees", [-40, -10, 0, 10, 40])
def test_turning_to_the_own_left_is_positive_yaw(frontal_landmarks: FaceLandmarks, degrees: float) -> None:
    # The subject's left ear (right in the picture) goes away from the camera.
    assert head_pose(turned(frontal_landmarks, "y", degrees)).yaw_deg == pytest.approx(degrees, abs=0.1)
    left_ear = turned(frontal_landmarks, "y", 30).points[454]
    assert left_ear[2] > 0


@pytest.mark.parametrize("degrees", [-30, 0, 30])
def test_looking_up_is_positive_pitch(frontal_landmarks: FaceLandmarks, degrees: float) -> None:
    rest = head_pose(frontal_landmarks).pitch_deg
    assert head_pose(turned(frontal_landmarks, "x", degrees)).pitch_deg - rest == pytest.approx(degrees, abs=0.1)
    chin = turned(frontal_landmarks, "x", 30).points[152]
    assert chin[2] < 0  # the chin comes nearer to the camera


@pytest.mark.parametrize("degrees", [-30, 0, 30])
def test_tilting_to_the_own_left_shoulder_is_positive_roll(frontal_landmarks: FaceLandmarks, degrees: float) -> None:
    pose = head_pose(turned(frontal_landmarks, "z", degrees))
    assert pose.roll_deg == pytest.approx(degrees, abs=0.1)
    assert pose.yaw_deg == pytest.approx(0, abs=0.1)
    forehead = turned(frontal_landmarks, "z", 30).points[10]
    assert forehead[0] > 320


def test_mouth_openness_does_not_change_when_the_head_turns(frontal_landmarks: FaceLandmarks) -> None:
    assert mouth_openness(frontal_landmarks) == 0
    points = frontal_landmarks.points.copy()
    points[14, 1] += 25
    opened = replace(frontal_landmarks, points=points)
    assert mouth_openness(opened) == pytest.approx(0.5)
    assert mouth_openness(turned(opened, "y", 35)) == pytest.approx(0.5, abs=0.01)


def test_points_without_extent_have_a_pose() -> None:
    nothing = FaceLandmarks(points=np.zeros((468, 3), np.float32), presence=0.0)
    assert head_pose(nothing).yaw_deg == 0
    assert mouth_openness(nothing) == 0
