"""The days that rule packs set: windows, half-years, key dates, stop days, and when versions begin and end. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from protocol.rules.days import add_months, first_of_month
from protocol.rules.pack import AnnualWindow, BirthMonth, HalfYears, Rolling, RulePack
from protocol.rules.shelf import Shelf


class Occasion(StrEnum):
    """What a day is."""

    BEGINS = "begins"
    """The first day of a version."""
    ENDS = "ends"
    OPENS = "opens"
    """The first day of a window (R2-6, R2-7)."""
    CLOSES = "closes"
    """Its last day (R2-8)."""
    HALF_OPENS = "half_opens"
    """The first day of a half of the year (R2-2)."""
    HALF_CLOSES = "half_closes"
    KEY_DATE = "key_date"
    """Who is on the lists by this day is asked (R2-9, R2-10)."""
    STOP_FROM = "stop_from"
    """From this day on stops may be proposed (R7-1, R7-3, R7-4)."""
    BIRTH_MONTH = "birth_month"
    """Whoever was born in this month may come."""


@dataclass(frozen=True, slots=True, order=True)
class RuleDay:
    """One day that a pack sets."""

    day: date
    pack_id: str
    occasion: Occasion
    version: int


def rule_days(shelf: Shelf, first: date, last: date) -> list[RuleDay]:
    """Return the days that packs in force set, in order.

    Args:
        shelf: the packs.
        first: the first day that is looked at.
        last: the last one.
    """
    found = {
        RuleDay(day, pack.pack_id, occasion, pack.version)
        for pack in shelf.packs
        for day, occasion in _days(pack, first, last)
        if first <= day <= last and pack in shelf.on(day)
    }
    return sorted(found)


def rolling(shelf: Shelf, today: date) -> list[RulePack]:
    """Return the packs of a day that set no days: everybody has their own (R2-5)."""
    return [pack for pack in shelf.on(today) if isinstance(pack.cycle, Rolling)]


def weeks(first: date, count: int) -> list[date]:
    """Return the Mondays of so many weeks, from that of a day on."""
    monday = first - timedelta(days=first.weekday())
    return [monday + timedelta(weeks=number) for number in range(count)]


def month_grid(month: date) -> list[list[date | None]]:
    """Return the days of a month by weeks from Monday to Sunday; None where a day is of another month."""
    days = [month + timedelta(days=number) for number in range((add_months(month, 1) - month).days)]
    cells: list[date | None] = [None] * month.weekday() + [*days]
    cells += [None] * (-len(cells) % 7)
    return [cells[start : start + 7] for start in range(0, len(cells), 7)]


def _days(pack: RulePack, first: date, last: date) -> Iterator[tuple[date, Occasion]]:
    yield pack.valid_from, Occasion.BEGINS
    if pack.valid_until is not None:
        yield pack.valid_until, Occasion.ENDS
    # A window that goes over New Year closes in the year after.
    for year in range(first.year - 1, last.year + 1):
        yield from _days_of_year(pack, year)
    if isinstance(pack.cycle, BirthMonth):
        month = first_of_month(first)
        while month <= last:
            yield month, Occasion.BIRTH_MONTH
            month = add_months(month, 1)


def _days_of_year(pack: RulePack, year: int) -> Iterator[tuple[date, Occasion]]:
    cycle = pack.cycle
    if isinstance(cycle, AnnualWindow):
        yield cycle.opens.in_year(year), Occasion.OPENS
        yield cycle.closes.in_year(year if cycle.closes >= cycle.opens else year + 1), Occasion.CLOSES
    elif isinstance(cycle, HalfYears):
        yield date(year, 1, 1), Occasion.HALF_OPENS
        yield date(year, 6, 30), Occasion.HALF_CLOSES
        yield date(year, 7, 1), Occasion.HALF_OPENS
        yield date(year, 12, 31), Occasion.HALF_CLOSES
    if pack.key_date is not None:
        yield pack.key_date.day.in_year(year), Occasion.KEY_DATE
    if pack.stop.from_day is not None:
        yield pack.stop.from_day.in_year(year), Occasion.STOP_FROM
