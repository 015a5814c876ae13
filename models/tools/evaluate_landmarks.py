"""Landmarks: how often they are found and how well they agree with themselves.

There are no hand-labelled points, so this is consistency, not accuracy: the points of a picture against those of its mirror
image, of the same points of the subject, divided by the distance between the eyes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.vision.detection import DetectedFace, FaceDetector
from device.vision.frame import Pixels
from device.vision.geometry import area, intersection_over_union
from device.vision.inference import Networks
from device.vision.landmarks import FaceLandmarks, LandmarkDetector
from models.tools.evaluate_detection import OVERLAP
from models.tools.evaluate_index import existing_file, read_index, read_picture
from models.tools.evaluate_stills import names_of
from models.tools.evaluate_verification import Paths
from models.tools.metrics import wilson

COLUMNS = ("file",)
PRESENCE = 0.5
"""Below it the landmark network says that there is no face."""


def read_files(index: Path) -> list[Path]:
    """Read the distinct files of any index with a column `file`.

    Raises:
        IndexInvalid: names every bad row.
    """
    return sorted(set(read_index(index, COLUMNS, _file)))


def evaluate_landmarks(paths: Sequence[Path], networks: Networks, *, track: Paths = iter) -> dict[str, Any]:
    """Return how often the largest face of a picture gets landmarks, and how they agree with the mirror image's."""
    finder = _Finder(networks)
    presences: list[float] = []
    differences: list[float] = []
    unreadable = undetected = absent = unmirrored = 0
    for path in track(paths):
        picture = read_picture(path)
        if picture is None:
            unreadable += 1
            continue
        found = finder.find(picture)
        if found is None:
            undetected += 1
            continue
        face, landmarks = found
        presences.append(landmarks.presence)
        if landmarks.presence < PRESENCE:
            absent += 1
            continue
        difference = finder.mirror_difference(picture, face, landmarks)
        if difference is None:
            unmirrored += 1
        else:
            differences.append(difference)
    failures = unreadable + undetected + absent
    used = names_of(networks)
    return {
        "failures_to_acquire": failures,
        "failure_to_acquire_rate": failures / len(paths),
        "failure_to_acquire_interval": wilson(failures, len(paths)),
        "unreadable": unreadable,
        "undetected": undetected,
        "presence_below_half": absent,
        "mirror_image_failures": unmirrored,
        "presence": _spread(presences),
        "mirror_difference": _spread(differences),
        "pictures": len(paths),
        "networks": used.digests,
        "runtime": used.runtime,
        "method": "consistency, not accuracy: mean distance between the points of a picture and of its mirror image, divided by "
        "the distance between the eyes; the largest face of each picture",
    }


class _Finder:
    """Detection and landmarks of the largest face."""

    def __init__(self, networks: Networks) -> None:
        self._detector = FaceDetector(networks.detection)
        self._landmarks = LandmarkDetector(networks.landmarks)

    def find(self, picture: Pixels) -> tuple[DetectedFace, FaceLandmarks] | None:
        """Return the largest face and its landmarks, None where there is none."""
        faces = self._detector.detect(picture)
        if not faces:
            return None
        largest = max(faces, key=lambda face: area(face.box))
        return largest, self._landmarks.find(picture, largest)

    def mirror_difference(self, picture: Pixels, face: DetectedFace, landmarks: FaceLandmarks) -> float | None:
        """Return the mean distance to the points of the mirror image in eye distances, None where it has no such face."""
        edge = picture.shape[1] - 1
        mirrored = np.ascontiguousarray(picture[:, ::-1])
        x_min, y_min, x_max, y_max = face.box
        expected = (edge - x_max, y_min, edge - x_min, y_max)
        for other in self._detector.detect(mirrored):
            if intersection_over_union(expected, other.box) >= OVERLAP:
                found = self._landmarks.find(mirrored, other).points
                back = found[_MIRROR_OF, :2] * np.array([-1, 1]) + np.array([edge, 0])
                distances = np.linalg.norm(back - landmarks.points[_POINTS, :2], axis=1)
                return float(distances.mean() / max(landmarks.interocular_px, 1e-6))
        return None


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    array: NDArray[np.float64] = np.asarray(values)
    return {name: float(np.percentile(array, q)) for name, q in (("p5", 5), ("median", 50), ("p95", 95), ("max", 100))}


def _file(cells: Mapping[str, str], root: Path) -> Path:
    return existing_file(cells["file"], root)


_PAIRS = (
    (33, 263), (133, 362), (159, 386), (145, 374), (61, 291), (234, 454), (127, 356), (93, 323), (50, 280), (205, 425),
    (98, 327), (105, 334), (70, 300), (58, 288), (172, 397), (136, 365), (150, 379), (40, 270), (91, 321),
)  # fmt: skip
"""Points of the subject's right side and the same of the left side, over eyes, brows, nose, mouth, cheeks and contour."""
_MIDDLE = (1, 4, 10, 13, 14, 17, 152, 168)
_POINTS = [right for right, _ in _PAIRS] + [left for _, left in _PAIRS] + list(_MIDDLE)
_MIRROR_OF = [left for _, left in _PAIRS] + [right for right, _ in _PAIRS] + list(_MIDDLE)
