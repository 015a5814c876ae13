"""The file of special persons, who are visited at home as a rule (R6-9), and a round of visits to those who are to certify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from fleet.cases.catalogue import texts
from fleet.cases.visits import VisitRequest, mark, request_round, unmark
from fleet.errors import FleetError, NotFound
from fleet.store.areas import area_names
from fleet.store.special_persons import special_page
from fleet.web.forms import day_in
from fleet.web.lists import listing, place_in
from fleet.web.pages.cases_visits import BY_HAND, OPEN, areas_asked
from fleet.web.pages.cases_words import office_of, person_within
from fleet.web.saying import said
from fleet.web.visits import Visit, needs, not_found, sends

router = APIRouter(include_in_schema=False)
MOST_AT_ONCE = 200
"""Visits that one press asks for: within the time that a page may take; the next press goes on."""


@router.get("/cases/visits/special")
def file(visit: Annotated[Visit, needs(OPEN)], area: str = "", after: str = "", before: str = "") -> HTMLResponse:
    """Show the file, in the visitor's areas, those who are to be looked at again first."""
    return _page(visit, area=area, after=after, before=before)


@router.post("/cases/visits/special")
def put_in(visit: Annotated[Visit, sends(OPEN)]) -> Response:
    """Put somebody into the file; who is in it already gets the new entry."""
    sent, day = visit.sent, day_in(visit.sent.text("review_on"))
    if day is None:
        return _page(visit, problems=[_refused(visit, "review_not_ahead")], status=422)
    try:
        with visit.begin() as connection:
            subject_id = person_within(visit, connection, sent.text("who"), OPEN)
            asked = VisitRequest(subject_id, sent.text("reason"), sent.text("place"))
            mark(connection, office_of(visit), asked, review_on=day, by=visit.visitor.name, now=visit.now)
    except NotFound:
        # The same words for a number that nobody has and for somebody elsewhere.
        return _page(visit, problems=[_refused(visit, "nobody")], status=422)
    except FleetError as error:
        return _page(visit, problems=[said(visit.texts["visits"], error)], status=422)
    return visit.done("/cases/visits/special", "special_marked")


@router.post("/cases/visits/special/{subject_id}/remove")
def take_out(visit: Annotated[Visit, sends(OPEN)], subject_id: str) -> Response:
    """Take somebody out of the file."""
    try:
        with visit.begin() as connection:
            found = person_within(visit, connection, subject_id, OPEN)
            unmark(connection, office_of(visit), found, by=visit.visitor.name, now=visit.now)
    except NotFound as error:
        if error.code == "not_special":
            return _page(visit, problems=[said(visit.texts["visits"], error)], status=409)
        raise not_found() from error
    return visit.done("/cases/visits/special", "special_unmarked")


@router.post("/cases/visits/round")
def ask_round(visit: Annotated[Visit, sends(OPEN)]) -> Response:
    """Ask for a visit to everybody of the file who is to certify by a day and has none coming."""
    until, area = day_in(visit.sent.text("until")), visit.sent.text("area")
    if until is None:
        return _page(visit, problems=[_refused(visit, "until_day")], status=422)
    with visit.begin() as connection:
        areas = areas_asked(visit, connection, area)
    made = request_round(
        visit.console.database,
        office_of(visit),
        until=until,
        areas=areas,
        by=visit.visitor.name,
        now=visit.now,
        most=MOST_AT_ONCE,
    )
    code = "round_none" if not made else "round_more" if len(made) == MOST_AT_ONCE else "round_asked"
    return visit.done("/cases/visits?planned=no" if made else "/cases/visits/special", code)


def _page(
    visit: Visit,
    *,
    area: str = "",
    after: str = "",
    before: str = "",
    problems: Sequence[str] = (),
    status: int = 200,
) -> HTMLResponse:
    words = texts(visit.language)["opened_for"]
    with visit.begin() as connection:
        areas = areas_asked(visit, connection, area)
        shown = listing(
            "/cases/visits/special",
            {"area": area},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: special_page(
                connection, areas=areas, behind=place_in(behind), ahead=place_in(ahead), limit=limit
            ),
            key=lambda line: f"{line.review_on}|{line.subject_id}",
        )
        names = area_names(connection, {line.area for line in shown.rows})
        visit.note(connection, "special_persons.listed", "subject", "special", people=len(shown.rows))
    return visit.page(
        "visits/special.html",
        status=status,
        group="cases",
        shown=shown,
        people={line.subject_id: visit.opened(line.name_sealed, of=line.subject_id) for line in shown.rows},
        areas=names,
        area=area,
        words=words,
        reasons=[(reason, words[reason]) for reason in BY_HAND],
        problems=problems,
        most=MOST_AT_ONCE,
    )


def _refused(visit: Visit, code: str) -> str:
    return str(visit.texts["visits"]["refused"][code])
