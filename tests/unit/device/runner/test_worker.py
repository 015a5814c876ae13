"""The vision worker: what it tells of frames, what it keeps, and what it forgets."""

from __future__ import annotations

import time

import numpy as np
import pytest

from device.errors import CameraUnavailable, RingLightUnavailable
from device.runner.orders import CompareWith, EndShadow, Findings, PictureNotTaken, PictureTaken, Reopen, TakeStill
from device.runner.worker import VisionWorker, WorkerThread
from device.session.commands import (
    AwaitRest,
    DropSamples,
    PlayLight,
    StartAcquisition,
    StopAcquisition,
    StopPlay,
    TakeSample,
    WantSample,
    Watched,
    WatchFace,
    WatchFor,
)
from device.session.events import (
    CameraStalled,
    ChallengeAnswered,
    Fault,
    FaultCleared,
    FaultRaised,
    FrameRateLow,
    SampleAssessed,
    StagePlayed,
)
from device.vision.eyelids import EyeOpenness
from device.vision.features import FeatureVector
from device.vision.frame import Frame
from device.vision.landmarks import FaceLandmarks
from device.vision.normalisation import CohortMember, CohortRules
from device.vision.pipeline import FrameObservation, SubjectObservation
from device.vision.pose import HeadPose
from device.vision.quality import COMPONENTS, QualityAssessment
from device.vision.shadow import LEAST_SESSIONS, Fate, Shadow
from protocol.cases import PhotoRole
from protocol.challenge import Action, LightChip
from protocol.evidence import EvidenceKind, EvidenceStatus
from protocol.policy import PathName, default_policy
from protocol.references import protect

KEY, MODEL = bytes(range(32)), "a" * 64
PIXELS = np.zeros((4, 4, 3), np.uint8)
POLICY = default_policy()
NO_PATHS = POLICY.model_copy(update={"paths": {}})
STEP_NS = 50_000_000
SECOND_NS = 1_000_000_000


class Pipeline:
    """Sees what the test wants it to see."""

    def __init__(self):
        self.yaw = 0.0
        self.track_id = 1
        self.features = np.array([1.0, 0.0, 0.0, 0.0], np.float32)
        self.is_empty = self.is_late = False
        self.similar_faces = 1
        self.quality = 90.0
        self.given = []
        self.looked_at_eyes = []
        self.forgotten = 0

    def process(self, frame, *, want_features=False, want_quality=True, want_eyes=True, flip_averaging=False):
        self.looked_at_eyes.append(want_eyes)
        subject = None
        if not self.is_empty:
            vector = FeatureVector(self.features.copy(), MODEL) if want_features else None
            self.given.append(vector)
            subject = SubjectObservation(
                track_id=self.track_id,
                box=(0.0, 0.0, 2.0, 2.0),
                is_cut_by_border=False,
                detection_score=0.9,
                presence=0.9,
                interocular_px=60.0,
                pose=HeadPose(self.yaw, 0.0, 0.0),
                openness=EyeOpenness(0.3, 0.3) if want_eyes else None,
                mouth=0.0,
                quality=QualityAssessment(**dict.fromkeys(COMPONENTS, self.quality)) if want_quality else None,
                landmarks=FaceLandmarks(np.zeros((468, 3), np.float32), 0.9),
                similar_faces=self.similar_faces,
                crop=np.full((112, 112, 3), 7, np.uint8) if want_features else None,
                features=vector,
            )
        return FrameObservation(
            frame.sequence, frame.monotonic_ns, 0 if self.is_empty else 1, subject, is_late=self.is_late
        )

    def features_of(self, frame, subject):
        vector = FeatureVector(self.features.copy(), MODEL)
        self.given.append(vector)
        return vector

    def forget_subject(self):
        self.forgotten += 1


