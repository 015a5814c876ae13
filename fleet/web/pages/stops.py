"""Stops of benefits: which are proposed or in force, and how one is proposed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from fleet.benefits.events import StopEffect, StopReason
from fleet.errors import NotFound, Refused
from fleet.people.finding import Search, find_people
from fleet.store.areas import area_names
from fleet.store.benefits import schemes_of
from fleet.store.stops import Stage, StopLine, StopsAsked, area_of_benefit, stage_counts, stop_lines
from fleet.store.subjects import find_by_ids
from fleet.web.labels import scheme_word
from fleet.web.lists import LONGEST, Listing, listing
from fleet.web.narrowing import narrowed
from fleet.web.pages.stops_forms import LOOK, PREPARE, TYPED, address_of, guard_of, month_in
from fleet.web.saying import said
from fleet.web.visits import Visit, needs, not_found, sends

router = APIRouter(include_in_schema=False)
_BY_HAND = tuple(reason for reason in StopReason if reason is not StopReason.OVERDUE)
"""Reasons for which a person may propose a stop; that nobody came only packs say."""


@router.get("/stops")
def stops(
    visit: Annotated[Visit, needs(LOOK)],
    stage: str = "",
    reason: str = "",
    area: str = "",
    after: str = "",
    before: str = "",
) -> HTMLResponse:
    """Show the benefits with a stop in the visitor's areas, those that wait longest first."""
    asked_stage = Stage(stage) if stage in set(Stage) else None
    asked_reason = reason if reason in set(StopReason) else ""
    with visit.begin() as connection:
        within = narrowed(connection, area, visit.codes(connection, LOOK))
        asked = StopsAsked(within, asked_stage, asked_reason)
        shown = listing(
            "/stops",
            {"stage": asked_stage or "", "reason": asked_reason, "area": area[:LONGEST]},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: stop_lines(connection, asked, after=behind, before=ahead, limit=limit),
            key=lambda line: line.place,
        )
        found = find_by_ids(connection, {line.subject_id for line in shown.rows})
        names = {each.subject_id: visit.opened(each.name_sealed, of=each.subject_id) for each in found}
        areas = area_names(connection, {line.area for line in shown.rows})
        if names:
            visit.note(
                connection, "subjects.listed", "subjects", "stops", about=names, people=len(names), **shown.filters
            )
    return visit.page(
        "stops/list.html",
        areas=areas,
        shown=shown,
        names=names,
        schemes={line.scheme: scheme_word(line.scheme, visit.texts) for line in shown.rows},
        counts=None,
        stages=list(Stage),
        reasons=list(StopReason),
    )


@router.get("/stops/stages")
def stages(visit: Annotated[Visit, needs(LOOK)], stage: str = "", reason: str = "", area: str = "") -> HTMLResponse:
    """Show how many benefits are at each stage: counted beside the list, which does not wait for it."""
    kept = {
        "stage": stage if stage in set(Stage) else "",
        "reason": reason if reason in set(StopReason) else "",
        "area": area[:LONGEST],
    }
    with visit.begin() as connection:
        counts = stage_counts(connection, narrowed(connection, area, visit.codes(connection, LOOK)))
    shown: Listing[StopLine] = Listing((), "/stops", {name: value for name, value in kept.items() if value}, None, None)
    return visit.part("stops/stages.html", shown=shown, counts=counts, stages=list(Stage))


@router.get("/stops/new")
def new(visit: Annotated[Visit, needs(PREPARE)], subject_id: str = "", scheme: str = "") -> HTMLResponse:
    """Show the form by which a stop is proposed for a reason that no pack and no confirmed report gives (R7-7, R7-17)."""
    return _new_page(visit, {"subject_id": subject_id.strip(), "scheme": scheme})


@router.post("/stops/find")
def find(visit: Annotated[Visit, sends(PREPARE)]) -> Response:
    """Lead whoever knows a person's number to the form; a number stands in no address."""
    typed = visit.sent.text("typed")
    with visit.begin() as connection:
        found = find_people(
            connection, visit.keys, Search(typed=typed), tops=visit.tops(PREPARE), today=visit.today
        ).people
        is_one = bool(typed) and len(found) == 1 and bool(schemes_of(connection, found[0].line.subject_id))
    if not is_one:
        problem = visit.texts["stops"]["refused"]["nobody_found"]
        return _new_page(visit, {"typed": typed}, problems=[problem], status=422)
    return RedirectResponse(f"/stops/new?{urlencode({'subject_id': found[0].line.subject_id})}", status_code=303)


@router.post("/stops/new")
def propose(visit: Annotated[Visit, sends(PREPARE)]) -> Response:
    """Propose a stop by hand."""
    subject_id, scheme = visit.sent.text("subject_id"), visit.sent.text("scheme")
    try:
        _propose(visit, subject_id, scheme)
    except (Refused, NotFound) as error:
        status = 422 if error.code in TYPED else 409
        return _new_page(visit, visit.sent.fields, problems=[said(visit.texts["stops"], error)], status=status)
    return visit.done(address_of(subject_id, scheme), "stop_proposed")


def _propose(visit: Visit, subject_id: str, scheme: str) -> None:
    sent = visit.sent
    month, reason, effect = (
        month_in(sent.text("from_month")),
        sent.choice("because", _BY_HAND),
        sent.choice("effect", StopEffect),
    )
    if month is None:
        raise Refused("form not whole", code="choice_missing")
    with visit.begin() as connection:
        if area_of_benefit(connection, subject_id, scheme, visit.codes(connection, PREPARE)) is None:
            raise NotFound("no such benefit", code="benefit_unknown")
        guard_of(visit, connection).propose(
            subject_id,
            scheme,
            reason=reason,
            effect=effect,
            from_month=month,
            by=visit.visitor.name,
            why=sent.text("reason"),
        )


def _new_page(
    visit: Visit, typed: Mapping[str, str], *, problems: list[str] | None = None, status: int = 200
) -> HTMLResponse:
    schemes: list[str] = []
    subject_id = typed.get("subject_id", "").strip()
    with visit.begin() as connection:
        within = visit.codes(connection, PREPARE)
        if subject_id:
            schemes = [
                scheme
                for scheme in schemes_of(connection, subject_id)
                if area_of_benefit(connection, subject_id, scheme, within) is not None
            ]
            if not schemes and not problems:
                raise not_found()
        found = find_by_ids(connection, [subject_id]) if schemes else []
        name = "".join(visit.opened(each.name_sealed, of=each.subject_id) for each in found)
        if found:
            visit.note(connection, "subject.form_viewed", "subject", subject_id, entries=0)
    return visit.page(
        "stops/new.html",
        status=status,
        typed=typed,
        schemes=[(each, scheme_word(each, visit.texts)) for each in schemes],
        name=name,
        problems=problems or [],
        reasons=_BY_HAND,
        effects=list(StopEffect),
    )
