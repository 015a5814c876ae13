"""What is done about a person: reports taken in, ended and taken back, attempts noted, details changed, a pass against a report decided.

Every form carries a version of the person (`fleet.store.person.version_of`) and when it was shown; where somebody changed something since,
it comes back with all that was typed and with what happened meanwhile. So a form that is sent twice does its work once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.audit.log import Question, newest, open_actor
from fleet.benefits.i_am_here import resolve
from fleet.benefits.reporting import Report, ReportDesk, Source
from fleet.errors import NotFound, Refused
from fleet.exchange.resolving import close_with_case
from fleet.intake.details import change_details
from fleet.people.person import identity_of
from fleet.reminders.ladder import prove_steps
from fleet.reminders.results import OUTCOMES, take_result
from fleet.reminders.ways import change_ways
from fleet.store.areas import chain_above
from fleet.store.contacts import CHANNELS, contacts_of
from fleet.store.i_am_here import HereCase, Resolution, open_case_of
from fleet.store.life_events import StoredLifeEvent, life_events_of
from fleet.store.people import may_see
from fleet.store.people_filters import is_below
from fleet.store.person import lock_changes, open_steps, record_of, version_of
from fleet.store.subjects import benefits_of, find_by_id
from fleet.web.pages.people import area_choice, typed_area
from fleet.web.pages.people_words import scheme_word
from fleet.web.saying import said
from fleet.web.visits import Visit, needs, not_found, sends
from protocol.rules.life import ENDING, SUSPENDING, LifeEventKind

router = APIRouter(include_in_schema=False)
CHANGE = Permission.PEOPLE_CHANGE
DECIDE = Permission.CONTRADICTIONS_DECIDE
KINDS = tuple(kind for kind in LifeEventKind if kind in ENDING | SUSPENDING)
SOURCES: tuple[Source, ...] = ("family", "unit", "village")
RESOLUTIONS: tuple[Resolution, ...] = ("alive", "report_stands")
TOLD_BY = ("person", "family", "unit", "village", "correction")
"""Whose word a change is; codes, which stand in the audit log."""
_MEANWHILE = 20
_LOOKS = frozenset({"subject.viewed", "subject.history_viewed", "subject.form_viewed", "subject.record_viewed"})
_CHANGED = frozenset({"changed", "same_person", "two_have_approved", "no_report", "no_step", "no_case", "here_already"})
"""What is refused because of what happened meanwhile, not for what was typed."""
Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """Something that was done about the person since a form was shown."""

    at: datetime
    who: str
    action: str


@router.get("/people/{subject_id}/report")
def report_form(visit: Annotated[Visit, needs(CHANGE)], subject_id: str) -> HTMLResponse:
    """Show the form for a report."""
    return _report_page(visit, subject_id, {})


@router.post("/people/{subject_id}/report")
def report(visit: Annotated[Visit, sends(CHANGE)], subject_id: str) -> Response:
    """Take in a report of a family, a unit or a village."""
    sent = visit.sent

    def work(connection: Connection) -> str:
        kind = sent.text("kind")
        source = next((each for each in SOURCES if each == sent.text("source")), None)
        if kind not in set(KINDS) or source is None:
            raise Refused("form not whole", code="choice_missing")
        since, reported_on = _day(sent.text("since")), _day(sent.text("reported_on"))
        until = _day(sent.text("until")) if sent.text("until") else None
        wanted = Report(
            subject_id,
            LifeEventKind(kind),
            since,
            until,
            source,
            reported_on,
            sent.text("paper") or None,
        )
        taken = _desk(visit, connection).take(wanted, by=visit.visitor.name)
        if taken.event_id is None:
            raise Refused("this report is here already", code="here_already")
        if taken.opened_cases:
            return "person_reported_here"
        is_late = taken.clocks.family.late_days or (taken.clocks.unit is not None and taken.clocks.unit.late_days)
        return "person_reported_late" if is_late or taken.is_claim_late else "person_reported"

    return _act(visit, subject_id, CHANGE, work, lambda **more: _report_page(visit, subject_id, sent.fields, **more))


@router.get("/people/{subject_id}/reports/{event_id}")
def standing_report(visit: Annotated[Visit, needs(CHANGE)], subject_id: str, event_id: str) -> HTMLResponse:
    """Show a report that stands, with what can become of it."""
    return _standing_page(visit, subject_id, event_id, {})


@router.post("/people/{subject_id}/reports/{event_id}")
def change_report(visit: Annotated[Visit, sends(CHANGE)], subject_id: str, event_id: str) -> Response:
    """Take a report back, or say that it is over; of a confirmed one two persons must say the same."""
    sent = visit.sent

    def work(connection: Connection) -> str:
        if not any(each.event_id == event_id for each in _reports(connection, subject_id)):
            raise NotFound("report: none of this id stands", code="no_report")
        desk, what, why = _desk(visit, connection), sent.text("what"), sent.text("why")
        if what == "withdraw":
            is_done = desk.withdraw(event_id, by=visit.visitor.name, why=why)
            return "person_report_withdrawn" if is_done else "person_first_word"
        if what == "over":
            new_id = desk.end(event_id, on=_day(sent.text("on")), by=visit.visitor.name, why=why)
            return "person_first_word" if new_id is None else "person_report_over"
        raise Refused("form not whole", code="choice_missing")

    return _act(
        visit, subject_id, CHANGE, work, lambda **more: _standing_page(visit, subject_id, event_id, sent.fields, **more)
    )


@router.get("/people/{subject_id}/attempt")
def attempt_form(visit: Annotated[Visit, needs(CHANGE)], subject_id: str) -> HTMLResponse:
    """Show the form for what came of a call or a visit."""
    return _attempt_page(visit, subject_id, {})


@router.post("/people/{subject_id}/attempt")
def attempt(visit: Annotated[Visit, sends(CHANGE)], subject_id: str) -> Response:
    """Note what came of a call or a visit, which then proves a step of a proposed stop as well."""
    sent = visit.sent

    def work(connection: Connection) -> str:
        outcome = next((each for each in OUTCOMES if each == sent.text("outcome")), None)
        if outcome is None or not sent.text("step"):
            raise Refused("form not whole", code="choice_missing")
        take_result(
            connection,
            visit.keys,
            subject_id,
            sent.text("step"),
            outcome,
            day=_day(sent.text("day")),
            worker=sent.text("worker"),
            by=visit.visitor.name,
            zone=visit.zone,
            now=visit.now,
        )
        return "person_attempt"

    answer = _act(visit, subject_id, CHANGE, work, lambda **more: _attempt_page(visit, subject_id, sent.fields, **more))
    if answer.status_code == 303:
        prove_steps(visit.console.database, visit.cipher, now=visit.now, zone=visit.zone)
    return answer


@router.get("/people/{subject_id}/details")
def details_form(visit: Annotated[Visit, needs(CHANGE)], subject_id: str) -> HTMLResponse:
    """Show the form for area, units and ways to reach somebody."""
    return _details_page(visit, subject_id, {})


@router.post("/people/{subject_id}/details")
def details(visit: Annotated[Visit, sends(CHANGE)], subject_id: str) -> Response:
    """Change where somebody lives, the units of their benefits, or how they can be told things."""
    sent = visit.sent
    what = sent.text("what")
    if what == "area" and not sent.text("go"):
        # A step on the way to an area; nothing is to be done yet.
        return _details_page(visit, subject_id, sent.fields)

    def work(connection: Connection) -> str:
        told_by = sent.text("told_by")
        if told_by not in TOLD_BY:
            raise Refused("form not whole", code="choice_missing")
        common: dict[str, Any] = {"told_by": told_by, "by": visit.visitor.name, "now": visit.now}
        if what == "ways":
            addresses = {channel: sent.text(f"way_{channel}") for channel in CHANNELS}
            opted_out = frozenset(channel for channel in CHANNELS if sent.text(f"out_{channel}"))
            is_changed = change_ways(
                connection, visit.keys, subject_id, addresses=addresses, opted_out=opted_out, **common
            )
        else:
            is_changed = _change_details(visit, connection, subject_id, common)
        if not is_changed:
            raise Refused("nothing is another than before", code="nothing_changed")
        return "person_changed"

    return _act(visit, subject_id, CHANGE, work, lambda **more: _details_page(visit, subject_id, sent.fields, **more))


def _change_details(visit: Visit, connection: Connection, subject_id: str, common: Mapping[str, Any]) -> bool:
    """Change the area, or the units; whichever form was sent."""
    sent, units = visit.sent, {}
    subject = find_by_id(connection, subject_id)
    if subject is None:
        raise not_found()
    area = subject.area
    if sent.text("what") == "area":
        area = sent.text("area")
        if area != subject.area and not is_below(connection, area, visit.tops(CHANGE)):
            raise Refused("area: none of this code", code="no_area")
    else:
        schemes = benefits_of(connection, [subject_id]).get(subject_id, {})
        units = {scheme: sent.text(f"unit_{scheme}") for scheme in schemes if f"unit_{scheme}" in sent.fields}
    return change_details(connection, visit.keys, subject_id, area=area, units=units, zone=visit.zone, **common)


@router.get("/people/{subject_id}/here")
def here_form(visit: Annotated[Visit, needs(DECIDE)], subject_id: str) -> HTMLResponse:
    """Show a pass against a report, to be decided."""
    return _here_page(visit, subject_id, {})


@router.post("/people/{subject_id}/here")
def here(visit: Annotated[Visit, sends(DECIDE)], subject_id: str) -> Response:
    """Say which of the two is right; it takes effect once two persons have said the same."""
    sent = visit.sent

    def work(connection: Connection) -> str:
        resolution = next((each for each in RESOLUTIONS if each == sent.text("resolution")), None)
        if resolution is None:
            raise Refused("form not whole", code="choice_missing")
        if open_case_of(connection, subject_id) is None:
            raise NotFound("no pass waits for a decision", code="no_case")
        done = resolve(
            connection,
            visit.cipher,
            subject_id,
            resolution,
            by=visit.visitor.name,
            why=sent.text("why"),
            judging=visit.console.judging(visit.now),
            now=visit.now,
            zone=visit.zone,
            also=lambda connection, case, _: _close(connection, case, visit),
        )
        return "person_here_first" if done.approvals_missing else f"person_here_{resolution}"

    return _act(visit, subject_id, DECIDE, work, lambda **more: _here_page(visit, subject_id, sent.fields, **more))


def _close(connection: Connection, case: HereCase, visit: Visit) -> None:
    """Close what is decided with a case: nobody is asked the same a second time among the contradictions."""
    close_with_case(connection, case, now=visit.now, zone=visit.zone)


def _act(
    visit: Visit,
    subject_id: str,
    permission: Permission,
    work: Callable[[Connection], str],
    again: Callable[..., HTMLResponse],
) -> Response:
    """Do something in one transaction with the check of the version; else show the form again with what is wrong."""
    try:
        with visit.begin() as connection:
            if not may_see(connection, subject_id, visit.tops(permission)):
                raise not_found()
            lock_changes(connection, subject_id)
            _refuse_changed(connection, subject_id, visit.sent.text("version"))
            done = work(connection)
    except (Refused, NotFound) as error:
        is_changed = error.code in _CHANGED
        return again(problems=[said(visit.texts["people"], error)], status=409 if is_changed else 422)
    return visit.done(f"/people/{subject_id}", done)


def _refuse_changed(connection: Connection, subject_id: str, version: str) -> None:
    if version_of(connection, subject_id) != version:
        raise Refused("the person was changed since the form was shown", code="changed")


def _form(
    visit: Visit,
    subject_id: str,
    permission: Permission,
    template: str,
    fields: Fields,
    fill: Callable[[Connection], dict[str, Any]],
    *,
    problems: Sequence[str] = (),
    status: int = 200,
) -> HTMLResponse:
    """Show a form about a person; who looks is written down."""
    try:
        with visit.begin() as connection:
            if not may_see(connection, subject_id, visit.tops(permission)):
                raise not_found()
            filled = fill(connection)
            version = version_of(connection, subject_id)
            meanwhile = _meanwhile(visit, connection, subject_id) if status == 409 else []
            identity = identity_of(
                connection,
                visit.cipher,
                subject_id,
                tops=visit.tops(permission),
                by=visit.visitor.name,
                now=visit.now,
            )
    except NotFound as error:
        raise not_found() from error
    return visit.page(
        template,
        status=status,
        identity=identity,
        subject_id=subject_id,
        version=version,
        seen_at=visit.now.isoformat(),
        problems=problems,
        meanwhile=meanwhile,
        fields=fields,
        scheme_word=scheme_word,
        **filled,
    )


def _meanwhile(visit: Visit, connection: Connection, subject_id: str) -> list[Meanwhile]:
    try:
        since = datetime.fromisoformat(visit.sent.text("seen_at"))
    except ValueError:
        return []
    if since.tzinfo is None:
        return []
    question = Question(object_kind="subject", object_id=subject_id, since=since)
    return [
        Meanwhile(each.entry.at, open_actor(visit.cipher, each), each.entry.action)
        for each in newest(connection, visit.cipher, question, limit=_MEANWHILE)
        if each.entry.action not in _LOOKS
    ]


def _report_page(visit: Visit, subject_id: str, fields: Fields, **more: Any) -> HTMLResponse:
    texts = visit.texts["people"]

    def fill(connection: Connection) -> dict[str, Any]:
        return {
            "kinds": [(each.value, texts["life"][each]) for each in KINDS],
            "sources": [(each, texts["sources"][each]) for each in SOURCES],
            "reports": _reports(connection, subject_id),
            "today": visit.today,
        }

    return _form(visit, subject_id, CHANGE, "people/report.html", fields, fill, **more)


def _standing_page(visit: Visit, subject_id: str, event_id: str, fields: Fields, **more: Any) -> HTMLResponse:
    def fill(connection: Connection) -> dict[str, Any]:
        stored = next(
            (
                each
                for each in life_events_of(connection, [subject_id], with_withdrawn=True).get(subject_id, [])
                if each.event_id == event_id
            ),
            None,
        )
        if stored is None:
            raise not_found()
        return {
            "stored": stored,
            "can_be_over": stored.event.kind in SUSPENDING and stored.withdrawn_at is None,
            "today": visit.today,
            "here": open_case_of(connection, subject_id),
        }

    return _form(visit, subject_id, CHANGE, "people/standing.html", fields, fill, **more)


def _attempt_page(visit: Visit, subject_id: str, fields: Fields, **more: Any) -> HTMLResponse:
    texts = visit.texts["people"]

    def fill(connection: Connection) -> dict[str, Any]:
        steps = [
            (
                each.reminder_id,
                texts["open_step"].format(
                    step=texts["steps"][each.step],
                    kind=texts["reminder_kinds"][each.kind],
                    day=visit.console.today(each.planned_at),
                ),
            )
            for each in open_steps(connection, subject_id)
        ]
        return {
            "steps": steps,
            "outcomes": [(each, texts["came"][each]) for each in OUTCOMES],
            "today": visit.today,
        }

    return _form(visit, subject_id, CHANGE, "people/attempt.html", fields, fill, **more)


def _details_page(visit: Visit, subject_id: str, fields: Fields, **more: Any) -> HTMLResponse:
    texts = visit.texts["people"]

    def fill(connection: Connection) -> dict[str, Any]:
        subject = find_by_id(connection, subject_id)
        if subject is None:
            raise not_found()
        area = fields.get("area", subject.area)
        choice = area_choice(visit, connection, area, typed_area(visit.sent), permission=CHANGE)
        return {
            "choice": choice,
            "home": chain_above(connection, subject.area),
            "benefits": benefits_of(connection, [subject_id]).get(subject_id, {}),
            "ways": contacts_of(connection, [subject_id]).get(subject_id, {}),
            "channels": CHANNELS,
            "told_by": [(each, texts["told_by"][each]) for each in TOLD_BY],
        }

    return _form(visit, subject_id, CHANGE, "people/details.html", fields, fill, **more)


def _here_page(visit: Visit, subject_id: str, fields: Fields, **more: Any) -> HTMLResponse:
    def fill(connection: Connection) -> dict[str, Any]:
        case = open_case_of(connection, subject_id)
        if case is None and not more:
            raise not_found()
        named = set() if case is None else set(case.event_ids)
        return {
            "case": case,
            # A pass may be an act of another kind, which has no session to look at.
            "is_session": case is not None and record_of(connection, subject_id, case.pass_id) is not None,
            "reports": [each for each in _reports(connection, subject_id) if each.event_id in named],
        }

    return _form(visit, subject_id, DECIDE, "people/here.html", fields, fill, **more)


def _reports(connection: Connection, subject_id: str) -> list[StoredLifeEvent]:
    return life_events_of(connection, [subject_id]).get(subject_id, [])


def _desk(visit: Visit, connection: Connection) -> ReportDesk:
    return ReportDesk(
        connection, visit.cipher, judging=visit.console.judging(visit.now), now=visit.now, zone=visit.zone
    )


def _day(written: str) -> date:
    """Return a day that was typed.

    Raises:
        Refused: if it is none.
    """
    try:
        return date.fromisoformat(written)
    except ValueError as error:
        raise Refused("no day", code="day_unusable") from error