class Camera:
    """Frames on demand."""

    def __init__(self):
        self.now = 0
        self.sequence = 0
        self.is_broken = False
        self.is_silent = False
        self.is_released_badly = False
        self.opened = 0
        self.step_ns = STEP_NS
        self.exposures = []
        self.large = np.zeros((480, 640, 3), np.uint8)

    def lock_exposure(self, factor):
        self.check()
        self.exposures.append(factor)

    def release_exposure(self):
        if self.is_released_badly:
            raise CameraUnavailable("camera: busy")
        self.exposures.append("free")

    def start(self):
        self.check()
        self.opened += 1

    def check(self):
        if self.is_broken:
            raise CameraUnavailable("camera: broken")

    def capture(self, timeout_s):
        self.check()
        self.now += self.step_ns
        if self.is_silent:
            self.now += round(timeout_s * 1e9)
            return None
        self.sequence += 1
        return Frame(PIXELS, self.sequence, self.now)

    def still(self):
        self.check()
        self.sequence += 1
        return Frame(self.large, self.sequence, self.now)

    def stop(self):
        pass


class Ring:
    """Notes how bright it was set."""

    def __init__(self):
        self.levels = []
        self.is_broken = False

    def start(self):
        if self.is_broken:
            raise RingLightUnavailable("ring: broken")
        self.levels.append("on")

    def set(self, left, right):
        if self.is_broken:
            raise RingLightUnavailable("ring: broken")
        self.levels.append((left, right))

    def stop(self):
        self.levels.append("off")


class Rig:
    def __init__(self, shadow=None):
        self.found = []
        self.camera, self.pipeline, self.ring, self.news = Camera(), Pipeline(), Ring(), []
        self.worker = VisionWorker(
            self.camera,
            self.pipeline,
            now_ns=lambda: self.camera.now,
            post=lambda generation, news: self.news.append((generation, news)),
            ring=self.ring,
            shadow=shadow,
            on_shadow=lambda record_id, found: self.found.append((record_id, found)),
        )

    def order(self, *orders, generation=1):
        for order in orders:
            self.worker.order(generation, order)

    def step(self, times=1):
        begin = len(self.news)
        for _ in range(times):
            self.worker.step()
        return [news for _, news in self.news[begin:]]

    def take(self, phase, wants_more=True):
        self.step()
        self.order(TakeSample(self.camera.sequence, phase, wants_more=wants_more))

    def compare(self, features=(1.0, 0.0, 0.0, 0.0), **changes) -> Findings:
        values = protect(np.array(features, np.float32), KEY)
        fields = {
            "reference": FeatureVector(values, MODEL, "d-1"),
            "key": KEY,
            "policy": POLICY,
            "path": PathName.STANDARD,
            "phases": (),
        }
        self.order(CompareWith(**{**fields, **changes}))
        return next(news for news in self.step() if isinstance(news, Findings))


@pytest.fixture
def rig():
    made = Rig()
    made.order(StartAcquisition())
    return made


def continuity(findings):
    return next(result for result in findings.evidence if result.kind is EvidenceKind.CONTINUITY)


def test_nothing_is_looked_at_before_and_after_an_acquisition():
    rig = Rig()
    assert rig.step(3) == []
    rig.order(StartAcquisition(), generation=7)
    (news,) = rig.step()
    assert rig.news[-1][0] == 7
    assert (news.sequence, news.track_id, dict(news.quality)) == (1, 1, dict.fromkeys(COMPONENTS, 90.0))
    rig.order(StopAcquisition())
    assert rig.step(3) == []


def still(number):
    return TakeStill(number, PhotoRole.AUTHORITY, minimum=POLICY.quality.minimum, least_similarity=0.3)


def test_a_picture_that_does_not_get_small_enough_is_not_taken_and_the_camera_is_in_order():
    rig = Rig()
    rig.camera.large = np.random.default_rng(1).integers(0, 256, (1200, 1600, 3), np.uint8)
    rig.order(still(1))
    assert rig.step() == [PictureNotTaken(1, PhotoRole.AUTHORITY)]
    rig.camera.large = np.zeros((1200, 1600, 3), np.uint8)
    rig.order(still(2))
    (taken,) = rig.step()
    assert (type(taken), taken.number) == (PictureTaken, 2)


