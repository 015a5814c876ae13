"""How a person is reached: calls and visits noted, and area, units and ways changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from fleet.accounts.roles import Permission
from fleet.errors import Refused
from fleet.intake.details import change_details
from fleet.reminders.ladder import prove_steps
from fleet.reminders.results import OUTCOMES, take_result
from fleet.reminders.ways import change_ways
from fleet.store.areas import chain_above
from fleet.store.contacts import CHANNELS, contacts_of
from fleet.store.people_filters import is_below
from fleet.store.person import open_steps
from fleet.store.subjects import benefits_of, find_by_id
from fleet.web.pages.people import area_choice, typed_area
from fleet.web.pages.people_forms import Asked, PersonForm
from fleet.web.visits import Visit, needs, not_found, sends

router = APIRouter(include_in_schema=False)
CHANGE = Permission.PEOPLE_CHANGE
TOLD_BY = ("person", "family", "unit", "village", "correction")
"""Whose word a change is; codes, which stand in the audit log."""


def _fill_attempt(asked: Asked) -> dict[str, Any]:
    visit, texts = asked.visit, asked.visit.texts["people"]
    steps = [
        (
            each.reminder_id,
            texts["open_step"].format(
                step=texts["steps"][each.step],
                kind=texts["reminder_kinds"][each.kind],
                day=visit.console.today(each.planned_at),
            ),
        )
        for each in open_steps(asked.connection, asked.subject_id)
    ]
    return {"steps": steps, "outcomes": [(each, texts["came"][each]) for each in OUTCOMES], "today": visit.today}


def _note_attempt(asked: Asked) -> str:
    visit, sent = asked.visit, asked.visit.sent
    outcome = sent.choice("outcome", OUTCOMES)
    if not sent.text("step"):
        raise Refused("form not whole", code="choice_missing")
    take_result(
        asked.connection,
        visit.keys,
        asked.subject_id,
        sent.text("step"),
        outcome,
        day=sent.day("day"),
        worker=sent.text("worker"),
        by=visit.visitor.name,
        zone=visit.zone,
        now=visit.now,
    )
    return "person_attempt"


ATTEMPT = PersonForm(CHANGE, "people/attempt.html", _fill_attempt, _note_attempt)


@router.get("/people/{subject_id}/attempt")
def attempt_form(visit: Annotated[Visit, needs(CHANGE)], subject_id: str) -> HTMLResponse:
    """Show the form for what came of a call or a visit."""
    return ATTEMPT.show(visit, subject_id)


@router.post("/people/{subject_id}/attempt")
def attempt(visit: Annotated[Visit, sends(CHANGE)], subject_id: str) -> Response:
    """Note what came of a call or a visit, which then proves a step of a proposed stop as well."""
    answer = ATTEMPT.receive(visit, subject_id)
    if answer.status_code == 303:
        prove_steps(visit.console.database, visit.cipher, now=visit.now, zone=visit.zone)
    return answer


def _fill_details(asked: Asked) -> dict[str, Any]:
    visit, connection, subject_id = asked.visit, asked.connection, asked.subject_id
    subject = find_by_id(connection, subject_id)
    if subject is None:
        raise not_found()
    area = visit.sent.fields.get("area", subject.area)
    return {
        "choice": area_choice(visit, connection, area, typed_area(visit.sent), permission=CHANGE),
        "home": chain_above(connection, subject.area),
        "benefits": benefits_of(connection, [subject_id]).get(subject_id, {}),
        "ways": contacts_of(connection, [subject_id]).get(subject_id, {}),
        "channels": CHANNELS,
        "told_by": [(each, visit.texts["people"]["told_by"][each]) for each in TOLD_BY],
    }


def _change(asked: Asked) -> str:
    visit, sent = asked.visit, asked.visit.sent
    common: dict[str, Any] = {"told_by": sent.choice("told_by", TOLD_BY), "by": visit.visitor.name, "now": visit.now}
    if sent.text("what") == "ways":
        is_changed = change_ways(
            asked.connection,
            visit.keys,
            asked.subject_id,
            addresses={channel: sent.text(f"way_{channel}") for channel in CHANNELS},
            opted_out=frozenset(channel for channel in CHANNELS if sent.text(f"out_{channel}")),
            **common,
        )
    else:
        is_changed = _change_area_or_units(asked, common)
    if not is_changed:
        raise Refused("nothing is another than before", code="nothing_changed")
    return "person_changed"


def _change_area_or_units(asked: Asked, common: Mapping[str, Any]) -> bool:
    """Change the area, or the units; whichever form was sent."""
    visit, connection, sent, units = asked.visit, asked.connection, asked.visit.sent, {}
    subject = find_by_id(connection, asked.subject_id)
    if subject is None:
        raise not_found()
    area = subject.area
    if sent.text("what") == "area":
        area = sent.text("area")
        if area != subject.area and not is_below(connection, area, visit.tops(CHANGE)):
            raise Refused("area: none of this code", code="no_area")
    else:
        schemes = benefits_of(connection, [asked.subject_id]).get(asked.subject_id, {})
        units = {scheme: sent.text(f"unit_{scheme}") for scheme in schemes if f"unit_{scheme}" in sent.fields}
    return change_details(connection, visit.keys, asked.subject_id, area=area, units=units, zone=visit.zone, **common)


DETAILS = PersonForm(CHANGE, "people/details.html", _fill_details, _change)


@router.get("/people/{subject_id}/details")
def details_form(visit: Annotated[Visit, needs(CHANGE)], subject_id: str) -> HTMLResponse:
    """Show the form for area, units and ways to reach somebody."""
    return DETAILS.show(visit, subject_id)


@router.post("/people/{subject_id}/details")
def details(visit: Annotated[Visit, sends(CHANGE)], subject_id: str) -> Response:
    """Change where somebody lives, the units of their benefits, or how they can be told things."""
    if visit.sent.text("what") == "area" and not visit.sent.text("go"):
        # A step on the way to an area; nothing is to be done yet.
        return DETAILS.show(visit, subject_id)
    return DETAILS.receive(visit, subject_id)
