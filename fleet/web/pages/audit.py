"""The audit log: every change, and every look at personal data, newest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from io import TextIOWrapper
from tempfile import SpooledTemporaryFile
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from sqlalchemy import Connection

from fleet.accounts.failures import ACTION as FAILED
from fleet.accounts.failures import note_failures
from fleet.accounts.roles import Permission
from fleet.audit.log import Question, count, export, newest, open_actor, verify
from fleet.store.case_numbers import find_by_number, numbers_of
from fleet.web.beside import Job
from fleet.web.forms import day_in
from fleet.web.lists import LONGEST, listing, number_in
from fleet.web.logged import Said, areas_of, choices, details
from fleet.web.pages.runs import begin, find, lately
from fleet.web.visits import Visit, needs, sends

router = APIRouter(include_in_schema=False)
_ID = "/{id}"
_PAGES = {
    "subject": "/people/{id}",
    "case": "/cases/{id}",
    "terminal": "/terminals/{id}",
    "duplicate_hit": "/duplicates/{id}",
    "contradiction": "/exchange/contradictions/{id}",
    "feed": "/exchange/feeds/{id}",
    "partner": "/exchange/partners/{id}",
    "unit_list": "/exchange/lists/{id}",
    "list": "/exchange/key-lists",
    "results": "/exchange/key-lists",
    "areas": "/exchange/areas",
    "reminders": "/reminders",
    "reminder_list": "/reminders/lists",
    "consents": "/privacy/consents",
    "erasure": "/privacy/erasures",
    "filing": "/privacy",
}
"""Where each kind of object has its page, or the page of all of them."""
_LISTS = frozenset({"queue", "all"})
"""Ids that stand for all objects of a kind."""
_IN_MEMORY = 16 * 1024 * 1024
"""Of an export; a longer one waits on the disk. Nothing in it says who anybody is."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry, as it is shown."""

    number: int
    at: datetime
    who: str
    action: str
    kind: str
    object_id: str
    detail: list[Said]
    sentence: str = ""
    """In place of the details: of failed attempts to sign in."""
    case_number: str | None = None
    """In place of the id, of a case that is there."""

    @property
    def link(self) -> str | None:
        """Address of what it was done to, where it has a page."""
        return page_of(self.kind, self.object_id)


def page_of(kind: str, object_id: str) -> str | None:
    """Return the address of what an entry is about, where it has a page."""
    path = _PAGES.get(kind)
    if path is None:
        return None
    if object_id in _LISTS:
        return path.removesuffix(_ID)
    return path.replace(_ID, f"/{quote(object_id, safe='')}")


@router.post("/audit/verify")
def check(visit: Annotated[Visit, sends(Permission.AUDIT)]) -> Response:
    """Check the whole log from its first entry, beside the pages."""
    visit.whole_fleet(Permission.AUDIT)

    def work(job: Job) -> Mapping[str, Any]:
        with visit.begin() as connection:
            in_all = count(connection)
            entries, last = verify(connection, tell=lambda done: job.tell(done, in_all))
        return {"entries": entries, "last": last}

    return begin(visit, "audit_check", work)


@router.post("/audit/export")
def give_out(visit: Annotated[Visit, sends(Permission.AUDIT)]) -> Response:
    """Make a file of the whole log, one JSON object a line, checked while it is written; persons appear by keyed hashes only."""
    visit.whole_fleet(Permission.AUDIT)

    def work(job: Job) -> Mapping[str, Any]:
        # Closed by the answer that gives it out, or when the next one is made.
        out = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        written = TextIOWrapper(out, encoding="utf-8", write_through=True)
        with ExitStack() as cleaning:
            cleaning.callback(out.close)
            with visit.begin() as connection:
                in_all = count(connection)
                entries, last = export(connection, written, tell=lambda done: job.tell(done, in_all))
                visit.note(connection, "audit.exported", "audit", "all", entries=entries, last=last)
            cleaning.pop_all()
        written.detach()
        job.hold(out)
        return {"entries": entries, "last": last}

    return begin(visit, "audit_export", work)


