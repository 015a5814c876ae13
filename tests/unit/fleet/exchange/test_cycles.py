"""Months that are wanted, and those that did not come."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import Refused
from fleet.exchange.cycles import due_on, month_text, parse_month, standing_on
from protocol.rules.days import add_months

FIRST = date(2026, 9, 1)


def test_r8_7_a_month_of_deaths_is_wanted_by_a_day_of_the_next_month() -> None:
    before = standing_on(FIRST, [], 10, date(2026, 10, 10))
    assert (before.missing, before.due) == ((), date(2026, 10, 10))
    after = standing_on(FIRST, [], 10, date(2026, 10, 11))
    assert (after.missing, after.due) == ((FIRST,), date(2026, 10, 10))


def test_r8_9_a_hole_between_months_is_missing() -> None:
    found = standing_on(FIRST, [FIRST, date(2026, 11, 1)], 10, date(2026, 12, 20))
    assert found.missing == (date(2026, 10, 1),)
    assert found.last == date(2026, 11, 1)


def test_what_comes_early_moves_the_next_one() -> None:
    found = standing_on(FIRST, [FIRST], 28, date(2026, 9, 30))
    assert (found.missing, found.due) == ((), date(2026, 11, 28))


def test_of_a_feed_that_ended_no_later_month_is_wanted() -> None:
    found = standing_on(FIRST, [FIRST], 10, date(2028, 1, 1), last=date(2026, 10, 1))
    assert (found.missing, found.due) == ((date(2026, 10, 1),), date(2026, 11, 10))
    assert standing_on(FIRST, [FIRST], 10, date(2028, 1, 1), last=FIRST).due is None


@given(st.sets(st.integers(0, 40)), st.integers(1, 28), st.dates(FIRST, date(2029, 1, 1)))
def test_every_month_is_delivered_missing_or_not_due_yet(months: set[int], due_day: int, today: date) -> None:
    delivered = {add_months(FIRST, n) for n in months}
    found = standing_on(FIRST, delivered, due_day, today)
    for n in range(41):
        month = add_months(FIRST, n)
        assert (month in found.missing) == (month not in delivered and due_on(month, due_day) < today)


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "202610", "0000-01", "x"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="2026-10"):
        parse_month(text)
    assert month_text(parse_month("2026-10")) == "2026-10"
