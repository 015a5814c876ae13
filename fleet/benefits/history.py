"""Everything about one person, for somebody who has a reason to look: the look is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from sqlalchemy import Connection

from fleet.audit.log import note, open_sealed_actor
from fleet.benefits.files import open_text, repaid_stops
from fleet.benefits.months import RepaidStop
from fleet.benefits.standing import PersonStanding, status_of_person
from fleet.benefits.timeline import Entry, merged
from fleet.clock import day_of
from fleet.errors import Refused
from fleet.keys import FieldCipher
from fleet.store.timeline import (
    CHANGED,
    ApprovalRow,
    Before,
    TimelineRow,
    approvals_about,
    approved_ids,
    newest_of,
    timeline_of,
)


@dataclass(frozen=True, slots=True)
class History:
    """What happened, in order, and where the person stands now."""

    entries: tuple[Entry, ...]
    standing: PersonStanding
    repaid: Mapping[str, Sequence[RepaidStop]]
    """By scheme: the stops after which payment went on."""


PAGE = 50
"""Entries of one page of a history."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A piece of what happened, the newest first."""

    entries: tuple[Entry, ...]
    before: str | None
    """Where the older ones begin; None if there are none."""


def history_page(
    connection: Connection, cipher: FieldCipher, subject_id: str, *, before: str, now: datetime, zone: tzinfo
) -> HistoryPage:
    """Return a piece of a person's history. Who shows it to somebody writes that down.

    Args:
        connection: where to read.
        cipher: the fleet's.
        subject_id: whose.
        before: what an earlier page says; empty for the newest.
        now: says how far local time is from UTC.
        zone: where a day begins.

    Raises:
        Refused: if `before` is none of ours.
    """
    start = _before(before) if before else None
    offset = now.astimezone(zone).utcoffset() or timedelta(0)
    local = timezone(offset)
    rows = newest_of(connection, subject_id, before=start, offset=offset, limit=PAGE + 1)
    approved = [_approval(row, cipher) for row in approvals_about(connection, approved_ids(connection, subject_id))]
    earlier = [each for each in approved if start is None or _key(each, local) < (start.at, start.kind, start.entry_id)]
    entries = [*(_entry(row, cipher, subject_id) for row in rows), *earlier]
    entries.sort(key=lambda entry: _key(entry, local), reverse=True)
    shown = entries[:PAGE]
    more = len(entries) > PAGE
    return HistoryPage(tuple(shown), "|".join(_said(_key(shown[-1], local))) if more else None)


def _key(entry: Entry, zone: tzinfo) -> tuple[datetime, str, str]:
    place = f"/{entry.detail['place']}" if entry.kind.startswith("approval.") else ""
    return entry.moment(zone), entry.kind, entry.entry_id + place


def _said(key: tuple[datetime, str, str]) -> tuple[str, str, str]:
    return key[0].astimezone(UTC).isoformat(), key[1], key[2]


def _before(text: str) -> Before:
    at, _, rest = text.partition("|")
    kind, _, entry_id = rest.partition("|")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not kind or not entry_id or "\0" in text:
        raise Refused("history: this address is not one of a page; go back to the newest")
    return Before(moment, kind, entry_id)


def history_of(
    connection: Connection, cipher: FieldCipher, subject_id: str, *, by: str, now: datetime, zone: tzinfo
) -> History:
    """Return a person's history and write down who looked. Call it once in a transaction.

    Raises:
        NotFound: if there is no such subject.
        Refused: if the name cannot be taken.
    """
    standing = status_of_person(connection, subject_id, day_of(now, zone))
    rows = timeline_of(connection, subject_id)
    stops = {str(row.detail["stop_id"]) for row in rows if "stop_id" in row.detail}
    about = sorted(stops | {row.entry_id for row in rows if row.kind in ("i_am_here", "reference_made", "life_event")})
    entries = [
        *(_entry(row, cipher, subject_id) for row in rows),
        *(_approval(row, cipher) for row in approvals_about(connection, about)),
    ]
    repaid = repaid_stops(connection, subject_id)
    note(
        connection,
        cipher,
        actor=by,
        action="subject.history_viewed",
        object_kind="subject",
        object_id=subject_id,
        detail={"entries": len(entries)},
        now=now,
    )
    return History(tuple(merged(entries, zone=zone)), standing, repaid)


def _entry(row: TimelineRow, cipher: FieldCipher, subject_id: str) -> Entry:
    if row.kind.startswith(CHANGED) and row.text_sealed is not None:
        by = open_sealed_actor(cipher, row.text_sealed)
        return Entry(row.kind, row.entry_id, row.at, row.day, {**row.detail, "by": by})
    written = {} if row.text_sealed is None else {"written": open_text(cipher, subject_id, row.text_sealed)}
    return Entry(row.kind, row.entry_id, row.at, row.day, {**row.detail, **written})


def _approval(row: ApprovalRow, cipher: FieldCipher) -> Entry:
    of = f"{row.object_kind}:{row.object_id}"
    return Entry(
        f"approval.{row.object_kind}",
        row.object_id,
        row.approved_at,
        None,
        {
            "place": row.place,
            "by": cipher.decrypt(row.name_sealed, subject_id=of, field_name="approver"),
            "written": cipher.decrypt(row.reason_sealed, subject_id=of, field_name="approval_reason"),
        },
    )
