"""468 landmarks of a face, by the MediaPipe face mesh network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device.vision.detection import DetectedFace
from device.vision.frame import Pixels
from device.vision.geometry import Points, apply, cut, scale_of, square_to_frame
from device.vision.inference import Network

REGION_SCALE = 1.5
"""Side of the region against the longer side of the face box.
Source: the region step of the MediaPipe face mesh graph that the network was trained for (`scale_x: 1.5`)."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceLandmarks:
    """The landmarks of one face."""

    points: NDArray[np.float32]
    """float32 (468, 3): x, y in frame pixels, z in the same unit, growing away from the camera. MediaPipe's numbering."""
    presence: float
    """0..1, larger = more surely a face in the region."""

    @property
    def interocular_px(self) -> float:
        """Distance between the centres of the eyes in the picture plane, in pixels."""
        right, left = self._eyes()
        return math.dist(right, left)

    @property
    def keypoints(self) -> Points:
        """The six points a detection has, float32 (6, 2): eyes, nose tip, mouth centre and ears."""
        return np.array((*self._eyes(), *self.points[_NOSE_MOUTH_EARS, :2].tolist()), np.float32)

    @property
    def eye_centres(self) -> tuple[Points, Points]:
        """Centres of the subject's right and left eye, float32 (2,) each."""
        right, left = self._eyes()
        return np.array(right, np.float32), np.array(left, np.float32)

    def _eyes(self) -> tuple[tuple[float, float], tuple[float, float]]:
        places = self.points[[*RIGHT_EYE, *LEFT_EYE], :2].tolist()
        return _middle(places[:4]), _middle(places[4:])


def _middle(places: list[list[float]]) -> tuple[float, float]:
    return sum(x for x, _ in places) / len(places), sum(y for _, y in places) / len(places)


RIGHT_EYE = [33, 133, 159, 145]
"""The subject's right eye: outer corner, inner corner, upper lid, lower lid."""
LEFT_EYE = [263, 362, 386, 374]
"""The subject's left eye, likewise."""
_NOSE_MOUTH_EARS = [1, 13, 234, 454]


class LandmarkDetector:
    """Finds the landmarks of a face. Where it starts from is the caller's concern; only detections do not drift."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._size = network.manifest.preprocessing.width

    def find(self, pixels: Pixels, face: DetectedFace) -> FaceLandmarks:
        """Return the landmarks of a face.

        Args:
            pixels: uint8 (H, W, 3) RGB.
            face: where to look, detected in this frame or found in the one before; its eyes give the angle by which the region is
                turned upright.
        """
        x_min, y_min, x_max, y_max = face.box
        eyes = face.keypoints[1] - face.keypoints[0]
        to_frame = square_to_frame(
            ((x_min + x_max) / 2, (y_min + y_max) / 2),
            max(x_max - x_min, y_max - y_min, 1.0) * REGION_SCALE,
            math.atan2(float(eyes[1]), float(eyes[0])),
            self._size,
        )
        outputs = self._network.infer(cut(pixels, to_frame, (self._size, self._size)))
        raw = outputs["points"].reshape(468, 3)
        points = np.empty((468, 3), np.float32)
        points[:, :2] = apply(to_frame, raw)
        np.multiply(raw[:, 2], scale_of(to_frame), out=points[:, 2])
        logit = float(outputs["presence"].reshape(-1)[0])
        return FaceLandmarks(points=points, presence=1.0 / (1.0 + math.exp(-max(-80.0, min(80.0, logit)))))
