"""Lists of who is paid, taken in from a file: shown first with what they would change, then all of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from fleet.accounts.roles import Permission
from fleet.errors import Refused
from fleet.intake.area_tree import AreaTree
from fleet.intake.comparison import Change, Comparison
from fleet.intake.people_table import PeopleList, read_people
from fleet.intake.subjects import import_people, look_at
from fleet.store.areas import areas_of
from fleet.store.page_runs import PageRun
from fleet.tables.reading import MAX_BYTES, MAX_ROWS, Upload
from fleet.web.beside import Asked, Job, Work, packed, unpacked
from fleet.web.pages.runs import find, may_stop, problems_of
from fleet.web.saying import all_said, said
from fleet.web.sending import uploaded
from fleet.web.visits import Visit, needs, sends
from protocol.errors import Problem

router = APIRouter(include_in_schema=False)
IMPORT = Permission.PEOPLE_IMPORT
_MOST_LINES = 50
"""Lines of one kind of change that a page names."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a list would change, while nothing of it is stored: kept in memory until it is confirmed."""

    people: PeopleList = field(repr=False)
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Taken:
    """Stands in the place of a preview that was confirmed."""

    run_id: str
    """Of the run that takes the list in."""


@router.get("/people/import")
def form(visit: Annotated[Visit, needs(IMPORT)]) -> HTMLResponse:
    """Show the form."""
    return _page(visit)


@router.post("/people/import")
def look_at_file(visit: Annotated[Visit, sends(IMPORT, files=MAX_BYTES)]) -> Response:
    """Look at a list, of which nothing is stored; of a large one the page that is shown then says how far it is."""
    file = uploaded(visit, "file")
    if file is None:
        return _page(visit, problems=[visit.texts["people"]["refused"]["no_file"]], status=422)
    return _begin(visit, "people_look", lambda job: _look(visit, file, job))


@router.post("/people/import/{run_id}")
def take_in(visit: Annotated[Visit, sends(IMPORT)], run_id: str) -> Response:
    """Take a list in that was looked at: that file and no other, and only if it still changes what was shown."""
    runs, refused = visit.console.runs, visit.texts["people"]["refused"]
    run = _found(visit, run_id)
    if run is None:
        return _page(visit, problems=[refused["import_gone"]], status=404)
    held = runs.held(run_id)
    if isinstance(held, Taken):
        return RedirectResponse(f"/people/import/{held.run_id}", status_code=303)
    if isinstance(held, Preview) and held.comparison.words and not visit.sent.text("new_words"):
        return _page(visit, run, problems=[refused["words_not_confirmed"]], status=422)
    is_that = isinstance(held, Preview) and held.people.sha256 == visit.sent.text("sha256")
    preview = runs.take(run_id) if is_that else None
    if not isinstance(preview, Preview):
        return _page(visit, problems=[refused["import_overtaken"]], status=409)
    return _begin(visit, "people_store", lambda job: _store(visit, preview, job), looked_at=(run, preview))


@router.get("/people/import/{run_id}")
def watch(visit: Annotated[Visit, needs(IMPORT)], run_id: str) -> Response:
    """Show how far a list is, or what came of it."""
    run = _found(visit, run_id)
    if run is None:
        return _page(visit, problems=[visit.texts["people"]["refused"]["import_gone"]], status=404)
    held = visit.console.runs.held(run_id)
    if isinstance(held, Taken):
        return RedirectResponse(f"/people/import/{held.run_id}", status_code=303)
    return _page(visit, run)


def _begin(visit: Visit, kind: str, work: Work, *, looked_at: tuple[PageRun, Preview] | None = None) -> Response:
    runs, wanted = visit.console.runs, Asked(kind, visit.visitor)
    if looked_at is not None:
        # Known before it begins: a second click is led to the same.
        runs.hold(looked_at[0], Taken(wanted.run_id))
    try:
        runs.start(wanted, work)
    except Refused as error:
        if looked_at is not None:
            runs.hold(*looked_at)
        return _page(visit, problems=all_said(visit.texts["people"], error), status=409)
    runs.wait(wanted.run_id)
    run, _ = find(visit, wanted.run_id)
    if run.state == "failed":
        return _page(visit, run, status=422)
    return RedirectResponse(f"/people/import/{wanted.run_id}", status_code=303)


def _found(visit: Visit, run_id: str) -> PageRun | None:
    try:
        return find(visit, run_id, "people_look", "people_store")[0]
    except HTTPException:
        return None


def _look(visit: Visit, file: Upload, job: Job) -> Mapping[str, Any]:
    with visit.begin() as connection:
        tree = AreaTree(areas_of(connection))
        within = job.codes(connection)
    people = read_people(file, today=visit.today, areas=tree)
    job.tell(0, len(people.rows))
    found = look_at(visit.console.database, visit.keys, people, by=visit.visitor.name, now=visit.now, within=within)
    job.hold(Preview(*found))
    return {}


def _store(visit: Visit, preview: Preview, job: Job) -> Mapping[str, Any]:
    people = preview.people
    job.tell(0, len(people.rows))
    with visit.begin() as connection:
        within = job.codes(connection)
    done = import_people(
        visit.console.database,
        visit.keys,
        people,
        by=visit.visitor.name,
        now=visit.now,
        zone=visit.zone,
        within=within,
        expected=preview.comparison.digest,
        progress=job.tell,
    )
    return {
        "rows": len(people.rows),
        "new": done.new,
        "changed": done.changed,
        "unchanged": done.unchanged,
        "encoding": people.encoding,
        "left_out": [packed(each) for each in people.left_out],
    }


def _page(visit: Visit, run: PageRun | None = None, *, problems: Sequence[str] = (), status: int = 200) -> HTMLResponse:
    texts, runs = visit.texts["people"], visit.console.runs
    found, result, preview = list(problems), {}, None
    if run is not None:
        result = runs.result_of(run)
        found += problems_of(visit, run)
        held = runs.held(run.run_id)
        preview = held if isinstance(held, Preview) else None
        if run.state == "interrupted" or (run.kind == "people_look" and run.state == "done" and preview is None):
            found.append(texts["refused"]["import_gone"])
    left_out: Sequence[Problem] = [unpacked(each) for each in result.get("left_out", ())]
    if preview is not None:
        left_out = preview.people.left_out
    return visit.page(
        "people/import.html",
        status=status,
        run=run,
        report=result if run is not None and run.state == "done" and run.kind == "people_store" else None,
        may_stop=run is not None and may_stop(visit, run),
        problems=found,
        problems_more=result.get("problems_more", 0),
        left_out=[said(texts, each) for each in left_out],
        preview=preview,
        changes=[] if preview is None else [(each, preview.comparison.lines_of(each)) for each in Change],
        most_lines=_MOST_LINES,
        most_rows=MAX_ROWS,
        most_mib=MAX_BYTES // 1024 // 1024,
    )
