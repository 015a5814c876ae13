"""Visits at home: which are asked for, who goes when, the sheet of a day to print, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.cases import history
from fleet.cases.catalogue import catalogue, texts
from fleet.cases.machine import Case, Kind, Step
from fleet.cases.visits import VisitRequest, not_met, plan, plan_all, request_visit, visits_of
from fleet.errors import FleetError, NotFound
from fleet.store.areas import area_names, codes_below
from fleet.store.case_queue import Asked, QueueRow, page_of
from fleet.store.operators import operators_in_service
from fleet.web.forms import day_in
from fleet.web.lists import listing, place_in
from fleet.web.pages.cases_case import case_page
from fleet.web.pages.cases_words import demand_within, office_of, person_within, refusals
from fleet.web.saying import said
from fleet.web.visits import Visit, needs, not_found, sends

router = APIRouter(include_in_schema=False)
OPEN = Permission.CASES_OPEN
_PLANNED = {"": None, "no": False, "yes": True}
_MOST_WORKERS = 500
BY_HAND = tuple(reason for reason in catalogue().visit_reasons if reason != "round")


@dataclass(frozen=True, slots=True)
class Row:
    """One visit of the list."""

    row: QueueRow
    case: Case
    name: str
    tries: int
    """How often somebody went and met nobody."""


@router.get("/cases/visits")
def board(
    visit: Annotated[Visit, needs(OPEN)], area: str = "", planned: str = "", after: str = "", before: str = ""
) -> HTMLResponse:
    """Show the visits that were not made yet, in the visitor's areas, those that are due first."""
    return _board(visit, area=area, planned=planned, after=after, before=before)


@router.post("/cases/visits")
def sheet(visit: Annotated[Visit, sends(OPEN)]) -> HTMLResponse:
    """Show the sheet of whoever goes on a day, of the visitor's areas; who has it is written down."""
    worker, day = visit.sent.text("worker"), day_in(visit.sent.text("day"))
    if not worker or day is None:
        return _board(visit, problems=[_refused(visit, "worker_and_day")], status=422)
    with visit.begin() as connection:
        codes = visit.codes(connection, OPEN)
        found = visits_of(
            connection, office_of(visit), worker=worker, day=day, areas=codes, by=visit.visitor.name, now=visit.now
        )
    words = texts(visit.language)
    return visit.page(
        "visits/sheet.html",
        group="cases",
        found=found,
        day=day,
        worker=worker,
        words=words["visits"],
        reasons=words["opened_for"],
    )


@router.post("/cases/visits/plan")
def plan_chosen(visit: Annotated[Visit, sends(OPEN)]) -> Response:
    """Say for all chosen visits who goes on which day: all of them or none."""
    chosen = visit.sent.lists.get("case", ())
    worker, day = visit.sent.text("worker"), day_in(visit.sent.text("day"))
    code = "none_chosen" if not chosen else "worker_and_day" if not worker or day is None else ""
    if code or day is None:
        return _board(visit, problems=[_refused(visit, code)], status=422)
    with visit.begin() as connection:
        for case_id in chosen:
            demand_within(visit, connection, case_id, OPEN)
    try:
        plan_all(
            visit.console.database,
            office_of(visit),
            chosen,
            day=day,
            worker=worker,
            by=visit.visitor.name,
            now=visit.now,
        )
    except FleetError as error:
        status = 409 if error.code in ("no_visit", "over") else 422
        return _board(visit, problems=[said(visit.texts["visits"], error)], status=status)
    return visit.done("/cases/visits", "visits_planned")


@router.get("/cases/visits/new")
def new(visit: Annotated[Visit, needs(OPEN)], person: str = "") -> HTMLResponse:
    """Show the form by which a visit is asked for; a person is named in the address by their opaque id only."""
    return _form(visit, who=person[:64])


@router.post("/cases/visits/new")
def ask(visit: Annotated[Visit, sends(OPEN)]) -> Response:
    """Ask for a visit to somebody who cannot come (R4-14, R6-7)."""
    sent = visit.sent
    try:
        with visit.begin() as connection:
            subject_id = person_within(visit, connection, sent.text("who"), OPEN)
            asked = VisitRequest(subject_id, sent.text("reason"), sent.text("place"))
            case_id = request_visit(connection, office_of(visit), asked, by=visit.visitor.name, now=visit.now)
    except NotFound:
        # The same words for a number that nobody has and for somebody elsewhere.
        return _form(visit, who=sent.text("who"), problems=[_refused(visit, "nobody")], status=422)
    except FleetError as error:
        status = 409 if error.code == "asked_already" else 422
        return _form(visit, who=sent.text("who"), problems=[said(visit.texts["visits"], error)], status=status)
    return visit.done(f"/cases/{case_id}", "visit_asked")


