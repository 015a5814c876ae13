"""Which of the faces in front of the camera is the subject, and whether it has been so without a break."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from device.vision.detection import DetectedFace
from device.vision.geometry import Box, area, intersection_over_union

MINIMUM_OVERLAP = 0.3
"""A face belongs to a track if it overlaps the track's last box by at least this. At 10 frames/s and more a face moves
far less than half its width between frames; 0.3 is a shift of half a width."""
PATIENCE_NS = 250_000_000
"""A track whose face is missing for longer is lost. One missed detection at 10 frames/s is 200 ms between sightings;
nobody exchanges a person or a sheet at the same place within 250 ms, and continuity compares features besides."""


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
    """

    def __init__(self, *, patience_ns: int = PATIENCE_NS) -> None:
        self._patience_ns = patience_ns
        self._tracks: list[_Track] = []
        self._subject_id: int | None = None
        self._last_id = 0

    def update(
        self, faces: Sequence[DetectedFace], *, frame_size: tuple[int, int], monotonic_ns: int
    ) -> TrackedFace | None:
        """Take in the faces of the next frame and return the subject's, or None where it is not seen.

        Args:
            faces: all detections of the frame.
            frame_size: (width, height) in pixels.
            monotonic_ns: the frame's time; must not run backwards.
        """
        assigned = self._assign(faces, monotonic_ns)
        if all(track.track_id != self._subject_id for track in self._tracks):
            self._subject_id = None
        if self._subject_id is None and faces:
            self._subject_id = max(assigned, key=lambda track_id: _prominence(assigned[track_id].box, frame_size))
        subject = assigned.get(self._subject_id) if self._subject_id is not None else None
        if subject is None or self._subject_id is None:
            return None
        return TrackedFace(face=subject, track_id=self._subject_id, is_cut_by_border=_is_cut(subject.box, frame_size))

    def forget_subject(self) -> None:
        """Drop every track, so that the next frame chooses a subject anew and under a new id."""
        self._tracks = []
        self._subject_id = None

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


def _prominence(box: Box, frame_size: tuple[int, int]) -> float:
    """Return the box area, halved for each half frame width by which the box is off centre."""
    width, height = frame_size
    off_x = abs((box[0] + box[2]) / 2 - width / 2) / width
    off_y = abs((box[1] + box[3]) / 2 - height / 2) / height
    return area(box) * math.exp2(-2 * (off_x + off_y))


def _is_cut(box: Box, frame_size: tuple[int, int]) -> bool:
    return box[0] < 0 or box[1] < 0 or box[2] > frame_size[0] or box[3] > frame_size[1]
