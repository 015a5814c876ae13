"""Takes in deliveries of feeds: all of one or nothing, again without harm, and corrections of what came before.

A row is what it says. It stands as long as a delivery says it that no other corrects; so the same deliveries give the same in whatever
order they come, a delivery that comes twice changes nothing, and a correction takes back what it does not say any more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.clock import day_of
from fleet.errors import ImportRefused, NotFound, Refused
from fleet.exchange.checking import Given, StatedRow, check_rows
from fleet.exchange.cycles import month_text, parse_month
from fleet.exchange.definitions import FeedDefinition
from fleet.exchange.effects import Settled, apply_rows, meet
from fleet.exchange.messages import Delivery
from fleet.exchange.tokens import new_rows
from fleet.keys import FleetKeys
from fleet.status.doubts import keep_doubts
from fleet.store import feeds
from fleet.store.areas import areas_of
from fleet.store.contradictions import subjects_of_zeros
from fleet.store.database import Database
from fleet.store.feeds import ZERO, DeliveryKey, NewRow, StoredDelivery
from fleet.store.subjects import lock_subjects
from fleet.tables.places import at_row
from protocol.errors import Problem


@dataclass(frozen=True, slots=True)
class Report:
    """What a delivery came to."""

    rows: int
    """Different rows of it."""
    repeated: int
    """Rows that say again what another row of it says."""
    known: int
    """Rows about people the agency knows."""
    unknown: int
    """Rows about others: kept as tokens for a time, so that somebody who is imported later meets them."""
    names_differ: int
    """Rows with another name than the person's: without effect until somebody decides (`feeds contradictions`)."""
    certified: int
    """Silent acts that it made."""
    withdrawn: int
    """Silent acts that it took back."""
    is_repeated: bool = False
    """Whether this very delivery had come before, so that nothing changed."""
    awaits: int | None = None
    """The delivery that it corrects and that has not come yet."""


def take_in(
    database: Database,
    keys: FleetKeys,
    delivery: Delivery,
    *,
    actor: str,
    now: datetime,
    zone: tzinfo,
    unknown_days: int,
    places: Sequence[Problem] = (),
    problems: Sequence[Problem] = (),
) -> Report:
    """Take in a delivery in one transaction, whether it came as a file or as a message.

    Args:
        database: where.
        keys: the fleet's.
        delivery: what came.
        actor: who brings it, for the log: a person's name, or `partner:<id>`.
        now: when.
        zone: where a day ends.
        unknown_days: how long rows about people who are not known are kept.
        places: where each row stands, for messages; without it `row 1` and so on.
        problems: what is wrong with other rows, to be reported with the rest.

    Raises:
        NotFound: if there is no such feed, or no such area.
        ImportRefused: with every row that cannot be so.
        Refused: if another delivery has its number, or what it corrects was corrected already.
        DatabaseUnavailable: nothing was stored, or all of it; the same delivery can be brought again.
    """
    today = day_of(now, zone)
    with database.begin() as connection:
        definition = definition_of(connection, delivery.feed, lock=True)
        key = _key(connection, definition, delivery, today)
        where = places or [at_row(number) for number in range(1, len(delivery.rows) + 1)]
        given = [Given(place, row) for place, row in zip(where, delivery.rows, strict=True)]
        checked = check_rows(definition, given, period=key.period, today=today)
        if problems or checked.problems:
            raise ImportRefused([*problems, *checked.problems])
        new = new_rows(connection, keys, key.feed, definition, checked.rows, area=key.area)
        sha256 = _digest(row.row_key for row in new)
        there = feeds.find_deliveries(connection, key.feed, key.area, key.period)
        if key.number in there:
            _demand_same(there[key.number], sha256, delivery.corrects)
            return Report(len(new), checked.repeated, 0, 0, 0, 0, 0, is_repeated=True)
        _demand_place(key, delivery.corrects, there)
        feeds.forget_unmet(connection, before=now - timedelta(days=unknown_days))
        settled = meet(connection, keys, zone=zone, now=now)
        delivery_id = feeds.add_delivery(
            connection, key, corrects=delivery.corrects, sha256=sha256, rows=len(new), now=now
        )
        settled += _store(
            connection,
            keys,
            key,
            new,
            definition=definition,
            delivery_id=delivery_id,
            there=there,
            corrects=delivery.corrects,
            zone=zone,
            now=now,
        )
        _keep_doubted_zeros(connection, key, zone)
        _demand_one_meaning(connection, key.feed, checked.rows, new)
        report = Report(
            rows=len(new),
            repeated=checked.repeated,
            known=sum(row.subject_id is not None for row in new),
            unknown=sum(row.subject_id is None for row in new),
            names_differ=feeds.names_differ(connection, delivery_id),
            certified=settled.certified,
            withdrawn=settled.withdrawn,
            awaits=None if delivery.corrects in there else delivery.corrects,
        )
        _note(
            connection,
            keys,
            key,
            actor=actor,
            action="delivery.taken_in",
            corrects=delivery.corrects,
            more={"rows": len(new), "sha256": sha256},
            now=now,
        )
    return report


