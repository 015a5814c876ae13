"""Feeds, their deliveries, and what each row of them says, as SQL. A delivery is stored by a few statements, however many rows it has."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

SOURCE = "feed:"
"""Begins the source of everything that feeds bring, before the feed's name."""
ZERO = 0
"""Number of a month's first zero report."""


@dataclass(frozen=True, slots=True)
class StoredFeed:
    """A feed that is in use."""

    name: str
    definition: dict[str, Any]
    first_period: date
    added_at: datetime
    last_period: date | None = None
    """The last month that is wanted; None as long as the feed goes on."""


@dataclass(frozen=True, slots=True)
class DeliveryKey:
    """Names one delivery."""

    feed: str
    area: str
    period: date
    number: int


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A delivery that came."""

    key: DeliveryKey
    corrects: int | None
    corrected_by: int | None
    sha256: str
    rows: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class NewRow:
    """What one row says."""

    row_key: str
    row_id_hash: bytes | None
    claim_token: str = field(repr=False)
    name_hash: bytes | None = field(repr=False)
    kind: str
    since: date
    until: date | None
    reported_on: date | None
    detail: Mapping[str, str]
    makes_event: bool


@dataclass(frozen=True, slots=True)
class RowCounts:
    """How many rows of a delivery are about whom."""

    known: int
    unknown: int
    names_differ: int


def save_feed(connection: Connection, feed: StoredFeed) -> None:
    """Insert a feed, or give it another definition."""
    connection.execute(
        text(
            "INSERT INTO feeds (name, definition, first_period, added_at, last_period)"
            " VALUES (:name, CAST(:definition AS jsonb), :first, :at, :last)"
            " ON CONFLICT (name) DO UPDATE SET definition = EXCLUDED.definition,"
            " first_period = EXCLUDED.first_period, last_period = EXCLUDED.last_period"
        ),
        {
            "name": feed.name,
            "definition": json.dumps(feed.definition, ensure_ascii=False),
            "first": feed.first_period,
            "at": feed.added_at,
            "last": feed.last_period,
        },
    )


def find_feed(connection: Connection, name: str, *, lock: bool = False) -> StoredFeed | None:
    """Return one feed; with a lock, deliveries of it wait for each other."""
    row = connection.execute(
        text(_FEED + " WHERE name = :name" + (" FOR UPDATE" if lock else "")), {"name": name}
    ).one_or_none()
    return None if row is None else StoredFeed(*row)


def feeds(connection: Connection) -> list[StoredFeed]:
    """Return all feeds by name."""
    return [StoredFeed(*row) for row in connection.execute(text(_FEED + " ORDER BY name"))]


_FEED = "SELECT name, definition, first_period, added_at, last_period FROM feeds"


def deliveries_of(connection: Connection, feed: str) -> list[StoredDelivery]:
    """Return the deliveries of a feed, by month, area and number."""
    rows = connection.execute(
        text(_DELIVERY + " WHERE d.feed = :feed ORDER BY d.period, d.area, d.number"), {"feed": feed}
    )
    return [_delivery(*row) for row in rows]


def find_deliveries(connection: Connection, feed: str, area: str, period: date) -> dict[int, StoredDelivery]:
    """Return the deliveries of one month by number."""
    rows = connection.execute(
        text(_DELIVERY + " WHERE d.feed = :feed AND d.area = :area AND d.period = :period"),
        {"feed": feed, "area": area, "period": period},
    )
    return {found.key.number: found for found in (_delivery(*row) for row in rows)}


_DELIVERY = (
    "SELECT d.feed, d.area, d.period, d.number, d.corrects, c.number, d.sha256, d.rows, d.received_at FROM feed_deliveries d"
    " LEFT JOIN feed_deliveries c ON (c.feed, c.area, c.period, c.corrects) = (d.feed, d.area, d.period, d.number)"
)


def _delivery(
    feed: str,
    area: str,
    period: date,
    number: int,
    corrects: int | None,
    corrected_by: int | None,
    sha256: str,
    rows: int,
    received_at: datetime,
) -> StoredDelivery:
    return StoredDelivery(DeliveryKey(feed, area, period, number), corrects, corrected_by, sha256, rows, received_at)


def add_delivery(
    connection: Connection, key: DeliveryKey, *, corrects: int | None, sha256: str, rows: int, now: datetime
) -> None:
    """Store that a delivery came."""
    connection.execute(
        text(
            "INSERT INTO feed_deliveries (feed, area, period, number, corrects, sha256, rows, received_at)"
            " VALUES (:feed, :area, :period, :number, :corrects, :sha256, :rows, :now)"
        ),
        {**_named(key), "corrects": corrects, "sha256": sha256, "rows": rows, "now": now},
    )


def add_rows(connection: Connection, key: DeliveryKey, rows: Sequence[NewRow], *, now: datetime) -> None:
    """Store what a delivery says; a row that another one said before is the same row."""
    keys = [row.row_key for row in rows]
    connection.execute(
        text(
            "INSERT INTO feed_rows (feed, row_key, row_id_hash, claim_token, name_hash, name_state, kind, since, until,"
            " reported_on, detail, makes_event, received_at, subject_id)"
            " SELECT :feed, p.row_key, p.row_id, p.token, p.name, CASE WHEN p.name IS NULL THEN 'none' ELSE 'unchecked' END,"
            " p.kind, p.since, p.until, p.reported, p.detail, p.makes_event, :now, s.subject_id"
            " FROM unnest(CAST(:keys AS text[]), CAST(:row_ids AS bytea[]), CAST(:tokens AS text[]),"
            " CAST(:names AS bytea[]), CAST(:kinds AS text[]), CAST(:since AS date[]), CAST(:until AS date[]),"
            " CAST(:reported AS date[]), CAST(:details AS jsonb[]), CAST(:makes AS boolean[]))"
            " AS p (row_key, row_id, token, name, kind, since, until, reported, detail, makes_event)"
            " LEFT JOIN subjects s ON s.claim_token = p.token"
            " ON CONFLICT (feed, row_key) DO NOTHING"
        ),
        {
            "feed": key.feed,
            "keys": keys,
            "row_ids": [row.row_id_hash for row in rows],
            "tokens": [row.claim_token for row in rows],
            "names": [row.name_hash for row in rows],
            "kinds": [row.kind for row in rows],
            "since": [row.since for row in rows],
            "until": [row.until for row in rows],
            "reported": [row.reported_on for row in rows],
            "details": [json.dumps(dict(row.detail), ensure_ascii=False) for row in rows],
            "makes": [row.makes_event for row in rows],
            "now": now,
        },
    )
    connection.execute(
        text(
            "INSERT INTO feed_delivery_rows (feed, area, period, number, row_key)"
            " SELECT :feed, :area, :period, :number, unnest(CAST(:keys AS text[]))"
        ),
        {**_named(key), "keys": keys},
    )


def row_keys_of(connection: Connection, key: DeliveryKey) -> list[str]:
    """Return the rows that a delivery says."""
    found = connection.execute(
        text(
            "SELECT row_key FROM feed_delivery_rows WHERE feed = :feed AND area = :area AND period = :period"
            " AND number = :number"
        ),
        _named(key),
    )
    return list(found.scalars())


def counts_of(connection: Connection, key: DeliveryKey) -> RowCounts:
    """Return how many rows of a delivery are about whom."""
    row = connection.execute(
        text(
            "SELECT count(r.subject_id), count(*) - count(r.subject_id),"
            " count(*) FILTER (WHERE r.subject_id IS NOT NULL AND r.name_state = 'differs')"
            " FROM feed_delivery_rows d JOIN feed_rows r USING (feed, row_key)"
            " WHERE d.feed = :feed AND d.area = :area AND d.period = :period AND d.number = :number"
        ),
        _named(key),
    ).one()
    return RowCounts(*row)


def judge_rows(connection: Connection, feed: str, row_keys: Collection[str]) -> None:
    """Say of rows whether they stand: a delivery says them that no other corrects, and nobody overruled them."""
    connection.execute(
        text(
            "UPDATE feed_rows r SET stands = j.stands FROM ("
            " SELECT f.row_key, f.overruled_at IS NULL AND EXISTS ("
            "  SELECT 1 FROM feed_delivery_rows d WHERE d.feed = f.feed AND d.row_key = f.row_key AND NOT EXISTS ("
            "   SELECT 1 FROM feed_deliveries c"
            "   WHERE (c.feed, c.area, c.period, c.corrects) = (d.feed, d.area, d.period, d.number))) AS stands"
            " FROM feed_rows f WHERE f.feed = :feed AND f.row_key = ANY(:keys)) j"
            " WHERE r.feed = :feed AND r.row_key = j.row_key AND r.stands <> j.stands"
        ),
        {"feed": feed, "keys": list(row_keys)},
    )


def same_row_id_twice(connection: Connection, feed: str, row_ids: Collection[bytes]) -> set[bytes]:
    """Return which of these row ids stand for two different rows."""
    found = connection.execute(
        text(
            "SELECT row_id_hash FROM feed_rows WHERE feed = :feed AND stands AND row_id_hash = ANY(:ids)"
            " GROUP BY row_id_hash HAVING count(*) > 1"
        ),
        {"feed": feed, "ids": list(row_ids)},
    )
    return {bytes(each) for each in found.scalars()}


def overrule_row(connection: Connection, feed: str, row_key: str, *, now: datetime) -> None:
    """Note that a person decided against a row: it does not stand any more, whatever delivery says it again."""
    connection.execute(
        text("UPDATE feed_rows SET overruled_at = :now, stands = false WHERE feed = :feed AND row_key = :key"),
        {"feed": feed, "key": row_key, "now": now},
    )


def accept_name(connection: Connection, feed: str, row_key: str) -> None:
    """Note that a person decided that a row with another name is about this subject."""
    connection.execute(
        text("UPDATE feed_rows SET name_state = 'accepted' WHERE feed = :feed AND row_key = :key"),
        {"feed": feed, "key": row_key},
    )


def row_of_event(connection: Connection, event_id: str) -> tuple[str, str] | None:
    """Return feed and key of the row that made an event; None for an event of another source."""
    row = connection.execute(
        text("SELECT feed, row_key FROM feed_rows WHERE event_id = :id"), {"id": event_id}
    ).one_or_none()
    return None if row is None else (row.feed, row.row_key)


def forget_unmet(connection: Connection, *, before: datetime) -> int:
    """Delete rows about people who are not known and did not become known for so long; return how many."""
    return connection.execute(
        text("DELETE FROM feed_rows WHERE subject_id IS NULL AND received_at < :before"), {"before": before}
    ).rowcount


def _named(key: DeliveryKey) -> dict[str, object]:
    return {"feed": key.feed, "area": key.area, "period": key.period, "number": key.number}
