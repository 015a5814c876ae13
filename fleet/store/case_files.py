"""What was handed in at the agency for a case, sealed, as SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file as it is stored."""

    file_id: str
    case_id: str
    role: str
    media: str
    """`image/jpeg` or `application/pdf`."""
    file_bytes: int
    content_hash: bytes
    """Keyed, 32 bytes: the same file twice in one case is one."""
    checks: Sequence[Mapping[str, Any]]
    sealed: bytes


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file without its content."""

    file_id: str
    role: str
    media: str
    file_bytes: int
    checks: list[dict[str, Any]]
    added_at: datetime
    deleted_at: datetime | None


def add_file(connection: Connection, new: NewFile, *, now: datetime) -> bool:
    """Store a file; return False if the case has it already in this role."""
    added = connection.execute(
        text(
            "INSERT INTO case_files (file_id, case_id, role, media, file_bytes, content_hash, checks, sealed, added_at)"
            " VALUES (:id, :case, :role, :media, :bytes, :hash, CAST(:checks AS jsonb), :sealed, :now)"
            " ON CONFLICT (case_id, role, content_hash) DO NOTHING RETURNING 1"
        ),
        {
            "id": new.file_id,
            "case": new.case_id,
            "role": new.role,
            "media": new.media,
            "bytes": new.file_bytes,
            "hash": new.content_hash,
            "checks": json.dumps([dict(check) for check in new.checks]),
            "sealed": new.sealed,
            "now": now,
        },
    )
    return added.scalar_one_or_none() is not None


def files_of(connection: Connection, case_id: str) -> list[FileFacts]:
    """Return the files of a case, in the order in which they came; deleted ones with them."""
    rows = connection.execute(
        text(
            "SELECT file_id, role, media, file_bytes, checks, added_at, deleted_at FROM case_files WHERE case_id = :id"
            " ORDER BY added_at, file_id"
        ),
        {"id": case_id},
    )
    return [FileFacts(*row) for row in rows]


def sealed_file(connection: Connection, file_id: str) -> bytes | None:
    """Return a file as it was sealed; None if it was deleted or never here."""
    found = connection.execute(
        text("SELECT sealed FROM case_files WHERE file_id = :id"), {"id": file_id}
    ).scalar_one_or_none()
    return None if found is None else bytes(found)


def delete_files(connection: Connection, *, over_before: datetime, now: datetime) -> int:
    """Delete the content of files of cases that were over before a moment; return of how many."""
    return connection.execute(
        text(
            "UPDATE case_files f SET sealed = NULL, deleted_at = :now FROM cases c WHERE c.case_id = f.case_id"
            " AND f.sealed IS NOT NULL AND c.state IN ('passed', 'refused', 'closed')"
            " AND coalesce(c.decided_at, c.closed_at) <= :before"
        ),
        {"now": now, "before": over_before},
    ).rowcount
