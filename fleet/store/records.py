"""Certification records and their chains, as SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from fleet.admission import Admission, Judgement
from protocol.outcomes import Outcome
from protocol.records import CertificationRecord


@dataclass(frozen=True, slots=True)
class AdmittedRecord:
    """A record that is to be stored, with the bytes as they arrived."""

    record: CertificationRecord
    admission: Admission
    sha256: str
    envelope: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """Counters of one terminal that have not arrived, both ends included."""

    terminal_id: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ChainLink:
    """A stored record's place in its chain."""

    counter: int
    sha256: str
    previous: str | None
    chain: str
    subject_id: str | None


def links_around(connection: Connection, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], ChainLink]:
    """Return the stored links at these (terminal, counter) places and next to them."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT r.terminal_id, r.counter, r.sha256, r.previous, r.chain, r.subject_id"
            " FROM unnest(CAST(:terminals AS text[]), CAST(:counters AS bigint[])) AS p (terminal_id, counter)"
            " JOIN records r ON r.terminal_id = p.terminal_id"
            " AND r.counter IN (p.counter - 1, p.counter, p.counter + 1)"
        ),
        {"terminals": [t for t, _ in places], "counters": [c for _, c in places]},
    )
    return {
        (row.terminal_id, row.counter): ChainLink(row.counter, row.sha256, row.previous, row.chain, row.subject_id)
        for row in rows
    }


def digests_by_record_id(connection: Connection, record_ids: Sequence[str]) -> dict[str, str]:
    """Return the digest of each stored record among these ids."""
    rows = connection.execute(
        text("SELECT record_id, sha256 FROM records WHERE record_id = ANY(:ids)"), {"ids": list(record_ids)}
    )
    return {row.record_id: row.sha256 for row in rows}


def insert_records(connection: Connection, records: Sequence[AdmittedRecord]) -> set[str]:
    """Insert records that are not there yet; return the record ids that were new."""
    if not records:
        return set()
    columns: dict[str, list[object]] = {name: [] for name, _ in _COLUMNS}
    for item in records:
        for name, value in _values(item).items():
            columns[name].append(value)
    names = ", ".join(name for name, _ in _COLUMNS)
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _COLUMNS)
    statement = f"INSERT INTO records ({names}) SELECT * FROM unnest({arrays})"  # noqa: S608 - our own column list
    rows = connection.execute(text(statement + " ON CONFLICT DO NOTHING RETURNING record_id"), columns)
    return set(rows.scalars())


def set_chain(connection: Connection, verdicts: dict[tuple[str, int], str]) -> None:
    """Correct the chain verdict of stored records."""
    if verdicts:
        connection.execute(
            text(
                "UPDATE records r SET chain = p.chain FROM unnest(CAST(:terminals AS text[]),"
                " CAST(:counters AS bigint[]), CAST(:chains AS text[])) AS p (terminal_id, counter, chain)"
                " WHERE r.terminal_id = p.terminal_id AND r.counter = p.counter"
            ),
            {
                "terminals": [terminal for terminal, _ in verdicts],
                "counters": [counter for _, counter in verdicts],
                "chains": list(verdicts.values()),
            },
        )


def claimed_passes(
    connection: Connection, subject_ids: Sequence[str]
) -> dict[str, tuple[CertificationRecord, datetime]]:
    """Return the stored records of these subjects that say they are passes, with their arrival, by record id."""
    rows = connection.execute(
        text(
            "SELECT record_id, payload, received_at FROM records WHERE subject_id = ANY(:ids) AND outcome = ANY(:outcomes)"
        ),
        {"ids": list(subject_ids), "outcomes": [Outcome.CERTIFIED.value, Outcome.TIME_UNCERTAIN.value]},
    )
    return {row.record_id: (CertificationRecord.model_validate(row.payload), row.received_at) for row in rows}


def record_of(connection: Connection, record_id: str) -> CertificationRecord | None:
    """Return a stored record; None where there is none."""
    payload = connection.execute(
        text("SELECT payload FROM records WHERE record_id = :record"), {"record": record_id}
    ).scalar_one_or_none()
    return None if payload is None else CertificationRecord.model_validate(payload)


def set_judgements(connection: Connection, judgements: Mapping[str, Judgement]) -> None:
    """Store what records are worth, by record id; rows that say so already are left alone."""
    found = judgements.values()
    connection.execute(
        text(
            "UPDATE records r SET earliest = p.earliest, latest = p.latest, event_at = p.event_at, pass_at = p.pass_at,"
            " flags = p.flags FROM unnest(CAST(:ids AS text[]), CAST(:earliest AS timestamptz[]),"
            " CAST(:latest AS timestamptz[]), CAST(:event_at AS timestamptz[]), CAST(:pass_at AS timestamptz[]),"
            " CAST(:flags AS jsonb[])) AS p (record_id, earliest, latest, event_at, pass_at, flags)"
            " WHERE r.record_id = p.record_id AND (r.earliest, r.latest, r.event_at, r.pass_at, r.flags)"
            " IS DISTINCT FROM (p.earliest, p.latest, p.event_at, p.pass_at, p.flags)"
        ),
        {
            "ids": list(judgements),
            "earliest": [judgement.bracket.earliest for judgement in found],
            "latest": [judgement.bracket.latest for judgement in found],
            "event_at": [judgement.event_at for judgement in found],
            "pass_at": [judgement.pass_at for judgement in found],
            "flags": [_flags_text(judgement) for judgement in found],
        },
    )


def gaps(connection: Connection) -> list[Gap]:
    """Return all gaps of all chains, by terminal and counter."""
    rows = connection.execute(
        text(
            "SELECT r.terminal_id, coalesce((SELECT max(b.counter) FROM records b WHERE b.terminal_id = r.terminal_id"
            " AND b.counter < r.counter), 0) + 1 AS first, r.counter - 1 AS last"
            " FROM records r WHERE r.chain <> 'linked' AND NOT EXISTS (SELECT 1 FROM records b"
            " WHERE b.terminal_id = r.terminal_id AND b.counter = r.counter - 1) AND r.counter > 1"
            " ORDER BY r.terminal_id, r.counter"
        )
    )
    return [Gap(*row) for row in rows]


_COLUMNS = (
    ("record_id", "text"),
    ("sha256", "text"),
    ("terminal_id", "text"),
    ("counter", "bigint"),
    ("previous", "text"),
    ("chain", "text"),
    ("session_id", "text"),
    ("subject_id", "text"),
    ("claim_token", "text"),
    ("outcome", "text"),
    ("payload", "jsonb"),
    ("envelope", "bytea"),
    ("received_at", "timestamptz"),
    ("earliest", "timestamptz"),
    ("latest", "timestamptz"),
    ("event_at", "timestamptz"),
    ("pass_at", "timestamptz"),
    ("flags", "jsonb"),
)


def _values(item: AdmittedRecord) -> dict[str, object]:
    record, admission = item.record, item.admission
    judgement = admission.judgement
    return {
        "record_id": record.record_id,
        "sha256": item.sha256,
        "terminal_id": record.terminal_id,
        "counter": record.counter,
        "previous": record.previous,
        "chain": admission.chain.value,
        "session_id": record.session_id,
        "subject_id": record.claim.subject_id,
        "claim_token": record.claim.token,
        "outcome": record.decision.outcome.value,
        "payload": record.to_bytes().decode(),
        "envelope": item.envelope,
        "received_at": item.received_at,
        "earliest": judgement.bracket.earliest,
        "latest": judgement.bracket.latest,
        "event_at": judgement.event_at,
        "pass_at": judgement.pass_at,
        "flags": _flags_text(judgement),
    }


def _flags_text(judgement: Judgement) -> str:
    return json.dumps([flag.value for flag in judgement.flags])
