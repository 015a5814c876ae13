"""The desk as a state machine: `advance(desk, event)` gives the next desk and what is to be done.

The desk is everything on the screen around a session. Nobody signed in: idle page, typing a number, session, result. Somebody signed
in: the menu of what their roles allow, the steps of one task after the other (`device.desk.tasks`), and a session or a case at the end.

- While somebody is being served, whatever a reader reads changes nothing. Else a document or code goes where it is wanted: to the step
  that asks for one; it begins a session (nobody signed in) or a certification task (an operator in the menu); to a step that asks for
  something else it is nothing. An operator code signs in from the idle page.
- The service (`ServiceMoved`) takes the screen for as long as a session lasts; afterwards everything personal is forgotten and the desk is
  back at the menu, or at the idle page.
- Whoever asks how they stand gives document or number on the same page as for a certification and gets an answer, not a session.
- Out of order, an operator can still sign in: the stick, cases and the terminal's status need no camera.
- While the terminal is being commissioned (`device.desk.commissioning`) nothing that is read begins anything; however its page is left, the
  terminal has its parts back.
- Nothing waits for ever: `QUIET` brings every page back to idle and signs out. What is touched or read and not waited for changes nothing,
  because a page may be a moment behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from device.desk import commissioning
from device.desk.commands import (
    Aim,
    AskMyStatus,
    AskStanding,
    BeginByCode,
    CancelDeskTimer,
    CheckSlip,
    CheckTask,
    DeskCommand,
    EndCommissioning,
    FindPerson,
    FindSticks,
    FindWitness,
    Forget,
    PressButton,
    Say,
    SetVoice,
    SignIn,
    SignInByCode,
    SignOut,
    StartDeskTimer,
)
from device.desk.commissioning import is_running
from device.desk.events import (
    AnswerRefused,
    CaseNotStored,
    CaseStored,
    CodeRead,
    CommissioningMoved,
    CourierMoved,
    DateChecked,
    DeskEvent,
    DeskTimer,
    DeskTimerExpired,
    MyStatusFound,
    MyStatusRefused,
    NamesFound,
    OptionsFound,
    PersonFound,
    PhotoFailed,
    PhotoTaken,
    ProxyFound,
    ResultCame,
    Service,
    ServiceMoved,
    SignedIn,
    SignInRefused,
    SlipChecked,
    StandingCame,
    TaskRefused,
    Touched,
    WitnessFound,
)
from device.desk.state import (
    DONE_S,
    OPERATOR_QUIET_S,
    SECOND_S,
    Desk,
    Move,
    clear,
    home,
    step_of,
    touched_again,
    waits_for_picture,
)
from device.desk.steps import Handle, begin_step, go_on, touch_step
from device.desk.tasks import TASKS, Step, Task, tasks_of
from device.desk.view import Language, PhotoView, Problem, Screen, Touch, TouchKind
from device.session.commands import Line
from protocol.slip import is_slip
from protocol.staff import OPERATOR_CODE_PREFIX


def advance(desk: Desk, event: DeskEvent) -> Move:
    """Return the desk after an event and the commands to carry out in this order; what is not waited for changes nothing."""
    after, commands = _HANDLERS[type(event)](desk, event)
    # Whichever way leads off its page: no commissioning goes on that nobody sees.
    return after, (EndCommissioning(), *commands) if is_running(desk) and not is_running(after) else commands


def _touch(desk: Desk, event: Touched) -> Move:
    touch = event.touch
    if touch.kind is TouchKind.STAY:
        return desk, touched_again(desk)
    handle = _ANYWHERE.get(touch.kind) or _BY_PAGE.get((desk.screen, touch.kind))
    if handle is None and desk.screen is Screen.STEP:
        handle = touch_step
    if handle is None:
        return desk, ()
    # An answer to what was asked takes away what was said about the answer before; what only changes how it is said does not.
    is_answer = touch.kind not in _NO_ANSWERS
    after, commands = handle(replace(desk, problem=None) if is_answer else desk, touch)
    return after, (*touched_again(after), *commands)


def _set_language(desk: Desk, touch: Touch) -> Move:
    if touch.value not in {"zh", "en"}:
        return desk, ()
    language: Language = "en" if touch.value == "en" else "zh"
    return replace(desk, language=language), (SetVoice(language, desk.is_slow),)


def _set_speed(desk: Desk, touch: Touch) -> Move:
    is_slow = touch.value == "slow"
    return replace(desk, is_slow=is_slow), (SetVoice(desk.language, is_slow),)


def _press_repeat(desk: Desk, _: Touch) -> Move:
    return desk, (PressButton("repeat"),)


def _cancel(desk: Desk, _: Touch) -> Move:
    if desk.screen in _TAKEN:
        return desk, (PressButton("cancel"),) if desk.screen is Screen.SESSION else ()
    if desk.screen in {
        Screen.NUMBER,
        Screen.SIGN_IN,
        Screen.STEP,
        Screen.DONE,
        Screen.SLIP,
        Screen.STATUS,
        Screen.MY_STATUS,
        Screen.COMMISSIONING,
    }:
        return home(desk)
    return desk, ()


def _sign_out(desk: Desk, _: Touch | None = None, *, was_quiet: bool = False) -> Move:
    operator = desk.operator
    if operator is None or desk.screen in _TAKEN:
        return desk, ()
    return home(replace(desk, operator=None), (SignOut(operator.operator_id, was_quiet),))


def _begin_number(desk: Desk, _: Touch) -> Move:
    return clear(desk, Screen.NUMBER), (PressButton("start"),)


def _begin_asking(desk: Desk, _: Touch) -> Move:
    return replace(clear(desk, Screen.NUMBER), is_asking=True), (Say(Line.STATUS_ASK),)


def _begin_sign_in(desk: Desk, _: Touch) -> Move:
    return replace(clear(desk, Screen.SIGN_IN), wait_s=desk.wait_s), ()


def _number(desk: Desk, touch: Touch) -> Move:
    if desk.is_asking:
        return desk, (AskMyStatus(touch.value),)
    return replace(desk, screen=Screen.WORKING), (BeginByCode(touch.value),)


def _pin(desk: Desk, touch: Touch) -> Move:
    operator_id, slash, pin = touch.value.partition("/")
    if not slash or desk.wait_s:
        return desk, ()
    return replace(desk, screen=Screen.WORKING), (SignIn(operator_id, pin),)


def _begin_task(desk: Desk, touch: Touch) -> Move:
    operator = desk.operator
    if operator is None or touch.value not in tasks_of(operator.roles):
        return desk, ()
    return _open_task(desk, Task(touch.value))


def _open_task(desk: Desk, task: Task) -> Move:
    desk = replace(clear(desk, Screen.MENU), task=task)
    if task is Task.STATUS:
        return replace(desk, screen=Screen.STATUS), (AskStanding(),)
    if task is Task.COMMISSION:
        return commissioning.open_page(desk)
    after, commands = begin_step(desk, 0)
    rule = TASKS[task]
    ends_here = rule.purpose is None and rule.case is None
    return after, commands if ends_here else (CheckTask(rule.purpose), *commands)


def _read(desk: Desk, event: CodeRead) -> Move:
    """Take a document or code to where it is wanted."""
    if desk.screen in _TAKEN:
        # Somebody is being served: a card left on the reader, or the next in the queue, must not take prompt or result away.
        return desk, ()
    if desk.screen is Screen.COMMISSIONING:
        return commissioning.turn_away(desk)
    text = event.text.strip()
    is_operator = text.startswith(OPERATOR_CODE_PREFIX)
    after = replace(desk, problem=None)
    step = step_of(desk)
    if is_slip(text) and step is None:
        return after, (CheckSlip(text),)
    if step is Step.WITNESS and desk.operator is not None:
        return after, (*touched_again(desk), FindWitness(text, desk.operator.operator_id))
    if is_operator:
        can_sign_in = desk.operator is None and desk.screen in _SIGN_IN_FROM and not desk.wait_s
        return (replace(after, screen=Screen.WORKING), (SignInByCode(text),)) if can_sign_in else (desk, ())
    if step in {Step.PERSON, Step.PROXY_PERSON}:
        return after, (*touched_again(desk), FindPerson(text, is_proxy=step is Step.PROXY_PERSON))
    if step is not None:
        # A document scanned twice, or left on the reader: the task goes on with everything it has.
        return desk, ()
    if desk.screen is Screen.MENU and Task.CERTIFY in tasks_of(desk.operator.roles if desk.operator else ()):
        opened, commands = _open_task(after, Task.CERTIFY)
        return opened, (*touched_again(opened), *commands, FindPerson(text))
    if desk.is_asking:
        return after, (*touched_again(desk), AskMyStatus(text))
    # Anywhere else it is somebody who wants to be certified; the session says so itself where it cannot begin.
    return after, (BeginByCode(text),)


def _service(desk: Desk, event: ServiceMoved) -> Move:
    was = desk.service
    desk = replace(
        desk,
        service=event.service,
        line=event.line or desk.line,
        action=event.action,
        lamp=event.lamp or desk.lamp,
        is_seen=event.is_seen,
    )
    match event.service:
        case Service.BUSY:
            session = replace(clear(desk, Screen.SESSION), line=desk.line, action=desk.action, task=desk.task)
            if was is Service.BUSY:
                return session, ()
            # It may have begun in the middle of another task, whose person and pictures are not this one's.
            return session, (
                Forget(),
                Aim(is_on=False),
                CancelDeskTimer(DeskTimer.QUIET),
                CancelDeskTimer(DeskTimer.DONE),
            )
        case Service.REPORTING:
            return replace(desk, screen=Screen.RESULT, is_seen=False), ()
        case Service.FREE | Service.OUT_OF_ORDER | Service.STARTING if event.service is not was:
            has_page = desk.operator is not None and desk.screen not in _TAKEN
            if not has_page:
                return home(desk)
            # A camera that was away has forgotten that somebody aims.
            return desk, (Aim(is_on=True),) if desk.photo is not None else ()
        case _ if desk.screen is Screen.WORKING and event.line is not None:
            # What was presented began nothing; the line said why.
            return _not_begun(desk, event.line)
        case _:
            return desk, ()


def _not_begun(desk: Desk, line: str) -> Move:
    if desk.operator is not None:
        after, commands = home(desk)
        return replace(after, problem=line), commands
    after = replace(clear(desk, Screen.NUMBER), problem=line)
    return after, touched_again(after)


def _result(desk: Desk, event: ResultCame) -> Move:
    return replace(desk, result=event.result), ()


def _signed_in(desk: Desk, event: SignedIn) -> Move:
    return home(replace(desk, operator=event, wait_s=0))


def _sign_in_refused(desk: Desk, event: SignInRefused) -> Move:
    after = replace(clear(desk, Screen.SIGN_IN), problem=event.problem, wait_s=event.wait_s)
    timer: tuple[DeskCommand, ...] = (StartDeskTimer(DeskTimer.WAIT, SECOND_S),) if event.wait_s else ()
    return after, (*touched_again(after), *timer)


def _person_found(desk: Desk, event: PersonFound) -> Move:
    if step_of(desk) is not Step.PERSON:
        return desk, ()
    return go_on(desk, has_person=True, person=event.name)


def _proxy_found(desk: Desk, _: ProxyFound) -> Move:
    return go_on(desk) if step_of(desk) is Step.PROXY_PERSON else (desk, ())


def _witness_found(desk: Desk, event: WitnessFound) -> Move:
    return go_on(desk, witness=event.witness) if step_of(desk) is Step.WITNESS else (desk, ())


def _answer_refused(desk: Desk, event: AnswerRefused) -> Move:
    return (replace(desk, problem=event.problem), ()) if desk.screen is Screen.STEP else (desk, ())


def _names_found(desk: Desk, event: NamesFound) -> Move:
    if step_of(desk) is not Step.PERSON:
        return desk, ()
    initials = event.initials or desk.initials
    return replace(desk, names=event.rows, has_more_names=event.has_more, initials=initials), ()


def _photo_taken(desk: Desk, event: PhotoTaken) -> Move:
    if not waits_for_picture(desk, event.role):
        return desk, ()
    return replace(desk, photo=PhotoView("taken", event.checks)), ()


def _photo_failed(desk: Desk, event: PhotoFailed) -> Move:
    if not waits_for_picture(desk, event.role):
        return desk, ()
    return replace(desk, photo=PhotoView("failed"), problem=event.problem), ()


def _date_checked(desk: Desk, event: DateChecked) -> Move:
    return go_on(desk, newspaper_date=event.found) if step_of(desk) is Step.NEWSPAPER_DATE else (desk, ())


def _case_stored(desk: Desk, _: CaseStored) -> Move:
    after = replace(clear(desk, Screen.DONE), task=desk.task)
    return after, (Forget(), StartDeskTimer(DeskTimer.DONE, DONE_S), AskStanding())


def _case_not_stored(desk: Desk, event: CaseNotStored) -> Move:
    if desk.screen is Screen.WORKING and event.problem == Problem.CASE_NOT_STORED:
        # Everything is still held: whoever makes room, or waits, confirms again.
        after, commands = begin_step(desk, desk.step)
    else:
        after, commands = home(desk)
    return replace(after, problem=event.problem), commands


def _task_refused(desk: Desk, event: TaskRefused) -> Move:
    after, commands = home(desk)
    return replace(after, problem=event.problem), commands


def _options_found(desk: Desk, event: OptionsFound) -> Move:
    return (replace(desk, options=event.options), ()) if desk.screen is Screen.STEP else (desk, ())


def _courier_moved(desk: Desk, event: CourierMoved) -> Move:
    if step_of(desk) is not Step.STICK:
        return desk, ()
    after = replace(desk, courier=event.courier, problem=event.problem)
    if event.courier.state == "running":
        return after, (StartDeskTimer(DeskTimer.QUIET, OPERATOR_QUIET_S),)
    return after, (AskStanding(), FindSticks())


def _slip_checked(desk: Desk, event: SlipChecked) -> Move:
    if desk.screen in {Screen.SESSION, Screen.RESULT, Screen.STEP, Screen.WORKING, Screen.COMMISSIONING}:
        return desk, ()
    return replace(clear(desk, Screen.SLIP), slip=event.slip), (StartDeskTimer(DeskTimer.DONE, DONE_S),)


def _my_status_found(desk: Desk, event: MyStatusFound) -> Move:
    if not desk.is_asking:
        return desk, ()
    after = replace(clear(desk, Screen.MY_STATUS), my_status=event.status)
    return after, (CancelDeskTimer(DeskTimer.QUIET), *touched_again(after), Say(event.line, event.dates))


def _my_status_refused(desk: Desk, event: MyStatusRefused) -> Move:
    return (replace(desk, problem=event.line.value), (Say(event.line),)) if desk.is_asking else (desk, ())


def _standing(desk: Desk, event: StandingCame) -> Move:
    return replace(desk, counts=event.counts, warnings=event.warnings), ()


def _timer(desk: Desk, event: DeskTimerExpired) -> Move:
    match event.timer:
        case DeskTimer.WAIT:
            left = max(0, desk.wait_s - 1)
            again: tuple[DeskCommand, ...] = (StartDeskTimer(DeskTimer.WAIT, SECOND_S),) if left else ()
            return replace(desk, wait_s=left), again
        case DeskTimer.DONE:
            return home(desk) if desk.screen in {Screen.DONE, Screen.SLIP, Screen.MY_STATUS} else (desk, ())
        case DeskTimer.QUIET:
            if desk.screen in {Screen.SESSION, Screen.RESULT}:
                return desk, ()
            if desk.operator is not None:
                return _sign_out(replace(desk, screen=Screen.MENU), was_quiet=True)
            return home(desk)


_TAKEN = frozenset({Screen.SESSION, Screen.RESULT, Screen.WORKING})
"""A session, its result, or what leads to one."""
_SIGN_IN_FROM = (Screen.IDLE, Screen.NUMBER, Screen.SIGN_IN, Screen.OUT_OF_ORDER)
_ANYWHERE: Mapping[TouchKind, Handle] = {
    TouchKind.LANGUAGE: _set_language,
    TouchKind.SPEED: _set_speed,
    TouchKind.REPEAT: _press_repeat,
    TouchKind.CANCEL: _cancel,
    TouchKind.SIGN_OUT: _sign_out,
}
_NO_ANSWERS = frozenset({TouchKind.LANGUAGE, TouchKind.SPEED, TouchKind.REPEAT})
_BY_PAGE: Mapping[tuple[Screen, TouchKind], Handle] = {
    **{(screen, TouchKind.BEGIN): _begin_number for screen in (Screen.IDLE, Screen.MY_STATUS)},
    (Screen.IDLE, TouchKind.ASK): _begin_asking,
    **{(screen, TouchKind.SIGN_IN): _begin_sign_in for screen in _SIGN_IN_FROM},
    (Screen.NUMBER, TouchKind.NUMBER): _number,
    (Screen.NUMBER, TouchKind.BACK): _cancel,
    (Screen.SIGN_IN, TouchKind.PIN): _pin,
    (Screen.SIGN_IN, TouchKind.BACK): _cancel,
    (Screen.MENU, TouchKind.TASK): _begin_task,
    (Screen.STATUS, TouchKind.TASK): _begin_task,
    (Screen.DONE, TouchKind.BACK): _cancel,
    (Screen.SLIP, TouchKind.BACK): _cancel,
    (Screen.STATUS, TouchKind.BACK): _cancel,
    (Screen.COMMISSIONING, TouchKind.BACK): _cancel,
    (Screen.COMMISSIONING, TouchKind.CONFIRM): commissioning.start,
    (Screen.COMMISSIONING, TouchKind.ANSWER): commissioning.answer,
    (Screen.MY_STATUS, TouchKind.BACK): _cancel,
}
_HANDLERS: Mapping[type[Any], Callable[[Desk, Any], Move]] = {
    Touched: _touch,
    CodeRead: _read,
    ServiceMoved: _service,
    ResultCame: _result,
    SignedIn: _signed_in,
    SignInRefused: _sign_in_refused,
    PersonFound: _person_found,
    ProxyFound: _proxy_found,
    WitnessFound: _witness_found,
    AnswerRefused: _answer_refused,
    NamesFound: _names_found,
    PhotoTaken: _photo_taken,
    PhotoFailed: _photo_failed,
    DateChecked: _date_checked,
    CaseStored: _case_stored,
    CaseNotStored: _case_not_stored,
    TaskRefused: _task_refused,
    OptionsFound: _options_found,
    CourierMoved: _courier_moved,
    CommissioningMoved: commissioning.moved,
    SlipChecked: _slip_checked,
    MyStatusFound: _my_status_found,
    MyStatusRefused: _my_status_refused,
    StandingCame: _standing,
    DeskTimerExpired: _timer,
}
