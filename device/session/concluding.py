"""From the end of the last stage to the end of the session: comparing, deciding, reporting."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite

from device.session.commands import (
    CancelTimer,
    Command,
    Compare,
    Compared,
    Dated,
    DateRole,
    Lamp,
    Line,
    Prompt,
    SetLamp,
    StartTimer,
    StopAcquisition,
    StoreRecord,
    Watched,
)
from device.session.decision import NO_POLICY, Facts, Verdict, decide
from device.session.events import (
    CameraStalled,
    CancelPressed,
    ComparisonDone,
    FaultRaised,
    RecordNotStored,
    RecordStored,
    Timer,
    TimerExpired,
)
from device.session.state import Session, State, Step, policy_of, subject_of
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.outcomes import Outcome, Reason

RETRY_S = 10.0
"""Between two attempts to use a part that failed: opening a camera takes under 2 s, and a loose plug is put back by hand."""
EARLY_STORE_S = 10.0
"""Bounds storing when no policy says how long."""
STAGE_TIMERS = (Timer.ACQUIRE, Timer.FACE_LOST, Timer.REST, Timer.ANSWER, Timer.TOLD, Timer.STAGE, Timer.RECOVER)


def compare(session: Session, commands: tuple[Command, ...], *, unasked: str, watched: Watched) -> Step:
    """Begin COMPARING; `unasked` says why the challenge did not run, where it did not."""
    if not any(result.kind is EvidenceKind.CHALLENGE for result in session.evidence):
        result = EvidenceResult(kind=EvidenceKind.CHALLENGE, status=EvidenceStatus.NOT_RUN, reason=unasked)
        session = replace(session, evidence=(*session.evidence, result))
    policy = policy_of(session)
    return replace(session, state=State.COMPARING, play=None), (
        *commands,
        *(CancelTimer(timer) for timer in STAGE_TIMERS),
        Prompt(Line.ONE_MOMENT),
        Compare(
            policy=policy,
            path=subject_of(session).path,
            phases=(State.ACQUIRING.value, *session.phases),
            watched=watched,
            purpose=subject_of(session).purpose,
        ),
        StartTimer(Timer.COMPARE, policy.timers.compare_s),
    )


def finish(session: Session, event: ComparisonDone) -> Step:
    """Take in comparison and evidence, and decide."""
    session = replace(session, evidence=(*session.evidence, *event.evidence), quality=event.quality or session.quality)
    if event.samples < policy_of(session).quality.probe_samples:
        event = replace(event, similarity=None)
    return conclude(session, ended=None, done=event)


def expire_comparing(session: Session, event: TimerExpired) -> Step:
    """Decide without a comparison."""
    if event.timer is Timer.COMPARE:
        return conclude(session, ended=None)
    return session, ()


def conclude(session: Session, *, ended: Reason | None, done: ComparisonDone | None = None) -> Step:
    """Decide and have the record stored; nothing is said before it is."""
    subject = subject_of(session)
    policy = subject.policy
    # A score that is no number is no score; a record could not carry it either.
    similarity = done.similarity if done and done.similarity is not None and isfinite(done.similarity) else None
    normalised = done.normalised if done and done.normalised is not None and isfinite(done.normalised) else None
    verdict = decide(
        Facts(
            is_subject_known=subject.is_subject_known,
            has_reference=subject.has_reference,
            is_reference_provisional=subject.is_reference_provisional,
            path=subject.path,
            witness=subject.witness,
            network=subject.network,
            policy=policy,
            ended=ended,
            similarity=similarity,
            normalised=normalised,
            cohort_people=done.cohort_people if done else 0,
            is_probe_complete=policy is not None and done is not None and done.samples >= policy.quality.probe_samples,
            purpose=subject.purpose,
            may_enrol=subject.operator is not None and subject.may_enrol,
            evidence=session.evidence,
            day=done.day if done else None,
            clock_uncertainty_s=done.clock_uncertainty_s if done else None,
            rules=subject.rules,
            channel=subject.channel,
        )
    )
    thresholds = policy.comparison.get(subject.network) if policy else None
    compared = None
    if done is not None and similarity is not None and thresholds is not None:
        compared = Compared(similarity, done.samples, thresholds, normalised, done.cohort_people)
    store = StoreRecord(
        session_id=subject.session_id,
        nonce=subject.nonce,
        path=subject.path,
        witness=subject.witness,
        policy_version=policy.policy_version if policy else NO_POLICY,
        verdict=verdict,
        compared=compared,
        evidence=session.evidence,
        challenge=session.challenge.asked if session.challenge else (),
        quality=session.quality,
        purpose=subject.purpose,
        operator=subject.operator,
    )
    return replace(session, state=State.DECIDED, verdict=verdict, play=None), (
        *(CancelTimer(timer) for timer in (*STAGE_TIMERS, Timer.COMPARE)),
        StopAcquisition(),
        store,
        StartTimer(Timer.STORE, policy.timers.store_s if policy else EARLY_STORE_S),
    )


def cancel(session: Session, _: CancelPressed) -> Step:
    """The person does not want to go on."""
    return conclude(session, ended=Reason.CANCELLED_BY_PERSON)


def report(session: Session, _: RecordStored) -> Step:
    """Say what was decided, now that it is on the disk."""
    outcome = session.verdict.outcome if session.verdict else Outcome.CANCELLED
    lamp = Lamp.CERTIFIED if outcome is Outcome.CERTIFIED else Lamp.ATTENTION
    is_early = session.verdict is not None and session.verdict.is_early
    line = Line.CERTIFIED_EARLY if is_early else Line(outcome.value)
    return _show(session, lamp, line, _dates_of(session.verdict))


def _dates_of(verdict: Verdict | None) -> tuple[Dated, ...]:
    """Return the days to be said with a result: until when it holds, or within which days the next one counts."""
    if verdict is None:
        return ()
    until = verdict.certified_until
    if not verdict.is_early:
        return () if until is None else (Dated(DateRole.UNTIL, until),)
    found = () if verdict.next_from is None else (Dated(DateRole.NEXT_FROM, verdict.next_from),)
    return found if until is None else (*found, Dated(DateRole.BY, until))


def report_unstored(session: Session, _: RecordNotStored) -> Step:
    """Say that nothing was kept."""
    return _show(replace(session, is_faulty=True), Lamp.FAULT, Line.NOT_STORED)


def expire_decided(session: Session, event: TimerExpired) -> Step:
    """A disk that does not answer has kept nothing."""
    if event.timer is Timer.STORE:
        return _show(replace(session, is_faulty=True), Lamp.FAULT, Line.NOT_STORED)
    return session, ()


def _show(session: Session, lamp: Lamp, line: Line, dates: tuple[Dated, ...] = ()) -> Step:
    policy = subject_of(session).policy
    return replace(session, state=State.REPORTING), (
        CancelTimer(Timer.STORE),
        SetLamp(lamp),
        Prompt(line, dates),
        StartTimer(Timer.RESULT, policy.timers.result_s if policy else EARLY_STORE_S),
    )


def expire_reporting(session: Session, event: TimerExpired) -> Step:
    """Be ready for the next person, or out of order."""
    if event.timer is not Timer.RESULT:
        return session, ()
    if session.is_faulty:
        return go_out_of_order(())
    return Session(), (SetLamp(Lamp.IDLE), Prompt(Line.WELCOME))


def go_out_of_order(commands: tuple[Command, ...]) -> Step:
    """Begin FAULTED after some commands."""
    return Session(state=State.FAULTED), (
        *commands,
        SetLamp(Lamp.FAULT),
        Prompt(Line.OUT_OF_ORDER),
        StartTimer(Timer.RETRY, RETRY_S),
    )


def fail(session: Session, _event: FaultRaised | CameraStalled | TimerExpired) -> Step:
    """End the session, hand its record to the store without waiting for it, and go out of order."""
    _, commands = conclude(session, ended=Reason.FAULT)
    return go_out_of_order(tuple(command for command in commands if not isinstance(command, StartTimer)))


def fail_later(session: Session, _: FaultRaised) -> Step:
    """What is decided stays decided; out of order comes after."""
    return replace(session, is_faulty=True), ()
