"""Erasing one person from all tables, as SQL: which rows are theirs, what they were worth, and what is done to them.

Which table is deleted, pseudonymised or kept is data (`fleet/privacy/register.toml`); how is here. A pseudonymised record names a random
token of its own, so that the records of one person no longer lead to each other either; its signed bytes, which still have the old
token, go, while their digests keep the chain whole.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from protocol import base64url


@dataclass(frozen=True, slots=True)
class Person:
    """By what rows of one person are known."""

    subject_id: str
    token: str
    records: tuple[str, ...]
    """Ids of certification records and case records."""
    cases: tuple[str, ...]

    @property
    def values(self) -> dict[str, list[str]]:
        """What each kind of column may hold."""
        return {
            "subject": [self.subject_id],
            "token": [self.token],
            "record": list(self.records),
            "case": list(self.cases),
        }


@dataclass(frozen=True, slots=True)
class Affected:
    """What was done to a table."""

    table: str
    rows: int
    sha256: str
    """Of the rows as they were, as JSON, one a line, in order."""


def person_of(connection: Connection, subject_id: str, token: str) -> Person:
    """Return by what a person is known."""
    rows = connection.execute(
        text(
            "SELECT record_id FROM records WHERE subject_id = :id OR claim_token = :token UNION"
            " SELECT record_id FROM case_records WHERE subject_id = :id OR claim_token = :token"
            " UNION SELECT record_id FROM made_references WHERE subject_id = :id ORDER BY 1"
        ),
        {"id": subject_id, "token": token},
    )
    records = tuple(rows.scalars())
    cases = connection.execute(
        text("SELECT case_id FROM cases WHERE subject_id = :id ORDER BY case_id"), {"id": subject_id}
    )
    return Person(subject_id, token, records, tuple(cases.scalars()))


def erase_table(
    connection: Connection, table: str, erase: str, by: Mapping[str, str], person: Person, *, now: datetime
) -> Affected:
    """Delete or pseudonymise a person's rows of one table.

    Args:
        connection: a transaction.
        table: which.
        erase: `delete` or `pseudonymise`.
        by: column -> what it holds, `subject`, `token`, `record` or `case`.
        person: whose.
        now: when.
    """
    if (key := _AS_THEY_CAME.get(table)) is not None:
        return _change(
            connection, table, "DELETE FROM", f"{key} = ANY(:ids)", {"ids": _named(connection, table, person)}
        )
    where = _WHERE.get(table) or " OR ".join(f"{column} = ANY(:{holds})" for column, holds in sorted(by.items()))
    values: dict[str, object] = {name: found for name, found in person.values.items() if f":{name}" in where}
    if erase == "delete":
        return _change(connection, table, "DELETE FROM", where, values)
    return _change(connection, table, "UPDATE", where, values, _PSEUDONYM[table], now=now)


def records_of_nobody(connection: Connection, *, received_before: datetime, limit: int) -> list[str]:
    """Return records and cases whose token nobody has, and that were not pseudonymised before."""
    rows = connection.execute(
        text(
            "SELECT l.record_id FROM links l LEFT JOIN records r USING (record_id) LEFT JOIN case_records c USING (record_id)"
            " WHERE l.kind IN ('record', 'case') AND l.received_at < :before AND l.envelope <> ''::bytea"
            " AND NOT EXISTS (SELECT 1 FROM subjects s WHERE s.claim_token = coalesce(r.claim_token, c.claim_token)"
            " OR s.subject_id = coalesce(r.subject_id, c.subject_id)) ORDER BY l.received_at, l.record_id LIMIT :limit"
        ),
        {"before": received_before, "limit": limit},
    )
    return list(rows.scalars())


def old_records(connection: Connection, *, before: datetime, limit: int) -> list[str]:
    """Return records and closed cases of before a moment, but for the last pass of each person and what a status names."""
    rows = connection.execute(
        text(
            "SELECT r.record_id FROM records r WHERE r.event_at < :before AND r.subject_id IS NOT NULL AND NOT EXISTS ("
            " SELECT 1 FROM statuses s WHERE s.subject_id = r.subject_id"
            " AND r.record_id IN (s.last_record, s.last_pass_record, s.last_act))"
            " UNION ALL SELECT c.record_id FROM case_records c WHERE c.event_at < :before AND c.closed_at IS NOT NULL"
            " AND c.subject_id IS NOT NULL ORDER BY 1 LIMIT :limit"
        ),
        {"before": before, "limit": limit},
    )
    return list(rows.scalars())


def subjects_of(connection: Connection, record_ids: Sequence[str]) -> list[str]:
    """Return whose certification records these are."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT subject_id FROM records WHERE record_id = ANY(:ids) AND subject_id IS NOT NULL ORDER BY 1"
        ),
        {"ids": list(record_ids)},
    )
    return list(rows.scalars())