@router.get("/audit/exports/{run_id}")
def give_file(visit: Annotated[Visit, needs(Permission.AUDIT)], run_id: str) -> Response:
    """Give the file that an export made to whoever asked for it, once."""
    visit.whole_fleet(Permission.AUDIT)
    run, kind = find(visit, run_id, "audit_export")
    made = visit.console.runs.take(run_id) if run.account_id == visit.visitor.account_id else None
    if not isinstance(made, SpooledTemporaryFile):
        return visit.done(kind.address(run.run_id), "file_gone")
    result = visit.console.runs.result_of(run)
    name = f"audit-{result['entries']}-{result['last'][:16]}.jsonl"
    return StreamingResponse(
        _parts(made),
        media_type="application/jsonl; charset=utf-8",
        headers={"Content-Disposition": f"attachment; filename={name}", "Cache-Control": "no-store"},
    )


def _parts(made: SpooledTemporaryFile[bytes]) -> Iterator[bytes]:
    with made:
        made.seek(0)
        while part := made.read(_PART):
            yield part


_PART = 64 * 1024


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list is narrowed to, as it was typed."""

    who: str = ""
    action: str = ""
    kind: str = ""
    object_id: str = ""
    since: str = ""
    until: str = ""


@router.get("/audit")
def audit(
    visit: Annotated[Visit, needs(Permission.AUDIT)],
    who: str = "",
    action: str = "",
    kind: str = "",
    object_id: str = "",
    since: str = "",
    until: str = "",
    after: str = "",
    before: str = "",
) -> HTMLResponse:
    """Show the log. Entries belong to no area, so it is for whoever may see all of it."""
    visit.whole_fleet(Permission.AUDIT)
    # The service does it by itself; where pages are served alone, whoever looks into the log sees them all the same.
    note_failures(visit.console.database, visit.cipher, now=visit.now)
    found = Filters(who, action, kind, object_id, since, until)
    named = found.object_id[:LONGEST].strip()
    with visit.begin() as connection:
        named = find_by_number(connection, named) or named
    question = Question(
        actor=found.who[:LONGEST],
        action=found.action[:LONGEST].strip(),
        object_kind=found.kind[:LONGEST].strip(),
        object_id=named,
        since=_start(visit, day_in(found.since)),
        until=_start(visit, day_in(found.until), days=1),
    )
    are_swapped = question.since and question.until and question.since >= question.until
    with visit.begin() as connection:
        shown = listing(
            "/audit",
            asdict(found),
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: _rows(visit, connection, question, behind, ahead, limit),
            key=lambda row: str(row.number),
        )
        top = newest(connection, visit.cipher, Question(), limit=1)
    return visit.page(
        "audit/list.html",
        status=422 if are_swapped else 200,
        shown=shown,
        newest=top[0].entry if top else None,
        choices=choices(visit.texts),
        problems=[visit.texts["audit"]["days_swapped"]] if are_swapped else [],
        lately=lately(visit, "audit_check", "audit_export"),
    )


def _rows(visit: Visit, connection: Connection, question: Question, behind: str, ahead: str, limit: int) -> list[Row]:
    found = newest(connection, visit.cipher, question, below=number_in(behind), above=number_in(ahead), limit=limit)
    areas = areas_of(connection, (each.entry for each in found))
    numbers = numbers_of(connection, {each.entry.object_id for each in found if each.entry.object_kind == "case"})
    return [
        Row(
            number=each.entry.entry,
            at=each.entry.at,
            who=open_actor(visit.cipher, each),
            action=each.entry.action,
            kind=each.entry.object_kind,
            object_id=each.entry.object_id,
            detail=details(visit.texts, each.entry.detail, areas),
            sentence=_failures(visit, each.entry.detail) if each.entry.action == FAILED else "",
            case_number=numbers.get(each.entry.object_id),
        )
        for each in found
    ]


def _failures(visit: Visit, detail: Mapping[str, Any]) -> str:
    """Return what an entry of failed attempts to sign in says."""
    texts = visit.texts["audit"]
    since = datetime.fromisoformat(detail["since"]).astimezone(visit.zone)
    counts = {name: detail[name] for name in ("password", "code", "unheard")}
    said_of = str(texts["sign_in_failed"].format(since=f"{since:%Y-%m-%d %H:%M}", **counts))
    addresses = detail.get("addresses")
    return said_of if addresses is None else said_of + str(texts["sign_in_addresses"].format(addresses=addresses))


def _start(visit: Visit, day: date | None, *, days: int = 0) -> datetime | None:
    """Return when a day begins where the agency is."""
    return None if day is None else datetime.combine(day + timedelta(days=days), time.min, visit.zone)
