"""How far each eye is open, from the eyelid contour of the MediaPipe iris network.

The mesh hardly follows closing lids (it says .91 of open where this contour says .30), so blinks are read here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from device.vision.frame import Pixels
from device.vision.geometry import cut, square_to_frame
from device.vision.inference import Network
from device.vision.landmarks import FaceLandmarks

REGION_SCALE = 2.3
"""Side of the region against the distance of the eye corners.
Source: the region step of the MediaPipe iris graph that the network was trained for (`scale_x: 2.3`)."""
_CORNERS = ([33, 133], [362, 263])
"""Landmarks of the corners from left to right in the picture: the subject's right eye, then the left."""
_LOWER_LID = [3, 4, 5]
_UPPER_LID = [11, 12, 13]
_OUTER, _INNER = 0, 8
_PAIRS = len(_UPPER_LID)
_PLACES = [*_UPPER_LID, *_LOWER_LID, _OUTER, _INNER]
"""Places in the contour of 71 points, whose first 16 go along the lower lid from the outer to the inner corner, then along
the upper lid from the outer corner on."""


@dataclass(frozen=True, slots=True)
class EyeOpenness:
    """Lid distance divided by eye width, about 0.3 open and 0.1 closed, different from person to person."""

    right: float
    """The subject's right eye."""
    left: float
    """The subject's left eye."""

    @property
    def mean(self) -> float:
        """Mean of both eyes."""
        return (self.right + self.left) / 2


class EyelidDetector:
    """Measures the openness of both eyes."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._size = network.manifest.preprocessing.width

    def measure(self, pixels: Pixels, landmarks: FaceLandmarks) -> EyeOpenness:
        """Return the openness of the eyes of a face.

        Args:
            pixels: uint8 (H, W, 3) RGB, the frame of the landmarks.
            landmarks: of the face.
        """
        right, left = (self._openness(pixels, landmarks, index) for index in (0, 1))
        return EyeOpenness(right=right, left=left)

    def _openness(self, pixels: Pixels, landmarks: FaceLandmarks, index: int) -> float:
        (x, y, _), (to_x, to_y, _) = landmarks.points[_CORNERS[index]].tolist()
        to_frame = square_to_frame(
            ((x + to_x) / 2, (y + to_y) / 2),
            max(math.hypot(to_x - x, to_y - y), 1.0) * REGION_SCALE,
            math.atan2(to_y - y, to_x - x),
            self._size,
            mirror=index == 1,  # the network knows right eyes only
        )
        found = self._network.infer(cut(pixels, to_frame, (self._size, self._size)))["contour"]
        places = [place[:2] for place in found.reshape(-1, 3)[_PLACES].tolist()]
        gap = sum(math.dist(places[index], places[index + _PAIRS]) for index in range(_PAIRS)) / _PAIRS
        return gap / max(math.dist(places[-2], places[-1]), 1e-3)
