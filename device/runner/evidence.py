"""Feeds the recorders of evidence with what the frames of a session show, and has them judge it by the session's policy."""

from __future__ import annotations

from device.vision.evidence.actions import ActionInterval, ActionReport
from device.vision.evidence.capture_path import CapturePathRecorder
from device.vision.evidence.illumination import IlluminationRecorder
from device.vision.evidence.planarity import PlanarityRecorder
from device.vision.evidence.pulse import PulseRecorder
from device.vision.evidence.results import Writer
from device.vision.evidence.stimulus import StimulusLog
from device.vision.evidence.texture import TextureRecorder
from device.vision.frame import Frame
from device.vision.inference import Network
from device.vision.pipeline import SubjectObservation
from device.vision.texture import TextureScorer
from protocol.challenge import TURNS, Action
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.policy import IlluminationPolicy, PathName, Policy, PulsePolicy

_TEXTURE_EVERY_NS = 200_000_000
"""Between two frames that the texture network scores: five in a second are more than the median of a session of twenty seconds needs,
and neighbouring frames say the same."""
_NOT_STILL = frozenset({"moved", "too_few_frames", "too_short"})
"""Reasons for which going through a stage again may help."""


class EvidenceCollector:
    """Everything but challenge and continuity, which belong to the session and to the samples."""

    def __init__(
        self,
        stimulus: StimulusLog,
        *,
        has_ring: bool,
        texture: Network | None = None,
        sensor_id: str | None = None,
    ) -> None:
        """Prepare a collector.

        Args:
            stimulus: what light and exposure were set to.
            has_ring: whether the terminal has a light ring.
            texture: the passive PAD network; None where there is none.
            sensor_id: the sensor the terminal was commissioned with; None where that is not known.
        """
        self._stimulus = stimulus
        self._has_ring = has_ring
        self._scorer = TextureScorer(texture) if texture is not None else None
        self._texture_name = texture.manifest.name if texture is not None else ""
        self._planarity = PlanarityRecorder()
        self._illumination = IlluminationRecorder()
        self._pulse = PulseRecorder()
        self._texture = TextureRecorder()
        self._capture_path = CapturePathRecorder(sensor_id)
        self._scored_ns: int | None = None
        self._is_lit = False
        self._attempt = 0
        self._light: EvidenceResult | None = None
        self._left_out: frozenset[int] = frozenset()
        self._is_watched = False
        self._is_challenged = False
        self._is_turn_open = False
        self._answer: ActionInterval | None = None
        self._track_id: int | None = None

    def begin_light(self, attempt: int = 0) -> None:
        """A light code begins; what an earlier one showed no longer counts.

        Args:
            attempt: with which the code was drawn from the nonce; it stands in the record, so that the fleet can draw it again.
        """
        self._attempt = attempt
        self._illumination.forget()
        self._is_lit = True
        self._light, self._left_out = None, frozenset()

    def end_light(self, rules: IlluminationPolicy | None) -> bool:
        """A light code is over: judge it and forget the pictures.

        Args:
            rules: the policy's thresholds.

        Returns:
            Whether the face held still enough under the code; True where none is judged.
        """
        if rules is None or not self._has_ring:
            return True
        self._light, self._left_out = self._illumination.assess(rules, self._stimulus), self._illumination.left_out
        self._illumination.forget()
        return _is_usable(self._light)

    def sampled(self, sequence: int) -> None:
        """The face in a frame is compared with the rest of the session; under a light it must be a frame that is judged."""
        self._illumination.sampled(sequence)
        if sequence in self._left_out:
            self._light = Writer(EvidenceKind.ILLUMINATION).not_run("moved")

    def begin_watch(self) -> None:
        """The face is watched from now on."""
        self._pulse.forget()
        self._is_watched = True

    def await_rest(self) -> None:
        """No prompt is open; from the first time on the subject at rest is what turns are compared with."""
        self._is_challenged = True
        self._close_prompt()

    def begin_prompt(self, action: Action) -> None:
        """A prompt is open; if it asks for a turn, its answer is judged for planarity."""
        self._is_challenged = True
        self._close_prompt()
        self._answer = None
        self._is_turn_open = action in TURNS

    def end_prompt(self, answer: ActionInterval | None) -> None:
        """A prompt was answered.

        Args:
            answer: the action that performed it, which may still go on; None if another one came.
        """
        if self._is_turn_open and answer is not None:
            self._answer = answer
            self._planarity.keep(answer.start_sequence)
        self._close_prompt()

    def _close_prompt(self) -> None:
        self._is_turn_open = False
        self._planarity.drop()

    def see_frame(self, frame: Frame) -> None:
        """Take in a frame, whatever it shows."""
        self._capture_path.observe(frame)

    def see_subject(self, frame: Frame, subject: SubjectObservation, report: ActionReport) -> None:
        """Take in a frame of the subject outside the stages."""
        if not self._is_session_of(subject):
            return
        self._see_turn(frame, subject, report)
        if self._scorer is None or not report.is_at_rest:
            return
        if self._scored_ns is None or frame.monotonic_ns - self._scored_ns >= _TEXTURE_EVERY_NS:
            self._scored_ns = frame.monotonic_ns
            self._texture.observe(self._scorer.score(frame.pixels, subject.box), is_at_rest=True)

    def _see_turn(self, frame: Frame, subject: SubjectObservation, report: ActionReport) -> None:
        """Take in a frame for planarity: of the rest, of what may be the answer, or of the answer that goes on."""
        if report.is_at_rest:
            self._answer = None
            self._planarity.drop()
            if self._is_challenged:
                self._planarity.observe_rest(subject.landmarks, subject.pose)
        elif self._is_turn_open or self._goes_on(report):
            self._planarity.observe_movement(frame.sequence, subject.landmarks, subject.pose)
            if not self._is_turn_open:
                self._planarity.keep(frame.sequence)

    def _goes_on(self, report: ActionReport) -> bool:
        """Say whether the action that answered the last prompt still goes on."""
        answer = self._answer
        if answer is not None and not any(
            (interval.action, interval.start_sequence) == (answer.action, answer.start_sequence)
            for interval in report.active
        ):
            self._answer = None
        return self._answer is not None

    def _is_session_of(self, subject: SubjectObservation) -> bool:
        """Say whether it is the face seen first; who comes later is no part of this until everything is forgotten."""
        if self._track_id is None:
            self._track_id = subject.track_id
        return subject.track_id == self._track_id

    def see_lit(self, frame: Frame, subject: SubjectObservation) -> None:
        """Take in a frame of the subject while a light code is played."""
        if self._is_session_of(subject):
            self._illumination.observe(frame, subject.landmarks)

    def see_watched(self, frame: Frame, subject: SubjectObservation) -> None:
        """Take in a frame of the subject while it is watched."""
        if self._is_session_of(subject):
            self._pulse.observe(frame, subject.landmarks)

    def is_watch_usable(self, rules: PulsePolicy) -> bool:
        """Say whether the face held still enough to be watched."""
        return _is_usable(self._pulse.assess(rules))

    def assess(self, policy: Policy, path: PathName) -> tuple[EvidenceResult, ...]:
        """Return a result for every kind; what the path does not name, or had no stage for, did not run."""
        rules = policy.paths[path]
        named = {*rules.required, *rules.advisory}
        return tuple(
            self._with_attempt(self._assess(kind, policy)) if kind in named else Writer(kind).not_run("not_asked")
            for kind in _KINDS
        )

    def _with_attempt(self, result: EvidenceResult) -> EvidenceResult:
        if result.kind is not EvidenceKind.ILLUMINATION or not self._is_lit:
            return result
        return result.model_copy(update={"measures": {**result.measures, "attempt": float(self._attempt)}})

    def _assess(self, kind: EvidenceKind, policy: Policy) -> EvidenceResult:
        write = Writer(kind)
        match kind:
            case EvidenceKind.PLANARITY:
                return self._planarity.assess(policy.planarity)
            case EvidenceKind.ILLUMINATION if not self._has_ring:
                return write.not_run("not_installed")
            case EvidenceKind.ILLUMINATION if self._light is not None:
                return self._light
            case EvidenceKind.ILLUMINATION if self._is_lit:
                return self._illumination.assess(policy.illumination, self._stimulus)
            case EvidenceKind.TEXTURE if self._scorer is None:
                return write.not_run("not_installed")
            case EvidenceKind.TEXTURE:
                return self._texture.assess(policy.texture.get(self._texture_name))
            case EvidenceKind.PULSE if self._is_watched:
                return self._pulse.assess(policy.pulse)
            case EvidenceKind.CAPTURE_PATH if self._is_lit:
                return self._capture_path.assess(policy.capture_path, self._stimulus)
            case _:
                return write.not_run("no_stage")

    def forget(self) -> None:
        """Drop everything that was seen."""
        for recorder in (self._planarity, self._illumination, self._pulse, self._texture, self._capture_path):
            recorder.forget()
        self._stimulus.forget()
        self._scored_ns = None
        self._is_lit = self._is_watched = self._is_challenged = self._is_turn_open = False
        self._light = self._answer = self._track_id = None
        self._left_out = frozenset()


_KINDS = tuple(kind for kind in EvidenceKind if kind not in {EvidenceKind.CHALLENGE, EvidenceKind.CONTINUITY})


def _is_usable(result: EvidenceResult) -> bool:
    return result.status is not EvidenceStatus.NOT_RUN or result.reason not in _NOT_STILL
