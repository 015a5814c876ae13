"""Which of the faces in front of the camera is the subject, and whether it has been so without a break."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from device.vision.detection import DetectedFace
from device.vision.geometry import Box, area, intersection_over_union
from device.vision.landmarks import FaceLandmarks

MINIMUM_OVERLAP = 0.3
"""A face belongs to a track if it overlaps the track's last box by at least this. At 10 frames/s and more a face moves
far less than half its width between frames; 0.3 is a shift of half a width."""
PATIENCE_NS = 250_000_000
"""A track whose face is missing for longer is lost. One missed detection at 10 frames/s is 200 ms between sightings;
nobody exchanges a person or a sheet at the same place within 250 ms, and continuity compares features besides."""
DETECTION_PERIOD_NS = 200_000_000
"""How long a lone face may be followed by its landmarks until the detector must look at the whole frame again. Less than the
patience, so that a second face is noticed, and a track is confirmed, in the time that a lost face would be forgiven."""
FOLLOWED_OVERLAP = 0.5
"""A followed face overlaps its last box by at least this: a shift of a third of its width. Faster movement is for the detector."""
FOLLOWED_PRESENCE = 0.95
"""The landmark network's least word on a face that is followed. Source: of 1088 regions beside the faces of ten clips, none that
was a face width off gave more than .02, and of those half a width off, where a face still is, 92 % gave .9 and more; faces give
.99 and more, with a covered mouth .97."""


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """The subject's face in the current frame."""

    face: DetectedFace
    track_id: int
    """Grows with each acquisition; the same number means unbroken presence."""
    is_cut_by_border: bool
    """Whether the face box reaches over the frame's border."""


@dataclass(frozen=True, slots=True)
class _Track:
    track_id: int
    box: Box
    seen_ns: int


class SubjectTracker:
    """Keeps one subject among several faces.

    All faces are tracked, so that somebody who walks past keeps an identity of their own and cannot inherit the subject's.
    The subject is the largest and most central face when there is none, and stays the subject until lost.

    Between detections a lone face is followed by its landmarks (`expected`, `follow`), never longer than `DETECTION_PERIOD_NS` and
    never after a detection that did not see it where it was followed to.
    """

    def __init__(self, *, patience_ns: int = PATIENCE_NS) -> None:
        self._patience_ns = patience_ns
        self._tracks: list[_Track] = []
        self._subject_id: int | None = None
        self._last_id = 0
        self._lone_face: DetectedFace | None = None
        self._detected_ns: int | None = None

    def update(
        self, faces: Sequence[DetectedFace], *, frame_size: tuple[int, int], monotonic_ns: int
    ) -> TrackedFace | None:
        """Take in the faces of the next frame and return the subject's, or None where it is not seen.

        Args:
            faces: all detections of the frame.
            frame_size: (width, height) in pixels.
            monotonic_ns: the frame's time; must not run backwards.
        """
        self._detected_ns = monotonic_ns
        self._lone_face = None
        assigned = self._assign(faces, monotonic_ns)
        if all(track.track_id != self._subject_id for track in self._tracks):
            self._subject_id = None
        if self._subject_id is None and faces:
            self._subject_id = max(assigned, key=lambda track_id: _prominence(assigned[track_id].box, frame_size))
        subject = assigned.get(self._subject_id) if self._subject_id is not None else None
        if subject is None or self._subject_id is None:
            return None
        if len(faces) == 1:
            self._lone_face = subject
        return TrackedFace(face=subject, track_id=self._subject_id, is_cut_by_border=_is_cut(subject.box, frame_size))

    def expected(self, monotonic_ns: int) -> DetectedFace | None:
        """Return the subject's face of the last frame if the next may be looked for there, None where the detector must look.

        Only a lone face is followed: with two in the picture one could slip into the other's track between detections.

        Args:
            monotonic_ns: the time of the frame to come.
        """
        if self._detected_ns is None or monotonic_ns - self._detected_ns >= DETECTION_PERIOD_NS:
            return None
        return self._lone_face

    def follow(self, face: DetectedFace, *, frame_size: tuple[int, int], monotonic_ns: int) -> TrackedFace | None:
        """Take in the expected face where its landmarks found it, or return None where it moved too far to be the same.

        Args:
            face: from `moved`.
            frame_size: (width, height) in pixels.
            monotonic_ns: the frame's time; must not run backwards.
        """
        before = self._lone_face
        if before is None or self._subject_id is None:
            return None
        if intersection_over_union(before.box, face.box) < FOLLOWED_OVERLAP:
            return None
        self._lone_face = face
        others = [track for track in self._tracks if track.track_id != self._subject_id]
        self._tracks = [_Track(self._subject_id, face.box, monotonic_ns), *others]
        return TrackedFace(face=face, track_id=self._subject_id, is_cut_by_border=_is_cut(face.box, frame_size))

    def forget_subject(self) -> None:
        """Drop every track, so that the next frame chooses a subject anew and under a new id."""
        self._tracks = []
        self._subject_id = None
        self._lone_face = None

    def _assign(self, faces: Sequence[DetectedFace], now_ns: int) -> dict[int, DetectedFace]:
        """Give every face a track and drop tracks not seen for too long.

        Tracks seen last go first, then the best overlaps: a passer-by seen in the last frame cannot inherit the track of the
        subject they hide.
        """
        alive = [track for track in self._tracks if now_ns - track.seen_ns <= self._patience_ns]
        pairs = sorted(
            (
                (track.seen_ns, intersection_over_union(track.box, face.box), track.track_id, index)
                for track in alive
                for index, face in enumerate(faces)
            ),
            reverse=True,
        )
        track_of_face: dict[int, int] = {}
        for _, overlap, track_id, index in pairs:
            if overlap >= MINIMUM_OVERLAP and index not in track_of_face and track_id not in track_of_face.values():
                track_of_face[index] = track_id
        assigned: dict[int, DetectedFace] = {}
        for index, face in enumerate(faces):
            if index not in track_of_face:
                self._last_id += 1
                track_of_face[index] = self._last_id
            assigned[track_of_face[index]] = face
        self._tracks = [_Track(track_id, face.box, now_ns) for track_id, face in assigned.items()]
        self._tracks += [track for track in alive if track.track_id not in assigned]
        return assigned


