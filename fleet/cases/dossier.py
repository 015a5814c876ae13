"""A case as a reviewer has it before them: what is asked, the decision of the record, what was handed in, what happened, who looked.

What other reviewers said is left out until one's own word is given, or the case is out of review: two persons are two opinions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from fleet.audit.log import note as note_audit
from fleet.cases import history
from fleet.cases.clocks import pack_of_case
from fleet.cases.machine import UNDER_REVIEW, Case, Step
from fleet.cases.opening import Registry
from fleet.cases.standing import Standing, Waits, standing_of, waits_for
from fleet.store import case_files, cases, subjects
from fleet.store.case_numbers import number_of
from fleet.store.cases import StoredCase
from fleet.store.records import chain_of, record_of
from fleet.store.subjects import StoredSubject
from protocol.records import CertificationRecord


@dataclass(frozen=True, slots=True)
class Piece:
    """A picture or scan that belongs to a case."""

    role: str
    is_scan: bool
    is_here: bool
    checks: Sequence[Mapping[str, Any]]
    """What the machine found: name, passed, found, asked."""
    added_at: datetime | None


@dataclass(frozen=True, slots=True)
class Happened:
    """One step of the history."""

    at: datetime
    step: Step
    by: str | None
    """None for what happened by itself."""
    codes: tuple[str, ...]
    """What the step names: a role, a verdict, a reason, a worker, a day."""
    note: str | None
    is_hidden: bool
    """Another reviewer's word, which is not told yet."""


@dataclass(frozen=True, slots=True)
class Look:
    """Who opened a picture."""

    at: datetime
    by: str
    role: str
    why: str


@dataclass(frozen=True, slots=True)
class Dossier:
    """All of it."""

    case: Case
    number: str | None
    """That people say."""
    version: int
    """Number of its events: a form that names another one is about a case that went on meanwhile."""
    waits: Waits
    standing: Standing
    is_taken_up: bool
    review_days: int
    """Of the clock (R6-2)."""
    subject: StoredSubject | None
    record: CertificationRecord | None
    chain: str | None
    others: Sequence[CertificationRecord]
    """Records of the same matter beside that one, in their order: a verdict is about all of them."""
    terminal: StoredCase | None
    """The record of the terminal that took it in."""
    pieces: Sequence[Piece]
    history: Sequence[Happened]
    looks: Sequence[Look]


def dossier(connection: Connection, office: Registry, case_id: str, *, by: str, now: datetime) -> Dossier:
    """Return a case as somebody may see it; that they look is in the audit log, so that this comes last in its transaction.

    Raises:
        NotFound: if there is none of this id.
    """
    case = history.read(connection, case_id)
    me = history.person(office.cipher, by, case_id)
    steps = history.told(connection, office.cipher, case_id)
    record_id = case.first.record_id
    found = Dossier(
        case=case,
        number=number_of(connection, case_id),
        version=len(steps),
        waits=waits_for(case),
        standing=Standing.TOOK_IN if history.is_operator(connection, case_id, by) else standing_of(case, me),
        is_taken_up=me in case.reviewing,
        review_days=pack_of_case(connection, case.subject_id).review_days,
        subject=None if case.subject_id is None else subjects.find_by_id(connection, case.subject_id),
        record=None if record_id is None else record_of(connection, record_id),
        chain=None if record_id is None else chain_of(connection, record_id),
        others=[
            other
            for source in sorted(case.sources, key=lambda each: (each.asked_at, each.record_id or ""))
            if source.record_id not in (None, record_id) and (other := record_of(connection, str(source.record_id)))
        ],
        terminal=(terminal := cases.find_case(connection, case_id)),
        pieces=_pieces(connection, case_id, terminal),
        history=[_happened(step, case, me) for step in steps],
        looks=[
            Look(
                view.viewed_at,
                office.cipher.decrypt(view.reader_sealed, subject_id=case_id, field_name="approver"),
                view.role,
                office.cipher.decrypt(view.reason_sealed, subject_id=case_id, field_name="view_reason"),
            )
            for view in cases.views_of(connection, case_id)
        ],
    )
    note_audit(
        connection,
        office.cipher,
        actor=by,
        action="case.viewed",
        object_kind="case",
        object_id=case_id,
        detail={"state": case.state.value},
        now=now,
    )
    return found


def _pieces(connection: Connection, case_id: str, terminal: StoredCase | None) -> list[Piece]:
    of_terminal = (
        []
        if terminal is None
        else [
            Piece(
                photo.role.value,
                False,
                photo.attachment in terminal.here,
                [check.model_dump(mode="json") for check in photo.checks],
                terminal.event_at,
            )
            for photo in terminal.case.photos
        ]
    )
    of_agency = [
        Piece(file.role, file.media != "image/jpeg", file.deleted_at is None, file.checks, file.added_at)
        for file in case_files.files_of(connection, case_id)
    ]
    # Of several in one role the newest is opened (`fleet.cases.pictures`), and it alone is offered.
    return list({piece.role: piece for piece in (*of_terminal, *of_agency)}.values())


def _happened(told: history.Told, case: Case, me: str) -> Happened:
    event = told.event
    is_said = any(given.by == me for given in case.given)
    is_hidden = event.step is Step.VERDICT and case.state in UNDER_REVIEW and event.by != me and not is_said
    codes = (
        event.role,
        event.verdict and event.verdict.value,
        event.reason,
        event.worker,
        event.day and event.day.isoformat(),
    )
    return Happened(
        event.at,
        event.step,
        told.name,
        () if is_hidden else tuple(code for code in codes if code),
        None if is_hidden else told.note,
        is_hidden,
    )
