"""Terminal events, as SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event."""

    terminal_id: str
    counter: int
    kind: str
    operator: str | None
    detail: dict[str, str]
    earliest: datetime | None
    latest: datetime
    received_at: datetime
    flags: list[str]


def event_lines(
    connection: Connection, *, limit: int, terminal_id: str | None = None, since: datetime | None = None
) -> list[EventLine]:
    """Return the newest events by the moment they happened; those that may have been before `since` count as before."""
    rows = connection.execute(
        text(
            "SELECT terminal_id, counter, kind, payload ->> 'operator' AS operator, payload -> 'detail' AS detail, earliest,"
            " latest, received_at, flags FROM terminal_events"
            " WHERE (CAST(:terminal AS text) IS NULL OR terminal_id = :terminal)"
            " AND (CAST(:since AS timestamptz) IS NULL OR event_at >= :since)"
            " ORDER BY event_at DESC, terminal_id, counter DESC LIMIT :limit"
        ),
        {"limit": limit, "terminal": terminal_id, "since": since},
    )
    return [EventLine(*row) for row in rows]