def test_a_camera_that_gives_no_picture_is_a_fault():
    rig = Rig()
    rig.camera.is_broken = True
    rig.order(still(1))
    not_taken, fault = rig.step()
    assert not_taken == PictureNotTaken(1, PhotoRole.AUTHORITY)
    assert (type(fault), fault.fault) == (FaultRaised, Fault.CAMERA)


def test_an_empty_picture_is_told(rig):
    rig.pipeline.is_empty = True
    assert rig.step() == [SampleAssessed(rig.camera.now, rig.camera.sequence, None)]


def test_samples_of_two_phases_are_compared_with_the_reference_and_each_other(rig):
    rig.take("acquiring")
    rig.take("challenging_1")
    findings = rig.compare()
    assert findings.similarity == pytest.approx(1.0, abs=0.02)
    assert findings.samples == 2
    assert continuity(findings).status is EvidenceStatus.PASSED
    others = [result for result in findings.evidence if result.kind is not EvidenceKind.CONTINUITY]
    assert {result.kind for result in others} == set(EvidenceKind) - {EvidenceKind.CHALLENGE, EvidenceKind.CONTINUITY}
    assert {result.status for result in others} == {EvidenceStatus.NOT_RUN}
    assert dict(findings.quality)["head_pose_yaw"] == 90.0


def test_another_face_in_a_later_phase_fails_continuity(rig):
    rig.take("acquiring")
    rig.pipeline.features = np.array([0.0, 1.0, 0.0, 0.0], np.float32)
    rig.take("challenging_1")
    assert continuity(rig.compare()).status is EvidenceStatus.FAILED


def test_somebody_else_in_an_action_fails_continuity_and_is_no_part_of_the_probe(rig):
    rig.take("acquiring")
    rig.step(20)
    rig.order(WatchFor(1, Action.TURN_LEFT, rig.camera.now))
    rig.step()
    rig.pipeline.features = np.array([0.0, 1.0, 0.0, 0.0], np.float32)
    rig.pipeline.yaw = 25.0
    answer = next(news for news in rig.step(10) if isinstance(news, ChallengeAnswered))
    rig.order(TakeSample(answer.sequence, "action_1", wants_more=True, is_moving=True))
    findings = rig.compare(phases=("acquiring", "action_1"))
    assert continuity(findings).status is EvidenceStatus.FAILED
    assert (findings.samples, findings.similarity) == (1, pytest.approx(1.0, abs=0.02))


def test_an_answer_in_profile_only_names_no_frame_and_leaves_continuity_not_run(rig):
    rig.take("acquiring")
    rig.step(20)
    rig.order(WatchFor(1, Action.TURN_LEFT, rig.camera.now))
    rig.step()
    rig.pipeline.yaw = 60.0
    answer = next(news for news in rig.step(10) if isinstance(news, ChallengeAnswered))
    assert answer.sequence is None
    assert continuity(rig.compare(phases=("acquiring", "action_1"))).status is EvidenceStatus.NOT_RUN


def test_a_sample_that_is_gone_leaves_continuity_not_run(rig):
    rig.take("acquiring")
    rig.order(TakeSample(999, "rest_1", wants_more=False))
    rig.take("rest_2")
    assert continuity(rig.compare(phases=("acquiring", "rest_1", "rest_2"))).status is EvidenceStatus.NOT_RUN


def test_frames_from_before_the_session_are_passed_over():
    rig = Rig()
    rig.camera.now = 10**9
    rig.order(StartAcquisition())
    stale = Frame(PIXELS, 1, 10**9 - 1)
    rig.camera.capture = lambda _timeout_s: stale
    assert rig.step(3) == []


