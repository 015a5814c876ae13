"""What contradictions are found from beside events and acts, and what persons said about them; as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, text

from fleet.store.subject_areas import of_people


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


@dataclass(frozen=True, slots=True)
class Decided:
    """A contradiction that is none any more."""

    subject_id: str
    area: str
    kept: str
    resolved_at: datetime


def other_names(connection: Connection, areas: Sequence[str] | None = None) -> list[OtherName]:
    """Return all rows that stand and have another name than their subject, who lives in some areas or anywhere."""
    rows = connection.execute(
        text(
            "SELECT r.feed, r.row_key, r.subject_id, r.kind, r.since, r.received_at FROM feed_rows r"  # noqa: S608 - our own fragments
            " JOIN subjects s USING (subject_id) WHERE r.stands AND r.name_state = 'differs'"
            f" AND {of_people('s.subject_id')} ORDER BY r.feed, r.row_key"
        ),
        {"areas": None if areas is None else list(areas)},
    )
    return [OtherName(*row) for row in rows]


def doubted_zeros(connection: Connection, areas: Sequence[str] | None = None) -> list[DoubtedZero]:
    """Return every event that another source says of a person of an area in a month for which the area said that there was none.

    Args:
        connection: where to read.
        areas: only of people who live there; None for everywhere.
    """
    rows = connection.execute(
        text(
            "WITH RECURSIVE below AS ("  # noqa: S608 - our own fragments
            " SELECT d.feed, d.area, d.period, d.received_at, f.definition -> 'kinds' AS kinds, d.area AS code"
            " FROM feed_deliveries d JOIN feeds f ON f.name = d.feed WHERE d.rows = 0 AND d.area <> '' AND NOT EXISTS ("
            "  SELECT 1 FROM feed_deliveries c WHERE (c.feed, c.area, c.period, c.corrects) = (d.feed, d.area, d.period, d.number))"
            " UNION SELECT b.feed, b.area, b.period, b.received_at, b.kinds, a.code FROM areas a JOIN below b ON a.parent = b.code)"
            " SELECT b.feed, b.area, b.period, b.received_at, e.event_id, e.subject_id FROM below b"
            " JOIN subjects s ON s.area = b.code JOIN life_events e ON e.subject_id = s.subject_id"
            " WHERE e.withdrawn_at IS NULL AND jsonb_exists(b.kinds, e.kind) AND e.source <> 'feed:' || b.feed"
            " AND e.since >= b.period AND e.since < b.period + interval '1 month'"
            f" AND {of_people('s.subject_id')} ORDER BY e.event_id"
        ),
        {"areas": None if areas is None else list(areas)},
    )
    return [DoubtedZero(*row) for row in rows]


def resolved(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Return which of these contradictions somebody resolved."""
    rows = connection.execute(
        text("SELECT contradiction_id FROM contradiction_resolutions WHERE contradiction_id = ANY(:ids)"),
        {"ids": list(ids)},
    )
    return set(rows.scalars())


def resolution_of(connection: Connection, contradiction_id: str) -> Decided | None:
    """Return what was decided about a contradiction, None as long as nothing was."""
    row = connection.execute(
        text(
            "SELECT r.subject_id, s.area, r.kept, r.resolved_at FROM contradiction_resolutions r"
            " JOIN subjects s USING (subject_id) WHERE r.contradiction_id = :id"
        ),
        {"id": contradiction_id},
    ).one_or_none()
    return None if row is None else Decided(*row)


def add_resolution(connection: Connection, contradiction_id: str, subject_id: str, kept: str, *, now: datetime) -> None:
    """Store what was decided."""
    connection.execute(
        text(
            "INSERT INTO contradiction_resolutions (contradiction_id, subject_id, kept, resolved_at)"
            " VALUES (:id, :subject, :kept, :now)"
        ),
        {"id": contradiction_id, "subject": subject_id, "kept": kept, "now": now},
    )
