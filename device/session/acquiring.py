"""IDLE and ACQUIRING: a claim, and acceptable frames of one face."""

from __future__ import annotations

from dataclasses import replace

from device.session.commands import (
    DropSamples,
    Lamp,
    Line,
    Prompt,
    SetLamp,
    StartAcquisition,
    StartTimer,
    TakeSample,
)
from device.session.concluding import conclude
from device.session.events import (
    ClaimPresented,
    ClaimProblem,
    ClaimRefused,
    SampleAssessed,
    StartPressed,
    Timer,
    TimerExpired,
)
from device.session.stages import expire_face, go_on
from device.session.state import (
    Session,
    State,
    Step,
    Subject,
    advise,
    follow_face,
    lacking,
    minimum_of,
    policy_of,
)
from protocol.outcomes import Reason
from protocol.quality import unified_score
from protocol.records import Purpose


def present(_session: Session, event: ClaimPresented) -> Step:
    """Begin a session, or end it at once where it cannot lead to anything."""
    subject = Subject(
        session_id=event.session_id,
        nonce=event.nonce,
        is_subject_known=event.is_subject_known,
        has_reference=event.has_reference,
        is_reference_provisional=event.is_reference_provisional,
        path=event.path,
        witness=event.witness,
        network=event.network,
        policy=event.policy,
        purpose=event.purpose,
        operator=event.operator,
        may_enrol=event.may_enrol,
        rules=event.rules,
        channel=event.channel,
    )
    begun = Session(subject=subject)
    policy = event.policy
    is_covered = policy is not None and event.path in policy.paths and event.network in policy.comparison
    # An enrolment makes the reference; it needs nobody to compare with.
    has_aim = event.purpose is Purpose.ENROLMENT or (event.is_subject_known and event.has_reference)
    if policy is None or not is_covered or not has_aim:
        return conclude(begun, ended=None)
    return replace(begun, state=State.ACQUIRING), (
        StartAcquisition(),
        SetLamp(Lamp.WORKING),
        Prompt(Line.LOOK_HERE),
        StartTimer(Timer.ACQUIRE, policy.timers.acquire_s),
    )


def refuse(session: Session, event: ClaimRefused) -> Step:
    """Say why a claim begins nothing."""
    return session, (Prompt(CLAIM_LINES[event.problem]),)


CLAIM_LINES = {
    ClaimProblem.UNREADABLE: Line.CLAIM_UNREADABLE,
    ClaimProblem.NOT_READY: Line.NOT_READY,
    ClaimProblem.POWER_FAILING: Line.POWER_FAILING,
    ClaimProblem.ROSTER_EXPIRED: Line.ROSTER_EXPIRED,
    ClaimProblem.OFFLINE_LIMIT: Line.OFFLINE_LIMIT,
    ClaimProblem.CARD_GARBLED: Line.CARD_GARBLED,
    ClaimProblem.CARD_FOREIGN: Line.CARD_FOREIGN,
    ClaimProblem.CARD_EXPIRED: Line.CARD_EXPIRED,
    ClaimProblem.CARD_REVOKED: Line.CARD_REVOKED,
    ClaimProblem.CARD_OF_ANOTHER: Line.CARD_OF_ANOTHER,
}


def invite(session: Session, _: StartPressed) -> Step:
    """Say how to begin."""
    return session, (Prompt(Line.PRESENT_CARD),)


def assess(session: Session, event: SampleAssessed) -> Step:
    """Take a sample of an acceptable frame, or say what would help."""
    session, commands = follow_face(session, event)
    if event.track_id is None:
        return advise(session, commands, Line.NO_FACE, event.at_ns)
    if session.track_id not in {None, event.track_id}:
        session = replace(session, samples=0, quality=())
        commands += (DropSamples(),)
    session = replace(session, track_id=event.track_id)
    advice = lacking(session, event)
    if advice is not None:
        return advise(_remember_best(session, event), commands, advice, event.at_ns)
    if not event.has_features:
        return session, commands
    session = replace(
        session,
        samples=session.samples + 1,
        first_sample_ns=session.first_sample_ns if session.samples else event.at_ns,
        quality=event.quality,
    )
    is_enough = _has_enough(session) and _has_waited(session, event.at_ns)
    commands += (TakeSample(event.sequence, State.ACQUIRING, wants_more=not is_enough),)
    return go_on(session, commands, event.at_ns) if is_enough else (session, commands)


def _has_enough(session: Session) -> bool:
    return session.samples >= policy_of(session).quality.probe_samples


def _has_waited(session: Session, at_ns: int) -> bool:
    """Whether the policy's time for better frames is over."""
    return at_ns - session.first_sample_ns >= policy_of(session).quality.capture_s * 1e9


def _remember_best(session: Session, event: SampleAssessed) -> Session:
    """Keep the best quality seen: should nothing be good enough, the record shows what stood in the way."""
    minimum = minimum_of(session)
    is_better = unified_score(dict(event.quality), minimum) > unified_score(dict(session.quality), minimum)
    return replace(session, quality=event.quality) if is_better or not session.quality else session


def expire(session: Session, event: TimerExpired) -> Step:
    """Go on with what is there, if that is enough, or end."""
    if event.timer is not Timer.ACQUIRE:
        return expire_face(session, event)
    if session.track_id is not None and not session.is_face_lost and _has_enough(session):
        return go_on(session, (), event.at_ns)
    return conclude(session, ended=_why_none(session))


def _why_none(session: Session) -> Reason:
    if session.track_id is None:
        return Reason.NO_FACE
    return Reason.TOO_MANY_FACES if session.is_crowded else Reason.QUALITY
