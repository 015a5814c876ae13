"""What a certification session knows, and what all its states share. The theory stands in `device.session.machine`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from device.session.commands import Asked, CancelTimer, Command, Line, Prompt, StartTimer
from device.session.decision import Verdict
from device.session.events import SampleAssessed, Timer
from protocol.challenge import Action, Drawn
from protocol.entitlements import Rule
from protocol.evidence import EvidenceResult
from protocol.policy import PathName, PathPolicy, Policy
from protocol.quality import weakest
from protocol.records import Purpose
from protocol.rules.acts import Channel

ADVICE_PAUSE_NS = 3_000_000_000
"""Between two pieces of advice: a spoken line takes two to three seconds, and a person needs to hear its end."""


class State(StrEnum):
    """Where a session stands."""

    IDLE = "idle"
    ACQUIRING = "acquiring"
    ILLUMINATING = "illuminating"
    CHALLENGING = "challenging"
    OBSERVING = "observing"
    RECOVERING = "recovering"
    COMPARING = "comparing"
    DECIDED = "decided"
    REPORTING = "reporting"
    FAULTED = "faulted"


SEEING = (State.ACQUIRING, State.ILLUMINATING, State.CHALLENGING, State.OBSERVING)
"""The session lives on frames."""
UNDER_WAY = (*SEEING, State.RECOVERING, State.COMPARING)
"""The session is not decided yet."""
BUSY = (*UNDER_WAY, State.DECIDED, State.REPORTING)
"""Somebody is being served."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What the session was told when it began."""

    session_id: str
    nonce: str
    is_subject_known: bool
    has_reference: bool
    is_reference_provisional: bool
    path: PathName
    witness: str | None
    network: str
    policy: Policy | None
    purpose: Purpose = Purpose.CERTIFICATION
    operator: str | None = None
    may_enrol: bool = False
    rules: tuple[Rule, ...] = ()
    channel: Channel = Channel.TERMINAL


class Stage(StrEnum):
    """What a challenge waits for."""

    REST = "rest"
    """A face at rest, for as long as the nonce says; then a prompt is given."""
    ANSWER = "answer"
    """The answer to a prompt."""
    LAST_REST = "last_rest"
    """One more sample of the face at rest; then the next stage begins."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """How far the challenge has come."""

    drawn: Drawn
    """What is still to be asked for."""
    pauses: tuple[float, ...]
    """Seconds of rest before each prompt, in the order of the nonce."""
    stage: Stage = Stage.REST
    rest_since_ns: int | None = None
    """Since when the face has been at rest without a break; None while it is not."""
    is_sampled: bool = False
    """Whether a sample of the present rest was taken."""
    is_told: bool = True
    """Whether what was said before the present rest has been heard to its end; until then no rest counts."""
    wrong: int = 0
    repeats: int = 0
    """How often the present prompt was given again."""
    prompted_ns: int = 0
    prompts: int = 0
    """Prompts given, repeated ones included."""
    is_slow: bool = False
    """Whether frames came too slowly to see the answer to the present prompt."""
    asked: tuple[Asked, ...] = ()

    @property
    def action(self) -> Action:
        """The action now asked for."""
        return self.drawn.left[0]

    def noted(self, result: Literal["performed", "wrong", "no_answer"], at_ns: int) -> Challenge:
        """Return the challenge with what came of the present prompt."""
        seconds = max(0.0, (at_ns - self.prompted_ns) / 1e9)
        return replace(self, asked=(*self.asked, Asked(self.action, result, seconds)))


@dataclass(frozen=True, slots=True)
class Play:
    """How far the light code, or watching the face, has come."""

    number: int
    """0 for the first of a session, then one more each; events name it, and the light code is drawn with it."""
    sample_ns: int
    """From when on a sample is to be taken: a moment drawn from the nonce."""
    repeats: int = 0
    """How often it was gone through again."""
    is_sample_wanted: bool = False
    is_sampled: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """Everything a session knows; a new one is IDLE."""

    state: State = State.IDLE
    subject: Subject | None = None
    track_id: int | None = None
    """The face the session is about; None before the first one."""
    is_face_lost: bool = False
    is_blind: bool = False
    """Whether the face was lost for want of frames: that is the terminal's fault and says nothing of anybody."""
    is_crowded: bool = False
    """Whether the newest frame has more faces than the path allows."""
    samples: int = 0
    """Acceptable frames taken so far."""
    first_sample_ns: int = 0
    """When the first of them was taken."""
    advised: Line | None = None
    advised_ns: int = 0
    play: Play | None = None
    plays: int = 0
    """Light codes and watchings begun so far."""
    challenge: Challenge | None = None
    phases: tuple[str, ...] = ()
    """Phases after the first that there must be a sample of."""
    evidence: tuple[EvidenceResult, ...] = ()
    quality: tuple[tuple[str, float], ...] = ()
    verdict: Verdict | None = None
    has_begun_anew: bool = False
    """Whether the face, or the camera, went away once and everything began anew with the face that came."""
    has_stalled: bool = False
    """Whether the camera stopped giving frames once."""
    is_faulty: bool = False
    """Something failed after the decision; the terminal is out of order once the result was shown."""


