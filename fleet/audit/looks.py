"""Who looked at one person, or changed something of theirs: the answer to the person, who asks for it.

An entry is about a person if its object is the person, or a case or a suspected duplicate of theirs, or if they stood among the names that
somebody saw or took away.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from fleet.audit.log import open_sealed_actor
from fleet.keys import FieldCipher


@dataclass(frozen=True, slots=True)
class Look:
    """One entry about a person."""

    entry: int
    at: datetime
    action: str
    by: str
    object_kind: str
    object_id: str
    detail: dict[str, Any]
    reason: str | None
    """Why, in the words of whoever looked; None where nobody was asked."""


def looks_at(connection: Connection, cipher: FieldCipher, subject_id: str, *, limit: int) -> list[Look]:
    """Return what was seen or done of a person, the newest first.

    Args:
        connection: where to read.
        cipher: the fleet's.
        subject_id: whom it is about.
        limit: most entries.
    """
    rows = connection.execute(text(_ABOUT), {"id": subject_id, "limit": limit}).all()
    return [
        Look(
            row.entry,
            row.at,
            row.action,
            open_sealed_actor(cipher, bytes(row.actor_sealed)),
            row.object_kind,
            row.object_id,
            row.detail,
            None
            if row.reason_sealed is None
            else cipher.decrypt(bytes(row.reason_sealed), subject_id=subject_id, field_name="view_reason"),
        )
        for row in rows
    ]


# Each kind of object is looked up in the index of objects, and gives its newest; nothing is read that is not shown.
_ABOUT = """
WITH mine (kind, id) AS (
    SELECT 'subject', CAST(:id AS text)
    UNION SELECT 'case', case_id FROM cases WHERE subject_id = :id
    UNION SELECT 'duplicate_hit', hit_id FROM duplicate_hits WHERE first_subject = :id
    UNION SELECT 'duplicate_hit', hit_id FROM duplicate_hits WHERE second_subject = :id
), found (entry) AS (
    SELECT newest.entry FROM mine CROSS JOIN LATERAL (
        SELECT entry FROM audit_log l WHERE l.object_kind = mine.kind AND l.object_id = mine.id ORDER BY entry DESC LIMIT :limit
    ) newest
    UNION (SELECT entry FROM audit_about WHERE subject_id = :id ORDER BY entry DESC LIMIT :limit)
)
SELECT l.entry, l.at, l.action, l.actor_sealed, l.object_kind, l.object_id, l.detail, w.reason_sealed
FROM found JOIN audit_log l USING (entry) LEFT JOIN audit_about w ON w.subject_id = :id AND w.entry = l.entry
ORDER BY l.entry DESC LIMIT :limit
"""
