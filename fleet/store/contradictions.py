"""What contradicts itself, kept until somebody resolves it, what it is found from beside events and acts, and what persons said; as SQL."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

from fleet.store.subject_areas import of_people, theirs


@dataclass(frozen=True, slots=True)
class Kept:
    """One that nobody has resolved."""

    contradiction_id: str
    subject_id: str
    kind: str
    since: date
    first: Mapping[str, Any]
    """One side, as JSON (`fleet.status.contradictions.Side`)."""
    second: Mapping[str, Any]


Place = tuple[date, str]
"""Where one stands in the queue: the day from which it was known, and its id."""


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


def page_of(
    connection: Connection,
    areas: Sequence[str] | None = None,
    *,
    kind: str | None = None,
    behind: Place | None = None,
    ahead: Place | None = None,
    limit: int | None = None,
) -> list[Kept]:
    """Return what nobody has resolved, the oldest first: those behind a place, or the last ones before one.

    Args:
        connection: where to read.
        areas: about people who belong there; None for everybody.
        kind: only of this kind; None for all.
        behind: only what comes after this place.
        ahead: only what comes before it.
        limit: most of them; None for all.
    """
    place = ahead or behind
    sign, order = ("<", "DESC") if ahead is not None else (">", "ASC")
    where = [theirs(connection, areas, "c.subject_id")]
    if kind is not None:
        where.append("c.kind = :kind")
    if place is not None:
        where.append(f"(c.since, c.contradiction_id) {sign} (CAST(:day AS date), CAST(:id AS text))")
    rows = connection.execute(
        text(f"{_KEPT} WHERE {' AND '.join(where)} ORDER BY c.since {order}, c.contradiction_id {order} LIMIT :limit"),
        {
            "areas": list(areas or ()),
            "kind": kind,
            "day": place and place[0],
            "id": place and place[1],
            "limit": limit,
        },
    )
    found = [Kept(*row) for row in rows]
    return found[::-1] if ahead is not None else found


def find(connection: Connection, contradiction_id: str, areas: Sequence[str] | None = None) -> Kept | None:
    """Return one that nobody has resolved, about somebody of some areas or all; None if none is of this id."""
    row = connection.execute(
        text(f"{_KEPT} WHERE c.contradiction_id = :id AND {of_people('c.subject_id')}"),
        {"id": contradiction_id, "areas": None if areas is None else list(areas)},
    ).one_or_none()
    return None if row is None else Kept(*row)


def of_subjects(connection: Connection, subject_ids: Sequence[str]) -> list[Kept]:
    """Return what nobody has resolved about these people, in order of its id."""
    rows = connection.execute(
        text(f"{_KEPT} WHERE c.subject_id = ANY(:ids) ORDER BY c.contradiction_id"), {"ids": list(subject_ids)}
    )
    return [Kept(*row) for row in rows]


_KEPT = (
    "SELECT c.contradiction_id, c.subject_id, c.kind, c.since, c.first_side, c.second_side FROM open_contradictions c"
)


def replace(connection: Connection, subject_ids: Sequence[str], found: Sequence[Kept]) -> None:
    """Write anew what contradicts itself about these subjects; only what differs is touched."""
    ids = [each.contradiction_id for each in found]
    connection.execute(
        text(
            "DELETE FROM open_contradictions WHERE subject_id = ANY(:subjects)"
            " AND contradiction_id <> ALL(CAST(:ids AS text[]))"
        ),
        {"subjects": list(subject_ids), "ids": ids},
    )
    if not found:
        return
    connection.execute(
        text(
            "INSERT INTO open_contradictions AS c (contradiction_id, subject_id, kind, since, first_side, second_side)"
            " SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:subjects AS text[]), CAST(:kinds AS text[]),"
            " CAST(:since AS date[]), CAST(:firsts AS jsonb[]), CAST(:seconds AS jsonb[]))"
            " ON CONFLICT (contradiction_id) DO UPDATE SET since = EXCLUDED.since, first_side = EXCLUDED.first_side,"
            " second_side = EXCLUDED.second_side WHERE (c.since, c.first_side, c.second_side)"
            " IS DISTINCT FROM (EXCLUDED.since, EXCLUDED.first_side, EXCLUDED.second_side)"
        ),
        {
            "ids": ids,
            "subjects": [each.subject_id for each in found],
            "kinds": [each.kind for each in found],
            "since": [each.since for each in found],
            "firsts": [json.dumps(dict(each.first)) for each in found],
            "seconds": [json.dumps(dict(each.second)) for each in found],
        },
    )


def with_reports(connection: Connection, subject_ids: Sequence[str], kinds: Collection[str]) -> set[str]:
    """Return about whom of these people a report of some kinds stands."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT subject_id FROM life_events WHERE subject_id = ANY(:ids) AND withdrawn_at IS NULL"
            " AND kind = ANY(:kinds)"
        ),
        {"ids": list(subject_ids), "kinds": sorted(kinds)},
    )
    return set(rows.scalars())


