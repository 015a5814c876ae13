"""Statistics: how many people are in which state and how many sessions came to what, by area, scheme, channel, age, device and day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.statistics.counts import Cut, Question
from fleet.statistics.export import content
from fleet.statistics.reading import Reading, read, schemes_known
from fleet.statistics.sheets import sheet_of, trend_sheet
from fleet.store.areas import LEVELS, Area, areas_of, chain_above
from fleet.store.statistics import Snapshot, snapshots
from fleet.web.labels import scheme_word
from fleet.web.lists import LONGEST
from fleet.web.pages.figures_rows import chart_of, columns_of, differences_of, rows_of
from fleet.web.visits import Visit, needs, not_found

router = APIRouter(include_in_schema=False)
PATH = "/figures"
MOST_ROWS = 200
"""Rows of a page; an export has all."""
_SESSION_DAYS = 30
_EARLIER_OFFERED = 60
MEDIA = {
    ".csv": "text/csv; charset=utf-8",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
Value = TypeVar("Value")


class Filters(BaseModel):
    """What the address says."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    by: str = ""
    level: str = ""
    area: str = ""
    scheme: str = ""
    since: str = ""
    as_of: str = ""
    earlier: str = ""
    """Day of a snapshot to compare with."""
    live: str = ""
    """`1`: count now, whatever it takes."""

    @property
    def days(self) -> dict[str, str]:
        """The days that are asked for; empty ones are left to the page."""
        return {"since": self.since, "as_of": self.as_of}

    def address(self, path: str, **changed: str) -> str:
        """Return an address with these, some of them changed; an empty value takes one away."""
        kept = {name: value for name, value in {**self.model_dump(), **changed}.items() if value}
        return f"{path}?{urlencode(kept)}" if kept else path


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked, and what of the address could not be used."""

    question: Question
    chain: tuple[Area, ...]
    """From the highest area that the visitor sees down to the chosen one."""
    is_live: bool
    earlier: date | None
    schemes: list[str]
    snapshots: list[Snapshot]
    problems: list[str]


@router.get(PATH)
def statistics(
    visit: Annotated[Visit, needs(Permission.FIGURES)], filters: Annotated[Filters, Query()]
) -> HTMLResponse:
    """Show counts as chart and table."""
    with visit.begin() as connection:
        asked = asked_of(visit, connection, filters)
        found = None if asked.problems else _read(visit, connection, asked)
    answer = None if found is None else found.answer
    words = visit.texts["figures"]
    return visit.page(
        "figures/statistics.html",
        status=422 if asked.problems else 200,
        asked=asked,
        found=found,
        filters=filters,
        rows=[] if answer is None else rows_of(visit, answer, filters.days, limit=MOST_ROWS),
        chart=None if answer is None else chart_of(visit, answer),
        differences=None if found is None or found.compared is None else differences_of(visit, found, limit=MOST_ROWS),
        columns=[] if answer is None or asked.question.by is Cut.STATE else columns_of(visit, answer),
        most=MOST_ROWS,
        cuts=[(cut.value, words["cuts"][cut]) for cut in Cut],
        levels=[(str(level), words["levels"][str(level)]) for level in range(1, LEVELS + 1)],
        schemes=[(each, scheme_word(each, visit.texts)) for each in asked.schemes],
        earlier_days=[(each.day.isoformat(), each.day.isoformat()) for each in asked.snapshots[-_EARLIER_OFFERED:]][
            ::-1
        ],
    )


@router.get(f"{PATH}/export/{{ending}}")
def export(
    visit: Annotated[Visit, needs(Permission.FIGURES)], filters: Annotated[Filters, Query()], ending: str
) -> Response:
    """Give the table as a file, with all its rows."""
    media = MEDIA.get(f".{ending}")
    if media is None:
        raise not_found()
    with visit.begin() as connection:
        asked = asked_of(visit, connection, filters)
        found = None if asked.problems else _read(visit, connection, asked, must=True)
    if found is None or found.answer is None:
        # The page says why.
        return RedirectResponse(filters.address(PATH), status_code=303)
    sheets = [sheet_of(found.answer), *([trend_sheet(found.changes)] if found.compared else [])]
    return download(
        content(sheets, f".{ending}"), media, f"figures-{asked.question.by}-{asked.question.as_of}.{ending}"
    )


def download(body: bytes, media: str, name: str) -> Response:
    """Return a file to be kept."""
    return Response(body, media_type=media, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def asked_of(visit: Visit, connection: Connection, filters: Filters, *, days: int | None = None) -> Asked:
    """Return what an address asks for; an area outside the visitor's does not exist.

    Args:
        visit: whose.
        connection: where to read.
        filters: the address.
        days: length of the span where none is asked for; None for what suits the kind of count.
    """
    words = visit.texts["figures"]["wrong"]
    problems: list[str] = []

    def day(name: str, otherwise: date) -> date:
        written = getattr(filters, name)
        try:
            return date.fromisoformat(written) if written else otherwise
        except ValueError:
            problems.append(words["day"])
            return otherwise

    tops = visit.tops(Permission.FIGURES)
    chain = area_chain(visit, connection, filters.area[:LONGEST])
    by = _one_of({each.value: each for each in Cut}, filters.by, Cut.AREA, problems, words["by"])
    lowest = _level_below(connection, chain, tops)
    level = _one_of({str(n): n for n in range(1, LEVELS + 1)}, filters.level, lowest, problems, words["level"])
    kept = snapshots(connection)
    schemes = schemes_known(connection, kept)
    scheme = _one_of({each: each for each in schemes}, filters.scheme, None, problems, words["scheme"])
    as_of = day("as_of", visit.today)
    span = days or (_SESSION_DAYS if by in (Cut.DAY, Cut.DEVICE) else None)
    since = day("since", date(as_of.year, 1, 1) if span is None else as_of - timedelta(days=span - 1))
    if since > as_of:
        problems.append(words["span"])
    question = Question(by, as_of, since, level, scheme, chain[-1].code if chain else None, tops)
    earlier = None if not filters.earlier else day("earlier", as_of)
    return Asked(question, chain, filters.live == "1", earlier, schemes, kept, list(dict.fromkeys(problems)))


def area_chain(visit: Visit, connection: Connection, code: str) -> tuple[Area, ...]:
    """Return an area with those above it that the visitor sees; none for an empty code.

    Raises:
        HTTPException: 404 if it does not lie in the visitor's areas.
    """
    if not code:
        return ()
    mine = visit.codes(connection, Permission.FIGURES)
    if mine is not None and code not in mine:
        raise not_found()
    return tuple(each for each in chain_above(connection, code) if mine is None or each.code in mine)


def _read(visit: Visit, connection: Connection, asked: Asked, *, must: bool = False) -> Reading:
    def reading(*, is_live: bool) -> Reading:
        return read(
            connection,
            asked.question,
            today=visit.today,
            zone=visit.zone,
            is_live=is_live,
            earlier=asked.earlier,
        )

    found = reading(is_live=asked.is_live)
    return reading(is_live=True) if found.answer is None and must and not asked.is_live else found


def _level_below(connection: Connection, chain: tuple[Area, ...], tops: frozenset[str] | None) -> int:
    """Return the level below the chosen area; without one the highest of which the visitor sees several areas."""
    if chain:
        return min(chain[-1].level + 1, LEVELS)
    areas = areas_of(connection)
    if tops is not None:
        own = [areas[code].level for code in tops if code in areas]
        return min(own) if len(own) > 1 else min([*own, LEVELS - 1]) + 1
    numbers = {level: sum(each.level == level for each in areas.values()) for level in range(1, LEVELS + 1)}
    return next((level for level, number in numbers.items() if number > 1), 1)


def _one_of(known: Mapping[str, Value], written: str, otherwise: Value, problems: list[str], wrong: str) -> Value:
    if not written:
        return otherwise
    if written not in known:
        problems.append(wrong)
        return otherwise
    return known[written]
