"""What contradictions are found from beside events and acts, and what persons said about them; as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class OtherName:
    """A row of a feed with another name than the subject's."""

    feed: str
    row_key: str
    subject_id: str
    kind: str
    since: date
    received_at: datetime


@dataclass(frozen=True, slots=True)
class DoubtedZero:
    """An event of somebody in an area that reported none for the month."""

    feed: str
    area: str
    period: date
    reported_at: datetime
    event_id: str
    subject_id: str


def other_names(connection: Connection) -> list[OtherName]:
    """Return all rows that stand and have another name than their subject."""
    rows = connection.execute(
        text(
            "SELECT feed, row_key, subject_id, kind, since, received_at FROM feed_rows"
            " WHERE stands AND subject_id IS NOT NULL AND name_state = 'differs' ORDER BY feed, row_key"
        )
    )
    return [OtherName(*row) for row in rows]


def doubted_zeros(connection: Connection) -> list[DoubtedZero]:
    """Return every event that another source says of a person of an area in a month for which the area said that there was none."""
    rows = connection.execute(
        text(
            "WITH RECURSIVE below AS ("
            " SELECT d.feed, d.area, d.period, d.received_at, f.definition -> 'kinds' AS kinds, d.area AS code"
            " FROM feed_deliveries d JOIN feeds f ON f.name = d.feed WHERE d.rows = 0 AND d.area <> '' AND NOT EXISTS ("
            "  SELECT 1 FROM feed_deliveries c WHERE (c.feed, c.area, c.period, c.corrects) = (d.feed, d.area, d.period, d.number))"
            " UNION SELECT b.feed, b.area, b.period, b.received_at, b.kinds, a.code FROM areas a JOIN below b ON a.parent = b.code)"
            " SELECT b.feed, b.area, b.period, b.received_at, e.event_id, e.subject_id FROM below b"
            " JOIN subjects s ON s.area = b.code JOIN life_events e ON e.subject_id = s.subject_id"
            " WHERE e.withdrawn_at IS NULL AND jsonb_exists(b.kinds, e.kind) AND e.source <> 'feed:' || b.feed"
            " AND e.since >= b.period AND e.since < b.period + interval '1 month' ORDER BY e.event_id"
        )
    )
    return [DoubtedZero(*row) for row in rows]


def resolved(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Return which of these contradictions somebody resolved."""
    rows = connection.execute(
        text("SELECT contradiction_id FROM contradiction_resolutions WHERE contradiction_id = ANY(:ids)"),
        {"ids": list(ids)},
    )
    return set(rows.scalars())


def add_resolution(connection: Connection, contradiction_id: str, subject_id: str, kept: str, *, now: datetime) -> None:
    """Store what was decided."""
    connection.execute(
        text(
            "INSERT INTO contradiction_resolutions (contradiction_id, subject_id, kept, resolved_at)"
            " VALUES (:id, :subject, :kept, :now)"
        ),
        {"id": contradiction_id, "subject": subject_id, "kept": kept, "now": now},
    )
