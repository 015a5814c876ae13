"""Cases as SQL: their events, which are only ever added, and the projection that lists are made of. What events mean is told by others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from fleet.store.words import HELD, VOID


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as it is stored."""

    step: str
    at: datetime
    actor_hash: bytes | None
    """None for what happened by itself."""
    actor_sealed: bytes | None
    data: Mapping[str, Any]
    note_sealed: bytes | None = None
    account_id: str | None = None
    """Whose account, where somebody was signed in; not read back."""


@dataclass(frozen=True, slots=True)
class Projected:
    """One case as lists show it."""

    case_id: str
    kind: str
    subject_id: str | None
    state: str
    opened_at: datetime
    asked_at: datetime
    due_on: date
    record_id: str | None
    decided_at: datetime | None
    reason: str | None
    planned_on: date | None
    planned_for: str | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that belongs into a case and is in none."""

    record_id: str
    what: str
    """`review`, `presentation_attack`, or the kind of a case record."""
    is_case: bool
    terminal_id: str
    session_id: str | None
    subject_id: str | None
    """Who the claim names, by the claim token; None where nobody here has it."""
    event_at: datetime
    received_at: datetime
    people: tuple[str, ...]
    """Ids of the operators who were there."""
    closed_at: datetime | None


def create(connection: Connection, row: Projected, *, year: int) -> bool:
    """Insert the head of a case and lock it; return False if it is there, which then is locked.

    It has a number of a year, the next one, from the end of the transaction on.
    """
    made = connection.execute(
        text(f"INSERT INTO cases ({_NAMES}, year) VALUES ({_VALUES}, :year) ON CONFLICT DO NOTHING RETURNING 1"),  # noqa: S608 - our own names
        {**_values(row), "year": year},
    ).scalar_one_or_none()
    if made is None:
        lock(connection, row.case_id)
    return made is not None


def lock(connection: Connection, case_id: str) -> bool:
    """Lock a case for the transaction; return whether it exists."""
    found = connection.execute(text("SELECT 1 FROM cases WHERE case_id = :id FOR UPDATE"), {"id": case_id})
    return found.scalar_one_or_none() is not None


def save(connection: Connection, row: Projected) -> bool:
    """Bring the projection of a case up to date; return whether it said something else before."""
    changes = ", ".join(f"{name} = :{name}" for name in _COLUMNS[1:])
    old = ", ".join(_COLUMNS[1:])
    new = ", ".join(f"CAST(:{name} AS {_TYPES.get(name, 'text')})" for name in _COLUMNS[1:])
    done = connection.execute(
        text(f"UPDATE cases SET {changes} WHERE case_id = :case_id AND ({old}) IS DISTINCT FROM ({new})"),  # noqa: S608 - our own names
        _values(row),
    )
    # The pictures of a terminal's case are needed until it is over.
    connection.execute(
        text(
            "UPDATE case_records SET closed_at = :over WHERE record_id = :case_id AND closed_at IS DISTINCT FROM"
            " CAST(:over AS timestamptz)"
        ),
        {"case_id": row.case_id, "over": row.decided_at or row.closed_at},
    )
    return done.rowcount > 0


def add_event(connection: Connection, case_id: str, number: int, event: StoredEvent) -> None:
    """Add an event to a case that the transaction has locked."""
    connection.execute(
        text(
            "INSERT INTO case_events (case_id, number, step, at, actor_hash, actor_sealed, data, note_sealed, account_id,"  # noqa: S608 - our own words
            " held) VALUES (:case, :number, :step, :at, :hash, :sealed, CAST(:data AS jsonb), :note, :account,"
            f" CASE WHEN CAST(:account AS text) IS NULL THEN NULL ELSE {HELD} END)"
        ),
        {
            "case": case_id,
            "number": number,
            "step": event.step,
            "at": event.at,
            "hash": event.actor_hash,
            "sealed": event.actor_sealed,
            "data": json.dumps(dict(event.data), ensure_ascii=False),
            "note": event.note_sealed,
            "account": event.account_id,
        },
    )


def events_of(connection: Connection, case_id: str) -> list[StoredEvent]:
    """Return the events of a case, in order; empty if there is no such case."""
    rows = connection.execute(
        text(
            "SELECT step, at, actor_hash, actor_sealed, data, note_sealed FROM case_events WHERE case_id = :id"
            " ORDER BY number"
        ),
        {"id": case_id},
    )
    return [stored_event(row) for row in rows]


def void_verdicts(connection: Connection, case_id: str) -> set[bytes]:
    """Return whose verdicts on a case count no more: by the digest of the name."""
    rows = connection.execute(
        text(f"SELECT actor_hash FROM case_events w WHERE case_id = :id AND step = 'verdict' AND {VOID}"),  # noqa: S608 - our own words
        {"id": case_id},
    )
    return {bytes(row.actor_hash) for row in rows}


def verdict_accounts(connection: Connection, case_id: str) -> dict[bytes, str]:
    """Return by the digest of the name of which account each verdict on a case is, of those that have one."""
    rows = connection.execute(
        text(
            "SELECT actor_hash, account_id FROM case_events WHERE case_id = :id AND step = 'verdict' AND account_id IS NOT NULL"
        ),
        {"id": case_id},
    )
    return {bytes(row.actor_hash): row.account_id for row in rows}


def cases_with_void_verdicts(connection: Connection, account_id: str) -> list[str]:
    """Return the cases in review on which an account gave a verdict that counts no more, in the order in which cases are locked."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT case_id FROM case_events w JOIN cases c USING (case_id) WHERE w.account_id = :account"  # noqa: S608 - our own words
            f" AND w.step = 'verdict' AND c.state IN ('in_review', 'disagreed') AND {VOID} ORDER BY case_id"
        ),
        {"account": account_id},
    )
    return list(rows.scalars())


