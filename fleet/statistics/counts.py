"""Counts by area, scheme, state, age band, channel, device and day, with coverage against what was due (features 80, R9-1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from fleet.errors import NotFound, Refused
from fleet.store import statistics
from fleet.store.areas import Area, areas_of, codes_below, told_apart
from fleet.store.people import codes_below_any
from fleet.store.statistics import Filter, band_names
from protocol.outcomes import Outcome
from protocol.rules.obligations import CertificationState


class Cut(StrEnum):
    """By what people or sessions are counted."""

    AREA = "area"
    SCHEME = "scheme"
    STATE = "state"
    AGE = "age"
    CHANNEL = "channel"
    """By which people came who are certified: of the last act that counted."""
    DEVICE = "device"
    """Sessions by terminal."""
    DAY = "day"
    """Sessions by day."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    by: Cut
    as_of: date
    since: date
    """First day of the span of coverage and of sessions; its last is `as_of`."""
    level: int = 3
    """Level of areas: 1 province, 2 city, 3 county, 4 township, 5 community."""
    scheme: str | None = None
    area: str | None = None
    """Only people who live there or below."""
    tops: frozenset[str] | None = None
    """Only people who live in one of these areas or below: where whoever asks may look. None for anywhere."""


@dataclass(slots=True)
class Line:
    """One row of the answer."""

    key: str
    name: str
    counts: dict[str, int] = field(default_factory=dict)
    """By state, or by outcome of sessions."""
    asked: int | None = None
    """How many had to come in the span; None where that is not asked."""
    done: int | None = None
    """How many of them have nothing open."""

    @property
    def total(self) -> int:
        """People or sessions."""
        return sum(self.counts.values())

    @property
    def coverage(self) -> float | None:
        """Share of those who had to come that has nothing open, 0 to 1."""
        return self.done / self.asked if self.asked and self.done is not None else None


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows and what their columns are."""

    question: Question
    columns: tuple[str, ...]
    """Keys of `Line.counts`, in order."""
    lines: tuple[Line, ...]
    is_of_sessions: bool
    snapshot: bool = False
    """Whether it was read from a nightly snapshot."""


def count(connection: Connection, question: Question, *, zone: tzinfo) -> Answer:
    """Count now, by the states that people are in on the day asked for if nobody comes until then.

    Raises:
        Refused: if the span ends before it begins, or there is no such level.
    """
    _check(question)
    statistics.work_in_memory(connection)
    of = _filter(connection, question)
    areas = areas_of(connection)
    if question.by in (Cut.DEVICE, Cut.DAY):
        since, until = span(question.since, question.as_of, zone)
        rows = statistics.sessions_by(
            connection, "device" if question.by is Cut.DEVICE else "day", since, until, offset(zone, since), of
        )
        return _answer(question, areas, [(row.key, row.outcome, row.sessions) for row in rows], (), is_of_sessions=True)
    cut = _PEOPLE[question.by]
    rows = statistics.people_by(connection, cut, question.as_of, of)
    covered: list[Any] = []
    if cut in ("area", "scheme", "age"):
        covered = statistics.coverage_by(connection, cut, question.since, question.as_of, of)
    coverage = [(row.key, row.asked, row.done) for row in covered]
    return _answer(question, areas, [(row.key, row.state, row.people) for row in rows], coverage)


def count_then(connection: Connection, question: Question) -> Answer:
    """Count on a day that is over, from its nightly snapshot.

    Raises:
        NotFound: if there is none of that day.
        Refused: if a snapshot does not have what is asked, or there is no such level.
    """
    _check(question)
    if question.by not in (Cut.AREA, Cut.SCHEME, Cut.STATE):
        raise Refused(f"a day that is over is counted by area, scheme and state only, not by {question.by}")
    days = statistics.snapshot_days(connection)
    if question.as_of not in days:
        near = min(days, key=lambda day: abs(day - question.as_of), default=None)
        hint = "there is none yet; one is taken every night" if near is None else f"the nearest is of {near}"
        raise NotFound(f"no snapshot of {question.as_of}: {hint}")
    cut = _PEOPLE[question.by]
    of = _filter(connection, question)
    if cut not in ("area", "scheme", "state"):
        raise Refused(f"snapshots have no counts by {cut}")
    rows = statistics.snapshot_people_by(connection, cut, question.as_of, of)
    found = [(row.key, row.state, int(row.people)) for row in rows]
    return _answer(question, areas_of(connection), found, (), snapshot=True)


def ancestor(code: str, areas: Mapping[str, Area], level: int) -> str:
    """Return the area of a level that one lies in; itself where it lies in none: not in the tree, or above that level."""
    found = areas.get(code)
    for _ in range(len(areas)):
        if found is None or found.level <= level or found.parent is None:
            break
        found = areas.get(found.parent)
    return found.code if found is not None and found.level == level else code


def span(since: date, until: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the first moment of a day and the one after the last of another."""
    return datetime.combine(since, time(), zone), datetime.combine(until + timedelta(days=1), time(), zone)


