from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.rules.certification import CertificationState, add_months, certification_state, certified_until
from protocol.rules.pack import ROLLING_12_MONTHS

DAYS = st.dates(date(2000, 1, 1), date(2100, 1, 1))


@pytest.mark.parametrize(
    ("passed", "until"),
    [
        (date(2025, 11, 22), date(2026, 11, 22)),
        (date(2024, 2, 29), date(2025, 2, 28)),
        (date(2023, 2, 28), date(2024, 2, 28)),
        (date(2025, 12, 31), date(2026, 12, 31)),
    ],
)
def test_r2_5_a_pass_certifies_for_twelve_months(passed: date, until: date) -> None:
    assert certified_until(passed, ROLLING_12_MONTHS) == until
    assert certification_state(passed, until, ROLLING_12_MONTHS) is CertificationState.CERTIFIED
    assert certification_state(passed, until + timedelta(days=1), ROLLING_12_MONTHS) is CertificationState.OVERDUE


def test_subject_without_a_pass_was_never_certified() -> None:
    assert certification_state(None, date(2026, 1, 1), ROLLING_12_MONTHS) is CertificationState.NEVER_CERTIFIED


@given(DAYS, DAYS)
def test_a_later_pass_never_certifies_for_less(a: date, b: date) -> None:
    first, last = sorted((a, b))
    assert certified_until(first, ROLLING_12_MONTHS) <= certified_until(last, ROLLING_12_MONTHS)


@given(DAYS, st.integers(0, 40))
def test_months_are_calendar_months(day: date, months: int) -> None:
    later = add_months(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day <= day.day
