"""The certification session as a state machine: `advance(session, event)` gives the next session and what is to be done.

States, what each waits for, and the timer that bounds it:

- IDLE waits for a claim. Nothing bounds it: nobody is waiting.
- ACQUIRING waits for the policy's number of acceptable frames of one face (`acquire`, and `face_lost` while a face that was
  there is gone). Whoever takes the place of the first face starts this state's count anew: nothing has been shown yet.
- CHALLENGING waits, in turn, for a face at rest (`rest`) and for the action that was asked for (`answer`, for the prompt and its
  answer). Actions and the lengths of the rests are drawn from the session's nonce. A sample is taken of each rest, of each
  action while it is performed, and of the rest after the last one, so that nobody else can do what is asked. A rest that does
  not come leaves the challenge not run. A wrong action costs one more: a fresh one is asked and the number of actions to perform
  grows by one, so that a recording gains nothing by being wrong; one wrong action above the policy's allowance fails the
  challenge. No answer: the prompt is given again, as often as the policy says; then the challenge counts as not run, because an
  old person who did not hear is no attack. Another face (another track) in place of the one that was just seen fails continuity at
  once. A face that had gone from the picture and came back is nobody's proof of anything: an old person bends down for a stick.
  Once in a session everything begins anew with it, samples and challenge, with the actions that the nonce gives next; a second time
  fails continuity.
- COMPARING waits for comparison and evidence (`compare`).
- DECIDED waits until the record is on the disk (`store`). Nothing is said before it is.
- REPORTING shows the result (`result`).
- FAULTED waits for repair (`retry`, after which the failed part is tried again). A session under way ends as cancelled, and its record
  is handed to the store if the decision was not yet made.

Time is an event. Every (state, event) pair is in `TABLE`, or in `IGNORED` with the reason, or raises `IllegalEvent`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from math import isfinite
from typing import Literal

from device.errors import IllegalEvent
from device.session.commands import (
    Asked,
    AwaitRest,
    CancelTimer,
    Command,
    Compare,
    Compared,
    DropSamples,
    Lamp,
    Line,
    Prompt,
    Recheck,
    SetLamp,
    StartAcquisition,
    StartTimer,
    StopAcquisition,
    StoreRecord,
    TakeSample,
    WatchFor,
)
from device.session.decision import NO_POLICY, Facts, Verdict, decide
from device.session.events import (
    CancelPressed,
    ChallengeAnswered,
    ClaimPresented,
    ClaimProblem,
    ClaimRefused,
    ComparisonDone,
    Event,
    FaultCleared,
    FaultRaised,
    FrameRateLow,
    RecordNotStored,
    RecordStored,
    RepeatPressed,
    SampleAssessed,
    StartPressed,
    Timer,
    TimerExpired,
)
from protocol.challenge import Action, draw_actions, draw_pauses
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.outcomes import Outcome, Reason
from protocol.policy import PathName, Policy
from protocol.quality import unified_score, weakest

ADVICE_PAUSE_NS = 3_000_000_000
"""Between two pieces of advice: a spoken line takes two to three seconds, and a person needs to hear its end."""
RETRY_S = 10.0
"""Between two attempts to use a part that failed: opening a camera takes under 2 s, and a loose plug is put back by hand."""
EARLY_STORE_S = 10.0
"""Bounds storing when no policy says how long."""


class State(StrEnum):
    """Where a session stands."""

    IDLE = "idle"
    ACQUIRING = "acquiring"
    CHALLENGING = "challenging"
    COMPARING = "comparing"
    DECIDED = "decided"
    REPORTING = "reporting"
    FAULTED = "faulted"


@dataclass(frozen=True, slots=True)
class Subject:
    """What the session was told when it began."""

    session_id: str
    nonce: str
    is_subject_known: bool
    has_reference: bool
    is_reference_provisional: bool
    path: PathName
    network: str
    policy: Policy | None


class Stage(StrEnum):
    """What a challenge waits for."""

    REST = "rest"
    """A face at rest, for as long as the nonce says; then a prompt is given."""
    ANSWER = "answer"
    """The answer to a prompt."""
    LAST_REST = "last_rest"
    """One more sample of the face at rest; then comparison begins."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """How far the challenge has come."""

    drawn: tuple[Action, ...]
    """All actions the session may come to ask, in the order of the nonce."""
    pauses: tuple[float, ...]
    """Seconds of rest before each prompt, in the order of the nonce."""
    stage: Stage = Stage.REST
    rest_since_ns: int | None = None
    """Since when the face has been at rest without a break; None while it is not."""
    is_sampled: bool = False
    """Whether a sample of the present rest was taken."""
    phases: tuple[str, ...] = ()
    """Phases that there must be a sample of."""
    next: int = 0
    """Index of the action now asked for."""
    needed: int = 0
    """Actions that must be performed; grows with each wrong one."""
    performed: int = 0
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
        return self.drawn[self.next]


@dataclass(frozen=True, slots=True)
class Session:
    """Everything a session knows; a new one is IDLE."""

    state: State = State.IDLE
    subject: Subject | None = None
    track_id: int | None = None
    """The face the session is about; None before the first one."""
    is_face_lost: bool = False
    samples: int = 0
    """Acceptable frames taken so far."""
    advised: Line | None = None
    advised_ns: int = 0
    challenge: Challenge | None = None
    evidence: tuple[EvidenceResult, ...] = ()
    quality: tuple[tuple[str, float], ...] = ()
    verdict: Verdict | None = None
    has_begun_anew: bool = False
    """Whether the face went away during the challenge and everything began anew with the one that came."""
    is_faulty: bool = False
    """Something failed after the decision; the terminal is out of order once the result was shown."""


Step = tuple[Session, tuple[Command, ...]]


def advance(session: Session, event: Event) -> Step:
    """Return the session after an event, and the commands to carry out in this order.

    Raises:
        IllegalEvent: if the event cannot happen in this state; the session stays as it was.
    """
    key = (session.state, type(event))
    row = TABLE.get(key)
    if row is not None:
        return row.handle(session, event)
    if key in IGNORED:
        return session, ()
    raise IllegalEvent(f"session: {type(event).__name__} in state {session.state}")


# --- claim ---------------------------------------------------------------------------------------------------------


def _present(_session: Session, event: ClaimPresented) -> Step:
    subject = Subject(
        session_id=event.session_id,
        nonce=event.nonce,
        is_subject_known=event.is_subject_known,
        has_reference=event.has_reference,
        is_reference_provisional=event.is_reference_provisional,
        path=event.path,
        network=event.network,
        policy=event.policy,
    )
    begun = Session(subject=subject)
    policy = event.policy
    is_covered = policy is not None and event.path in policy.paths and event.network in policy.comparison
    if policy is None or not is_covered or not (event.is_subject_known and event.has_reference):
        return _conclude(begun, ended=None)
    return replace(begun, state=State.ACQUIRING), (
        StartAcquisition(),
        SetLamp(Lamp.WORKING),
        Prompt(Line.LOOK_HERE),
        StartTimer(Timer.ACQUIRE, policy.timers.acquire_s),
    )


def _refuse(session: Session, event: ClaimRefused) -> Step:
    return session, (Prompt(_CLAIM_LINES[event.problem]),)


_CLAIM_LINES = {
    ClaimProblem.UNREADABLE: Line.CLAIM_UNREADABLE,
    ClaimProblem.BUSY: Line.ONE_MOMENT,
    ClaimProblem.NOT_READY: Line.NOT_READY,
}


def _invite(session: Session, _: StartPressed) -> Step:
    return session, (Prompt(Line.PRESENT_CARD),)


# --- acquiring -----------------------------------------------------------------------------------------------------


def _assess(session: Session, event: SampleAssessed) -> Step:
    session, commands = _follow_face(session, event)
    if event.track_id is None:
        return _advise(session, commands, Line.NO_FACE, event.at_ns)
    if session.track_id not in {None, event.track_id}:
        session = replace(session, samples=0, quality=())
        commands += (DropSamples(),)
    session = replace(session, track_id=event.track_id)
    policy = _policy(session)
    lacking = weakest(dict(event.quality), policy.quality.minimum)
    if lacking is not None:
        session = _remember_best(session, event)
        return _advise(session, commands, _advice_for(lacking), event.at_ns)
    if not event.has_features:
        return session, commands
    session = replace(session, samples=session.samples + 1, quality=event.quality)
    is_enough = session.samples >= policy.quality.probe_samples
    commands += (TakeSample(event.sequence, State.ACQUIRING, wants_more=not is_enough),)
    if not is_enough:
        return session, commands
    return _begin_challenge(session, commands, event.at_ns)


def _follow_face(session: Session, event: SampleAssessed) -> Step:
    """Start or stop the clock on a face that was there."""
    if event.track_id is None and session.track_id is not None and not session.is_face_lost:
        timer = StartTimer(Timer.FACE_LOST, _policy(session).timers.face_lost_s)
        return replace(session, is_face_lost=True), (timer,)
    if event.track_id is not None and session.is_face_lost:
        return replace(session, is_face_lost=False), (CancelTimer(Timer.FACE_LOST),)
    return session, ()


def _advise(session: Session, commands: tuple[Command, ...], line: Line, at_ns: int) -> Step:
    """Give a line of advice unless one was given a moment ago."""
    if session.advised is not None and at_ns - session.advised_ns < ADVICE_PAUSE_NS:
        return session, commands
    return replace(session, advised=line, advised_ns=at_ns), (*commands, Prompt(line))


def _remember_best(session: Session, event: SampleAssessed) -> Session:
    """Keep the best quality seen: should nothing be good enough, the record shows what stood in the way."""
    minimum = _policy(session).quality.minimum
    is_better = unified_score(dict(event.quality), minimum) > unified_score(dict(session.quality), minimum)
    return replace(session, quality=event.quality) if is_better else session


def _advice_for(component: str) -> Line:
    """Return what to say about a component of quality; a policy may name one that this terminal does not know."""
    return Line(component) if component in frozenset(Line) else Line.LOOK_AT_CAMERA


def _expire_acquiring(session: Session, event: TimerExpired) -> Step:
    if event.timer is Timer.ACQUIRE:
        return _conclude(session, ended=Reason.NO_FACE if session.track_id is None else Reason.QUALITY)
    return _expire_face(session, event)


def _expire_face(session: Session, event: TimerExpired) -> Step:
    if event.timer is Timer.FACE_LOST and session.is_face_lost:
        return _conclude(session, ended=Reason.LEFT)
    return session, ()


# --- challenging ---------------------------------------------------------------------------------------------------


def _begin_challenge(session: Session, commands: tuple[Command, ...], at_ns: int) -> Step:
    rules = _policy(session).challenge
    nonce = bytes.fromhex(_subject(session).nonce)
    # Each wrong action costs itself and one more; all of it may come twice, with one interrupted prompt between.
    most = 2 * (rules.count + 2 * rules.wrong_actions_allowed) + 1
    challenge = session.challenge or Challenge(
        drawn=draw_actions(nonce, rules.actions, most),
        pauses=draw_pauses(
            nonce, most * (1 + rules.repeats), shortest_s=rules.rest_shortest_s, longest_s=rules.rest_longest_s
        ),
        needed=rules.count,
    )
    session = replace(session, state=State.CHALLENGING, challenge=challenge)
    return _await_rest(session, (*commands, CancelTimer(Timer.ACQUIRE)), Stage.REST, at_ns)


def _await_rest(session: Session, commands: tuple[Command, ...], stage: Stage, at_ns: int) -> Step:
    challenge = replace(_challenge(session), stage=stage, rest_since_ns=None, is_sampled=False)
    # Advice is given to whoever does not come to rest, not to whoever is just doing so.
    session = replace(session, challenge=challenge, advised=Line.LOOK_AT_CAMERA, advised_ns=at_ns)
    return session, (
        *commands,
        CancelTimer(Timer.ANSWER),
        AwaitRest(),
        StartTimer(Timer.REST, _policy(session).challenge.rest_timeout_s),
    )


def _ask(session: Session, commands: tuple[Command, ...], at_ns: int) -> Step:
    challenge = _challenge(session)
    challenge = replace(challenge, stage=Stage.ANSWER, prompted_ns=at_ns, prompts=challenge.prompts + 1, is_slow=False)
    rules = _policy(session).challenge
    return replace(session, challenge=challenge), (
        *commands,
        CancelTimer(Timer.REST),
        Prompt(Line(challenge.action.value)),
        WatchFor(challenge.prompts, challenge.action, at_ns, rules.reaction_s),
        StartTimer(Timer.ANSWER, rules.prompt_s + rules.answer_timeout_s),
    )


def _watch(session: Session, event: SampleAssessed) -> Step:
    """Follow the face; take a sample of it at rest, and go on once it has rested long enough."""
    has_been_away = session.is_face_lost
    session, commands = _follow_face(session, event)
    if event.track_id is None:
        return _unrest(session), commands
    if event.track_id != session.track_id and has_been_away and not session.has_begun_anew:
        return _begin_anew(session, commands, event)
    if event.track_id != session.track_id:
        interrupted = _evidence(EvidenceKind.CHALLENGE, EvidenceStatus.NOT_RUN, "interrupted")
        return _compare(session, commands, interrupted, has_track_changed=True)
    if _challenge(session).stage is Stage.ANSWER:
        return session, commands
    if not event.is_at_rest:
        return _advise(_unrest(session), commands, Line.LOOK_AT_CAMERA, event.at_ns)
    return _rest(session, commands, event)


def _unrest(session: Session) -> Session:
    return replace(session, challenge=replace(_challenge(session), rest_since_ns=None))


def _rest(session: Session, commands: tuple[Command, ...], event: SampleAssessed) -> Step:
    challenge = _challenge(session)
    since_ns = event.at_ns if challenge.rest_since_ns is None else challenge.rest_since_ns
    challenge = replace(challenge, rest_since_ns=since_ns)
    if not challenge.is_sampled:
        lacking = weakest(dict(event.quality), _policy(session).quality.minimum)
        if lacking is not None:
            return _advise(replace(session, challenge=challenge), commands, _advice_for(lacking), event.at_ns)
        if event.has_features:
            phase = f"{challenge.stage}_{challenge.prompts + 1}"
            challenge = replace(challenge, is_sampled=True, phases=(*challenge.phases, phase))
            commands += (TakeSample(event.sequence, phase, wants_more=False),)
    session = replace(session, challenge=challenge)
    if not challenge.is_sampled:
        return session, commands
    if challenge.stage is Stage.LAST_REST:
        return _compare(session, commands, _evidence(EvidenceKind.CHALLENGE, EvidenceStatus.PASSED, "all_performed"))
    if event.at_ns - since_ns >= challenge.pauses[challenge.prompts] * 1e9:
        return _ask(session, commands, event.at_ns)
    return session, commands


def _begin_anew(session: Session, commands: tuple[Command, ...], event: SampleAssessed) -> Step:
    policy = _policy(session)
    challenge = _challenge(session)
    if challenge.stage is Stage.ANSWER:
        challenge = _next(_note(challenge, "no_answer", event.at_ns))
    challenge = replace(challenge, performed=0, needed=policy.challenge.count, repeats=0, phases=())
    session = replace(
        session,
        state=State.ACQUIRING,
        track_id=event.track_id,
        samples=0,
        quality=(),
        challenge=challenge,
        has_begun_anew=True,
    )
    return session, (
        *commands,
        CancelTimer(Timer.ANSWER),
        CancelTimer(Timer.REST),
        DropSamples(),
        Prompt(Line.LOOK_HERE),
        StartTimer(Timer.ACQUIRE, policy.timers.acquire_s),
    )


def _answer(session: Session, event: ChallengeAnswered) -> Step:
    challenge = _challenge(session)
    if challenge.stage is not Stage.ANSWER or event.prompt != challenge.prompts:
        return session, ()
    rules = _policy(session).challenge
    if event.is_performed:
        phase = f"action_{challenge.prompts}"
        taken: tuple[Command, ...] = ()
        if event.sequence is not None:
            taken = (TakeSample(event.sequence, phase, wants_more=True, is_moving=True),)
        challenge = _next(_note(challenge, "performed", event.at_ns))
        challenge = replace(challenge, performed=challenge.performed + 1, phases=(*challenge.phases, phase))
        stage = Stage.LAST_REST if challenge.performed == challenge.needed else Stage.REST
        return _await_rest(replace(session, challenge=challenge), taken, stage, event.at_ns)
    challenge = replace(_note(challenge, "wrong", event.at_ns), wrong=challenge.wrong + 1)
    if challenge.wrong > rules.wrong_actions_allowed:
        failed = _evidence(EvidenceKind.CHALLENGE, EvidenceStatus.FAILED, "wrong_action")
        return _compare(replace(session, challenge=challenge), (), failed)
    challenge = replace(_next(challenge), needed=challenge.needed + 1)
    return _await_rest(replace(session, challenge=challenge), (Prompt(Line.TRY_ANOTHER),), Stage.REST, event.at_ns)


def _next(challenge: Challenge) -> Challenge:
    return replace(challenge, next=challenge.next + 1, repeats=0)


def _note(challenge: Challenge, result: Literal["performed", "wrong", "no_answer"], at_ns: int) -> Challenge:
    seconds = max(0.0, (at_ns - challenge.prompted_ns) / 1e9)
    return replace(challenge, asked=(*challenge.asked, Asked(challenge.action, result, seconds)))


def _repeat(session: Session, event: RepeatPressed) -> Step:
    """Give the prompt again; as long as the policy has repeats left, after a new rest and with the whole time to answer."""
    challenge = _challenge(session)
    if challenge.stage is not Stage.ANSWER:
        return session, (Prompt(Line.LOOK_AT_CAMERA),)
    if challenge.repeats >= _policy(session).challenge.repeats:
        return session, (Prompt(Line(challenge.action.value)),)
    return _again(session, event.at_ns)


def _again(session: Session, at_ns: int) -> Step:
    challenge = _challenge(session)
    session = replace(session, challenge=replace(challenge, repeats=challenge.repeats + 1))
    return _await_rest(session, (), Stage.REST, at_ns)


def _expire_challenging(session: Session, event: TimerExpired) -> Step:
    challenge = _challenge(session)
    if event.timer is Timer.REST and challenge.stage is not Stage.ANSWER:
        return _compare(session, (), _evidence(EvidenceKind.CHALLENGE, EvidenceStatus.NOT_RUN, "no_rest"))
    if event.timer is not Timer.ANSWER or challenge.stage is not Stage.ANSWER:
        return _expire_face(session, event)
    if challenge.repeats < _policy(session).challenge.repeats:
        return _again(session, event.at_ns)
    reason = "frame_rate" if challenge.is_slow else "no_answer"
    unanswered = _evidence(EvidenceKind.CHALLENGE, EvidenceStatus.NOT_RUN, reason)
    session = replace(session, challenge=_note(challenge, "no_answer", event.at_ns))
    return _compare(session, (), unanswered)


def _note_slow(session: Session, event: FrameRateLow) -> Step:
    """Remember it for the case that no answer is seen; one slow second alone ends nothing."""
    challenge = _challenge(session)
    if event.prompt != challenge.prompts:
        return session, ()
    return replace(session, challenge=replace(challenge, is_slow=True)), ()


# --- comparing -----------------------------------------------------------------------------------------------------


def _compare(
    session: Session, commands: tuple[Command, ...], challenge: EvidenceResult, *, has_track_changed: bool = False
) -> Step:
    policy = _policy(session)
    session = replace(session, state=State.COMPARING, evidence=(challenge,))
    return session, (
        *commands,
        CancelTimer(Timer.REST),
        CancelTimer(Timer.ANSWER),
        CancelTimer(Timer.FACE_LOST),
        Prompt(Line.ONE_MOMENT),
        Compare(
            min_continuity=policy.continuity.min_similarity,
            phases=(State.ACQUIRING.value, *_challenge(session).phases),
            has_track_changed=has_track_changed,
        ),
        StartTimer(Timer.COMPARE, policy.timers.compare_s),
    )


def _finish(session: Session, event: ComparisonDone) -> Step:
    session = replace(session, evidence=(*session.evidence, *event.evidence), quality=event.quality or session.quality)
    if event.samples < _policy(session).quality.probe_samples:
        event = replace(event, similarity=None)
    return _conclude(session, ended=None, done=event)


def _expire_comparing(session: Session, event: TimerExpired) -> Step:
    if event.timer is Timer.COMPARE:
        return _conclude(session, ended=None)
    return session, ()


# --- decided -------------------------------------------------------------------------------------------------------


def _conclude(session: Session, *, ended: Reason | None, done: ComparisonDone | None = None) -> Step:
    """Decide and have the record stored; nothing is said before it is."""
    subject = _subject(session)
    policy = subject.policy
    # A score that is no number is no score; a record could not carry it either.
    similarity = done.similarity if done and done.similarity is not None and isfinite(done.similarity) else None
    verdict = decide(
        Facts(
            is_subject_known=subject.is_subject_known,
            has_reference=subject.has_reference,
            is_reference_provisional=subject.is_reference_provisional,
            path=subject.path,
            network=subject.network,
            policy=policy,
            ended=ended,
            similarity=similarity,
            evidence=session.evidence,
            day=done.day if done else None,
            clock_uncertainty_s=done.clock_uncertainty_s if done else None,
        )
    )
    thresholds = policy.comparison.get(subject.network) if policy else None
    compared = None
    if done is not None and similarity is not None and thresholds is not None:
        compared = Compared(similarity, done.samples, thresholds)
    store = StoreRecord(
        session_id=subject.session_id,
        nonce=subject.nonce,
        path=subject.path,
        policy_version=policy.policy_version if policy else NO_POLICY,
        verdict=verdict,
        compared=compared,
        evidence=session.evidence,
        challenge=session.challenge.asked if session.challenge else (),
        quality=session.quality,
    )
    stops = tuple(
        CancelTimer(timer) for timer in (Timer.ACQUIRE, Timer.FACE_LOST, Timer.REST, Timer.ANSWER, Timer.COMPARE)
    )
    return replace(session, state=State.DECIDED, verdict=verdict), (
        *stops,
        StopAcquisition(),
        store,
        StartTimer(Timer.STORE, policy.timers.store_s if policy else EARLY_STORE_S),
    )


def _cancel(session: Session, _: CancelPressed) -> Step:
    return _conclude(session, ended=Reason.CANCELLED_BY_PERSON)


def _report(session: Session, _: RecordStored) -> Step:
    outcome = session.verdict.outcome if session.verdict else Outcome.CANCELLED
    lamp = Lamp.CERTIFIED if outcome is Outcome.CERTIFIED else Lamp.ATTENTION
    return _show(session, lamp, Line(outcome.value))


def _report_unstored(session: Session, _: RecordNotStored) -> Step:
    return _show(replace(session, is_faulty=True), Lamp.FAULT, Line.NOT_STORED)


def _expire_decided(session: Session, event: TimerExpired) -> Step:
    if event.timer is Timer.STORE:
        return _show(replace(session, is_faulty=True), Lamp.FAULT, Line.NOT_STORED)
    return session, ()


def _show(session: Session, lamp: Lamp, line: Line) -> Step:
    policy = _subject(session).policy
    return replace(session, state=State.REPORTING), (
        CancelTimer(Timer.STORE),
        SetLamp(lamp),
        Prompt(line),
        StartTimer(Timer.RESULT, policy.timers.result_s if policy else EARLY_STORE_S),
    )


def _expire_reporting(session: Session, event: TimerExpired) -> Step:
    if event.timer is not Timer.RESULT:
        return session, ()
    if session.is_faulty:
        return _break(())
    return Session(), (SetLamp(Lamp.IDLE), Prompt(Line.WELCOME))


# --- faults --------------------------------------------------------------------------------------------------------


def _break(commands: tuple[Command, ...]) -> Step:
    return Session(state=State.FAULTED), (
        *commands,
        SetLamp(Lamp.FAULT),
        Prompt(Line.OUT_OF_ORDER),
        StartTimer(Timer.RETRY, RETRY_S),
    )


def _fail_idle(_session: Session, _event: FaultRaised) -> Step:
    return _break(())


def _fail(session: Session, _event: FaultRaised) -> Step:
    """End the session, hand its record to the store without waiting for it, and go out of order."""
    _, commands = _conclude(session, ended=Reason.FAULT)
    kept = tuple(command for command in commands if not isinstance(command, StartTimer))
    return _break(kept)


def _fail_later(session: Session, _: FaultRaised) -> Step:
    return replace(session, is_faulty=True), ()


def _repair(_session: Session, _: FaultCleared) -> Step:
    return Session(), (CancelTimer(Timer.RETRY), SetLamp(Lamp.IDLE), Prompt(Line.WELCOME))


def _stay_broken(session: Session, _: FaultRaised) -> Step:
    return session, (StartTimer(Timer.RETRY, RETRY_S),)


def _retry(session: Session, event: TimerExpired) -> Step:
    if event.timer is Timer.RETRY:
        return session, (Recheck(), StartTimer(Timer.RETRY, RETRY_S))
    return session, ()


def _tell_out_of_order(session: Session, _: StartPressed | ClaimPresented | ClaimRefused) -> Step:
    return session, (Prompt(Line.OUT_OF_ORDER),)


# --- what a session has by then ------------------------------------------------------------------------------------


def _subject(session: Session) -> Subject:
    assert session.subject is not None, "a session under way has a subject"  # noqa: S101 - an invariant of the table
    return session.subject


def _policy(session: Session) -> Policy:
    policy = _subject(session).policy
    assert policy is not None, "no session gets past the claim without a policy"  # noqa: S101 - likewise
    return policy


def _challenge(session: Session) -> Challenge:
    assert session.challenge is not None, "CHALLENGING has a challenge"  # noqa: S101 - likewise
    return session.challenge


def _evidence(kind: EvidenceKind, status: EvidenceStatus, reason: str) -> EvidenceResult:
    return EvidenceResult(kind=kind, status=status, reason=reason)


# --- the table -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """What is done with an event in a state."""

    handle: Callable[..., Step]
    to: tuple[State, ...]
    """States it may lead to."""
    label: str
    """For the diagram; empty for what leaves the state as it is and is not worth an arrow."""


_UNDER_WAY = (State.ACQUIRING, State.CHALLENGING, State.COMPARING)
_BUSY = (*_UNDER_WAY, State.DECIDED, State.REPORTING)

TABLE: Mapping[tuple[State, type[Event]], Row] = {
    (State.IDLE, ClaimPresented): Row(_present, (State.ACQUIRING, State.DECIDED), "claim"),
    (State.IDLE, ClaimRefused): Row(_refuse, (State.IDLE,), "claim refused"),
    (State.IDLE, StartPressed): Row(_invite, (State.IDLE,), ""),
    (State.IDLE, FaultRaised): Row(_fail_idle, (State.FAULTED,), "fault"),
    (State.ACQUIRING, SampleAssessed): Row(_assess, (State.ACQUIRING, State.CHALLENGING), "enough samples"),
    (State.ACQUIRING, TimerExpired): Row(_expire_acquiring, (State.ACQUIRING, State.DECIDED), "no sample, or left"),
    (State.CHALLENGING, SampleAssessed): Row(
        _watch, (State.CHALLENGING, State.COMPARING, State.ACQUIRING), "all performed, or another face"
    ),
    (State.CHALLENGING, ChallengeAnswered): Row(_answer, (State.CHALLENGING, State.COMPARING), "too many wrong"),
    (State.CHALLENGING, RepeatPressed): Row(_repeat, (State.CHALLENGING,), ""),
    (State.CHALLENGING, FrameRateLow): Row(_note_slow, (State.CHALLENGING,), ""),
    (State.CHALLENGING, TimerExpired): Row(
        _expire_challenging, (State.CHALLENGING, State.COMPARING, State.DECIDED), "no answer, no rest, or left"
    ),
    (State.COMPARING, ComparisonDone): Row(_finish, (State.DECIDED,), "compared"),
    (State.COMPARING, TimerExpired): Row(_expire_comparing, (State.COMPARING, State.DECIDED), "no comparison in time"),
    **{(state, CancelPressed): Row(_cancel, (State.DECIDED,), "cancel") for state in _UNDER_WAY},
    **{(state, FaultRaised): Row(_fail, (State.FAULTED,), "fault") for state in _UNDER_WAY},
    **{(state, ClaimRefused): Row(_refuse, (state,), "") for state in _BUSY},
    (State.DECIDED, RecordStored): Row(_report, (State.REPORTING,), "stored"),
    (State.DECIDED, RecordNotStored): Row(_report_unstored, (State.REPORTING,), "not stored"),
    (State.DECIDED, TimerExpired): Row(_expire_decided, (State.DECIDED, State.REPORTING), "not stored in time"),
    (State.DECIDED, FaultRaised): Row(_fail_later, (State.DECIDED,), ""),
    (State.REPORTING, TimerExpired): Row(
        _expire_reporting, (State.REPORTING, State.IDLE, State.FAULTED), "result shown"
    ),
    (State.REPORTING, FaultRaised): Row(_fail_later, (State.REPORTING,), ""),
    (State.FAULTED, FaultCleared): Row(_repair, (State.IDLE,), "repaired"),
    (State.FAULTED, FaultRaised): Row(_stay_broken, (State.FAULTED,), ""),
    (State.FAULTED, TimerExpired): Row(_retry, (State.FAULTED,), "try again"),
    (State.FAULTED, StartPressed): Row(_tell_out_of_order, (State.FAULTED,), ""),
    (State.FAULTED, ClaimPresented): Row(_tell_out_of_order, (State.FAULTED,), ""),
    (State.FAULTED, ClaimRefused): Row(_tell_out_of_order, (State.FAULTED,), ""),
}

_LATE_FRAME = "the vision worker finishes the frame it has when it is told to stop"
_ONE_AT_A_TIME = "one session at a time; the person before is still being served"
_NOTHING_TO_REPEAT = "no prompt of the challenge is open"
_LATE_TIMER = "a timer may run out in the moment in which it is cancelled"
_ALREADY_WORKING = "a repaired part is only news to a terminal out of order"
_LATE_RECORD = "the record of a session that a fault or the store timer ended"
_LATE_COMPARISON = "the comparison came after its time or after the session was ended"
_TOO_LATE_TO_CANCEL = "the decision is made and recorded as it is"

IGNORED: Mapping[tuple[State, type[Event]], str] = {
    **{(s, SampleAssessed): _LATE_FRAME for s in State if s not in {State.ACQUIRING, State.CHALLENGING}},
    **{(s, ChallengeAnswered): _LATE_FRAME for s in State if s not in {State.ACQUIRING, State.CHALLENGING}},
    **{(s, FrameRateLow): _LATE_FRAME for s in State if s not in {State.ACQUIRING, State.CHALLENGING}},
    (State.ACQUIRING, ChallengeAnswered): "nothing has been asked yet",
    (State.ACQUIRING, FrameRateLow): "samples are good at any frame rate",
    **{(s, ClaimPresented): _ONE_AT_A_TIME for s in _BUSY},
    **{(s, StartPressed): _ONE_AT_A_TIME for s in _BUSY},
    **{(s, RepeatPressed): _NOTHING_TO_REPEAT for s in State if s is not State.CHALLENGING},
    (State.IDLE, CancelPressed): "there is nothing to cancel",
    (State.FAULTED, CancelPressed): "there is nothing to cancel",
    (State.DECIDED, CancelPressed): _TOO_LATE_TO_CANCEL,
    (State.REPORTING, CancelPressed): _TOO_LATE_TO_CANCEL,
    (State.IDLE, TimerExpired): _LATE_TIMER,
    **{(s, FaultCleared): _ALREADY_WORKING for s in State if s is not State.FAULTED},
    **{(s, RecordStored): _LATE_RECORD for s in (State.REPORTING, State.FAULTED, State.IDLE)},
    **{(s, RecordNotStored): _LATE_RECORD for s in (State.REPORTING, State.FAULTED, State.IDLE)},
    **{(s, ComparisonDone): _LATE_COMPARISON for s in (State.DECIDED, State.REPORTING, State.FAULTED, State.IDLE)},
}
"""Pairs that are passed over on purpose, with the reason. What is in neither table is a bug of the terminal."""
