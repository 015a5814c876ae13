"""People: searching, and lists of whom a search finds.

What is typed to find somebody goes by POST and stands in no address but sealed (`fleet.web.kept`), so that going back, loading anew,
another language and the next page give the same search.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.errors import Refused
from fleet.people.finding import Count, Page, Search, find_and_count
from fleet.store.areas import Area, area_names, chain_above
from fleet.store.people import StopState
from fleet.store.people_filters import MOST_OFFERED, Named, areas_named, is_below, schemes_in_use, steps_down
from fleet.web.forms import Sent
from fleet.web.kept import KeptSearch, seal_search, unseal_search
from fleet.web.labels import scheme_word
from fleet.web.lists import LONGEST
from fleet.web.visits import Visit, needs, sends
from protocol.rules.obligations import CertificationState

router = APIRouter(include_in_schema=False)
PATH = "/people"
_FILTERS = ("area", "state", "scheme", "unit", "stop", "born")
_FIRST_YEAR, _LAST_YEAR = 1880, 2100
"""Of birth of anybody who is or will be paid."""
_CHOSEN = {"state": frozenset(CertificationState), "stop": frozenset(StopState)}
_EMPTY = Page((), None, None)


@dataclass(frozen=True, slots=True)
class AreaChoice:
    """Where in the tree of areas a list is, and where one can go from there."""

    chain: tuple[Area, ...]
    """From the highest area that the visitor sees down to the one that is chosen; empty where none is."""
    below: tuple[Area, ...]
    typed: str = ""
    named: tuple[Named, ...] = ()
    """Areas that what was typed fits."""

    @property
    def is_cut(self) -> bool:
        """Whether there are more than are offered."""
        return max(len(self.below), len(self.named)) >= MOST_OFFERED


@router.get(PATH)
def list_by_address(
    visit: Annotated[Visit, needs(Permission.PEOPLE)],
    area: str = "",
    state: str = "",
    scheme: str = "",
    unit: str = "",
    stop: str = "",
    born: str = "",
    at: str = "",
    search: str = "",
) -> HTMLResponse:
    """Show a list as other pages link to it, or whom a search that was sent finds."""
    filters = {"area": area, "state": state, "scheme": scheme, "unit": unit, "stop": stop, "born": born}
    if not search:
        return _list(visit, filters, at=at)
    kept = unseal_search(visit.cipher, visit.visitor.account_id, search, now=visit.now)
    if kept is None:
        return _list(visit, filters, is_over=True)
    return _list(visit, filters, typed=kept.typed, area_typed=kept.area_typed, at=at, search=search)


@router.post(PATH)
def search(visit: Annotated[Visit, sends(Permission.PEOPLE)]) -> Response:
    """Take a search, and send on to the address of what it finds; what was typed stands in it sealed."""
    sent = visit.sent
    filters = {name: sent.text(name)[:LONGEST] for name in _FILTERS}
    typed, area_typed = sent.text("typed"), typed_area(sent)
    if typed or area_typed:
        # One character more tells that it was cut.
        kept = KeptSearch(typed[: LONGEST + 1], area_typed[:LONGEST])
        filters["search"] = seal_search(visit.cipher, visit.visitor.account_id, kept, now=visit.now)
    return RedirectResponse(_address(filters), status_code=303)


@router.get("/people/areas")
def areas(visit: Annotated[Visit, needs(Permission.PEOPLE)], area_typed: str = "", area: str = "") -> HTMLResponse:
    """Show the areas that a name fits while it is typed."""
    with visit.begin() as connection:
        choice = area_choice(visit, connection, area[:LONGEST], area_typed[:LONGEST])
    return visit.page("people/area_choices.html", choice=choice)


def typed_area(sent: Sent) -> str:
    """Return what was typed to find an area; nothing where a button chose one, which is sent beside the area that was chosen before."""
    return "" if len(sent.lists.get("area", ())) > 1 else sent.text("area_typed")


def area_choice(
    visit: Visit, connection: Connection, code: str, typed: str = "", *, permission: Permission = Permission.PEOPLE
) -> AreaChoice:
    """Return where in the tree somebody is; an area outside the visitor's has no name and nothing below, as one that does not exist."""
    tops = visit.tops(permission)
    named = tuple(areas_named(connection, typed, tops))
    if code and not is_below(connection, code, tops):
        return AreaChoice((Area(code, None, 0, code),), (), typed, named)
    chain = chain_above(connection, code) if code else ()
    if tops is not None:
        first = next((place for place, each in enumerate(chain) if each.code in tops), 0)
        chain = chain[first:]
    return AreaChoice(chain, tuple(steps_down(connection, code or None, tops)), typed, named)


