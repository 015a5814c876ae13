"""Rows that cannot be so."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from fleet.exchange.checking import Checked, Given, check_rows, folded_name
from fleet.exchange.definitions import catalogue
from fleet.exchange.messages import DeliveredRow
from protocol.documents import check_digit
from protocol.rules.life import LifeEventKind

PERIOD, TODAY = date(2026, 10, 1), date(2026, 11, 20)


def number(serial: int = 1, born: str = "19400101") -> str:
    digits = f"999999{born}{serial:03d}"
    return digits + check_digit(digits)


def check(feed: str, *rows: dict[str, str]) -> Checked:
    given_rows = [
        Given(f"line {line}", DeliveredRow(**{"document_number": number(), "since": "2026-10-03", **row}))
        for line, row in enumerate(rows, 2)
    ]
    return check_rows(catalogue().feeds[feed], given_rows, period=PERIOD, today=TODAY)


def problems(feed: str, *rows: dict[str, str]) -> list[str]:
    found = check(feed, *rows)
    assert found.problems == [] or not any(number() in problem for problem in found.problems)
    return found.problems


def test_a_row_without_fault_is_taken() -> None:
    found = check("deaths", {"name": " 张  三 ", "row_id": "7", "reported_on": "2026/10/5"})
    assert found.problems == []
    (row,) = found.rows
    assert (row.kind, row.since, row.until, row.name) == (LifeEventKind.DEATH, date(2026, 10, 3), None, "张 三")
    assert (row.reported_on, row.makes_event, row.code) == (date(2026, 10, 5), True, "")


def test_r8_7_a_death_in_the_future_is_refused() -> None:
    assert problems("deaths", {"since": "2026-11-21"}) == ["line 2: since: in the future"]


def test_what_is_after_the_end_of_its_period_is_refused() -> None:
    assert problems("deaths", {"since": "2026-11-01"}) == [
        "line 2: since: after the end of the period that this delivery is for"
    ]
    assert problems("deaths", {"since": "2026-10-31"}) == []
    assert problems("deaths", {"since": "2026-02-03"}) == [], "late reports are for the month in which they come"


def test_r8_9_a_release_before_the_sentence_is_refused() -> None:
    said = ({"kind": "sentence", "since": "2026-10-20"}, {"kind": "刑满释放", "since": "2026-10-19"})
    assert problems("network_monitoring", *said) == ["line 3: release before the sentence in line 2"]
    assert problems("network_monitoring", *reversed(said)) == ["line 2: release before the sentence in line 3"]
    earlier = {"kind": "sentence", "since": "2020-01-01"}
    assert problems("network_monitoring", *said, earlier) == []


def test_an_end_before_its_start_is_refused() -> None:
    assert problems("sentences", {"until": "2026-10-02"}) == ["line 2: until: before since"]
    assert problems("sentences", {"until": "2036-10-02"}) == [], "a planned end lies in the future"
    assert problems("hospital_stays", {"until": "2026-10-09"}) == []
    assert problems("deaths", {"until": "2026-10-09"}) == ["line 2: until: a death has one day only"]


def test_a_birth_after_the_death_is_refused() -> None:
    young = number(born="20200102")
    assert problems("deaths", {"document_number": young, "since": "2020-01-01"}) == [
        "line 2: since: before the birth that the document number tells"
    ]


def test_r8_7_two_days_of_death_of_one_person_in_one_file_are_refused() -> None:
    assert problems("deaths", {}, {"since": "2026-10-04"}) == ["line 3: same person as line 2, another day of death"]


def test_r8_7_a_cremation_before_the_death_is_refused() -> None:
    assert problems("village_deaths", {"kind": "死亡"}, {"kind": "土葬", "since": "2026-10-02"}) == [
        "line 3: burial before the death in line 2"
    ]


def test_two_names_of_one_number_in_one_file_are_refused() -> None:
    assert problems("travel", {"name": "张三"}, {"name": "张 三", "since": "2026-10-04"}) == []
    assert problems("travel", {"name": "张三"}, {"name": "李四", "since": "2026-10-04"}) == [
        "line 3: same document number as line 2, other name"
    ]


def test_rows_that_say_the_same_are_one() -> None:
    found = check("deaths", {"row_id": "a"}, {"row_id": "a"}, {"row_id": "b"})
    assert (len(found.rows), found.repeated, found.problems) == (2, 1, [])


def test_one_row_id_for_two_things_is_refused() -> None:
    assert problems("travel", {"row_id": "a"}, {"row_id": "a", "since": "2026-10-04"}) == [
        "line 3: same row id as line 2, and says something else"
    ]


def test_every_fault_of_every_row_is_in_one_report() -> None:
    found = problems(
        "deaths",
        {"document_number": "123", "since": "soon"},
        {"document_kind": "library card"},
        {"kind": "travel"},
        {"reported_on": "2026-10-01"},
        {"name": "张\u202e三"},
        {"code": "x"},
        {"since": "1900-01-01", "document_number": number(born="18990101")},
    )
    assert [problem.split(":")[0] for problem in found] == [f"line {n}" for n in (2, 2, 3, 4, 5, 6, 7, 8)]
    assert "document_kind: no kind of document that is known" in found[2]
    assert found[3].endswith("kind: death expected")


def test_swapped_columns_are_said_once() -> None:
    rows = [{"document_number": "2026-10-03", "since": number(serial)} for serial in range(1, 4)]
    assert problems("deaths", *rows) == [
        "line 2: the columns document_number and since are swapped: give each its own heading"
    ]
    named = [{"document_number": "张三", "name": number(serial)} for serial in range(1, 4)]
    assert problems("deaths", *named) == [
        "line 2: the columns document_number and name are swapped: give each its own heading"
    ]


def test_a_date_where_a_number_belongs_is_a_hint_at_swapped_columns() -> None:
    assert problems("deaths", {"document_number": "2026-10-03"}, {}, {"document_number": number(2)}) == [
        "line 2: document_number: a date; are the columns swapped?"
    ]


def test_r8_6_a_border_crossing_has_a_direction() -> None:
    assert problems("exit_entry", {"code": "出境"}, {"code": "entry", "since": "2026-10-09"}) == []
    assert problems("exit_entry", {}) == ["line 2: direction: exit or entry expected"]


def test_r8_15_who_is_in_the_register_has_no_event() -> None:
    found = check("household_register", {"code": "在册"}, {"code": "迁出", "document_number": number(2)})
    assert [(row.code, row.makes_event) for row in found.rows] == [("registered", False), ("moved_out", True)]


def test_a_name_is_the_same_in_every_way_of_writing_it() -> None:
    assert folded_name("买买提·艾力") == folded_name("买买提•艾力") == folded_name(" 买买提 艾力")
    assert folded_name("ＬＩ Na") == folded_name("li na")
    assert folded_name("张三") != folded_name("张四")


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=20))
def test_any_text_is_a_row_or_a_problem(first: str, second: str, third: str) -> None:
    row = DeliveredRow(document_number=first or "0", since=second, name=third, kind=third)
    found = check_rows(catalogue().feeds["deaths"], [Given("line 2", row)], period=PERIOD, today=TODAY)
    assert bool(found.rows) != bool(found.problems)
