"""The desk: what each page does with touches and codes, and that nothing about a person outlives its task."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.desk.commands import (
    Aim,
    AnswerCommissioning,
    BeginByCode,
    BeginSession,
    CheckDate,
    CheckSlip,
    CheckTask,
    ChoosePerson,
    DeskCommand,
    EndCommissioning,
    FindPerson,
    FindWitness,
    Forget,
    KeepPhoto,
    PressButton,
    RunCourier,
    Say,
    Search,
    SetVoice,
    SignIn,
    SignInByCode,
    SignOut,
    StartCommissioning,
    StartDeskTimer,
    StoreCase,
    TakePhoto,
)
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
from device.desk.machine import advance
from device.desk.state import QUIET_S, Answers, Desk, rule_of, view_of
from device.desk.tasks import TASKS, Step, Task
from device.desk.view import (
    CheckRow,
    CommissioningView,
    CountsView,
    CourierView,
    NameRow,
    Option,
    PhotoCheckView,
    PhotoView,
    Problem,
    ResultView,
    Screen,
    SlipView,
    StaffWarning,
    Touch,
    TouchKind,
)
from device.session.commands import Line
from protocol.cases import CaseKind, CaseReason, PhotoRole
from protocol.commissioning import Part, Question
from protocol.policy import PathName
from protocol.records import Purpose
from protocol.references import LegalBasis
from protocol.staff import OperatorCode, Role
from protocol.visits import VisitReason

WORKER = SignedIn("w-204", "Worker", (Role.WORKER,))
ENROLLER = SignedIn("w-205", "Enroller", (Role.WORKER, Role.ENROLLER))
CODE = OperatorCode("w-204", bytes(16)).text()
TECHNICIAN = SignedIn("w-206", "Technician", (Role.TECHNICIAN,))
NAME = NameRow(0, "Somebody", 1941, None)
RESULT = ResultView("certified", date(2027, 11, 28), "LCS1:slip")
RESULT_CAME = ResultCame(RESULT)


class Played:
    """A desk that is played event by event."""

    def __init__(self, *events: DeskEvent) -> None:
        self.desk = Desk()
        self.last: tuple[DeskCommand, ...] = ()
        self.play(ServiceMoved(Service.FREE, line="welcome", lamp="idle"), *events)

    def play(self, *events: DeskEvent) -> Played:
        for event in events:
            self.desk, self.last = advance(self.desk, event)
        return self

    def touch(self, kind: TouchKind, value: str = "") -> Played:
        return self.play(Touched(Touch(kind, value)))

    def did(self, kind: type[Any]) -> Any:
        (found,) = [command for command in self.last if isinstance(command, kind)]
        return found

    @property
    def screen(self) -> Screen:
        return self.desk.screen

    @property
    def step(self) -> Step | None:
        return view_of(self.desk).step


def signed_in(operator: SignedIn = ENROLLER) -> Played:
    return Played(operator)


def at(task: Task, step: Step, operator: SignedIn = ENROLLER) -> Played:
    """Begin a task and answer until a step is asked."""
    played = signed_in(operator).touch(TouchKind.TASK, task)
    while played.step is not step:
        before = played.step
        answer(played)
        assert played.step is not before
    return played


def role_of(played: Played) -> PhotoRole:
    rule = rule_of(played.desk)
    assert rule is not None
    assert rule.role is not None
    return rule.role


def answer(played: Played) -> None:
    step = played.step
    assert step is not None
    match view_of(played.desk).kind:
        case "person" if step is Step.PERSON:
            played.play(PersonFound())
        case "person":
            played.play(ProxyFound())
        case "choice":
            played.touch(TouchKind.CHOOSE, view_of(played.desk).options[0].code)
        case "place":
            played.play(OptionsFound((Option("620102001", "Village"),))).touch(TouchKind.CHOOSE, "620102001")
        case "witness":
            played.touch(TouchKind.CHOOSE, "none")
        case "photo":
            played.touch(TouchKind.TAKE).play(PhotoTaken(role_of(played), ())).touch(TouchKind.KEEP)
        case "date":
            played.touch(TouchKind.DATE, "2026-11-27").play(DateChecked(played.did(CheckDate).found))
        case "confirm":
            played.touch(TouchKind.CONFIRM)
        case _:
            raise AssertionError(step)


def test_a_card_on_the_idle_page_begins_a_certification() -> None:
    played = Played(CodeRead("110101194001010018"))
    assert played.did(BeginByCode).text == "110101194001010018"
    played.play(ServiceMoved(Service.BUSY, line="look_here", is_seen=True))
    assert played.screen is Screen.SESSION
    assert view_of(played.desk).has_picture


def test_a_typed_number_begins_one_and_a_refused_one_may_be_typed_again() -> None:
    played = Played().touch(TouchKind.BEGIN)
    assert played.screen is Screen.NUMBER
    assert played.did(PressButton).button == "start"
    played.touch(TouchKind.NUMBER, "12")
    assert (played.screen, played.did(BeginByCode).text) == (Screen.WORKING, "12")
    played.play(ServiceMoved(Service.FREE, line="claim_unreadable"))
    assert (played.screen, played.desk.problem) == (Screen.NUMBER, "claim_unreadable")
    assert played.touch(TouchKind.NUMBER, "34").desk.problem is None


def test_a_result_is_shown_and_then_nothing_of_it_is_left() -> None:
    played = Played().play(
        ServiceMoved(Service.BUSY, line="look_here", is_seen=True),
        ResultCame(RESULT),
        ServiceMoved(Service.REPORTING, line="certified", lamp="certified"),
    )
    view = view_of(played.desk)
    assert (view.screen, view.result, view.has_picture) == (Screen.RESULT, RESULT, False)
    played.play(ServiceMoved(Service.FREE, line="welcome", lamp="idle"))
    assert played.screen is Screen.IDLE
    assert view_of(played.desk).result is None
    assert "slip" not in str(view_of(played.desk).to_json()).replace("'slip': None", "")
    assert Forget() in played.last


def test_buttons_on_the_screen_are_the_box_s_buttons() -> None:
    played = Played(ServiceMoved(Service.BUSY, line="look_here"))
    assert played.touch(TouchKind.REPEAT).did(PressButton).button == "repeat"
    assert played.touch(TouchKind.CANCEL).did(PressButton).button == "cancel"


@pytest.mark.parametrize("screen", list(Screen))
def test_language_and_speed_change_on_every_page(screen: Screen) -> None:
    desk = Desk(screen=screen, task=Task.CERTIFY if screen is Screen.STEP else None)
    after, commands = advance(desk, Touched(Touch(TouchKind.LANGUAGE, "en")))
    assert (after.language, after.screen) == ("en", screen)
    assert SetVoice("en", is_slow=False) in commands
    after, commands = advance(after, Touched(Touch(TouchKind.SPEED, "slow")))
    assert SetVoice("en", is_slow=True) in commands
    assert advance(after, Touched(Touch(TouchKind.LANGUAGE, "xx")))[0].language == "en"


@pytest.mark.parametrize(
    "touch", [Touch(TouchKind.LANGUAGE, "en"), Touch(TouchKind.SPEED, "slow"), Touch(TouchKind.REPEAT)]
)
def test_what_is_wrong_stays_there_to_be_read_in_another_language(touch: Touch) -> None:
    desk = Desk(screen=Screen.NUMBER, problem="claim_unreadable")
    assert advance(desk, Touched(touch))[0].problem == "claim_unreadable"
    assert advance(desk, Touched(Touch(TouchKind.NUMBER, "1")))[0].problem is None


def test_an_operator_signs_in_with_number_and_pin_or_with_a_code() -> None:
    played = Played().touch(TouchKind.SIGN_IN)
    assert played.screen is Screen.SIGN_IN
    asked = played.touch(TouchKind.PIN, "w-204/493817").did(SignIn)
    assert (asked.operator_id, asked.pin) == ("w-204", "493817")
    assert "493817" not in repr(asked)
    played.play(SignInRefused("pin_wrong"))
    assert (played.screen, played.desk.problem) == (Screen.SIGN_IN, "pin_wrong")
    assert played.play(CodeRead(CODE)).did(SignInByCode).text == CODE
    played.play(WORKER)
    assert played.screen is Screen.MENU
    assert Task.ENROL not in view_of(played.desk).tasks


def test_who_is_locked_out_waits_and_sees_how_long() -> None:
    played = Played().touch(TouchKind.SIGN_IN).play(SignInRefused("sign_in_locked", wait_s=2))
    assert played.touch(TouchKind.PIN, "w-204/493817").last == (StartDeskTimer(DeskTimer.QUIET, 60.0),)
    assert view_of(played.desk).wait_s == 2
    assert played.play(CodeRead(CODE)).last == ()
    played.play(DeskTimerExpired(DeskTimer.WAIT), DeskTimerExpired(DeskTimer.WAIT))
    assert view_of(played.desk).wait_s == 0
    assert played.touch(TouchKind.PIN, "w-204/493817").did(SignIn)


def test_a_lockout_is_not_waited_out_by_leaving_the_page() -> None:
    played = Played().touch(TouchKind.SIGN_IN).play(SignInRefused("sign_in_locked", wait_s=300))
    played.touch(TouchKind.SIGN_IN)
    assert view_of(played.desk).wait_s == 300


def test_a_visit_asks_for_reason_place_and_witness_and_begins_the_session() -> None:
    played = signed_in(WORKER).touch(TouchKind.TASK, Task.VISIT)
    assert played.did(Search).part == ""
    played.play(NamesFound((NAME,), has_more=False)).touch(TouchKind.PERSON, "0")
    assert played.did(ChoosePerson).position == 0
    played.play(PersonFound("Somebody"))
    assert view_of(played.desk).person == "Somebody"
    played.touch(TouchKind.CHOOSE, "bedridden")
    played.play(OptionsFound((Option("receiver"), Option("620102001", "Village"))))
    played.touch(TouchKind.CHOOSE, "620102001")
    assert played.play(CodeRead(CODE)).did(FindWitness).worker == "w-204"
    played.play(AnswerRefused("witness_is_worker"))
    assert played.desk.problem == "witness_is_worker"
    played.play(WitnessFound("w-9"))
    begun = played.touch(TouchKind.CHOOSE, "no_movement").did(BeginSession)
    assert begun == BeginSession(
        operator="w-204",
        may_enrol=False,
        purpose=Purpose.CERTIFICATION,
        path=PathName.NO_MOVEMENT,
        witness="w-9",
        visit_reason=VisitReason.BEDRIDDEN,
        place="620102001",
        legal_basis=LegalBasis.STATUTE,
    )
    assert played.screen is Screen.WORKING


def test_after_a_session_the_operator_is_back_at_the_menu_and_the_person_forgotten() -> None:
    played = at(Task.CERTIFY, Step.PATH).play(ServiceMoved(Service.BUSY))
    played.play(ResultCame(RESULT), ServiceMoved(Service.REPORTING), ServiceMoved(Service.FREE))
    assert (played.screen, played.desk.answers) == (Screen.MENU, Answers())
    assert Forget() in played.last


def test_a_session_that_cannot_begin_leads_back_with_the_reason() -> None:
    played = at(Task.CERTIFY, Step.PATH).touch(TouchKind.CHOOSE, "standard")
    played.play(ServiceMoved(Service.FREE, line="not_ready"))
    assert (played.screen, played.desk.problem) == (Screen.MENU, "not_ready")


@pytest.mark.parametrize("task", [task for task, rule in TASKS.items() if rule.case is not None])
def test_every_case_is_stored_with_what_was_asked(task: Task) -> None:
    last = TASKS[task].steps[-1]
    played = at(task, last)
    answer(played)
    stored = played.did(StoreCase)
    assert (stored.kind, stored.operator) == (TASKS[task].case, "w-205")
    assert stored.reason is CaseReason.DISTANCE
    assert (stored.newspaper_date is not None) == (stored.kind is CaseKind.SPECIAL)
    assert (stored.relation is not None) == (stored.kind is CaseKind.PROXY)
    assert (stored.other_way is not None) == (stored.kind is CaseKind.EXCEPTION)
    assert (stored.place, stored.witness) == ("620102001", None)
    assert played.play(CaseStored()).screen is Screen.DONE
    assert played.play(DeskTimerExpired(DeskTimer.DONE)).screen is Screen.MENU


@pytest.mark.parametrize("task", [Task.SPECIAL, Task.PROXY, Task.EXCEPTION])
def test_a_case_asks_for_a_witness_as_a_visit_does(task: Task) -> None:
    played = at(task, Step.WITNESS).play(CodeRead(CODE))
    assert played.did(FindWitness).worker == "w-205"
    played.play(AnswerRefused("witness_is_worker"))
    assert (played.step, played.desk.problem) == (Step.WITNESS, "witness_is_worker")
    played.play(WitnessFound("w-9"))
    while not any(isinstance(command, StoreCase) for command in played.last):
        answer(played)
    assert played.did(StoreCase).witness == "w-9"


def test_a_witness_who_was_named_can_be_taken_back() -> None:
    played = at(Task.EXCEPTION, Step.WITNESS).play(WitnessFound("w-9")).touch(TouchKind.BACK)
    assert played.step is Step.WITNESS
    assert played.touch(TouchKind.CHOOSE, "none").touch(TouchKind.CONFIRM).did(StoreCase).witness is None


def test_a_photograph_that_only_enrols_asks_for_a_place_and_no_witness() -> None:
    steps = TASKS[Task.PHOTO_ENROLMENT].steps
    assert Step.PLACE in steps
    assert Step.WITNESS not in steps


def test_the_camera_is_off_when_the_operator_goes_back_from_a_picture() -> None:
    played = at(Task.PHOTO_ENROLMENT, Step.PHOTO_FACE).touch(TouchKind.BACK)
    assert played.step is Step.PLACE
    assert not played.did(Aim).is_on
    assert not view_of(played.desk).has_picture


def test_a_case_that_was_not_stored_is_told() -> None:
    played = at(Task.EXCEPTION, Step.CONFIRM).touch(TouchKind.CONFIRM).play(CaseNotStored("not_stored"))
    assert (played.screen, played.desk.problem) == (Screen.MENU, "not_stored")


def test_a_picture_is_taken_looked_at_and_kept_or_taken_again() -> None:
    played = at(Task.SPECIAL, Step.PHOTO_IDENTITY_CARD).touch(TouchKind.TAKE)
    assert played.did(TakePhoto).role is PhotoRole.IDENTITY_CARD
    assert played.touch(TouchKind.KEEP).step is Step.PHOTO_IDENTITY_CARD
    played.play(PhotoFailed(PhotoRole.IDENTITY_CARD, "camera_lost"))
    assert (played.desk.photo.state, played.desk.problem) == ("failed", "camera_lost")  # type: ignore[union-attr]
    played.touch(TouchKind.TAKE).play(
        PhotoTaken(PhotoRole.IDENTITY_CARD, (PhotoCheckView("resolution", passed=False),))
    )
    assert view_of(played.desk).photo.state == "taken"  # type: ignore[union-attr]
    assert played.touch(TouchKind.KEEP).did(KeepPhoto).role is PhotoRole.IDENTITY_CARD
    assert played.step is Step.PHOTO_WITH_NEWSPAPER


def test_a_second_tap_takes_no_second_picture() -> None:
    played = at(Task.SPECIAL, Step.PHOTO_IDENTITY_CARD).touch(TouchKind.TAKE)
    assert not any(isinstance(command, TakePhoto) for command in played.touch(TouchKind.TAKE).last)


def test_a_picture_of_another_kind_or_that_nobody_ordered_is_not_shown() -> None:
    played = at(Task.SPECIAL, Step.PHOTO_IDENTITY_CARD).play(PhotoTaken(PhotoRole.IDENTITY_CARD, ()))
    assert view_of(played.desk).photo == PhotoView("ready")
    played.touch(TouchKind.TAKE).play(PhotoTaken(PhotoRole.WITH_NEWSPAPER, ()))
    assert view_of(played.desk).photo == PhotoView("taking")


def test_an_operator_aims_with_the_live_picture_until_there_is_one_to_look_at() -> None:
    played = at(Task.SPECIAL, Step.PHOTO_IDENTITY_CARD)
    assert view_of(played.desk).has_picture
    played.touch(TouchKind.TAKE).play(PhotoTaken(PhotoRole.IDENTITY_CARD, ()))
    assert not view_of(played.desk).has_picture


def test_a_camera_that_comes_back_is_aimed_again() -> None:
    played = at(Task.SPECIAL, Step.PHOTO_IDENTITY_CARD)
    played.play(ServiceMoved(Service.OUT_OF_ORDER), ServiceMoved(Service.FREE))
    assert played.did(Aim).is_on


def test_a_session_in_the_middle_of_a_task_forgets_whom_the_task_was_about() -> None:
    played = at(Task.SPECIAL, Step.PHOTO_WITH_NEWSPAPER).play(ServiceMoved(Service.BUSY, line="look_here"))
    assert Forget() in played.last
    assert not any(isinstance(command, Forget) for command in played.play(ServiceMoved(Service.BUSY, "blink")).last)


@pytest.mark.parametrize("task", [task for task in Task if task not in {Task.STATUS, Task.COURIER, Task.COMMISSION}])
def test_what_cannot_be_had_is_refused_before_anything_is_asked(task: Task) -> None:
    played = signed_in(ENROLLER).touch(TouchKind.TASK, task)
    assert played.did(CheckTask).purpose is TASKS[task].purpose
    played.play(TaskRefused("offline_limit"))
    assert (played.screen, played.desk.problem) == (Screen.MENU, "offline_limit")


def test_a_case_that_the_storage_refused_can_be_confirmed_again() -> None:
    played = at(Task.SPECIAL, Step.CONFIRM).touch(TouchKind.CONFIRM).play(CaseNotStored("case_not_stored"))
    assert (played.step, played.desk.problem) == (Step.CONFIRM, "case_not_stored")
    assert Forget() not in played.last
    assert played.touch(TouchKind.CONFIRM).did(StoreCase).newspaper_date == date(2026, 11, 27)


@pytest.mark.parametrize("typed", ["2026-02-31", "20261127", "2026-W48-5", ""])
def test_an_unreadable_date_is_told(typed: str) -> None:
    played = at(Task.SPECIAL, Step.NEWSPAPER_DATE).touch(TouchKind.DATE, typed)
    assert (played.step, played.desk.problem) == (Step.NEWSPAPER_DATE, "date_unreadable")


def test_a_card_read_in_the_menu_opens_a_certification_of_that_person() -> None:
    played = signed_in().play(CodeRead("110101194001010018"))
    assert played.did(FindPerson).text == "110101194001010018"
    assert played.step is Step.PERSON


@pytest.mark.parametrize("task", [task for task in Task if task is not Task.STATUS])
def test_a_card_that_a_step_does_not_ask_for_leaves_the_task_as_it_is(task: Task) -> None:
    asked = {Step.PERSON, Step.PROXY_PERSON, Step.WITNESS}
    for step in (step for step in TASKS[task].steps if step not in asked):
        played = at(task, step)
        before = played.desk
        for text in ("110101194001010018", CODE, "garbage"):
            assert played.play(CodeRead(text)).desk == before
            assert played.last == ()


def test_the_stick_runs_once_and_may_be_pulled_out() -> None:
    played = signed_in().touch(TouchKind.TASK, Task.COURIER)
    played.play(OptionsFound((Option("stick-1", "STICK"),))).touch(TouchKind.STICK, "stick-1")
    assert played.did(RunCourier).stick == "stick-1"
    assert all(not isinstance(command, RunCourier) for command in played.touch(TouchKind.STICK, "stick-1").last)
    played.play(CourierMoved(CourierView("running", 3, 1, 9)))
    assert view_of(played.desk).courier == CourierView("running", 3, 1, 9)
    played.play(CourierMoved(CourierView("failed", 3, 1, 9), "stick_removed"))
    assert played.desk.problem == "stick_removed"


def test_out_of_order_an_operator_still_gets_at_the_stick() -> None:
    played = Played(ServiceMoved(Service.OUT_OF_ORDER, line="out_of_order", lamp="fault"))
    assert played.screen is Screen.OUT_OF_ORDER
    played.touch(TouchKind.SIGN_IN).play(WORKER).touch(TouchKind.TASK, Task.COURIER)
    assert played.step is Step.STICK
    assert played.touch(TouchKind.CANCEL).touch(TouchKind.SIGN_OUT).screen is Screen.OUT_OF_ORDER


def test_whoever_types_slowly_is_not_taken_for_somebody_who_left() -> None:
    played = Played().touch(TouchKind.BEGIN)
    before = replace(played.desk, problem=Problem.PERSON_UNKNOWN)
    after, commands = advance(before, Touched(Touch(TouchKind.STAY)))
    assert (after, commands) == (before, (StartDeskTimer(DeskTimer.QUIET, QUIET_S),))
    idle = Played().touch(TouchKind.STAY)
    assert idle.last == ()


def test_who_goes_away_is_signed_out_and_forgotten() -> None:
    played = at(Task.VISIT, Step.WITNESS).play(DeskTimerExpired(DeskTimer.QUIET))
    assert played.did(SignOut) == SignOut("w-205", was_quiet=True)
    assert (played.screen, played.desk.operator, played.desk.answers) == (Screen.IDLE, None, Answers())


def test_nobody_is_signed_out_in_a_session() -> None:
    played = at(Task.CERTIFY, Step.PATH).play(ServiceMoved(Service.BUSY), DeskTimerExpired(DeskTimer.QUIET))
    assert played.screen is Screen.SESSION
    assert played.touch(TouchKind.SIGN_OUT).desk.operator == ENROLLER


def test_a_slip_is_read_to_whoever_brings_it_and_then_forgotten() -> None:
    played = Played(CodeRead("LCS1:ABC"))
    assert played.did(CheckSlip).text == "LCS1:ABC"
    played.play(SlipChecked(SlipView("valid", "certified", date(2027, 11, 28))))
    assert view_of(played.desk).slip == SlipView("valid", "certified", date(2027, 11, 28))
    assert view_of(played.desk).to_json()["slip"]["until"] == "2027-11-28"
    played.play(DeskTimerExpired(DeskTimer.DONE))
    assert (played.screen, view_of(played.desk).slip) == (Screen.IDLE, None)


def test_a_card_held_there_while_somebody_is_served_changes_nothing() -> None:
    in_session = Played(ServiceMoved(Service.BUSY, line="turn_left", action="turn_left"))
    with_result = Played(ServiceMoved(Service.BUSY), RESULT_CAME, ServiceMoved(Service.REPORTING, line="certified"))
    for played in (in_session, with_result, Played().touch(TouchKind.BEGIN).touch(TouchKind.NUMBER, "x")):
        for text in ("110101194001010018", CODE, "garbage"):
            before = played.desk
            assert played.play(CodeRead(text)).desk == before
            assert played.last == ()


def test_a_slip_is_nobody_s_business_in_a_session_and_no_person_in_a_task() -> None:
    played = Played(ServiceMoved(Service.BUSY)).play(CodeRead("LCS1:ABC"))
    assert played.last == ()
    assert played.play(SlipChecked(SlipView("valid"))).screen is Screen.SESSION
    asked = at(Task.CERTIFY, Step.PERSON).play(CodeRead("LCS1:ABC"))
    assert asked.did(FindPerson).text == "LCS1:ABC"


def test_names_and_warnings_are_for_an_operator_alone() -> None:
    played = Played(StandingCame(CountsView(47, 31), (StaffWarning.OFFLINE,)))
    assert view_of(played.desk).warnings == ()
    assert view_of(played.desk).counts == CountsView(47, 31)
    played.play(WORKER, StandingCame(CountsView(47, 31), (StaffWarning.OFFLINE,)))
    assert view_of(played.desk).warnings == (StaffWarning.OFFLINE,)
    played.touch(TouchKind.TASK, Task.CERTIFY).play(NamesFound((NAME,), has_more=False, initials=("王", "李")))
    assert view_of(played.play(NamesFound((NAME,), has_more=False)).desk).initials == ("王", "李")
    assert view_of(played.touch(TouchKind.CANCEL).desk).names == ()
    assert played.desk.initials == ()


ROW = CheckRow(Part.CAMERA, "failed", is_open=True, zh="没有画面。", en="No frames.")


def checked(*events: DeskEvent) -> Played:
    """Somebody signed in tries the terminal."""
    played = signed_in(TECHNICIAN).touch(TouchKind.TASK, Task.COMMISSION).touch(TouchKind.CONFIRM)
    played.did(StartCommissioning)
    return played.play(*events)


def asking(question: Question) -> CommissioningMoved:
    return CommissioningMoved(CommissioningView("running", question))


def test_a_terminal_is_tried_from_its_menu_and_nothing_begins_before_somebody_says_so() -> None:
    played = signed_in(TECHNICIAN).touch(TouchKind.TASK, Task.COMMISSION)
    assert (played.screen, played.desk.commissioning) == (Screen.COMMISSIONING, CommissioningView("ready"))
    assert not any(isinstance(command, StartCommissioning) for command in played.last)
    assert played.touch(TouchKind.CONFIRM).did(StartCommissioning)
    assert not any(isinstance(command, StartCommissioning) for command in played.touch(TouchKind.CONFIRM).last)


def test_an_answer_is_one_to_the_question_that_is_asked_and_to_no_other() -> None:
    played = checked(asking(Question.HEARD))
    for stale in ("lamp/yes", "heard/perhaps", "heard", ""):
        assert not any(
            isinstance(command, AnswerCommissioning) for command in played.touch(TouchKind.ANSWER, stale).last
        )
    assert played.touch(TouchKind.ANSWER, "heard/no").did(AnswerCommissioning).answer == "no"
    again = played.touch(TouchKind.ANSWER, "heard/yes").last
    assert not any(isinstance(command, AnswerCommissioning) for command in again)


def test_to_a_press_nobody_answers_but_the_button() -> None:
    played = checked(asking(Question.PRESS_START)).touch(TouchKind.ANSWER, "press_start/yes")
    assert not any(isinstance(command, AnswerCommissioning) for command in played.last)


def test_who_sits_down_is_told_where_to_look() -> None:
    played = checked(asking(Question.SEAT)).touch(TouchKind.ANSWER, "seat/yes")
    assert played.did(Say).line is Line.LOOK_HERE


@pytest.mark.parametrize("text", ["110101194001010018", CODE, "LCS1:ABC"])
def test_who_comes_while_the_terminal_is_tried_is_told_so(text: str) -> None:
    played = checked(asking(Question.TARGET)).play(CodeRead(text))
    assert (played.last, played.desk.problem) == ((Say(Line.NOT_READY),), Problem.BEING_CHECKED)
    assert played.desk.commissioning == CommissioningView("running", Question.TARGET)


@pytest.mark.parametrize(
    "event",
    [
        Touched(Touch(TouchKind.BACK)),
        Touched(Touch(TouchKind.CANCEL)),
        Touched(Touch(TouchKind.SIGN_OUT)),
        DeskTimerExpired(DeskTimer.QUIET),
        ServiceMoved(Service.BUSY),
    ],
)
def test_however_the_page_is_left_the_terminal_has_its_parts_back(event: DeskEvent) -> None:
    played = checked(asking(Question.TARGET)).play(event)
    assert played.did(EndCommissioning)
    assert played.desk.commissioning is None
    left = played.desk
    assert played.play(asking(Question.SEAT)).desk == left


def test_what_came_of_it_stays_to_be_read_and_it_may_be_begun_anew() -> None:
    done = CommissioningView("done", rows=(ROW,))
    played = checked(CommissioningMoved(done))
    assert played.did(EndCommissioning)
    assert view_of(played.desk).commissioning == done
    assert played.touch(TouchKind.CONFIRM).did(StartCommissioning)
    assert played.touch(TouchKind.BACK).screen is Screen.MENU


def test_one_that_cannot_begin_says_why() -> None:
    played = checked(CommissioningMoved(CommissioningView("ready"), Problem.CHECK_NOT_NOW))
    assert (played.desk.problem, played.screen) == (Problem.CHECK_NOT_NOW, Screen.COMMISSIONING)
    starting = signed_in(TECHNICIAN).play(ServiceMoved(Service.STARTING)).touch(TouchKind.TASK, Task.COMMISSION)
    assert starting.touch(TouchKind.CONFIRM).desk.problem == Problem.CHECK_NOT_NOW


def test_out_of_order_a_terminal_can_be_tried() -> None:
    played = signed_in(TECHNICIAN).play(ServiceMoved(Service.OUT_OF_ORDER)).touch(TouchKind.TASK, Task.COMMISSION)
    assert played.touch(TouchKind.CONFIRM).did(StartCommissioning)
    assert played.play(ServiceMoved(Service.FREE)).desk.commissioning == CommissioningView("running")


EVENTS = st.one_of(
    st.builds(Touched, st.builds(Touch, st.sampled_from(TouchKind), st.text(max_size=4) | st.sampled_from([*Task]))),
    st.builds(Touched, st.builds(Touch, st.just(TouchKind.CHOOSE), st.sampled_from(["standard", "age", "statute"]))),
    # Random text seldom opens the page on which the terminal is tried, and there, what leads off it.
    st.sampled_from(
        [
            Touched(Touch(TouchKind.TASK, Task.COMMISSION)),
            Touched(Touch(TouchKind.CONFIRM)),
            Touched(Touch(TouchKind.ANSWER, "seat/yes")),
        ]
    ),
    st.builds(CodeRead, st.sampled_from([CODE, "LCS1:X", "110101194001010018", "\x00garbage"])),
    st.builds(ServiceMoved, st.sampled_from(Service), st.none() | st.just("look_here"), is_seen=st.booleans()),
    st.sampled_from(
        [
            WORKER,
            ENROLLER,
            ResultCame(RESULT),
            SignInRefused("pin_wrong"),
            SignInRefused("sign_in_locked", wait_s=3),
            PersonFound("Somebody"),
            ProxyFound(),
            WitnessFound("w-9"),
            AnswerRefused("claim_unreadable"),
            NamesFound((NAME,), has_more=True),
            PhotoTaken(PhotoRole.IDENTITY_CARD, ()),
            PhotoFailed(PhotoRole.IDENTITY_CARD, "camera_lost"),
            DateChecked(date(2026, 11, 27)),
            CaseStored(),
            CaseNotStored("not_stored"),
            OptionsFound((Option("620102001", "Village"),)),
            CourierMoved(CourierView("running")),
            CommissioningMoved(CommissioningView("running", Question.SEAT)),
            CommissioningMoved(CommissioningView("done", rows=(ROW,))),
            StandingCame(CountsView(1, 0), ()),
            SlipChecked(SlipView("valid", "certified", date(2027, 11, 28))),
        ]
    ),
    st.builds(DeskTimerExpired, st.sampled_from(DeskTimer)),
)


@given(st.lists(EVENTS, max_size=40))
def test_whatever_happens_the_desk_stands_and_shows_nobody_to_the_next(events: list[DeskEvent]) -> None:
    desk, is_checked = Desk(), False
    for event in events:
        desk, commands = advance(desk, event)
        view = view_of(desk)
        view.to_json()
        if view.screen is not Screen.STEP:
            assert view.names == ()
        if view.screen in {Screen.IDLE, Screen.MENU, Screen.NUMBER, Screen.OUT_OF_ORDER, Screen.SIGN_IN}:
            assert (view.person, view.result, view.photo) == (None, None, None)
        if any(isinstance(command, BeginSession | StoreCase | RunCourier) for command in commands):
            assert desk.operator is not None
        if desk.operator is None:
            assert view.tasks == ()
            assert view.screen not in {Screen.MENU, Screen.STEP, Screen.STATUS, Screen.COMMISSIONING}
        if any(isinstance(command, BeginByCode | BeginSession) for command in commands):
            assert not is_checked
        is_checked |= any(isinstance(command, StartCommissioning) for command in commands)
        is_checked &= not any(isinstance(command, EndCommissioning) for command in commands)
        # Whoever has camera and buttons is who is seen on the screen.
        assert is_checked == (view.commissioning is not None and view.commissioning.state == "running")
        assert (view.commissioning is not None) == (view.screen is Screen.COMMISSIONING)
