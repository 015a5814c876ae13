"""Visits at home: planned on the page of their case, and listed for who makes them on a sheet to print."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from fleet.accounts.roles import Permission
from fleet.cases.catalogue import texts
from fleet.cases.visits import plan, visits_of
from fleet.errors import FleetError, NotFound
from fleet.web.pages.cases_case import case_page
from fleet.web.pages.cases_words import demand_within, office_of, refusals
from fleet.web.visits import Visit, needs, sends

router = APIRouter(include_in_schema=False)
_OPEN = Permission.CASES_OPEN


@router.get("/cases/visits")
def ask(visit: Annotated[Visit, needs(_OPEN)]) -> HTMLResponse:
    """Ask whose list of which day."""
    return _page(visit)


@router.post("/cases/visits")
def sheet(visit: Annotated[Visit, sends(_OPEN)]) -> HTMLResponse:
    """Show the list, of the visitor's areas; who has it is written down."""
    worker, day = visit.sent.text("worker"), _day(visit.sent.text("day"))
    if not worker or day is None:
        return _page(visit, problems=[str(visit.texts["cases"]["refused"]["worker_and_day"])], status=422)
    with visit.begin() as connection:
        codes = visit.codes(connection, _OPEN)
        found = visits_of(
            connection, office_of(visit), worker=worker, day=day, areas=codes, by=visit.visitor.name, now=visit.now
        )
    return _page(visit, found=found, day=day)


@router.post("/cases/{case_id}/plan")
def plan_it(visit: Annotated[Visit, sends(_OPEN)], case_id: str) -> Response:
    """Say on which day who goes; another plan replaces it."""
    with visit.begin() as connection:
        demand_within(visit, connection, case_id, _OPEN)
    worker, day = visit.sent.text("worker"), _day(visit.sent.text("day"))
    refused = visit.texts["cases"]["refused"]
    if not worker or day is None:
        return case_page(visit, case_id, problems=[str(refused["worker_and_day"])], status=422)
    try:
        plan(
            visit.console.database,
            office_of(visit),
            case_id,
            day=day,
            worker=worker,
            by=visit.visitor.name,
            now=visit.now,
        )
    except NotFound:
        return case_page(visit, case_id, problems=[str(refused["no_worker"])], status=422)
    except FleetError as error:
        return case_page(visit, case_id, problems=refusals(visit, error), status=422)
    return visit.done(f"/cases/{case_id}", "visit_planned")


def _page(
    visit: Visit,
    *,
    found: Sequence[Any] | None = None,
    day: date | None = None,
    problems: Sequence[str] = (),
    status: int = 200,
) -> HTMLResponse:
    said = texts(visit.language)
    return visit.page(
        "cases/visits.html",
        status=status,
        found=found,
        day=day or visit.today,
        problems=problems,
        words=said["visits"],
        reasons=said["opened_for"],
    )


def _day(written: str) -> date | None:
    try:
        return date.fromisoformat(written)
    except ValueError:
        return None
