"""Visits at home: asked for, planned, listed for who makes them; and the file of special persons (R4-7, R4-14, R6-7, R6-9).

A visit is done by a certified session on it, which closes the case by itself, or by a report that two persons pass like any other evidence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from sqlalchemy import Connection

from fleet.audit.log import note as note_audit
from fleet.cases import history
from fleet.cases.catalogue import LANGUAGES, catalogue, texts
from fleet.cases.machine import Case, Event, Kind, Step
from fleet.cases.opening import NewCase, Registry, open_case
from fleet.clock import day_of
from fleet.errors import NotFound, Refused
from fleet.store import case_events, special_persons
from fleet.store.case_numbers import number_of
from fleet.store.database import Database
from fleet.store.special_persons import SpecialPerson
from fleet.store.subjects import lock_subjects
from fleet.tables.writing import to_csv


@dataclass(frozen=True, slots=True)
class VisitRequest:
    """Somebody who cannot come asks, or is asked for."""

    subject_id: str
    reason: str
    place: str
    """Where to go, as people say it."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One line of the list that a worker carries."""

    day: date
    worker: str
    area: str
    place: str
    name: str
    phone: str
    reason: str
    """A code of the catalogue."""
    due_on: date
    number: str
    """Of the case."""

    def __repr__(self) -> str:
        return f"Visit({self.day}, {self.worker})"


def request_visit(connection: Connection, office: Registry, request: VisitRequest, *, by: str, now: datetime) -> str:
    """Open a home visit; return its case.

    Raises:
        Refused: if the reason is none, one is open already, or a text cannot be taken.
    """
    _check_reason(request.reason)
    lock_subjects(connection, [request.subject_id])
    rows = case_events.cases_of(connection, request.subject_id)
    is_open = [row for row in rows if row.kind == Kind.HOME_VISIT and row.decided_at is None and row.closed_at is None]
    if is_open:
        number = number_of(connection, is_open[0].case_id) or is_open[0].case_id
        raise Refused(
            f"case {number}: a visit of this person is asked for already", code="asked_already", number=number
        )
    new = NewCase(
        Kind.HOME_VISIT,
        request.subject_id,
        now,
        facts={"reason": request.reason},
        needs=catalogue().needs[Kind.HOME_VISIT],
    )
    return open_case(connection, office, new, by=by, note=request.place, now=now)


def plan(database: Database, office: Registry, case_id: str, *, day: date, worker: str, by: str, now: datetime) -> Case:
    """Say on which day who makes a visit; an earlier plan no longer holds.

    Raises:
        NotFound: if there is no such case, or nobody and no terminal in service of this id.
        NotAllowed: if it is no visit, or over.
        Refused: if the day is past.
    """
    return plan_all(database, office, [case_id], day=day, worker=worker, by=by, now=now)[0]


def plan_all(
    database: Database,
    office: Registry,
    case_ids: Sequence[str],
    *,
    day: date,
    worker: str,
    by: str,
    now: datetime,
) -> list[Case]:
    """Say on which day who makes some visits, all of them or none; errors are those of `plan`."""
    if day < day_of(now, office.zone):
        raise Refused(f"day {day}: is past", code="day_past")
    with database.begin() as connection:
        if not special_persons.is_worker_or_terminal(connection, worker):
            raise NotFound(f"{worker}: no operator and no terminal of this id is in service", code="no_worker")
        wanted = sorted(set(case_ids))
        rows = [case_events.find(connection, case_id) for case_id in wanted]
        lock_subjects(connection, [row.subject_id for row in rows if row is not None and row.subject_id is not None])
        planned = []
        for case_id in wanted:
            case = history.locked(connection, case_id)
            event = Event(Step.PLANNED, now, by=history.person(office.cipher, by, case_id), day=day, worker=worker)
            planned.append(history.add(connection, office.cipher, case, event, name=by))
        detail = {"day": day.isoformat(), "worker": worker}
        for case_id in wanted:
            _note(connection, office, "visit.planned", "case", case_id, by, detail, now)
    return planned


def not_met(
    database: Database, office: Registry, case_id: str, *, day: date, note: str, by: str, now: datetime
) -> Case:
    """Write down that somebody went on the planned day and met nobody; another day is to be found.

    Args:
        database: the fleet's.
        office: what cases are worked on with.
        case_id: of the visit.
        day: for which it was planned.
        note: what was found there.
        by: whose word it is.
        now: when.

    Raises:
        NotFound: if there is no such case.
        NotAllowed: if it is no visit, over, or not planned for that day.
        Refused: if the day is still to come, or the note cannot be taken.
    """
    if day > day_of(now, office.zone):
        raise Refused(f"day {day}: is still to come", code="day_ahead")
    with database.begin() as connection:
        case = history.locked(connection, case_id)
        by_hash = history.person(office.cipher, by, case_id)
        event = Event(Step.NOT_MET, now, by=by_hash, day=day, worker=case.planned_for)
        case = history.add(connection, office.cipher, case, event, name=by, note=note)
        _note(connection, office, "visit.not_met", "case", case_id, by, {"day": day.isoformat()}, now)
    return case


