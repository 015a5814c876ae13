"""Nightly snapshots of the counts, and what changed between two of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from sqlalchemy import Connection

from fleet.clock import day_of
from fleet.statistics.counts import Answer, Question, count_then
from fleet.store import statistics
from fleet.store.database import Database


@dataclass(frozen=True, slots=True)
class Change:
    """How many people of one key were in a state on two days."""

    key: str
    name: str
    state: str
    before: int
    after: int


def take_snapshot(database: Database, *, keep_days: int, zone: tzinfo, now: datetime) -> bool:
    """Store the counts of today, once a day however often it is called; return False if they are there.

    Raises:
        DatabaseUnavailable: nothing was stored.
    """
    today = day_of(now, zone)
    with database.begin() as connection:
        return statistics.add_snapshot(connection, today, keep_from=today - timedelta(days=keep_days), now=now)


def trend(connection: Connection, first: Question, last: Question) -> list[Change]:
    """Return how the counts of two days differ, by key and state.

    Raises:
        NotFound: if there is no snapshot of one of them.
        Refused: if snapshots do not have what is asked.
    """
    return changes_between(count_then(connection, first), count_then(connection, last))


def changes_between(before: Answer, after: Answer) -> list[Change]:
    """Return how two answers to one question differ, by key and state."""
    old = {line.key: line for line in before.lines}
    new = {line.key: line for line in after.lines}
    changes = []
    for key in sorted(old.keys() | new.keys()):
        name = (new.get(key) or old[key]).name
        for state in after.columns:
            was = old[key].counts.get(state, 0) if key in old else 0
            now = new[key].counts.get(state, 0) if key in new else 0
            if was or now:
                changes.append(Change(key, name, state, was, now))
    return changes
