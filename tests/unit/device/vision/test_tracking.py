from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from device.vision.detection import DetectedFace
from device.vision.tracking import PATIENCE_NS, SubjectTracker, TrackedFace

SIZE = (640, 480)
STEP = 50_000_000


def face(x: float, y: float = 240, side: float = 120) -> DetectedFace:
    half = side / 2
    return DetectedFace(box=(x - half, y - half, x + half, y + half), keypoints=np.zeros((6, 2), np.float32), score=0.9)


def follow(tracker: SubjectTracker, frames: list[list[DetectedFace]], start: int = 0) -> list[TrackedFace | None]:
    return [
        tracker.update(faces, frame_size=SIZE, monotonic_ns=(start + index) * STEP)
        for index, faces in enumerate(frames)
    ]


def test_largest_and_most_central_face_is_chosen() -> None:
    small_central, large_central, large_aside = face(320, side=60), face(330, side=140), face(80, side=150)
    tracked = SubjectTracker().update([small_central, large_aside, large_central], frame_size=SIZE, monotonic_ns=0)
    assert tracked is not None
    assert tracked.face is large_central


def test_subject_is_kept_when_a_larger_face_appears() -> None:
    subject = face(320)
    seen = follow(SubjectTracker(), [[subject], [face(500, side=240), subject]])
    assert [item.face for item in seen if item] == [subject, subject]
    assert len({item.track_id for item in seen if item}) == 1


def test_face_passing_in_front_never_takes_over() -> None:
    tracker = SubjectTracker()
    frames: list[list[DetectedFace]] = [[face(320)]]
    for x in range(0, 640, 20):
        passing = face(x, side=130)
        is_hidden = abs(x - 320) < 60  # the passer-by covers the subject for six frames, one of them found in its place
        frames.append([passing] if is_hidden else [face(320), passing])
    seen = follow(tracker, frames)
    subject_id = seen[0].track_id if seen[0] else None
    for faces, item in zip(frames, seen, strict=True):
        if item is not None and item.track_id == subject_id:
            assert item.face is faces[0]
            assert item.face.box == face(320).box


def test_short_gap_keeps_the_track_and_long_gap_makes_a_new_one() -> None:
    tracker = SubjectTracker()
    first = tracker.update([face(320)], frame_size=SIZE, monotonic_ns=0)
    assert tracker.update([], frame_size=SIZE, monotonic_ns=STEP) is None
    back = tracker.update([face(325)], frame_size=SIZE, monotonic_ns=PATIENCE_NS)
    again = tracker.update([face(325)], frame_size=SIZE, monotonic_ns=2 * PATIENCE_NS + 1)
    assert first is not None
    assert back is not None
    assert again is not None
    assert first.track_id == back.track_id != again.track_id


def test_jump_to_another_place_is_another_track() -> None:
    tracker = SubjectTracker()
    seen = follow(tracker, [[face(150)], [face(500)], [face(500)], *[[face(500)]] * 8])
    ids = [item.track_id for item in seen if item]
    assert ids[0] not in ids[1:]
    assert seen[1] is None  # the subject may still come back; nobody takes its place at once


def test_face_over_the_border_is_flagged() -> None:
    inside, cut = follow(SubjectTracker(), [[face(320)], [face(330)]])[0], None
    cut = SubjectTracker().update([face(20)], frame_size=SIZE, monotonic_ns=0)
    assert inside is not None
    assert cut is not None
    assert not inside.is_cut_by_border
    assert cut.is_cut_by_border


def test_forgotten_subject_gets_a_new_id() -> None:
    tracker = SubjectTracker()
    first = tracker.update([face(320)], frame_size=SIZE, monotonic_ns=0)
    tracker.forget_subject()
    second = tracker.update([face(320)], frame_size=SIZE, monotonic_ns=STEP)
    assert first is not None
    assert second is not None
    assert first.track_id != second.track_id


@given(st.lists(st.lists(st.tuples(st.floats(0, 640), st.floats(20, 300)), max_size=4), max_size=20))
def test_track_ids_never_come_back_once_lost(frames: list[list[tuple[float, float]]]) -> None:
    seen = follow(SubjectTracker(), [[face(x, side=side) for x, side in faces] for faces in frames])
    ids = [item.track_id for item in seen if item]
    changes = [b for a, b in itertools.pairwise(ids) if a != b]
    assert len(changes) == len(set(changes))
    assert ids[:1] == [] or ids[0] not in changes
