"""Lists of people as of a key date (R2-9, R2-10), as SQL. A list that is here is never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class KeyList:
    """One list."""

    list_id: str
    name: str
    as_of: date
    sha256: str
    """Of the file."""
    rows: int
    taken_at: datetime
    taken_by_sealed: bytes


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """One benefit on a list."""

    subject_id: str
    scheme: str
    region: str
    category: str
    started: date


def find_list(connection: Connection, list_id: str) -> KeyList | None:
    """Return a list by id."""
    row = connection.execute(text(_SELECT + " WHERE list_id = :id"), {"id": list_id}).one_or_none()
    return None if row is None else KeyList(*row)


def find_named(connection: Connection, name: str, as_of: date) -> KeyList | None:
    """Return the list of a name and day; others that ask for it wait until this transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"list:{as_of}:{name}"})
    row = connection.execute(
        text(_SELECT + " WHERE name = :name AND as_of = :as_of"), {"name": name, "as_of": as_of}
    ).one_or_none()
    return None if row is None else KeyList(*row)


def lists(connection: Connection) -> list[KeyList]:
    """Return all lists, the newest key date first."""
    return [KeyList(*row) for row in connection.execute(text(_SELECT + " ORDER BY as_of DESC, name"))]


def add_list(connection: Connection, found: KeyList, members: Sequence[Member]) -> None:
    """Store a list with its members."""
    connection.execute(
        text(
            "INSERT INTO lists (list_id, name, as_of, sha256, rows, taken_at, taken_by_sealed)"
            " VALUES (:list_id, :name, :as_of, :sha256, :rows, :taken_at, :taken_by)"
        ),
        {
            "list_id": found.list_id,
            "name": found.name,
            "as_of": found.as_of,
            "sha256": found.sha256,
            "rows": found.rows,
            "taken_at": found.taken_at,
            "taken_by": found.taken_by_sealed,
        },
    )
    connection.execute(
        text(
            "INSERT INTO list_members (list_id, subject_id, scheme, region, category, started)"
            " SELECT :list_id, p.* FROM unnest(CAST(:subjects AS text[]), CAST(:schemes AS text[]),"
            " CAST(:regions AS text[]), CAST(:categories AS text[]), CAST(:started AS date[])) AS p"
        ),
        {
            "list_id": found.list_id,
            "subjects": [member.subject_id for member in members],
            "schemes": [member.scheme for member in members],
            "regions": [member.region for member in members],
            "categories": [member.category for member in members],
            "started": [member.started for member in members],
        },
    )
    connection.execute(
        text(
            "INSERT INTO list_coverage (as_of, scheme, region) SELECT DISTINCT CAST(:as_of AS date), scheme, region"
            " FROM list_members WHERE list_id = :list_id ON CONFLICT DO NOTHING"
        ),
        {"as_of": found.as_of, "list_id": found.list_id},
    )


def members_of(connection: Connection, list_id: str) -> list[Member]:
    """Return everybody on a list."""
    rows = connection.execute(
        text(
            "SELECT subject_id, scheme, region, category, started FROM list_members WHERE list_id = :id ORDER BY 1, 2"
        ),
        {"id": list_id},
    )
    return [Member(*row) for row in rows]


def days_left_off(connection: Connection, subject_ids: Sequence[str]) -> dict[tuple[str, str], frozenset[date]]:
    """Return the key dates whose lists leave a benefit of these people off, by subject and scheme.

    A list is about the schemes and regions of those who are on it; of others it says nothing.
    """
    rows = connection.execute(
        text(
            "SELECT b.subject_id, b.scheme, array_agg(DISTINCT c.as_of) AS days FROM benefits b"
            " JOIN list_coverage c ON c.scheme = b.scheme AND c.region = b.region WHERE b.subject_id = ANY(:ids)"
            " AND NOT EXISTS (SELECT 1 FROM list_members m JOIN lists l USING (list_id) WHERE l.as_of = c.as_of"
            " AND m.subject_id = b.subject_id AND m.scheme = b.scheme) GROUP BY b.subject_id, b.scheme"
        ),
        {"ids": list(subject_ids)},
    )
    return {(row.subject_id, row.scheme): frozenset(row.days) for row in rows}


def covered_by(connection: Connection, list_id: str) -> list[str]:
    """Return everybody with a benefit about which a list says something, on it or not."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT b.subject_id FROM benefits b JOIN list_coverage c ON c.scheme = b.scheme"
            " AND c.region = b.region JOIN lists l ON l.as_of = c.as_of WHERE l.list_id = :id ORDER BY b.subject_id"
        ),
        {"id": list_id},
    )
    return list(rows.scalars())


_SELECT = "SELECT list_id, name, as_of, sha256, rows, taken_at, taken_by_sealed FROM lists"
