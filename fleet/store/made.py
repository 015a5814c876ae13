"""References that terminals made, as SQL: what was in each seal, and which row of `references_` came of it."""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Literal

from sqlalchemy import Connection, Row, text

from protocol.references import CaptureKind, LegalBasis, Reference

Kind = Literal["enrolment", "refresh", "photo"]


@dataclass(frozen=True, slots=True)
class Opened:
    """What was in a seal."""

    record_id: str
    kind: Kind
    subject_id: str | None
    """By the claim token of the record; None where nobody has it."""
    reference_id: str
    legal_basis: LegalBasis
    problem: str | None
    """Why it cannot be used, in a word; None where it can."""
    reference: Reference | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Made:
    """A made reference, what its link is worth by now, and what became of it."""

    record_id: str
    kind: Kind
    subject_id: str | None
    reference_id: str
    legal_basis: LegalBasis
    problem: str | None
    model_sha256: str | None
    runtime: str | None
    key_domain: str | None
    quality: float | None
    capture: CaptureKind | None
    features: bytes | None
    """None once a row of `references_` has them, and where there are none."""
    is_linked: bool
    """Whether the chain is not broken there."""
    is_own: bool
    """Whether the link names the subject whose token it has."""
    is_pass: bool
    """Whether its certification record counts as a pass; False for a case."""
    flags: tuple[str, ...]
    outcome: str | None
    """None for a case."""
    event_at: datetime
    policy_version: str | None
    """Of the session."""
    shadow_network: str | None
    """Name of the features network that was in the shadow and made it; None for what the network in use made."""


@dataclass(frozen=True, slots=True)
class StoredRow:
    """The row of `references_` that a record led to, where it was not replaced since."""

    reference_id: str
    state: str
    is_withdrawn: bool
    is_decided: bool
    """Whether a person has decided about it."""
    waits_for: str | None
    """Why it was not put in use, in a word."""


@dataclass(frozen=True, slots=True)
class LiveSpan:
    """A live reference of a subject, and when it could be compared with."""

    reference_id: str
    model_sha256: str
    since: datetime
    until: datetime
    made_by_record: str | None
    """The enrolment that made it, where no person has put it in use; None for one of a network in the shadow."""


def add(connection: Connection, opened: Opened) -> None:
    """Store what was in a seal."""
    found = opened.reference
    connection.execute(
        text(
            "INSERT INTO made_references (record_id, kind, subject_id, reference_id, legal_basis, problem, model_sha256,"
            " runtime, key_domain, quality, capture, features, received_at) VALUES (:record_id, :kind, :subject_id,"
            " :reference_id, :legal_basis, :problem, :model_sha256, :runtime, :key_domain, :quality, :capture, :features,"
            " :received_at)"
        ),
        {
            "record_id": opened.record_id,
            "kind": opened.kind,
            "subject_id": opened.subject_id,
            "reference_id": opened.reference_id,
            "legal_basis": opened.legal_basis.value,
            "problem": opened.problem,
            "model_sha256": found and found.model_sha256,
            "runtime": found and found.runtime,
            "key_domain": found and found.key_domain,
            "quality": found and found.quality,
            "capture": found and found.capture.value,
            "features": found and base64.b64decode(found.features, validate=True),
            "received_at": opened.received_at,
        },
    )


def of_subjects(connection: Connection, subject_ids: Collection[str]) -> list[Made]:
    """Return what terminals made of these subjects, in the order in which it was made."""
    rows = connection.execute(
        text(f"{_MADE} WHERE m.subject_id = ANY(:ids) ORDER BY event_at, l.terminal_id, l.counter"),
        {"ids": sorted(subject_ids)},
    )
    return [_made(row) for row in rows]