def other_names(connection: Connection, subject_ids: Sequence[str]) -> list[OtherName]:
    """Return the rows about these people that stand and have another name."""
    rows = connection.execute(
        text(
            "SELECT feed, row_key, subject_id, kind, since, received_at FROM feed_rows"
            " WHERE subject_id = ANY(:ids) AND stands AND name_state = 'differs'"
        ),
        {"ids": list(subject_ids)},
    )
    return [OtherName(*row) for row in rows]


def doubted_zeros(connection: Connection, subject_ids: Sequence[str]) -> list[DoubtedZero]:
    """Return every event that another source says of these people in a month for which an area they live in said that there was none."""
    rows = connection.execute(
        text(
            "WITH RECURSIVE up AS (SELECT subject_id, area AS code FROM subjects WHERE subject_id = ANY(:ids)"
            " UNION SELECT up.subject_id, a.parent FROM up JOIN areas a USING (code) WHERE a.parent IS NOT NULL)"
            " SELECT d.feed, d.area, d.period, d.received_at, e.event_id, e.subject_id FROM up"
            " JOIN feed_deliveries d ON d.area = up.code AND d.rows = 0 JOIN feeds f ON f.name = d.feed"
            " JOIN life_events e ON e.subject_id = up.subject_id AND e.since >= d.period"
            " AND e.since < d.period + interval '1 month' WHERE e.withdrawn_at IS NULL"
            " AND jsonb_exists(f.definition -> 'kinds', e.kind) AND e.source <> 'feed:' || d.feed"
            " AND NOT EXISTS (SELECT 1 FROM feed_deliveries c"
            "  WHERE (c.feed, c.area, c.period, c.corrects) = (d.feed, d.area, d.period, d.number))"
        ),
        {"ids": list(subject_ids)},
    )
    return [DoubtedZero(*row) for row in rows]


def subjects_of_zeros(connection: Connection, feed: str, area: str = "", period: date | None = None) -> list[str]:
    """Return about whom something was reported in a month for which an area they live in has, or had, nothing to report.

    Args:
        connection: where to read.
        feed: to which it said so.
        area: only of what this area said; empty for all.
        period: only of this month; None for all.
    """
    rows = connection.execute(
        text(
            "WITH RECURSIVE down AS (SELECT period, area AS code FROM feed_deliveries"
            " WHERE feed = :feed AND rows = 0 AND area <> '' AND (:area = '' OR area = :area)"
            " AND (CAST(:period AS date) IS NULL OR period = :period)"
            " UNION SELECT down.period, a.code FROM areas a JOIN down ON a.parent = down.code)"
            " SELECT DISTINCT e.subject_id FROM down JOIN subjects s ON s.area = down.code JOIN life_events e"
            " ON e.subject_id = s.subject_id AND e.since >= down.period AND e.since < down.period + interval '1 month'"
            " WHERE e.withdrawn_at IS NULL ORDER BY e.subject_id"
        ),
        {"feed": feed, "area": area, "period": period},
    )
    return list(rows.scalars())


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
    """Store what was decided: it is open no longer."""
    connection.execute(
        text(
            "WITH over AS (DELETE FROM open_contradictions WHERE contradiction_id = :id)"
            " INSERT INTO contradiction_resolutions (contradiction_id, subject_id, kept, resolved_at)"
            " VALUES (:id, :subject, :kept, :now)"
        ),
        {"id": contradiction_id, "subject": subject_id, "kept": kept, "now": now},
    )
