"""Routes that say where people stand (R5-7, R9-4), and how many stand where."""

from __future__ import annotations

import tomllib
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Security
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from fleet.api.access import Office, authorised
from fleet.api.forms import MAX_BATCH, Form, PersonForm
from fleet.api.people import find_people
from fleet.api.problems import Refusal, described
from fleet.partners.credentials import Caller
from fleet.store.areas import codes_below
from fleet.store.packs import shelf_of
from fleet.store.partners import Scope, visible_codes
from fleet.store.standings import PackStanding, counts, pack_standings
from protocol.rules.days import FOREVER
from protocol.rules.obligations import CertificationState
from protocol.rules.shelf import Shelf

Reader = Annotated[Caller, Security(authorised, scopes=[Scope.STATUS_READ.value])]
Counter = Annotated[Caller, Security(authorised, scopes=[Scope.STATISTICS_READ.value])]
_REASONS = Path(__file__).with_name("reasons.toml")


class Sentence(BaseModel):
    """The same in both languages."""

    zh: str
    en: str


class PackStandingView(BaseModel):
    """What one rule pack asks of one benefit."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    scheme: str
    """The benefit's; empty for somebody on no list of benefits."""
    pack_id: str
    pack_version: int
    title: Sentence
    """What people call the rules."""
    state: CertificationState
    last_day: date | None
    """Day of the certification that counted last."""
    opens: date | None
    """From this day on the next certification counts; None where nothing is asked any more."""
    due: date | None
    """The last day for it; None where nothing is asked any more."""
    reason: Sentence
    """The same in words, for the person."""


class StandingView(BaseModel):
    """Where somebody stands today, by the strictest of the rules that hold for them."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    subject_id: str
    state: CertificationState
    certified_until: date | None
    """None for somebody who was never certified, or of whom nothing is asked any more."""
    opens: date | None
    due: date | None
    packs: list[PackStandingView]
    """What is due first comes first."""


class People(Form):
    """Some people."""

    people: list[PersonForm] = Field(min_length=1, max_length=MAX_BATCH)


class StandingResult(BaseModel):
    """Where one of several stands; `found` is false for nobody here and for somebody outside your areas."""

    found: bool
    standing: StandingView | None


class Standings(BaseModel):
    """Where some people stand, in the order in which they were named."""

    results: list[StandingResult]


class AreaCounts(BaseModel):
    """How many people of an area are in each state."""

    area: str
    people: int
    states: dict[CertificationState, int]


class Statistics(BaseModel):
    """How many people stand where."""

    day: date
    people: int
    states: dict[CertificationState, int]
    areas: list[AreaCounts]


def standing_router(office: Office) -> APIRouter:
    """Return the routes of statuses and statistics."""
    router = APIRouter(prefix="/api/v1", tags=["status"])
    errors = described(400, 401, 403, 404, 408, 413, 415, 422, 429, 503)

    @router.post("/status", operation_id="get_status", responses=errors)
    def status(person: PersonForm, caller: Reader) -> StandingView:
        """Return where somebody stands. A POST, because document numbers must not stand in addresses, which are logged."""
        with office.database.begin() as connection:
            (subject_id,) = find_people(office, connection, caller.partner, [person])
            if subject_id is None:
                raise Refusal(404, "unknown_person", "nobody of this document or id, or not in your areas")
            (view,) = _views(office, connection, [subject_id])
            office.note(connection, caller, "status.viewed", subject_id=subject_id, now=office.clock())
        return view

    @router.post("/status-batches", operation_id="get_statuses", responses=errors)
    def statuses(form: People, caller: Reader) -> Standings:
        """Return where some people stand, up to 100."""
        with office.database.begin() as connection:
            ids = find_people(office, connection, caller.partner, form.people)
            known = sorted({one for one in ids if one is not None})
            views = {view.subject_id: view for view in _views(office, connection, known)}
            detail = {"subjects": known, "asked": len(ids)}
            office.note(connection, caller, "statuses.viewed", detail=detail, now=office.clock())
        found = [None if one is None else views[one] for one in ids]
        return Standings(results=[StandingResult(found=one is not None, standing=one) for one in found])

    @router.get("/statistics", operation_id="get_statistics", responses=errors)
    def statistics(
        caller: Counter,
        area: Annotated[
            str | None, Query(max_length=64, pattern=r"^[^\x00]+$", description="Only this area, with all below it.")
        ] = None,
    ) -> Statistics:
        """Return how many people of your areas are in each state today, by the area they live in."""
        today = office.today()
        with office.database.begin() as connection:
            within = visible_codes(connection, caller.partner)
            if area is not None:
                below = codes_below(connection, area)
                within = below if within is None else sorted(set(below) & set(within))
            found = counts(connection, within=within, today=today)
        areas: dict[str, dict[CertificationState, int]] = {}
        total: dict[CertificationState, int] = {}
        for one in found:
            areas.setdefault(one.area, {})[one.state] = one.people
            total[one.state] = total.get(one.state, 0) + one.people
        return Statistics(
            day=today,
            people=sum(total.values()),
            states=total,
            areas=[AreaCounts(area=code, people=sum(own.values()), states=own) for code, own in areas.items()],
        )

    return router


def _views(office: Office, connection: Connection, subject_ids: list[str]) -> list[StandingView]:
    today = office.today()
    shelf = shelf_of(connection)
    asked = pack_standings(connection, subject_ids)
    return [_view(subject_id, asked.get(subject_id, []), shelf, today) for subject_id in subject_ids]


def _view(subject_id: str, asked: list[PackStanding], shelf: Shelf, today: date) -> StandingView:
    """Return one person's standing; the first obligation is the strictest, as `strictest` orders them."""
    worst = asked[0] if asked else None
    return StandingView(
        subject_id=subject_id,
        state=CertificationState.NEVER_CERTIFIED if worst is None else worst.state(today),
        certified_until=None if worst is None or worst.last_day is None else _asked(worst.due),
        opens=None if worst is None else _asked(worst.opens),
        due=None if worst is None else _asked(worst.due),
        packs=[_pack_view(one, shelf, today) for one in asked],
    )


def _pack_view(one: PackStanding, shelf: Shelf, today: date) -> PackStandingView:
    pack = shelf.find(one.pack_id, one.pack_version)
    state = one.state(today)
    said = state.value if _asked(one.due) else "over"
    days = {"opens": one.opens, "due": one.due, "last": one.last_day}
    return PackStandingView(
        scheme=one.scheme,
        pack_id=one.pack_id,
        pack_version=one.pack_version,
        title=Sentence(zh=one.pack_id, en=one.pack_id)
        if pack is None
        else Sentence(zh=pack.title.zh, en=pack.title.en),
        state=state,
        last_day=one.last_day,
        opens=_asked(one.opens),
        due=_asked(one.due),
        reason=Sentence(**{language: texts[said].format(**days) for language, texts in _reasons().items()}),
    )


def _asked(day: date) -> date | None:
    return None if day == FOREVER else day


@lru_cache(maxsize=1)
def _reasons() -> dict[str, dict[str, str]]:
    return tomllib.loads(_REASONS.read_text(encoding="utf-8"))
