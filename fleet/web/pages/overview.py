"""The first page: today's certifications against who is due, outcomes, terminals, cases, stops, areas; it keeps itself up to date."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.pki.renewing import Ending, ending, own_certificates
from fleet.statistics.counts import offset
from fleet.store import overview as counted
from fleet.store.areas import Area, area_names, chain_above, codes_below
from fleet.store.overview import AreaCount
from fleet.store.stops import Stage, stage_counts
from fleet.store.terminal_lists import Wanted
from fleet.terminals.lists import count_terminals, limits_of
from fleet.terminals.standing import Concern, Standing
from fleet.web.charts import Chart, Form
from fleet.web.palette import tone_of
from fleet.web.visits import Visit, needs, not_found
from protocol.outcomes import Outcome
from protocol.rules.obligations import CertificationState

router = APIRouter(include_in_schema=False)
_WEEK = 7
_ASKED = tuple(state for state in CertificationState if state is not CertificationState.CERTIFIED)
TIME = "Lifecert-Time"
"""Header with the agency's time, which `console.js` shows as the time of the last update."""


@dataclass(frozen=True, slots=True)
class Where:
    """The part of the fleet that is looked at."""

    area: Area | None
    """None for all that the visitor may see."""
    above: tuple[Area, ...]
    """From the highest down, as far as the visitor may see."""
    within: list[str] | None
    """Codes of all areas in it; None for the whole fleet."""


@dataclass(frozen=True, slots=True)
class Today:
    """Sessions of today and of the week, and the people who are to come."""

    certified: int
    sessions: int
    by_hour: Chart
    shares: Sequence[tuple[str, int, float, int, float]]
    """Outcome, today's sessions, their share, those of the week, their share."""
    people: Mapping[str, int]
    """By state, as of the snapshot."""
    asked: int
    snapshot: str | None


@router.get("/")
def page(visit: Annotated[Visit, needs(Permission.OVERVIEW)], area: str = "") -> HTMLResponse:
    """Show the overview of all that the visitor may see, or of one area of it."""
    with visit.begin() as connection:
        where = _where(visit, connection, area)
        return visit.page(
            "overview/page.html",
            where=where,
            now_text=_time(visit),
            live=_live(visit, connection, where),
            **_areas(visit, connection, where.area.code if where.area else None),
        )


@router.get("/overview/live")
def live(visit: Annotated[Visit, needs(Permission.OVERVIEW)], area: str = "", seen: str = "") -> Response:
    """Return the parts that change by themselves, or nothing if they are as `seen`."""
    with visit.begin() as connection:
        found = _live(visit, connection, _where(visit, connection, area))
    headers = {TIME: _time(visit)}
    if found["digest"] == seen:
        return Response(status_code=204, headers=headers)
    answer = visit.page("overview/live.html", live=found)
    answer.headers.update(headers)
    return answer


@router.get("/overview/areas/{code}")
def below(visit: Annotated[Visit, needs(Permission.OVERVIEW)], code: str) -> HTMLResponse:
    """Return the areas directly below one, for the tree."""
    with visit.begin() as connection:
        _where(visit, connection, code)
        return visit.part("overview/areas.html", **_areas(visit, connection, code))


def _where(visit: Visit, connection: Connection, code: str) -> Where:
    """Return what is looked at; an area outside the visitor's is not there."""
    mine = visit.codes(connection, Permission.OVERVIEW)
    if not code:
        return Where(None, (), mine)
    chain = chain_above(connection, code)
    if not chain or (mine is not None and code not in mine):
        raise not_found()
    seen = tuple(each for each in chain if mine is None or each.code in mine)
    return Where(seen[-1], seen[:-1], codes_below(connection, code))


def _live(visit: Visit, connection: Connection, where: Where) -> dict[str, Any]:
    terminals = count_terminals(
        connection, Wanted(within=where.within), limits_of(visit.console.settings.terminals), now=visit.now
    )
    parts: dict[str, object] = {
        "today": _today(visit, connection, where),
        "terminals": [
            (key, terminals[key]) for key in (*Standing, *Concern) if terminals[key] or key is Standing.ONLINE
        ],
        "terminal_count": sum(terminals[key] for key in Standing),
        "waiting": counted.waiting(connection, today=visit.today, within=where.within),
        "stops": _stops(stage_counts(connection, where.within)),
        "area": where.area,
        "certificates": _certificates(visit, where),
    }
    return {**parts, "digest": hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}


