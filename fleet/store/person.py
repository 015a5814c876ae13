"""What one person's page shows beside the standing and the timeline, as SQL; lists are cut at their newest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

from protocol.records import CertificationRecord

MOST_LISTED = 50
"""Rows of one list; older ones stand in the timeline."""


@dataclass(frozen=True, slots=True)
class ReferenceLine:
    """A reference, without its features."""

    reference_id: str
    capture: str
    legal_basis: str
    state: str
    quality: float
    key_domain: str
    captured_at: datetime
    valid_until: date
    withdrawn_at: datetime | None
    model_sha256: str
    """Of the network that made its features."""


@dataclass(frozen=True, slots=True)
class CardLine:
    """A card with a reference on it."""

    card_id: str
    capture: str
    legal_basis: str
    issued_at: datetime
    valid_until: date
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class CaseLine:
    """A case about the person."""

    case_id: str
    number: str | None
    """That people say; None of a pass against a report, and in the transaction that opened it."""
    kind: str
    state: str
    asked_at: datetime
    due_on: date | None
    """None of a pass against a report, which has no clock."""
    decided_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class AttemptLine:
    """One step by which somebody was to be reached."""

    reminder_id: str
    kind: str
    step: str
    state: str
    occasion: date
    planned_at: datetime
    sent_at: datetime | None
    settled_at: datetime | None
    outcome: str | None
    code: str | None
    channels: list[str]
    """Of the messages, in order."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A session, and what the fleet found about it."""

    record: CertificationRecord
    event_at: datetime
    received_at: datetime
    counts: bool
    flags: tuple[str, ...]
    sha256: str
    """Digest of the signed record."""


@dataclass(frozen=True, slots=True)
class OpenStep:
    """A call or a visit of which nobody knows yet what came."""

    reminder_id: str
    kind: str
    step: str
    occasion: date
    planned_at: datetime


@dataclass(frozen=True, slots=True)
class ConsentLine:
    """A consent; before whom it was given stays sealed."""

    consent_id: str
    text_version: str
    language: str
    way: str
    given_at: datetime
    withdrawn_at: datetime | None


def references_of(connection: Connection, subject_id: str) -> list[ReferenceLine]:
    """Return somebody's references, the newest first."""
    return [ReferenceLine(*row) for row in _rows(connection, _REFERENCES, subject_id)]


def cards_of(connection: Connection, subject_id: str) -> list[CardLine]:
    """Return somebody's cards, the newest first."""
    return [CardLine(*row) for row in _rows(connection, _CARDS, subject_id)]


def cases_of(connection: Connection, subject_id: str) -> list[CaseLine]:
    """Return the cases about somebody, those that are not over first, then the newest."""
    return [CaseLine(*row) for row in _rows(connection, _CASES, subject_id)]


def open_cases_of(connection: Connection, subject_id: str) -> list[CaseLine]:
    """Return those cases about somebody that are not over, the newest first."""
    return [each for each in cases_of(connection, subject_id) if each.state not in ("passed", "refused", "closed")]


def attempts_of(connection: Connection, subject_id: str) -> list[AttemptLine]:
    """Return how somebody was to be reached, the newest first."""
    return [AttemptLine(*row) for row in _rows(connection, _ATTEMPTS, subject_id)]


def consents_of(connection: Connection, subject_id: str) -> list[ConsentLine]:
    """Return somebody's consents, the newest first."""
    return [ConsentLine(*row) for row in _rows(connection, _CONSENTS, subject_id)]


def record_of(connection: Connection, subject_id: str, record_id: str) -> StoredRecord | None:
    """Return one session of somebody; None where there is none of this id, or it is somebody else's."""
    if "\0" in record_id:
        return None
    row = connection.execute(
        text(
            "SELECT r.payload, r.event_at, r.received_at, r.pass_at IS NOT NULL AS counts, r.flags, l.sha256 FROM records r"
            " JOIN links l ON l.record_id = r.record_id WHERE r.record_id = :record AND r.subject_id = :id"
        ),
        {"record": record_id, "id": subject_id},
    ).one_or_none()
    if row is None:
        return None
    record = CertificationRecord.model_validate(row.payload)
    return StoredRecord(record, row.event_at, row.received_at, row.counts, tuple(row.flags), row.sha256)


