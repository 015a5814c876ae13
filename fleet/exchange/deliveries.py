"""Takes in deliveries of feeds: all of one or nothing, again without harm, and corrections of what came before.

A row is what it says. It stands as long as a delivery says it that no other corrects; so the same deliveries give the same in whatever
order they come, a delivery that comes twice changes nothing, and a correction takes back what it does not say any more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.clock import day_of
from fleet.errors import ImportRefused, NotFound, Refused
from fleet.exchange.checking import Given, StatedRow, check_rows
from fleet.exchange.cycles import month_text, parse_month
from fleet.exchange.definitions import FeedDefinition, catalogue
from fleet.exchange.effects import apply_rows, meet, name_digest
from fleet.exchange.messages import DeliveredRow, Delivery
from fleet.exchange.reading import Column, read_table
from fleet.keys import FleetKeys
from fleet.store import feed_effects, feeds
from fleet.store.areas import areas_of
from fleet.store.database import Database
from fleet.store.feed_effects import Named
from fleet.store.feeds import ZERO, DeliveryKey, NewRow, StoredDelivery
from fleet.store.subjects import lock_subjects
from protocol.documents import claim_token

_OPTIONAL = ("row_id", "document_kind", "document_issuer", "name", "reported_on")


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


@dataclass(frozen=True, slots=True)
class Place:
    """Which delivery a file is."""

    period: date
    """First day of the month."""
    number: int
    corrects: int | None = None
    area: str = ""


@dataclass(frozen=True, slots=True)
class FileDelivery:
    """A file as a delivery, as far as it could be read."""

    delivery: Delivery
    places: tuple[str, ...]
    """Where each row stands, for messages."""
    problems: tuple[str, ...]
    """What is wrong with other lines; with one of these nothing is taken in."""


def read_delivery(path: Path, feed: str, definition: FeedDefinition, place: Place) -> FileDelivery:
    """Read a file as a delivery.

    Args:
        path: CSV in UTF-8 or GB18030 with a heading line.
        feed: the feed's name.
        definition: how its columns are called.
        place: which delivery it is.

    Raises:
        ImportRefused: if no row of it can be read.
    """
    table = read_table(path, _columns(definition))
    rows: list[DeliveredRow] = []
    places: list[str] = []
    problems = [f"{path}: {problem}" for problem in table.problems]
    for row in table.rows:
        where = f"{path}: line {row.line}"
        too_long = sorted(name for name, cell in row.cells.items() if len(cell) > _MOST_CHARACTERS)
        if too_long:
            problems.append(f"{where}: more than {_MOST_CHARACTERS} characters in {', '.join(too_long)}")
        elif not row.cells["document_number"]:
            problems.append(f"{where}: document_number: empty")
        else:
            rows.append(DeliveredRow(**row.cells))
            places.append(where)
    if not table.rows and not problems:
        problems.append(f"{path}: a heading and no rows; if nothing happened, say so with `feeds zero-report`")
    if not rows:
        raise ImportRefused(problems)
    delivery = Delivery(
        feed=feed,
        period=month_text(place.period),
        number=place.number,
        corrects=place.corrects,
        area=place.area,
        rows=tuple(rows),
    )
    return FileDelivery(delivery, tuple(places), tuple(problems))


_MOST_CHARACTERS = 200
"""Source: `fleet.exchange.messages.DeliveredRow`."""


def take_in(
    database: Database,
    keys: FleetKeys,
    delivery: Delivery,
    *,
    actor: str,
    now: datetime,
    zone: tzinfo,
    unknown_days: int,
    places: Sequence[str] = (),
    problems: Sequence[str] = (),
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
        where = places or [f"row {number}" for number in range(1, len(delivery.rows) + 1)]
        given = [Given(place, row) for place, row in zip(where, delivery.rows, strict=True)]
        checked = check_rows(definition, given, period=key.period, today=today)
        if problems or checked.problems:
            raise ImportRefused([*problems, *checked.problems])
        new = _new_rows(connection, keys, key.feed, definition, checked.rows)
        sha256 = _digest(row.row_key for row in new)
        there = feeds.find_deliveries(connection, key.feed, key.area, key.period)
        if key.number in there:
            _demand_same(there[key.number], sha256, delivery.corrects)
            return Report(len(new), checked.repeated, 0, 0, 0, 0, 0, is_repeated=True)
        _demand_place(key, delivery.corrects, there)
        feeds.forget_unmet(connection, before=now - timedelta(days=unknown_days))
        settled = meet(connection, keys, zone=zone, now=now)
        # Subjects before what hangs on them: of two feeds about one person the second sees what the first did.
        who = {row.subject_id for row in new if row.subject_id is not None}
        lock_subjects(connection, sorted(who))
        delivery_id = feeds.add_delivery(
            connection, key, corrects=delivery.corrects, sha256=sha256, rows=len(new), now=now
        )
        is_corrected = any(found.corrects == key.number for found in there.values())
        confirms = definition.confirms
        added = feeds.add_rows(
            connection, key.feed, delivery_id, new, stand=not is_corrected, confirms=confirms, now=now
        )
        corrected = there.get(delivery.corrects) if delivery.corrects is not None else None
        touched = {row.row_key for row in new} - added.fresh
        touched |= set() if corrected is None else set(feeds.row_keys_of(connection, corrected.delivery_id))
        settled += apply_rows(
            connection,
            keys,
            key.feed,
            sorted(touched),
            confirms=confirms,
            also=added.subject_ids,
            zone=zone,
            now=now,
        )
        _demand_one_meaning(connection, key.feed, checked.rows, new)
        names_differ = feeds.names_differ(connection, delivery_id)
        note(
            connection,
            keys.cipher,
            actor=actor,
            action="delivery.taken_in",
            object_kind="feed",
            object_id=key.feed,
            detail={**_named(key), "corrects": delivery.corrects, "rows": len(new), "sha256": sha256},
            now=now,
        )
    awaits = delivery.corrects if delivery.corrects is not None and delivery.corrects not in there else None
    return Report(
        len(new),
        checked.repeated,
        sum(row.subject_id is not None for row in new),
        sum(row.subject_id is None for row in new),
        names_differ,
        settled.certified,
        settled.withdrawn,
        awaits=awaits,
    )


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
                f" --corrects {open_ones[0]}"
            )
        key = DeliveryKey(feed, area, period, max(there) + 1 if ZERO in there else ZERO)
        _demand_place(key, corrects, there)
        feeds.add_delivery(connection, key, corrects=corrects, sha256=_digest(()), rows=0, now=now)
        if corrects is not None and corrects in there:
            touched = sorted(feeds.row_keys_of(connection, there[corrects].delivery_id))
            apply_rows(connection, keys, feed, touched, confirms=definition.confirms, zone=zone, now=now)
        note(
            connection,
            keys.cipher,
            actor=actor,
            action="delivery.zero_report",
            object_kind="feed",
            object_id=feed,
            detail={**_named(key), "corrects": corrects},
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
        raise NotFound(f"feed {feed}: not in use; `lifecert-fleet feeds add {feed}` takes it up")
    return FeedDefinition.model_validate_json(json.dumps(found.definition))


def _columns(definition: FeedDefinition) -> dict[str, Column]:
    known = catalogue().columns
    columns = {name: Column(known[name], is_required=False) for name in _OPTIONAL}
    columns["document_number"] = Column(known["document_number"])
    columns["kind"] = Column(known["kind"], is_required=len(definition.kinds) > 1)
    columns["since"] = Column((*known["since"], *definition.since))
    columns["until"] = Column((*known["until"], *definition.until), is_required=False)
    if definition.code is not None:
        columns["code"] = Column((definition.code.name, *definition.code.headings))
    return columns


def _key(connection: Connection, definition: FeedDefinition, delivery: Delivery, today: date) -> DeliveryKey:
    period = parse_month(delivery.period)
    _demand_period(period, today)
    _demand_area(connection, definition, delivery.feed, delivery.area)
    return DeliveryKey(delivery.feed, delivery.area, period, delivery.number)


def _demand_period(period: date, today: date) -> None:
    if period > today:
        raise Refused(f"period {month_text(period)}: has not begun")


def _demand_area(connection: Connection, definition: FeedDefinition, feed: str, area: str) -> None:
    if definition.area_level is None:
        if area:
            raise Refused(f"feed {feed}: one body reports for all areas; leave the area out")
        return
    if not area:
        raise Refused(f"feed {feed}: every area of level {definition.area_level} reports by itself; name it")
    found = areas_of(connection).get(area)
    if found is None or found.level != definition.area_level:
        raise NotFound(f"area {area}: none of level {definition.area_level} has this code")


def _demand_same(there: StoredDelivery, sha256: str, corrects: int | None) -> None:
    if (there.sha256, there.corrects) != (sha256, corrects):
        raise Refused(
            f"feed {there.key.feed}: delivery {there.key.number} of {month_text(there.key.period)} came before and said"
            f" something else; give this one the next number, with --corrects {there.key.number} if it takes its place"
        )


def _demand_place(key: DeliveryKey, corrects: int | None, there: dict[int, StoredDelivery]) -> None:
    named = f"feed {key.feed}: delivery {key.number} of {month_text(key.period)}"
    if corrects is not None and corrects >= key.number > ZERO:
        raise Refused(f"{named}: what it corrects has a lower number")
    others = [n for n, found in there.items() if corrects is not None and found.corrects == corrects]
    if others:
        raise Refused(f"{named}: delivery {corrects} was corrected by {others[0]} already; correct that one")
    zero = [n for n, found in there.items() if found.rows == 0 and found.corrected_by is None and n != corrects]
    if zero:
        raise Refused(f"{named}: a zero report is here; take it back with --corrects {zero[0]}")


def _new_rows(
    connection: Connection, keys: FleetKeys, feed: str, definition: FeedDefinition, rows: Sequence[StatedRow]
) -> list[NewRow]:
    tokens = [claim_token(row.document, keys.claim_key) for row in rows]
    known = feed_effects.named_by_tokens(connection, sorted(set(tokens)))
    return [
        _new_row(keys, feed, definition, row, token, known.get(token)) for row, token in zip(rows, tokens, strict=True)
    ]


def _new_row(
    keys: FleetKeys, feed: str, definition: FeedDefinition, row: StatedRow, token: str, subject: Named | None
) -> NewRow:
    detail = {definition.code.name: row.code} if definition.code is not None else {}
    row_id = keys.cipher.digest(row.row_id, subject_id=feed, field_name="feed_row_id") if row.row_id else None
    name = name_digest(keys.cipher, row.name, token) if row.name else None
    said = [
        feed,
        None if row_id is None else row_id.hex(),
        token,
        None if name is None else name.hex(),
        row.kind.value,
        row.since.isoformat(),
        None if row.until is None else row.until.isoformat(),
        None if row.reported_on is None else row.reported_on.isoformat(),
        detail,
    ]
    return NewRow(
        row_key=hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:_KEY_DIGITS],
        row_id_hash=row_id,
        claim_token=token,
        subject_id=None if subject is None else subject.subject_id,
        name_hash=name,
        name_state=_name_state(keys, name, token, subject),
        kind=row.kind.value,
        since=row.since,
        until=row.until,
        reported_on=row.reported_on,
        detail=detail,
        makes_event=row.makes_event,
    )


_KEY_DIGITS = 32
"""128 bits: among 10^12 rows two have the same key with a probability of 10^-15."""


def _name_state(keys: FleetKeys, name: bytes | None, token: str, subject: Named | None) -> str:
    if name is None:
        return "none"
    if subject is None:
        return "unchecked"
    known = keys.cipher.decrypt(subject.name_sealed, subject_id=subject.subject_id, field_name="name")
    return "same" if name_digest(keys.cipher, known, token) == name else "differs"


def _digest(row_keys: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(row_keys)).encode()).hexdigest()


def _demand_one_meaning(connection: Connection, feed: str, rows: Sequence[StatedRow], new: Sequence[NewRow]) -> None:
    ids = {row.row_id_hash: stated.where for row, stated in zip(new, rows, strict=True) if row.row_id_hash is not None}
    twice = feeds.same_row_id_twice(connection, feed, ids) if ids else set[bytes]()
    if twice:
        raise ImportRefused(
            [
                f"{where}: its row id was delivered before and said something else; deliver it as a correction"
                for row_id, where in ids.items()
                if row_id in twice
            ]
        )


def _named(key: DeliveryKey) -> dict[str, object]:
    return {"area": key.area, "period": month_text(key.period), "number": key.number}
