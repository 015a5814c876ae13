"""The calendar: days that packs set, and how many people of the visitor's areas have their last day, or may be stopped, when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.rules.calendar import RuleDay, month_grid, rolling, rule_days, weeks
from fleet.store.areas import parents_above
from fleet.store.packs import shelf_of
from fleet.store.rule_pages import days_to_come, reminders_waiting
from fleet.web.charts import Chart, Form
from fleet.web.visits import Visit, needs
from protocol.rules.days import add_months, first_of_month
from protocol.rules.shelf import Shelf

router = APIRouter(include_in_schema=False)
_WEEKS = 13
"""A quarter: what an office plans for."""
_MONTHS = 12
"""So far ahead windows are listed: whatever comes once a year is seen."""
_FURTHEST_YEARS = 5
"""How far from today a month can be looked at."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One day of the month."""

    day: date
    due: int
    stops: int
    occasions: Sequence[RuleDay]

    @property
    def has_something(self) -> bool:
        """Whether anything falls on it: a narrow screen shows no other day than today beside those."""
        return bool(self.due or self.stops or self.occasions)


@router.get("/rules/calendar")
def calendar(visit: Annotated[Visit, needs(Permission.RULES)], month: str = "") -> HTMLResponse:
    """Show a month and the coming windows."""
    shown = _month(month, visit.today)
    last = add_months(shown, 1) - timedelta(days=1)
    with visit.begin() as connection:
        within = visit.codes(connection, Permission.RULES)
        shelf = _shelf(visit, connection, within)
        due = days_to_come(connection, "due", shown, last, within)
        stops = days_to_come(connection, "stop_from", shown, last, within)
    return visit.page(
        "rules/calendar.html",
        month=shown,
        previous=add_months(shown, -1),
        following=add_months(shown, 1),
        grid=_grid(shown, due, stops, rule_days(shelf, shown, last)),
        coming=rule_days(shelf, visit.today, add_months(visit.today, _MONTHS)),
        rolling=rolling(shelf, visit.today),
    )


@router.get("/rules/calendar/ahead")
def weeks_ahead(visit: Annotated[Visit, needs(Permission.RULES)]) -> HTMLResponse:
    """Show the weeks of the next quarter and the reminders that wait: counted beside the month, which does not wait for it."""
    mondays = weeks(visit.today, _WEEKS)
    end = mondays[-1] + timedelta(days=6)
    with visit.begin() as connection:
        within = visit.codes(connection, Permission.RULES)
        ahead = {what: days_to_come(connection, what, visit.today, end, within) for what in ("due", "stop_from")}
        waiting = reminders_waiting(connection, within)
    return visit.part("rules/ahead.html", chart=_chart(visit, mondays, ahead), waiting=waiting)


def _shelf(visit: Visit, connection: Connection, within: Sequence[str] | None) -> Shelf:
    """Return the packs in force that can hold for somebody in the visitor's areas."""
    shelf = shelf_of(connection)
    tops = visit.tops(Permission.RULES)
    if tops is None or within is None:
        return shelf
    regions = {*within, *tops, *parents_above(connection, tops)}
    return Shelf(tuple(pack for pack in shelf.packs if pack.region in regions), shelf.default)


def _grid(
    month: date, due: Mapping[date, int], stops: Mapping[date, int], occasions: Sequence[RuleDay]
) -> list[list[Cell | None]]:
    return [
        [
            None
            if day is None
            else Cell(day, due.get(day, 0), stops.get(day, 0), [each for each in occasions if each.day == day])
            for day in week
        ]
        for week in month_grid(month)
    ]


def _chart(visit: Visit, mondays: Sequence[date], ahead: Mapping[str, Mapping[date, int]]) -> Chart:
    words = visit.texts["rules"]["calendar"]
    return Chart(
        str(words["chart"]),
        [f"{monday:%m-%d}" for monday in mondays],
        {
            str(words[what]): [
                sum(count for day, count in counts.items() if monday <= day < monday + timedelta(weeks=1))
                for monday in mondays
            ]
            for what, counts in ahead.items()
        },
        Form.BAR,
        x_title=str(words["week_of"]),
        y_title=str(visit.texts["rules"]["people"]),
    )


def _month(written: str, today: date) -> date:
    """Return the month that an address names; the present one for what is none, or is too far away."""
    try:
        asked = date.fromisoformat(f"{written}-01")
    except ValueError:
        return first_of_month(today)
    return asked if abs(asked.year - today.year) <= _FURTHEST_YEARS else first_of_month(today)
