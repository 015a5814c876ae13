"""What terminals are asked to be, and what they say that they are, as SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from fleet.admission.convergence import Wanted
from fleet.store.database import notify
from protocol.desired import ReportedState

DESIRED_CHANNEL = "lifecert_desired"
"""Notified when some terminal is asked for something else."""
MOST_HEARD: Final = 10**9
"""Largest number that is believed of a terminal: no fleet comes so far, and the column has room for as much again above it."""


@dataclass(frozen=True, slots=True)
class StoredDesired:
    """What one terminal is asked to be."""

    terminal_id: str
    number: int
    wanted: Wanted
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class StoredReported:
    """What one terminal says that it is."""

    state: ReportedState | None
    """None if it never said, or in a way that this fleet does not know."""
    reported_at: datetime | None
    """When the fleet heard it."""
    said_at: datetime | None
    """By the terminal's clock."""
    behind_since: datetime | None
    """Since when it is not what it was asked to be."""


def lock_desired(connection: Connection) -> None:
    """Work out what is wanted of terminals one at a time: two at once would not see each other's roll-outs."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('desired states', 0))"))


def find_desired(connection: Connection, terminal_ids: Collection[str] | None = None) -> dict[str, StoredDesired]:
    """Return what terminals, all or some, are asked to be; those that were never asked are left out."""
    rows = connection.execute(
        text(
            "SELECT terminal_id, number, wanted, changed_at FROM desired_states"
            " WHERE CAST(:ids AS text[]) IS NULL OR terminal_id = ANY(:ids)"
        ),
        {"ids": None if terminal_ids is None else sorted(terminal_ids)},
    )
    return {row.terminal_id: _desired(row) for row in rows}


def find_unknown(connection: Connection, terminal_ids: Collection[str] | None = None) -> dict[str, int]:
    """Return the numbers that terminals in service, all or some, have taken and this database never gave: it is an older one, restored.

    A terminal takes only what is above its number, so it hears nothing of what is asked for below that. A number above `MOST_HEARD` is
    left out.
    """
    rows = connection.execute(
        text(
            "SELECT t.terminal_id, CAST(t.reported ->> 'desired_number' AS bigint) AS number FROM terminals t"
            " LEFT JOIN desired_states d USING (terminal_id) WHERE t.behind_since IS NOT NULL AND t.retired_at IS NULL"
            " AND t.suspended_at IS NULL AND (CAST(:ids AS text[]) IS NULL OR t.terminal_id = ANY(:ids))"
            # Of any size, as it was signed.
            " AND CAST(t.reported ->> 'desired_number' AS numeric) BETWEEN coalesce(d.number, 0) + 1 AND :most"
        ),
        {"ids": None if terminal_ids is None else sorted(terminal_ids), "most": MOST_HEARD},
    )
    return {row.terminal_id: row.number for row in rows}


def save_desired(
    connection: Connection, wanted: Mapping[str, Wanted], *, above: Mapping[str, int] | None = None, now: datetime
) -> None:
    """Ask terminals for something else than before.

    Args:
        connection: a transaction with `lock_desired`.
        wanted: of which terminal what.
        above: the number above which a terminal's must be, where that is another than its last one: it grows by one from there.
        now: in UTC.
    """
    if not wanted:
        return
    connection.execute(
        text(
            "INSERT INTO desired_states AS d (terminal_id, number, wanted, changed_at)"
            " VALUES (:id, CAST(:above AS bigint) + 1, CAST(:wanted AS jsonb), :now)"
            " ON CONFLICT (terminal_id) DO UPDATE SET number = greatest(d.number, CAST(:above AS bigint)) + 1,"
            " wanted = EXCLUDED.wanted, changed_at = EXCLUDED.changed_at, sent_at = NULL"
        ),
        [
            {"id": each, "wanted": wanted[each].model_dump_json(), "above": (above or {}).get(each, 0), "now": now}
            for each in sorted(wanted)
        ],
    )
    connection.execute(
        text("UPDATE terminals SET behind_since = coalesce(behind_since, :now) WHERE terminal_id = ANY(:ids)"),
        {"ids": sorted(wanted), "now": now},
    )
    notify(connection, DESIRED_CHANNEL)


def take_desired(
    connection: Connection, terminal_ids: Sequence[str] | None, *, only_unsent: bool, now: datetime
) -> list[StoredDesired]:
    """Return what terminals in service, all or some, are asked to be, and note that it is sent.

    Args:
        connection: where.
        terminal_ids: which; None for all.
        only_unsent: leave out those to whom it was sent since it changed.
        now: in UTC.
    """
    rows = connection.execute(
        text(
            "UPDATE desired_states d SET sent_at = :now FROM terminals t WHERE t.terminal_id = d.terminal_id"
            " AND t.retired_at IS NULL AND t.suspended_at IS NULL AND (CAST(:ids AS text[]) IS NULL OR d.terminal_id = ANY(:ids))"
            " AND NOT (:unsent AND d.sent_at IS NOT NULL)"
            " RETURNING d.terminal_id, d.number, d.wanted, d.changed_at"
        ),
        {"now": now, "ids": None if terminal_ids is None else sorted(terminal_ids), "unsent": only_unsent},
    )
    return sorted((_desired(row) for row in rows), key=lambda each: each.terminal_id)


def find_reported(connection: Connection, terminal_id: str) -> StoredReported | None:
    """Return what a terminal says of itself; None if there is no such terminal."""
    row = connection.execute(
        text("SELECT reported, reported_at, reported_said_at, behind_since FROM terminals WHERE terminal_id = :id"),
        {"id": terminal_id},
    ).one_or_none()
    if row is None:
        return None
    return StoredReported(parsed_report(row.reported), row.reported_at, row.reported_said_at, row.behind_since)


def save_reported(
    connection: Connection,
    terminal_id: str,
    reported: ReportedState,
    *,
    is_behind: bool,
    said_at: datetime,
    now: datetime,
) -> None:
    """Store what a terminal says of itself.

    Args:
        connection: where.
        terminal_id: which.
        reported: what it says.
        is_behind: whether that is not what it was asked to be.
        said_at: by its own clock.
        now: when it was heard.
    """
    connection.execute(
        text(
            "UPDATE terminals SET reported = CAST(:reported AS jsonb), reported_at = :now, reported_said_at = :said,"
            " behind_since = CASE WHEN :behind THEN coalesce(behind_since, :now) END WHERE terminal_id = :id"
        ),
        {
            "id": terminal_id,
            "reported": reported.model_dump_json(),
            "said": said_at,
            "behind": is_behind,
            "now": now,
        },
    )


def is_wanted_somewhere(connection: Connection, bundle_id: str) -> bool:
    """Return whether any terminal in service is asked for a bundle."""
    found = connection.execute(
        text(
            "SELECT 1 FROM desired_states d JOIN terminals t USING (terminal_id) WHERE t.retired_at IS NULL"
            " AND (d.wanted -> 'bundles' @> jsonb_build_array(jsonb_build_object('bundle_id', CAST(:id AS text)))"
            " OR d.wanted #>> '{shadow,bundle_id}' = :id) LIMIT 1"
        ),
        {"id": bundle_id},
    )
    return found.scalar_one_or_none() is not None


def parsed_report(found: Any) -> ReportedState | None:
    """Return a stored report; None where there is none, or one of another version of the fleet."""
    if found is None:
        return None
    try:
        return ReportedState.model_validate(found)
    except ValueError:
        return None


def _desired(row: Any) -> StoredDesired:
    return StoredDesired(row.terminal_id, row.number, Wanted.model_validate(row.wanted), row.changed_at)
