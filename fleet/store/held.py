"""What terminals sent that a person must judge before it has any effect, as SQL.

That is all that comes of suspended ones, and of retired ones that of which nobody can say whether it was decided before. It is kept beside
the terminal's own copy, which stays unconfirmed: neither a lost terminal nor a lost fleet loses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from fleet.store.database import notify

HELD_CHANNEL = "lifecert_held"
"""Notified when somebody has decided that what was held is to be taken in."""
MAX_RECORDS = 20_000
"""Held of one terminal: forty days of a busy one, some 120 MB. What comes beyond it stays with the terminal."""


@dataclass(frozen=True, slots=True)
class HeldMessage:
    """One message, as it came."""

    held_id: int
    terminal_id: str
    kind: str
    envelope: bytes
    received_at: datetime
    by_stick: bool


@dataclass(frozen=True, slots=True)
class HeldCount:
    """How much of one terminal waits for a person."""

    records: int = 0
    pictures: int = 0
    first_at: datetime | None = None


def hold(
    connection: Connection,
    terminal_id: str,
    *,
    kind: str,
    sha256: str,
    envelope: bytes,
    received_at: datetime,
    by_stick: bool,
    most: int,
) -> bool:
    """Keep a message until a person has decided; again changes nothing. Return False if there is no room for it.

    Args:
        connection: of a transaction that has locked the terminal.
        terminal_id: whose.
        kind: `record` or `attachment`.
        sha256: of the envelope.
        envelope: the bytes as they came.
        received_at: when.
        by_stick: whether by stick.
        most: so much of this kind is kept: records are counted, of pictures the bytes.
    """
    measure = "count(*)" if kind == "record" else "coalesce(sum(length(envelope)), 0) + :size"
    return (
        connection.execute(
            text(
                "WITH kept AS (INSERT INTO held_messages (terminal_id, kind, sha256, envelope, received_at, by_stick)"  # noqa: S608 - fixed fragments
                " SELECT :terminal, :kind, :sha256, :envelope, :received, :stick WHERE NOT EXISTS (SELECT 1 FROM held_messages"
                " WHERE terminal_id = :terminal AND sha256 = :sha256) AND"
                f" (SELECT {measure} FROM held_messages WHERE terminal_id = :terminal AND kind = :kind) < :most RETURNING 1)"
                " SELECT 1 FROM kept UNION ALL"
                " SELECT 1 FROM held_messages WHERE terminal_id = :terminal AND sha256 = :sha256"
            ),
            {
                "terminal": terminal_id,
                "kind": kind,
                "sha256": sha256,
                "envelope": envelope,
                "size": len(envelope),
                "received": received_at,
                "stick": by_stick,
                "most": most,
            },
        ).first()
        is not None
    )


def held_of(connection: Connection, terminal_id: str) -> HeldCount:
    """Return how much of a terminal waits for a person."""
    row = connection.execute(
        text(
            "SELECT count(*) FILTER (WHERE kind = 'record'), count(*) FILTER (WHERE kind = 'attachment'), min(received_at)"
            " FROM held_messages WHERE terminal_id = :id AND released_at IS NULL"
        ),
        {"id": terminal_id},
    ).one()
    return HeldCount(*row)


def release(connection: Connection, terminal_id: str, *, now: datetime) -> int:
    """Have what is held of a terminal taken in; return how many messages that are."""
    count = connection.execute(
        text("UPDATE held_messages SET released_at = :now WHERE terminal_id = :id AND released_at IS NULL"),
        {"id": terminal_id, "now": now},
    ).rowcount
    if count:
        notify(connection, HELD_CHANNEL, terminal_id)
    return count


def take_out(connection: Connection, terminal_id: str) -> list[HeldMessage]:
    """Hold no longer what nobody released, and return it."""
    rows = connection.execute(
        text(
            "DELETE FROM held_messages WHERE terminal_id = :id AND released_at IS NULL"
            " RETURNING held_id, terminal_id, kind, envelope, received_at, by_stick"
        ),
        {"id": terminal_id},
    )
    return sorted((_message(row) for row in rows), key=lambda found: found.held_id)


def released(connection: Connection, *, limit: int) -> list[HeldMessage]:
    """Return what is to be taken in, records before pictures, in the order in which they came."""
    rows = connection.execute(
        text(
            "SELECT held_id, terminal_id, kind, envelope, received_at, by_stick FROM held_messages"
            " WHERE released_at IS NOT NULL ORDER BY kind DESC, held_id LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [_message(row) for row in rows]


def forget(connection: Connection, held_ids: list[int]) -> None:
    """Delete what was taken in."""
    connection.execute(text("DELETE FROM held_messages WHERE held_id = ANY(:ids)"), {"ids": held_ids})


def _message(row: Row[Any]) -> HeldMessage:
    return HeldMessage(row.held_id, row.terminal_id, row.kind, bytes(row.envelope), row.received_at, row.by_stick)
