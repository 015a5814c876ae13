from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.rules.days import MonthDay, add_months, age_on, first_of_month, months_between

DAYS = st.dates(date(1990, 1, 1), date(2100, 1, 1))


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2023, 2, 28), 12, date(2024, 2, 28)),
        (date(2025, 12, 31), 2, date(2026, 2, 28)),
        (date(2019, 6, 15), 3, date(2019, 9, 15)),
        (date(2020, 1, 31), -1, date(2019, 12, 31)),
    ],
)
def test_months_end_where_the_shorter_month_ends(day: date, months: int, later: date) -> None:
    assert add_months(day, months) == later


@given(DAYS, st.integers(0, 40))
def test_months_are_calendar_months(day: date, months: int) -> None:
    later = add_months(day, months)
    assert months_between(day, later) == months
    assert later.day <= day.day


@given(DAYS, DAYS, st.integers(0, 40))
def test_adding_months_keeps_the_order_of_days(a: date, b: date, months: int) -> None:
    first, last = sorted((a, b))
    assert add_months(first, months) <= add_months(last, months)


@given(DAYS, st.integers(-20, 20))
def test_the_first_of_a_month_is_in_that_month(day: date, months: int) -> None:
    first = first_of_month(day, months)
    assert first.day == 1
    assert months_between(day, first) == months


@pytest.mark.parametrize(
    ("born", "day", "age"),
    [
        (date(1940, 3, 1), date(2020, 2, 29), 79),
        (date(1940, 3, 1), date(2020, 3, 1), 80),
        (date(1940, 2, 29), date(2021, 2, 28), 80),
        (date(1940, 2, 29), date(2021, 3, 1), 81),
        (date(1940, 2, 29), date(2020, 2, 29), 80),
    ],
)
def test_age_in_whole_years(born: date, day: date, age: int) -> None:
    assert age_on(born, day) == age


@pytest.mark.parametrize("text", ["2-29", "02-30", "13-01", "00-10", "02/29", "", "2020-02-29"])
def test_what_is_no_day_of_a_year_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"day"):
        MonthDay.parse(text)


def test_the_leap_day_of_a_year_without_one_is_the_28th() -> None:
    assert MonthDay.parse("02-29").in_year(2021) == date(2021, 2, 28)
    assert MonthDay.parse("02-29").in_year(2024) == date(2024, 2, 29)
