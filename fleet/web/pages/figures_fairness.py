"""The fairness board: whether sessions fail, or are broken off, more often for some than for others, and which terminal to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from fleet.accounts.roles import Permission
from fleet.statistics.counts import Cut
from fleet.statistics.export import content
from fleet.statistics.fairness import Fairness, Group, fairness
from fleet.statistics.figures import Cell, Interval
from fleet.statistics.sheets import fairness_sheets
from fleet.store.areas import LEVELS, area_names
from fleet.web.charts import Chart, Form
from fleet.web.labels import scheme_word
from fleet.web.pages.figures import MEDIA, Asked, Filters, asked_of, download
from fleet.web.pages.figures_rows import label_of
from fleet.web.visits import Visit, needs, not_found

router = APIRouter(include_in_schema=False)
PATH = "/figures/fairness"
_DAYS = 90
_MOST_BARS = 24
_MOST_ALERTS = 20
"""Of twenty thousand terminals some hundreds stand out by chance; the worst are worth a walk."""


@dataclass(frozen=True, slots=True)
class Rate:
    """The rates of one group, as they are shown."""

    label: str
    link: str | None
    cell: Cell
    failure: Interval | None
    abandon: Interval | None
    is_failing: bool
    is_leaving: bool


@dataclass(frozen=True, slots=True)
class Board:
    """One dimension: everybody's rates, and where they differ."""

    by: str
    rates: Sequence[Rate]
    """Of terminals those with the highest rates only."""
    cut: int
    """How many more there are."""
    chart: Chart | None
    failing: Sequence[Rate]
    leaving: Sequence[Rate]
    more_alerts: int
    """Groups that stand out, too, and are not named: their rates are lower."""


@router.get(PATH)
def board(visit: Annotated[Visit, needs(Permission.FIGURES)], filters: Annotated[Filters, Query()]) -> HTMLResponse:
    """Show the board."""
    found, asked = _found(visit, filters)
    words = visit.texts["figures"]
    return visit.page(
        "figures/fairness.html",
        status=422 if asked.problems else 200,
        asked=asked,
        filters=filters,
        found=found,
        boards=[] if found is None else _boards(visit, found, filters),
        levels=[(str(level), words["levels"][str(level)]) for level in range(1, LEVELS + 1)],
        schemes=[(each, scheme_word(each, visit.texts)) for each in asked.schemes],
    )


@router.get(f"{PATH}/export/{{ending}}")
def export(
    visit: Annotated[Visit, needs(Permission.FIGURES)], filters: Annotated[Filters, Query()], ending: str
) -> Response:
    """Give all rates as a file."""
    media = MEDIA.get(f".{ending}")
    if media is None:
        raise not_found()
    found, asked = _found(visit, filters)
    if found is None:
        # The page says why.
        return RedirectResponse(filters.address(PATH), status_code=303)
    return download(content(fairness_sheets(found), f".{ending}"), media, f"fairness-{asked.question.as_of}.{ending}")


def _found(visit: Visit, filters: Filters) -> tuple[Fairness | None, Asked]:
    """Return the rates that an address asks for; none where it cannot be used."""
    with visit.begin() as connection:
        asked = asked_of(visit, connection, filters, days=_DAYS)
        if asked.problems:
            return None, asked
        question = asked.question
        return (
            fairness(
                connection,
                question.since,
                question.as_of,
                level=question.level,
                least=visit.console.settings.statistics.min_cell,
                scheme=question.scheme,
                zone=visit.zone,
                area=question.area,
                tops=question.tops,
            ),
            asked,
        )


def _boards(visit: Visit, found: Fairness, filters: Filters) -> list[Board]:
    regions = next((group.cells for group in found.groups if group.by == "region"), ())
    with visit.begin() as connection:
        names = area_names(connection, [cell.key for cell in regions])
    return [_board(visit, group, names, filters) for group in found.groups]


def _board(visit: Visit, group: Group, names: dict[str, str], filters: Filters) -> Board:
    rates = [_rate(visit, group, cell, names, filters) for cell in group.cells]
    if group.by == "device":
        # Whose rate is surely high first.
        rates.sort(key=lambda rate: (-(rate.failure.low if rate.failure else -1.0), rate.label))
    shown = rates[:_MOST_BARS] if group.by == "device" else rates
    by_key = {rate.cell.key: rate for rate in rates}
    return Board(
        group.by,
        shown,
        len(rates) - len(shown),
        _chart(visit, group, shown),
        [by_key[key] for key in group.failing[:_MOST_ALERTS]],
        [by_key[key] for key in group.leaving[:_MOST_ALERTS]],
        max(0, len(group.failing) - _MOST_ALERTS) + max(0, len(group.leaving) - _MOST_ALERTS),
    )


def _rate(visit: Visit, group: Group, cell: Cell, names: dict[str, str], filters: Filters) -> Rate:
    link = None
    if group.by == "device":
        link = f"/terminals/{cell.key}"
    elif group.by == "region" and cell.key in names:
        link = filters.address(PATH, area=cell.key, level="", by="", live="", earlier="")
    return Rate(
        _label(visit, group.by, cell.key, names),
        link,
        cell,
        cell.failure(),
        cell.abandon(),
        cell.key in group.failing,
        cell.key in group.leaving,
    )


def _label(visit: Visit, by: str, key: str, names: dict[str, str]) -> str:
    if by == "age":
        return label_of(visit, Cut.AGE, key)
    if by == "sex":
        return str(visit.texts["figures"]["sexes"][key])
    return names.get(key, key)


def _chart(visit: Visit, group: Group, rates: Sequence[Rate]) -> Chart | None:
    known = [(rate.label, rate.failure) for rate in rates if rate.failure is not None][:_MOST_BARS]
    if not known:
        return None
    words = visit.texts["figures"]
    name = words["failure_rate"]
    return Chart(
        words["fairness_chart"].format(by=words["groups"][group.by]),
        [label for label, _ in known],
        {name: [100 * each.value for _, each in known]},
        form=Form.SIDEWAYS,
        intervals={name: [(100 * each.low, 100 * each.high) for _, each in known]},
    )