@pytest.mark.parametrize(
    "features",
    [np.zeros(4, np.int8), np.ones(3, np.int8), np.full(4, np.nan, np.float32)],
    ids=["zero", "short", "nan"],
)
def test_a_reference_that_cannot_be_compared_gives_no_score(rig, features):
    rig.take("acquiring")
    assert rig.compare(reference=FeatureVector(features, MODEL, "d-1")).similarity is None


def test_samples_and_reference_are_zeroed_once_compared(rig):
    rig.take("acquiring")
    rig.step()
    kept = [sample.features for sample in rig.worker._samples._samples]
    reference = FeatureVector(protect(np.array([1.0, 0, 0, 0], np.float32), KEY), MODEL, "d-1")
    rig.compare(reference=reference)
    assert not any(vector.values.any() for vector in [*kept, reference])


def test_a_comparison_that_raises_leaves_no_features_behind(rig):
    rig.take("acquiring")
    rig.step()
    reference = FeatureVector(protect(np.array([1.0, 0, 0, 0], np.float32), KEY), MODEL, "d-1")
    cohort = others(3)
    with pytest.raises(KeyError):
        rig.compare(reference=reference, cohort=cohort, policy=NO_PATHS)
    taken = [*rig.worker._samples._samples]
    assert not taken
    assert not any(vector.values.any() for vector in [reference, *(member.features for member in cohort)])
    assert any(vector is not None and vector.values.any() for vector in rig.pipeline.given), "frames kept for a sample"
    rig.worker.close()
    assert not any(vector is not None and vector.values.any() for vector in rig.pipeline.given)


def others(count: int) -> tuple[CohortMember, ...]:
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(count, 4)).astype(np.float32)
    return tuple(
        CohortMember(f"{number:032x}", FeatureVector(protect(values / np.linalg.norm(values), KEY), MODEL, "d-1"))
        for number, values in enumerate(drawn)
    )


def test_with_a_cohort_the_score_is_normalised_too_and_the_cohort_zeroed(rig):
    rig.take("acquiring")
    cohort = others(20)
    found = rig.compare(cohort=cohort, rules=CohortRules(0.1, 20), subject_id="s")
    assert found.similarity == pytest.approx(1.0, abs=0.02)
    assert found.normalised is not None
    assert found.normalised < found.similarity
    assert found.cohort_people == 20
    assert not any(member.features.values.any() for member in cohort)


def test_too_small_a_cohort_leaves_the_score_raw_and_one_with_the_subject_gives_none(rig):
    rig.take("acquiring")
    found = rig.compare(cohort=others(19), rules=CohortRules(0.1, 20), subject_id="s")
    assert (found.normalised, found.cohort_people) == (None, 19)
    rig.take("acquiring")
    cohort = others(20)
    found = rig.compare(cohort=cohort, rules=CohortRules(0.1, 20), subject_id=cohort[0].subject_id)
    assert found.similarity is None


def test_a_track_that_changed_fails_continuity(rig):
    rig.take("acquiring")
    assert continuity(rig.compare(watched=Watched.CHANGED)).status is EvidenceStatus.FAILED


def test_a_track_that_was_out_of_sight_neither_passes_nor_accuses(rig):
    rig.take("acquiring")
    rig.take("rest_1")
    found = continuity(rig.compare(watched=Watched.BLIND))
    assert (found.status, found.reason) == (EvidenceStatus.NOT_RUN, "blind")


def test_without_samples_or_reference_there_is_no_score(rig):
    assert rig.compare().similarity is None
    rig.take("acquiring")
    assert rig.compare(reference=None).similarity is None


def test_dropped_and_stopped_samples_are_gone_and_their_features_zeroed(rig):
    rig.take("acquiring")
    rig.step()
    kept = [sample.features for sample in rig.worker._samples._samples]
    rig.order(DropSamples())
    assert rig.compare().samples == 0
    assert all(not vector.values.any() for vector in kept)
    rig.order(StopAcquisition())
    rig.step()
    assert all(vector is None or not vector.values.any() for vector in rig.pipeline.given)


