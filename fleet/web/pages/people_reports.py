"""What is said about a person: reports taken in, ended and taken back, and a pass against a report decided."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.benefits.i_am_here import resolve
from fleet.benefits.reporting import Report, ReportDesk, Source
from fleet.errors import NotFound, Refused
from fleet.exchange.resolving import close_with_case
from fleet.store.i_am_here import HereCase, Resolution, open_case_of
from fleet.store.life_events import StoredLifeEvent, life_events_of
from fleet.store.person import record_of
from fleet.web.pages.people_forms import Asked, PersonForm
from fleet.web.visits import Visit, needs, not_found, sends
from protocol.rules.life import ENDING, SUSPENDING, LifeEventKind

router = APIRouter(include_in_schema=False)
CHANGE = Permission.PEOPLE_CHANGE
DECIDE = Permission.CONTRADICTIONS_DECIDE
KINDS = tuple(kind for kind in LifeEventKind if kind in ENDING | SUSPENDING)
SOURCES: tuple[Source, ...] = ("family", "unit", "village")
RESOLUTIONS: tuple[Resolution, ...] = ("alive", "report_stands")


def _fill_report(asked: Asked) -> dict[str, Any]:
    texts = asked.visit.texts["people"]
    return {
        "kinds": [(each.value, texts["life"][each]) for each in KINDS],
        "sources": [(each, texts["sources"][each]) for each in SOURCES],
        "reports": _reports(asked.connection, asked.subject_id),
        "today": asked.visit.today,
    }


def _take_report(asked: Asked) -> str:
    sent = asked.visit.sent
    wanted = Report(
        asked.subject_id,
        sent.choice("kind", KINDS),
        sent.day("since"),
        sent.day("until") if sent.text("until") else None,
        sent.choice("source", SOURCES),
        sent.day("reported_on"),
        sent.text("paper") or None,
    )
    taken = _desk(asked).take(wanted, by=asked.visit.visitor.name, is_sure="sure" in sent.fields)
    if taken.event_id is None:
        raise Refused("this report is here already", code="here_already")
    if taken.opened_cases:
        return "person_reported_here"
    is_late = taken.clocks.family.late_days or (taken.clocks.unit is not None and taken.clocks.unit.late_days)
    return "person_reported_late" if is_late or taken.is_claim_late else "person_reported"


REPORT = PersonForm(CHANGE, "people/report.html", _fill_report, _take_report)


@router.get("/people/{subject_id}/report")
def report_form(visit: Annotated[Visit, needs(CHANGE)], subject_id: str) -> HTMLResponse:
    """Show the form for a report."""
    return REPORT.show(visit, subject_id)


@router.post("/people/{subject_id}/report")
def report(visit: Annotated[Visit, sends(CHANGE)], subject_id: str) -> Response:
    """Take in a report of a family, a unit or a village."""
    return REPORT.receive(visit, subject_id)


def _fill_standing(asked: Asked) -> dict[str, Any]:
    known = life_events_of(asked.connection, [asked.subject_id], with_withdrawn=True).get(asked.subject_id, [])
    stored = next((each for each in known if each.event_id == asked.event_id), None)
    if stored is None:
        raise not_found()
    return {
        "stored": stored,
        "can_be_over": stored.event.kind in SUSPENDING and stored.withdrawn_at is None,
        "today": asked.visit.today,
        "here": open_case_of(asked.connection, asked.subject_id),
    }


def _change_report(asked: Asked) -> str:
    if not any(each.event_id == asked.event_id for each in _reports(asked.connection, asked.subject_id)):
        raise NotFound("report: none of this id stands", code="no_report")
    sent, desk, by = asked.visit.sent, _desk(asked), asked.visit.visitor.name
    if sent.choice("what", ("withdraw", "over")) == "withdraw":
        is_done = desk.withdraw(asked.event_id, by=by, why=sent.text("why"))
        return "person_report_withdrawn" if is_done else "person_first_word"
    new_id = desk.end(asked.event_id, on=sent.day("on"), by=by, why=sent.text("why"))
    return "person_first_word" if new_id is None else "person_report_over"


STANDING = PersonForm(CHANGE, "people/standing.html", _fill_standing, _change_report)


@router.get("/people/{subject_id}/reports/{event_id}")
def standing_report(visit: Annotated[Visit, needs(CHANGE)], subject_id: str, event_id: str) -> HTMLResponse:
    """Show a report that stands, with what can become of it."""
    return STANDING.show(visit, subject_id, event_id)


@router.post("/people/{subject_id}/reports/{event_id}")
def change_report(visit: Annotated[Visit, sends(CHANGE)], subject_id: str, event_id: str) -> Response:
    """Take a report back, or say that it is over; of a confirmed one two persons must say the same."""
    return STANDING.receive(visit, subject_id, event_id)


def _fill_here(asked: Asked) -> dict[str, Any]:
    case = open_case_of(asked.connection, asked.subject_id)
    if case is None and not asked.visit.sent.fields:
        raise not_found()
    named = set() if case is None else set(case.event_ids)
    return {
        "case": case,
        # A pass may be an act of another kind, which has no session to look at.
        "is_session": case is not None and record_of(asked.connection, asked.subject_id, case.pass_id) is not None,
        "reports": [each for each in _reports(asked.connection, asked.subject_id) if each.event_id in named],
    }


def _decide_here(asked: Asked) -> str:
    visit = asked.visit
    resolution = visit.sent.choice("resolution", RESOLUTIONS)
    if open_case_of(asked.connection, asked.subject_id) is None:
        raise NotFound("no pass waits for a decision", code="no_case")

    def also(connection: Connection, case: HereCase, _: Resolution) -> None:
        # Nobody is asked the same a second time among the contradictions.
        close_with_case(connection, case, now=visit.now)

    done = resolve(
        asked.connection,
        visit.cipher,
        asked.subject_id,
        resolution,
        by=visit.visitor.name,
        why=visit.sent.text("why"),
        judging=visit.console.judging(visit.now),
        now=visit.now,
        zone=visit.zone,
        also=also,
    )
    return "person_here_first" if done.approvals_missing else f"person_here_{resolution}"


HERE = PersonForm(DECIDE, "people/here.html", _fill_here, _decide_here)


@router.get("/people/{subject_id}/here")
def here_form(visit: Annotated[Visit, needs(DECIDE)], subject_id: str) -> HTMLResponse:
    """Show a pass against a report, to be decided."""
    return HERE.show(visit, subject_id)


@router.post("/people/{subject_id}/here")
def here(visit: Annotated[Visit, sends(DECIDE)], subject_id: str) -> Response:
    """Say which of the two is right; it takes effect once two persons have said the same."""
    return HERE.receive(visit, subject_id)


def _reports(connection: Connection, subject_id: str) -> list[StoredLifeEvent]:
    return life_events_of(connection, [subject_id]).get(subject_id, [])


def _desk(asked: Asked) -> ReportDesk:
    visit = asked.visit
    return ReportDesk(
        asked.connection, visit.cipher, judging=visit.console.judging(visit.now), now=visit.now, zone=visit.zone
    )
