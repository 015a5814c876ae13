"""Monthly cycles of feeds: which month a delivery is for, by when it is due, and which are missing. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from fleet.errors import Refused
from protocol.rules.days import add_months, first_of_month

_MONTH = re.compile(r"^(\d{4})-(0[1-9]|1[0-2])$")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a feed, or one area of it, stands on a day."""

    last: date | None
    """The newest month that was delivered, by its first day."""
    due: date | None
    """By when the oldest month that was not delivered is wanted; None where nothing more is wanted."""
    missing: tuple[date, ...]
    """Months that were not delivered by their day."""


def parse_month(text: str) -> date:
    """Return the first day of a month written `2026-10`.

    Raises:
        Refused: if it is not written so.
    """
    found = _MONTH.match(text)
    if found is None or int(found[1]) == 0:
        raise Refused("period: a month like 2026-10 expected", code="period_form")
    return date(int(found[1]), int(found[2]), 1)


def month_text(period: date) -> str:
    """Return a month as it is written: `2026-10`."""
    return f"{period:%Y-%m}"


def due_on(period: date, due_day: int) -> date:
    """Return the last day by which a month's delivery is in time: a day of the month after it."""
    return add_months(period, 1).replace(day=due_day)


def standing_on(
    first: date, delivered: Collection[date], due_day: int, today: date, *, last: date | None = None
) -> Standing:
    """Return where a feed stands.

    Args:
        first: the first month that is wanted.
        delivered: the months that came, in any order.
        due_day: day of the following month by which each is wanted.
        today: the day of the question.
        last: the last month that is wanted; None as long as the feed goes on.
    """
    wanted = first_of_month(first)
    missing: list[date] = []
    due: date | None = None
    while (last is None or wanted <= last) and (due_on(wanted, due_day) < today or due is None):
        if wanted not in delivered:
            due = due or due_on(wanted, due_day)
            if due_on(wanted, due_day) < today:
                missing.append(wanted)
        wanted = add_months(wanted, 1)
    return Standing(max(delivered, default=None), due, tuple(missing))