def zero_report(
    database: Database,
    keys: FleetKeys,
    feed: str,
    period: date,
    *,
    area: str,
    corrects: int | None,
    actor: str,
    now: datetime,
    zone: tzinfo,
) -> bool:
    """Note that a body, or an area, has nothing to report for a month (R8-10); return False if it said so before.

    Raises:
        NotFound: if there is no such feed, or no such area.
        Refused: if it reported something for this month, and does not say that this is corrected.
    """
    with database.begin() as connection:
        definition = definition_of(connection, feed, lock=True)
        _demand_area(connection, definition, feed, area)
        _demand_period(period, day_of(now, zone))
        there = feeds.find_deliveries(connection, feed, area, period)
        standing = {n: found for n, found in there.items() if found.corrected_by is None}
        if any(found.rows == 0 for found in standing.values()):
            return False
        if open_ones := sorted(standing.keys() - {corrects}):
            raise Refused(
                f"feed {feed}: delivery {open_ones[0]} of {month_text(period)} has rows; take it back with"
                f" --corrects {open_ones[0]}",
                code="has_rows",
                number=open_ones[0],
                period=month_text(period),
            )
        key = DeliveryKey(feed, area, period, max(there) + 1 if ZERO in there else ZERO)
        _demand_place(key, corrects, there)
        feeds.add_delivery(connection, key, corrects=corrects, sha256=_digest(()), rows=0, now=now)
        if corrects is not None and corrects in there:
            touched = sorted(feeds.row_keys_of(connection, there[corrects].delivery_id))
            apply_rows(connection, keys, feed, touched, confirms=definition.confirms, zone=zone, now=now)
        _keep_doubted_zeros(connection, key, zone)
        _note(
            connection,
            keys,
            key,
            actor=actor,
            action="delivery.zero_report",
            corrects=corrects,
            more={},
            now=now,
        )
    return True


def definition_of(connection: Connection, feed: str, *, lock: bool = False) -> FeedDefinition:
    """Return what a feed in use is.

    Raises:
        NotFound: if there is none of this name in use.
    """
    found = feeds.find_feed(connection, feed, lock=lock)
    if found is None:
        raise NotFound(
            f"feed {feed}: not in use; `lifecert-fleet feeds add {feed}` takes it up", code="feed_not_used", feed=feed
        )
    return FeedDefinition.model_validate_json(json.dumps(found.definition))


def _store(
    connection: Connection,
    keys: FleetKeys,
    key: DeliveryKey,
    new: Sequence[NewRow],
    *,
    definition: FeedDefinition,
    delivery_id: int,
    there: Mapping[int, StoredDelivery],
    corrects: int | None,
    zone: tzinfo,
    now: datetime,
) -> Settled:
    """Store the rows of a delivery and bring about what they say, and what the delivery it corrects does not say any more."""
    # Subjects before what hangs on them: of two feeds about one person the second sees what the first did.
    lock_subjects(connection, sorted({row.subject_id for row in new if row.subject_id is not None}))
    is_corrected = any(found.corrects == key.number for found in there.values())
    confirms = definition.confirms
    added = feeds.add_rows(connection, key.feed, delivery_id, new, stand=not is_corrected, confirms=confirms, now=now)
    touched = {row.row_key for row in new} - added.fresh
    if corrects is not None and corrects in there:
        touched |= set(feeds.row_keys_of(connection, there[corrects].delivery_id))
    return apply_rows(
        connection,
        keys,
        key.feed,
        sorted(touched),
        confirms=confirms,
        zone=zone,
        now=now,
        also=added.subject_ids | added.differing,
    )


