"""A face that looks into the camera."""

from __future__ import annotations

import numpy as np
import pytest

from device.vision.landmarks import FaceLandmarks


@pytest.fixture
def frontal_landmarks() -> FaceLandmarks:
    """A face that looks straight into the camera: the points that the code reads, the rest in the middle."""
    points = np.full((468, 3), (320.0, 240.0, 0.0), np.float32)
    place = {
        33: (270, 220), 133: (300, 220), 159: (285, 215), 145: (285, 225),
        263: (370, 220), 362: (340, 220), 386: (355, 215), 374: (355, 225),
        1: (320, 260), 2: (320, 268), 61: (295, 290), 291: (345, 290), 13: (320, 290), 14: (320, 290),
        234: (240, 240), 454: (400, 240), 127: (242, 220), 356: (398, 220), 93: (244, 260), 323: (396, 260),
        10: (320, 160), 152: (320, 340),
    }  # fmt: skip
    for index, (x, y) in place.items():
        points[index, :2] = x, y
    return FaceLandmarks(points=points, presence=1.0)