def stored_event(row: Row[Any]) -> StoredEvent:
    """Return a row of the table as an event."""
    return StoredEvent(
        row.step, row.at, _bytes(row.actor_hash), _bytes(row.actor_sealed), row.data, _bytes(row.note_sealed)
    )


def find(connection: Connection, case_id: str) -> Projected | None:
    """Return the projection of a case."""
    row = connection.execute(text(f"SELECT {_NAMES} FROM cases WHERE case_id = :id"), {"id": case_id}).one_or_none()  # noqa: S608 - our own names
    return None if row is None else Projected(*row)


def case_ids(connection: Connection, *, after: str, limit: int) -> list[str]:
    """Return ids of cases in order, those that follow one."""
    rows = connection.execute(
        text("SELECT case_id FROM cases WHERE case_id > :after ORDER BY case_id LIMIT :limit"),
        {"after": after, "limit": limit},
    )
    return list(rows.scalars())


def cases_of(connection: Connection, subject_id: str) -> list[Projected]:
    """Return the cases of a person, the earliest first."""
    rows = connection.execute(
        text(f"SELECT {_NAMES} FROM cases WHERE subject_id = :id ORDER BY asked_at, case_id"),  # noqa: S608 - our own names
        {"id": subject_id},
    )
    return [Projected(*row) for row in rows]


def add_source(connection: Connection, record_id: str, case_id: str) -> None:
    """Note which case a record belongs to."""
    connection.execute(
        text("INSERT INTO case_sources (record_id, case_id) VALUES (:record, :case)"),
        {"record": record_id, "case": case_id},
    )


def candidates(
    connection: Connection, record_ids: Sequence[str] | None, *, accept_simulated: bool, limit: int
) -> list[Candidate]:
    """Return records that belong into a case and are in none, the earliest first.

    Args:
        connection: where to look.
        record_ids: among these; None for all there are.
        accept_simulated: whether records that no camera saw are taken.
        limit: most rows.
    """
    rows = connection.execute(
        text(_CANDIDATES),
        {
            "all": record_ids is None,
            "ids": list(record_ids or ()),
            "simulated": accept_simulated,
            "limit": limit,
        },
    )
    return [
        Candidate(
            row.record_id,
            row.what,
            row.is_case,
            row.terminal_id,
            row.session_id,
            row.subject_id,
            row.event_at,
            row.received_at,
            tuple(who for who in (row.operator, row.witness) if who is not None),
            row.closed_at,
        )
        for row in rows
    ]


