"""Lists of telephone numbers and other ways to people, taken in from a file: all of it or nothing, with every problem by its line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from fleet.accounts.roles import Permission
from fleet.errors import Refused
from fleet.reminders.contacts_csv import import_contacts, read_contacts
from fleet.store.page_runs import PageRun
from fleet.tables.reading import MAX_BYTES, MAX_ROWS, Upload
from fleet.web import saying
from fleet.web.beside import Asked, Job, packed, unpacked
from fleet.web.pages.reminders import tabs
from fleet.web.pages.runs import find, may_stop, problems_of
from fleet.web.sending import uploaded
from fleet.web.texts import REFUSED
from fleet.web.visits import Visit, needs, sends

router = APIRouter(include_in_schema=False)
_SEND = Permission.REMINDERS_SEND
_PATH = "/reminders/contacts"


@router.get(_PATH)
def form(visit: Annotated[Visit, needs(_SEND)]) -> HTMLResponse:
    """Show the form."""
    return _page(visit)


@router.post(_PATH)
def take_in(visit: Annotated[Visit, sends(_SEND, files=MAX_BYTES)]) -> Response:
    """Take a list in; of a large one the page that is shown then says how far it is."""
    file = uploaded(visit, "file")
    if file is None:
        return _page(visit, problems=[_sentence(visit, "no_file")], status=422)
    runs, wanted = visit.console.runs, Asked("contacts", visit.visitor)
    try:
        runs.start(wanted, lambda job: _work(visit, file, job))
    except Refused as error:
        return _page(visit, problems=saying.all_said(visit.texts["contacts"], error), status=409)
    runs.wait(wanted.run_id)
    run, kind = find(visit, wanted.run_id)
    if run.state == "failed":
        return _page(visit, run, status=422)
    return RedirectResponse(kind.address(run.run_id), status_code=303)


@router.get(_PATH + "/{run_id}")
def watch(visit: Annotated[Visit, needs(_SEND)], run_id: str) -> HTMLResponse:
    """Show how far a list is, or what came of it."""
    try:
        return _page(visit, find(visit, run_id, "contacts")[0])
    except HTTPException:
        return _page(visit, problems=[_sentence(visit, "import_gone")], status=404)


def _work(visit: Visit, file: Upload, job: Job) -> Mapping[str, Any]:
    found = read_contacts(file, visit.keys)
    job.tell(0, len(found.rows))
    with visit.begin() as connection:
        codes = job.codes(connection)
    done = import_contacts(
        visit.console.database,
        visit.keys,
        found,
        by=visit.visitor.name,
        now=visit.now,
        within=None if codes is None else frozenset(codes),
        progress=job.tell,
    )
    return {
        "rows": done.people,
        "new": done.new,
        "changed": done.changed,
        "unchanged": done.unchanged,
        "encoding": found.encoding,
        "left_out": [packed(each) for each in found.left_out],
    }


def _page(visit: Visit, run: PageRun | None = None, *, problems: Sequence[str] = (), status: int = 200) -> HTMLResponse:
    found, result = list(problems), {}
    if run is not None:
        result = visit.console.runs.result_of(run)
        found += problems_of(visit, run)
        if run.state == "interrupted":
            found.append(_sentence(visit, "import_gone"))
    return visit.page(
        "contacts/import.html",
        status=status,
        group="reminders",
        tabs=tabs(visit, "contacts"),
        run=run,
        report=result if run is not None and run.state == "done" else None,
        may_stop=run is not None and may_stop(visit, run),
        problems=found,
        problems_more=result.get("problems_more", 0),
        left_out=[saying.said(visit.texts["contacts"], unpacked(each)) for each in result.get("left_out", ())],
        most_rows=MAX_ROWS,
        most_mib=MAX_BYTES // 1024 // 1024,
    )


def _sentence(visit: Visit, code: str) -> str:
    return str(visit.texts["contacts"][REFUSED][code])
