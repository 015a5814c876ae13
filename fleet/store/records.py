"""Certification records, as SQL. Their place in the chain stands in `fleet.store.links`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from fleet.admission import Judgement
from fleet.store.links import flags_text
from protocol.outcomes import Outcome
from protocol.records import CertificationRecord


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
            "flags": [flags_text(judgement) for judgement in found],
        },
    )
