"""Case records, their sealed pictures, and the ledger of who looked at one, as SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from fleet.store.names import SealedName
from protocol.cases import CaseRecord


@dataclass(frozen=True, slots=True)
class StoredCase:
    """One case with what is known of it."""

    case: CaseRecord
    chain: str
    event_at: datetime
    received_at: datetime
    closed_at: datetime | None
    flags: list[str]
    here: frozenset[str]
    """Digests of its pictures that are here."""


@dataclass(frozen=True, slots=True)
class View:
    """One look at a picture; who and why are encrypted."""

    role: str
    reader_sealed: bytes
    reason_sealed: bytes
    viewed_at: datetime


@dataclass(frozen=True, slots=True)
class Arrived:
    """One picture as it came, sealed."""

    terminal_id: str
    sha256: str
    sealed: bytes
    received_at: datetime


def add_photos(connection: Connection, cases: Sequence[CaseRecord]) -> None:
    """Note which pictures the cases name."""
    rows = [(case, position, photo) for case in cases for position, photo in enumerate(case.photos, 1)]
    if rows:
        connection.execute(
            text(
                "INSERT INTO case_photos (record_id, position, role, terminal_id, sha256)"
                " VALUES (:record, :position, :role, :terminal, :sha256)"
            ),
            [
                {
                    "record": case.record_id,
                    "position": position,
                    "role": photo.role.value,
                    "terminal": case.terminal_id,
                    "sha256": photo.attachment,
                }
                for case, position, photo in rows
            ],
        )


def named_pictures(connection: Connection, terminal_id: str, digests: Collection[str]) -> set[str]:
    """Return which of these pictures a case of the terminal names."""
    rows = connection.execute(
        text("SELECT sha256 FROM case_photos WHERE terminal_id = :terminal AND sha256 = ANY(:digests)"),
        {"terminal": terminal_id, "digests": sorted(digests)},
    )
    return set(rows.scalars())


def unclaimed_bytes(connection: Connection, terminal_id: str) -> int:
    """Return how many bytes of pictures of a terminal no case names."""
    return int(
        connection.execute(
            text(
                "SELECT coalesce(sum(octet_length(a.sealed)), 0) FROM attachments a WHERE a.terminal_id = :id AND NOT EXISTS"
                " (SELECT 1 FROM case_photos p WHERE p.terminal_id = a.terminal_id AND p.sha256 = a.sha256)"
            ),
            {"id": terminal_id},
        ).scalar_one()
    )


def add_picture(connection: Connection, arrived: Arrived) -> bool:
    """Store a sealed picture; return False if it is there."""
    added = connection.execute(
        text(
            "INSERT INTO attachments (terminal_id, sha256, sealed, received_at) VALUES (:terminal, :sha256, :sealed, :at)"
            " ON CONFLICT DO NOTHING RETURNING 1"
        ),
        {
            "terminal": arrived.terminal_id,
            "sha256": arrived.sha256,
            "sealed": arrived.sealed,
            "at": arrived.received_at,
        },
    )
    return added.scalar_one_or_none() is not None


def has_picture(connection: Connection, terminal_id: str, sha256: str) -> bool:
    """Return whether a picture is here."""
    found = connection.execute(
        text("SELECT count(*) FROM attachments WHERE terminal_id = :terminal AND sha256 = :sha256"),
        {"terminal": terminal_id, "sha256": sha256},
    )
    return bool(found.scalar_one())


def sealed_picture(connection: Connection, terminal_id: str, sha256: str) -> bytes | None:
    """Return a picture as it came; None if it is not here."""
    found = connection.execute(
        text("SELECT sealed FROM attachments WHERE terminal_id = :terminal AND sha256 = :sha256"),
        {"terminal": terminal_id, "sha256": sha256},
    ).scalar_one_or_none()
    return None if found is None else bytes(found)


def delete_pictures(connection: Connection, *, closed_before: datetime, unclaimed_before: datetime) -> int:
    """Delete pictures of cases that were all closed before a moment, and those that came before another and no case names."""
    return connection.execute(
        text(
            "DELETE FROM attachments a WHERE CASE WHEN EXISTS"
            " (SELECT 1 FROM case_photos p WHERE p.terminal_id = a.terminal_id AND p.sha256 = a.sha256)"
            " THEN NOT EXISTS (SELECT 1 FROM case_photos p JOIN case_records c USING (record_id)"
            " WHERE p.terminal_id = a.terminal_id AND p.sha256 = a.sha256"
            " AND (c.closed_at IS NULL OR c.closed_at > :closed))"
            " ELSE a.received_at < :unclaimed END"
        ),
        {"closed": closed_before, "unclaimed": unclaimed_before},
    ).rowcount


def find_case(connection: Connection, record_id: str) -> StoredCase | None:
    """Return one case."""
    row = connection.execute(
        text(
            "SELECT c.payload, l.chain, c.event_at, c.received_at, c.closed_at, c.flags,"
            " ARRAY(SELECT p.sha256 FROM case_photos p JOIN attachments a USING (terminal_id, sha256)"
            " WHERE p.record_id = c.record_id) AS here"
            " FROM case_records c JOIN links l USING (record_id) WHERE c.record_id = :id"
        ),
        {"id": record_id},
    ).one_or_none()
    if row is None:
        return None
    case = CaseRecord.model_validate(row.payload)
    return StoredCase(
        case, row.chain, row.event_at, row.received_at, row.closed_at, list(row.flags), frozenset(row.here)
    )


def note_view(
    connection: Connection,
    record_id: str,
    role: str,
    sha256: str,
    *,
    reader: SealedName,
    reason_sealed: bytes,
    now: datetime,
) -> None:
    """Write into the ledger that somebody looks at a picture."""
    connection.execute(
        text(
            "INSERT INTO picture_views (record_id, role, sha256, reader_sealed, reader_hash, reason_sealed, viewed_at)"
            " VALUES (:record, :role, :sha256, :reader, :hash, :reason, :now)"
        ),
        {
            "record": record_id,
            "role": role,
            "sha256": sha256,
            "reader": reader.sealed,
            "hash": reader.digest,
            "reason": reason_sealed,
            "now": now,
        },
    )


def views_of(connection: Connection, record_id: str) -> list[View]:
    """Return who looked at pictures of a case, in order."""
    rows = connection.execute(
        text(
            "SELECT role, reader_sealed, reason_sealed, viewed_at FROM picture_views WHERE record_id = :id"
            " ORDER BY view_id"
        ),
        {"id": record_id},
    )
    return [View(row.role, bytes(row.reader_sealed), bytes(row.reason_sealed), row.viewed_at) for row in rows]