def offset(zone: tzinfo, at: datetime) -> str:
    """Return a zone as PostgreSQL reads it: its name, or its offset with the sign of POSIX."""
    name = getattr(zone, "key", None)
    if name is not None:
        return str(name)
    minutes = int((zone.utcoffset(at) or timedelta()).total_seconds() // 60)
    # In POSIX zones a positive offset is west of Greenwich. Source: PostgreSQL, B.5.
    return f"<zone>{'-' if minutes >= 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _answer(
    question: Question,
    areas: Mapping[str, Area],
    counts: Iterable[tuple[str, str, int]],
    coverage: Iterable[tuple[str, int, int]],
    *,
    is_of_sessions: bool = False,
    snapshot: bool = False,
) -> Answer:
    lines: dict[str, Line] = {}
    times = Counter(area.name for area in areas.values())
    names = told_apart(areas, {name for name, number in times.items() if number > 1})

    def line(key: str) -> Line:
        if question.by is Cut.AREA:
            key = ancestor(key, areas, question.level)
        name = names.get(key, "") if question.by is Cut.AREA else ""
        return lines.setdefault(key, Line(key, name))

    for key, column, number in counts:
        found = line(key).counts
        found[column] = found.get(column, 0) + number
    for key, asked, done in coverage:
        covered = line(key)
        covered.asked = (covered.asked or 0) + asked
        covered.done = (covered.done or 0) + done
    columns = tuple(Outcome) if is_of_sessions else tuple(CertificationState)
    order = band_names() if question.by is Cut.AGE else sorted(lines)
    ordered = tuple(lines[key] for key in order if key in lines)
    return Answer(question, tuple(column.value for column in columns), ordered, is_of_sessions, snapshot)


def filter_of(connection: Connection, scheme: str | None, area: str | None, tops: Collection[str] | None) -> Filter:
    """Return whose people or sessions are counted: of an area, as far as it lies below one of `tops`."""
    codes = None if area is None else frozenset(codes_below(connection, area))
    if tops is not None:
        seen = codes_below_any(connection, tops)
        codes = seen if codes is None else codes & seen
    return Filter(scheme, codes)


def _filter(connection: Connection, question: Question) -> Filter:
    return filter_of(connection, question.scheme, question.area, question.tops)


def _check(question: Question) -> None:
    if question.since > question.as_of:
        raise Refused(f"the span begins on {question.since} and ends on {question.as_of}")
    if not 1 <= question.level <= 5:
        raise Refused("level: 1 province, 2 city, 3 county, 4 township, 5 community expected")


_PEOPLE: dict[Cut, statistics.PersonCut] = {
    Cut.AREA: "area",
    Cut.SCHEME: "scheme",
    Cut.STATE: "state",
    Cut.AGE: "age",
    Cut.CHANNEL: "channel",
}
