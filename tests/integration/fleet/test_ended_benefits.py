"""Benefits that their list has ended: nobody is asked for them, and they are paid in no list and no count."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from fleet.benefits.standing import status_of_person
from fleet.commands.benefits import print_standing, standing_facts
from fleet.status.projection import project
from fleet.store import benefits, duplicates, statistics
from fleet.store.subjects import Benefit, save_benefit

pytestmark = pytest.mark.integration
LAST_DAY = date(2026, 9, 30)


@pytest.fixture
def ended(office: Any) -> str:
    """Return one of two people, whose benefit ended some weeks ago; the other one's goes on."""
    office.import_people(2)
    office.list_since("2001-07-01")
    subject_id, _ = office.people
    with office.database.begin() as connection:
        connection.execute(
            text("UPDATE benefits SET ended = :day WHERE subject_id = :id"), {"day": LAST_DAY, "id": subject_id}
        )
        project(connection, list(office.people), zone=office.settings.zone(), today=office.now.date())
    return str(subject_id)


def test_an_ended_benefit_is_shown_as_ended_and_asks_for_nothing(
    office: Any, ended: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with office.database.begin() as connection:
        found = status_of_person(connection, ended, office.now.date())
    facts = standing_facts(found, {})
    assert [(line["state"], line["stopped_from"]) for line in facts["benefits"]] == [("ended", "2026-10")]
    assert {(reason["opens"], reason["due"], reason["stop_from"]) for reason in facts["reasons"]} == {
        (None, None, None)
    }
    print_standing(found, {})
    shown = capsys.readouterr().out
    assert "9999" not in shown
    assert "nothing is" in shown


def test_on_its_last_day_a_benefit_is_paid_still(office: Any, ended: str) -> None:
    with office.database.begin() as connection:
        (line,) = status_of_person(connection, ended, LAST_DAY).benefits
    assert (line.state, line.stopped_from) == ("paying", None)


def test_r8_11_an_ended_benefit_beside_another_one_is_no_second_benefit(office: Any, ended: str) -> None:
    with office.database.begin() as connection:
        save_benefit(connection, ended, Benefit("other", "east", "retired", date(2010, 1, 1)))
        assert list(duplicates.several_benefits(connection, LAST_DAY)) != []
        assert list(duplicates.several_benefits(connection, office.now.date())) == []


def test_no_stop_is_proposed_of_an_ended_benefit_even_before_it_is_worked_out_anew(office: Any, ended: str) -> None:
    today = office.now.date()
    with office.database.begin() as connection:
        connection.execute(text("UPDATE obligations SET stop_from = '2026-01-01'"))
        due = benefits.due_stops(connection, today=today, limit=10)
        assert ended in {one.subject_id for one in benefits.due_stops(connection, today=LAST_DAY, limit=10)}
    assert [one.subject_id for one in due] == [subject_id for subject_id in office.people if subject_id != ended]


def test_a_count_by_scheme_has_only_who_is_paid(office: Any, ended: str) -> None:
    with office.database.begin() as connection:
        rows = statistics.people_by(connection, "scheme", office.now.date(), statistics.Filter())
        before = statistics.people_by(connection, "scheme", LAST_DAY, statistics.Filter(scheme="pension"))
    assert sum(row.people for row in rows) == 1
    assert sum(row.people for row in before) == 2
