"""Certification records, as SQL. Their place in the chain stands in `fleet.store.links`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from fleet.admission import Judgement
from fleet.store.links import flags_text
from protocol.outcomes import Outcome
from protocol.records import CertificationRecord


@dataclass(frozen=True, slots=True)
class ClaimedPass:
    """A stored record that says it is a pass."""

    record: CertificationRecord
    received_at: datetime
    event_at: datetime
    is_good: bool
    """Whether chain and claim let it count: not broken, and the token is that of the subject it names."""

    @property
    def place(self) -> tuple[datetime, str, int]:
        """Its place in the order of what happened; ties are broken by terminal and counter."""
        return self.event_at, self.record.terminal_id, self.record.counter


def claimed_passes(connection: Connection, subject_ids: Sequence[str]) -> list[ClaimedPass]:
    """Return the stored records of these subjects that say they are passes."""
    rows = connection.execute(
        text(
            "SELECT r.payload, r.received_at, r.event_at, l.chain <> 'broken' AND s.claim_token IS NOT DISTINCT FROM r.claim_token"
            " AS is_good FROM records r JOIN links l ON l.record_id = r.record_id"
            " LEFT JOIN subjects s ON s.subject_id = r.subject_id"
            " WHERE r.subject_id = ANY(:ids) AND r.outcome = ANY(:outcomes)"
        ),
        {"ids": list(subject_ids), "outcomes": [Outcome.CERTIFIED.value, Outcome.TIME_UNCERTAIN.value]},
    )
    return [
        ClaimedPass(CertificationRecord.model_validate(row.payload), row.received_at, row.event_at, row.is_good)
        for row in rows
    ]


def record_of(connection: Connection, record_id: str) -> CertificationRecord | None:
    """Return a stored record; None where there is none."""
    payload = connection.execute(
        text("SELECT payload FROM records WHERE record_id = :record"), {"record": record_id}
    ).scalar_one_or_none()
    return None if payload is None else CertificationRecord.model_validate(payload)


def chain_of(connection: Connection, record_id: str) -> str | None:
    """Return how a record stands in its terminal's chain: `linked`, `gap` or `broken`; None where it is not here."""
    found = connection.execute(text("SELECT chain FROM links WHERE record_id = :record"), {"record": record_id})
    return found.scalar_one_or_none()


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