@router.post("/cases/visits/{case_id}/not-met")
def nobody_met(visit: Annotated[Visit, sends(OPEN)], case_id: str) -> Response:
    """Write down that somebody went and met nobody; the visit waits for another day."""
    with visit.begin() as connection:
        demand_within(visit, connection, case_id, OPEN)
    day = day_in(visit.sent.text("planned_on"))
    if day is None:
        return _board(visit, problems=[_refused(visit, "not_planned")], status=422)
    try:
        not_met(
            visit.console.database,
            office_of(visit),
            case_id,
            day=day,
            note=visit.sent.text("note"),
            by=visit.visitor.name,
            now=visit.now,
        )
    except FleetError as error:
        status = 422 if error.code in ("note_length", "day_ahead") else 409
        return _board(visit, problems=[said(visit.texts["visits"], error)], status=status)
    return visit.done("/cases/visits", "visit_not_met")


@router.post("/cases/{case_id}/plan")
def plan_it(visit: Annotated[Visit, sends(OPEN)], case_id: str) -> Response:
    """Say on which day who goes; another plan replaces it."""
    with visit.begin() as connection:
        demand_within(visit, connection, case_id, OPEN)
    worker, day = visit.sent.text("worker"), day_in(visit.sent.text("day"))
    if not worker or day is None:
        return case_page(visit, case_id, problems=[_refused(visit, "worker_and_day")], status=422)
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
    except FleetError as error:
        return case_page(visit, case_id, problems=refusals(visit, error), status=422)
    return visit.done(f"/cases/{case_id}", "visit_planned")


def areas_asked(visit: Visit, connection: Connection, area: str) -> list[str] | None:
    """Return the codes of an area of the visitor's with those below it; of all of theirs without one.

    Raises:
        HTTPException: not found, if the area is none of theirs.
    """
    mine = visit.codes(connection, OPEN)
    if not area:
        return mine
    if mine is not None and area not in mine:
        raise not_found()
    return codes_below(connection, area) or [area]


def _board(
    visit: Visit,
    *,
    area: str = "",
    planned: str = "",
    after: str = "",
    before: str = "",
    problems: Sequence[str] = (),
    status: int = 200,
) -> HTMLResponse:
    with visit.begin() as connection:
        asked = Asked(
            areas_asked(visit, connection, area), kinds=(Kind.HOME_VISIT.value,), is_planned=_PLANNED.get(planned)
        )
        shown = listing(
            "/cases/visits",
            {"area": area, "planned": planned},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: page_of(
                connection, asked, behind=place_in(behind), ahead=place_in(ahead), limit=limit
            ),
            key=lambda row: f"{row.due_on}|{row.case_id}",
        )
        rows = [_row(visit, row) for row in shown.rows]
        names = area_names(connection, {row.area for row in shown.rows if row.area})
        mine = visit.codes(connection, OPEN)
        workers = [
            each.operator_id
            for each in operators_in_service(connection, today=visit.today)
            if mine is None or each.area in mine
        ]
        visit.note(connection, "visits.looked_at", "case", "visits", visits=len(rows))
    contents: dict[str, Any] = {
        "shown": shown,
        "rows": rows,
        "areas": names,
        "area": area,
        "planned": planned,
        "states": [each for each in _PLANNED if each],
        "workers": workers[:_MOST_WORKERS],
        "chosen": visit.sent.lists.get("case", ()),
        "problems": problems,
        "reasons": texts(visit.language)["opened_for"],
    }
    return visit.page("visits/board.html", status=status, group="cases", **contents)


def _row(visit: Visit, row: QueueRow) -> Row:
    case = history.of_events(row.case_id, row.events)
    tries = sum(event.step == Step.NOT_MET for event in row.events)
    name = "" if row.subject_id is None else visit.opened(row.name_sealed, of=row.subject_id)
    return Row(row, case, name, tries)


def _form(visit: Visit, *, who: str, problems: Sequence[str] = (), status: int = 200) -> HTMLResponse:
    words = texts(visit.language)["opened_for"]
    return visit.page(
        "visits/new.html",
        status=status,
        group="cases",
        who=who,
        problems=problems,
        reasons=[(reason, words[reason]) for reason in BY_HAND],
    )


def _refused(visit: Visit, code: str) -> str:
    return str(visit.texts["visits"]["refused"][code])
