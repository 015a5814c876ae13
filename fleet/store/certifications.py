"""What other systems certified, as SQL."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, text


class Modality(StrEnum):
    """By what another system knew the person. Source: R4-24, R8-13, S11, S14."""

    FACE = "face"
    FINGER_VEIN = "finger_vein"
    PALM_VEIN = "palm_vein"
    FINGERPRINT = "fingerprint"
    IDENTITY_RESULT = "identity_result"
    """A third party's word that this is the holder of the document (R4-23)."""


class ComparisonDecision(StrEnum):
    """What the other system's comparison came to."""

    MATCH = "match"
    NON_MATCH = "non_match"


@dataclass(frozen=True, slots=True)
class StoredCertification:
    """One certification as it was posted."""

    certification_id: str
    partner_id: str
    source_id: str
    subject_id: str
    digest: bytes
    """Equal for equal contents."""
    modality: Modality
    channel: str
    certified_at: datetime
    liveness: bool
    comparison: ComparisonDecision
    received_at: datetime
    withdrawn_at: datetime | None
    act_id: str | None
    """The act that came of it; None where it shows nothing."""

    @property
    def is_assured(self) -> bool:
        """Whether it shows that the person was there alive."""
        return self.liveness and self.comparison is ComparisonDecision.MATCH


def lock_partner(connection: Connection, partner_id: str) -> None:
    """Have what one partner writes happen one after the other, until the transaction ends: the first lock it takes."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"partner:{partner_id}"}
    )


def find_certifications(
    connection: Connection, partner_id: str, source_ids: Sequence[str]
) -> dict[str, StoredCertification]:
    """Return what a partner posted under these ids of its own."""
    rows = connection.execute(
        text(_SELECT + " WHERE c.partner_id = :partner AND c.source_id = ANY(:ids)"),
        {"partner": partner_id, "ids": list(source_ids)},
    )
    return {row.source_id: _stored(row) for row in rows}


def find_certification(connection: Connection, partner_id: str, certification_id: str) -> StoredCertification | None:
    """Return one certification of a partner by our id of it."""
    row = connection.execute(
        text(_SELECT + " WHERE c.partner_id = :partner AND c.certification_id = :id"),
        {"partner": partner_id, "id": certification_id},
    ).one_or_none()
    return None if row is None else _stored(row)


def add_certifications(connection: Connection, found: Sequence[StoredCertification]) -> None:
    """Insert certifications."""
    for each in found:
        connection.execute(
            text(
                "INSERT INTO partner_certifications (certification_id, partner_id, source_id, subject_id, digest, modality,"
                " channel, certified_at, liveness, comparison, received_at) VALUES (:id, :partner, :source, :subject, :digest,"
                " :modality, :channel, :at, :liveness, :comparison, :received)"
            ),
            {
                "id": each.certification_id,
                "partner": each.partner_id,
                "source": each.source_id,
                "subject": each.subject_id,
                "digest": each.digest,
                "modality": each.modality.value,
                "channel": each.channel,
                "at": each.certified_at,
                "liveness": each.liveness,
                "comparison": each.comparison.value,
                "received": each.received_at,
            },
        )


def mark_withdrawn(connection: Connection, certification_id: str, *, now: datetime) -> None:
    """Mark a certification taken back."""
    connection.execute(
        text(
            "UPDATE partner_certifications SET withdrawn_at = :now WHERE certification_id = :id AND withdrawn_at IS NULL"
        ),
        {"id": certification_id, "now": now},
    )


def new_id() -> str:
    """Return a random id of 32 hexadecimal digits."""
    return os.urandom(16).hex()


def _stored(row: object) -> StoredCertification:
    (identity, partner, source, subject, digest, modality, channel, at, liveness, comparison, received, back, act) = (
        tuple(row)  # type: ignore[var-annotated,arg-type]  # a row is a tuple
    )
    return StoredCertification(
        identity,
        partner,
        source,
        subject,
        bytes(digest),
        Modality(modality),
        channel,
        at,
        liveness,
        ComparisonDecision(comparison),
        received,
        back,
        act,
    )


_SELECT = (
    "SELECT c.certification_id, c.partner_id, c.source_id, c.subject_id, c.digest, c.modality, c.channel, c.certified_at,"
    " c.liveness, c.comparison, c.received_at, c.withdrawn_at, a.act_id FROM partner_certifications c"
    " LEFT JOIN acts a ON a.source = 'partner:' || c.partner_id AND a.source_id = c.source_id"
    " AND a.subject_id = c.subject_id AND a.withdrawn_at IS NULL"
)