def with_made(connection: Connection, subject_ids: Collection[str]) -> set[str]:
    """Return those of the subjects of whom terminals made more than refreshes: their worth follows that of records."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT m.subject_id FROM made_references m LEFT JOIN terminal_events e USING (record_id)"
            " WHERE m.subject_id = ANY(:ids) AND (m.kind <> 'refresh' OR e.record_id IS NOT NULL)"
        ),
        {"ids": sorted(subject_ids)},
    )
    return set(rows.scalars())


def session_token(connection: Connection, record_id: str) -> str | None:
    """Return the claim token of the session whose samples an event brought as a reference; None while its record is not here."""
    return connection.execute(
        text(f"SELECT r.claim_token FROM terminal_events e {_SESSION} WHERE e.record_id = :id"),  # noqa: S608 - our own fragment
        {"id": record_id},
    ).scalar_one_or_none()


def adopt(connection: Connection, record_ids: Collection[str]) -> set[str]:
    """Give references that came before the record of their session to whom that record is about; return these subjects."""
    rows = connection.execute(
        text(
            "UPDATE made_references m SET subject_id = s.subject_id"  # noqa: S608 - our own fragment
            f" FROM terminal_events e {_SESSION} JOIN subjects s ON s.claim_token = r.claim_token"
            " WHERE m.subject_id IS NULL AND m.features IS NOT NULL AND e.record_id = m.record_id"
            " AND r.record_id = ANY(:ids) RETURNING m.subject_id"
        ),
        {"ids": sorted(record_ids)},
    )
    return set(rows.scalars())


def networks_met(connection: Connection, subject_id: str) -> set[str]:
    """Return the digests of the networks with which a subject was last looked at by a terminal; none for whoever never was."""
    rows = connection.execute(
        text(
            "SELECT network ->> 'sha256' FROM (SELECT payload FROM records WHERE subject_id = :id"
            " ORDER BY event_at DESC, record_id LIMIT 1) newest, jsonb_array_elements(newest.payload -> 'networks') network"
        ),
        {"id": subject_id},
    )
    return set(rows.scalars())


def stored_row(connection: Connection, record_id: str) -> StoredRow | None:
    """Return the row of `references_` that a record led to, if it ever did."""
    row = connection.execute(
        text(
            "SELECT reference_id, state, withdrawn_at IS NOT NULL AS is_withdrawn, decider_sealed IS NOT NULL AS is_decided, waits_for"
            " FROM references_ WHERE made_by_record = :record AND state <> 'replaced' FOR UPDATE"
        ),
        {"record": record_id},
    ).one_or_none()
    return None if row is None else StoredRow(*row)


def note_stored(connection: Connection, record_id: str, reference_id: str) -> None:
    """Remember which record a reference came of; its features are now there and no longer here."""
    connection.execute(
        text("UPDATE references_ SET made_by_record = :record WHERE reference_id = :id"),
        {"record": record_id, "id": reference_id},
    )
    forget_features(connection, record_id)


def forget_features(connection: Connection, record_id: str) -> None:
    """Erase the features that were kept beside a record."""
    connection.execute(
        text("UPDATE made_references SET features = NULL WHERE record_id = :record"), {"record": record_id}
    )


def set_waiting(connection: Connection, record_id: str, why: str | None) -> None:
    """Note why nothing is in use of what a record brought, in a word; None where it is."""
    connection.execute(
        text("UPDATE made_references SET waits_for = :why WHERE record_id = :record"),
        {"record": record_id, "why": why},
    )
    connection.execute(
        text("UPDATE references_ SET waits_for = :why WHERE made_by_record = :record AND state <> 'replaced'"),
        {"record": record_id, "why": why},
    )


def forget_unclaimed(connection: Connection, *, received_before: datetime) -> int:
    """Erase features of people whom the fleet does not know, once they have waited long enough; return how many."""
    return connection.execute(
        text(
            "UPDATE made_references SET features = NULL, waits_for = 'forgotten'"
            " WHERE features IS NOT NULL AND received_at < :before"
        ),
        {"before": received_before},
    ).rowcount


def erase_seal(connection: Connection, reference_id: str) -> int:
    """Erase the signed bytes of the links that brought a reference: its features are sealed in them; return how many.

    Digest, chain and what the link said besides stay.
    """
    return connection.execute(
        text(
            "UPDATE links SET envelope = ''::bytea WHERE record_id IN ("
            " SELECT made_by_record FROM references_ WHERE reference_id = :id"
            " UNION SELECT proposed_record FROM references_ WHERE reference_id = :id"
            " UNION SELECT record_id FROM made_references WHERE reference_id = :id)"
        ),
        {"id": reference_id},
    ).rowcount


def live_spans(connection: Connection, subject_ids: Collection[str], *, zone: tzinfo) -> dict[str, list[LiveSpan]]:
    """Return the live references these subjects have or had, by subject.

    Args:
        connection: where to look.
        subject_ids: whose.
        zone: where a reference's last day ends.
    """
    rows = connection.execute(
        text(
            "SELECT subject_id, reference_id, model_sha256, withdrawn_at, valid_until,"
            " CASE WHEN e.record_id IS NULL THEN made_by_record END AS made_by_record,"
            " CASE WHEN decider_sealed IS NULL THEN captured_at ELSE greatest(captured_at, decided_at) END AS since,"
            " decider_sealed IS NOT NULL AS is_decided FROM references_ LEFT JOIN terminal_events e ON e.record_id = made_by_record"
            " WHERE subject_id = ANY(:ids)"
            " AND capture = 'live' AND state IN ('active', 'set_aside', 'replaced') ORDER BY captured_at, reference_id"
        ),
        {"ids": sorted(subject_ids)},
    )
    found: dict[str, list[LiveSpan]] = {}
    for row in rows:
        end = datetime.combine(row.valid_until + timedelta(days=1), time(), zone)
        found.setdefault(row.subject_id, []).append(
            LiveSpan(
                row.reference_id,
                row.model_sha256,
                row.since,
                min(end, row.withdrawn_at or end),
                None if row.is_decided else row.made_by_record,
            )
        )
    return found


def waiting(connection: Connection, *, limit: int) -> Sequence[Row[tuple[object, ...]]]:
    """Return what terminals made and nobody can be compared with, oldest first: record, kind, subject, reference, why."""
    return connection.execute(
        text(
            "SELECT record_id, kind, subject_id, reference_id, waits_for, received_at FROM made_references"
            " WHERE waits_for IS NOT NULL ORDER BY received_at, record_id LIMIT :limit"
        ),
        {"limit": limit},
    ).all()


_SESSION = """
LEFT JOIN records r ON r.record_id = e.payload #>> '{proposal,session_record}' AND r.terminal_id = e.terminal_id
    AND r.counter < e.counter