def lock_changes(connection: Connection, subject_id: str) -> None:
    """Let nobody else change anything about a person by hand until the transaction ends; take it before any other lock."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"person:{subject_id}"})


def version_of(connection: Connection, subject_id: str) -> str:
    """Return a digest of all that people change about somebody by hand, which tells whether it was changed since a form was shown."""
    return str(connection.execute(text(_VERSION), {"id": subject_id}).scalar_one())


def open_steps(connection: Connection, subject_id: str) -> list[OpenStep]:
    """Return the calls and visits that wait for a result, in the order in which they were planned."""
    return [OpenStep(*row) for row in connection.execute(text(_OPEN_STEPS), {"id": subject_id})]


def _rows(connection: Connection, statement: str, subject_id: str) -> list[Any]:
    return list(connection.execute(text(statement + " LIMIT :most"), {"id": subject_id, "most": MOST_LISTED}))


_REFERENCES = """
SELECT reference_id, capture, legal_basis, state, quality, key_domain, captured_at, valid_until, withdrawn_at, model_sha256
FROM references_ WHERE subject_id = :id ORDER BY captured_at DESC, reference_id
"""
_CARDS = """
SELECT card_id, capture, legal_basis, issued_at, valid_until, revoked_at FROM cards WHERE subject_id = :id
ORDER BY issued_at DESC, card_id
"""
CASES = """
    SELECT subject_id, case_id, number, kind, state, asked_at, due_on, decided_at, closed_at FROM cases
    UNION ALL SELECT subject_id, case_id, NULL, 'i_am_here', CASE WHEN resolved_at IS NULL THEN 'undecided' ELSE 'closed' END, opened_at,
        NULL, resolved_at, resolved_at FROM i_am_here
"""
"""What is a case about a person, for every list and page that counts them: cases, and passes against a report."""
OVER = "('passed', 'refused', 'closed')"
"""States of cases that wait for nobody any more."""
_CASES = f"""
SELECT case_id, number, kind, state, asked_at, due_on, decided_at, closed_at FROM ({CASES}) c WHERE subject_id = :id
ORDER BY state IN {OVER}, asked_at DESC, case_id
"""  # noqa: S608 - our own text
_ATTEMPTS = """
SELECT r.reminder_id, r.kind, r.step, r.state, r.occasion, r.planned_at, r.sent_at, r.settled_at, r.outcome, r.code,
    ARRAY(SELECT d.channel FROM reminder_deliveries d WHERE d.reminder_id = r.reminder_id ORDER BY d.begun_at, d.channel)
FROM reminders r WHERE r.subject_id = :id ORDER BY coalesce(r.settled_at, r.sent_at, r.planned_at) DESC, r.reminder_id
"""
_CONSENTS = """
SELECT consent_id, text_version, language, way, given_at, withdrawn_at FROM consents WHERE subject_id = :id
ORDER BY given_at DESC, consent_id
"""
_OPEN_STEPS = """
SELECT reminder_id, kind, step, occasion, planned_at FROM reminders
WHERE subject_id = :id AND step IN ('call', 'visit') AND state IN ('pending', 'sent') ORDER BY planned_at, reminder_id
"""
_VERSION = """
SELECT md5(concat_ws('|',
    (SELECT concat_ws(',', area, md5(name_sealed), md5(coalesce(phone_sealed, ''))) FROM subjects WHERE subject_id = :id),
    (SELECT string_agg(concat_ws(',', scheme, region, unit, managed_by, ended), ';' ORDER BY scheme) FROM benefits WHERE subject_id = :id),
    (SELECT concat_ws(',', count(*), count(withdrawn_at)) FROM life_events WHERE subject_id = :id),
    (SELECT count(*) FROM benefit_events WHERE subject_id = :id),
    (SELECT concat_ws(',', count(*), count(resolved_at)) FROM i_am_here WHERE subject_id = :id),
    (SELECT count(*) FROM approvals WHERE object_id IN (SELECT event_id FROM life_events WHERE subject_id = :id
        UNION ALL SELECT case_id FROM i_am_here WHERE subject_id = :id)),
    (SELECT concat_ws(',', max(recorded_at), count(opted_out_at)) FROM contacts WHERE subject_id = :id),
    (SELECT concat_ws(',', count(*), count(settled_at)) FROM reminders WHERE subject_id = :id)))
"""
