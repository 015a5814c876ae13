"""Lists of calls and visits for the staff of villages and units, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Response

from fleet.accounts.roles import Permission
from fleet.reminders.ladder import prove_steps
from fleet.reminders.lists import Wanted, list_out
from fleet.reminders.results import OUTCOMES, take_results
from fleet.store import reminder_pages
from fleet.store.areas import area_names
from fleet.tables.reading import MAX_BYTES, Upload
from fleet.tables.writing import to_csv
from fleet.web.lists import Listing, listing, moment_in
from fleet.web.pages.reminders import tabs
from fleet.web.sending import CSV, HTML, Refusals, download, said, uploaded
from fleet.web.visits import Visit, needs, sends

router = APIRouter(include_in_schema=False)
_SEND = Permission.REMINDERS_SEND
_RESULT_COLUMNS = ("code", "result", "worker", "day", "new_phone")


@router.get("/reminders/lists")
def lists(visit: Annotated[Visit, needs(_SEND)], code: str = "", after: str = "", before: str = "") -> Response:
    """Show calls and visits of which no result came, with the forms for lists and results."""
    return _lists(visit, code=code, after=after, before=before)


def _lists(
    visit: Visit,
    *,
    code: str = "",
    after: str = "",
    before: str = "",
    problems: Sequence[str] = (),
    told: Sequence[str] = (),
    status: int = 200,
    form: str = "",
) -> Response:
    with visit.begin() as connection:
        codes = visit.codes(connection, _SEND)
        shown: Listing[reminder_pages.StepLine] = listing(
            "/reminders/lists",
            {},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: reminder_pages.on_lists(
                connection, codes, below=moment_in(behind), above=moment_in(ahead), limit=limit
            ),
            key=lambda row: f"{row.at.isoformat()}|{row.reminder_id}",
        )
        names = {row.reminder_id: visit.opened(row.name_sealed, of=row.subject_id) for row in shown.rows}
        areas = area_names(connection, {row.area for row in shown.rows})
        if names:
            visit.note(
                connection,
                "reminders.listed_viewed",
                "reminders",
                "lists",
                about=[row.subject_id for row in shown.rows],
                names_shown=len(names),
            )
    texts = visit.texts["reminders"]
    return visit.page(
        "reminders/lists.html",
        status=status,
        tabs=tabs(visit, "lists"),
        shown=shown,
        names=names,
        areas=areas,
        outcomes=[(each, texts["outcomes"][each]) for each in OUTCOMES],
        code=code if code.isalnum() else "",
        problems=problems,
        told=told,
        typed=visit.sent.fields,
        form=form,
    )


@router.post("/reminders/lists")
def make(visit: Annotated[Visit, sends(_SEND)]) -> Response:
    """Give a list of calls and visits, for the staff of a unit or a village."""
    sent = visit.sent
    with visit.begin() as connection:
        codes = visit.codes(connection, _SEND)
    language: Literal["zh", "en"] = "zh" if visit.language == "zh" else "en"
    wanted = Wanted(sent.text("area") or None, sent.text("unit") or None, "again" in sent.fields, language)
    try:
        made = list_out(
            visit.console.database,
            visit.keys,
            visit.console.settings.reminders,
            wanted,
            within=codes,
            by=visit.visitor.name,
            zone=visit.zone,
            now=visit.now,
        )
    except Refusals as error:
        return _lists(visit, problems=said(visit, error), status=422, form="list")
    name = f"reminders-{made.listed.list_id}"
    if sent.text("format") == "html":
        return download(made.page, f"{name}.html", HTML)
    return download(made.table, f"{name}.csv", CSV)


@router.post("/reminders/results")
def results(visit: Annotated[Visit, sends(_SEND, files=MAX_BYTES)]) -> Response:
    """Take what came of calls and visits: a list that was filled in, or one result as it was typed."""
    sent, file = visit.sent, uploaded(visit, "file")
    if file is None:
        file = Upload(to_csv((_RESULT_COLUMNS, [[sent.text(name) for name in _RESULT_COLUMNS]])))
    form = "file" if "file" in sent.files else "result"
    with visit.begin() as connection:
        codes = visit.codes(connection, _SEND)
    try:
        done = take_results(
            visit.console.database,
            visit.keys,
            file,
            by=visit.visitor.name,
            zone=visit.zone,
            now=visit.now,
            areas=codes,
        )
    except Refusals as error:
        return _lists(visit, problems=said(visit, error), status=422, form=form)
    proven = prove_steps(visit.console.database, visit.cipher, now=visit.now, zone=visit.zone)
    texts = visit.texts["reminders"]
    if not done.new and not done.unchanged:
        return _lists(visit, problems=[texts["no_result"]], status=422, form=form)
    sentence = texts["taken"].format(
        new=done.new, unchanged=done.unchanged, empty=done.empty, phones=done.phones, proven=proven
    )
    return _lists(visit, told=[sentence])
