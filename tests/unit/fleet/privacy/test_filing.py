"""The filing duty and working days, with the authority's own dates."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from fleet.errors import SettingsInvalid
from fleet.privacy.filing import filing
from fleet.privacy.working_days import Calendar, load_calendar
from fleet.store.consents import Mark

REACHED = date(2025, 6, 1)
HOLIDAYS = Calendar(holidays=frozenset({date(2025, 6, 2)}))
"""Dragon Boat Festival, a Monday off."""


def test_feature_112_who_had_reached_the_number_on_the_first_day_filed_by_14_july_2025() -> None:
    """As the Cyberspace Administration announced it on 2025-05-28."""
    assert HOLIDAYS.after(REACHED, 30) == date(2025, 7, 14)
    assert Calendar().after(REACHED, 30) == date(2025, 7, 11)


def test_a_weekend_that_is_worked_counts_and_the_first_day_does_not() -> None:
    friday = date(2026, 2, 13)
    assert Calendar().after(friday, 1) == date(2026, 2, 16)
    assert Calendar(worked=frozenset({date(2026, 2, 14)})).after(friday, 1) == date(2026, 2, 14)
    with pytest.raises(ValueError, match="1 or more"):
        Calendar().after(friday, 0)


@pytest.mark.parametrize(
    ("marks", "today", "state"),
    [
        ([], date(2025, 6, 2), "below"),
        ([Mark(80, date(2025, 3, 1), 80_000, None)], date(2025, 6, 2), "near"),
        ([Mark(100, REACHED, 100_000, None)], date(2025, 7, 14), "due"),
        ([Mark(100, REACHED, 100_000, None)], date(2025, 7, 15), "overdue"),
        ([Mark(100, REACHED, 100_000, date(2025, 7, 1))], date(2025, 8, 1), "filed"),
    ],
)
def test_feature_112_the_duty_begins_with_the_number_and_ends_with_the_filing(
    marks: list[Mark], today: date, state: str
) -> None:
    # The duty stays when the number falls again.
    found = filing(99_000, marks, HOLIDAYS, today=today)
    assert (found.state, found.persons) == (state, 99_000)
    assert found.deadline == (date(2025, 7, 14) if any(mark.percent == 100 for mark in marks) else None)


def test_a_deadline_without_its_holidays_says_so() -> None:
    marks = [Mark(100, REACHED, 100_000, None)]
    assert filing(100_000, marks, HOLIDAYS, today=REACHED).is_calendar_known
    assert not filing(100_000, marks, Calendar(), today=REACHED).is_calendar_known


def test_a_calendar_is_a_file_that_the_agency_keeps(tmp_path: Path) -> None:
    file = tmp_path / "calendar.toml"
    file.write_text("holidays = [2026-02-17, 2026-02-18]\nworked = [2026-02-14]\n")
    found = load_calendar(file)
    assert found.knows(2026)
    assert not found.knows(2027)
    assert not found.is_worked(date(2026, 2, 17))
    assert load_calendar(None).is_worked(date(2026, 2, 17))
    for body, match in (("holidays = 3", "holidays"), ("nonsense", "not TOML"), ("other = []", "other")):
        file.write_text(body)
        with pytest.raises(SettingsInvalid, match=match):
            load_calendar(file)
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        load_calendar(tmp_path / "none.toml")
