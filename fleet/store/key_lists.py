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


def members_of(connection: Connection, list_id: str) -> list[Member]:
    """Return everybody on a list."""
    rows = connection.execute(
        text(
            "SELECT subject_id, scheme, region, category, started FROM list_members WHERE list_id = :id ORDER BY 1, 2"
        ),
        {"id": list_id},
    )
    return [Member(*row) for row in rows]


def schemes_listed(connection: Connection, subject_ids: Sequence[str], as_of: date) -> dict[str, set[str]]:
    """Return with which schemes these people stand on the lists of a key date, for rules that ask only who does.

    Args:
        connection: where to look.
        subject_ids: whom.
        as_of: the key date; where there is no list of that day at all, nobody stands on one (`is_listed_day`).
    """
    rows = connection.execute(
        text(
            "SELECT DISTINCT m.subject_id, m.scheme FROM list_members m JOIN lists l USING (list_id)"
            " WHERE l.as_of = :as_of AND m.subject_id = ANY(:ids)"
        ),
        {"as_of": as_of, "ids": list(subject_ids)},
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.subject_id, set()).add(row.scheme)
    return found


def is_listed_day(connection: Connection, as_of: date) -> bool:
    """Return whether there is a list of this key date."""
    found = connection.execute(text("SELECT EXISTS (SELECT 1 FROM lists WHERE as_of = :as_of)"), {"as_of": as_of})
    return bool(found.scalar_one())


_SELECT = "SELECT list_id, name, as_of, sha256, rows, taken_at, taken_by_sealed FROM lists"
