"""Searches for duplicates: begun by who decides what is found, watched while they run, and what came of each."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.duplicates.runs import search_faces, search_numbers
from fleet.errors import Refused
from fleet.store import page_runs
from fleet.store.duplicates import hits_found
from fleet.store.page_runs import PageRun
from fleet.web.beside import Asked, Job
from fleet.web.pages.runs import MARKS, find, may_stop, problems_of
from fleet.web.saying import said
from fleet.web.visits import Visit, needs, sends

router = APIRouter(include_in_schema=False)
LOOK, BEGIN = Permission.DUPLICATES, Permission.DUPLICATES_DECIDE
_OF = "duplicates_"
_KINDS = ("face", "number")
_RUNS = tuple(f"{_OF}{each}" for each in _KINDS)
_SEARCH_ID = re.compile(r"[0-9a-f]{16}")
_LONGEST_REASON = 200
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
    if not 0 < len(sent.text("reason")) <= _LONGEST_REASON:
        refused = Refused("", code="reason", most=_LONGEST_REASON)
        return _form(visit, problem=said(visit.texts["searches"], refused), status=422)
    other = visit.console.runs.start(_asked(visit, search_id, kind), lambda job: _search(visit, job, kind))
    if other is None or other.run_id == search_id:
        return RedirectResponse(f"/duplicates/searches/{search_id}", status_code=303)
    return visit.done(f"/duplicates/searches/{other.run_id}", "run_goes_on")


def _asked(visit: Visit, search_id: str, kind: str) -> Asked:
    wide = {name: visit.sent.text(name) == "yes" for name in ("both_sexes", "all_ages")}
    reason = visit.sent.text("reason")

    def note(connection: Connection) -> None:
        # The reason may hold anything, and the log's detail stands in the open.
        sealed = visit.cipher.digest(reason, subject_id=search_id, field_name="search_reason")
        visit.note(
            connection,
            "duplicates.searched",
            "duplicate_search",
            search_id,
            kind=kind,
            both_sexes=wide["both_sexes"],
            all_ages=wide["all_ages"],
            reason_sha256=sealed.hex(),
        )

    return Asked(f"{_OF}{kind}", visit.visitor, search_id, wide, reason, note)


def _search(visit: Visit, job: Job, kind: str) -> Mapping[str, Any]:
    console, sent = visit.console, visit.sent
    if kind == "number":
        return search_numbers(console.database, visit.cipher, console.settings, tell=job.tell, clock=console.clock)
    return search_faces(
        console.database,
        console.settings,
        both_sexes=sent.text("both_sexes") == "yes",
        all_ages=sent.text("all_ages") == "yes",
        tell=job.tell,
        clock=console.clock,
    )


@router.get("/duplicates/searches/{run_id}")
def one(visit: Annotated[Visit, needs(LOOK)], run_id: str) -> HTMLResponse:
    """Show how far a search is, or what came of it."""
    visit.whole_fleet(LOOK)
    run, _ = find(visit, run_id, *_RUNS)
    with visit.begin() as connection:
        hits = hits_found(
            connection,
            is_face=run.kind == f"{_OF}face",
            since=run.asked_at,
            until=run.ended_at or visit.now,
            limit=_SHOWN,
        )
    return visit.page(
        "searches/search.html",
        group="duplicates",
        run=run,
        hits=hits,
        result=visit.console.runs.result_of(run),
        problems=problems_of(visit, run),
        may_stop=may_stop(visit, run),
        **_names(visit, run),
    )


def _form(visit: Visit, *, problem: str = "", status: int = 200) -> HTMLResponse:
    visit.whole_fleet(LOOK)
    with visit.begin() as connection:
        runs = page_runs.newest_runs(connection, _RUNS, limit=_SHOWN)
    return visit.page(
        "searches/form.html",
        status=status,
        group="duplicates",
        search_id=secrets.token_hex(8),
        problems=[problem] if problem else [],
        kinds=_KINDS,
        runs=[(each, _names(visit, each)) for each in map(visit.console.runs.looked_at, runs)],
        may_begin=visit.visitor.may(BEGIN) and visit.tops(BEGIN) is None,
    )


def _names(visit: Visit, run: PageRun) -> dict[str, Any]:
    runs = visit.console.runs
    return {
        "kind": run.kind.removeprefix(_OF),
        "by": runs.by(run),
        "why": runs.reason(run),
        "hits_in_all": runs.result_of(run).get("hits"),
        "mark": MARKS[run.state],
    }
