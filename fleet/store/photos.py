"""Photographs taken in from files, as SQL: no picture, only a keyed digest of each that enrolled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class PhotoImportRow:
    """One import."""

    import_id: str
    unit: str | None
    """Who handed the photographs in."""
    form: str
    """The modelling information form that came along (R1-16): `none`, `unsealed` or `sealed`."""
    taken_at: datetime
    taken_by_sealed: bytes
    accepted: int
    refused: int
    repeated: int


def add_import(connection: Connection, found: PhotoImportRow) -> None:
    """Store what an import did."""
    connection.execute(
        text(
            "INSERT INTO photo_imports (import_id, unit, form, taken_at, taken_by_sealed, accepted, refused, repeated)"
            " VALUES (:import_id, :unit, :form, :taken_at, :taken_by, :accepted, :refused, :repeated)"
        ),
        {
            "import_id": found.import_id,
            "unit": found.unit,
            "form": found.form,
            "taken_at": found.taken_at,
            "taken_by": found.taken_by_sealed,
            "accepted": found.accepted,
            "refused": found.refused,
            "repeated": found.repeated,
        },
    )


def imports(connection: Connection, *, limit: int) -> list[PhotoImportRow]:
    """Return the last imports, the newest first."""
    rows = connection.execute(
        text(
            "SELECT import_id, unit, form, taken_at, taken_by_sealed, accepted, refused, repeated FROM photo_imports"
            " ORDER BY taken_at DESC, import_id LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [PhotoImportRow(*row) for row in rows]


def forget_imports(connection: Connection, *, before: datetime) -> int:
    """Delete what imports before a moment did; return how many."""
    return connection.execute(text("DELETE FROM photo_imports WHERE taken_at < :before"), {"before": before}).rowcount


def owner_of(connection: Connection, digest: bytes) -> str | None:
    """Return whom a picture enrolled, None if it did not yet; a reference that was withdrawn meanwhile changes nothing."""
    found: str | None = connection.execute(
        text("SELECT subject_id FROM photo_files WHERE digest = :digest"), {"digest": digest}
    ).scalar_one_or_none()
    return found


def hold(connection: Connection, digest: bytes) -> str | None:
    """Return whom a picture enrolled; others that would enrol with it wait until this transaction ends."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"photo:{digest.hex()}"}
    )
    return owner_of(connection, digest)


def add_file(
    connection: Connection, digest: bytes, subject_id: str, reference_id: str, import_id: str, *, now: datetime
) -> None:
    """Store that a picture enrolled somebody."""
    connection.execute(
        text(
            "INSERT INTO photo_files (digest, subject_id, reference_id, import_id, enrolled_at)"
            " VALUES (:digest, :subject, :reference, :import_id, :now)"
        ),
        {"digest": digest, "subject": subject_id, "reference": reference_id, "import_id": import_id, "now": now},
    )
