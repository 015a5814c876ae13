"""What the console's pages of privacy list: consents, withdrawals, requests and proofs of erasure; as SQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, text

from fleet.store.paging import Place, newest


@dataclass(frozen=True, slots=True)
class ConsentLine:
    """One consent, or its withdrawal; the name is encrypted."""

    line_id: str
    subject_id: str
    what: str
    """How a consent was given, or which way was offered at a withdrawal."""
    version: str
    """Of the text; empty at a withdrawal."""
    at: datetime
    is_over: bool
    """Whether a consent was withdrawn since."""
    references: int
    """Erased by a withdrawal."""
    cards: int
    name_sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AskedErasure:
    """An erasure that one person has asked for; nothing in it leads to whom."""

    erasure_id: str
    asked_at: datetime
    object_id: str
    """Under which the word stands; it names the ground."""
    name_sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProofLine:
    """One erasure with its signed proof."""

    erasure_id: str
    erased_at: datetime
    proof: bytes = field(repr=False)


def consents(
    connection: Connection, *, below: Place | None = None, above: Place | None = None, limit: int
) -> list[ConsentLine]:
    """Return consents, the newest first.

    Args:
        connection: where to read.
        below: only those before this moment of recording and id.
        above: only those after it, and of those the oldest.
        limit: most of them.
    """
    statement = (
        "SELECT c.consent_id, c.subject_id, c.way, c.text_version, c.recorded_at, c.withdrawn_at IS NOT NULL, 0, 0, s.name_sealed"
        " FROM consents c JOIN subjects s USING (subject_id) WHERE true"
    )
    order = ["c.recorded_at", "c.consent_id"]
    rows = newest(connection, statement, order, {}, below=below, above=above, limit=limit)
    return [ConsentLine(*row) for row in rows]


def withdrawals(
    connection: Connection, *, below: Place | None = None, above: Place | None = None, limit: int
) -> list[ConsentLine]:
    """Return withdrawals, the newest first; arguments as `consents`."""
    statement = (
        "SELECT w.withdrawal_id, w.subject_id, w.other_way, '', w.withdrawn_at, false, w.references_erased, w.cards_revoked,"
        " s.name_sealed FROM withdrawals w JOIN subjects s USING (subject_id) WHERE true"
    )
    order = ["w.withdrawn_at", "w.withdrawal_id"]
    rows = newest(connection, statement, order, {}, below=below, above=above, limit=limit)
    return [ConsentLine(*row) for row in rows]


def asked_erasures(connection: Connection, *, since: datetime) -> list[AskedErasure]:
    """Return the erasures that one person has asked for since a moment and no second one, the oldest first."""
    rows = connection.execute(
        text(
            "SELECT split_part(object_id, '/', 1) AS erasure_id, approved_at, object_id, name_sealed FROM approvals a"
            " WHERE object_kind = 'erasure' AND place = 1 AND approved_at >= :since"
            " AND NOT EXISTS (SELECT 1 FROM erasures e WHERE e.erasure_id = split_part(a.object_id, '/', 1))"
            " ORDER BY approved_at, object_id"
        ),
        {"since": since},
    )
    return [AskedErasure(row.erasure_id, row.approved_at, row.object_id, bytes(row.name_sealed)) for row in rows]


def proofs(
    connection: Connection, *, below: Place | None = None, above: Place | None = None, limit: int
) -> list[ProofLine]:
    """Return erasures with their proofs, the newest first; arguments as `consents`."""
    statement = "SELECT erasure_id, erased_at, proof FROM erasures WHERE true"
    rows = newest(connection, statement, ["erased_at", "erasure_id"], {}, below=below, above=above, limit=limit)
    return [ProofLine(row[0], row[1], bytes(row[2])) for row in rows]


def proof_of(connection: Connection, erasure_id: str) -> bytes | None:
    """Return the signed proof of one erasure."""
    found = connection.execute(
        text("SELECT proof FROM erasures WHERE erasure_id = :id"), {"id": erasure_id}
    ).scalar_one_or_none()
    return None if found is None else bytes(found)
