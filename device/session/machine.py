"""The certification session as a state machine: `advance(session, event)` gives the next session and what is to be done.

States, what each waits for, and the timer that bounds it:

- IDLE waits for a claim. Nothing bounds it: nobody is waiting.
- ACQUIRING waits for the policy's number of acceptable frames of one face, and for the policy's time in which better ones may come
  (`acquire`, and `face_lost` while a face that was there is gone). Whoever takes the place of the first face starts this state's count
  anew: nothing has been shown yet. A frame with more faces than the path allows is not acceptable.
- ILLUMINATING waits for the light code to be played (`stage`, and `face_lost`). The code and the exposures that go with it are drawn from
  the session's nonce. Where the face moved too much to be judged, no sample of it was taken or the code did not end in time,
  the stage is gone through again, with a fresh code, as often as the policy says.
- CHALLENGING waits, in turn, for a face at rest (`rest`) and for the action that was asked for (`answer`, for the prompt and its
  answer), and for `face_lost`. Actions and the lengths of the rests are drawn from the session's nonce. A sample is taken of each rest,
  of each action while it is performed, and of the rest after the last one, so that nobody else can do what is asked. A rest that does
  not come leaves the challenge not run. A wrong action costs one more: what is left and one more are drawn afresh, so that a
  recording gains nothing by being wrong; the rest after it begins once that has been said (`told`); one wrong action above the policy's
  allowance fails the challenge. No answer: the prompt is given again, as often as the policy says; then the challenge counts as not run,
  because an old person who did not hear is no attack.
- OBSERVING waits until the face has been watched at rest for its pulse (`stage`, and `face_lost`), and is gone through again like
  ILLUMINATING.
- RECOVERING waits for a camera that stopped giving frames to give them again (`recover`), while the person hears to wait.
- COMPARING waits for comparison and evidence (`compare`).
- DECIDED waits until the record is on the disk (`store`). Nothing is said before it is.
- REPORTING shows the result (`result`).
- FAULTED waits for repair (`retry`, after which the failed part is tried again). A session under way ends as cancelled, and its record
  is handed to the store if the decision was not yet made.

A session goes through ILLUMINATING if its path requires illumination or capture path, through CHALLENGING if it requires challenge or
planarity, and through OBSERVING if it requires the pulse. Evidence that is only advisory is recorded where such a stage comes by.

In these three stages, another face (another track) in place of the one that was just seen fails continuity at once. A face that
had gone from the picture and came back is nobody's proof of anything: an old person bends down for a stick. Once in a session everything
begins anew with it, samples, light and challenge, with what the nonce gives next; a second time fails continuity, or leaves it not run
where the terminal itself had no frames to see who was there. In ILLUMINATING and
OBSERVING a sample of the face is taken at a moment drawn from the nonce, so that nobody can stand in for a stage.

What happened while there were no frames nobody has seen, so a session whose camera comes back begins anew with whoever is there then: while
ACQUIRING nothing is lost by it, in a later stage it is the once that a face may have been away for. A camera that stops again,
or stays silent, is a fault.

More faces of the subject's size than the path allows interrupt only the frames that show them: no sample is taken of such a frame
and no rest counts. The subject's own track decides whose movements and whose light are judged, so whoever walks past behind
an old person does not end the session.

Time is an event. Every (state, event) pair is in `TABLE`, or in `IGNORED` with the reason, or raises `IllegalEvent`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from device.errors import IllegalEvent
from device.session import acquiring, challenging, concluding, playing, recovering
from device.session.commands import CancelTimer, Lamp, Line, Prompt, Recheck, SetLamp, StartTimer
from device.session.concluding import RETRY_S
from device.session.events import (
    CameraStalled,
    CancelPressed,
    ChallengeAnswered,
    ClaimPresented,
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
    StagePlayed,
    StartPressed,
    Timer,
    TimerExpired,
)
from device.session.state import BUSY, SEEING, UNDER_WAY, Session, State, Step

__all__ = ["IGNORED", "RETRY_S", "SEEING", "TABLE", "UNDER_WAY", "Row", "Session", "State", "advance"]


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


def _fail_idle(_session: Session, _event: FaultRaised) -> Step:
    return concluding.go_out_of_order(())


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


@dataclass(frozen=True, slots=True)
class Row:
    """What is done with an event in a state."""

    handle: Callable[..., Step]
    to: tuple[State, ...]
    """States it may lead to."""
    label: str
    """For the diagram; empty for what leaves the state as it is and is not worth an arrow."""


_PLAYING = (State.ILLUMINATING, State.OBSERVING)
_AFTER_ACQUIRING = (State.ILLUMINATING, State.CHALLENGING, State.OBSERVING, State.COMPARING)
_AFTER_LIGHT = (State.CHALLENGING, State.OBSERVING, State.COMPARING)
_AFTER_CHALLENGE = (State.OBSERVING, State.COMPARING)

TABLE: Mapping[tuple[State, type[Event]], Row] = {
    (State.IDLE, ClaimPresented): Row(acquiring.present, (State.ACQUIRING, State.DECIDED), "claim"),
    (State.IDLE, ClaimRefused): Row(acquiring.refuse, (State.IDLE,), "claim refused"),
    (State.IDLE, StartPressed): Row(acquiring.invite, (State.IDLE,), ""),
    (State.IDLE, FaultRaised): Row(_fail_idle, (State.FAULTED,), "fault"),
    (State.ACQUIRING, SampleAssessed): Row(acquiring.assess, (State.ACQUIRING, *_AFTER_ACQUIRING), "enough samples"),
    (State.ACQUIRING, TimerExpired): Row(
        acquiring.expire, (State.ACQUIRING, *_AFTER_ACQUIRING, State.DECIDED), "time is up, or left"
    ),
    **{
        (state, SampleAssessed): Row(playing.see, (state, State.ACQUIRING, State.COMPARING), "another face")
        for state in _PLAYING
    },
    (State.ILLUMINATING, StagePlayed): Row(playing.take_played, (State.ILLUMINATING, *_AFTER_LIGHT), "played"),
    (State.ILLUMINATING, TimerExpired): Row(
        playing.expire, (State.ILLUMINATING, *_AFTER_LIGHT, State.DECIDED), "time is up, or left"
    ),
    (State.CHALLENGING, SampleAssessed): Row(
        challenging.watch,
        (State.CHALLENGING, *_AFTER_CHALLENGE, State.ACQUIRING),
        "all performed, or another face",
    ),
    (State.CHALLENGING, ChallengeAnswered): Row(
        challenging.answer, (State.CHALLENGING, State.COMPARING), "too many wrong"
    ),
    (State.CHALLENGING, RepeatPressed): Row(challenging.repeat, (State.CHALLENGING,), ""),
    (State.CHALLENGING, FrameRateLow): Row(challenging.note_slow, (State.CHALLENGING,), ""),
    (State.CHALLENGING, TimerExpired): Row(
        challenging.expire, (State.CHALLENGING, State.COMPARING, State.DECIDED), "no answer, no rest, or left"
    ),
    (State.OBSERVING, StagePlayed): Row(playing.take_played, (State.OBSERVING, State.COMPARING), "watched"),
    (State.OBSERVING, TimerExpired): Row(
        playing.expire, (State.OBSERVING, State.COMPARING, State.DECIDED), "time is up, or left"
    ),
    **{
        (state, CameraStalled): Row(recovering.pause, (State.RECOVERING, State.FAULTED), "camera silent")
        for state in SEEING
    },
    (State.RECOVERING, SampleAssessed): Row(recovering.resume, (State.ACQUIRING,), "frames again"),
    (State.RECOVERING, TimerExpired): Row(recovering.expire, (State.RECOVERING, State.FAULTED), "still silent"),
    (State.COMPARING, ComparisonDone): Row(concluding.finish, (State.DECIDED,), "compared"),
    (State.COMPARING, TimerExpired): Row(
        concluding.expire_comparing, (State.COMPARING, State.DECIDED), "no comparison in time"
    ),
    **{(state, CancelPressed): Row(concluding.cancel, (State.DECIDED,), "cancel") for state in UNDER_WAY},
    **{(state, FaultRaised): Row(concluding.fail, (State.FAULTED,), "fault") for state in UNDER_WAY},
    (State.DECIDED, RecordStored): Row(concluding.report, (State.REPORTING,), "stored"),
    (State.DECIDED, RecordNotStored): Row(concluding.report_unstored, (State.REPORTING,), "not stored"),
    (State.DECIDED, TimerExpired): Row(
        concluding.expire_decided, (State.DECIDED, State.REPORTING), "not stored in time"
    ),
    (State.DECIDED, FaultRaised): Row(concluding.fail_later, (State.DECIDED,), ""),
    (State.REPORTING, TimerExpired): Row(
        concluding.expire_reporting, (State.REPORTING, State.IDLE, State.FAULTED), "result shown"
    ),
    (State.REPORTING, FaultRaised): Row(concluding.fail_later, (State.REPORTING,), ""),
    (State.FAULTED, FaultCleared): Row(_repair, (State.IDLE,), "repaired"),
    (State.FAULTED, FaultRaised): Row(_stay_broken, (State.FAULTED,), ""),
    (State.FAULTED, TimerExpired): Row(_retry, (State.FAULTED,), "try again"),
    (State.FAULTED, StartPressed): Row(_tell_out_of_order, (State.FAULTED,), ""),
    (State.FAULTED, ClaimPresented): Row(_tell_out_of_order, (State.FAULTED,), ""),
    (State.FAULTED, ClaimRefused): Row(_tell_out_of_order, (State.FAULTED,), ""),
}

_LATE_FRAME = "the vision worker finishes the frame it has when it is told to stop"
_LATE_PLAY = "the stage it belongs to is over"
_NO_FRAMES_WANTED = "no frame is waited for"
_ONE_AT_A_TIME = "one session at a time; what is said and shown belongs to the person who is being served"
_NOTHING_TO_REPEAT = "no prompt of the challenge is open"
_LATE_TIMER = "a timer may run out in the moment in which it is cancelled"
_ALREADY_WORKING = "a repaired part is only news to a terminal out of order"
_LATE_RECORD = "the record of a session that a fault or the store timer ended"
_LATE_COMPARISON = "the comparison came after its time or after the session was ended"
_TOO_LATE_TO_CANCEL = "the decision is made and recorded as it is"

IGNORED: Mapping[tuple[State, type[Event]], str] = {
    **{(s, SampleAssessed): _LATE_FRAME for s in State if s not in {*SEEING, State.RECOVERING}},
    **{(s, ChallengeAnswered): _LATE_FRAME for s in State if s is not State.CHALLENGING},
    **{(s, FrameRateLow): _LATE_FRAME for s in State if s is not State.CHALLENGING},
    **{(s, StagePlayed): _LATE_PLAY for s in State if s not in _PLAYING},
    **{(s, CameraStalled): _NO_FRAMES_WANTED for s in State if s not in {*SEEING, State.RECOVERING}},
    (State.RECOVERING, CameraStalled): "the person was told already",
    **{(s, ClaimPresented): _ONE_AT_A_TIME for s in BUSY},
    **{(s, ClaimRefused): _ONE_AT_A_TIME for s in BUSY},
    **{(s, StartPressed): _ONE_AT_A_TIME for s in BUSY},
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
