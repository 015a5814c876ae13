"""The vision worker: frames end here, plain numbers come out.

It takes orders between frames. In service a thread runs `step` for ever; on a simulated clock the runner calls it, one
frame at a time, so that nothing is dropped and every run is the same. Old frames are never queued: the camera port gives the newest.

The light belongs to it, too: it is played between the frames, and dark whenever no code is played, whatever happens.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import replace

from device.errors import CameraUnavailable, PictureTooLarge, RingLightUnavailable
from device.ports import Camera, RingLight, Viewfinder
from device.runner.evidence import EvidenceCollector
from device.runner.frames import CAPTURE_TIMEOUT_S, FrameCount, FrameSource, LookedAt
from device.runner.light import LightPlayer
from device.runner.orders import (
    Aim,
    Borrowed,
    CompareWith,
    EndShadow,
    Findings,
    ForgetStills,
    News,
    Order,
    PictureNotTaken,
    PictureTaken,
    Reopen,
    TakeStill,
)
from device.runner.photos import Photographer
from device.runner.samples import SampleKeeper, erase, mean_quality, reference_of, score_of
from device.session.commands import (
    AwaitRest,
    DropSamples,
    PlayLight,
    StartAcquisition,
    StopAcquisition,
    StopPlay,
    TakeSample,
    WantSample,
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
from device.vision.evidence.actions import ActionDetector, ActionReport, motion_of
from device.vision.evidence.challenge import ChallengeMonitor, ChallengeVerdict
from device.vision.frame import Frame
from device.vision.inference import Network
from device.vision.pipeline import FrameObservation, SubjectObservation, VisionPipeline
from device.vision.shadow import Move, Shadow, ShadowFound
from device.vision.tracking import PATIENCE_NS
from protocol.challenge import Action
from protocol.quality import unified_score

logger = logging.getLogger(__name__)

_FEATURES_YAW_DEG = 35.0
"""Further turned, features are not asked for: live heads turned by 25 to 30 degrees keep a cosine of .75 to .85 to the front view,
and profiles do not."""
_EYES_EVERY = 3
"""While a light is played, the face is watched or another action than a blink is asked for, the eyes of every third frame are looked
at, so that their rest stays known (the median over six seconds): five samples a second at 15 frames/s."""
_GAP_NS = PATIENCE_NS
"""Without frames for longer, the tracker has lost the face, and the session must know that nobody was seen meanwhile."""


class VisionWorker:
    """Turns frames into news for the session, one step at a time. Used by one thread."""

    def __init__(
        self,
        camera: Camera,
        pipeline: VisionPipeline,
        *,
        now_ns: Callable[[], int],
        post: Callable[[int, News], None],
        is_paced: bool = False,
        ring: RingLight | None = None,
        texture: Network | None = None,
        sensor_id: str | None = None,
        viewfinder: Viewfinder | None = None,
        shadow: Shadow | None = None,
        on_shadow: Callable[[str, ShadowFound], None] = lambda _id, _found: None,
    ) -> None:
        """Prepare a worker.

        Args:
            camera: the frames.
            pipeline: the face processing.
            now_ns: reads the monotonic clock of the frames.
            post: takes the number of the acquisition and the news.
            is_paced: whether the caller of `step` moves the clock; an empty camera then is a clip's end and no fault.
            ring: the light around the lens; None where there is none.
            texture: the passive PAD network; None where there is none.
            sensor_id: the sensor the terminal was commissioned with; None where that is not known.
            viewfinder: shows the person what the camera sees; None where nothing does.
            shadow: a features network that runs beside the one in use after sessions that certified; None where none does.
            on_shadow: takes the id of such a session's record and what came of it, on the worker's thread.
        """
        self._frames = FrameSource(camera, now_ns=now_ns, on_stall=self._stall, is_paced=is_paced)
        self._count = FrameCount()
        self._pipeline = pipeline
        self._now_ns = now_ns
        self._post = post
        self._orders: queue.SimpleQueue[tuple[int, Order]] = queue.SimpleQueue()
        self._generation = 0
        self.is_acquiring = False
        self._actions = ActionDetector()
        self._monitor: ChallengeMonitor | None = None
        self._prompt: WatchFor | None = None
        self._has_told_slow = False
        self._wants_features = False
        self._frames_without_eyes = 0
        self._samples = SampleKeeper(keeps_crops=shadow is not None)
        self._shadow = shadow
        self._on_shadow = on_shadow
        self._photographer = Photographer(camera, pipeline, viewfinder)
        self._light = LightPlayer(camera, ring)
        self._evidence = EvidenceCollector(
            self._light.stimulus, has_ring=ring is not None, texture=texture, sensor_id=sensor_id
        )
        self._unended: CameraUnavailable | RingLightUnavailable | None = None
        """What did not answer when a light was ended, until it is told."""
        self._played: PlayLight | WatchFace | None = None
        self._play_began_ns = 0
        self._looked_at_ns: int | None = None
        """When the last frame that was looked at was taken; None at the beginning of an acquisition."""
        self._began_ns = 0
        self.beat_ns = now_ns()
        """When the worker last began or ended a step; one that hangs in a camera or a network does neither."""

    def order(self, generation: int, order: Order) -> None:
        """Give an order; it is carried out before the next frame. May be called from any thread."""
        self._orders.put((generation, order))

    def step(self, wait_s: float = 0.0) -> None:
        """Carry out all orders, then look at one frame if frames are wanted.

        Args:
            wait_s: how long to wait for an order while no frames are wanted, or the camera is to be opened again.
        """
        self.beat_ns = self._now_ns()
        try:
            self._take_orders(wait_s)
            if self.is_acquiring:
                self._look()
            elif self._photographer.is_aiming:
                self._photographer.look(CAPTURE_TIMEOUT_S)
            if self._unended is not None:
                # Nobody waits for a light that is over, so nobody would hear of it before the next person needs it.
                raise self._unended
        except CameraUnavailable as error:
            self._fail(Fault.CAMERA, str(error))
        except RingLightUnavailable as error:
            self._fail(Fault.LIGHT, str(error))
        self.beat_ns = self._now_ns()

    @property
    def looked_at(self) -> LookedAt | None:
        """The pictures of the newest session that was long enough to tell their rate; may be read from any thread."""
        return self._count.newest

    def close(self) -> None:
        """Leave nothing alight and nothing remembered: for the end of the worker, however it comes; may be called twice."""
        self._forget()
        self._forget_shadow()
        self._photographer.forget()
        self._light.close()

    def _look(self) -> None:
        if isinstance(self._played, PlayLight) and self._light.play(self._now_ns()):
            self._tell_played(is_usable=self._evidence.end_light(self._played.rules))
        frame = self._frames.next()
        # A frame taken before this session may show whoever was there then.
        if frame is None or frame.monotonic_ns < self._began_ns:
            return
        self._tell_gap(frame)
        self._photographer.show(frame)
        self._evidence.see_frame(frame)
        observation = self._pipeline.process(
            frame,
            want_features=self._wants_features,
            want_quality=self._wants_features,
            want_eyes=self._wants_eyes(),
        )
        if observation.is_late:
            return
        self._count.note(observation.monotonic_ns)
        report = self._actions.observe(motion_of(observation), monotonic_ns=observation.monotonic_ns)
        self._collect(frame, observation, report)
        self._tell_sample(frame, observation, report)
        self._tell_actions(report)
        played = self._played
        if isinstance(played, WatchFace) and self._frames.last_ns - self._play_began_ns >= played.rules.window_s * 1e9:
            self._tell_played(is_usable=self._evidence.is_watch_usable(played.rules))

    def _take_still(self, order: TakeStill) -> None:
        try:
            self._post(self._generation, PictureTaken(order.number, self._photographer.take(order)))
        except PictureTooLarge as error:
            # No fault: the next picture may show less.
            logger.warning("picture not taken why=%s", error)
            self._post(self._generation, PictureNotTaken(order.number, order.role))
        except CameraUnavailable:
            self._post(self._generation, PictureNotTaken(order.number, order.role))
            raise

    def _stall(self, now: int) -> None:
        self._stop_play()
        # A picture that stands still looks like a terminal that does.
        self._photographer.show_nothing()
        if isinstance(self._unended, CameraUnavailable):
            # Opened again its exposure is automatic.
            self._unended = None
        self._post(self._generation, CameraStalled(now))

    def _tell_gap(self, frame: Frame) -> None:
        """Tell that nobody was seen while there were no frames: whoever is there now is another track."""
        before, self._looked_at_ns = self._looked_at_ns, frame.monotonic_ns
        if before is not None and frame.monotonic_ns - before > _GAP_NS:
            self._post(self._generation, SampleAssessed(frame.monotonic_ns, frame.sequence, None, is_blind=True))

    def _wants_eyes(self) -> bool:
        """Say whether to look at the eyes of the next frame: at all but some where nothing is asked of them."""
        is_other_prompt = self._prompt is not None and self._prompt.action is not Action.BLINK
        if self._played is None and not (self._monitor is not None and is_other_prompt):
            self._frames_without_eyes = 0
            return True
        self._frames_without_eyes = (self._frames_without_eyes + 1) % _EYES_EVERY
        return self._frames_without_eyes == 0

    def _collect(self, frame: Frame, observation: FrameObservation, report: ActionReport) -> None:
        subject = observation.subject
        if subject is None:
            return
        match self._played:
            case PlayLight():
                self._evidence.see_lit(frame, subject)
            case WatchFace():
                self._evidence.see_watched(frame, subject)
            case None:
                self._evidence.see_subject(frame, subject, report)

    def _take_orders(self, wait_s: float) -> None:
        try:
            has_frames = self._photographer.is_aiming or (self.is_acquiring and not self._frames.is_lost)
            pending = self._orders.get(timeout=wait_s) if wait_s and not has_frames else self._orders.get_nowait()
            while True:
                self._carry_out(*pending)
                pending = self._orders.get_nowait()
        except queue.Empty:
            return

    def _carry_out(self, generation: int, order: Order) -> None:
        if isinstance(order, Borrowed):
            # Of no session: news go on being those of the present one.
            order.work()
            self.beat_ns = self._now_ns()
            return
        self._generation = generation
        match order:
            case StartAcquisition():
                self._begin()
            case StopAcquisition():
                self._forget()
                self.is_acquiring = False
                self._photographer.show_nothing()
            case Aim(is_on):
                self._photographer.aim(is_on=is_on)
            case TakeStill():
                self._take_still(order)
            case ForgetStills():
                self._photographer.forget()
            case DropSamples():
                self._samples.drop_samples()
                self._evidence.forget()
                self._monitor = None
                self._wants_features = True
            case TakeSample():
                self._wants_features = order.wants_more
                self._evidence.sampled(order.sequence)
                self._samples.take(order)
            case AwaitRest():
                self._monitor = None
                self._samples.drop_moving()
                self._evidence.await_rest()
                self._wants_features = True
            case WantSample():
                self._wants_features = True
            case PlayLight() | WatchFace():
                self._play(order)
            case StopPlay():
                self._stop_play()
            case WatchFor():
                self._watch(order)
            case CompareWith():
                try:
                    self._post(self._generation, self._compare(order))
                finally:
                    self._samples.drop_samples()
                    order.erase()
            case EndShadow():
                self._end_shadow(order)
            case Reopen():
                self._reopen()

    def _begin(self) -> None:
        self._forget()
        self._forget_shadow()
        self._pipeline.forget_subject()
        self._actions = ActionDetector()
        self._wants_features = True
        self._photographer.aim(is_on=False)
        self._photographer.forget()
        self._looked_at_ns = None
        self._began_ns = self._now_ns()
        self._frames.begin()
        self.is_acquiring = True

    def _play(self, order: PlayLight | WatchFace) -> None:
        self._stop_play()
        self._played, self._play_began_ns = order, self._now_ns()
        self._wants_features = False
        if isinstance(order, PlayLight):
            self._evidence.begin_light(order.play)
            self._light.begin(order, self._play_began_ns)
        else:
            self._evidence.begin_watch()
            self._light.hold()

    def _stop_play(self) -> None:
        self._played = None
        self._unended = self._light.end(self._now_ns()) or self._unended

    def _tell_played(self, *, is_usable: bool) -> None:
        played = self._played
        self._stop_play()
        if played is not None:
            self._post(self._generation, StagePlayed(self._now_ns(), played.play, is_usable=is_usable))

    def _tell_sample(self, frame: Frame, observation: FrameObservation, report: ActionReport) -> None:
        subject = observation.subject
        if subject is None:
            news = SampleAssessed(observation.monotonic_ns, observation.sequence, None)
        else:
            is_kept = self._keep(frame, subject, report)
            news = SampleAssessed(
                at_ns=observation.monotonic_ns,
                sequence=observation.sequence,
                track_id=subject.track_id,
                faces=subject.similar_faces,
                quality=() if subject.quality is None else tuple(subject.quality.components().items()),
                has_features=is_kept,
                is_at_rest=report.is_at_rest,
            )
        self._post(self._generation, news)

    def _keep(self, frame: Frame, subject: SubjectObservation, report: ActionReport) -> bool:
        """Keep what a sample may be taken of; return whether it is one of the resting face.

        While a prompt is open every frame in which something moves is kept with its features: which of them shows the answer is known
        only when the action has been seen.
        """
        if self._monitor is None:
            return self._samples.keep_resting(frame.sequence, subject)
        if report.is_moving and abs(subject.pose.yaw_deg) <= _FEATURES_YAW_DEG:
            features = subject.features if subject.features is not None else self._pipeline.features_of(frame, subject)
            self._samples.keep_moving(frame.sequence, replace(subject, features=features))
        else:
            erase(subject.features)
        return False

    def _tell_actions(self, report: ActionReport) -> None:
        if self._monitor is None or self._prompt is None:
            return
        progress = self._monitor.observe(report)
        if progress.verdict is not ChallengeVerdict.PENDING:
            shown = progress.interval.shown_sequence if progress.interval is not None else None
            is_performed = progress.verdict is ChallengeVerdict.PERFORMED
            self._monitor = None
            self._evidence.end_prompt(progress.interval if is_performed else None)
            self._post(
                self._generation,
                ChallengeAnswered(
                    report.monotonic_ns,
                    self._prompt.prompt,
                    is_performed=is_performed,
                    sequence=shown if self._samples.has_moving(shown) else None,
                ),
            )
        elif (
            self._prompt.action is Action.BLINK
            and report.frame_rate is not None
            and not report.is_blink_possible
            and not self._has_told_slow
        ):
            self._has_told_slow = True
            self._post(self._generation, FrameRateLow(report.monotonic_ns, self._prompt.prompt))

    def _watch(self, order: WatchFor) -> None:
        self._prompt = order
        self._evidence.begin_prompt(order.action)
        self._monitor = ChallengeMonitor(
            order.action, prompted_ns=order.prompted_ns, reaction_ns=round(order.reaction_s * 1e9)
        )
        self._samples.drop_moving()
        self._has_told_slow = False
        self._wants_features = False

    def _compare(self, order: CompareWith) -> Findings:
        rules = order.policy.quality
        minimum = order.policy.minimum_quality(order.path)
        probe = self._samples.probe(best=rules.probe_samples, minimum=minimum)
        quality = mean_quality(probe)
        unified = max(0.0, unified_score(dict(quality), minimum)) if quality else 0.0
        if self._shadow is not None:
            held = [(sample.crop, sample.features) for sample in probe if sample.crop is not None]
            self._shadow.hold(held, quality=unified)
        continuity = self._samples.continuity(
            threshold=order.policy.continuity.min_similarity,
            phases=order.phases,
            watched=order.watched,
        )
        score = score_of(
            probe,
            order.reference,
            order.key,
            cohort=order.cohort,
            rules=order.rules,
            subject_id=order.subject_id,
        )
        return Findings(
            at_ns=self._now_ns(),
            similarity=None if score is None else score.raw.similarity,
            normalised=None if score is None else score.normalised,
            cohort_people=0 if score is None else score.cohort_people,
            samples=len(probe),
            evidence=(continuity, *self._evidence.assess(order.policy, order.path)),
            quality=quality,
            unified_quality=unified,
            reference=None
            if order.keep_as is None
            else reference_of(probe, order.keep_as.domain, order.keep_as.secret),
        )

    def _end_shadow(self, order: EndShadow) -> None:
        try:
            if self._shadow is not None and order.record_id is not None:
                self._on_shadow(order.record_id, self._shadow.run(order.move))
        finally:
            self._forget_shadow()
            if isinstance(order.move, Move):
                order.move.erase()

    def _forget_shadow(self) -> None:
        if self._shadow is not None:
            self._shadow.forget()

    def _reopen(self) -> None:
        self.is_acquiring = False
        self._stop_play()
        self._frames.open_again()
        self._light.open()
        self._unended = None
        self._post(self._generation, FaultCleared(self._now_ns()))

    def _fail(self, fault: Fault, why: str) -> None:
        logger.warning("vision worker stopped fault=%s why=%s", fault, why)
        self._forget_shadow()
        self.is_acquiring = False
        self._photographer.aim(is_on=False)
        self._photographer.show_nothing()
        self._stop_play()
        self._unended = None
        self._post(self._generation, FaultRaised(self._now_ns(), fault))

    def _forget(self) -> None:
        self._count.end()
        self._stop_play()
        self._samples.forget()
        self._evidence.forget()
        self._monitor = None
        self._prompt = None
        self._wants_features = False


class WorkerThread:
    """Runs a worker's steps on a thread of its own until stopped."""

    def __init__(self, worker: VisionWorker, *, on_crash: Callable[[], None]) -> None:
        self._worker = worker
        self._on_crash = on_crash
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vision", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs; one that ended by itself is for systemd to restart."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End after the present frame and wait for it."""
        self._stopping.set()
        self._thread.join(timeout=10.0)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._worker.step(wait_s=CAPTURE_TIMEOUT_S)
        except Exception:
            logger.exception("vision worker crashed")
            self._on_crash()
        finally:
            self._worker.close()
