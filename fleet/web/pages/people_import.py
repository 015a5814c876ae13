"""Lists of who is paid, taken in from a file: shown first with what they would change, then all of it or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from fleet.accounts.roles import Permission
from fleet.errors import DatabaseUnavailable, FleetError
from fleet.intake.area_tree import AreaTree
from fleet.intake.comparison import Change
from fleet.intake.people_table import read_people
from fleet.intake.subjects import import_people, look_at
from fleet.store.areas import areas_of
from fleet.tables.reading import MAX_BYTES, MAX_ROWS, Upload
from fleet.web.importing import Import, Preview, Report
from fleet.web.saying import all_said, said
from fleet.web.sending import uploaded
from fleet.web.visits import Visit, needs, sends
from protocol.errors import Problem, ProtocolError

router = APIRouter(include_in_schema=False)
IMPORT = Permission.PEOPLE_IMPORT
_AT_ONCE_S = 2.0
"""So long a page waits for a list to be taken in; a longer one is watched."""
_MOST_SHOWN = 200
"""Problems that a page shows."""
_MOST_LINES = 50
"""Lines of one kind of change that a page names."""


@router.get("/people/import")
def form(visit: Annotated[Visit, needs(IMPORT)]) -> HTMLResponse:
    """Show the form."""
    return _page(visit)


@router.post("/people/import")
def look_at_file(visit: Annotated[Visit, sends(IMPORT)]) -> Response:
    """Look at a list, of which nothing is stored; of a large one the page that is shown then says how far it is."""
    file = uploaded(visit, "file")
    if file is None:
        return _page(visit, problems=[visit.texts["people"]["refused"]["no_file"]], status=422)
    made = visit.console.imports.start(visit.visitor.account_id, lambda job: _look(visit, file, job))
    if made.wait(_AT_ONCE_S) and made.preview is None:
        return _page(visit, made, status=500 if made.is_broken else 422)
    return RedirectResponse(f"/people/import/{made.import_id}", status_code=303)


@router.post("/people/import/{import_id}")
def take_in(visit: Annotated[Visit, sends(IMPORT)], import_id: str) -> Response:
    """Take a list in that was looked at: that file and no other, and only if it still changes what was shown."""
    imports, refused = visit.console.imports, visit.texts["people"]["refused"]
    found = imports.find(import_id, visit.visitor.account_id)
    if found is None:
        return _page(visit, problems=[refused["import_gone"]], status=404)
    if found.preview is not None and found.preview.comparison.words and not visit.sent.text("new_words"):
        return _page(visit, found, problems=[refused["words_not_confirmed"]], status=422)
    preview = imports.confirm(found, visit.sent.text("sha256"))
    if preview is None:
        if found.followed_by:
            return RedirectResponse(f"/people/import/{found.followed_by}", status_code=303)
        return _page(visit, problems=[refused["import_overtaken"]], status=409)
    made = imports.start(visit.visitor.account_id, lambda job: _store(visit, preview, job))
    found.followed_by = made.import_id
    if made.wait(_AT_ONCE_S) and made.report is None:
        return _page(visit, made, status=500 if made.is_broken else 422)
    return RedirectResponse(f"/people/import/{made.import_id}", status_code=303)


@router.get("/people/import/{import_id}")
def watch(visit: Annotated[Visit, needs(IMPORT)], import_id: str) -> Response:
    """Show how far a list is, or what came of it."""
    found = visit.console.imports.find(import_id, visit.visitor.account_id)
    if found is None:
        return _page(visit, problems=[visit.texts["people"]["refused"]["import_gone"]], status=404)
    if found.followed_by:
        return RedirectResponse(f"/people/import/{found.followed_by}", status_code=303)
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


def _look(visit: Visit, file: Upload, job: Import) -> None:
    with visit.begin() as connection:
        tree = AreaTree(areas_of(connection))
        within = visit.codes(connection, IMPORT)
    people = read_people(file, today=visit.today, areas=tree)
    job.rows = len(people.rows)
    job.preview = Preview(
        *look_at(visit.console.database, visit.keys, people, by=visit.visitor.name, now=visit.now, within=within)
    )


def _store(visit: Visit, preview: Preview, job: Import) -> Report:
    people = preview.people
    job.rows = len(people.rows)
    with visit.begin() as connection:
        within = visit.codes(connection, IMPORT)
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
    return Report(len(people.rows), done.new, done.changed, done.unchanged, people.encoding, tuple(people.left_out))


def _page(visit: Visit, job: Import | None = None, *, problems: Sequence[str] = (), status: int = 200) -> HTMLResponse:
    # Asked first: it may end while the page is made, and what came of it is only whole then.
    is_ended = job is None or job.is_ended
    found = list(problems)
    if job is not None and job.refused is not None:
        found += _problems(visit, job.refused)
    if job is not None and job.is_broken:
        found.append(visit.texts["people"]["refused"]["import_broken"])
    preview = None if job is None else job.preview
    left_out: Sequence[Problem] = ()
    if preview is not None:
        left_out = preview.people.left_out
    elif job is not None and job.report is not None:
        left_out = job.report.left_out
    return visit.page(
        "people/import.html",
        status=status,
        job=job,
        is_ended=is_ended,
        problems=found[:_MOST_SHOWN],
        problems_more=max(len(found) - _MOST_SHOWN, 0),
        left_out=[said(visit.texts["people"], each) for each in left_out],
        preview=preview,
        changes=[] if preview is None else [(each, preview.comparison.lines_of(each)) for each in Change],
        most_lines=_MOST_LINES,
        most_rows=MAX_ROWS,
        most_mib=MAX_BYTES // 1024 // 1024,
    )


def _problems(visit: Visit, refused: FleetError | ProtocolError) -> list[str]:
    """Return everything that was wrong with a list, in the reader's language."""
    if isinstance(refused, DatabaseUnavailable):
        return [visit.texts["people"]["refused"]["import_unavailable"]]
    return all_said(visit.texts["people"], refused)
