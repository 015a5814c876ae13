"""Who is abroad, from exits and entries, and needs the form for people abroad (R8-6). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby


@dataclass(frozen=True, slots=True, order=True)
class Crossing:
    """One crossing of the border."""

    day: date
    is_exit: bool


def abroad_since(crossings: Iterable[Crossing]) -> date | None:
    """Return since when somebody is abroad; None for who is not, as far as the crossings tell.

    Who crossed in both directions on one day is where they were before it: no hour is known.
    """
    since: date | None = None
    for day, of_day in groupby(sorted(set(crossings)), key=lambda each: each.day):
        directions = {each.is_exit for each in of_day}
        if directions == {True} and since is None:
            since = day
        elif directions == {False}:
            since = None
    return since


def needs_form(due: date, form_days: int, today: date) -> bool:
    """Return whether the form is to go out: so many days before the due day there is just time for both ways."""
    return today >= due - timedelta(days=form_days)
