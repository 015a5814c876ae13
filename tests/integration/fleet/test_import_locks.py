"""Terminals go on delivering while a long list of people is taken in."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from fleet.intake.people_table import SubjectRow
from fleet.intake.subjects import store_rows
from fleet.store.subjects import Benefit
from protocol.documents import check_digit, parse_document

pytestmark = pytest.mark.integration


def row(serial: int, *, area: str = "east") -> SubjectRow:
    digits = f"9999991940{1 + serial // 900:02d}01{serial % 900:03d}"
    benefit = Benefit("pension", area, "retired", date(2001, 7, 1))
    return SubjectRow(serial + 2, parse_document(digits + check_digit(digits)), f"甲{serial}", area, benefit)


def take(office: Any, rows: list[SubjectRow], progress: Any = lambda _: None) -> Any:
    zone = office.settings.zone()
    with office.database.begin() as connection:
        return store_rows(connection, office.keys, rows, now=office.now, zone=zone, progress=progress)


def test_terminals_are_free_while_people_who_are_not_known_are_stored(office: Any, terminal: Any) -> None:
    known = take(office, [row(0), row(1)])
    held: list[int] = []

    def look(_: int) -> None:
        with office.database.begin() as connection:
            held.append(len(connection.execute(text("SELECT 1 FROM terminals FOR UPDATE NOWAIT")).all()))

    rows = [row(0, area="west"), *(row(serial) for serial in range(1, 1100))]
    done = take(office, rows, look)
    assert (done.new, done.changed, done.unchanged) == (1098, 1, 1)
    assert held == [1, 1, 1]
    assert done.subject_ids[:2] == known.subject_ids
    assert office.rows("SELECT count(*) AS n FROM statuses")[0].n == 1100


def test_a_list_that_says_nothing_new_locks_nothing(office: Any, terminal: Any) -> None:
    take(office, [row(0), row(1)])
    with office.database.begin() as connection:
        connection.execute(text("SELECT 1 FROM terminals FOR UPDATE")).all()
        assert take(office, [row(0), row(1)]).unchanged == 2
