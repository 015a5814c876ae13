"""Which subjects a terminal holds, as numbered changes, in SQL.

`assignments` are the standing orders (everybody, an area, one subject); `roster_entries` is what follows from them, one row for each
subject a terminal ever held, with the version at which it last changed. A version is given once and never again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, text

from fleet.store.database import notify

ROSTER_CHANNEL = "lifecert_roster"
"""Notified with a terminal's id when its roster got a new version."""

AssignmentKind = Literal["all", "area", "subject"]


@dataclass(frozen=True, slots=True)
class RosterChange:
    """One change of one terminal's roster."""

    version: int
    subject_id: str
    claim_token: str
    removed: bool


def assign(connection: Connection, terminal_id: str, kind: AssignmentKind, value: str) -> None:
    """Add a standing order; giving it twice changes nothing."""
    connection.execute(
        text("INSERT INTO assignments (terminal_id, kind, value) VALUES (:id, :kind, :value) ON CONFLICT DO NOTHING"),
        {"id": terminal_id, "kind": kind, "value": value},
    )


def unassign(connection: Connection, terminal_id: str, kind: AssignmentKind, value: str) -> bool:
    """Remove a standing order; return whether there was one."""
    return (
        connection.execute(
            text("DELETE FROM assignments WHERE terminal_id = :id AND kind = :kind AND value = :value RETURNING 1"),
            {"id": terminal_id, "kind": kind, "value": value},
        ).scalar_one_or_none()
        is not None
    )


def assignments_of(connection: Connection, terminal_id: str) -> list[tuple[AssignmentKind, str]]:
    """Return a terminal's standing orders: everybody, areas, subjects."""
    rows = connection.execute(
        text("SELECT kind, value FROM assignments WHERE terminal_id = :id ORDER BY kind, value"), {"id": terminal_id}
    )
    return [(row.kind, row.value) for row in rows]


def copy_orders(connection: Connection, terminal_id: str, *, of: str) -> int:
    """Give a terminal the standing orders of another one, and whether its roster says names; return how many orders that are."""
    connection.execute(
        text(
            "UPDATE terminals t SET name_list = o.name_list FROM terminals o WHERE t.terminal_id = :id AND o.terminal_id = :of"
        ),
        {"id": terminal_id, "of": of},
    )
    return connection.execute(
        text(
            "INSERT INTO assignments (terminal_id, kind, value) SELECT :id, kind, value FROM assignments WHERE terminal_id = :of"
            " ON CONFLICT DO NOTHING"
        ),
        {"id": terminal_id, "of": of},
    ).rowcount


def held(connection: Connection, terminal_id: str) -> int:
    """Return how many people are on a terminal's roster."""
    return int(
        connection.execute(
            text("SELECT count(*) FROM roster_entries WHERE terminal_id = :id AND NOT removed"), {"id": terminal_id}
        ).scalar_one()
    )


def refresh(connection: Connection, terminal_ids: Sequence[str] | None = None) -> int:
    """Work out the rosters anew from the standing orders; return how many entries changed.

    Args:
        connection: a transaction.
        terminal_ids: whose rosters; None for all.
    """
    where = "" if terminal_ids is None else "WHERE terminal_id = ANY(:ids)"
    names = connection.execute(
        text(f"SELECT terminal_id, roster_version FROM terminals {where} ORDER BY terminal_id FOR NO KEY UPDATE"),  # noqa: S608 - fixed fragments
        {} if terminal_ids is None else {"ids": list(terminal_ids)},
    ).all()
    return sum(_refresh_one(connection, name, version) for name, version in names)


def touch(connection: Connection, subject_id: str) -> int:
    """Give a subject's entry a new version wherever it is held; return on how many terminals.

    The caller has locked all terminals first: whoever assigns this subject meanwhile would otherwise miss the change.
    """
    count = 0
    for terminal_id in holders(connection, subject_id):
        version = _next_versions(connection, terminal_id, 1)
        connection.execute(
            text("UPDATE roster_entries SET version = :version WHERE terminal_id = :id AND subject_id = :subject"),
            {"id": terminal_id, "subject": subject_id, "version": version},
        )
        notify(connection, ROSTER_CHANNEL, terminal_id)
        count += 1
    return count


def holders(connection: Connection, subject_id: str) -> list[str]:
    """Return the terminals whose roster has a subject."""
    rows = connection.execute(
        text("SELECT terminal_id FROM roster_entries WHERE subject_id = :subject AND NOT removed ORDER BY terminal_id"),
        {"subject": subject_id},
    )
    return list(rows.scalars())


def renumber_outdated(connection: Connection, terminal_id: str) -> int:
    """Give the terminal's outdated entries new versions; return the roster's newest version. The caller has locked the terminal."""
    outdated = list(
        connection.execute(
            text("DELETE FROM outdated_entries WHERE terminal_id = :id RETURNING subject_id"), {"id": terminal_id}
        ).scalars()
    )
    newest = _next_versions(connection, terminal_id, 0)
    if not outdated:
        return newest
    changed = connection.execute(
        text(
            "UPDATE roster_entries e SET version = n.version FROM ("
            " SELECT subject_id, :base + row_number() OVER (ORDER BY subject_id) AS version FROM roster_entries"
            " WHERE terminal_id = :id AND NOT removed AND subject_id = ANY(:ids)"
            ") n WHERE e.terminal_id = :id AND e.subject_id = n.subject_id"
        ),
        {"id": terminal_id, "base": newest, "ids": outdated},
    ).rowcount
    return _next_versions(connection, terminal_id, changed)


