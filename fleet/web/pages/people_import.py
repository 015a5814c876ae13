"""Lists of who is paid, taken in from a file: all of it or nothing, with every problem by its line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from fleet.accounts.roles import Permission
from fleet.errors import DatabaseUnavailable, FleetError
from fleet.intake.area_tree import AreaTree
from fleet.intake.people_table import read_people
from fleet.intake.subjects import import_people
from fleet.store.areas import areas_of
from fleet.tables.reading import MAX_BYTES, MAX_ROWS, Upload
from fleet.web.importing import Import, Report
from fleet.web.saying import all_said, said
from fleet.web.sending import uploaded
from fleet.web.visits import Visit, needs, sends
from protocol.errors import ProtocolError

router = APIRouter(include_in_schema=False)
IMPORT = Permission.PEOPLE_IMPORT
_AT_ONCE_S = 2.0
"""So long a page waits for a list to be taken in; a longer one is watched."""
_MOST_SHOWN = 200
"""Problems that a page shows."""


@router.get("/people/import")
def form(visit: Annotated[Visit, needs(IMPORT)]) -> HTMLResponse:
    """Show the form."""
    return _page(visit)


@router.post("/people/import")
def take_in(visit: Annotated[Visit, sends(IMPORT)]) -> Response:
    """Take a list in; of a large one the page that is shown then says how far it is."""
    file = uploaded(visit, "file")
    if file is None:
        return _page(visit, problems=[visit.texts["people"]["refused"]["no_file"]], status=422)
    made = visit.console.imports.start(visit.visitor.account_id, lambda job: _work(visit, file, job))
    if made.wait(_AT_ONCE_S) and made.report is None:
        return _page(visit, made, status=500 if made.is_broken else 422)
    return RedirectResponse(f"/people/import/{made.import_id}", status_code=303)


@router.get("/people/import/{import_id}")
def watch(visit: Annotated[Visit, needs(IMPORT)], import_id: str) -> HTMLResponse:
    """Show how far a list is, or what came of it."""
    found = visit.console.imports.find(import_id, visit.visitor.account_id)
    if found is None:
        return _page(visit, problems=[visit.texts["people"]["refused"]["import_gone"]], status=404)
    return _page(visit, found)


@router.get("/people/import/{import_id}/progress")
def progress(visit: Annotated[Visit, needs(IMPORT)], import_id: str) -> Response:
    """Show how far a list is; once it is ended, have the whole page loaded anew."""
    found = visit.console.imports.find(import_id, visit.visitor.account_id)
    if found is None:
        # Never a header of what an address says.
        return Response(status_code=200, headers={"HX-Redirect": "/people/import"})
    if found.is_ended:
        return Response(status_code=200, headers={"HX-Redirect": f"/people/import/{found.import_id}"})
    return visit.page("people/import_progress.html", job=found)


def _work(visit: Visit, file: Upload, job: Import) -> Report:
    with visit.begin() as connection:
        tree = AreaTree(areas_of(connection))
        within = visit.codes(connection, IMPORT)
    people = read_people(file, today=visit.today, areas=tree)
    job.rows = len(people.rows)
    done = import_people(
        visit.console.database,
        visit.keys,
        people,
        by=visit.visitor.name,
        now=visit.now,
        zone=visit.zone,
        within=within,
        progress=job.tell,
    )
    return Report(len(people.rows), done.new, done.changed, done.unchanged, people.encoding, tuple(people.left_out))


def _page(visit: Visit, job: Import | None = None, *, problems: Sequence[str] = (), status: int = 200) -> HTMLResponse:
    found = list(problems)
    if job is not None and job.refused is not None:
        found += _problems(visit, job.refused)
    if job is not None and job.is_broken:
        found.append(visit.texts["people"]["refused"]["import_broken"])
    left_out = () if job is None or job.report is None else job.report.left_out
    return visit.page(
        "people/import.html",
        status=status,
        job=job,
        problems=found[:_MOST_SHOWN],
        problems_more=max(len(found) - _MOST_SHOWN, 0),
        left_out=[said(visit.texts["people"], each) for each in left_out],
        most_rows=MAX_ROWS,
        most_mib=MAX_BYTES // 1024 // 1024,
    )


def _problems(visit: Visit, refused: FleetError | ProtocolError) -> list[str]:
    """Return everything that was wrong with a list, in the reader's language."""
    if isinstance(refused, DatabaseUnavailable):
        return [visit.texts["people"]["refused"]["import_unavailable"]]
    return all_said(visit.texts["people"], refused)
