"""Whose somebody is: theirs who live there and theirs who pay them, on every page alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from fleet.clock import day_of
from fleet.status.projection import project
from fleet.store.acts import NewAct, add_acts
from fleet.store.areas import Area, save_areas
from fleet.store.subjects import Benefit, save_benefit
from protocol.outcomes import Outcome
from protocol.rules.acts import ActKind, Channel

pytestmark = pytest.mark.integration
CASE = re.compile(r'href="(/cases/[0-9a-f]{32})"')


@pytest.fixture
def shared(office: Any) -> str:
    """Somebody who lives in the west and is paid in the east as well."""
    with office.database.begin() as connection:
        save_areas(connection, [Area(code, None, 1, code) for code in ("east", "west", "north")])
    office.import_people(1, area="west")
    subject_id = next(iter(office.people))
    zone = office.settings.zone()
    with office.database.begin() as connection:
        save_benefit(connection, subject_id, Benefit("injury", "east", "injured", date(2001, 7, 1)))
        project(connection, [subject_id], zone=zone, today=day_of(office.now, zone))
    return str(subject_id)


def test_cases_are_counted_listed_and_opened_by_the_same_rule(
    office: Any, terminal: Any, shared: str, sign_in: Callable[..., Any]
) -> None:
    at = office.now - timedelta(days=2)
    token = office.people[shared]
    office.send(terminal, terminal.next(outcome=Outcome.REVIEW, subject_id=shared, token=token, at=at))
    unknown = terminal.next(outcome=Outcome.REVIEW, subject_id=None, token="x" * 43, at=at + timedelta(hours=1))
    office.send(terminal, unknown)
    # The terminal stands in the east.
    for area, count in (("east", 2), ("west", 1), ("north", 0)):
        client = sign_in("reviewer", area=area)
        assert re.findall(r'<a href="/cases">(\d+)</a>', client.get("/").text) == [str(count)]
        listed = set(CASE.findall(client.get("/cases").text))
        assert len(listed) == count
        on_page = set(CASE.findall(client.get(f"/people/{shared}").text))
        assert len(on_page) == min(count, 1)
        assert on_page <= listed
        assert {client.get(path).status_code for path in listed} <= {200}


def test_whom_data_certified_is_shown_to_who_pays_them(office: Any, shared: str, sign_in: Callable[..., Any]) -> None:
    act = NewAct(shared, ActKind.SILENT, Channel.DATA, datetime(2026, 11, 2, 4, tzinfo=UTC), "feed:travel", "t/1")
    with office.database.begin() as connection:
        add_acts(connection, [act], now=office.now)
    for area, is_shown in (("east", True), ("west", True), ("north", False)):
        page = sign_in("reviewer", area=area).get("/exchange/silent").text
        assert (f"/people/{shared}" in page) is is_shown