def has_names(connection: Connection, terminal_id: str) -> bool:
    """Return whether a terminal's roster says names: as it was set, else where the terminal is assigned an area."""
    return bool(
        connection.execute(
            text(
                "SELECT coalesce(name_list, EXISTS (SELECT 1 FROM assignments a WHERE a.terminal_id = t.terminal_id"
                " AND a.kind = 'area')) FROM terminals t WHERE terminal_id = :id"
            ),
            {"id": terminal_id},
        ).scalar_one()
    )


def set_names(connection: Connection, terminal_id: str, wanted: bool | None) -> None:
    """Set whether a terminal's roster says names; None: where it is assigned an area."""
    connection.execute(
        text("UPDATE terminals SET name_list = :wanted WHERE terminal_id = :id"), {"id": terminal_id, "wanted": wanted}
    )


@contextmanager
def renewing(connection: Connection, terminal_id: str) -> Iterator[None]:
    """Send a terminal its whole roster anew, should the block change whether it says names. The caller has locked the terminal."""
    before = has_names(connection, terminal_id)
    yield
    if has_names(connection, terminal_id) == before:
        return
    base = int(
        connection.execute(
            text("SELECT roster_version FROM terminals WHERE terminal_id = :id"), {"id": terminal_id}
        ).scalar_one()
    )
    changed = connection.execute(
        text(
            "UPDATE roster_entries e SET version = n.version FROM ("
            " SELECT subject_id, :base + row_number() OVER (ORDER BY version) AS version FROM roster_entries"
            " WHERE terminal_id = :id AND NOT removed"
            ") n WHERE e.terminal_id = :id AND e.subject_id = n.subject_id"
        ),
        {"id": terminal_id, "base": base},
    ).rowcount
    if changed:
        _next_versions(connection, terminal_id, changed)
        notify(connection, ROSTER_CHANNEL, terminal_id)


def changes_after(connection: Connection, terminal_id: str, after: int, limit: int) -> list[RosterChange]:
    """Return changes after a version in order; from version 0 there is nothing to remove, so no tombstones."""
    rows = connection.execute(
        text(
            "SELECT e.version, e.subject_id, coalesce(s.claim_token, '') AS claim_token,"
            " e.removed OR s.subject_id IS NULL AS removed"
            " FROM roster_entries e LEFT JOIN subjects s USING (subject_id)"
            " WHERE e.terminal_id = :id AND e.version > :after AND (:after > 0 OR NOT e.removed)"
            " ORDER BY e.version LIMIT :limit"
        ),
        {"id": terminal_id, "after": after, "limit": limit},
    )
    return [RosterChange(*row) for row in rows]


def set_pushed(connection: Connection, terminal_id: str, version: int) -> None:
    """Remember the newest roster version that was sent to a terminal."""
    connection.execute(
        text("UPDATE terminals SET roster_pushed = :version WHERE terminal_id = :id"),
        {"id": terminal_id, "version": version},
    )


def behind(connection: Connection) -> list[str]:
    """Return the terminals in service whose newest roster version was not sent, or with outdated entries."""
    return list(
        connection.execute(
            text(
                "SELECT terminal_id FROM terminals t WHERE retired_at IS NULL AND suspended_at IS NULL AND (roster_pushed < roster_version"
                " OR EXISTS (SELECT 1 FROM outdated_entries o WHERE o.terminal_id = t.terminal_id))"
                " ORDER BY terminal_id"
            )
        ).scalars()
    )


_REFRESH = """
WITH wanted AS (
    SELECT s.subject_id FROM subjects s
    WHERE EXISTS (
        SELECT 1 FROM assignments a
        WHERE a.terminal_id = :id
        AND (a.kind = 'all' OR (a.kind = 'area' AND a.value = s.area) OR (a.kind = 'subject' AND a.value = s.subject_id))
    )
), changed AS (
    SELECT w.subject_id, false AS removed
    FROM wanted w LEFT JOIN roster_entries e ON e.terminal_id = :id AND e.subject_id = w.subject_id
    WHERE e.subject_id IS NULL OR e.removed
    UNION ALL
    SELECT e.subject_id, true FROM roster_entries e
    WHERE e.terminal_id = :id AND NOT e.removed AND e.subject_id NOT IN (SELECT subject_id FROM wanted)
)
INSERT INTO roster_entries (terminal_id, subject_id, version, removed)
SELECT :id, subject_id, :base + row_number() OVER (ORDER BY subject_id), removed FROM changed
ON CONFLICT (terminal_id, subject_id) DO UPDATE SET version = EXCLUDED.version, removed = EXCLUDED.removed
"""


def _refresh_one(connection: Connection, terminal_id: str, version: int) -> int:
    changed = connection.execute(text(_REFRESH), {"id": terminal_id, "base": version}).rowcount
    if changed:
        _next_versions(connection, terminal_id, changed)
        notify(connection, ROSTER_CHANNEL, terminal_id)
    return changed


def _next_versions(connection: Connection, terminal_id: str, count: int) -> int:
    return int(
        connection.execute(
            text(
                "UPDATE terminals SET roster_version = roster_version + :count WHERE terminal_id = :id"
                " RETURNING roster_version"
            ),
            {"id": terminal_id, "count": count},
        ).scalar_one()
    )
