"""Everything that is known of one person, from every table that knows something, as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

CHANGED = "changed."
"""How the kind begins of what was changed about a person, told from the audit log; after it its action."""


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One thing that happened."""

    kind: str
    entry_id: str
    at: datetime | None
    day: date | None
    """Where only a day is known."""
    detail: dict[str, Any]
    text_sealed: bytes | None = None
    """What a person wrote, encrypted; of a change by hand (`CHANGED`) who made it, as the audit log has them."""


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """One person's word on something about the person; who and why are encrypted."""

    object_kind: str
    object_id: str
    place: int
    name_sealed: bytes
    reason_sealed: bytes
    approved_at: datetime


def timeline_of(connection: Connection, subject_id: str) -> list[TimelineRow]:
    """Return everything about one person, in no order."""
    rows = connection.execute(text(_TIMELINE), {"id": subject_id})
    return [_row(row) for row in rows]


def _row(row: Any) -> TimelineRow:
    sealed = None if row.text_sealed is None else bytes(row.text_sealed)
    return TimelineRow(row.kind, row.entry_id, row.at, row.day, row.detail, sealed)


@dataclass(frozen=True, slots=True)
class Before:
    """The entry before which others are read."""

    at: datetime
    kind: str
    entry_id: str


def newest_of(
    connection: Connection, subject_id: str, *, before: Before | None, offset: timedelta, limit: int
) -> list[TimelineRow]:
    """Return the newest of everything about one person, the newest first.

    Args:
        connection: where to read.
        subject_id: whose.
        before: only what stands before this; None for the newest of all.
        offset: of local time from UTC: what is known by its day only stands at the beginning of it.
        limit: most entries.
    """
    rows = connection.execute(
        text(
            "SELECT * FROM (SELECT x.*, coalesce(x.at, (CAST(x.day AS timestamp) - CAST(:offset AS interval)) AT TIME ZONE 'UTC')"  # noqa: S608 - our own text
            f" AS stands_at FROM ({_TIMELINE}) AS x) AS y"
            ' WHERE CAST(:at AS timestamptz) IS NULL OR (y.stands_at, y.kind COLLATE "C", y.entry_id COLLATE "C")'
            " < (:at, :kind, :entry)"
            ' ORDER BY y.stands_at DESC, y.kind COLLATE "C" DESC, y.entry_id COLLATE "C" DESC LIMIT :limit'
        ),
        {
            "id": subject_id,
            "offset": offset,
            "at": None if before is None else before.at,
            "kind": None if before is None else before.kind,
            "entry": None if before is None else before.entry_id,
            "limit": limit,
        },
    )
    return [_row(row) for row in rows]


def approved_ids(connection: Connection, subject_id: str) -> list[str]:
    """Return the ids of what persons may have given their word on about somebody."""
    rows = connection.execute(
        text(
            "SELECT body ->> 'stop_id' AS id FROM benefit_events WHERE subject_id = :id AND body ->> 'stop_id' IS NOT NULL"
            " UNION SELECT case_id FROM i_am_here WHERE subject_id = :id"
            " UNION SELECT reference_id FROM references_ WHERE subject_id = :id"
            " UNION SELECT event_id FROM life_events WHERE subject_id = :id ORDER BY 1"
        ),
        {"id": subject_id},
    )
    return list(rows.scalars())


def approvals_about(connection: Connection, object_ids: Sequence[str]) -> list[ApprovalRow]:
    """Return the approvals of these objects, and of what their ids begin (`<stop id>/<reason>/<month>`)."""
    rows = connection.execute(
        text(
            "SELECT object_kind, object_id, place, name_sealed, reason_sealed, approved_at FROM approvals"
            " WHERE split_part(object_id, '/', 1) = ANY(:ids) ORDER BY approved_at, object_kind, object_id, place"
        ),
        {"ids": list(object_ids)},
    )
    return [
        ApprovalRow(
            row.object_kind,
            row.object_id,
            row.place,
            bytes(row.name_sealed),
            bytes(row.reason_sealed),
            row.approved_at,
        )
        for row in rows
    ]