def has_operator_of(connection: Connection, case_id: str, account_id: str) -> bool:
    """Return whether the person of an account was operator or witness of a record of a case."""
    found = connection.execute(
        text(
            "SELECT 1 FROM case_sources o LEFT JOIN records r ON r.record_id = o.record_id"
            " LEFT JOIN case_records k ON k.record_id = o.record_id JOIN operators p ON p.operator_id"
            " IN (coalesce(r.payload, k.payload) ->> 'operator', coalesce(r.payload, k.payload) ->> 'witness')"
            " WHERE o.case_id = :id AND p.account_id = :account LIMIT 1"
        ),
        {"id": case_id, "account": account_id},
    )
    return found.one_or_none() is not None


def known_now(connection: Connection) -> list[tuple[str, str]]:
    """Return (case, subject) of the cases about nobody known whose claim token somebody has by now."""
    rows = connection.execute(
        text(
            "SELECT c.case_id, min(s.subject_id) AS subject_id FROM cases c JOIN case_sources o USING (case_id)"
            " LEFT JOIN records r ON r.record_id = o.record_id LEFT JOIN case_records k ON k.record_id = o.record_id"
            " JOIN subjects s ON s.claim_token = coalesce(r.claim_token, k.claim_token)"
            " WHERE c.subject_id IS NULL GROUP BY c.case_id ORDER BY c.case_id"
        )
    )
    return [(row.case_id, row.subject_id) for row in rows]


def pictures_here(connection: Connection, record_ids: Sequence[str]) -> dict[str, set[str]]:
    """Return roles of the pictures that are here, by case record."""
    rows = connection.execute(
        text(
            "SELECT p.record_id, p.role FROM case_photos p JOIN attachments a USING (terminal_id, sha256)"
            " WHERE p.record_id = ANY(:ids)"
        ),
        {"ids": list(record_ids)},
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.record_id, set()).add(row.role)
    return found


def photo_roles(connection: Connection, record_ids: Sequence[str]) -> dict[str, set[str]]:
    """Return roles of the pictures that case records name, here or not."""
    rows = connection.execute(
        text("SELECT record_id, role FROM case_photos WHERE record_id = ANY(:ids)"), {"ids": list(record_ids)}
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.record_id, set()).add(row.role)
    return found


