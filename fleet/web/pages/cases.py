"""The queue of cases: by kind, state, clock and area; what is the visitor's to do; and alarms by terminal and day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.cases.alarms import alarms_of
from fleet.cases.machine import Kind, State
from fleet.cases.queue import Line, is_anything, is_begun, is_mine, lines_of, next_for
from fleet.store.areas import area_names
from fleet.store.case_numbers import find_by_number
from fleet.store.case_queue import COUNTED, Asked, count_of, counts_by_day
from fleet.web.lists import LONGEST, listing, place_in
from fleet.web.narrowing import narrowed
from fleet.web.pages.cases_words import is_within
from fleet.web.visits import Visit, needs

router = APIRouter(include_in_schema=False)
_LOOK = Permission.CASES
_DUTIES: dict[str, Callable[[Line], bool]] = {"": is_anything, "mine": is_mine, "begun": is_begun}
_CLOCKS = ("late", "today", "soon", "week", "over")
_SOON = timedelta(days=3)
"""As the overview counts; see `fleet.store.overview.Waiting`."""
_WEEK = timedelta(days=7)
_ALARM_DAYS = 30


@router.get("/cases")
def queue(
    visit: Annotated[Visit, needs(_LOOK)],
    kind: str = "",
    state: str = "",
    clock: str = "",
    area: str = "",
    duty: str = "",
    number: str = "",
    after: str = "",
    before: str = "",
) -> Response:
    """Show cases, those that are due first; what is over has a list of its own, the latest first. A number leads to its case."""
    with visit.begin() as connection:
        case_id = find_by_number(connection, number) if number else None
        if case_id is not None and is_within(visit, connection, case_id, _LOOK):
            return RedirectResponse(f"/cases/{case_id}", 303)
        mine = visit.codes(connection, _LOOK)
        asked = _asked(visit, connection, kind, state, clock, area)
        takes = _DUTIES.get(duty, is_anything)
        shown = listing(
            "/cases",
            {"kind": kind, "state": state, "clock": clock, "area": area, "duty": duty},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: lines_of(
                connection,
                visit.cipher,
                asked,
                visit.visitor.name,
                takes,
                behind=place_in(behind),
                ahead=place_in(ahead),
                limit=limit,
            ),
            key=lambda line: f"{line.row.due_on}|{line.row.case_id}",
        )
        counts = _counts(visit, connection, mine)
        areas = area_names(connection, {line.row.area for line in shown.rows if line.row.area})
        named = [line.row.subject_id for line in shown.rows if line.row.name_sealed is not None]
        visit.note(
            connection, "cases.listed", "case", "queue", about=[who for who in named if who], cases=len(shown.rows)
        )
    return visit.page(
        "cases/queue.html",
        shown=shown,
        areas=areas,
        number=number[:LONGEST],
        counts=counts,
        counted=COUNTED,
        kinds=[each.value for each in Kind],
        states=[each.value for each in State],
        clocks=_CLOCKS,
        duties=[each for each in _DUTIES if each],
    )


@router.get("/cases/next")
def next_case(visit: Annotated[Visit, needs(Permission.CASES_REVIEW)], after: str = "") -> RedirectResponse:
    """Lead to the case that the visitor decides next: the first behind the one they come from, else the first of all."""
    with visit.begin() as connection:
        asked = Asked(visit.codes(connection, Permission.CASES_REVIEW))
        found = next_for(connection, visit.cipher, asked, visit.visitor.name, behind=place_in(after))
    return RedirectResponse(f"/cases/{found}", 303) if found else visit.done("/cases", "cases_none_left")


@router.get("/cases/alarms")
def alarms(visit: Annotated[Visit, needs(_LOOK)], days: str = "") -> HTMLResponse:
    """Count attack alarms by terminal and day, the newest day first."""
    so_many = int(days) if days.isdecimal() and 0 < len(days) < 5 and 1 <= int(days) <= 3650 else _ALARM_DAYS
    with visit.begin() as connection:
        found = alarms_of(
            connection, since=visit.now - timedelta(days=so_many), areas=visit.codes(connection, _LOOK), zone=visit.zone
        )
    return visit.page("cases/alarms.html", found=found, days=so_many)


def _asked(visit: Visit, connection: Connection, kind: str, state: str, clock: str, area: str) -> Asked:
    mine = visit.codes(connection, _LOOK)
    areas = narrowed(connection, area, mine)
    asked = Asked(
        areas,
        is_over=clock == "over" or state in ("passed", "refused", "closed"),
        kinds=(kind,) if kind in list(Kind) else (),
        states=(state,) if state in list(State) else (),
    )
    return _by_clock(asked, clock, visit.today)


def _by_clock(asked: Asked, clock: str, today: date) -> Asked:
    if clock == "late":
        return replace(asked, due_until=today - timedelta(days=1))
    if clock == "today":
        return replace(asked, due_from=today, due_until=today)
    if clock == "soon":
        return replace(asked, due_from=today, due_until=today + _SOON)
    if clock == "week":
        # What is late or due today is counted there, and nowhere twice.
        return replace(asked, due_from=today + timedelta(days=1), due_until=today + _WEEK)
    return asked


def _counts(visit: Visit, connection: Connection, mine: Sequence[str] | None) -> dict[str, int]:
    """Return how many wait, by the clock, with no more than so many counted each."""
    if mine is not None:
        found = counts_by_day(connection, mine, visit.today, visit.today + _WEEK)
        return {"late": found.late, "today": found.today, "week": found.week, "": found.every}
    return {
        clock: count_of(connection, _by_clock(Asked(None), clock, visit.today))
        for clock in ("late", "today", "week", "")
    }
