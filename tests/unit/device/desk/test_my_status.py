"""The answer to somebody who asks how they stand."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from device.desk.commands import (
    AskMyStatus,
    BeginByCode,
    DeskCommand,
    Forget,
    PressButton,
    Say,
    SetVoice,
    StartDeskTimer,
)
from device.desk.events import (
    CodeRead,
    DeskEvent,
    DeskTimer,
    DeskTimerExpired,
    MyStatusFound,
    MyStatusRefused,
    Service,
    ServiceMoved,
    Touched,
)
from device.desk.machine import advance
from device.desk.my_status import my_status, said_of, unknown_status
from device.desk.state import MY_STATUS_S, Desk, view_of
from device.desk.view import MyStatusView, Screen, Touch, TouchKind
from device.session.commands import Dated, DateRole, Line
from protocol.entitlements import Rule
from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.days import MonthDay
from protocol.rules.obligations import CertificationState, Entitled
from protocol.rules.pack import AnnualWindow, BirthMonth
from protocol.shipped_packs import default_pack, shipped_pack

STARTED = Entitled(date(2012, 3, 1))
JUNE = Act("june", date(2019, 6, 15), ActKind.LIVE, Channel.TERMINAL)
LANZHOU = Rule(shipped_pack("LZ-2019"), STARTED, (JUNE,))
SHANXI = Rule(shipped_pack("SX-2018"), STARTED, (JUNE,))
AS_OF = date(2019, 7, 1)
UNTIL, NEXT_FROM, BY = DateRole.UNTIL, DateRole.NEXT_FROM, DateRole.BY


def asked(*rules: Rule, today: date) -> MyStatusView:
    return my_status(rules, today=today, as_of=AS_OF)


@pytest.mark.parametrize(
    ("today", "state", "line", "dates"),
    [
        # R2-2 to R2-4: nothing is asked before the second half-year and the gap, then the year's end is the last day.
        (
            date(2019, 8, 1),
            "certified",
            Line.STATUS_CERTIFIED,
            [(UNTIL, date(2019, 12, 31)), (NEXT_FROM, date(2019, 9, 15))],
        ),
        (date(2019, 9, 15), "due", Line.STATUS_DUE, [(BY, date(2019, 12, 31))]),
        (date(2019, 12, 20), "expiring", Line.STATUS_EXPIRING, [(BY, date(2019, 12, 31))]),
        (date(2020, 1, 1), "overdue", Line.STATUS_OVERDUE, []),
    ],
)
def test_r9_4_somebody_is_told_their_state_with_the_days_that_matter(
    today: date, state: str, line: Line, dates: list[tuple[DateRole, date]]
) -> None:
    found = asked(LANZHOU, today=today)
    assert found.state == state
    assert said_of(found, today=today) == (line, tuple(Dated(role, day) for role, day in dates))


def test_r9_4_who_was_never_certified_is_told_by_when_and_not_a_day_that_has_passed() -> None:
    never = Rule(shipped_pack("SX-2018"), Entitled(date(2019, 1, 10)))
    first = asked(never, today=date(2019, 7, 1))
    assert (first.state, first.due) == ("never_certified", date(2020, 1, 10))
    assert said_of(first, today=date(2019, 7, 1))[1] == (Dated(BY, date(2020, 1, 10)),)
    assert said_of(first, today=date(2021, 7, 1)) == (Line.STATUS_NEVER_CERTIFIED, ())


def test_of_several_packs_the_strictest_answers_and_each_gives_its_reason() -> None:
    found = asked(SHANXI, LANZHOU, today=date(2019, 9, 20))
    assert (found.state, found.due) == ("due", date(2019, 12, 31))
    assert [(pack.title_en, pack.state, pack.due, pack.cycle, pack.numbers) for pack in found.packs] == [
        (LANZHOU.pack.title.en, "due", date(2019, 12, 31), "half_years", (("gap", 3),)),
        (SHANXI.pack.title.en, "certified", date(2020, 6, 15), "rolling", (("months", 12),)),
    ]
    assert found.as_of == AS_OF


def test_two_benefits_under_one_pack_give_one_reason() -> None:
    other = Rule(shipped_pack("LZ-2019"), Entitled(date(2015, 1, 1)), (JUNE,))
    assert len(asked(LANZHOU, other, today=date(2019, 9, 20)).packs) == 1


@pytest.mark.parametrize(
    ("cycle", "sentence", "numbers"),
    [
        (
            AnnualWindow(kind="annual_window", opens=MonthDay(11, 1), closes=MonthDay(12, 20)),
            "annual_window",
            {"opens_month": 11, "opens_day": 1, "closes_month": 12, "closes_day": 20},
        ),
        (BirthMonth(kind="birth_month", early_from_age=85), "birth_month", {"age": 85}),
    ],
)
def test_every_cycle_has_a_sentence_with_its_numbers(cycle: Any, sentence: str, numbers: dict[str, int]) -> None:
    rule = Rule(default_pack().model_copy(update={"cycle": cycle}), STARTED)
    (pack,) = asked(rule, today=date(2019, 9, 20)).packs
    assert (pack.cycle, dict(pack.numbers)) == (sentence, numbers)


def test_r9_3_the_help_line_is_that_of_the_strictest_pack() -> None:
    assert asked(SHANXI, LANZHOU, today=date(2019, 9, 20)).help_line == "400-900-4889"
    assert asked(SHANXI, today=date(2019, 9, 20)).help_line == "12333"
    unknown = unknown_status(default_pack(), as_of=None)
    assert (unknown.state, unknown.help_line) == ("unknown", "12333")
    assert said_of(unknown, today=AS_OF) == (Line.STATUS_UNKNOWN, ())


def test_every_state_has_a_line() -> None:
    for state in CertificationState:
        found = MyStatusView(state=state.value, due=None, next_from=None, as_of=None)
        assert said_of(found, today=AS_OF)[0] == f"status_{state}"


class Played:
    def __init__(self, *events: DeskEvent) -> None:
        self.desk = Desk()
        self.commands: list[DeskCommand] = []
        self.feed(ServiceMoved(Service.FREE, line="welcome"), *events)

    def feed(self, *events: DeskEvent) -> list[DeskCommand]:
        self.commands = []
        for event in events:
            self.desk, commands = advance(self.desk, event)
            self.commands += commands
        return self.commands


def touch(kind: TouchKind, value: str = "") -> Touched:
    return Touched(Touch(kind, value))


FOUND = MyStatusFound(
    asked(LANZHOU, today=date(2019, 8, 1)), Line.STATUS_CERTIFIED, (Dated(UNTIL, date(2019, 12, 31)),)
)


def test_r9_4_one_touch_and_a_document_give_the_answer_and_begin_no_session() -> None:
    played = Played(touch(TouchKind.ASK))
    assert Say(Line.STATUS_ASK) in played.commands
    assert (played.desk.screen, view_of(played.desk).is_asking) == (Screen.NUMBER, True)
    assert AskMyStatus("a document") in played.feed(CodeRead("a document"))
    assert AskMyStatus("typed") in played.feed(touch(TouchKind.NUMBER, "typed"))
    played.feed(FOUND)
    assert not any(isinstance(command, BeginByCode) for command in played.commands)
    assert Say(Line.STATUS_CERTIFIED, FOUND.dates) in played.commands
    view = view_of(played.desk)
    assert (view.screen, view.my_status, view.is_asking) == (Screen.MY_STATUS, FOUND.status, False)
    assert view.to_json()["my_status"]["due"] == "2019-12-31"
    assert view.to_json()["my_status"]["packs"][0]["due"] == "2019-12-31"
    assert view.person is None


def test_what_tells_nobodys_standing_is_said_and_can_be_put_right() -> None:
    played = Played(touch(TouchKind.ASK), touch(TouchKind.NUMBER, "12"))
    assert Say(Line.CLAIM_UNREADABLE) in played.feed(MyStatusRefused(Line.CLAIM_UNREADABLE))
    assert (played.desk.screen, played.desk.problem, played.desk.is_asking) == (Screen.NUMBER, "claim_unreadable", True)


@pytest.mark.parametrize(
    "event",
    [touch(TouchKind.BACK), touch(TouchKind.CANCEL), DeskTimerExpired(DeskTimer.DONE)],
    ids=["back", "cancel", "time"],
)
def test_nothing_of_the_answer_stays(event: DeskEvent) -> None:
    played = Played(touch(TouchKind.ASK), FOUND)
    assert Forget() in played.feed(event)
    assert (played.desk.screen, played.desk.my_status) == (Screen.IDLE, None)


def test_the_answer_stays_longer_for_whoever_touches_something_and_can_be_heard_again() -> None:
    played = Played(touch(TouchKind.ASK), FOUND)
    assert StartDeskTimer(DeskTimer.DONE, MY_STATUS_S) in played.commands
    assert played.feed(touch(TouchKind.SPEED, "slow")) == [
        StartDeskTimer(DeskTimer.DONE, MY_STATUS_S),
        SetVoice("zh", is_slow=True),
    ]
    assert PressButton("repeat") in played.feed(touch(TouchKind.REPEAT))
    assert played.desk.my_status == FOUND.status


def test_from_the_answer_one_touch_leads_to_a_certification_and_a_document_begins_it() -> None:
    played = Played(touch(TouchKind.ASK), FOUND, touch(TouchKind.BEGIN))
    assert (played.desk.screen, played.desk.is_asking, played.desk.my_status) == (Screen.NUMBER, False, None)
    assert BeginByCode("a document") in played.feed(CodeRead("a document"))
    again = Played(touch(TouchKind.ASK), FOUND)
    assert BeginByCode("another") in again.feed(CodeRead("another"))


@pytest.mark.parametrize("event", [FOUND, MyStatusRefused(Line.NOT_READY)], ids=["found", "refused"])
def test_an_answer_that_nobody_asked_for_changes_nothing(event: DeskEvent) -> None:
    played = Played()
    before = played.desk
    assert played.feed(event) == []
    assert played.desk == before