"""
"""An event that brings a reference says of which session of its own chain; what that is worth, the reference is."""
_MADE = """
SELECT m.record_id, m.kind, m.subject_id, m.reference_id, m.legal_basis, m.problem, m.model_sha256, m.runtime, m.key_domain,
    m.quality, m.capture, m.features, l.chain <> 'broken' AND coalesce(o.chain <> 'broken', true) AS is_linked,
    coalesce(r.claim_token, c.claim_token) = s.claim_token
        AND coalesce(r.subject_id, c.subject_id) IS NOT DISTINCT FROM m.subject_id AS is_own,
    r.pass_at IS NOT NULL AS is_pass, coalesce(r.flags, c.flags, '[]'::jsonb) AS flags, r.outcome,
    coalesce(r.event_at, c.event_at, e.event_at) AS event_at, r.payload #>> '{decision,policy_version}' AS policy_version,
    e.payload #>> '{proposal,network,name}' AS shadow_network
FROM made_references m JOIN links l ON l.record_id = m.record_id
LEFT JOIN terminal_events e ON e.record_id = m.record_id
LEFT JOIN records r ON r.record_id = CASE WHEN e.record_id IS NULL THEN m.record_id
    ELSE e.payload #>> '{proposal,session_record}' END AND r.terminal_id = l.terminal_id AND r.counter <= l.counter
LEFT JOIN links o ON o.record_id = r.record_id
LEFT JOIN case_records c ON c.record_id = m.record_id
LEFT JOIN subjects s ON s.subject_id = m.subject_id
"""


def _made(row: Row[tuple[object, ...]]) -> Made:
    return Made(
        record_id=row.record_id,
        kind=row.kind,
        subject_id=row.subject_id,
        reference_id=row.reference_id,
        legal_basis=LegalBasis(row.legal_basis),
        problem=row.problem,
        model_sha256=row.model_sha256,
        runtime=row.runtime,
        key_domain=row.key_domain,
        quality=row.quality,
        capture=None if row.capture is None else CaptureKind(row.capture),
        features=None if row.features is None else bytes(row.features),
        is_linked=row.is_linked,
        is_own=bool(row.is_own),
        is_pass=row.is_pass,
        flags=tuple(row.flags),
        outcome=row.outcome,
        event_at=row.event_at,
        policy_version=row.policy_version,
        shadow_network=row.shadow_network,
    )
