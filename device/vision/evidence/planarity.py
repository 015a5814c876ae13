"""Whether a turning head is solid: the pictures of a sheet, however it is turned, are one homography apart; a head's are not.

A film of a person who turns shows a solid head too, so this kind of evidence stops prints and masks of paper, not recordings.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from device.vision.evidence.results import Writer
from device.vision.landmarks import FaceLandmarks
from device.vision.pose import HeadPose
from protocol.evidence import EvidenceKind, EvidenceResult
from protocol.policy import PlanarityPolicy

RIGID_POINTS = (
    *(10, 109, 338, 67, 297, 103, 332, 54, 284, 151, 9),
    *(33, 133, 263, 362),
    *(168, 6, 197, 195, 5, 4, 1, 98, 327, 2),
    *(50, 280, 205, 425, 116, 345, 117, 346, 123, 352, 187, 411),
    *(132, 361, 93, 323, 172, 397),
)
"""Forehead, eye corners, nose, cheeks, side of the face. They stand at depths from the tip of the nose to the ears and cover the face
evenly; lips, lids, brows and chin are left out, as a face that only talks or winks must not look solid."""

_MOST_FRAMES = 600
"""Frames kept: twenty seconds at 30 frames/s, of the rest, of turns and of the present movement each."""
_LEAST_REST_FRAMES = 3
_RIGID = np.array(RIGID_POINTS)
_FOREHEAD_PLACE, _NOSE_BASE_PLACE = RIGID_POINTS.index(10), RIGID_POINTS.index(2)
"""Their distance is a length that a turn to the side does not shorten and a mouth does not stretch."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pose:
    """Rigid points of one frame."""

    points: NDArray[np.float64]
    """float64 (N, 2) in frame pixels."""
    interocular: float
    height: float
    yaw_deg: float
    pitch_deg: float


class PlanarityRecorder:
    """Collects landmarks at rest, and of the turns that answered a prompt. Landmarks are forgotten with `forget`.

    Whoever turns when nobody asked, or otherwise than asked, need not be the one who answers: a movement is judged once it is known
    to be the answer, and the rest of it as it goes on.
    """

    def __init__(self) -> None:
        self._rest: deque[_Pose] = deque(maxlen=_MOST_FRAMES)
        self._pending: deque[tuple[int, _Pose]] = deque(maxlen=_MOST_FRAMES)
        self._others: deque[_Pose] = deque(maxlen=_MOST_FRAMES)

    def observe_rest(self, landmarks: FaceLandmarks, pose: HeadPose) -> None:
        """Take in one frame of the subject at rest (`ActionReport.is_at_rest`).

        Args:
            landmarks: of the subject, in frame pixels.
            pose: the head's pose in that frame.
        """
        seen = _pose_of(landmarks, pose)
        if seen is not None:
            self._rest.append(seen)

    def observe_movement(self, sequence: int, landmarks: FaceLandmarks, pose: HeadPose) -> None:
        """Take in one frame, by its number, of a movement that may be the answer to the open prompt; it counts after `keep`."""
        seen = _pose_of(landmarks, pose)
        if seen is not None:
            self._pending.append((sequence, seen))

    def keep(self, first: int) -> None:
        """Let the frames of the present movement count, from the one with this number on: it answers the prompt."""
        self._others.extend(seen for sequence, seen in self._pending if sequence >= first)
        self._pending.clear()

    def drop(self) -> None:
        """Forget the present movement: it answered nothing."""
        self._pending.clear()

    def forget(self) -> None:
        """Drop all landmarks."""
        self._rest.clear()
        self._pending.clear()
        self._others.clear()

    def assess(self, rules: PlanarityPolicy | None) -> EvidenceResult:
        """Judge what was seen so far.

        Returns:
            The score is the median, over frames turned by `min_yaw_deg` and more against the rest, of the residual of the best
            homography from the rest, root mean square, in distances between the eyes: larger = more solid. Passed with `solid`,
            failed with `flat`. Not run with `not_in_policy`, `no_rest` without resting frames, or `too_few_turns`.
        """
        write = Writer(EvidenceKind.PLANARITY)
        if rules is None:
            return write.not_run("not_in_policy")
        if len(self._rest) < _LEAST_REST_FRAMES:
            return write.not_run("no_rest", {"rest_frames": len(self._rest)})
        base = _median_pose(tuple(self._rest))
        turned = [pose for pose in self._others if abs(pose.yaw_deg - base.yaw_deg) >= rules.min_yaw_deg]
        residuals = [value for pose in turned if math.isfinite(value := homography_residual(base, pose))]
        yaw = max((abs(pose.yaw_deg - base.yaw_deg) for pose in self._others), default=0.0)
        measures = {"turned_frames": float(len(residuals)), "largest_yaw_deg": yaw}
        if len(residuals) < rules.min_frames:
            return write.not_run("too_few_turns", measures)
        score = float(np.median(residuals))
        return write.judged(score, rules.min_residual, reasons=("solid", "flat"), measures=measures)


