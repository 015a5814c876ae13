"""The collector of evidence: what is fed where, what does not run and why. What each kind judges is tested with it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from device.runner.evidence import EvidenceCollector
from device.vision.evidence.actions import ActionInterval, ActionReport
from device.vision.evidence.illumination import IlluminationRecorder
from device.vision.evidence.stimulus import StimulusLog
from device.vision.frame import CaptureMetadata, Frame
from device.vision.landmarks import FaceLandmarks
from device.vision.pose import HeadPose
from protocol.challenge import Action
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.policy import PathName, PathPolicy, TexturePolicy, default_policy

EVERYTHING = PathPolicy(
    required=(EvidenceKind.CONTINUITY,), advisory=tuple(set(EvidenceKind) - {EvidenceKind.CONTINUITY})
)
POLICY = default_policy().model_copy(
    update={
        "paths": {PathName.STANDARD: EVERYTHING, PathName.HELPER: PathPolicy(required=(EvidenceKind.CONTINUITY,))},
        "texture": {"pad": TexturePolicy(min_score=0.5, min_frames=3)},
    }
)
STEP_NS = 50_000_000


class TextureNetwork:
    """Says the same of every picture."""

    def __init__(self, score):
        self.scored = 0
        steps = SimpleNamespace(box_scale=2.0, width=8, height=8)
        self.manifest = SimpleNamespace(name="pad", preprocessing=steps)
        self.digest = "b" * 64
        self._score = score

    def infer(self, _crop):
        self.scored += 1
        return {"bona_fide": np.array([[self._score]], np.float32)}


def frame(number: int) -> Frame:
    noise = np.random.default_rng(number).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    now = number * STEP_NS
    return Frame(noise, number, now, CaptureMetadata("sensor", now, 10_000.0, 1.0))


def report(*, is_at_rest: bool = True, active: tuple[ActionInterval, ...] = ()) -> ActionReport:
    return ActionReport(0, 20.0, is_settled=True, active=active, completed=(), is_at_rest=is_at_rest)


SUBJECT = SimpleNamespace(
    track_id=1,
    landmarks=FaceLandmarks(np.random.default_rng(0).uniform(10, 40, (468, 3)).astype(np.float32), 0.9),
    pose=HeadPose(0.0, 0.0, 0.0),
    box=(10.0, 10.0, 40.0, 40.0),
)


def found(collector: EvidenceCollector, path=PathName.STANDARD):
    return {result.kind: result for result in collector.assess(POLICY, path)}


def reasons(collector: EvidenceCollector, path=PathName.STANDARD):
    return {str(kind): result.reason for kind, result in found(collector, path).items()}


def test_everything_has_a_result_and_what_had_no_stage_did_not_run():
    assert reasons(EvidenceCollector(StimulusLog(), has_ring=True)) == {
        "planarity": "no_rest",
        "illumination": "no_stage",
        "texture": "not_installed",
        "pulse": "no_stage",
        "capture_path": "no_stage",
    }


def test_what_a_path_does_not_name_is_not_asked_for():
    results = found(EvidenceCollector(StimulusLog(), has_ring=True), PathName.HELPER)
    assert {(result.status, result.reason) for result in results.values()} == {(EvidenceStatus.NOT_RUN, "not_asked")}


def test_without_a_ring_illumination_is_not_installed_and_the_stage_is_not_repeated_for_it():
    collector = EvidenceCollector(StimulusLog(), has_ring=False)
    collector.begin_light()
    assert reasons(collector)["illumination"] == "not_installed"
    assert collector.end_light(POLICY.illumination)


def test_a_stage_in_which_nobody_was_seen_cannot_be_used():
    collector = EvidenceCollector(StimulusLog(), has_ring=True)
    collector.begin_light()
    collector.begin_watch()
    assert not collector.end_light(POLICY.illumination)
    assert not collector.is_watch_usable(POLICY.pulse)
    assert collector.end_light(None)
    assert reasons(collector)["illumination"] == "too_few_frames"
    assert reasons(collector)["pulse"] == "too_short"


@pytest.mark.parametrize(("score", "status"), [(0.9, EvidenceStatus.PASSED), (0.1, EvidenceStatus.FAILED)])
def test_the_texture_of_a_face_at_rest_is_scored_five_times_a_second(score, status):
    network = TextureNetwork(score)
    collector = EvidenceCollector(StimulusLog(), has_ring=True, texture=network)
    for number in range(40):
        collector.see_subject(frame(number), SUBJECT, report(is_at_rest=number >= 20))
    assert network.scored == 5
    assert found(collector)[EvidenceKind.TEXTURE].status is status
    assert found(collector)[EvidenceKind.TEXTURE].measures["frames"] == 5


def turned(yaw_deg: float) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(SUBJECT), "pose": HeadPose(yaw_deg, 0.0, 0.0)})


def turn(first: int) -> ActionInterval:
    return ActionInterval(Action.TURN_LEFT, first, first + 2, 0, 0, 25.0)


def turned_frames(collector: EvidenceCollector) -> float:
    return found(collector)[EvidenceKind.PLANARITY].measures.get("turned_frames", 0.0)


def rest(collector: EvidenceCollector, begin: int = 0) -> None:
    for number in range(begin, begin + 5):
        collector.see_subject(frame(number), SUBJECT, report())


def test_only_the_turn_that_answers_a_prompt_is_judged_for_planarity_to_its_end():
    collector = EvidenceCollector(StimulusLog(), has_ring=True)
    collector.await_rest()
    rest(collector)
    collector.see_subject(frame(5), turned(25.0), report(is_at_rest=False, active=(turn(5),)))
    collector.begin_prompt(Action.TURN_LEFT)
    for number in range(10, 13):
        collector.see_subject(frame(number), turned(25.0), report(is_at_rest=False, active=(turn(11),)))
    assert turned_frames(collector) == 0
    collector.end_prompt(turn(11))
    collector.await_rest()
    assert turned_frames(collector) == 2
    collector.see_subject(frame(13), turned(25.0), report(is_at_rest=False, active=(turn(11),)))
    assert turned_frames(collector) == 3
    collector.see_subject(frame(14), turned(25.0), report(is_at_rest=False, active=(turn(14),)))
    collector.see_subject(frame(15), turned(25.0), report(is_at_rest=False, active=(turn(11),)))
    assert turned_frames(collector) == 3


@pytest.mark.parametrize(
    ("action", "answer"), [(Action.TURN_LEFT, None), (Action.OPEN_MOUTH, turn(5))], ids=["wrong", "no turn"]
)
def test_a_turn_that_answers_nothing_is_not_judged_for_planarity(action, answer):
    collector = EvidenceCollector(StimulusLog(), has_ring=True)
    collector.await_rest()
    rest(collector)
    collector.begin_prompt(action)
    for number in range(5, 10):
        collector.see_subject(frame(number), turned(25.0), report(is_at_rest=False, active=(turn(5),)))
    collector.end_prompt(answer)
    collector.see_subject(frame(10), turned(25.0), report(is_at_rest=False, active=(turn(5),)))
    assert turned_frames(collector) == 0


def test_turning_before_the_challenge_is_no_rest_and_no_turn():
    collector = EvidenceCollector(StimulusLog(), has_ring=True)
    rest(collector)
    for number in range(5, 10):
        collector.see_subject(frame(number), turned(25.0), report(is_at_rest=False, active=(turn(5),)))
    assert reasons(collector)["planarity"] == "no_rest"


def test_another_face_than_the_first_adds_nothing():
    network = TextureNetwork(0.1)
    collector = EvidenceCollector(StimulusLog(), has_ring=True, texture=network)
    collector.see_subject(frame(0), SUBJECT, report())
    other = SimpleNamespace(**{**vars(SUBJECT), "track_id": 2})
    for number in range(10, 40):
        collector.see_subject(frame(number), other, report())
    assert network.scored == 1
    collector.forget()
    collector.see_subject(frame(50), other, report())
    assert network.scored == 2


def test_frames_of_the_light_go_to_the_light_alone():
    network = TextureNetwork(0.9)
    collector = EvidenceCollector(StimulusLog(), has_ring=True, texture=network)
    collector.begin_light()
    for number in range(10):
        collector.see_lit(frame(number), SUBJECT)
        collector.see_watched(frame(number), SUBJECT)
    assert network.scored == 0
    assert reasons(collector)["planarity"] == "no_rest"


def test_a_light_is_judged_once_at_its_end_and_its_pictures_are_forgotten(monkeypatch):
    judged = []
    collector = EvidenceCollector(StimulusLog(), has_ring=True)
    passed = EvidenceResult(kind=EvidenceKind.ILLUMINATION, status=EvidenceStatus.PASSED, reason="follows_light")
    monkeypatch.setattr(IlluminationRecorder, "assess", lambda recorder, *_: judged.append(recorder) or passed)
    collector.begin_light()
    for number in range(10):
        collector.see_lit(frame(number), SUBJECT)
    assert collector.end_light(POLICY.illumination)
    assert reasons(collector)["illumination"] == "follows_light"
    assert len(judged) == 1
    assert judged[0].left_out == frozenset()
    assert not judged[0]._patches
    collector.begin_light()
    collector.end_light(POLICY.illumination)
    assert len(judged) == 2


def test_a_sample_of_a_frame_that_was_not_judged_takes_the_light_back():
    collector = EvidenceCollector(StimulusLog(), has_ring=True)
    unseen = SimpleNamespace(
        **{**vars(SUBJECT), "landmarks": FaceLandmarks(np.full((468, 3), np.nan, np.float32), 0.9)}
    )
    collector.begin_light()
    collector.see_lit(frame(3), unseen)
    collector.end_light(POLICY.illumination)
    collector.sampled(2)
    assert reasons(collector)["illumination"] == "too_few_frames"
    collector.sampled(3)
    assert reasons(collector)["illumination"] == "moved"


def test_another_sensor_than_the_terminal_was_commissioned_with_fails_the_capture_path():
    for expected, reason in ((None, "not_commanded"), ("sensor", "not_commanded"), ("imx708", "unexpected_sensor")):
        collector = EvidenceCollector(StimulusLog(), has_ring=True, sensor_id=expected)
        collector.begin_light()
        for number in range(1, 20):
            collector.see_frame(frame(number))
        assert reasons(collector)["capture_path"] == reason


def test_the_record_says_with_which_attempt_the_judged_code_was_drawn():
    collector = EvidenceCollector(StimulusLog(), has_ring=True)
    assert "attempt" not in found(collector)[EvidenceKind.ILLUMINATION].measures
    for attempt in (0, 3):
        collector.begin_light(attempt)
        assert found(collector)[EvidenceKind.ILLUMINATION].measures["attempt"] == attempt
    assert "attempt" not in found(collector)[EvidenceKind.CAPTURE_PATH].measures


def test_everything_can_be_forgotten():
    stimulus = StimulusLog()
    collector = EvidenceCollector(stimulus, has_ring=True, texture=TextureNetwork(0.1))
    fresh = reasons(collector)
    collector.begin_light()
    collector.begin_watch()
    stimulus.light_set(1.0, 1.0, monotonic_ns=0)
    for number in range(30):
        collector.see_frame(frame(number))
        collector.see_subject(frame(number), SUBJECT, report())
    collector.forget()
    assert reasons(collector) == fresh
    assert np.isnan(stimulus.light_at(np.array([10], np.int64))).all()