def pseudonymise_records(connection: Connection, record_ids: Sequence[str], *, now: datetime) -> dict[str, int]:
    """Part these records and cases from whom they are about; return rows by table."""
    found: dict[str, int] = {}
    brought = connection.execute(
        text(
            "SELECT e.record_id FROM made_references m JOIN terminal_events e USING (record_id)"
            " WHERE e.payload #>> '{proposal,session_record}' = ANY(:ids)"
        ),
        {"ids": list(record_ids)},
    )
    record_ids = [*record_ids, *brought.scalars()]
    for table in ("records", "case_records", "terminal_events", "links"):
        done = _change(
            connection,
            table,
            "UPDATE",
            "record_id = ANY(:record)",
            {"record": list(record_ids)},
            _PSEUDONYM[table],
            now=now,
        )
        found[table] = done.rows
    return found


def delete_quarantined(connection: Connection, *, last_before: datetime) -> int:
    """Delete refused messages that came last before a moment; return how many."""
    return int(
        connection.execute(
            text(
                "WITH gone AS (DELETE FROM quarantine WHERE last_at < :before RETURNING terminal_id, known), fewer AS ("
                " UPDATE terminals t SET quarantined = t.quarantined - g.messages FROM (SELECT terminal_id, count(*) AS messages"
                " FROM gone WHERE known GROUP BY terminal_id) g WHERE t.terminal_id = g.terminal_id)"
                " SELECT count(*) FROM gone"
            ),
            {"before": last_before},
        ).scalar_one()
    )


def delete_reminders(connection: Connection, *, before: datetime) -> int:
    """Delete steps that were settled or cancelled before a moment, and occasions noted before it; return how many steps.

    Those of somebody's present period stay, however long it lasts: without them the same would be told again.
    """
    connection.execute(text("DELETE FROM reminder_occasions WHERE noted_at < :before"), {"before": before})
    return connection.execute(
        text(
            "DELETE FROM reminders r WHERE r.state IN ('delivered', 'failed', 'cancelled')"
            " AND coalesce(r.settled_at, r.planned_at) < :before"
            " AND NOT EXISTS (SELECT 1 FROM statuses s WHERE s.subject_id = r.subject_id AND s.due = r.occasion)"
        ),
        {"before": before},
    ).rowcount


def delete_tombstones(connection: Connection) -> int:
    """Delete removed entries of people who are no longer here, once their terminal says that it has them; return how many."""
    return connection.execute(
        text(
            "DELETE FROM roster_entries e USING terminals t WHERE t.terminal_id = e.terminal_id AND e.removed"
            " AND (t.roster_have >= e.version OR t.retired_at IS NOT NULL)"
            " AND NOT EXISTS (SELECT 1 FROM subjects s WHERE s.subject_id = e.subject_id)"
        )
    ).rowcount


def add_proof(connection: Connection, erasure_id: str, subject_sha256: str, proof: bytes, *, now: datetime) -> None:
    """Store a signed proof."""
    connection.execute(
        text(
            "INSERT INTO erasures (erasure_id, subject_sha256, erased_at, proof) VALUES (:id, :subject, :now, :proof)"
        ),
        {"id": erasure_id, "subject": subject_sha256, "now": now, "proof": proof},
    )


def proofs(connection: Connection) -> dict[str, bytes]:
    """Return all signed proofs by the id of their erasure, oldest first."""
    rows = connection.execute(text("SELECT erasure_id, proof FROM erasures ORDER BY erased_at, erasure_id"))
    return {row.erasure_id: bytes(row.proof) for row in rows}


def tables(connection: Connection) -> dict[str, dict[str, str]]:
    """Return all tables there are, with their columns and the type of each."""
    rows = connection.execute(
        text(
            "SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c JOIN information_schema.tables t"
            " USING (table_schema, table_name) WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'"
            " ORDER BY c.table_name, c.ordinal_position"
        )
    )
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        found.setdefault(row.table_name, {})[row.column_name] = row.data_type
    return found


