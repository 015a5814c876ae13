"""From one stage to the next: what is gone through follows from the evidence that the path requires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from device.session.commands import (
    AwaitRest,
    CancelTimer,
    Command,
    DropSamples,
    Line,
    PlayLight,
    Prompt,
    StartTimer,
    StopPlay,
    Watched,
    WatchFace,
)
from device.session.concluding import STAGE_TIMERS, compare, conclude
from device.session.events import SampleAssessed, Timer, TimerExpired
from device.session.state import (
    Challenge,
    Play,
    Session,
    Stage,
    State,
    Step,
    challenge_of,
    follow_face,
    nonce_of,
    path_of,
    play_of,
    policy_of,
    subject_of,
)
from protocol.challenge import ChallengeDraws, draw_light_code, draw_moment, draw_pauses
from protocol.evidence import EvidenceKind
from protocol.outcomes import Reason
from protocol.policy import LIT, Policy, PulsePolicy

ORDER = (State.ACQUIRING, State.ILLUMINATING, State.CHALLENGING, State.OBSERVING)
_NEEDED_FOR: Mapping[State, frozenset[EvidenceKind]] = {
    State.ILLUMINATING: LIT,
    State.CHALLENGING: frozenset({EvidenceKind.CHALLENGE, EvidenceKind.PLANARITY}),
    State.OBSERVING: frozenset({EvidenceKind.PULSE}),
}


def has_stage(session: Session, state: State) -> bool:
    """Say whether the path requires what the stage is gone through for; what is only advisory has no stage of its own."""
    return not _NEEDED_FOR[state].isdisjoint(path_of(session).required)


def go_on(session: Session, commands: tuple[Command, ...], at_ns: int) -> Step:
    """Begin the next stage of the path after the present one, or comparison after the last."""
    for state in ORDER[ORDER.index(session.state) + 1 :]:
        if not has_stage(session, state):
            continue
        if state is State.CHALLENGING:
            return _begin_challenge(session, commands, at_ns)
        return begin_play(session, commands, state, at_ns)
    return leave(session, commands)


def leave(session: Session, commands: tuple[Command, ...], watched: Watched = Watched.WHOLE) -> Step:
    """Begin COMPARING."""
    unasked = "interrupted" if has_stage(session, State.CHALLENGING) else "not_asked"
    return compare(session, commands, unasked=unasked, watched=watched)


def begin_play(session: Session, commands: tuple[Command, ...], state: State, at_ns: int, *, repeats: int = 0) -> Step:
    """Begin ILLUMINATING or OBSERVING, or begin it again."""
    number, policy = session.plays, policy_of(session)
    command: Command
    if state is State.ILLUMINATING:
        command = _light(session, number)
        line, seconds = Line.LIGHT, command.seconds
    else:
        command = WatchFace(number, _pulse_rules(policy))
        line, seconds = Line.WATCH, command.rules.window_s
    moment = at_ns + round(draw_moment(nonce_of(session), attempt=number) * seconds * 1e9)
    session = replace(
        session, state=state, plays=number + 1, play=Play(number=number, sample_ns=moment, repeats=repeats)
    )
    return session, (
        *commands,
        *_stop_timers(),
        Prompt(Line.AGAIN if repeats else line),
        command,
        StartTimer(Timer.STAGE, seconds + policy.timers.stage_slack_s),
    )


def _light(session: Session, number: int) -> PlayLight:
    policy = policy_of(session)
    rules = policy.light[subject_of(session).path]
    code = draw_light_code(nonce_of(session), rules, attempt=number)
    return PlayLight(number, code, chip_s=rules.chip_s, ramp_s=rules.ramp_s, rules=policy.illumination)


def _pulse_rules(policy: Policy) -> PulsePolicy:
    assert policy.pulse is not None, "a policy that requires the pulse says how it is judged"  # noqa: S101 - its type checks it
    return policy.pulse


def end_play(session: Session) -> Step:
    """Stop playing; a sample that was not taken is missed when the phases are compared."""
    play = play_of(session)
    phases = session.phases if play.is_sampled else (*session.phases, f"{session.state}_{play.number}")
    return replace(session, play=None, phases=phases), (StopPlay(),)


def draws_of(session: Session) -> ChallengeDraws:
    """Return every draw of the session's challenge."""
    needs_turn = EvidenceKind.PLANARITY in path_of(session).required
    return ChallengeDraws(nonce_of(session), policy_of(session).challenge, needs_turn=needs_turn)