# What was withdrawn or closed is a second entry. What a reviewer said is told once the case is decided: the next one is not to follow it.
_TIMELINE = """
SELECT 'record' AS kind, record_id AS entry_id, event_at AS at, NULL::date AS day, jsonb_build_object(
    'terminal', terminal_id, 'purpose', coalesce(payload ->> 'purpose', 'certification'), 'outcome', outcome,
    'counts', pass_at IS NOT NULL, 'flags', flags, 'received_at', received_at) AS detail, NULL::bytea AS text_sealed
    FROM records WHERE subject_id = :id
UNION ALL
SELECT 'act', act_id, acted_at, NULL, jsonb_build_object('kind', kind, 'channel', channel, 'source', source), NULL
    FROM acts WHERE subject_id = :id
UNION ALL
SELECT 'act_withdrawn', act_id, withdrawn_at, NULL, jsonb_build_object('kind', kind, 'source', source), NULL
    FROM acts WHERE subject_id = :id AND withdrawn_at IS NOT NULL
UNION ALL
SELECT 'life_event', event_id, NULL, since, jsonb_build_object('kind', kind, 'until', until, 'source', source,
    'confirmed', confirmed, 'reported_on', reported_on, 'received_at', received_at) || detail, NULL
    FROM life_events WHERE subject_id = :id
UNION ALL
SELECT 'life_event_withdrawn', event_id, withdrawn_at, NULL, jsonb_build_object('kind', kind, 'source', source), NULL
    FROM life_events WHERE subject_id = :id AND withdrawn_at IS NOT NULL
UNION ALL
SELECT 'benefit.' || kind, scheme || '/' || number, at, NULL, body - 'person' || jsonb_build_object('scheme', scheme, 'day', day),
    text_sealed FROM benefit_events WHERE subject_id = :id
UNION ALL
SELECT 'case_taken_in', record_id, event_at, NULL, jsonb_build_object('kind', kind, 'terminal', terminal_id,
    'received_at', received_at), NULL FROM case_records WHERE subject_id = :id
UNION ALL
SELECT 'case.' || e.step, c.case_id || '/' || e.number, e.at, NULL, jsonb_strip_nulls(jsonb_build_object(
    'kind', c.kind, 'case', c.case_id, 'number', c.number,
    'verdict', CASE WHEN c.state IN ('passed', 'refused', 'closed') THEN e.data ->> 'verdict' END,
    'reason', CASE WHEN e.step <> 'verdict' OR c.state IN ('passed', 'refused', 'closed') THEN e.data ->> 'reason' END)), NULL
    FROM cases c JOIN case_events e USING (case_id) WHERE c.subject_id = :id
UNION ALL
SELECT 'reminder.' || step, reminder_id, coalesce(settled_at, sent_at, planned_at), NULL, jsonb_strip_nulls(jsonb_build_object(
    'kind', kind, 'state', state, 'outcome', outcome, 'code', code, 'proof_day', proof_day)), NULL
    FROM reminders WHERE subject_id = :id
UNION ALL
SELECT 'i_am_here', case_id, opened_at, NULL, jsonb_build_object('pass', pass_id, 'reports', event_ids), NULL
    FROM i_am_here WHERE subject_id = :id
UNION ALL
SELECT 'i_am_here_decided', case_id, resolved_at, NULL, jsonb_build_object('resolution', resolution), NULL
    FROM i_am_here WHERE subject_id = :id AND resolved_at IS NOT NULL
UNION ALL
SELECT 'reference_made', reference_id, captured_at, NULL, jsonb_build_object('capture', capture, 'state', state,
    'legal_basis', legal_basis, 'valid_until', valid_until), NULL FROM references_ WHERE subject_id = :id
UNION ALL
SELECT 'reference_withdrawn', reference_id, withdrawn_at, NULL, '{}'::jsonb, NULL
    FROM references_ WHERE subject_id = :id AND withdrawn_at IS NOT NULL
UNION ALL
SELECT 'changed.' || action, lpad(entry::text, 19, '0'), at, NULL, detail, actor_sealed FROM audit_log
    WHERE object_kind = 'subject' AND object_id = :id AND action IN ('subject.changed', 'contacts.changed', 'subject.imported')
"""