def _list(
    visit: Visit,
    filters: Mapping[str, str],
    *,
    typed: str = "",
    area_typed: str = "",
    at: str = "",
    search: str = "",
    is_over: bool = False,
) -> HTMLResponse:
    texts = visit.texts["people"]
    problems: list[str] = []
    wrong = {name for name, allowed in _CHOSEN.items() if filters[name] and filters[name] not in allowed}
    if wrong:
        problems.append(texts["refused"]["filter_unknown"])
    if filters["born"] and _year(filters["born"]) is None:
        problems.append(texts["refused"]["born_unusable"])
    if is_over:
        problems.append(texts["refused"]["search_over"])
    with visit.begin() as connection:
        choice = area_choice(visit, connection, filters["area"], area_typed)
        kept = dict(filters)
        if area_typed and len(choice.named) == 1:
            # One area is called so: that is the one that was meant.
            kept["area"] = choice.named[0].code
            choice = area_choice(visit, connection, kept["area"])
        found, count = (_EMPTY, None) if problems else _found(visit, connection, kept, typed[:LONGEST], at, problems)
        schemes = schemes_in_use(connection)
        areas = area_names(connection, {each.line.area for each in found.people})
        if found.people:
            shown = {name: value for name, value in kept.items() if value and name != "unit"}
            visit.note(
                connection,
                "subjects.listed",
                "subjects",
                "list",
                about=[each.line.subject_id for each in found.people],
                people=len(found.people),
                typed=bool(typed),
                **shown,
            )
    return visit.page(
        "people/list.html",
        areas=areas,
        status=422 if problems else 200,
        problems=problems,
        found=found,
        count=count,
        typed=typed[:LONGEST],
        is_cut=len(typed) > LONGEST,
        filters=kept,
        choice=choice,
        next_url=_address({**kept, "search": search}, found.next_at),
        previous_url=_address({**kept, "search": search}, found.previous_at),
        states=[(each.value, visit.texts["words"]["states"][each]) for each in CertificationState],
        stops=[(each.value, texts["stops"][each]) for each in StopState],
        schemes=[(each, scheme_word(each, visit.texts)) for each in schemes],
        is_narrowed=bool(typed or any(kept.values())),
    )


def _found(
    visit: Visit, connection: Connection, filters: Mapping[str, str], typed: str, at: str, problems: list[str]
) -> tuple[Page, Count | None]:
    wanted = Search(
        typed=typed,
        area=filters["area"] or None,
        state=CertificationState(filters["state"]) if filters["state"] else None,
        scheme=filters["scheme"] or None,
        unit=filters["unit"] or None,
        stop=StopState(filters["stop"]) if filters["stop"] else None,
        born=_year(filters["born"]),
        at=at,
    )
    tops = visit.tops(Permission.PEOPLE)
    try:
        return find_and_count(connection, visit.keys, wanted, tops=tops, today=visit.today)
    except Refused:
        problems.append(visit.texts["people"]["refused"]["place_unusable"])
        return _EMPTY, None


def _year(typed: str) -> int | None:
    """Return a year of birth; None if it is none."""
    return int(typed) if re.fullmatch("[0-9]{4}", typed) and _FIRST_YEAR <= int(typed) <= _LAST_YEAR else None


def _address(filters: Mapping[str, str], at: str | None = "") -> str:
    asked = {name: value for name, value in {**filters, "at": at or ""}.items() if value}
    return f"{PATH}?{urlencode(asked)}" if asked else PATH
