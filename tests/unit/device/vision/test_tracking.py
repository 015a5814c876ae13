from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from device.vision.detection import DetectedFace
from device.vision.landmarks import FaceLandmarks
from device.vision.tracking import DETECTION_PERIOD_NS, PATIENCE_NS, SubjectTracker, TrackedFace, moved

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


def test_lone_face_is_expected_where_it_was_until_the_detector_must_look_again() -> None:
    tracker = SubjectTracker()
    assert tracker.expected(0) is None
    follow(tracker, [[face(320)]])
    assert tracker.expected(STEP) is not None
    assert tracker.follow(face(330), frame_size=SIZE, monotonic_ns=STEP) is not None
    expected = tracker.expected(2 * STEP)
    assert expected is not None
    assert expected.box == face(330).box
    assert tracker.expected(DETECTION_PERIOD_NS) is None


def test_followed_face_keeps_its_track() -> None:
    tracker = SubjectTracker()
    (first,) = follow(tracker, [[face(320)]])
    ids = [first.track_id] if first else []
    for index in range(1, 100):
        x = 320 + 4 * index
        tracked = (
            tracker.follow(face(x), frame_size=SIZE, monotonic_ns=index * STEP)
            if tracker.expected(index * STEP)
            else tracker.update([face(x)], frame_size=SIZE, monotonic_ns=index * STEP)
        )
        assert tracked is not None
        assert tracked.is_cut_by_border == (x + 60 > SIZE[0])
        ids.append(tracked.track_id)
    assert len(ids) == 100
    assert len(set(ids)) == 1


def test_no_face_is_followed_while_there_are_two() -> None:
    tracker = SubjectTracker()
    follow(tracker, [[face(200), face(450)]])
    assert tracker.expected(STEP) is None


def test_face_that_jumps_is_not_followed() -> None:
    tracker = SubjectTracker()
    follow(tracker, [[face(200)]])
    assert tracker.follow(face(270), frame_size=SIZE, monotonic_ns=STEP) is None
    assert tracker.follow(face(200, side=240), frame_size=SIZE, monotonic_ns=STEP) is None
    assert tracker.follow(face(215), frame_size=SIZE, monotonic_ns=STEP) is not None


def test_following_ends_with_a_detection_that_disagrees() -> None:
    tracker = SubjectTracker()
    follow(tracker, [[face(200)]])
    assert tracker.follow(face(205), frame_size=SIZE, monotonic_ns=STEP) is not None
    assert tracker.update([face(500)], frame_size=SIZE, monotonic_ns=2 * STEP) is None
    assert tracker.expected(3 * STEP) is None
    assert tracker.update([], frame_size=SIZE, monotonic_ns=3 * STEP) is None
    assert tracker.expected(4 * STEP) is None


def test_followed_face_that_no_detection_confirms_is_lost() -> None:
    tracker = SubjectTracker()
    (first,) = follow(tracker, [[face(200)]])
    assert tracker.follow(face(200), frame_size=SIZE, monotonic_ns=STEP) is not None
    now = STEP
    while now <= STEP + PATIENCE_NS:
        now += STEP
        assert tracker.expected(now) is None or now < DETECTION_PERIOD_NS
        assert tracker.update([], frame_size=SIZE, monotonic_ns=now) is None
    again = tracker.update([face(200)], frame_size=SIZE, monotonic_ns=now + STEP)
    assert first is not None
    assert again is not None
    assert again.track_id != first.track_id


def test_forgotten_face_is_not_expected() -> None:
    tracker = SubjectTracker()
    follow(tracker, [[face(200)]])
    tracker.forget_subject()
    assert tracker.expected(STEP) is None
    assert tracker.follow(face(200), frame_size=SIZE, monotonic_ns=STEP) is None


@given(st.floats(-60, 60), st.floats(-60, 60), st.floats(0.7, 1.4))
def test_box_goes_where_the_landmarks_go(x: float, y: float, scale: float) -> None:
    places = np.random.default_rng(0).uniform(100, 300, (468, 3)).astype(np.float32)
    before = FaceLandmarks(places, 1.0)
    after = FaceLandmarks((places * scale + [x, y, 0]).astype(np.float32), 1.0)
    found = moved(face(200, 200), before, after)
    expected = [value * scale + shift for value, shift in zip(face(200, 200).box, (x, y, x, y), strict=True)]
    assert np.allclose(found.box, expected, atol=0.01)
    assert found.keypoints.shape == (6, 2)