def awaiting_pictures(connection: Connection, digests: Sequence[tuple[str, str]]) -> list[str]:
    """Return the cases that wait for evidence and name one of these pictures, given as (terminal, digest)."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT c.case_id FROM unnest(CAST(:terminals AS text[]), CAST(:digests AS text[]))"
            " AS n (terminal_id, sha256) JOIN case_photos p USING (terminal_id, sha256)"
            " JOIN cases c ON c.case_id = p.record_id WHERE c.state IN ('opened', 'more_evidence') ORDER BY c.case_id"
        ),
        {"terminals": [terminal for terminal, _ in digests], "digests": [digest for _, digest in digests]},
    )
    return list(rows.scalars())


def visited(connection: Connection, subject_ids: Sequence[str] | None) -> list[tuple[str, str]]:
    """Return (case, record) of the home visits asked for that a certified session on a visit has done.

    Args:
        connection: where to look.
        subject_ids: of these people; None for everybody.
    """
    rows = connection.execute(
        text(
            "SELECT DISTINCT ON (c.case_id) c.case_id, r.record_id FROM cases c"
            " JOIN records r ON r.subject_id = c.subject_id JOIN links k ON k.record_id = r.record_id"
            " JOIN subjects s ON s.subject_id = r.subject_id"
            " WHERE c.kind = 'home_visit' AND c.state NOT IN ('passed', 'refused', 'closed')"
            " AND (:all OR c.subject_id = ANY(:ids)) AND r.pass_at >= c.asked_at AND k.chain <> 'broken'"
            " AND r.claim_token = s.claim_token AND jsonb_typeof(r.payload -> 'visit') = 'object'"
            " ORDER BY c.case_id, r.pass_at, r.record_id"
        ),
        {"all": subject_ids is None, "ids": list(subject_ids or ())},
    )
    return [(row.case_id, row.record_id) for row in rows]


def is_chain_broken(connection: Connection, record_ids: Sequence[str | None]) -> bool:
    """Return whether the chain of a terminal is broken at one of these records, or one of them is not here."""
    good = connection.execute(
        text("SELECT count(*) FROM links WHERE record_id = ANY(:ids) AND chain <> 'broken'"), {"ids": list(record_ids)}
    ).scalar_one()
    return int(good) < len(record_ids)


def alarm_moments(
    connection: Connection, *, since: datetime, areas: Sequence[str] | None = None
) -> list[tuple[str, datetime, str]]:
    """Return terminal, moment and state of every attack alarm since a moment, of terminals in some areas or all."""
    rows = connection.execute(
        text(
            "SELECT r.terminal_id, r.event_at, c.state FROM cases c JOIN records r USING (record_id)"
            " LEFT JOIN terminals t ON t.terminal_id = r.terminal_id WHERE c.kind = 'attack_alarm' AND r.event_at >= :since"
            " AND (:all OR t.area = ANY(:areas)) ORDER BY r.event_at, r.record_id"
        ),
        {"since": since, "all": areas is None, "areas": list(areas or ())},
    )
    return [(row.terminal_id, row.event_at, row.state) for row in rows]


_TYPES = {
    "opened_at": "timestamptz",
    "asked_at": "timestamptz",
    "due_on": "date",
    "decided_at": "timestamptz",
    "planned_on": "date",
    "closed_at": "timestamptz",
}
_COLUMNS = (
    "case_id",
    "kind",
    "subject_id",
    "state",
    "opened_at",
    "asked_at",
    "due_on",
    "record_id",
    "decided_at",
    "reason",
    "planned_on",
    "planned_for",
    "closed_at",
)
_NAMES = ", ".join(_COLUMNS)
_VALUES = ", ".join(f":{name}" for name in _COLUMNS)
_CANDIDATES = """
SELECT * FROM (
    SELECT r.record_id, r.outcome AS what, false AS is_case, r.terminal_id, r.session_id, s.subject_id, r.event_at, r.received_at,
        r.payload ->> 'operator' AS operator, r.payload ->> 'witness' AS witness, CAST(NULL AS timestamptz) AS closed_at
    FROM records r LEFT JOIN subjects s ON s.claim_token = r.claim_token
    WHERE r.outcome IN ('review', 'presentation_attack') AND (:all OR r.record_id = ANY(:ids))
        AND (:simulated OR NOT coalesce(CAST(r.payload ->> 'simulated' AS boolean), false))
    UNION ALL
    SELECT k.record_id, k.kind, true, k.terminal_id, NULL, s.subject_id, k.event_at, k.received_at,
        k.payload ->> 'operator', k.payload ->> 'witness', k.closed_at
    FROM case_records k LEFT JOIN subjects s ON s.claim_token = k.claim_token
    WHERE (:all OR k.record_id = ANY(:ids))
        AND (:simulated OR NOT coalesce(CAST(k.payload ->> 'simulated' AS boolean), false))
) found WHERE NOT EXISTS (SELECT 1 FROM case_sources o WHERE o.record_id = found.record_id)
ORDER BY event_at, record_id LIMIT :limit
"""


def _values(row: Projected) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _COLUMNS}


def _bytes(found: Any) -> bytes | None:
    return None if found is None else bytes(found)
