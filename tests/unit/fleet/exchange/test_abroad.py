"""Who is abroad and needs the form."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from fleet.exchange.abroad import Crossing, abroad_since, needs_form

DAY = date(2026, 3, 1)


def crossings(*said: tuple[int, bool]) -> list[Crossing]:
    return [Crossing(DAY + timedelta(days=day), is_exit) for day, is_exit in said]


def test_r8_6_who_left_and_did_not_come_back_is_abroad_since_then() -> None:
    assert abroad_since(crossings((0, True))) == DAY
    assert abroad_since(crossings((0, True), (5, False))) is None
    assert abroad_since(crossings((0, True), (5, False), (9, True))) == DAY + timedelta(days=9)


def test_r8_6_two_exits_with_an_entry_that_nobody_reported_are_since_the_first() -> None:
    assert abroad_since(crossings((0, True), (9, True))) == DAY


def test_r8_6_a_day_in_both_directions_changes_nothing() -> None:
    assert abroad_since(crossings((3, True), (3, False))) is None
    assert abroad_since(crossings((0, True), (3, True), (3, False))) == DAY


@given(st.permutations(crossings((0, True), (2, False), (2, True), (4, True), (6, False), (8, True))))
def test_r8_6_the_order_of_arrival_does_not_matter(order: list[Crossing]) -> None:
    assert abroad_since(order) == DAY + timedelta(days=8)


def test_r8_6_the_form_goes_out_in_time_for_both_ways() -> None:
    # R2-13: asked from 1 November 2020, the form back by 20 December 2020.
    assert needs_form(date(2020, 12, 20), 49, date(2020, 11, 1))
    assert not needs_form(date(2020, 12, 20), 49, date(2020, 10, 31))