def moved(face: DetectedFace, before: FaceLandmarks, after: FaceLandmarks) -> DetectedFace:
    """Return a face whose box has gone where its landmarks went.

    Args:
        face: in the frame before.
        before: its landmarks there.
        after: its landmarks in the present frame.
    """
    (from_x, from_y, from_side), (to_x, to_y, to_side) = _outline(before), _outline(after)
    scale = to_side / max(from_side, 1e-3)
    x_min, y_min, x_max, y_max = face.box
    return DetectedFace(
        box=(
            to_x + (x_min - from_x) * scale,
            to_y + (y_min - from_y) * scale,
            to_x + (x_max - from_x) * scale,
            to_y + (y_max - from_y) * scale,
        ),
        keypoints=after.keypoints,
        score=face.score,
    )


def _outline(landmarks: FaceLandmarks) -> tuple[float, float, float]:
    """Return the centre of the face's outline and its longer side, in pixels."""
    places = landmarks.points[_OUTLINE].tolist()
    x, y = [place[0] for place in places], [place[1] for place in places]
    left, right, top, bottom = min(x), max(x), min(y), max(y)
    return (left + right) / 2, (top + bottom) / 2, max(right - left, bottom - top)


def _prominence(box: Box, frame_size: tuple[int, int]) -> float:
    """Return the box area, halved for each half frame width by which the box is off centre."""
    width, height = frame_size
    off_x = abs((box[0] + box[2]) / 2 - width / 2) / width
    off_y = abs((box[1] + box[3]) / 2 - height / 2) / height
    return area(box) * math.exp2(-2 * (off_x + off_y))


def _is_cut(box: Box, frame_size: tuple[int, int]) -> bool:
    return box[0] < 0 or box[1] < 0 or box[2] > frame_size[0] or box[3] > frame_size[1]


_OUTLINE = [10, 152, 234, 454, 127, 356, 93, 323]
"""Landmarks of forehead, chin and both sides."""
