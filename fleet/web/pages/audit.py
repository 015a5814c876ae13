"""The audit log: every change, and every look at personal data, newest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from fleet.audit.log import Question, export, newest, open_actor, verify
from fleet.errors import CheckFailed
from fleet.store.case_numbers import find_by_number, numbers_of
from fleet.web.forms import day_in
from fleet.web.lists import LONGEST, listing, number_in
from fleet.web.logged import Said, areas_of, choices, details
from fleet.web.sending import said
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
    """Check the whole log from its first entry."""
    visit.whole_fleet(Permission.AUDIT)
    texts = visit.texts["audit"]
    try:
        with visit.begin() as connection:
            count, last = verify(connection)
    except CheckFailed as error:
        return _list(visit, Filters(), problems=[texts["broken"], *said(visit, error)], status=409)
    return _list(visit, Filters(), told=texts["whole"].format(count=count, last=last))


@router.post("/audit/export")
def give_out(visit: Annotated[Visit, sends(Permission.AUDIT)]) -> Response:
    """Give the whole log, one JSON object a line, checked while it is written; persons appear by keyed hashes only."""
    visit.whole_fleet(Permission.AUDIT)
    # Closed by the answer, once it is sent.
    out = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
    written = TextIOWrapper(out, encoding="utf-8", write_through=True)
    try:
        with visit.begin() as connection:
            count, last = export(connection, written)
            visit.note(connection, "audit.exported", "audit", "all", entries=count, last=last)
    except CheckFailed as error:
        written.close()
        return _list(visit, Filters(), problems=[visit.texts["audit"]["broken"], *said(visit, error)], status=409)
    written.seek(0)
    name = f"audit-{count}-{last[:16]}.jsonl"
    return StreamingResponse(
        _parts(written),
        media_type="application/jsonl; charset=utf-8",
        headers={"Content-Disposition": f"attachment; filename={name}", "Cache-Control": "no-store"},
    )


def _parts(written: TextIOWrapper) -> Iterator[str]:
    with written:
        while part := written.read(_PART):
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
    return _list(visit, Filters(who, action, kind, object_id, since, until), after=after, before=before)


def _list(
    visit: Visit,
    found: Filters,
    *,
    after: str = "",
    before: str = "",
    problems: Sequence[str] = (),
    told: str = "",
    status: int = 200,
) -> HTMLResponse:
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
    if question.since and question.until and question.since >= question.until:
        problems = [*problems, visit.texts["audit"]["days_swapped"]]
        status = 422 if status == 200 else status
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
        status=status,
        shown=shown,
        newest=top[0].entry if top else None,
        choices=choices(visit.texts),
        problems=problems,
        told=told,
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
