"""What the console's pages of exchange list, a page at a time; as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import Connection, text

from fleet.store.paging import Place, newest
from fleet.store.subject_areas import theirs


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """One delivery of a feed."""

    delivery_id: int
    feed: str
    area: str
    period: date
    number: int
    corrects: int | None
    corrected_by: int | None
    rows: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class RowCount:
    """How many rows of a delivery are alike."""

    kind: str
    state: str
    """`unknown` person, another `name`, `overruled` by somebody, `corrected`, `noted` without being an event, or `effective`."""
    rows: int


@dataclass(frozen=True, slots=True)
class SilentLine:
    """Somebody whom data certified."""

    act_id: str
    subject_id: str
    area: str
    acted_at: datetime
    source: str
    recorded_at: datetime
    name_sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class UnitListLine:
    """A list that was handed in."""

    list_id: str
    body: str
    unit: str
    evidence: str
    verified_on: date
    taken_at: datetime
    decided_at: datetime | None
    persons: int
    approved: int


def deliveries(
    connection: Connection,
    feed: str,
    areas: Sequence[str] | None,
    *,
    below: int | None = None,
    above: int | None = None,
    limit: int,
) -> list[DeliveryLine]:
    """Return deliveries of a feed, the newest first.

    Args:
        connection: where to read.
        feed: which feed.
        areas: of which areas, beside those of a body that reports for all; None for all.
        below: only those that came before this one.
        above: only those that came after this one, and of those the oldest.
        limit: most deliveries.
    """
    rows = newest(
        connection,
        f"{_DELIVERIES} AND d.feed = :feed",
        ["d.delivery_id"],
        {"feed": feed, "areas": None if areas is None else list(areas)},
        below=None if below is None else [below],
        above=None if above is None else [above],
        limit=limit,
    )
    return [DeliveryLine(*row) for row in rows]


def find_delivery(connection: Connection, delivery_id: int, areas: Sequence[str] | None) -> DeliveryLine | None:
    """Return one delivery, if it is of one of these areas or of a body that reports for all."""
    row = connection.execute(
        text(f"{_DELIVERIES} AND d.delivery_id = :id"),
        {"id": delivery_id, "areas": None if areas is None else list(areas)},
    ).one_or_none()
    return None if row is None else DeliveryLine(*row)


_DELIVERIES = (
    "SELECT d.delivery_id, d.feed, d.area, d.period, d.number, d.corrects, c.number, d.rows, d.received_at FROM feed_deliveries d"
    " LEFT JOIN feed_deliveries c ON (c.feed, c.area, c.period, c.corrects) = (d.feed, d.area, d.period, d.number)"
    " WHERE (CAST(:areas AS text[]) IS NULL OR d.area = '' OR d.area = ANY(:areas))"
)


def row_counts(connection: Connection, delivery_id: int) -> list[RowCount]:
    """Return what became of the rows of a delivery, by what they report."""
    rows = connection.execute(
        text(
            "SELECT r.kind, CASE WHEN r.overruled_at IS NOT NULL THEN 'overruled' WHEN NOT r.stands THEN 'corrected'"
            " WHEN r.subject_id IS NULL THEN 'unknown' WHEN r.name_state IN ('unchecked', 'differs') THEN 'name'"
            " WHEN NOT r.makes_event THEN 'noted' ELSE 'effective' END AS state, count(*) FROM feed_rows r"
            " JOIN feed_delivery_rows USING (row_key) WHERE delivery_id = :id GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        {"id": delivery_id},
    )
    return [RowCount(*row) for row in rows]


def silent(
    connection: Connection,
    areas: Sequence[str] | None,
    *,
    below: Place | None = None,
    above: Place | None = None,
    limit: int,
) -> list[SilentLine]:
    """Return whom data certified, of some areas or all, the newest first.

    Args:
        connection: where to read.
        areas: where people live; None for everywhere.
        below: only those before this moment of recording and act.
        above: only those after it, and of those the oldest.
        limit: most of them.
    """
    within = theirs(connection, areas, "a.subject_id")
    statement = (
        "SELECT a.act_id, a.subject_id, s.area, a.acted_at, a.source, a.recorded_at, s.name_sealed FROM acts a"  # noqa: S608 - our own fragments
        f" JOIN subjects s USING (subject_id) WHERE a.kind = 'silent' AND a.withdrawn_at IS NULL AND {within}"
    )
    values = {"areas": None if areas is None else list(areas)}
    rows = newest(connection, statement, ["a.recorded_at", "a.act_id"], values, below=below, above=above, limit=limit)
    return [SilentLine(*row) for row in rows]


def handed_in(
    connection: Connection,
    areas: Sequence[str] | None,
    *,
    below: Place | None = None,
    above: Place | None = None,
    limit: int,
) -> list[UnitListLine]:
    """Return lists that were handed in, the newest first; of some areas only those of which everybody lives there.

    Args:
        connection: where to read.
        areas: where everybody of the list lives; None for everywhere.
        below: only those before this moment and id.
        above: only those after it, and of those the oldest.
        limit: most of them.
    """
    statement = (
        "SELECT u.list_id, u.body, u.unit, u.evidence, u.verified_on, u.taken_at, u.decided_at,"  # noqa: S608 - our own fragment
        " (SELECT count(*) FROM unit_list_members m WHERE m.list_id = u.list_id),"
        " (SELECT count(*) FROM approvals a WHERE a.object_kind = 'unit_list' AND a.object_id = u.list_id)"
        f" FROM unit_lists u WHERE {WITHIN}"
    )
    values = {"areas": None if areas is None else list(areas)}
    rows = newest(connection, statement, ["u.taken_at", "u.list_id"], values, below=below, above=above, limit=limit)
    return [UnitListLine(*row) for row in rows]


WITHIN = (
    "(CAST(:areas AS text[]) IS NULL OR NOT EXISTS (SELECT 1 FROM unit_list_members m JOIN subjects s USING (subject_id)"
    " WHERE m.list_id = u.list_id AND s.area <> ALL(:areas) OFFSET 0))"
)
"""SQL: whether everybody of a list `u` lives in the areas; list by list (OFFSET 0), not of everybody of all lists at once."""


def is_list_within(connection: Connection, list_id: str, areas: Sequence[str] | None) -> bool:
    """Return whether there is such a list and everybody of it lives in these areas."""
    row = connection.execute(
        text(f"SELECT 1 FROM unit_lists u WHERE u.list_id = :id AND {WITHIN}"),  # noqa: S608 - our own fragment
        {"id": list_id, "areas": None if areas is None else list(areas)},
    )
    return row.scalar_one_or_none() is not None
