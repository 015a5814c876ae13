"""Counts for a reader who does not want to wait: from the newest snapshot; counted now where few are counted, or where it is asked for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, tzinfo
from enum import StrEnum

from sqlalchemy import Connection

from fleet.statistics.counts import Answer, Cut, Question, count, count_then, filter_of
from fleet.statistics.snapshots import Change, changes_between
from fleet.store import statistics
from fleet.store.statistics import Snapshot

QUICK_PEOPLE = 20_000
"""So many are counted in less than a tenth of a second: nobody needs a snapshot of them. Source: docs/scale.md, counts by county."""
QUICK_DAYS = 92
"""Sessions of so many days are read from an index in a moment; of a whole year they are half a million for a million people."""
_OF_SESSIONS = (Cut.DEVICE, Cut.DAY)
_IN_SNAPSHOTS = (Cut.AREA, Cut.SCHEME, Cut.STATE)


class Waits(StrEnum):
    """Why there are no counts yet."""

    NOT_IN_SNAPSHOTS = "not_in_snapshots"
    """Snapshots have no such counts; it has to be asked for."""
    LONG_SPAN = "long_span"
    """Sessions of a long time; it has to be asked for."""
    AHEAD = "ahead"
    """A day to come is counted from today's people; it has to be asked for."""
    NO_SNAPSHOT = "no_snapshot"
    """The day is over, and no snapshot of it or a day before is kept."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Counts as a page shows them, or why there are none yet."""

    answer: Answer | None
    waits: Waits | None = None
    snapshot: Snapshot | None = None
    """What they are from; None where they were counted now."""
    compared: Snapshot | None = None
    changes: tuple[Change, ...] = ()
    """Against that earlier day."""


def read(
    connection: Connection, question: Question, *, today: date, zone: tzinfo, is_live: bool, earlier: date | None = None
) -> Reading:
    """Return counts.

    Args:
        connection: where to read.
        question: what is asked; where a snapshot is read, its day becomes that of the snapshot.
        today: the agency's day.
        zone: where a day ends.
        is_live: count now whatever it takes, unless the day is over.
        earlier: day of a snapshot to compare with; another day is not compared.

    Raises:
        Refused: if the span ends before it begins, or there is no such level.
    """
    kept = statistics.snapshots(connection)
    found = _read(connection, question, kept, today=today, zone=zone, is_live=is_live)
    then = next((each for each in kept if each.day == earlier and each.day < question.as_of), None)
    if then is None or found.answer is None or question.by not in _IN_SNAPSHOTS:
        return found
    before = count_then(connection, replace(question, as_of=then.day, since=min(question.since, then.day)))
    return replace(found, compared=then, changes=tuple(changes_between(before, found.answer)))


def _read(
    connection: Connection, question: Question, kept: list[Snapshot], *, today: date, zone: tzinfo, is_live: bool
) -> Reading:
    if question.by in _OF_SESSIONS:
        if (question.as_of - question.since).days >= QUICK_DAYS and not is_live:
            return Reading(None, Waits.LONG_SPAN)
        return Reading(count(connection, question, zone=zone))
    if question.as_of >= today and (is_live or _is_quick(connection, question, kept)):
        return Reading(count(connection, question, zone=zone))
    if question.by not in _IN_SNAPSHOTS:
        return Reading(None, Waits.NOT_IN_SNAPSHOTS)
    if question.as_of > today:
        return Reading(None, Waits.AHEAD)
    usable = [each for each in kept if each.day <= question.as_of]
    if not usable:
        return Reading(None, Waits.NO_SNAPSHOT)
    newest = usable[-1]
    asked = replace(question, as_of=newest.day, since=min(question.since, newest.day))
    return Reading(count_then(connection, asked), snapshot=newest)


def _is_quick(connection: Connection, question: Question, kept: list[Snapshot]) -> bool:
    """Return whether the snapshot has few people there; without any a fleet has just begun."""
    if not kept:
        return True
    of = filter_of(connection, None, question.area, question.tops)
    rows = statistics.snapshot_people_by(connection, "state", kept[-1].day, of)
    return sum(int(row.people) for row in rows) <= QUICK_PEOPLE


def schemes_known(connection: Connection, kept: Collection[Snapshot]) -> list[str]:
    """Return the schemes of the newest snapshot, in order; without any none."""
    newest = max((each.day for each in kept), default=None)
    return [] if newest is None else statistics.snapshot_schemes(connection, newest)
