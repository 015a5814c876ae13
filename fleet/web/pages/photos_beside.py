"""One photograph of a run beside what the person had before: the reference in use, and the special certification."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from fleet.cases.machine import Kind
from fleet.errors import NotFound
from fleet.intake.held_packs import held_packs
from fleet.intake.photo_judging import demands_of
from fleet.people.person import identity_of
from fleet.store import photo_runs
from fleet.store.case_files import files_of
from fleet.store.person import ReferenceLine, cases_of, references_of
from fleet.web.pages.photos import SEND, find, reasons_of
from fleet.web.visits import Visit, needs, not_found

router = APIRouter(include_in_schema=False)


@router.get("/people/photos/{run_id}/files/{file}")
def beside(visit: Annotated[Visit, needs(SEND)], run_id: str, file: str) -> HTMLResponse:
    """Show both sides. No photograph is kept, so none is shown; those of a case are opened there, with a reason."""
    run = find(visit, run_id)
    number = int(file) if file.isdecimal() and len(file) <= 6 else 0
    with visit.begin() as connection:
        line = photo_runs.find_line(connection, run_id, number)
    if line is None or line.subject_id is None:
        raise not_found()
    subject_id = line.subject_id
    try:
        with visit.begin() as connection:
            references = references_of(connection, subject_id)
            packs = held_packs(connection, [subject_id], today=visit.today).get(subject_id, ())
            special = _special(connection, subject_id)
            who = identity_of(
                connection,
                visit.cipher,
                subject_id,
                tops=visit.tops(SEND),
                by=visit.visitor.name,
                now=visit.now,
            )
    except NotFound as error:
        raise not_found() from error
    made = next((each for each in references if each.reference_id == line.reference_id), None)
    return visit.page(
        "photos/beside.html",
        group="people",
        run=run,
        line=line,
        reasons=reasons_of(visit, line),
        who=who,
        before=_before(references, made),
        made=made,
        demands=demands_of(packs) if packs else None,
        packs=[f"{pack.pack_id}/{pack.version}" for pack in packs],
        special=special,
    )


def _before(references: list[ReferenceLine], made: ReferenceLine | None) -> ReferenceLine | None:
    """Return the newest reference that was there before the one of this photograph, those in use first."""
    others = [each for each in references if made is None or (each != made and each.captured_at <= made.captured_at)]
    return next((each for each in others if each.withdrawn_at is None), next(iter(others), None))


def _special(connection: Connection, subject_id: str) -> dict[str, Any] | None:
    """Return the special certification of somebody, an open one first, with what was handed in for it."""
    case = next((each for each in cases_of(connection, subject_id) if each.kind == Kind.SPECIAL), None)
    return None if case is None else {"case": case, "files": files_of(connection, case.case_id)}