def _keep_doubted_zeros(connection: Connection, key: DeliveryKey, zone: tzinfo) -> None:
    """Work out anew what contradicts itself about people of an area for whose month a zero report came, or is taken back."""
    if key.area:
        keep_doubts(connection, subjects_of_zeros(connection, key.feed, key.area, key.period), zone=zone)


def _note(
    connection: Connection,
    keys: FleetKeys,
    key: DeliveryKey,
    *,
    actor: str,
    action: str,
    corrects: int | None,
    more: Mapping[str, object],
    now: datetime,
) -> None:
    note(
        connection,
        keys.cipher,
        actor=actor,
        action=action,
        object_kind="feed",
        object_id=key.feed,
        detail={
            "area": key.area,
            "period": month_text(key.period),
            "number": key.number,
            "corrects": corrects,
            **more,
        },
        now=now,
    )


def _key(connection: Connection, definition: FeedDefinition, delivery: Delivery, today: date) -> DeliveryKey:
    period = parse_month(delivery.period)
    _demand_period(period, today)
    _demand_area(connection, definition, delivery.feed, delivery.area)
    return DeliveryKey(delivery.feed, delivery.area, period, delivery.number)


def _demand_period(period: date, today: date) -> None:
    if period > today:
        raise Refused(f"period {month_text(period)}: has not begun", code="period_to_come", period=month_text(period))


def _demand_area(connection: Connection, definition: FeedDefinition, feed: str, area: str) -> None:
    if definition.area_level is None:
        if area:
            raise Refused(f"feed {feed}: one body reports for all areas; leave the area out", code="one_body")
        return
    if not area:
        raise Refused(
            f"feed {feed}: every area of level {definition.area_level} reports by itself; name it",
            code="area_reports",
            level=definition.area_level,
        )
    found = areas_of(connection).get(area)
    if found is None or found.level != definition.area_level:
        raise no_area_of_level(area, definition.area_level)


def no_area_of_level(area: str, level: int) -> NotFound:
    """Return what is raised where an area does not report by itself, or is not there for whoever names it."""
    sentence = f"area {area}: none of level {level} has this code"
    return NotFound(sentence, code="no_area_of_level", area=area, level=level)


def _demand_same(there: StoredDelivery, sha256: str, corrects: int | None) -> None:
    if (there.sha256, there.corrects) != (sha256, corrects):
        raise Refused(
            f"feed {there.key.feed}: delivery {there.key.number} of {month_text(there.key.period)} came before and said"
            f" something else; give this one the next number, with --corrects {there.key.number} if it takes its place",
            code="other_content",
            number=there.key.number,
            period=month_text(there.key.period),
        )


def _demand_place(key: DeliveryKey, corrects: int | None, there: dict[int, StoredDelivery]) -> None:
    named = f"feed {key.feed}: delivery {key.number} of {month_text(key.period)}"
    if corrects is not None and corrects >= key.number > ZERO:
        raise Refused(f"{named}: what it corrects has a lower number", code="corrects_lower")
    others = [n for n, found in there.items() if corrects is not None and found.corrects == corrects]
    if corrects is not None and others:
        sentence = f"{named}: delivery {corrects} was corrected by {others[0]} already; correct that one"
        raise Refused(sentence, code="corrected_already", number=corrects, other=others[0])
    zero = [n for n, found in there.items() if found.rows == 0 and found.corrected_by is None and n != corrects]
    if zero:
        sentence = f"{named}: a zero report is here; take it back with --corrects {zero[0]}"
        raise Refused(sentence, code="zero_is_here", number=zero[0])


def _digest(row_keys: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(row_keys)).encode()).hexdigest()


def _demand_one_meaning(connection: Connection, feed: str, rows: Sequence[StatedRow], new: Sequence[NewRow]) -> None:
    ids = {row.row_id_hash: stated.where for row, stated in zip(new, rows, strict=True) if row.row_id_hash is not None}
    twice = feeds.same_row_id_twice(connection, feed, ids) if ids else set[bytes]()
    if twice:
        before = Problem(
            "its row id was delivered before and said something else; deliver it as a correction", "row_id_before"
        )
        raise ImportRefused([before.within(where) for row_id, where in ids.items() if row_id in twice])
