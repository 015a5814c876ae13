"""Lists for the agency's people: feeds and what is missing of them, losses, people abroad, the household register beside certification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from itertools import groupby

from sqlalchemy import Connection

from fleet.exchange.abroad import Crossing, abroad_since, needs_form
from fleet.exchange.comparison import Finding, compare
from fleet.exchange.cycles import Standing, standing_on
from fleet.exchange.definitions import FeedDefinition
from fleet.exchange.deliveries import definition_of
from fleet.status.doubts import reported
from fleet.status.losses import Loss, losses
from fleet.store import feed_effects, feed_lists, feeds
from fleet.store.acts import acts_of
from fleet.store.areas import codes_below, codes_of_level
from fleet.store.feed_lists import RegisterState
from fleet.store.feeds import StoredFeed
from fleet.store.life_events import life_events_of
from fleet.store.packs import shelf_of
from protocol.rules.life import ENDING, SUSPENDING

_CHUNK = 5000


@dataclass(frozen=True, slots=True)
class FeedStanding:
    """Where a feed stands."""

    name: str
    definition: FeedDefinition
    last: date | None
    due: date | None
    """By when the next month is wanted; None for a feed that comes as it happens or has ended."""
    missing: tuple[date, ...]
    """Months that are not here by their day, from every area where areas report."""
    missing_areas: dict[date, tuple[str, ...]]
    """Of each of them the areas that did not report."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Somebody abroad."""

    subject_id: str
    since: date
    due: date
    needs_form: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """Somebody who did not come, and what the data of other bodies say."""

    subject_id: str
    pack_id: str
    overdue: date
    finding: Finding


@dataclass(frozen=True, slots=True)
class RegisterCheck:
    """One person in the check of the household register."""

    state: RegisterState
    finding: str
    """That of the register; `not_checked`; or `outdated`: certified since the check, which goes with each certification (R8-15)."""
    declaration: bool
    """Whether the person is to declare the change, and where they live now (R7-13)."""


def feed_standings(connection: Connection, today: date) -> list[FeedStanding]:
    """Return where every feed stands on a day, by name."""
    return [_stands(connection, feed, today) for feed in feeds.feeds(connection)]


def feed_standing(connection: Connection, name: str, today: date) -> FeedStanding | None:
    """Return where one feed stands on a day; None if there is none of this name."""
    feed = feeds.find_feed(connection, name)
    return None if feed is None else _stands(connection, feed, today)


def _stands(connection: Connection, feed: StoredFeed, today: date) -> FeedStanding:
    definition = definition_of(connection, feed.name)
    delivered = feeds.months_delivered(connection, feed.name)
    level = definition.area_level
    wanted = [""] if level is None else codes_of_level(connection, level)
    # Most areas delivered the same months.
    alike = {
        months: standing_on(feed.first_period, months, definition.due_day, today, last=feed.last_period)
        for months in {delivered.get(code, _NONE) for code in wanted}
    }
    standings = {code: alike[delivered.get(code, _NONE)] for code in wanted}
    return _standing(feed.name, definition, standings, delivered)


_NONE: frozenset[date] = frozenset()


def loss_list(connection: Connection, since: date, until: date, *, zone: tzinfo) -> list[tuple[str, Loss]]:
    """Return confirmed losses that happened from one day to before another, each with whose it is."""
    found: list[tuple[str, Loss]] = []
    for chunk in feed_effects.subjects_with_reports(connection, ENDING | SUSPENDING, chunk=_CHUNK):
        for subject_id, events in sorted(life_events_of(connection, chunk).items()):
            found += [(subject_id, loss) for loss in losses(reported(events, zone)) if since <= loss.since < until]
    return found


def people_abroad(connection: Connection, *, form_days: int, today: date) -> list[Absent]:
    """Return who is abroad as far as exits and entries tell, those who need the form first."""
    found = []
    for subject_id, own in groupby(feed_lists.crossings(connection), key=lambda each: each.subject_id):
        rows = list(own)
        since = abroad_since(Crossing(row.since, row.direction == "exit") for row in rows)
        if since is not None:
            due = rows[0].due
            found.append(Absent(subject_id, since, due, needs_form(due, form_days, today)))
    return sorted(found, key=lambda each: (not each.needs_form, each.due, each.subject_id))


def overdue_compared(connection: Connection, area: str, *, zone: tzinfo, today: date) -> list[Compared]:
    """Return who is overdue under a pack that asks the data before anything is stopped (R7-11), with what they say."""
    asking = [pack.pack_id for pack in shelf_of(connection).on(today) if pack.stop.after == "data_comparison"]
    found = []
    rows = feed_lists.overdue(connection, codes_below(connection, area), asking, today)
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        ids = sorted({row.subject_id for row in chunk})
        events, acts = life_events_of(connection, ids), acts_of(connection, ids, zone=zone)
        for row in chunk:
            reports = reported(events.get(row.subject_id, ()), zone)
            finding = compare(reports, acts.get(row.subject_id, ()), row.opens, today)
            found.append(Compared(row.subject_id, row.pack_id, row.overdue, finding))
    return found


def register_checks(connection: Connection, area: str) -> list[RegisterCheck]:
    """Return the people of an area with what the household register says of each (R8-15)."""
    found = feed_lists.register_states(connection, codes_below(connection, area))
    return [_register_check(state) for state in found]


def _register_check(state: RegisterState) -> RegisterCheck:
    if state.finding is None or state.checked_on is None:
        return RegisterCheck(state, "not_checked", declaration=False)
    # A register is compared by the month; a check of the month in which somebody certified goes with that certification.
    is_outdated = state.last_certified is not None and state.checked_on < state.last_certified.replace(day=1)
    if state.finding == "registered":
        return RegisterCheck(state, "outdated" if is_outdated else state.finding, declaration=False)
    return RegisterCheck(state, state.finding, declaration=True)


def _standing(
    name: str, definition: FeedDefinition, standings: dict[str, Standing], delivered: dict[str, frozenset[date]]
) -> FeedStanding:
    last = max((month for months in delivered.values() for month in months), default=None)
    if definition.cycle != "monthly" or not standings:
        return FeedStanding(name, definition, last, None, (), {})
    due = min((standing.due for standing in standings.values() if standing.due is not None), default=None)
    missing = sorted({month for standing in standings.values() for month in standing.missing})
    areas: dict[date, list[str]] = {month: [] for month in missing}
    for code, standing in standings.items():
        for month in standing.missing if code else ():
            areas[month].append(code)
    return FeedStanding(
        name, definition, last, due, tuple(missing), {month: tuple(codes) for month, codes in areas.items()}
    )


def is_anything_missing(standings: Sequence[FeedStanding]) -> bool:
    """Return whether any delivery is not here by its day."""
    return any(each.missing for each in standings)