def test_the_feature_network_rests_when_no_sample_is_wanted(rig):
    rig.take("acquiring", wants_more=False)
    rig.step(3)
    assert [vector is not None for vector in rig.pipeline.given] == [True, False, False, False]
    rig.order(AwaitRest())
    rig.step()
    assert rig.pipeline.given[-1] is not None


def test_frames_of_which_no_sample_is_wanted_are_not_assessed(rig):
    rig.order(AwaitRest())
    assert [len(news.quality) for news in rig.step(2)] == [len(COMPONENTS)] * 2
    rig.order(WatchFor(1, Action.TURN_LEFT, rig.camera.now))
    assert [news.quality for news in rig.step(2)] == [(), ()]


@pytest.mark.parametrize(
    ("order", "looked_at"),
    [
        (AwaitRest(), [True] * 6),
        (WatchFor(1, Action.BLINK, 0), [True] * 6),
        (WatchFor(1, Action.OPEN_MOUTH, 0), [False, False, True] * 2),
        (WatchFace(1, POLICY.pulse), [False, False, True] * 2),
    ],
)
def test_eyes_are_looked_at_less_often_where_nothing_is_asked_of_them(rig, order, looked_at):
    rig.order(order)
    rig.step(6)
    assert rig.pipeline.looked_at_eyes[-6:] == looked_at


def test_r5_6_the_asked_action_is_told_once_and_another_one_as_wrong(rig):
    rig.step(20)
    rig.order(WatchFor(1, Action.TURN_LEFT, rig.camera.now))
    rig.step()
    rig.pipeline.yaw = 25.0
    answers = [news for news in rig.step(10) if isinstance(news, ChallengeAnswered)]
    assert [(answer.prompt, answer.is_performed) for answer in answers] == [(1, True)]
    assert answers[0].sequence is not None
    rig.order(TakeSample(answers[0].sequence, "action_1", wants_more=True, is_moving=True))
    rig.step()
    assert [sample.phase for sample in rig.worker._samples._samples] == ["action_1"]
    rig.pipeline.yaw = 0.0
    rig.step(20)
    rig.order(WatchFor(2, Action.TURN_LEFT, rig.camera.now))
    rig.step()
    rig.pipeline.yaw = -25.0
    rig.step(10)
    rig.pipeline.yaw = 0.0
    answers = [news for news in rig.step(10) if isinstance(news, ChallengeAnswered)]
    assert [(answer.prompt, answer.is_performed) for answer in answers] == [(2, False)]


def test_slow_frames_are_told_once_for_a_blink(rig):
    rig.camera.step_ns = 125_000_000
    rig.step(10)
    rig.order(WatchFor(1, Action.TURN_LEFT, rig.camera.now))
    assert not [news for news in rig.step(10) if isinstance(news, FrameRateLow)]
    rig.order(WatchFor(2, Action.BLINK, rig.camera.now))
    assert [news.prompt for news in rig.step(10) if isinstance(news, FrameRateLow)] == [2]


def test_a_silent_camera_is_told_after_a_second_opened_again_and_goes_on(rig):
    rig.step()
    rig.camera.is_silent = True
    assert rig.step() == []
    began = rig.camera.now
    assert rig.step() == [CameraStalled(rig.camera.now)]
    assert rig.camera.now - began <= 1_000_000_000
    assert rig.camera.opened == 1
    assert rig.step(2) == []
    rig.camera.is_silent = False
    assert [type(news) for news in rig.step(2)] == [SampleAssessed] * 3
    rig.camera.is_silent = True
    assert [type(news) for news in rig.step(3)] == [CameraStalled], "each stall is told"


