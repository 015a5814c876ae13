"""A made population: who lives where, and what happens to whom. Numbers are drawn, nothing is taken from real people.

Each person has a generator of their own, seeded by run and number, so that one person can be played again alone. How often things happen is
chosen so that every case comes up often in a run, not after any statistics.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from protocol.rules.obligations import Entitled
from protocol.rules.pack import RulePack
from protocol.shipped_packs import shipped_pack

REGIONS: tuple[tuple[str, str, float], ...] = (
    ("LZ-2019", "work_injury", 0.15),
    ("SJZ-2017", "government_pension", 0.15),
    ("HZ-2020", "resident_pension", 0.25),
    ("GZ-2018", "enterprise_pension", 0.2),
    ("SX-2018", "enterprise_pension", 0.25),
)
"""Pack, scheme, and which share of the people it holds for."""
_SHARES = tuple(share for _, _, share in REGIONS)
_MOVE = 0.03
_PRISON = 0.01
_MISSING = 0.005
_WRONG_DEATH = 0.004
_MONTHS = 30
"""Days of a month, roughly, for drawing."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How somebody certifies."""

    comes: float
    """Probability of coming in time when asked."""
    comes_late: float
    """Probability of coming at all, for whoever did not come in time."""
    by_mobile_unit: float
    """Probability that it is a mobile unit, whose records arrive weeks later and out of order."""
    reviewed: float
    """Probability that a session ends in review: an appeal, decided within two weeks."""
    seen_by_data: float
    """Probability that data of another body certify a period silently, where the pack takes them."""
    opens_the_door: float
    """Probability that a visit finds the person at home."""


@dataclass(frozen=True, slots=True)
class Span:
    """From one day up to another, that one not included; None while it lasts."""

    since: date
    until: date | None


@dataclass(frozen=True, slots=True)
class Person:
    """One person and the truth about them."""

    number: int
    region: int
    """Index into `REGIONS`."""
    born: date
    started: date
    listed: date
    """The agency's lists have the person from here on."""
    habits: Habits
    died: date | None
    moved: tuple[date, int] | None
    """The day, and the region after it."""
    prison: Span | None
    missing: Span | None
    wrong_death: date | None
    """A day on which somebody else's death is reported under this person's number."""

    def pack_on(self, day: date) -> RulePack:
        """Return the pack that holds for the person on a day."""
        region = self.region if self.moved is None or day < self.moved[0] else self.moved[1]
        return shipped_pack(REGIONS[region][0])

    def entitled(self) -> Entitled:
        """Return what rules ask about the person."""
        return Entitled(self.started, self.born, self.listed)

    def is_alive(self, day: date) -> bool:
        """Return whether the person lives on a day."""
        return self.died is None or day < self.died

    def can_come(self, day: date) -> bool:
        """Return whether the person is alive, free and here."""
        away = (self.prison, self.missing)
        return self.is_alive(day) and not any(
            span is not None and span.since <= day and (span.until is None or day < span.until) for span in away
        )


def draw_person(number: int, draw: Random, begin: date, years: int) -> Person:
    """Draw one person.

    Args:
        number: of the person.
        draw: the person's own generator.
        begin: first day of the run.
        years: how long it goes on.
    """
    days = years * 365
    born = begin - timedelta(days=int(draw.triangular(55, 98, 68) * 365.25))
    started = min(begin - timedelta(days=draw.randrange(30, 9000)), begin)
    if draw.random() < 0.05:
        started = begin + timedelta(days=draw.randrange(days))
    region = draw.choices(range(len(REGIONS)), _SHARES)[0]
    age = (begin - born).days / 365.25
    died = _day(draw, begin, days) if draw.random() < years * (0.005 + 0.0025 * max(age - 60, 0)) else None
    return Person(
        number=number,
        region=region,
        born=born,
        started=started,
        listed=max(begin, started),
        habits=_habits(draw),
        died=died,
        moved=(_day(draw, begin, days), draw.randrange(len(REGIONS))) if draw.random() < _MOVE * years else None,
        prison=_later(_span(draw, begin, days, 720) if draw.random() < _PRISON * years else None, started),
        missing=_later(_span(draw, begin, days, 400) if draw.random() < _MISSING * years else None, started),
        wrong_death=_day(draw, max(begin, started), days) if draw.random() < _WRONG_DEATH * years else None,
    )


def _habits(draw: Random) -> Habits:
    comes = draw.triangular(0.3, 1.0, 0.95)
    return Habits(
        comes=comes,
        comes_late=draw.uniform(0.5, 1.0),
        by_mobile_unit=draw.choice((0.0, 0.0, 0.1, 0.9)),
        reviewed=draw.choice((0.0, 0.02, 0.2)),
        seen_by_data=draw.choice((0.0, 0.3, 0.8)),
        opens_the_door=draw.uniform(0.3, 1.0),
    )


def _later(span: Span | None, started: date) -> Span | None:
    """Return a span if it is one of somebody who is paid already."""
    return span if span is not None and span.since >= started else None


def _day(draw: Random, begin: date, days: int) -> date:
    return begin + timedelta(days=draw.randrange(days))


def _span(draw: Random, begin: date, days: int, longest: int) -> Span:
    since = _day(draw, begin, days)
    return Span(since, since + timedelta(days=draw.randrange(_MONTHS, longest)) if draw.random() < 0.8 else None)
