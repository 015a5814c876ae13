"""Cases: what waits for whom, those first whose answer is due first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Response
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.cases.machine import Kind, Standing, State
from fleet.cases.queue import Line, is_anything, is_begun, is_mine, lines_of
from fleet.store.areas import area_names, areas_of, codes_below
from fleet.store.case_queue import COUNTED, Asked, Place, count_of
from fleet.web.lists import listing
from fleet.web.visits import Visit, needs, not_found

router = APIRouter(include_in_schema=False)
CASES = "/cases"
Looks = Annotated[Visit, needs(Permission.CASES)]
SOON = timedelta(days=3)
"""So long before the day of the answer a case is said to be due soon; as on the overview."""
_BETWEEN = "~"
_TAKES: dict[str, Callable[[Line], bool]] = {"mine": is_mine, "second": is_begun}


@dataclass(frozen=True, slots=True)
class Row:
    """One case, as it is listed."""

    line: Line
    person: str
    area: str
    clock: str
    """`late`, `soon`, `in_time`, or `over`."""

    @property
    def is_offered(self) -> bool:
        """Whether the visitor may decide it now."""
        return self.line.standing is Standing.MAY_DECIDE


@router.get(CASES)
def show_all(
    visit: Looks,
    show: str = "",
    kind: str = "",
    state: str = "",
    clock: str = "",
    area: str = "",
    after: str = "",
    before: str = "",
) -> Response:
    """Show the queue."""
    with visit.begin() as connection:
        within = visit.codes(connection, Permission.CASES)
        asked = Asked(
            _narrowed(connection, within, area),
            is_over=show == "over",
            kinds=(kind,) if kind else (),
            states=(state,) if state else (),
            due_from=_due_from(visit, clock),
            due_until=_due_until(visit, clock),
        )
        takes = _TAKES.get(show, is_anything)
        if show == "mine" and not visit.may(Permission.CASES_REVIEW):
            takes = _nothing
        shown = listing(
            CASES,
            {"show": show, "kind": kind, "state": state, "clock": clock, "area": area},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: _rows(visit, connection, asked, takes, behind, ahead, limit),
            key=lambda row: f"{row.line.row.due_on.isoformat()}{_BETWEEN}{row.line.row.case_id}",
        )
        counts = _counts(visit, connection, within)
        areas = _areas_offered(visit, connection)
    words = visit.texts["cases"]
    return visit.page(
        "cases/list.html",
        shown=shown,
        counts=counts,
        most=COUNTED,
        areas=areas,
        kinds=[(each.value, words["kinds"][each.value]) for each in Kind],
        states=[(each.value, words["states"][each.value]) for each in State],
    )


def clock_of(line: Line, today: date) -> str:
    """Return how a case stands to its clock."""
    return clock_on(line.case.state, line.row.due_on, today)


def clock_on(state: State, due_on: date, today: date) -> str:
    """Return how a state stands to the day of the answer: `over`, `late`, `soon` or `in_time`."""
    if state in (State.PASSED, State.REFUSED, State.CLOSED):
        return "over"
    if due_on < today:
        return "late"
    return "soon" if due_on <= today + SOON else "in_time"


def _nothing(_line: Line) -> bool:
    return False


def _rows(
    visit: Visit,
    connection: Connection,
    asked: Asked,
    takes: Callable[[Line], bool],
    behind: str,
    ahead: str,
    limit: int,
) -> list[Row]:
    lines = lines_of(
        connection,
        visit.cipher,
        asked,
        visit.visitor.name,
        takes,
        behind=_place(behind),
        ahead=_place(ahead),
        limit=limit,
    )
    names = area_names(connection, {line.row.area for line in lines if line.row.area is not None})
    return [
        Row(
            line,
            "" if line.row.subject_id is None else visit.opened(line.row.name_sealed, of=line.row.subject_id),
            names.get(line.row.area or "", line.row.area or ""),
            clock_of(line, visit.today),
        )
        for line in lines
    ]


def _counts(visit: Visit, connection: Connection, within: Sequence[str] | None) -> dict[str, int]:
    today = visit.today
    asked = {
        "open": Asked(within),
        "late": Asked(within, due_until=today - timedelta(days=1)),
        "soon": Asked(within, due_from=today, due_until=today + SOON),
        "evidence": Asked(within, states=(State.OPENED.value, State.MORE_EVIDENCE.value)),
        "alarms": Asked(within, kinds=(Kind.ATTACK_ALARM.value,)),
    }
    return {name: count_of(connection, each) for name, each in asked.items()}


def _due_from(visit: Visit, clock: str) -> date | None:
    return visit.today if clock == "soon" else None


def _due_until(visit: Visit, clock: str) -> date | None:
    return {"soon": visit.today + SOON, "late": visit.today - timedelta(days=1)}.get(clock)


def _narrowed(connection: Connection, within: list[str] | None, area: str) -> list[str] | None:
    """Return the codes of the area that is asked for, where it is one of the visitor's; else of all of theirs."""
    if not area:
        return within
    if within is not None and area not in within:
        raise not_found()
    return codes_below(connection, area)


def _areas_offered(visit: Visit, connection: Connection) -> list[tuple[str, str]]:
    """Return the areas at the top of what the visitor may see, and those directly below."""
    known = areas_of(connection)
    tops = visit.tops(Permission.CASES)
    roots = {code for code, area in known.items() if area.parent is None} if tops is None else tops
    found = [each for each in known.values() if each.code in roots or each.parent in roots]
    return [(each.code, f"{each.name} {each.code}") for each in sorted(found, key=lambda each: each.code)]


def _place(written: str) -> Place | None:
    day, _, case_id = written.partition(_BETWEEN)
    try:
        return (date.fromisoformat(day), case_id) if case_id else None
    except ValueError:
        return None
