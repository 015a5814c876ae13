"""Refused messages, kept for a person to look at, never without bound."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from fleet.admission import Refusal

MAX_PER_TERMINAL = 500
"""Messages kept of one registered terminal: enough to see what is wrong with it (a day of a busy terminal), at most 32 MB."""
MAX_UNKNOWN = 1000
"""Messages kept of all unregistered senders together: anyone who reaches the broker can invent names."""
_MAX_ENVELOPE_BYTES = 64 * 1024
"""Largest message a terminal may send (`protocol.topics.TABLE`); what is larger is kept cut off."""


@dataclass(frozen=True, slots=True)
class RefusedMessage:
    """One message without effect."""

    terminal_id: str
    """The name on its topic; empty if the topic is none of ours."""
    known: bool
    """Whether a terminal of that name is registered."""
    kind: str
    reason: Refusal
    sha256: str
    envelope: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class QuarantineCount:
    """How many different messages of one sender were refused for one reason."""

    terminal_id: str
    known: bool
    kind: str
    reason: str
    messages: int
    times: int
    """Arrivals of these messages, repeated ones included."""
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """One refused message, without what is in it."""

    quarantine_id: int
    terminal_id: str
    known: bool
    kind: str
    reason: str
    sha256: str
    size: int
    """In bytes, also where it is kept cut off."""
    times: int
    first_at: datetime
    last_at: datetime


def messages(
    connection: Connection,
    *,
    known: bool | None = None,
    terminal_id: str = "",
    reason: str = "",
    below: int | None = None,
    above: int | None = None,
    limit: int,
) -> list[KeptMessage]:
    """Return kept messages, those that arrived first last.

    Args:
        connection: where to read.
        known: only those of registered terminals, or only those of others; None for all.
        terminal_id: only those under this name.
        reason: only those refused for it.
        below: only those kept before this one.
        above: in its stead, the last ones kept after this one.
        limit: most of them.
    """
    conditions = {
        "known = :known": known is not None,
        "terminal_id = :terminal": bool(terminal_id),
        "reason = :reason": bool(reason),
        "quarantine_id < :below": below is not None,
        "quarantine_id > :above": above is not None,
    }
    where = " AND ".join(["true", *(condition for condition, holds in conditions.items() if holds)])
    values: dict[str, Any] = {"known": known, "terminal": terminal_id, "reason": reason, "below": below, "above": above}
    rows = connection.execute(
        text(
            "SELECT quarantine_id, terminal_id, known, kind, reason, sha256, size, times, first_at, last_at FROM quarantine"  # noqa: S608 - fixed fragments
            f" WHERE {where} ORDER BY quarantine_id {'DESC' if above is None else 'ASC'} LIMIT :limit"
        ),
        {**values, "limit": limit},
    )
    found = [KeptMessage(*row) for row in rows]
    return found if above is None else found[::-1]


def counts(connection: Connection, terminal_id: str | None = None) -> list[QuarantineCount]:
    """Return what is kept, by sender, kind and reason; of all senders, or of one registered terminal."""
    rows = connection.execute(
        text(
            "SELECT terminal_id, known, kind, reason, count(*) AS messages, CAST(sum(times) AS bigint) AS times,"
            " min(first_at) AS first_at, max(last_at) AS last_at FROM quarantine"
            " WHERE CAST(:id AS text) IS NULL OR known AND terminal_id = :id"
            " GROUP BY terminal_id, known, kind, reason ORDER BY known DESC, terminal_id, kind, reason"
        ),
        {"id": terminal_id},
    )
    return [QuarantineCount(*row) for row in rows]


def keep(connection: Connection, message: RefusedMessage) -> bool:
    """Keep a refused message; return False if its share of the quarantine is full.

    The same message refused for the same reason again only counts up.
    """
    places = {
        "terminal_id": message.terminal_id,
        "known": message.known,
        "kind": message.kind,
        "reason": message.reason.value,
        "sha256": message.sha256,
        "envelope": message.envelope[:_MAX_ENVELOPE_BYTES],
        "size": len(message.envelope),
        "now": message.received_at,
        "limit": MAX_PER_TERMINAL if message.known else MAX_UNKNOWN,
    }
    seen = connection.execute(
        text(
            "UPDATE quarantine SET times = times + 1, last_at = greatest(last_at, :now)"
            " WHERE terminal_id = :terminal_id AND sha256 = :sha256 AND reason = :reason RETURNING 1"
        ),
        places,
    ).scalar_one_or_none()
    if seen is not None:
        return True
    stored = connection.execute(
        text(
            "INSERT INTO quarantine (terminal_id, known, kind, reason, sha256, envelope, size, first_at, last_at)"
            " SELECT :terminal_id, :known, :kind, :reason, :sha256, :envelope, :size, :now, :now"
            " WHERE (SELECT count(*) FROM quarantine WHERE known = :known"
            " AND (NOT known OR terminal_id = :terminal_id)) < :limit"
            " ON CONFLICT (terminal_id, sha256, reason) DO NOTHING RETURNING 1"
        ),
        places,
    ).scalar_one_or_none()
    if stored is not None and message.known:
        connection.execute(
            text("UPDATE terminals SET quarantined = quarantined + 1 WHERE terminal_id = :id"),
            {"id": message.terminal_id},
        )
    return stored is not None