_DRAWN = "translate(rtrim(encode(sha256(convert_to(gen_random_uuid()::text, 'UTF8')), 'base64'), '='), '+/', '-_')"
"""A random token of the form of any other. Source: PostgreSQL 14, 9.5 and 9.14; 122 random bits."""
_ID = "to_jsonb(replace(gen_random_uuid()::text, '-', ''))"
_CLAIM = "'{claim,token}', to_jsonb(n.token)), '{claim,subject_id}', 'null')"
_PSEUDONYM: dict[str, str] = {
    "records": (
        "SET subject_id = NULL, claim_token = n.token, payload ="  # noqa: S608 - our own fragments
        " jsonb_set(jsonb_set(jsonb_set(jsonb_set(CASE WHEN jsonb_typeof(t.payload -> 'comparison') = 'object'"
        f" THEN jsonb_set(t.payload, '{{comparison,reference_id}}', {_ID}) ELSE t.payload END, {_CLAIM},"
        " '{visit}', 'null', false), '{reference}', 'null', false)"
        f" FROM (SELECT record_id AS named, {_DRAWN} AS token FROM records WHERE record_id = ANY(:record)) n"
        " WHERE t.record_id = n.named"
    ),
    "case_records": (
        "SET subject_id = NULL, claim_token = n.token,"  # noqa: S608 - our own fragments
        " closed_at = coalesce(closed_at, :now), payload = jsonb_set(jsonb_set(jsonb_set(jsonb_set("
        "CASE WHEN jsonb_typeof(t.payload -> 'proxy') = 'object'"
        " THEN jsonb_set(t.payload, '{proxy,token}', to_jsonb(n.proxy)) ELSE t.payload END,"
        f" {_CLAIM}, '{{place}}', 'null', false), '{{reference}}', 'null', false)"
        f" FROM (SELECT record_id AS named, {_DRAWN} AS token, {_DRAWN} AS proxy FROM case_records"
        " WHERE record_id = ANY(:record)) n WHERE t.record_id = n.named"
    ),
    "cases": "SET subject_id = NULL WHERE subject_id = ANY(:subject)",
    # After `cases`: the database lets go of it only where the case leads to nobody.
    "case_events": "SET data = data - 'subject_id', note_sealed = NULL WHERE case_id = ANY(:case)",
    # One id for the events of one benefit, another one for those of another.
    "benefit_events": (
        "SET subject_id = left(encode(sha256(convert_to(:drawn || scheme, 'UTF8')), 'hex'), 32), text_sealed = NULL"
        " WHERE subject_id = ANY(:subject)"
    ),
    "unit_lists": f"SET handler_token = {_DRAWN} WHERE handler_token = ANY(:token)",
    "terminal_events": "SET payload = payload #- '{proposal}' WHERE record_id = ANY(:record)",
    "links": "SET envelope = ''::bytea WHERE record_id = ANY(:record)",
    "cards": (
        "SET subject_id = NULL, officer_sealed = NULL, revoked_at = coalesce(revoked_at, :now)"
        " WHERE subject_id = ANY(:subject)"
    ),
}
_WHERE = {
    # Pictures that a case of somebody else names as well stay for that case.
    "attachments": (
        "EXISTS (SELECT 1 FROM case_photos p WHERE p.terminal_id = t.terminal_id AND p.sha256 = t.sha256"
        " AND p.record_id = ANY(:record)) AND NOT EXISTS (SELECT 1 FROM case_photos p WHERE p.terminal_id = t.terminal_id"
        " AND p.sha256 = t.sha256 AND p.record_id <> ALL(:record))"
    ),
    "feed_delivery_rows": (
        "EXISTS (SELECT 1 FROM feed_rows f WHERE f.row_key = t.row_key"
        " AND (f.subject_id = ANY(:subject) OR f.claim_token = ANY(:token)))"
    ),
    "reminder_deliveries": (
        "EXISTS (SELECT 1 FROM reminders r WHERE r.reminder_id = t.reminder_id AND r.subject_id = ANY(:subject))"
    ),
    "partner_requests": (
        "EXISTS (SELECT 1 FROM unnest(CAST(:subject AS text[])) AS named (id) WHERE strpos(t.answer, named.id) > 0)"
    ),
}


def _change(
    connection: Connection,
    table: str,
    verb: str,
    where: str,
    values: Mapping[str, object],
    change: str | None = None,
    *,
    now: datetime | None = None,
) -> Affected:
    found = connection.execute(
        text(
            "SELECT count(*) AS rows, encode(sha256(convert_to(coalesce(string_agg(to_jsonb(t)::text, E'\\n'"  # noqa: S608 - our own fragments
            f" ORDER BY to_jsonb(t)::text), ''), 'UTF8')), 'hex') AS sha256 FROM {table} t WHERE {where}"
        ),
        dict(values),
    ).one()
    if found.rows:
        more = {"now": now, "drawn": os.urandom(16).hex()}
        said = {name: value for name, value in more.items() if change is not None and f":{name}" in change}
        connection.execute(text(f"{verb} {table} t {change or f'WHERE {where}'}"), {**values, **said})
    return Affected(table, found.rows, found.sha256)


_AS_THEY_CAME = {"quarantine": "quarantine_id", "held_messages": "held_id"}
"""Tables of messages as terminals sent them, and their keys."""


def _named(connection: Connection, table: str, person: Person) -> list[int]:
    """Return messages that name the person: what was signed stands in them in base64url."""
    rows = connection.execute(
        text(f"SELECT {_AS_THEY_CAME[table]} AS key, envelope FROM {table} ORDER BY 1"),  # noqa: S608 - our own names
        execution_options={"yield_per": 100},
    )
    named: Collection[bytes] = (person.subject_id.encode(), person.token.encode())
    return [row.key for row in rows if any(name in _payload(bytes(row.envelope)) for name in named)]


def _payload(envelope: bytes) -> bytes:
    parts = envelope.split(b".")
    try:
        return envelope + base64url.decode(parts[1].decode()) if len(parts) > 1 else envelope
    except ValueError:
        # Cut off, or no signed message: whatever can be read of it is looked at.
        return envelope
