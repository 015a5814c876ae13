"""What people did to terminals, as SQL; names and reasons are sealed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class StoredChange:
    """One change."""

    change_id: str
    terminal_id: str
    kind: str
    by_sealed: bytes
    reason_sealed: bytes | None
    """None where none was asked for: on the command line."""
    detail: Mapping[str, str | int]
    changed_at: datetime


def add_change(connection: Connection, change: StoredChange) -> int:
    """Store a change; return its number, one more than that of the terminal's change before. The terminal's row must be locked."""
    return int(
        connection.execute(
            text(
                "INSERT INTO terminal_changes (change_id, terminal_id, number, kind, by_sealed, reason_sealed, detail, changed_at)"
                " SELECT :change, :terminal, coalesce(max(number), 0) + 1, :kind, :by, :reason, CAST(:detail AS jsonb), :at"
                " FROM terminal_changes WHERE terminal_id = :terminal RETURNING number"
            ),
            {
                "change": change.change_id,
                "terminal": change.terminal_id,
                "kind": change.kind,
                "by": change.by_sealed,
                "reason": change.reason_sealed,
                "detail": json.dumps(dict(change.detail)),
                "at": change.changed_at,
            },
        ).scalar_one()
    )


def last_number(connection: Connection, terminal_id: str) -> int:
    """Return the number of a terminal's newest change; 0 if there is none."""
    return int(
        connection.execute(
            text("SELECT coalesce(max(number), 0) FROM terminal_changes WHERE terminal_id = :id"), {"id": terminal_id}
        ).scalar_one()
    )


def changes_of(connection: Connection, terminal_id: str, *, after: int = 0, limit: int) -> list[StoredChange]:
    """Return a terminal's changes after a number, the newest first."""
    rows = connection.execute(
        text(
            "SELECT change_id, terminal_id, kind, by_sealed, reason_sealed, detail, changed_at FROM terminal_changes"
            " WHERE terminal_id = :id AND number > :after ORDER BY number DESC LIMIT :limit"
        ),
        {"id": terminal_id, "after": after, "limit": limit},
    )
    return [StoredChange(*row) for row in rows]
