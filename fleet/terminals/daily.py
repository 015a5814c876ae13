"""Once a day: what sessions measured is counted by terminal and day, and every terminal is compared with its own past."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import groupby

from sqlalchemy import Connection

from fleet.clock import day_of
from fleet.store import terminal_days
from fleet.store.database import Database
from fleet.store.terminal_days import AlarmLine, DayLine
from fleet.terminals.drift import WATCHED, Advice, Alarm, Day, Measure, Point, alarms, points

logger = logging.getLogger(__name__)

_CHUNK = 200
"""Days, or terminals, in one statement: some 40,000 records."""
WINDOW = timedelta(days=200)
"""So far back a terminal is compared with itself."""


@dataclass(frozen=True, slots=True)
class Series:
    """One measure of one terminal, for a chart."""

    measure: Measure
    advice: Advice
    points: list[Point]


def look_for_drift(database: Database, *, h: float, zone: tzinfo, now: datetime) -> dict[str, int]:
    """Count the days of which records arrived, and look at their terminals; today's, which is not over, is counted and not judged.

    Args:
        database: the fleet's.
        h: height at which there is an alarm (`fleet.terminals.drift.alarms`).
        zone: where days begin.
        now: in UTC.

    Returns:
        Days counted and alarms that last, by name.

    Raises:
        DatabaseUnavailable: as any transaction; terminals that were not looked at are looked at when records of them arrive again.
    """
    today = day_of(now, zone)
    with database.begin() as connection:
        oldest, _ = _ends(today - WINDOW, zone)
        changed = terminal_days.changed_days(connection, oldest=oldest, zone=zone, now=now)
        for start in range(0, len(changed), _CHUNK):
            chunk = changed[start : start + _CHUNK]
            terminal_days.count_days(connection, [(name, *_ends(day, zone), day) for name, day in chunk])
    who, lasting = sorted({name for name, _ in changed}), 0
    for start in range(0, len(who), _CHUNK):
        # A transaction each: rows of terminals are locked for a moment only, and ingest does not wait.
        with database.begin() as connection:
            lasting += _judge(connection, who[start : start + _CHUNK], h=h, today=today)
    if lasting:
        logger.info("terminals that were looked at have changed alarms=%d", lasting)
    return {"terminal days": len(changed), "drift alarms": lasting}


def series_of(connection: Connection, terminal_id: str, *, zone: tzinfo, now: datetime) -> list[Series]:
    """Return every measure of a terminal that it has, point by point, for its charts."""
    today = day_of(now, zone)
    days = terminal_days.day_lines(connection, [terminal_id], first=today - WINDOW, last=today - timedelta(days=1))
    return [Series(measure, WATCHED[measure].advice, found) for measure, found in _series(days) if found]


def alarm_of(line: AlarmLine) -> Alarm:
    """Return an alarm as it was stored."""
    return Alarm(
        Measure(line.measure),
        Advice(line.advice),
        is_rise=line.is_rise,
        since=line.since,
        raised_on=line.raised_on,
        ended_on=line.ended_on,
        before=line.before,
        after=line.after,
    )


def _judge(connection: Connection, names: Sequence[str], *, h: float, today: date) -> int:
    first = today - WINDOW
    lines = terminal_days.day_lines(connection, names, first=first, last=today - timedelta(days=1))
    lasting = 0
    for terminal_id, days in groupby(lines, key=lambda line: line.terminal_id):
        found = [alarm for measure, series in _series(list(days)) for alarm in alarms(measure, series, h=h)]
        terminal_days.replace_alarms(connection, terminal_id, [_line(alarm) for alarm in found], raised_from=first)
        lasting += sum(alarm.ended_on is None for alarm in found)
    return lasting


def _series(days: Sequence[DayLine]) -> list[tuple[Measure, list[Point]]]:
    return [
        (
            measure,
            points([Day(line.day, *line.measures[measure]) for line in days if measure in line.measures]),
        )
        for measure in Measure
    ]


def _line(alarm: Alarm) -> AlarmLine:
    return AlarmLine(
        alarm.measure.value,
        alarm.advice.value,
        alarm.is_rise,
        alarm.since,
        alarm.raised_on,
        alarm.ended_on,
        alarm.before,
        alarm.after,
    )


def _ends(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    return datetime.combine(day, time(), zone), datetime.combine(day + timedelta(days=1), time(), zone)
