"""Photographs as files, many at once: sent, and looked at beside the pages, with what became of each."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from fleet.accounts.roles import Permission
from fleet.errors import Refused
from fleet.intake.photo_files import MAX_FILES
from fleet.intake.photo_judging import Fault, Reason
from fleet.intake.photo_report import fault_text, report_csv
from fleet.intake.photo_runs import Asked
from fleet.intake.photo_spool import MAX_SPOOL_BYTES, spool_of
from fleet.intake.photos import Form, PhotoImport, PhotoIntake, PhotoLine, Result
from fleet.store import photo_runs
from fleet.store.photo_runs import PhotoRun, RunLine
from fleet.web.forms import MAX_FILES_OF_A_FORM
from fleet.web.lists import listing
from fleet.web.saying import said
from fleet.web.sending import CSV, download
from fleet.web.visits import Visit, needs, not_found, sends
from protocol.references import LegalBasis

router = APIRouter(include_in_schema=False)
SEND = Permission.PEOPLE_CHANGE
_RUN_ID = re.compile(r"[0-9a-f]{16}")
KINDS = {"running": "plain", "done": "good", "stopped": "warn", "interrupted": "warn", "failed": "bad"}
"""How each state of a run is marked."""
_SHOWN = 50
"""Runs that the page of the form lists."""


@router.get("/people/photos")
def form(visit: Annotated[Visit, needs(SEND)]) -> HTMLResponse:
    """Show the form, and the runs before."""
    return _form(visit)


@router.post("/people/photos")
def send(visit: Annotated[Visit, sends(SEND)]) -> Response:
    """Take photographs; they are looked at beside the pages. The same form once more leads to the same run."""
    sent = visit.sent
    run_id, ground, paper = sent.text("run_id"), sent.text("ground"), sent.text("form")
    files = sent.files.get("photos", ())
    code = (
        "no_photographs"
        if not files
        else "choice_missing"
        if ground not in list(LegalBasis) or paper not in list(Form) or not _RUN_ID.fullmatch(run_id)
        else ""
    )
    if code:
        return _form(visit, problem=said(visit.texts["photos"], Refused("", code=code)), status=422)
    with visit.begin() as connection:
        if photo_runs.find_run(connection, run_id) is not None:
            return RedirectResponse(f"/people/photos/{run_id}", status_code=303)
        within = visit.codes(connection, SEND)
    intake = PhotoIntake(
        LegalBasis(ground),
        visit.visitor.name,
        sent.text("unit") or None,
        Form(paper),
        sent.text("look_only") == "yes",
        None if within is None else frozenset(within),
    )
    try:
        spool = spool_of((each.filename or "", each.file) for each in files)
        visit.console.photo_runs.start(Asked(run_id, visit.visitor.account_id, intake), spool)
    except Refused as error:
        status = 409 if error.code == "busy" else 422
        return _form(visit, problem=said(visit.texts["photos"], error), status=status)
    return RedirectResponse(f"/people/photos/{run_id}", status_code=303)


@router.get("/people/photos/{run_id}")
def run(
    visit: Annotated[Visit, needs(SEND)], run_id: str, result: str = "", after: str = "", before: str = ""
) -> HTMLResponse:
    """Show how far a run is, and what became of every file."""
    found = find(visit, run_id)
    with visit.begin() as connection:
        counts = photo_runs.counts_of(connection, [run_id])[run_id]
        shown = listing(
            f"/people/photos/{run_id}",
            {"result": result if result in list(Result) else ""},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: photo_runs.lines_of(
                connection,
                run_id,
                result=result if result in list(Result) else "",
                behind=_number(behind) or 0,
                ahead=_number(ahead),
                limit=limit,
            ),
            key=lambda line: str(line.file),
        )
    return visit.page(
        "photos/run.html",
        group="people",
        run=found,
        by=visit.opened(found.by_sealed, of=run_id, field_name="taken_by"),
        looked_at=sum(counts.values()),
        counts=[(each.value, counts.get(each.value, 0)) for each in Result],
        shown=shown,
        result=result,
        kinds=KINDS,
        reasons={line.file: reasons_of(visit, line) for line in shown.rows},
    )


@router.get("/people/photos/{run_id}/progress")
def progress(visit: Annotated[Visit, needs(SEND)], run_id: str) -> Response:
    """Show how far a run is; once it is ended, have the whole page loaded anew."""
    found = find(visit, run_id)
    if found.state != "running":
        return Response(status_code=200, headers={"HX-Redirect": f"/people/photos/{run_id}"})
    with visit.begin() as connection:
        looked_at = sum(photo_runs.counts_of(connection, [run_id])[run_id].values())
    return visit.page("photos/progress.html", run=found, looked_at=looked_at)


@router.post("/people/photos/{run_id}/stop")
def stop(visit: Annotated[Visit, sends(SEND)], run_id: str) -> Response:
    """Have a run stop behind the file that it is at; what was accepted stays."""
    find(visit, run_id)
    with visit.begin() as connection:
        asked = photo_runs.ask_to_stop(connection, run_id)
        if asked:
            visit.note(connection, "photos.stopped", "photo_import", run_id)
    return visit.done(f"/people/photos/{run_id}", "photos_stopping" if asked else "photos_ended")


@router.get("/people/photos/{run_id}/report.csv")
def report(visit: Annotated[Visit, needs(SEND)], run_id: str) -> Response:
    """Give the report of a run as a file, in the reader's language."""
    find(visit, run_id)
    with visit.begin() as connection:
        lines = photo_runs.lines_of(connection, run_id, limit=MAX_FILES)
    done = PhotoImport(
        run_id,
        tuple(PhotoLine(line.file, line.ends, Result(line.result), faults_of(line)) for line in lines),
    )
    return download(report_csv(done, visit.language), f"photos-{run_id}.csv", CSV)


