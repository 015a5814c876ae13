"""Photographs as files, many at once: sent, and looked at beside the pages, with what became of each."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.errors import Refused
from fleet.intake.photo_files import MAX_FILES
from fleet.intake.photo_judging import Fault, Reason
from fleet.intake.photo_report import fault_text, report_csv
from fleet.intake.photo_runs import take_photos
from fleet.intake.photo_spool import MAX_SPOOL_BYTES, PhotoSpool, spool_of
from fleet.intake.photos import Form, PhotoImport, PhotoIntake, PhotoLine, Result
from fleet.store import page_runs, photo_runs
from fleet.store.names import cleaned
from fleet.store.page_runs import PageRun
from fleet.store.photo_runs import RunLine
from fleet.web.beside import Asked, Job, Stopped
from fleet.web.forms import MAX_FILES_OF_A_FORM
from fleet.web.lists import listing
from fleet.web.pages import runs
from fleet.web.pages.runs import MARKS, may_stop, problems_of
from fleet.web.saying import said
from fleet.web.sending import CSV, download
from fleet.web.visits import Visit, needs, sends
from protocol.references import LegalBasis

router = APIRouter(include_in_schema=False)
SEND = Permission.PEOPLE_CHANGE
_RUN_ID = re.compile(r"[0-9a-f]{16}")
_SHOWN = 50
"""Runs that the page of the form lists."""


@router.get("/people/photos")
def form(visit: Annotated[Visit, needs(SEND)]) -> HTMLResponse:
    """Show the form, and the runs before."""
    return _form(visit)


@router.post("/people/photos")
def send(visit: Annotated[Visit, sends(SEND, files=MAX_SPOOL_BYTES)]) -> Response:
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
        if page_runs.find_run(connection, run_id) is not None:
            return RedirectResponse(f"/people/photos/{run_id}", status_code=303)
    intake = PhotoIntake(
        LegalBasis(ground),
        visit.visitor.name,
        sent.text("unit") or None,
        Form(paper),
        sent.text("look_only") == "yes",
    )
    try:
        # Names that cannot be taken are told before anything is.
        for name in (intake.by, intake.unit):
            if name is not None:
                cleaned(name)
        spool = spool_of((each.filename or "", each.file) for each in files)
        visit.console.runs.start(_asked(visit, run_id, intake, spool), partial(_take, visit, intake, spool))
    except Refused as error:
        status = 409 if error.code == "busy" else 422
        return _form(visit, problem=said(visit.texts["photos"], error), status=status)
    return RedirectResponse(f"/people/photos/{run_id}", status_code=303)


def _asked(visit: Visit, run_id: str, intake: PhotoIntake, spool: PhotoSpool) -> Asked:
    asked = {
        "unit": intake.unit,
        "form": intake.form.value,
        "legal_basis": intake.legal_basis.value,
        "is_dry": intake.is_dry,
        "files": len(spool),
    }

    def note(connection: Connection) -> None:
        visit.note(connection, "photos.sent", "photo_import", run_id, files=len(spool), is_dry=intake.is_dry)

    return Asked("photos", visit.visitor, run_id, asked, note=note, closes=spool.close)


def _take(visit: Visit, intake: PhotoIntake, spool: PhotoSpool, job: Job) -> Mapping[str, Any]:
    console = visit.console
    with visit.begin() as connection:
        within = job.codes(connection)
    looked_at = take_photos(
        console.database,
        console.keys,
        console.settings,
        spool,
        replace(intake, within=None if within is None else frozenset(within)),
        run_id=job.run_id,
        goes_on=lambda done: job.goes_on(done, len(spool)),
        clock=console.clock,
    )
    if looked_at < len(spool):
        raise Stopped
    return {}


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
        by=visit.console.runs.by(found),
        may_stop=may_stop(visit, found),
        problems=[] if found.state != "failed" else _why(visit, found),
        looked_at=sum(counts.values()),
        counts=[(each.value, counts.get(each.value, 0)) for each in Result],
        shown=shown,
        result=result,
        kinds=MARKS,
        reasons={line.file: reasons_of(visit, line) for line in shown.rows},
    )


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


def _why(visit: Visit, run: PageRun) -> list[str]:
    """Return why a run was not begun; of one that was, the page says what a failure means."""
    found = visit.console.runs.result_of(run).get("problems", [{}])[0].get("code")
    return problems_of(visit, run) if found == "not_permitted_now" else []


def find(visit: Visit, run_id: str) -> PageRun:
    """Return a run of the visitor's; whoever has the whole fleet sees all."""
    return runs.find(visit, run_id, "photos")[0]


def faults_of(line: RunLine) -> tuple[Fault, ...]:
    """Return why a file was not taken."""
    return tuple(Fault(Reason(reason), found, asked) for reason, found, asked in line.faults)


def reasons_of(visit: Visit, line: RunLine) -> list[str]:
    """Return why a file was not taken, in the reader's language."""
    return [fault_text(fault, visit.language) for fault in faults_of(line)]


def _form(visit: Visit, *, problem: str = "", status: int = 200) -> HTMLResponse:
    account = None if visit.tops(SEND) is None else visit.visitor.account_id
    with visit.begin() as connection:
        before: Sequence[PageRun] = page_runs.newest_runs(connection, ["photos"], account_id=account, limit=_SHOWN)
        counts = photo_runs.counts_of(connection, [each.run_id for each in before])
    before = [visit.console.runs.looked_at(each) for each in before]
    names = {each.run_id: visit.console.runs.by(each) for each in before}
    return visit.page(
        "photos/form.html",
        status=status,
        group="people",
        # Another one after every answer: what was refused is a run of its own when it is sent again.
        run_id=secrets.token_hex(8),
        problems=[problem] if problem else [],
        grounds=[each.value for each in LegalBasis],
        forms=[each.value for each in Form],
        runs=before,
        kinds=MARKS,
        counts=counts,
        names=names,
        most_files=MAX_FILES,
        most_singly=MAX_FILES_OF_A_FORM,
        most_mib=MAX_SPOOL_BYTES // 1024 // 1024,
    )


def _number(written: str) -> int | None:
    return int(written) if written.isdecimal() and len(written) <= 6 else None
