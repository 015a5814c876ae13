"""Searches for duplicates: begun by who decides what is found, watched while they run, and what came of each."""

from __future__ import annotations

import re
import secrets
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from fleet.accounts.roles import Permission
from fleet.duplicates.runs import Asked
from fleet.errors import Refused
from fleet.store import duplicate_searches
from fleet.store.duplicate_searches import SearchKind, SearchRun
from fleet.web.saying import said
from fleet.web.visits import Visit, needs, not_found, sends

router = APIRouter(include_in_schema=False)
LOOK, BEGIN = Permission.DUPLICATES, Permission.DUPLICATES_DECIDE
_KINDS: tuple[SearchKind, ...] = ("face", "number")
_STATES = {"running": "plain", "done": "good", "stopped": "warn", "interrupted": "warn", "failed": "bad"}
_SEARCH_ID = re.compile(r"[0-9a-f]{16}")
_SHOWN = 50


@router.get("/duplicates/searches")
def searches(visit: Annotated[Visit, needs(LOOK)]) -> HTMLResponse:
    """Show the form, and the searches before. A search compares everybody with everybody, so it is of no area."""
    return _form(visit)


@router.post("/duplicates/searches")
def begin(visit: Annotated[Visit, sends(BEGIN)]) -> Response:
    """Begin a search; it goes on beside the pages. Whoever asks for one that runs is led to it."""
    visit.whole_fleet(BEGIN)
    sent = visit.sent
    kind, search_id = sent.text("kind"), sent.text("search_id")
    if kind not in _KINDS or not _SEARCH_ID.fullmatch(search_id):
        return _form(visit, problem=said(visit.texts["searches"], Refused("", code="choice_missing")), status=422)
    asked = Asked(
        search_id,
        kind,
        visit.visitor.name,
        sent.text("reason"),
        sent.text("both_sexes") == "yes",
        sent.text("all_ages") == "yes",
    )
    try:
        other = visit.console.searches.start(asked)
    except Refused as error:
        return _form(visit, problem=said(visit.texts["searches"], error), status=422)
    if other is None or other.search_id == search_id:
        return RedirectResponse(f"/duplicates/searches/{search_id}", status_code=303)
    return visit.done(f"/duplicates/searches/{other.search_id}", "search_runs")


@router.get("/duplicates/searches/{search_id}")
def one(visit: Annotated[Visit, needs(LOOK)], search_id: str) -> HTMLResponse:
    """Show how far a search is, or what came of it."""
    found = _find(visit, search_id)
    with visit.begin() as connection:
        hits = duplicate_searches.hits_found(connection, found, now=visit.now, limit=_SHOWN)
    result = found.result or {}
    problem = ""
    if found.state == "failed":
        code = str(result.get("code") or "broken")
        problem = said(visit.texts["searches"], Refused("", code=code, **result.get("facts", {})))
    return visit.page(
        "searches/search.html",
        group="duplicates",
        run=found,
        hits=hits,
        result=result,
        problem=problem,
        **_names(visit, found),
    )


@router.get("/duplicates/searches/{search_id}/progress")
def progress(visit: Annotated[Visit, needs(LOOK)], search_id: str) -> Response:
    """Show how far a search is; once it is ended, have the whole page loaded anew."""
    found = _find(visit, search_id)
    if found.state != "running":
        return Response(status_code=200, headers={"HX-Redirect": f"/duplicates/searches/{search_id}"})
    return visit.page("searches/progress.html", run=found)


@router.post("/duplicates/searches/{search_id}/stop")
def stop(visit: Annotated[Visit, sends(BEGIN)], search_id: str) -> Response:
    """Have a search stop; what was compared stays compared."""
    visit.whole_fleet(BEGIN)
    _find(visit, search_id)
    with visit.begin() as connection:
        asked = duplicate_searches.ask_to_stop(connection, search_id)
        if asked:
            visit.note(connection, "duplicates.search_stopped", "duplicate_search", search_id)
    return visit.done(f"/duplicates/searches/{search_id}", "search_stopping" if asked else "search_ended")


def _find(visit: Visit, search_id: str) -> SearchRun:
    visit.whole_fleet(LOOK)
    with visit.begin() as connection:
        found = duplicate_searches.find_search(connection, search_id)
    if found is None:
        raise not_found()
    return visit.console.searches.looked_at(found)


def _form(visit: Visit, *, problem: str = "", status: int = 200) -> HTMLResponse:
    visit.whole_fleet(LOOK)
    with visit.begin() as connection:
        runs = duplicate_searches.newest_searches(connection, limit=_SHOWN)
    return visit.page(
        "searches/form.html",
        status=status,
        group="duplicates",
        search_id=secrets.token_hex(8),
        problems=[problem] if problem else [],
        kinds=_KINDS,
        runs=[(each, _names(visit, each)) for each in map(visit.console.searches.looked_at, runs)],
        may_begin=visit.visitor.may(BEGIN) and visit.tops(BEGIN) is None,
    )


def _names(visit: Visit, run: SearchRun) -> dict[str, Any]:
    return {
        "by": visit.opened(run.by_sealed, of=run.search_id, field_name="search_by"),
        "why": visit.opened(run.reason_sealed, of=run.search_id, field_name="search_reason"),
        "mark": _STATES[run.state],
    }
