"""CHALLENGING: waits, in turn, for a face at rest and for the action that was asked for."""

from __future__ import annotations

from dataclasses import replace

from device.session.commands import CancelTimer, Command, Line, Prompt, StartTimer, TakeSample, WatchFor
from device.session.events import (
    ChallengeAnswered,
    FrameRateLow,
    RepeatPressed,
    SampleAssessed,
    Timer,
    TimerExpired,
)
from device.session.stages import await_rest, draws_of, expire_face, go_on, leave, replace_face
from device.session.state import (
    Session,
    Stage,
    Step,
    advise,
    challenge_of,
    follow_face,
    lacking,
    policy_of,
)
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus


def watch(session: Session, event: SampleAssessed) -> Step:
    """Follow the face; take a sample of it at rest, and go on once it has rested long enough."""
    if event.track_id not in {None, session.track_id}:
        return replace_face(session, event)
    session, commands = follow_face(session, event)
    if event.track_id is None:
        return _unrest(session), commands
    if challenge_of(session).stage is Stage.ANSWER or not challenge_of(session).is_told:
        return session, commands
    if session.is_crowded:
        return advise(_unrest(session), commands, Line.SINGLE_FACE_PRESENT, event.at_ns)
    if not event.is_at_rest:
        return advise(_unrest(session), commands, Line.LOOK_AT_CAMERA, event.at_ns)
    return _rest(session, commands, event)


def _unrest(session: Session) -> Session:
    return replace(session, challenge=replace(challenge_of(session), rest_since_ns=None))


def _rest(session: Session, commands: tuple[Command, ...], event: SampleAssessed) -> Step:
    challenge = challenge_of(session)
    since_ns = event.at_ns if challenge.rest_since_ns is None else challenge.rest_since_ns
    challenge = replace(challenge, rest_since_ns=since_ns)
    if not challenge.is_sampled:
        advice = lacking(session, event)
        if advice is not None:
            return advise(replace(session, challenge=challenge), commands, advice, event.at_ns)
        if event.has_features:
            phase = f"{challenge.stage}_{challenge.prompts + 1}"
            challenge = replace(challenge, is_sampled=True)
            session = replace(session, phases=(*session.phases, phase))
            commands += (TakeSample(event.sequence, phase, wants_more=False),)
    session = replace(session, challenge=challenge)
    if not challenge.is_sampled:
        return session, commands
    if challenge.stage is Stage.LAST_REST:
        passed = _result(EvidenceStatus.PASSED, "all_performed")
        return go_on(replace(session, evidence=(passed,)), commands, event.at_ns)
    if event.at_ns - since_ns >= challenge.pauses[challenge.prompts] * 1e9:
        return _ask(session, commands, event.at_ns)
    return session, commands


def _ask(session: Session, commands: tuple[Command, ...], at_ns: int) -> Step:
    challenge = challenge_of(session)
    challenge = replace(challenge, stage=Stage.ANSWER, prompted_ns=at_ns, prompts=challenge.prompts + 1, is_slow=False)
    rules = policy_of(session).challenge
    line = Line(challenge.action.value)
    return replace(session, challenge=challenge), (
        *commands,
        CancelTimer(Timer.REST),
        Prompt(line),
        WatchFor(challenge.prompts, challenge.action, at_ns, rules.reaction_s),
        StartTimer(Timer.ANSWER, rules.prompt_s + rules.answer_timeout_s, line=line, line_s=rules.prompt_s),
    )


def answer(session: Session, event: ChallengeAnswered) -> Step:
    """Take in what was done after the present prompt."""
    challenge = challenge_of(session)
    if challenge.stage is not Stage.ANSWER or event.prompt != challenge.prompts:
        return session, ()
    if event.is_performed:
        phase = f"action_{challenge.prompts}"
        taken: tuple[Command, ...] = ()
        if event.sequence is not None:
            taken = (TakeSample(event.sequence, phase, wants_more=True, is_moving=True),)
        challenge = challenge.noted("performed", event.at_ns)
        challenge = replace(challenge, drawn=challenge.drawn.after_performed(), repeats=0)
        session = replace(session, challenge=challenge, phases=(*session.phases, phase))
        return await_rest(session, taken, Stage.REST if challenge.drawn.left else Stage.LAST_REST, event.at_ns)
    challenge = replace(challenge.noted("wrong", event.at_ns), wrong=challenge.wrong + 1)
    session = replace(session, challenge=challenge)
    if challenge.wrong > policy_of(session).challenge.wrong_actions_allowed:
        return _give_up(session, _result(EvidenceStatus.FAILED, "wrong_action"))
    challenge = replace(challenge, drawn=draws_of(session).after_wrong(challenge.drawn), repeats=0)
    session = replace(session, challenge=challenge)
    return await_rest(session, (), Stage.REST, event.at_ns, said=Line.TRY_ANOTHER)


def repeat(session: Session, event: RepeatPressed) -> Step:
    """Give the prompt again; as long as the policy has repeats left, after a new rest and with the whole time to answer."""
    challenge = challenge_of(session)
    if challenge.stage is not Stage.ANSWER:
        return session, (Prompt(Line.LOOK_AT_CAMERA),)
    if challenge.repeats >= policy_of(session).challenge.repeats:
        return session, (Prompt(Line(challenge.action.value)),)
    return _again(session, event.at_ns)


def _again(session: Session, at_ns: int) -> Step:
    challenge = challenge_of(session)
    session = replace(session, challenge=replace(challenge, repeats=challenge.repeats + 1))
    return await_rest(session, (), Stage.REST, at_ns)


def expire(session: Session, event: TimerExpired) -> Step:
    """No rest, no answer, or nobody there any more."""
    challenge = challenge_of(session)
    if event.timer is Timer.TOLD:
        return replace(session, challenge=replace(challenge, is_told=True)), ()
    if event.timer is Timer.REST and challenge.stage is not Stage.ANSWER:
        return _give_up(session, _result(EvidenceStatus.NOT_RUN, "no_rest"))
    if event.timer is not Timer.ANSWER or challenge.stage is not Stage.ANSWER:
        return expire_face(session, event)
    if challenge.repeats < policy_of(session).challenge.repeats:
        return _again(session, event.at_ns)
    reason = "frame_rate" if challenge.is_slow else "no_answer"
    session = replace(session, challenge=challenge.noted("no_answer", event.at_ns))
    return _give_up(session, _result(EvidenceStatus.NOT_RUN, reason))


def note_slow(session: Session, event: FrameRateLow) -> Step:
    """Remember it for the case that no answer is seen; one slow second alone ends nothing."""
    challenge = challenge_of(session)
    if event.prompt != challenge.prompts:
        return session, ()
    return replace(session, challenge=replace(challenge, is_slow=True)), ()


def _give_up(session: Session, result: EvidenceResult) -> Step:
    """Go to comparison at once: without the challenge nobody is certified, so nobody is kept waiting."""
    return leave(replace(session, evidence=(result,)), ())


def _result(status: EvidenceStatus, reason: str) -> EvidenceResult:
    return EvidenceResult(kind=EvidenceKind.CHALLENGE, status=status, reason=reason)
