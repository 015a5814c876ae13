"""Feeds, their deliveries, and what each row of them says, as SQL. A delivery is stored by a few statements, however many rows it has."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypeVar

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

    delivery_id: int
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
    subject_id: str | None
    name_hash: bytes | None = field(repr=False)
    name_state: str
    """`none`, `unchecked`, `same` or `differs`."""
    kind: str
    since: date
    until: date | None
    reported_on: date | None
    detail: Mapping[str, str]
    makes_event: bool

    @property
    def is_effective(self) -> bool:
        """Whether it makes an event if it stands; as `feed_rows.is_effective`."""
        return self.makes_event and self.subject_id is not None and self.name_state in ("none", "same")


@dataclass(frozen=True, slots=True)
class AddedRows:
    """What storing rows came to."""

    fresh: set[str]
    """Keys of rows that nobody said before."""
    subject_ids: set[str]
    """Who has new life events."""
    differing: set[str]
    """Who has another name than such a row."""


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


def add_change(
    connection: Connection,
    feed: StoredFeed,
    action: str,
    *,
    by_sealed: bytes,
    reason_sealed: bytes | None,
    now: datetime,
) -> None:
    """Store what somebody did to a feed, with what it was from then on."""
    connection.execute(
        text(
            "INSERT INTO feed_changes (feed, action, definition, by_sealed, reason_sealed, changed_at)"
            " VALUES (:feed, :action, CAST(:definition AS jsonb), :by, :reason, :now)"
        ),
        {
            "feed": feed.name,
            "action": action,
            "definition": json.dumps(feed.definition),
            "by": by_sealed,
            "reason": reason_sealed,
            "now": now,
        },
    )


def changes(connection: Connection, feed: str) -> Sequence[Any]:
    """Return the changes of a feed, the newest first."""
    return connection.execute(
        text(
            "SELECT action, by_sealed, reason_sealed, changed_at FROM feed_changes WHERE feed = :feed"
            " ORDER BY change_id DESC"
        ),
        {"feed": feed},
    ).all()


_FEED = "SELECT name, definition, first_period, added_at, last_period FROM feeds"


def deliveries_of(connection: Connection, feed: str) -> list[StoredDelivery]:
    """Return the deliveries of a feed, by month, area and number."""
    rows = connection.execute(
        text(_DELIVERY + " WHERE d.feed = :feed ORDER BY d.period, d.area, d.number"), {"feed": feed}
    )
    return [_delivery(*row) for row in rows]


def months_delivered(connection: Connection, feed: str) -> dict[str, frozenset[date]]:
    """Return by area the months of which a delivery of a feed stands; an area that delivered nothing is left out."""
    rows = connection.execute(
        text(
            "SELECT d.area, array_agg(DISTINCT d.period) FROM feed_deliveries d WHERE d.feed = :feed AND NOT EXISTS (SELECT 1"
            " FROM feed_deliveries c WHERE (c.feed, c.area, c.period, c.corrects) = (d.feed, d.area, d.period, d.number))"
            " GROUP BY d.area"
        ),
        {"feed": feed},
    )
    return {area: frozenset(periods) for area, periods in rows}


def find_deliveries(connection: Connection, feed: str, area: str, period: date) -> dict[int, StoredDelivery]:
    """Return the deliveries of one month by number."""
    rows = connection.execute(
        text(_DELIVERY + " WHERE d.feed = :feed AND d.area = :area AND d.period = :period"),
        {"feed": feed, "area": area, "period": period},
    )
    return {found.key.number: found for found in (_delivery(*row) for row in rows)}


_DELIVERY = (
    "SELECT d.delivery_id, d.feed, d.area, d.period, d.number, d.corrects, c.number, d.sha256, d.rows, d.received_at FROM feed_deliveries d"
    " LEFT JOIN feed_deliveries c ON (c.feed, c.area, c.period, c.corrects) = (d.feed, d.area, d.period, d.number)"
)


def _delivery(
    delivery_id: int,
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
    key = DeliveryKey(feed, area, period, number)
    return StoredDelivery(delivery_id, key, corrects, corrected_by, sha256, rows, received_at)


def add_delivery(
    connection: Connection, key: DeliveryKey, *, corrects: int | None, sha256: str, rows: int, now: datetime
) -> int:
    """Store that a delivery came; return its id."""
    found = connection.execute(
        text(
            "INSERT INTO feed_deliveries (feed, area, period, number, corrects, sha256, rows, received_at)"
            " VALUES (:feed, :area, :period, :number, :corrects, :sha256, :rows, :now) RETURNING delivery_id"
        ),
        {
            "feed": key.feed,
            "area": key.area,
            "period": key.period,
            "number": key.number,
            "corrects": corrects,
            "sha256": sha256,
            "rows": rows,
            "now": now,
        },
    )
    return int(found.scalar_one())


def add_rows(
    connection: Connection,
    feed: str,
    delivery_id: int,
    rows: Sequence[NewRow],
    *,
    stand: bool,
    confirms: bool,
    now: datetime,
) -> AddedRows:
    """Store what a delivery says, with the life events of rows that nobody said before.

    Args:
        connection: where.
        feed: whose delivery.
        delivery_id: which.
        rows: what it says, each thing once.
        stand: whether the delivery counts, so that its new rows stand.
        confirms: whether the feed's word is a confirmation.
        now: when.
    """
    added = AddedRows(set(), set(), set())
    for part in parts(rows):
        found = connection.execute(
            text(_ADD_ROWS),
            {
                "feed": feed,
                "source": SOURCE + feed,
                "stand": stand,
                "confirms": confirms,
                "now": now,
                **_columns(part, stand),
            },
        )
        for row in found:
            added.fresh.add(row.row_key)
            if row.event_id is not None:
                added.subject_ids.add(row.subject_id)
            elif row.name_state == "differs":
                added.differing.add(row.subject_id)
        connection.execute(
            text("INSERT INTO feed_delivery_rows (row_key, delivery_id) SELECT unnest(CAST(:keys AS text[])), :id"),
            {"keys": [row.row_key for row in part], "id": delivery_id},
        )
    return added


_ADD_ROWS = """
WITH fresh AS (
    INSERT INTO feed_rows (row_key, feed, row_id_hash, claim_token, subject_id, name_hash, name_state, kind, since, until,
        reported_on, detail, makes_event, stands, event_id, times, received_at)
    SELECT p.row_key, :feed, p.row_id, p.token, p.subject, p.name, p.name_state, p.kind, p.since, p.until, p.reported, p.detail,
        p.makes_event, :stand, p.event_id, CASE WHEN p.event_id IS NULL THEN 0 ELSE 1 END, :now
    FROM unnest(CAST(:keys AS text[]), CAST(:row_ids AS bytea[]), CAST(:tokens AS text[]), CAST(:subjects AS text[]),
        CAST(:names AS bytea[]), CAST(:name_states AS text[]), CAST(:kinds AS text[]), CAST(:since AS date[]),
        CAST(:until AS date[]), CAST(:reported AS date[]), CAST(:details AS jsonb[]), CAST(:makes AS boolean[]),
        CAST(:events AS text[])) AS p (row_key, row_id, token, subject, name, name_state, kind, since, until, reported, detail,
        makes_event, event_id)
    ON CONFLICT (row_key) DO NOTHING RETURNING *
), made AS (
    INSERT INTO life_events (event_id, subject_id, kind, since, until, source, source_id, confirmed, reported_on, received_at, detail)
    SELECT event_id, subject_id, kind, since, until, :source, row_key || ':' || times, :confirms, reported_on, :now, detail
    FROM fresh WHERE event_id IS NOT NULL
) SELECT row_key, subject_id, event_id, name_state FROM fresh
"""


def _columns(rows: Sequence[NewRow], stand: bool) -> dict[str, list[Any]]:
    return {
        "keys": [row.row_key for row in rows],
        "row_ids": [row.row_id_hash for row in rows],
        "tokens": [row.claim_token for row in rows],
        "subjects": [row.subject_id for row in rows],
        "names": [row.name_hash for row in rows],
        "name_states": [row.name_state for row in rows],
        "kinds": [row.kind for row in rows],
        "since": [row.since for row in rows],
        "until": [row.until for row in rows],
        "reported": [row.reported_on for row in rows],
        "details": [json.dumps(dict(row.detail), ensure_ascii=False) for row in rows],
        "makes": [row.makes_event for row in rows],
        "events": [os.urandom(16).hex() if stand and row.is_effective else None for row in rows],
    }


_Item = TypeVar("_Item")
_PART = 5000
"""Rows in one statement: the planner knows nothing of rows that are new in this transaction, and chooses well for so many only."""


def parts(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """Give items some at a time."""
    for start in range(0, len(items), _PART):
        yield items[start : start + _PART]


def row_keys_of(connection: Connection, delivery_id: int) -> list[str]:
    """Return the rows that a delivery says."""
    found = connection.execute(
        text("SELECT row_key FROM feed_delivery_rows WHERE delivery_id = :id"), {"id": delivery_id}
    )
    return list(found.scalars())


def names_differ(connection: Connection, delivery_id: int) -> int:
    """Return how many rows of a delivery have another name than the person's and no effect for that reason."""
    found = connection.execute(
        text(
            "SELECT count(*) FROM feed_rows JOIN feed_delivery_rows USING (row_key) WHERE delivery_id = :id"
            " AND name_state = 'differs' AND subject_id IS NOT NULL"
        ),
        {"id": delivery_id},
    )
    return int(found.scalar_one())