def test_a_camera_that_fails_in_a_session_is_opened_every_two_seconds_until_it_works(rig):
    rig.step()
    rig.camera.is_broken = True
    assert rig.step() == [CameraStalled(rig.camera.now)]
    rig.camera.now += 1_900_000_000
    rig.camera.is_broken = False
    assert rig.step() == []
    rig.camera.now += 200_000_000
    assert rig.step() == []
    assert rig.camera.opened == 1
    assert rig.step()[-1].track_id == 1


def test_a_stalled_light_code_is_dark_at_once_and_no_fault(rig):
    rig.order(LIGHT)
    rig.step()
    rig.camera.is_broken = rig.camera.is_released_badly = True
    assert [type(news) for news in rig.step(3)] == [CameraStalled]
    assert rig.ring.levels[-1] == DARK


def test_after_a_session_that_ended_without_its_camera_the_next_one_tells_it_anew(rig):
    rig.step()
    rig.camera.is_broken = True
    rig.step()
    rig.order(StopAcquisition(), StartAcquisition())
    assert [type(news) for news in rig.step()] == [CameraStalled]


def test_a_worker_whose_camera_is_lost_waits_for_orders_instead_of_spinning(rig):
    rig.camera.is_broken = True
    rig.step()
    begin = time.monotonic()
    rig.worker.step(wait_s=0.05)
    assert time.monotonic() - begin >= 0.05


def test_in_a_gap_between_frames_nobody_was_seen(rig):
    rig.step()
    rig.camera.now += 400_000_000
    assert [(news.track_id, news.is_blind) for news in rig.step(2)] == [(None, True), (1, False), (1, False)]
    rig.order(StopAcquisition(), StartAcquisition())
    rig.camera.now += 400_000_000
    assert [news.track_id for news in rig.step()] == [1]


def test_a_broken_or_silent_camera_is_a_fault_and_a_repaired_one_clears_it(rig):
    rig.camera.is_broken = True
    rig.step()
    rig.camera.now += 5_000_000_001
    assert rig.step() == [FaultRaised(rig.camera.now, Fault.CAMERA)]
    assert rig.step() == []
    rig.order(Reopen())
    assert rig.step() == [FaultRaised(rig.camera.now, Fault.CAMERA)]
    rig.camera.is_broken = False
    rig.order(Reopen())
    assert rig.step() == [FaultCleared(rig.camera.now)]
    rig.order(StartAcquisition())
    rig.camera.is_silent = True
    assert [type(news) for news in rig.step(12)] == [CameraStalled, FaultRaised]


def test_a_crash_of_the_worker_is_reported(eventually):
    rig, crashed = Rig(), []
    rig.pipeline.process = None
    rig.order(StartAcquisition())
    thread = WorkerThread(rig.worker, on_crash=lambda: crashed.append(True))
    thread.start()
    eventually(lambda: crashed)
    eventually(lambda: not thread.is_alive)
    thread.stop()


CODE = (LightChip(1.0, 0.0, 1.0), LightChip(0.0, 1.0, 0.6))
LIGHT = PlayLight(4, CODE, chip_s=0.4, ramp_s=0.0, rules=None)
DARK = (0.0, 0.0)


def played(news):
    return [found for found in news if isinstance(found, StagePlayed)]


def test_a_light_code_is_played_between_frames_to_its_end_which_is_told(rig):
    rig.order(LIGHT)
    assert played(rig.step(16)) == []
    assert (rig.ring.levels, rig.camera.exposures) == ([(1.0, 0.0), (0.0, 1.0)], [1.0, 0.6])
    assert [(found.play, found.is_usable) for found in played(rig.step())] == [(4, True)]
    assert (rig.ring.levels[-1], rig.camera.exposures[-1]) == (DARK, "free")
    assert played(rig.step(40)) == []