def _begin_challenge(session: Session, commands: tuple[Command, ...], at_ns: int) -> Step:
    rules = policy_of(session).challenge
    challenge = session.challenge
    if challenge is None:
        # Each wrong action costs itself and one more; all of it may come twice, with one interrupted prompt between.
        most = 2 * (rules.count + 2 * rules.wrong_actions_allowed) + 1
        pauses = draw_pauses(
            nonce_of(session),
            most * (1 + rules.repeats),
            shortest_s=rules.rest_shortest_s,
            longest_s=rules.rest_longest_s,
        )
        challenge = Challenge(drawn=draws_of(session).first(), pauses=pauses)
    session = replace(session, state=State.CHALLENGING, challenge=challenge)
    return await_rest(session, (*commands, *_stop_timers()), Stage.REST, at_ns)


def await_rest(
    session: Session, commands: tuple[Command, ...], stage: Stage, at_ns: int, *, said: Line | None = None
) -> Step:
    """Wait for a face at rest before the next prompt, or after the last action; the rest begins at the end of a line that is said first."""
    challenge = replace(challenge_of(session), stage=stage, rest_since_ns=None, is_sampled=False, is_told=said is None)
    # Advice is given to whoever does not come to rest, not to whoever is just doing so.
    session = replace(session, challenge=challenge, advised=Line.LOOK_AT_CAMERA, advised_ns=at_ns)
    return session, (
        *commands,
        CancelTimer(Timer.ANSWER),
        AwaitRest(),
        *(() if said is None else (Prompt(said), StartTimer(Timer.TOLD, 0.0, line=said))),
        StartTimer(Timer.REST, policy_of(session).challenge.rest_timeout_s, line=said),
    )


def replace_face(session: Session, event: SampleAssessed) -> Step:
    """Another face is seen: begin anew with it if the first one had gone, once; else its presence is evidence, unless nobody looked."""
    has_been_away = session.is_face_lost
    session, commands = follow_face(session, event)
    if not has_been_away or session.has_begun_anew:
        watched = Watched.BLIND if has_been_away and session.is_blind else Watched.CHANGED
        return leave(session, (*commands, StopPlay()), watched)
    session = replace(begun_anew(session, event.at_ns), state=State.ACQUIRING, track_id=event.track_id)
    return session, (
        *commands,
        *_stop_timers(),
        StopPlay(),
        DropSamples(),
        Prompt(Line.LOOK_HERE),
        StartTimer(Timer.ACQUIRE, policy_of(session).timers.acquire_s),
    )


def begun_anew(session: Session, at_ns: int) -> Session:
    """Return a session past ACQUIRING with nothing seen and a fresh challenge drawn; its state and face are the caller's to set."""
    return replace(
        session,
        samples=0,
        play=None,
        challenge=_challenge_anew(session, at_ns),
        phases=(),
        evidence=(),
        quality=(),
        has_begun_anew=True,
    )


def _challenge_anew(session: Session, at_ns: int) -> Challenge | None:
    challenge = session.challenge
    if challenge is None:
        return None
    if challenge.stage is Stage.ANSWER and session.state is State.CHALLENGING:
        challenge = challenge.noted("no_answer", at_ns)
    last = challenge.asked[-1].action if challenge.asked else None
    return replace(challenge, drawn=draws_of(session).anew(challenge.drawn, last), repeats=0)


def expire_face(session: Session, event: TimerExpired) -> Step:
    """End the session of somebody who left."""
    if event.timer is Timer.FACE_LOST and session.is_face_lost:
        return conclude(session, ended=Reason.LEFT)
    return session, ()


def _stop_timers() -> tuple[Command, ...]:
    """A face that is away goes on being missed."""
    return tuple(CancelTimer(timer) for timer in STAGE_TIMERS if timer is not Timer.FACE_LOST)