def visits_of(
    connection: Connection,
    office: Registry,
    *,
    worker: str,
    day: date,
    areas: Sequence[str] | None = None,
    by: str,
    now: datetime,
) -> list[Visit]:
    """Return the visits of a worker or terminal on a day, in some areas or all, by area; who has the list is written down."""
    found = []
    rows = special_persons.planned_visits(connection, worker=worker, day=day, areas=areas)
    for row in rows:
        case = history.read(connection, row.case_id)
        opened = history.told(connection, office.cipher, row.case_id)[0]
        found.append(
            Visit(
                row.planned_on,
                row.planned_for,
                row.area,
                opened.note or "",
                office.cipher.decrypt(row.name_sealed, subject_id=row.subject_id, field_name="name"),
                ""
                if row.phone_sealed is None
                else office.cipher.decrypt(row.phone_sealed, subject_id=row.subject_id, field_name="phone"),
                case.facts["reason"],
                row.due_on,
                row.number,
            )
        )
    detail = {"day": day.isoformat(), "visits": str(len(found))}
    about = {row.subject_id for row in rows}
    told = _told(connection, office, worker)
    _note(connection, office, "visits.listed", "worker", told, by, detail, now, about=about)
    return sorted(found, key=lambda visit: (visit.area, visit.place, visit.due_on))


def as_csv(visits: list[Visit], language: str) -> bytes:
    """Return a list for a spreadsheet, with headings in a language of ours."""
    said = _texts(language)
    words = said["visits"]
    return to_csv(([words[name] for name in _COLUMNS], [_cells(visit, said["opened_for"]) for visit in visits]))


def as_html(visits: list[Visit], language: str) -> str:
    """Return a list for printing, with a column in which the worker notes what was done."""
    said = _texts(language)
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(
        files("fleet.cases").joinpath("visit_list.html").read_text(encoding="utf-8")
    )
    words = said["visits"]
    return template.render(
        language=language,
        words=words,
        headings=[words[name] for name in _COLUMNS],
        rows=[_cells(visit, said["opened_for"]) for visit in visits],
    )


def mark(
    connection: Connection,
    office: Registry,
    request: VisitRequest,
    *,
    review_on: date,
    by: str,
    now: datetime,
) -> None:
    """Put somebody into the file of special persons, who are visited at home as a rule (R6-9).

    Raises:
        Refused: if the reason is none, or the day of review is not to come.
    """
    _check_reason(request.reason)
    if review_on <= day_of(now, office.zone):
        raise Refused(f"review {review_on}: a day to come expected", code="review_not_ahead")
    place = history.checked_note(request.place)
    sealed = office.cipher.encrypt(place, subject_id=request.subject_id, field_name="visit_place")
    special_persons.mark(connection, SpecialPerson(request.subject_id, request.reason, sealed, review_on, now))
    detail = {"reason": request.reason, "review_on": review_on.isoformat()}
    _note(connection, office, "special_person.marked", "subject", request.subject_id, by, detail, now)


def unmark(connection: Connection, office: Registry, subject_id: str, *, by: str, now: datetime) -> None:
    """Take somebody out of the file.

    Raises:
        NotFound: if they are not in it.
    """
    if not special_persons.unmark(connection, subject_id):
        raise NotFound(f"subject {subject_id}: not in the file of special persons", code="not_special")
    _note(connection, office, "special_person.unmarked", "subject", subject_id, by, {}, now)


def request_round(
    database: Database,
    office: Registry,
    *,
    until: date,
    areas: list[str] | None,
    by: str,
    now: datetime,
    most: int | None = None,
) -> list[str]:
    """Ask for a visit to every special person who is to certify by a day and has none coming; return the cases (R6-9).

    Args:
        database: the fleet's.
        office: what cases are worked on with.
        until: whoever is asked to certify by this day.
        areas: codes of areas; None for all.
        by: who asks.
        now: when.
        most: so many at once, those who are to be looked at again first; None for all.
    """
    with database.begin() as connection:
        people = special_persons.expected_by(connection, until, areas=areas)[:most]
        # All of them before the first audit note.
        lock_subjects(connection, [person.subject_id for person in people])
        # Another round may have asked for some of them meanwhile.
        still = {person.subject_id for person in special_persons.expected_by(connection, until, areas=areas)}
        made = []
        for person in sorted(people, key=lambda each: each.subject_id):
            if person.subject_id not in still:
                continue
            place = (
                "-"
                if person.place_sealed is None
                else office.cipher.decrypt(person.place_sealed, subject_id=person.subject_id, field_name="visit_place")
            )
            request = VisitRequest(person.subject_id, "round", place)
            made.append(request_visit(connection, office, request, by=by, now=now))
    return made


_COLUMNS = ("day", "who", "area", "place", "name", "phone", "reason", "due_on", "number")


def _cells(visit: Visit, reasons: Mapping[str, Any]) -> list[str]:
    return [
        visit.day.isoformat(),
        visit.worker,
        visit.area,
        visit.place,
        visit.name,
        visit.phone,
        str(reasons[visit.reason]),
        visit.due_on.isoformat(),
        visit.number,
    ]


def _texts(language: str) -> Mapping[str, Mapping[str, Any]]:
    if language not in LANGUAGES:
        raise Refused(f"language: one of {', '.join(LANGUAGES)} expected")
    return texts(language)


def _check_reason(reason: str) -> None:
    if reason not in catalogue().visit_reasons:
        raise Refused(f"reason: one of {', '.join(catalogue().visit_reasons)} expected", code="visit_reason")


def _told(connection: Connection, office: Registry, worker: str) -> str:
    """Return how the audit log names a worker: by the id of an operator or a terminal in service; whatever else was typed may be a name."""
    if special_persons.is_worker_or_terminal(connection, worker):
        return worker
    return office.cipher.digest(worker, subject_id="audit", field_name="worker").hex()


def _note(
    connection: Connection,
    office: Registry,
    action: str,
    object_kind: str,
    object_id: str,
    by: str,
    detail: dict[str, str],
    now: datetime,
    about: Collection[str] = (),
) -> None:
    note_audit(
        connection,
        office.cipher,
        actor=by,
        action=action,
        object_kind=object_kind,
        object_id=object_id,
        detail=detail,
        about=about,
        now=now,
    )
