"""Lists of telephone numbers and other ways to people, taken in from a file: all of it or nothing, with every problem by its line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from fleet.accounts.roles import Permission
from fleet.errors import DatabaseUnavailable, FleetError
from fleet.reminders.contacts_csv import import_contacts, read_contacts
from fleet.tables.reading import MAX_BYTES, MAX_ROWS, Upload
from fleet.web import saying
from fleet.web.importing import Import, Report
from fleet.web.pages.reminders import tabs
from fleet.web.sending import uploaded
from fleet.web.texts import REFUSED
from fleet.web.visits import Visit, needs, sends
from protocol.errors import ProtocolError

router = APIRouter(include_in_schema=False)
_SEND = Permission.REMINDERS_SEND
_PATH = "/reminders/contacts"
_AT_ONCE_S = 2.0
"""So long a page waits for a list to be taken in; a longer one is watched."""
_MOST_SHOWN = 200
"""Problems that a page shows."""


@router.get(_PATH)
def form(visit: Annotated[Visit, needs(_SEND)]) -> HTMLResponse:
    """Show the form."""
    return _page(visit)


@router.post(_PATH)
def take_in(visit: Annotated[Visit, sends(_SEND)]) -> Response:
    """Take a list in; of a large one the page that is shown then says how far it is."""
    file = uploaded(visit, "file")
    if file is None:
        return _page(visit, problems=[_sentence(visit, "no_file")], status=422)
    made = visit.console.imports.start(visit.visitor.account_id, lambda job: _work(visit, file, job))
    if made.wait(_AT_ONCE_S) and made.report is None:
        return _page(visit, made, status=500 if made.is_broken else 422)
    return RedirectResponse(f"{_PATH}/{made.import_id}", status_code=303)


@router.get(_PATH + "/{import_id}")
def watch(visit: Annotated[Visit, needs(_SEND)], import_id: str) -> HTMLResponse:
    """Show how far a list is, or what came of it."""
    found = visit.console.imports.find(import_id, visit.visitor.account_id)
    if found is None:
        return _page(visit, problems=[_sentence(visit, "import_gone")], status=404)
    return _page(visit, found)


@router.get(_PATH + "/{import_id}/progress")
def progress(visit: Annotated[Visit, needs(_SEND)], import_id: str) -> Response:
    """Show how far a list is; once it is ended, have the whole page loaded anew."""
    found = visit.console.imports.find(import_id, visit.visitor.account_id)
    if found is None:
        return Response(status_code=200, headers={"HX-Redirect": _PATH})
    if found.is_ended:
        return Response(status_code=200, headers={"HX-Redirect": f"{_PATH}/{found.import_id}"})
    return visit.page("contacts/progress.html", job=found)


def _work(visit: Visit, file: Upload, job: Import) -> Report:
    found = read_contacts(file, visit.keys)
    job.rows = len(found.rows)
    with visit.begin() as connection:
        codes = visit.codes(connection, _SEND)
    done = import_contacts(
        visit.console.database,
        visit.keys,
        found,
        by=visit.visitor.name,
        now=visit.now,
        within=None if codes is None else frozenset(codes),
        progress=job.tell,
    )
    return Report(done.people, done.new, done.changed, done.unchanged, found.encoding, found.left_out)


def _page(visit: Visit, job: Import | None = None, *, problems: Sequence[str] = (), status: int = 200) -> HTMLResponse:
    found = list(problems)
    if job is not None and job.refused is not None:
        found += _problems(visit, job.refused)
    if job is not None and job.is_broken:
        found.append(_sentence(visit, "import_broken"))
    left_out = () if job is None or job.report is None else job.report.left_out
    return visit.page(
        "contacts/import.html",
        status=status,
        group="reminders",
        tabs=tabs(visit, "contacts"),
        job=job,
        problems=found[:_MOST_SHOWN],
        problems_more=max(len(found) - _MOST_SHOWN, 0),
        left_out=[saying.said(visit.texts["contacts"], each) for each in left_out],
        most_rows=MAX_ROWS,
        most_mib=MAX_BYTES // 1024 // 1024,
    )


def _problems(visit: Visit, refused: FleetError | ProtocolError) -> list[str]:
    """Return everything that was wrong with a list, in the reader's language."""
    if isinstance(refused, DatabaseUnavailable):
        return [_sentence(visit, "import_unavailable")]
    return saying.all_said(visit.texts["contacts"], refused)


def _sentence(visit: Visit, code: str) -> str:
    return str(visit.texts["contacts"][REFUSED][code])