def _certificates(visit: Visit, where: Where) -> list[Ending]:
    """Return which certificates of the fleet's own were not renewed: they are everybody's who sees the whole of it."""
    return [] if where.within is not None else ending(own_certificates(visit.console.settings), now=visit.now)


def _today(visit: Visit, connection: Connection, where: Where) -> Today:
    midnight = datetime.combine(visit.today, time(), visit.zone)
    zone = offset(visit.zone, visit.now)
    all_hours = counted.sessions_since(connection, midnight - timedelta(days=_WEEK - 1), zone=zone, within=where.within)
    hours = [each for each in all_hours if each[0].date() >= visit.today]
    now, week = _by_outcome(hours), _by_outcome(all_hours)
    snapshot = counted.newest_snapshot(connection)
    people = {} if snapshot is None else counted.people_by_state(connection, snapshot, within=where.within)
    words = visit.texts["words"]["outcomes"]
    return Today(
        certified=now[Outcome.CERTIFIED],
        sessions=now.total(),
        by_hour=_by_hour(visit, hours),
        shares=[
            (words[each], now[each], _share(now[each], now.total()), week[each], _share(week[each], week.total()))
            for each in Outcome
            if week[each] or now[each]
        ],
        people=people,
        asked=sum(people.get(state, 0) for state in _ASKED),
        snapshot=None if snapshot is None else snapshot.isoformat(),
    )


def _stops(stages: Mapping[Stage, int]) -> list[tuple[str, int, str]]:
    """Return benefits with a stop that wait for somebody, by what they wait for, each with its list; counted as the list counts them."""
    waits = {
        "stops_to_prepare": (Stage.PROPOSED, Stage.NOTICED, Stage.ATTEMPTS, Stage.COMPARISON),
        "stops_to_approve": (Stage.FIRST, Stage.SECOND),
        "stops_to_carry_out": (Stage.TO_CARRY_OUT,),
        "frozen": (Stage.FROZEN,),
    }
    return [
        (name, sum(stages.get(each, 0) for each in of), f"/stops?stage={of[0]}" if len(of) == 1 else "/stops")
        for name, of in waits.items()
    ]


def _by_hour(visit: Visit, hours: Sequence[tuple[datetime, str, int]]) -> Chart:
    texts = visit.texts["overview"]
    passed: Counter[int] = Counter()
    others: Counter[int] = Counter()
    for at, outcome, number in hours:
        (passed if outcome == Outcome.CERTIFIED else others)[at.hour] += number
    # The hours of an office, and any other in which somebody came.
    shown = range(min([8, *passed, *others]), max([17, *passed, *others]) + 1)
    return Chart(
        texts["by_hour"],
        [f"{hour:02d}" for hour in shown],
        {texts["certified"]: [passed[hour] for hour in shown], texts["others"]: [others[hour] for hour in shown]},
        form=Form.STACKED,
        tones=[tone_of("outcomes", "certified"), tone_of("outcomes", "others")],
    )


def _areas(visit: Visit, connection: Connection, code: str | None) -> dict[str, Any]:
    """Return the areas below one, or the topmost that the visitor may see, with their people as of the newest snapshot."""
    snapshot = counted.newest_snapshot(connection)
    tops = visit.tops(Permission.OVERVIEW)
    codes = counted.areas_directly_below(connection, code) if code is not None or tops is None else sorted(tops)
    rows: list[AreaCount] = [] if snapshot is None else counted.counts_of_areas(connection, codes, snapshot)
    # Those below one area stand under its name.
    names = area_names(connection, codes) if code is None else {}
    return {"areas": [replace(each, name=names.get(each.code, each.name)) for each in rows], "snapshot": snapshot}


def _by_outcome(rows: Sequence[tuple[datetime, str, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for _, outcome, number in rows:
        found[outcome] += number
    return found


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _time(visit: Visit) -> str:
    return visit.now.astimezone(visit.zone).strftime("%H:%M:%S")