def judge_rows(connection: Connection, row_keys: Sequence[str]) -> None:
    """Say of rows whether they stand: a delivery says them that no other corrects, and nobody overruled them."""
    for part in parts(row_keys):
        connection.execute(
            text(
                "UPDATE feed_rows r SET stands = j.stands FROM ("
                " SELECT f.row_key, f.overruled_at IS NULL AND EXISTS ("
                "  SELECT 1 FROM feed_delivery_rows s JOIN feed_deliveries d USING (delivery_id)"
                "  WHERE s.row_key = f.row_key AND NOT EXISTS (SELECT 1 FROM feed_deliveries c"
                "   WHERE (c.feed, c.area, c.period, c.corrects) = (d.feed, d.area, d.period, d.number))) AS stands"
                " FROM feed_rows f WHERE f.row_key = ANY(:keys)) j"
                " WHERE r.row_key = j.row_key AND r.stands <> j.stands"
            ),
            {"keys": list(part)},
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


def overrule_row(connection: Connection, row_key: str, *, now: datetime) -> None:
    """Note that a person decided against a row: it does not stand any more, whatever delivery says it again."""
    connection.execute(
        text("UPDATE feed_rows SET overruled_at = :now, stands = false WHERE row_key = :key"),
        {"key": row_key, "now": now},
    )


def accept_name(connection: Connection, row_key: str) -> None:
    """Note that a person decided that a row with another name is about this subject."""
    connection.execute(
        text("UPDATE feed_rows SET name_state = 'accepted' WHERE row_key = :key"),
        {"key": row_key},
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
