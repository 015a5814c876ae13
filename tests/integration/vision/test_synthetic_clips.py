"""The synthetic people: what is seen of them. They test control flow and directions; error rates come from real pictures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.adapters.inference_tflite import open_networks
from device.vision.comparison import compare
from device.vision.evidence.continuity import PhaseSample, assess_continuity
from device.vision.features import FeatureVector, mean_features
from device.vision.frame import Frame
from device.vision.inference import Networks
from device.vision.pipeline import VisionPipeline
from protocol.challenge import Action
from protocol.evidence import EvidenceStatus
from protocol.policy import default_policy
from protocol.quality import is_acceptable, weakest

pytestmark = pytest.mark.integration
PEOPLE = ["om", "of"]
# Frame ranges of the live clips: 0-7 lamp code, 8-13 blink, 14-18 mouth open, 19-30 turn left, then right.
LAMP = range(8)


def features(clip, frames: range) -> FeatureVector:
    found = [clip.observations[i].subject.features for i in frames]
    return mean_features(found)


@pytest.mark.parametrize("clip", [f"{kind}_{who}" for kind in ("live", "print", "mask", "screen") for who in PEOPLE])
def test_face_is_followed_without_a_break(watch: Callable, clip: str) -> None:
    subjects = [observation.subject for observation in watch(clip).observations]
    assert all(subject is not None for subject in subjects)
    assert len({subject.track_id for subject in subjects}) == 1
    assert not any(subject.is_cut_by_border for subject in subjects)


@pytest.mark.parametrize("who", PEOPLE)
def test_live_person_performs_every_action_at_20_frames_a_second(watch: Callable, who: str) -> None:
    intervals = watch(f"live_{who}", rate=20, times=2).intervals
    assert [interval.action for interval in intervals] == [
        Action.BLINK,
        Action.OPEN_MOUTH,
        Action.TURN_LEFT,
        Action.TURN_RIGHT,
    ]
    expected = {Action.BLINK: (8, 13), Action.OPEN_MOUTH: (14, 18), Action.TURN_LEFT: (19, 25)}
    for interval in intervals:
        low, high = expected.get(interval.action, (25, 30))
        assert 2 * low <= interval.start_sequence <= interval.end_sequence <= 2 * high + 1


@pytest.mark.parametrize("who", PEOPLE)
def test_at_10_frames_a_second_everything_but_the_blink_is_seen(watch: Callable, who: str) -> None:
    seen = watch(f"live_{who}")
    assert {interval.action for interval in seen.intervals} == {Action.OPEN_MOUTH, Action.TURN_LEFT, Action.TURN_RIGHT}
    assert not any(report.is_blink_possible for report in seen.reports)


@pytest.mark.parametrize("rate", [10, 20])
@pytest.mark.parametrize("clip", [f"{kind}_{who}" for kind in ("print", "mask") for who in PEOPLE])
def test_turned_sheet_performs_nothing(watch: Callable, clip: str, rate: int) -> None:
    seen = watch(clip, rate=rate, times=rate // 10)
    assert not seen.intervals
    assert not any(report.active for report in seen.reports)


@pytest.mark.parametrize("who", PEOPLE)
def test_live_person_in_front_is_a_good_sample(watch: Callable, who: str) -> None:
    subjects = [watch(f"live_{who}").observations[i].subject for i in LAMP]
    minimum = default_policy().quality.minimum
    assert all(is_acceptable(subject.quality.components(), minimum) for subject in subjects)


@pytest.mark.parametrize("who", PEOPLE)
def test_closed_eyes_and_turned_head_lower_the_quality(watch: Callable, who: str) -> None:
    observations = watch(f"live_{who}").observations
    assert min(observations[i].subject.quality.eyes_open for i in range(9, 13)) < 50
    front = np.median([observations[i].subject.quality.head_pose_yaw for i in LAMP])
    assert min(observations[i].subject.quality.head_pose_yaw for i in (22, 28)) < front - 15


def test_one_person_is_more_alike_than_two(watch: Callable) -> None:
    man, woman = watch("live_om"), watch("live_of")
    same = [compare(features(clip, range(4)), features(clip, range(4, 8))).similarity for clip in (man, woman)]
    different = compare(features(man, LAMP), features(woman, LAMP)).similarity
    assert min(same) > 0.9
    assert different < 0.65


@pytest.mark.parametrize("who", PEOPLE)
def test_continuity_holds_over_all_phases_of_a_live_clip(watch: Callable, who: str) -> None:
    seen = watch(f"live_{who}")
    phases = {"start": range(8), "mouth": range(14, 19), "left": range(19, 22), "right": range(28, 31)}
    track_id = seen.observations[0].subject.track_id
    samples = [PhaseSample(n, track_id, features(seen, frames)) for n, frames in phases.items()]
    result = assess_continuity(samples, threshold=default_policy().continuity.min_similarity)
    assert result.status is EvidenceStatus.PASSED


def test_exchanged_clip_breaks_the_track(networks: Networks, pictures: Callable) -> None:
    pipeline = VisionPipeline(networks)
    man, woman = pictures("live_om"), pictures("live_of")
    shown = [*man[:4], *[np.zeros_like(man[0])] * 4, *woman[:4]]
    subjects = [pipeline.process(Frame(p, i, i * 100_000_000)).subject for i, p in enumerate(shown)]
    ids = [subject.track_id if subject else None for subject in subjects]
    assert ids[:4] == [ids[0]] * 4
    assert ids[4:8] == [None] * 4
    assert ids[8] is not None
    assert ids[8] != ids[0]


def test_one_of_five_faces_is_followed_and_all_are_counted(networks: Networks, pictures: Callable) -> None:
    face = pictures("live_om")[0][150:420, 190:450]
    wide = np.zeros((760, 960, 3), np.uint8)
    wide[245:515, 350:610] = face
    small = cv2.resize(face, None, fx=0.9, fy=0.9)
    height, width = small.shape[:2]
    for y, x in ((0, 0), (0, 960 - width), (760 - height, 0), (760 - height, 960 - width)):
        wide[y : y + height, x : x + width] = small
    observation = VisionPipeline(networks).process(Frame(wide, 0, 0))
    assert observation.face_count == 5
    assert observation.subject is not None
    x_min, _, x_max, _ = observation.subject.box
    assert 350 < (x_min + x_max) / 2 < 610


@pytest.mark.parametrize(
    ("columns", "lacking"),
    [(slice(290, 640), "leftward_crop_of_the_face_image"), (slice(0, 355), "rightward_crop_of_the_face_image")],
)
def test_face_cut_by_the_border_is_said(networks: Networks, pictures: Callable, columns: slice, lacking: str) -> None:
    cut = np.ascontiguousarray(pictures("live_om")[0][:, columns])
    subject = VisionPipeline(networks).process(Frame(cut, 0, 0)).subject
    assert subject is not None
    assert subject.is_cut_by_border
    assert weakest(subject.quality.components(), default_policy().quality.minimum) == lacking


@pytest.mark.parametrize("level", [0, 128, 255])
def test_empty_scene_has_no_face(networks: Networks, level: int) -> None:
    observation = VisionPipeline(networks).process(Frame(np.full((480, 640, 3), level, np.uint8), 0, 0))
    assert (observation.face_count, observation.subject) == (0, None)


def test_mirrored_subject_turns_the_other_way(networks: Networks, pictures: Callable) -> None:
    left = pictures("live_om")[22]
    mirrored = np.ascontiguousarray(left[:, ::-1])
    yaws = [VisionPipeline(networks).process(Frame(p, 0, 0)).subject.pose.yaw_deg for p in (left, mirrored)]
    assert yaws[0] > 15
    assert yaws[1] == pytest.approx(-yaws[0], abs=6)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime has no build for Python 3.12 and later")
def test_both_interpreters_see_the_same(models_dir: Path, pictures: Callable) -> None:
    subjects = [
        VisionPipeline(open_networks(models_dir, runtime=runtime))
        .process(Frame(pictures("live_of")[0], 0, 0), want_features=True)
        .subject
        for runtime in ("ai-edge-litert", "tflite-runtime")
    ]
    a, b = subjects
    assert a.box == pytest.approx(b.box, abs=4)
    assert a.openness.mean == pytest.approx(b.openness.mean, abs=0.03)
    assert a.pose.yaw_deg == pytest.approx(b.pose.yaw_deg, abs=3)
    assert compare(a.features, b.features).similarity > 0.97


def test_features_of_the_clean_licence_network_tell_people_apart(models_dir: Path, pictures: Callable) -> None:
    networks = open_networks(models_dir, features="features_dlib")
    found = {}
    for who in PEOPLE:
        pipeline = VisionPipeline(networks)
        observed = [
            pipeline.process(Frame(p, i, i), want_features=True) for i, p in enumerate(pictures(f"live_{who}")[:8])
        ]
        found[who] = [o.subject.features for o in observed if o.subject]
    same = compare(mean_features(found["om"][:4]), mean_features(found["om"][4:])).similarity
    different = compare(mean_features(found["om"]), mean_features(found["of"])).similarity
    assert same > different + 0.05
