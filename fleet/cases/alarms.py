"""Attack alarms by terminal and day: many of one terminal on a day are one matter, a lamp or a person who tries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from sqlalchemy import Connection

from fleet.cases.machine import OVER
from fleet.clock import day_of
from fleet.store import case_events


@dataclass(frozen=True, slots=True)
class Alarms:
    """Those of one terminal on one day."""

    day: date
    terminal_id: str
    total: int
    not_over: int


def alarms_of(connection: Connection, *, since: datetime, areas: Sequence[str] | None, zone: tzinfo) -> list[Alarms]:
    """Return counts since a moment, the newest day first, then the most.

    Args:
        connection: where.
        since: a moment.
        areas: of terminals there; None for all.
        zone: where a day ends.
    """
    counts: dict[tuple[date, str], list[int]] = {}
    for terminal_id, at, state in case_events.alarm_moments(connection, since=since, areas=areas):
        count = counts.setdefault((day_of(at, zone), terminal_id), [0, 0])
        count[0] += 1
        count[1] += state not in OVER
    found = [Alarms(day, terminal_id, *count) for (day, terminal_id), count in counts.items()]
    return sorted(found, key=lambda each: (-each.day.toordinal(), -each.total, each.terminal_id))
