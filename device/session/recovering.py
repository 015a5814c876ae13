"""RECOVERING: the camera gives no frames; the person hears to wait, and what was seen before counts for nothing."""

from __future__ import annotations

from dataclasses import replace

from device.session.commands import CancelTimer, DropSamples, Line, Prompt, StartTimer, StopPlay
from device.session.concluding import STAGE_TIMERS, fail
from device.session.events import CameraStalled, SampleAssessed, Timer, TimerExpired
from device.session.stages import begun_anew
from device.session.state import Session, State, Step, policy_of

RECOVER_S = 10.0
"""Bounds the wait should the vision worker itself hang in the camera. Else the worker says sooner that the camera is broken: it gives up
five seconds after the last frame."""


def pause(session: Session, event: CameraStalled) -> Step:
    """Ask for patience, once in a session, and forget what was seen."""
    is_acquiring = session.state is State.ACQUIRING
    if session.has_stalled or (session.has_begun_anew and not is_acquiring):
        return fail(session, event)
    session = replace(session, samples=0, quality=()) if is_acquiring else begun_anew(session, event.at_ns)
    session = replace(session, state=State.RECOVERING, track_id=None, is_face_lost=False, has_stalled=True)
    return session, (
        *(CancelTimer(timer) for timer in STAGE_TIMERS),
        StopPlay(),
        DropSamples(),
        Prompt(Line.ONE_MOMENT),
        StartTimer(Timer.RECOVER, RECOVER_S),
    )


def resume(session: Session, _: SampleAssessed) -> Step:
    """Go on with whoever is in the picture from the next frame on."""
    # The evidence belongs to the face that it saw first: that must be the one that the next frame shows.
    return replace(session, state=State.ACQUIRING), (
        CancelTimer(Timer.RECOVER),
        DropSamples(),
        Prompt(Line.LOOK_HERE),
        StartTimer(Timer.ACQUIRE, policy_of(session).timers.acquire_s),
    )


def expire(session: Session, event: TimerExpired) -> Step:
    """Be out of order with a camera that stays silent."""
    if event.timer is Timer.RECOVER:
        return fail(session, event)
    return session, ()
