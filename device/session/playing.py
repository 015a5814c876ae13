"""ILLUMINATING and OBSERVING: the vision worker plays a light code or watches the face, and says when it is done."""

from __future__ import annotations

from dataclasses import replace

from device.session.commands import StopPlay, TakeSample, WantSample
from device.session.events import SampleAssessed, StagePlayed, Timer, TimerExpired
from device.session.stages import begin_play, end_play, expire_face, go_on, replace_face
from device.session.state import Session, State, Step, follow_face, lacking, play_of, policy_of, subject_of


def see(session: Session, event: SampleAssessed) -> Step:
    """Follow the face; take one sample of it, from the moment on that the nonce says."""
    if event.track_id not in {None, session.track_id}:
        return replace_face(session, event)
    session, commands = follow_face(session, event)
    play = play_of(session)
    if event.track_id is None or play.is_sampled or event.at_ns < play.sample_ns:
        return session, commands
    if not play.is_sample_wanted:
        return replace(session, play=replace(play, is_sample_wanted=True)), (*commands, WantSample())
    if not event.has_features or lacking(session, event) is not None:
        return session, commands
    phase = f"{session.state}_{play.number}"
    session = replace(session, play=replace(play, is_sampled=True), phases=(*session.phases, phase))
    return session, (*commands, TakeSample(event.sequence, phase, wants_more=False))


def take_played(session: Session, event: StagePlayed) -> Step:
    """Go on, or go through the stage again where the face moved too much or no sample of it was taken."""
    play = play_of(session)
    if event.play != play.number:
        return session, ()
    if event.is_usable and play.is_sampled:
        return go_on(*end_play(session), event.at_ns)
    return _go_through_again(session, event.at_ns)


def expire(session: Session, event: TimerExpired) -> Step:
    """Go through a stage again that did not end in time."""
    if event.timer is Timer.STAGE:
        return _go_through_again(session, event.at_ns)
    return expire_face(session, event)


def _go_through_again(session: Session, at_ns: int) -> Step:
    """Begin the stage again, or go on without what did not come once that was done often enough: the evidence will say so itself."""
    play = play_of(session)
    if play.repeats < _repeats(session):
        return begin_play(session, (StopPlay(),), session.state, at_ns, repeats=play.repeats + 1)
    return go_on(*end_play(session), at_ns)


def _repeats(session: Session) -> int:
    policy = policy_of(session)
    if session.state is State.ILLUMINATING:
        return policy.light[subject_of(session).path].repeats
    return policy.pulse.repeats if policy.pulse is not None else 0