def find(visit: Visit, run_id: str) -> PhotoRun:
    """Return a run of the visitor's; whoever has the whole fleet sees all. One that nobody works on any more is ended."""
    with visit.begin() as connection:
        found = photo_runs.find_run(connection, run_id)
    if found is None or (found.account_id != visit.visitor.account_id and visit.tops(SEND) is not None):
        raise not_found()
    return visit.console.photo_runs.looked_at(found)


def faults_of(line: RunLine) -> tuple[Fault, ...]:
    """Return why a file was not taken."""
    return tuple(Fault(Reason(reason), found, asked) for reason, found, asked in line.faults)


def reasons_of(visit: Visit, line: RunLine) -> list[str]:
    """Return why a file was not taken, in the reader's language."""
    return [fault_text(fault, visit.language) for fault in faults_of(line)]


def _form(visit: Visit, *, problem: str = "", status: int = 200) -> HTMLResponse:
    account = None if visit.tops(SEND) is None else visit.visitor.account_id
    with visit.begin() as connection:
        runs: Sequence[PhotoRun] = photo_runs.newest_runs(connection, account_id=account, limit=_SHOWN)
        counts = photo_runs.counts_of(connection, [each.run_id for each in runs])
    runs = [visit.console.photo_runs.looked_at(each) for each in runs]
    names = {each.run_id: visit.opened(each.by_sealed, of=each.run_id, field_name="taken_by") for each in runs}
    return visit.page(
        "photos/form.html",
        status=status,
        group="people",
        # Another one after every answer: what was refused is a run of its own when it is sent again.
        run_id=secrets.token_hex(8),
        problems=[problem] if problem else [],
        grounds=[each.value for each in LegalBasis],
        forms=[each.value for each in Form],
        runs=runs,
        kinds=KINDS,
        counts=counts,
        names=names,
        most_files=MAX_FILES,
        most_singly=MAX_FILES_OF_A_FORM,
        most_mib=MAX_SPOOL_BYTES // 1024 // 1024,
    )


def _number(written: str) -> int | None:
    return int(written) if written.isdecimal() and len(written) <= 6 else None