def test_a_code_under_which_nobody_was_seen_cannot_be_used(rig):
    rig.pipeline.is_empty = True
    rig.order(PlayLight(1, CODE, chip_s=0.4, ramp_s=0.0, rules=POLICY.illumination))
    assert [found.is_usable for found in played(rig.step(20))] == [False]


def test_a_face_is_watched_under_a_held_exposure_for_as_long_as_the_policy_says(rig):
    rig.order(WatchFace(2, POLICY.pulse))
    assert played(rig.step(round(POLICY.pulse.window_s * 1e9) // STEP_NS - 1)) == []
    assert rig.camera.exposures == [1.0]
    # The face of this pipeline has no skin to measure.
    assert [(found.play, found.is_usable) for found in played(rig.step(2))] == [(2, False)]
    assert rig.camera.exposures == [1.0, "free"]
    assert rig.ring.levels == []


@pytest.mark.parametrize(
    "end", [StopPlay(), StopAcquisition(), StartAcquisition(), Reopen(), WatchFace(5, POLICY.pulse)]
)
def test_every_order_that_ends_a_code_leaves_it_dark(rig, end):
    rig.order(LIGHT)
    rig.step(3)
    rig.order(end)
    news = rig.step(20)
    assert not played(news)
    assert [level for level in rig.ring.levels if isinstance(level, tuple)][-1] == DARK
    assert "free" in rig.camera.exposures


@pytest.mark.parametrize("broken", ["camera", "ring", "silence"])
def test_a_fault_while_a_code_is_played_leaves_it_dark(rig, broken):
    rig.order(LIGHT)
    rig.step(3)
    rig.camera.is_broken = broken == "camera"
    rig.ring.is_broken = broken == "ring"
    rig.camera.is_silent = broken == "silence"
    faults = []
    for _ in range(20):
        faults += [news.fault for news in rig.step() if isinstance(news, FaultRaised)]
        rig.camera.now += SECOND_NS // 2
    assert faults == [Fault.LIGHT if broken == "ring" else Fault.CAMERA]
    assert rig.ring.levels[-1] in (DARK, "off")
    assert not rig.worker.is_acquiring


@pytest.mark.parametrize("end", [StopPlay(), StopAcquisition()])
@pytest.mark.parametrize("broken", ["ring", "camera"])
def test_a_light_that_fails_as_it_is_ended_is_told_at_once_and_once_and_can_be_repaired(rig, end, broken):
    rig.order(LIGHT)
    rig.step(3)
    rig.ring.is_broken = broken == "ring"
    rig.camera.is_released_badly = broken == "camera"
    rig.order(end)
    faults = [news.fault for news in rig.step(5) if isinstance(news, FaultRaised)]
    assert faults == [Fault.LIGHT if broken == "ring" else Fault.CAMERA]
    assert not rig.worker.is_acquiring
    rig.ring.is_broken = rig.camera.is_released_badly = False
    rig.order(Reopen())
    assert [type(news) for news in rig.step(3)] == [FaultCleared]


def test_a_ring_that_cannot_be_opened_keeps_the_terminal_out_of_order(rig):
    rig.ring.is_broken = True
    rig.order(Reopen())
    assert [news.fault for news in rig.step()] == [Fault.LIGHT]
    rig.ring.is_broken = False
    rig.order(Reopen())
    assert [type(news) for news in rig.step()] == [FaultCleared]
    assert rig.ring.levels[-1] == "on"


def test_a_crash_and_a_stop_of_the_thread_leave_it_dark(eventually):
    for crash in (True, False):
        rig = Rig()
        rig.order(StartAcquisition(), LIGHT)
        rig.step(3)
        thread = WorkerThread(rig.worker, on_crash=lambda: None)
        if crash:
            rig.pipeline.process = None
        thread.start()
        if crash:
            eventually(lambda thread=thread: not thread.is_alive)
        thread.stop()
        assert rig.ring.levels[-2:] == [DARK, "off"]
        assert rig.camera.exposures[-1] == "free"


def test_frames_out_of_order_are_told_to_nobody(rig):
    rig.step()
    rig.pipeline.is_late = True
    assert rig.step(5) == []


def test_other_faces_of_the_subjects_size_are_told(rig):
    rig.pipeline.similar_faces = 3
    assert [news.faces for news in rig.step()] == [3]


def test_a_sample_is_wanted_in_a_stage_only_when_it_is_asked_for(rig):
    rig.order(LIGHT)
    rig.step(2)
    assert rig.pipeline.given[-1] is None
    rig.order(WantSample())
    assert rig.step()[-1].has_features
    rig.order(TakeSample(rig.camera.sequence, "illuminating_0", wants_more=False))
    rig.step()
    assert [sample.phase for sample in rig.worker._samples._samples] == ["illuminating_0"]
    assert rig.pipeline.given[-1] is None


def test_the_probe_is_made_of_the_best_frames_of_the_acquisition_and_all_rests(rig):
    best = POLICY.quality.probe_samples
    for number in range(best + 3):
        rig.pipeline.quality = 60.0 + number
        rig.take("acquiring")
    rig.pipeline.quality = 55.0
    rig.take("rest_1")
    findings = rig.compare()
    assert findings.samples == best + 1
    mean = (sum(60.0 + number for number in range(3, best + 3)) + 55.0) / (best + 1)
    assert dict(findings.quality)["sharpness"] == pytest.approx(mean)


def test_crops_are_kept_for_a_network_in_the_shadow_only_and_zeroed_once_the_session_has_ended(fake_network):
    def answer(_image):
        return {"features": np.array([[1.0, 0.5]], np.float32)}

    present, new = (fake_network("features", 112, {"features": (1, 2)}, answer) for _ in range(2))
    shadow = Shadow(new, present=present)
    rig = Rig(shadow)
    rig.order(StartAcquisition())
    for is_certified in [True] * LEAST_SESSIONS + [False]:
        rig.order(StartAcquisition())
        rig.take("acquiring")
        rig.take("challenging_1")
        rig.step()
        kept = [sample.crop for sample in rig.worker._samples._samples]
        rig.compare()
        held = list(shadow._crops)
        assert len(held) == 2
        assert not any(crop.any() for crop in kept), "what was kept for the comparison goes with it"
        rig.order(StopAcquisition(), EndShadow("ab" * 16 if is_certified else None, Fate.NO_KEY))
        rig.step()
        assert not any(crop.any() for crop in held)
    assert [record_id for record_id, _ in rig.found] == ["ab" * 16] * LEAST_SESSIONS
    (summary,) = [found.summary for _, found in rig.found if found.summary is not None]
    assert (summary.sessions, summary.pairs) == (LEAST_SESSIONS, LEAST_SESSIONS)
    assert (summary.old_mean, summary.new_mean) == pytest.approx((1.0, 1.0))


def test_without_a_shadow_no_crop_is_kept(rig):
    rig.take("acquiring")
    rig.step()
    assert [sample.crop for sample in rig.worker._samples._samples] == [None]
    assert all(subject.crop is None for subject in rig.worker._samples._recent.values())


@pytest.mark.parametrize("how", ["another session", "the end"])
def test_faces_held_for_the_shadow_do_not_outlast_their_session(fake_network, how):
    answer = {"features": np.array([[1.0, 0.5]], np.float32)}
    present, new = (fake_network("features", 112, {"features": (1, 2)}, lambda _: answer) for _ in range(2))
    shadow = Shadow(new, present=present)
    rig = Rig(shadow)
    rig.order(StartAcquisition())
    rig.take("acquiring")
    rig.take("challenging_1")
    rig.compare()
    held = list(shadow._crops)
    assert held[0].any()
    if how == "another session":
        rig.order(StartAcquisition())
        rig.step()
    else:
        rig.worker.close()
    assert not any(crop.any() for crop in held)