Step = tuple[Session, tuple[Command, ...]]


def subject_of(session: Session) -> Subject:
    """Return the subject of a session under way."""
    assert session.subject is not None, "a session under way has a subject"  # noqa: S101 - an invariant of the table
    return session.subject


def policy_of(session: Session) -> Policy:
    """Return the policy of a session past its claim."""
    policy = subject_of(session).policy
    assert policy is not None, "no session gets past the claim without a policy"  # noqa: S101 - likewise
    return policy


def path_of(session: Session) -> PathPolicy:
    """Return what the policy says of the session's path."""
    return policy_of(session).paths[subject_of(session).path]


def challenge_of(session: Session) -> Challenge:
    """Return the challenge of a session that is CHALLENGING."""
    assert session.challenge is not None, "CHALLENGING has a challenge"  # noqa: S101 - likewise
    return session.challenge


def play_of(session: Session) -> Play:
    """Return what is played in ILLUMINATING and OBSERVING."""
    assert session.play is not None, "ILLUMINATING and OBSERVING play"  # noqa: S101 - likewise
    return session.play


def nonce_of(session: Session) -> bytes:
    """Return the nonce from which everything is drawn."""
    return bytes.fromhex(subject_of(session).nonce)


def follow_face(session: Session, event: SampleAssessed) -> Step:
    """Note who is in the picture; start or stop the clock on a face that was there."""
    session = replace(session, is_crowded=event.faces > path_of(session).most_faces)
    if event.track_id is None and session.track_id is not None and not session.is_face_lost:
        timer = StartTimer(Timer.FACE_LOST, policy_of(session).timers.face_lost_s)
        return replace(session, is_face_lost=True, is_blind=event.is_blind), (timer,)
    if event.track_id is not None and session.is_face_lost:
        return replace(session, is_face_lost=False), (CancelTimer(Timer.FACE_LOST),)
    return session, ()


def advise(session: Session, commands: tuple[Command, ...], line: Line, at_ns: int) -> Step:
    """Give a line of advice unless one was given a moment ago."""
    if session.advised is not None and at_ns - session.advised_ns < ADVICE_PAUSE_NS:
        return session, commands
    return replace(session, advised=line, advised_ns=at_ns), (*commands, Prompt(line))


def minimum_of(session: Session) -> Mapping[str, float]:
    """Return what a sample must reach on the session's path."""
    return policy_of(session).minimum_quality(subject_of(session).path)


def lacking(session: Session, event: SampleAssessed) -> Line | None:
    """Return what to say about a frame that no sample may be taken of; None for an acceptable one."""
    if session.is_crowded:
        return Line.SINGLE_FACE_PRESENT
    if not event.quality:
        # Without features it was looked at before the worker knew that a sample is wanted; a later one will say.
        return Line.LOOK_AT_CAMERA if event.has_features else None
    component = weakest(dict(event.quality), minimum_of(session))
    if component is None:
        return None
    # A policy may name a component that this terminal does not know.
    return Line(component) if component in frozenset(Line) else Line.LOOK_AT_CAMERA
