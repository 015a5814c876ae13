"""The audit log: every change, and every look at personal data, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.audit.log import Question, newest, open_actor
from fleet.web.lists import LONGEST, listing
from fleet.web.visits import Visit, needs

router = APIRouter(include_in_schema=False)
_SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Row:
    """One entry, as it is shown."""

    number: int
    at: datetime
    who: str
    action: str
    kind: str
    object_id: str
    detail: dict[str, Any]
    sha256: str

    @property
    def link(self) -> str | None:
        """Address of what it was done to, where it has a page."""
        folder = {_SUBJECT: "people", "case": "cases", "terminal": "terminals"}.get(self.kind)
        return None if folder is None else f"/{folder}/{self.object_id}"


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
    question = Question(
        actor=who[:LONGEST],
        action=action[:LONGEST].strip(),
        object_kind=kind[:LONGEST].strip(),
        object_id=object_id[:LONGEST].strip(),
        since=_start(visit, day_in(since)),
        until=_start(visit, day_in(until), days=1),
    )
    with visit.begin() as connection:
        shown = listing(
            "/audit",
            {"who": who, "action": action, "kind": kind, "object_id": object_id, "since": since, "until": until},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: _rows(visit, connection, question, behind, ahead, limit),
            key=lambda row: str(row.number),
        )
        top = newest(connection, visit.cipher, Question(), limit=1)
    return visit.page("audit/list.html", shown=shown, newest=top[0].entry if top else None)


def _rows(visit: Visit, connection: Connection, question: Question, behind: str, ahead: str, limit: int) -> list[Row]:
    found = newest(connection, visit.cipher, question, below=_place(behind), above=_place(ahead), limit=limit)
    return [
        Row(
            number=each.entry.entry,
            at=each.entry.at,
            who=open_actor(visit.cipher, each),
            action=each.entry.action,
            kind=each.entry.object_kind,
            object_id=each.entry.object_id,
            detail=each.entry.detail,
            sha256=each.entry.sha256,
        )
        for each in found
    ]


def day_in(written: str) -> date | None:
    """Return the day that an address names; None for what is no day."""
    try:
        return date.fromisoformat(written)
    except ValueError:
        return None


def _start(visit: Visit, day: date | None, *, days: int = 0) -> datetime | None:
    """Return when a day begins where the agency is."""
    return None if day is None else datetime.combine(day + timedelta(days=days), time.min, visit.zone)


def _place(written: str) -> int | None:
    return int(written) if written.isdecimal() and len(written) < 19 else None
