"""Takes feeds up and ends them; each change is written down with who made it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, tzinfo

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.clock import day_of
from fleet.errors import NotFound, Refused
from fleet.exchange.cycles import month_text
from fleet.exchange.definitions import FeedDefinition, catalogue
from fleet.keys import FieldCipher, FleetKeys
from fleet.status.doubts import keep_doubts
from fleet.store import feeds
from fleet.store.contradictions import subjects_of_zeros
from fleet.store.database import Database
from fleet.store.feeds import StoredFeed
from fleet.store.names import cleaned
from protocol.rules.days import first_of_month

_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody did to a feed."""

    action: str
    """`added`, `changed` or `ended`."""
    changed_at: datetime
    by: str = field(repr=False)
    reason: str = field(repr=False)
    """Empty where nobody asked for one."""


def shipped(name: str) -> FeedDefinition:
    """Return a feed that comes with the program.

    Raises:
        NotFound: if none has this name.
        Refused: if it is no name.
    """
    demand_name(name)
    if name not in catalogue().feeds:
        raise NotFound(
            f"feed {name}: none of this name comes with the program; give --definition FILE",
            code="feed_unknown",
            feed=name,
        )
    return catalogue().feeds[name]


def demand_name(name: str) -> None:
    """Refuse what is no feed's name.

    Raises:
        Refused: if it is none.
    """
    plain = name.replace("_", "a")
    if not (
        name and name.isascii() and plain.isalnum() and name[0].isalpha() and name.islower() and len(name) <= _LONGEST
    ):
        raise Refused(
            f"feed: a name of small letters, digits and _ expected, {_LONGEST} at most", code="feed_name", most=_LONGEST
        )


def take_up(
    database: Database,
    keys: FleetKeys,
    name: str,
    definition: FeedDefinition,
    *,
    first: date | None,
    by: str,
    reason: str = "",
    now: datetime,
    zone: tzinfo,
) -> StoredFeed:
    """Take up a feed, or give one another definition; what it delivered stays.

    Args:
        database: where.
        keys: the fleet's.
        name: the feed's.
        definition: what it is.
        first: the first month that is wanted; None for this month, or for the one that was said before.
        by: who does it.
        reason: why, in their words; empty where nobody asked.
        now: when.
        zone: where a day ends.

    Raises:
        Refused: if it is no name, or the reason is too long.
    """
    demand_name(name)
    with database.begin() as connection:
        there = feeds.find_feed(connection, name, lock=True)
        since = first_of_month(day_of(now, zone)) if there is None else there.first_period
        feed = StoredFeed(name, definition.model_dump(mode="json"), first or since, now)
        _save(connection, keys, feed, "added" if there is None else "changed", by=by, reason=reason, now=now)
        # Whether a zero report is contradicted hangs on the kinds of events that the feed is asked for.
        keep_doubts(connection, subjects_of_zeros(connection, name), zone=zone)
    return feed


def end(database: Database, keys: FleetKeys, name: str, *, last: date, by: str, now: datetime) -> None:
    """Want no more months of a feed; what it delivered stays, and late deliveries are still taken in.

    Args:
        database: where.
        keys: the fleet's.
        name: the feed's.
        last: the last month that is wanted.
        by: who does it.
        now: when.

    Raises:
        NotFound: if there is no such feed in use.
        Refused: if the month lies before the first one.
    """
    with database.begin() as connection:
        there = feeds.find_feed(connection, name, lock=True)
        if there is None:
            raise NotFound(f"feed {name}: not in use", code="feed_not_used", feed=name)
        if last < there.first_period:
            sentence = f"feed {name}: is wanted from {month_text(there.first_period)} on; --last lies before"
            raise Refused(sentence, code="feed_last", first=month_text(there.first_period))
        _save(connection, keys, replace(there, last_period=last), "ended", by=by, reason="", now=now)


def changes_of(connection: Connection, cipher: FieldCipher, name: str) -> list[Change]:
    """Return who did what to a feed and why, the newest first."""
    of = _sealed_for(name)
    return [
        Change(
            row.action,
            row.changed_at,
            cipher.decrypt(bytes(row.by_sealed), subject_id=of, field_name="changed_by"),
            ""
            if row.reason_sealed is None
            else cipher.decrypt(bytes(row.reason_sealed), subject_id=of, field_name="change_reason"),
        )
        for row in feeds.changes(connection, name)
    ]


def _save(
    connection: Connection, keys: FleetKeys, feed: StoredFeed, action: str, *, by: str, reason: str, now: datetime
) -> None:
    of = _sealed_for(feed.name)
    feeds.save_feed(connection, feed)
    feeds.add_change(
        connection,
        feed,
        action,
        by_sealed=keys.cipher.encrypt(cleaned(by), subject_id=of, field_name="changed_by"),
        reason_sealed=keys.cipher.encrypt(cleaned(reason), subject_id=of, field_name="change_reason")
        if reason
        else None,
        now=now,
    )
    note(
        connection,
        keys.cipher,
        actor=by,
        action=f"feed.{action}",
        object_kind="feed",
        object_id=feed.name,
        detail={
            **feed.definition,
            "from": month_text(feed.first_period),
            "last": None if feed.last_period is None else month_text(feed.last_period),
        },
        now=now,
    )


def _sealed_for(name: str) -> str:
    return f"feed:{name}"
