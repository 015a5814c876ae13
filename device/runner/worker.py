"""The vision worker: frames end here, plain numbers come out.

It takes orders between frames. In service a thread runs `step` for ever; on a simulated clock the runner calls it, one
frame at a time, so that nothing is dropped and every run is the same. Old frames are never queued: the camera port gives the newest.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from device.errors import CameraUnavailable, IncomparableFeatures
from device.ports import Camera
from device.session.commands import (
    AwaitRest,
    DropSamples,
    StartAcquisition,
    StopAcquisition,
    TakeSample,
    WatchFor,
)
from device.session.events import (
    ChallengeAnswered,
    Fault,
    FaultCleared,
    FaultRaised,
    FrameRateLow,
    SampleAssessed,
)
from device.vision.comparison import compare
from device.vision.evidence.actions import ActionDetector, ActionReport, motion_of
from device.vision.evidence.challenge import ChallengeMonitor, ChallengeVerdict
from device.vision.evidence.continuity import PhaseSample, assess_continuity
from device.vision.features import FeatureVector, mean_features
from device.vision.pipeline import FrameObservation, SubjectObservation, VisionPipeline
from protocol.challenge import Action
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.references import protect

logger = logging.getLogger(__name__)

_RECENT = 16
"""Observations kept for a `TakeSample` that comes some frames late: half a second at 30 frames/s."""
_MOST_MOVING = 300
"""Frames kept of the actions after one prompt: ten seconds at 30 frames/s, as long as a prompt is open."""
_FEATURES_YAW_DEG = 35.0
"""Further turned, features are not asked for: live heads turned by 25 to 30 degrees keep a cosine of .75 to .85 to the front view,
and profiles do not."""
_CAPTURE_TIMEOUT_S = 0.5
"""How long one step waits for a frame; bounds how late an order is seen."""
_SILENCE_S = 5.0
"""A camera that gives no frame for so long is broken: libcamera's own request timeout is a second."""


@dataclass(frozen=True, slots=True)
class CompareWith:
    """Order: compare the probe with a reference, and the phases with each other."""

    reference: FeatureVector | None
    """Protected features, int8 (D,)."""
    key: bytes
    """The reference's key domain secret."""
    min_continuity: float
    phases: tuple[str, ...]
    has_track_changed: bool

    def __repr__(self) -> str:
        return f"CompareWith({self.reference!r})"


@dataclass(frozen=True, slots=True)
class Reopen:
    """Order: close the camera, open it again and see whether a frame comes."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a comparison gave; the runner adds day and clock."""

    at_ns: int
    similarity: float | None
    samples: int
    evidence: tuple[EvidenceResult, ...]
    quality: tuple[tuple[str, float], ...]


Order = StartAcquisition | StopAcquisition | TakeSample | DropSamples | AwaitRest | WatchFor | CompareWith | Reopen
News = SampleAssessed | ChallengeAnswered | FrameRateLow | Findings | FaultRaised | FaultCleared

_INSTALLED = (EvidenceKind.CHALLENGE, EvidenceKind.CONTINUITY)
"""Kinds of evidence this terminal has; the others are reported as not run."""