def homography_residual(rest: _Pose, turned: _Pose) -> float:
    """Return how far the points of a turned face are from the best homography of the face at rest.

    Returns:
        Root mean square distance divided by the distance between the eyes at rest, brought to the size that the face has in the
        turned frame by its height; 0 for a perfect sheet, NaN if no homography can be fitted.

    Source: two pictures of a plane are related by a homography (Hartley and Zisserman, Multiple View Geometry). Least squares over
    all points, without throwing any out: the points that do not fit are the evidence.
    """
    matrix, _ = cv2.findHomography(rest.points.astype(np.float32), turned.points.astype(np.float32), 0)
    if matrix is None or not np.isfinite(matrix).all():
        return math.nan
    mapped = np.column_stack([rest.points, np.ones(len(rest.points))]) @ matrix.T
    if (np.abs(mapped[:, 2]) < 1e-9).any():
        return math.nan
    distance = np.linalg.norm(mapped[:, :2] / mapped[:, 2:] - turned.points, axis=1)
    unit = rest.interocular * turned.height / rest.height
    return float(np.sqrt((distance**2).mean()) / unit)


def _pose_of(landmarks: FaceLandmarks, pose: HeadPose) -> _Pose | None:
    points = landmarks.points[_RIGID, :2].astype(np.float64)
    interocular = landmarks.interocular_px
    height = math.dist(points[_FOREHEAD_PLACE].tolist(), points[_NOSE_BASE_PLACE].tolist())
    if not (np.isfinite(points).all() and math.isfinite(pose.yaw_deg) and interocular > 1.0 and height > 1.0):
        return None
    return _Pose(points, interocular, height, pose.yaw_deg, pose.pitch_deg)


def _median_pose(poses: tuple[_Pose, ...]) -> _Pose:
    """Return the median of resting frames: of the pose, and of the points of the frames nearest to it.

    A person sways while at rest, so points are averaged only after each frame has been moved onto the first.
    """
    yaw = float(np.median([pose.yaw_deg for pose in poses]))
    pitch = float(np.median([pose.pitch_deg for pose in poses]))
    near = sorted(poses, key=lambda pose: abs(pose.yaw_deg - yaw) + abs(pose.pitch_deg - pitch))
    near = near[: max(_LEAST_REST_FRAMES, len(near) // 2)]
    first = near[0]
    moved = []
    for pose in near:
        matrix, _ = cv2.estimateAffinePartial2D(
            pose.points.astype(np.float32), first.points.astype(np.float32), method=cv2.LMEDS
        )
        if matrix is not None and np.isfinite(matrix).all():
            moved.append(pose.points @ matrix[:, :2].T + matrix[:, 2])
    points = np.median(moved, axis=0) if moved else first.points
    return _Pose(points, first.interocular, first.height, yaw, pitch)
