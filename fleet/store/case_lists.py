"""Cases in lists, as SQL: those that cannot wait first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One case in a list."""

    case_id: str
    number: str | None
    """That people say; None in the transaction that opened it."""
    kind: str
    reason: str | None
    """Of a terminal's case record, or of the request or decision."""
    terminal_id: str | None
    subject_id: str | None
    operator: str | None
    asked_at: datetime
    due_on: date
    state: str
    planned_on: date | None
    planned_for: str | None
    pictures_here: int
    pictures: int
    flags: list[str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which cases."""

    is_open_only: bool = False
    kinds: tuple[str, ...] = ()
    """Empty: all."""
    states: tuple[str, ...] = ()
    """Empty: all."""
    due_before: date | None = None
    """Only those that are not over and were due before this day."""
    subject_id: str | None = None


def rows_of(connection: Connection, wanted: Wanted, *, limit: int) -> list[CaseRow]:
    """Return cases: attack alarms that are not over first, then what is not over by the day it is due, then the rest, newest first."""
    rows = connection.execute(
        text(_ROWS),
        {
            "open": wanted.is_open_only,
            "kinds": list(wanted.kinds),
            "states": list(wanted.states),
            "due": wanted.due_before,
            "subject": wanted.subject_id,
            "limit": limit,
        },
    )
    return [CaseRow(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What waits for persons and is listed by other commands."""

    i_am_here: int
    """Live passes against reports."""
    duplicates: int
    """Suspicions that two are one person."""


def waiting_elsewhere(connection: Connection, subject_id: str | None = None) -> Elsewhere:
    """Return how many decisions wait that are no cases of these lists, of everybody or of one subject."""
    row = connection.execute(
        text(
            "SELECT (SELECT count(*) FROM i_am_here WHERE resolved_at IS NULL"
            " AND (CAST(:id AS text) IS NULL OR subject_id = :id)),"
            " (SELECT count(*) FROM duplicate_hits WHERE state = 'open'"
            " AND (CAST(:id AS text) IS NULL OR :id IN (first_subject, second_subject)))"
        ),
        {"id": subject_id},
    ).one()
    return Elsewhere(*row)


_ROWS = """
SELECT c.case_id, c.number, c.kind,
    coalesce(k.payload ->> 'reason', c.reason, e.data -> 'facts' ->> 'reason', e.data -> 'facts' ->> 'field'),
    coalesce(k.terminal_id, r.terminal_id), c.subject_id, coalesce(k.payload ->> 'operator', r.payload ->> 'operator'),
    c.asked_at, c.due_on, c.state, c.planned_on, c.planned_for,
    (SELECT count(*) FROM case_photos p JOIN attachments a USING (terminal_id, sha256) WHERE p.record_id = c.case_id)
        + (SELECT count(*) FROM case_files f WHERE f.case_id = c.case_id AND f.deleted_at IS NULL),
    (SELECT count(*) FROM case_photos p WHERE p.record_id = c.case_id)
        + (SELECT count(*) FROM case_files f WHERE f.case_id = c.case_id),
    coalesce(k.flags, r.flags, CAST('[]' AS jsonb))
FROM cases c JOIN case_events e ON e.case_id = c.case_id AND e.number = 1
LEFT JOIN case_records k ON k.record_id = c.case_id
LEFT JOIN records r ON r.record_id = c.record_id
WHERE (NOT :open OR c.state NOT IN ('passed', 'refused', 'closed'))
    AND (cardinality(CAST(:kinds AS text[])) = 0 OR c.kind = ANY(:kinds))
    AND (cardinality(CAST(:states AS text[])) = 0 OR c.state = ANY(:states))
    AND (CAST(:due AS date) IS NULL OR (c.due_on < :due AND c.state NOT IN ('passed', 'refused', 'closed')))
    AND (CAST(:subject AS text) IS NULL OR c.subject_id = :subject)
ORDER BY c.state IN ('passed', 'refused', 'closed'), c.kind <> 'attack_alarm',
    CASE WHEN c.state IN ('passed', 'refused', 'closed') THEN NULL ELSE c.due_on END, c.asked_at DESC, c.case_id LIMIT :limit
"""