@dataclass(frozen=True, slots=True)
class _Sample:
    phase: str
    track_id: int
    features: FeatureVector
    quality: dict[str, float]
    is_moving: bool


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
        is_simulated: bool = False,
    ) -> None:
        """Prepare a worker.

        Args:
            camera: the frames.
            pipeline: the face processing.
            now_ns: reads the monotonic clock of the frames.
            post: takes the number of the acquisition and the news.
            is_simulated: whether the frames come from no camera; the evidence says so.
            is_paced: whether the caller of `step` moves the clock; an empty camera then is a clip's end and no fault.
        """
        self._camera = camera
        self._pipeline = pipeline
        self._now_ns = now_ns
        self._post = post
        self._is_paced = is_paced
        self._is_simulated = is_simulated
        self._orders: queue.SimpleQueue[tuple[int, Order]] = queue.SimpleQueue()
        self._generation = 0
        self.is_acquiring = False
        self._actions = ActionDetector()
        self._monitor: ChallengeMonitor | None = None
        self._prompt: WatchFor | None = None
        self._has_told_slow = False
        self._wants_features = False
        self._recent: OrderedDict[int, SubjectObservation] = OrderedDict()
        self._moving: OrderedDict[int, SubjectObservation] = OrderedDict()
        self._samples: list[_Sample] = []
        self._last_frame_ns = 0
        self._began_ns = 0
        self.beat_ns = now_ns()
        """When the worker last began or ended a step; one that hangs in a camera or a network does neither."""

    def order(self, generation: int, order: Order) -> None:
        """Give an order; it is carried out before the next frame. May be called from any thread."""
        self._orders.put((generation, order))

    def step(self, wait_s: float = 0.0) -> None:
        """Carry out all orders, then look at one frame if frames are wanted.

        Args:
            wait_s: how long to wait for an order while no frames are wanted.
        """
        self.beat_ns = self._now_ns()
        self._take_orders(wait_s)
        if self.is_acquiring:
            self._look()
        self.beat_ns = self._now_ns()

    def _look(self) -> None:
        try:
            frame = self._camera.capture(_CAPTURE_TIMEOUT_S)
        except CameraUnavailable as error:
            self._fail(Fault.CAMERA, str(error))
            return
        now = self._now_ns()
        if frame is None:
            if not self._is_paced and now - self._last_frame_ns > _SILENCE_S * 1e9:
                self._fail(Fault.CAMERA, f"no frame for {_SILENCE_S} s")
            return
        self._last_frame_ns = now
        if frame.monotonic_ns < self._began_ns:
            # It was taken before this session and may show whoever was there then.
            return
        observation = self._pipeline.process(frame, want_features=self._wants_features)
        report = self._actions.observe(motion_of(observation), monotonic_ns=observation.monotonic_ns)
        self._tell_sample(observation, report)
        self._tell_actions(report)

    def _take_orders(self, wait_s: float) -> None:
        try:
            pending = (
                self._orders.get(timeout=wait_s) if wait_s and not self.is_acquiring else self._orders.get_nowait()
            )
            while True:
                self._carry_out(*pending)
                pending = self._orders.get_nowait()
        except queue.Empty:
            return

    def _carry_out(self, generation: int, order: Order) -> None:
        self._generation = generation
        match order:
            case StartAcquisition():
                self._forget()
                self._pipeline.forget_subject()
                self._actions = ActionDetector()
                self._wants_features = True
                self._last_frame_ns = self._began_ns = self._now_ns()
                self.is_acquiring = True
            case StopAcquisition():
                self._forget()
                self.is_acquiring = False
            case DropSamples():
                self._drop_samples()
                self._monitor = None
                self._wants_features = True
            case TakeSample():
                self._take(order)
            case AwaitRest():
                self._monitor = None
                self._drop_moving()
                self._wants_features = True
            case WatchFor():
                self._watch(order)
            case CompareWith():
                self._post(self._generation, self._compare(order))
                self._drop_samples()
                if order.reference is not None:
                    order.reference.erase()
            case Reopen():
                self._reopen()

    def _tell_sample(self, observation: FrameObservation, report: ActionReport) -> None:
        subject = observation.subject
        if subject is None:
            news = SampleAssessed(observation.monotonic_ns, observation.sequence, None)
        else:
            is_kept = self._keep(observation.sequence, subject, report)
            news = SampleAssessed(
                at_ns=observation.monotonic_ns,
                sequence=observation.sequence,
                track_id=subject.track_id,
                quality=tuple(subject.quality.components().items()),
                has_features=is_kept,
                is_at_rest=report.is_at_rest,
            )
        self._post(self._generation, news)

    def _keep(self, sequence: int, subject: SubjectObservation, report: ActionReport) -> bool:
        """Keep what a sample may be taken of; return whether it is one of the resting face.

        While a prompt is open every frame in which something moves is kept with its features: which of them shows the answer is known
        only when the action has been seen.
        """
        if self._monitor is None:
            return _put(self._recent, sequence, replace(subject, crop=None), most=_RECENT)
        if report.is_moving and abs(subject.pose.yaw_deg) <= _FEATURES_YAW_DEG:
            features = subject.features if subject.features is not None else self._pipeline.features_of(subject)
            _put(self._moving, sequence, replace(subject, crop=None, features=features), most=_MOST_MOVING)
        else:
            _erase(subject.features)
        return False

    def _tell_actions(self, report: ActionReport) -> None:
        if self._monitor is None or self._prompt is None:
            return
        progress = self._monitor.observe(report)
        if progress.verdict is not ChallengeVerdict.PENDING:
            shown = progress.interval.shown_sequence if progress.interval is not None else None
            self._monitor = None
            self._post(
                self._generation,
                ChallengeAnswered(
                    report.monotonic_ns,
                    self._prompt.prompt,
                    is_performed=progress.verdict is ChallengeVerdict.PERFORMED,
                    sequence=shown if shown in self._moving else None,
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
        self._monitor = ChallengeMonitor(
            order.action, prompted_ns=order.prompted_ns, reaction_ns=round(order.reaction_s * 1e9)
        )
        self._drop_moving()
        self._has_told_slow = False
        self._wants_features = False

    def _take(self, order: TakeSample) -> None:
        self._wants_features = order.wants_more
        subject = (self._moving if order.is_moving else self._recent).get(order.sequence)
        if subject is None or subject.features is None:
            logger.debug("sample no longer there phase=%s", order.phase)
            return
        own = FeatureVector(subject.features.values.copy(), subject.features.model_digest)
        self._samples.append(_Sample(order.phase, subject.track_id, own, subject.quality.components(), order.is_moving))

    def _compare(self, order: CompareWith) -> Findings:
        resting = [sample for sample in self._samples if not sample.is_moving]
        phases = [
            PhaseSample(sample.phase, sample.track_id, sample.features, sample.is_moving) for sample in self._samples
        ]
        if order.has_track_changed:
            # Another track took over; it has no samples, its existence is the evidence.
            phases.append(PhaseSample("another_track", -1, None))
        absent = tuple(
            EvidenceResult(kind=kind, status=EvidenceStatus.NOT_RUN, reason=self._why_absent(kind))
            for kind in EvidenceKind
            if kind not in _INSTALLED
        )
        continuity = assess_continuity(phases, threshold=order.min_continuity, phases=order.phases)
        return Findings(
            at_ns=self._now_ns(),
            similarity=_similarity([sample.features for sample in resting], order),
            samples=len(resting),
            evidence=(continuity, *absent),
            quality=_mean_quality(resting),
        )

    def _why_absent(self, kind: EvidenceKind) -> str:
        return "simulated" if self._is_simulated and kind is EvidenceKind.CAPTURE_PATH else "not_installed"

    def _reopen(self) -> None:
        self.is_acquiring = False
        try:
            self._camera.stop()
            self._camera.start()
            frame = self._camera.capture(_SILENCE_S)
        except CameraUnavailable as error:
            self._fail(Fault.CAMERA, str(error))
            return
        if frame is None:
            self._fail(Fault.CAMERA, f"no frame for {_SILENCE_S} s")
        else:
            self._post(self._generation, FaultCleared(self._now_ns()))

    def _fail(self, fault: Fault, why: str) -> None:
        logger.warning("vision worker stopped fault=%s why=%s", fault, why)
        self.is_acquiring = False
        self._post(self._generation, FaultRaised(self._now_ns(), fault))

    def _forget(self) -> None:
        self._drop_samples()
        for subject in self._recent.values():
            _erase(subject.features)
        self._recent.clear()
        self._monitor = None
        self._prompt = None
        self._wants_features = False

    def _drop_samples(self) -> None:
        for sample in self._samples:
            sample.features.erase()
        self._samples.clear()
        self._drop_moving()

    def _drop_moving(self) -> None:
        for subject in self._moving.values():
            _erase(subject.features)
        self._moving.clear()


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
                self._worker.step(wait_s=_CAPTURE_TIMEOUT_S)
        except Exception:
            logger.exception("vision worker crashed")
            self._on_crash()


def _erase(features: FeatureVector | None) -> None:
    if features is not None:
        features.erase()


def _put(kept: OrderedDict[int, SubjectObservation], sequence: int, subject: SubjectObservation, *, most: int) -> bool:
    """Keep an observation in place of the oldest one; return whether it has features."""
    kept[sequence] = subject
    while len(kept) > most:
        _erase(kept.popitem(last=False)[1].features)
    return subject.features is not None


def _similarity(vectors: list[FeatureVector], order: CompareWith) -> float | None:
    """Return the score of the fused probe against the reference; None where the two cannot be compared."""
    if not vectors or order.reference is None:
        return None
    try:
        probe = mean_features(vectors)
        values = probe.values.astype("float32")
        probe.erase()
        protected = FeatureVector(protect(values, order.key), probe.model_digest, order.reference.key_domain)
        values[...] = 0
        score = compare(protected, order.reference).similarity
        protected.erase()
    except (IncomparableFeatures, ValueError) as error:
        logger.warning("no comparison why=%s", type(error).__name__)
        return None
    return score


def _mean_quality(samples: list[_Sample]) -> tuple[tuple[str, float], ...]:
    if not samples:
        return ()
    return tuple((name, sum(sample.quality[name] for sample in samples) / len(samples)) for name in samples[0].quality)
