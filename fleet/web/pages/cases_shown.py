"""What the page of a case shows, put together: who asks what, what the machine found, what happened so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.cases import history
from fleet.cases.catalogue import catalogue, texts
from fleet.cases.clocks import pack_of_case
from fleet.cases.history import Told
from fleet.cases.machine import Case, Kind, Standing, Verdict, standing_of
from fleet.cases.queue import next_for
from fleet.cases.views import is_hidden_from
from fleet.store import case_files, cases, subjects
from fleet.store.areas import area_names
from fleet.store.case_queue import Asked, is_within, record_facts
from fleet.store.cases import StoredCase
from fleet.store.records import record_of
from fleet.web.visits import Visit, not_found
from protocol.evidence import EvidenceResult
from protocol.explain import explain
from protocol.records import CertificationRecord


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a case is about."""

    subject_id: str
    name: str
    area: str


@dataclass(frozen=True, slots=True)
class Replay:
    """The record of a session, and what the fleet found of it."""

    record: CertificationRecord
    evidence: list[tuple[EvidenceResult, str]]
    """Each with its sentence."""
    chain: str
    flags: list[str]
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture or document."""

    role: str
    is_here: bool
    is_scan: bool
    checks: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as the visitor may know it."""

    told: Told
    is_hidden: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at a picture."""

    role: str
    reader: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Shown:
    """All of it."""

    case: Case
    version: int
    """How many events the case has."""
    due_on: date
    review_days: int
    person: Person | None
    terminal: StoredCase | None
    replays: list[Replay]
    pictures: list[Picture]
    entries: list[Entry]
    ledger: list[Seen]
    standing: Standing
    is_reviewer: bool
    """Whether the visitor is a reviewer of the person's areas."""
    choices: list[tuple[str, list[tuple[str, str]]]]
    """For each verdict the reasons that fit, with their sentences."""
    next_id: str | None

    @property
    def may_open_pictures(self) -> bool:
        """Whether the visitor may open the sealed pictures."""
        return self.is_reviewer and self.standing is not Standing.TOOK_IN

    @property
    def may_decide(self) -> bool:
        """Whether the visitor may say their word now."""
        return self.is_reviewer and self.standing is Standing.MAY_DECIDE


def shown_of(visit: Visit, connection: Connection, case_id: str) -> Shown:
    """Return what the visitor is shown of a case.

    Raises:
        HTTPException: if there is no such case, or it is not of the visitor's areas.
    """
    demand_within(visit, connection, case_id, Permission.CASES)
    case = history.read(connection, case_id)
    me = history.person(visit.cipher, visit.visitor.name, case_id)
    told = history.told(connection, visit.cipher, case_id)
    terminal = cases.find_case(connection, case_id)
    is_reviewer = visit.may(Permission.CASES_REVIEW) and is_within(
        connection, case_id, visit.codes(connection, Permission.CASES_REVIEW)
    )
    return Shown(
        case=case,
        version=len(told),
        due_on=case.first.due_on,
        review_days=pack_of_case(connection, case.subject_id).review_days,
        person=_person(visit, connection, case.subject_id),
        terminal=terminal,
        replays=_replays(visit, connection, case),
        pictures=_pictures(connection, case_id, terminal),
        entries=[Entry(each, is_hidden_from(case, each.event, me)) for each in told],
        ledger=_ledger(visit, connection, case_id),
        standing=standing_of(case, me),
        is_reviewer=is_reviewer,
        choices=reasons_for(case.kind, visit.language),
        next_id=_next(visit, connection, case) if is_reviewer else None,
    )


def demand_within(visit: Visit, connection: Connection, case_id: str, permission: Permission) -> None:
    """Answer that there is no such case unless it is of areas where the visitor has a permission."""
    if not is_within(connection, case_id, visit.codes(connection, permission)):
        raise not_found()


def reasons_for(kind: Kind, language: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return for each verdict that a kind of case can have the codes of its reasons with the sentences that the person reads."""
    sentences = texts(language)["reasons"]
    found = [
        (
            verdict.value,
            [
                (reason.code, str(sentences[reason.code]))
                for reason in catalogue().reasons.values()
                if reason.verdict is verdict and kind in reason.kinds
            ],
        )
        for verdict in Verdict
    ]
    return [(verdict, reasons) for verdict, reasons in found if reasons]


def _next(visit: Visit, connection: Connection, case: Case) -> str | None:
    asked = Asked(visit.codes(connection, Permission.CASES_REVIEW))
    place = (case.first.due_on, case.case_id)
    found = next_for(connection, visit.cipher, asked, visit.visitor.name, behind=place)
    return None if found == case.case_id else found


def _person(visit: Visit, connection: Connection, subject_id: str | None) -> Person | None:
    found = None if subject_id is None else subjects.find_by_id(connection, subject_id)
    if found is None:
        return None
    area = area_names(connection, [found.area]).get(found.area, found.area)
    return Person(found.subject_id, visit.opened(found.name_sealed, of=found.subject_id), area)


def _replays(visit: Visit, connection: Connection, case: Case) -> list[Replay]:
    found = []
    for source in case.sources:
        record = None if source.record_id is None else record_of(connection, source.record_id)
        facts = None if source.record_id is None else record_facts(connection, source.record_id)
        if record is not None and facts is not None:
            explained = [(result, explain(result, visit.language)) for result in record.evidence]
            found.append(Replay(record, explained, *facts))
    return found


def _pictures(connection: Connection, case_id: str, terminal: StoredCase | None) -> list[Picture]:
    found: dict[str, Picture] = {}
    if terminal is not None:
        for photo in terminal.case.photos:
            checks = [check.model_dump() for check in photo.checks]
            is_here = photo.attachment in terminal.here
            found[photo.role.value] = Picture(photo.role.value, is_here, is_scan=False, checks=checks)
    # Of several in one role the newest is the one that is opened.
    for file in case_files.files_of(connection, case_id):
        found[file.role] = Picture(
            file.role, file.deleted_at is None, is_scan=file.media != "image/jpeg", checks=file.checks
        )
    return list(found.values())


def _ledger(visit: Visit, connection: Connection, case_id: str) -> list[Seen]:
    return [
        Seen(
            view.role,
            visit.opened(view.reader_sealed, of=case_id, field_name="approver"),
            visit.opened(view.reason_sealed, of=case_id, field_name="view_reason"),
            view.viewed_at,
        )
        for view in cases.views_of(connection, case_id)
    ]
