"""Approvals by two persons, as SQL: for rule packs, decisions of cases, stops of benefits, and whatever else is not one person's word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from fleet.errors import Refused
from fleet.keys import FieldCipher
from fleet.store.names import cleaned, seal_approver

NEEDED = 2


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's word."""

    name: str
    reason: str
    approved_at: datetime


def approve(
    connection: Connection,
    cipher: FieldCipher,
    object_kind: str,
    object_id: str,
    *,
    name: str,
    reason: str,
    now: datetime,
) -> int:
    """Write down one person's approval; return how many there are now.

    Args:
        connection: where.
        cipher: the fleet's.
        object_kind: what kind of thing is approved.
        object_id: its id.
        name: who approves; an `AccountName` for somebody who is signed in.
        reason: why.
        now: when.

    Raises:
        Refused: if this person approved it before, two others did, or name or reason cannot be taken.
    """
    sealed, why = seal_approver(cipher, name, of=f"{object_kind}:{object_id}"), cleaned(reason)
    # One at a time for one object, so that both of two at once are counted.
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"approval:{object_kind}:{object_id}"}
    )
    rows = connection.execute(
        text("SELECT place, name_hash FROM approvals WHERE object_kind = :kind AND object_id = :id"),
        {"kind": object_kind, "id": object_id},
    ).all()
    if any(bytes(row.name_hash) == sealed.digest for row in rows):
        raise Refused(
            f"{object_kind} {object_id}: this person has approved it already; a second person is needed",
            code="same_person",
        )
    if len(rows) >= NEEDED:
        raise Refused(f"{object_kind} {object_id}: two persons have approved it already", code="two_have_approved")
    place = len(rows) + 1
    connection.execute(
        text(
            "INSERT INTO approvals (object_kind, object_id, place, name_hash, name_sealed, name_source, reason_sealed,"
            " approved_at) VALUES (:kind, :id, :place, :hash, :name, :source, :reason, :now)"
        ),
        {
            "kind": object_kind,
            "id": object_id,
            "place": place,
            "hash": sealed.digest,
            "name": sealed.sealed,
            "source": sealed.source,
            "reason": cipher.encrypt(why, subject_id=f"{object_kind}:{object_id}", field_name="approval_reason"),
            "now": now,
        },
    )
    return place


def approvals_of(connection: Connection, cipher: FieldCipher, object_kind: str, object_id: str) -> list[Approval]:
    """Return who approved an object, in order."""
    rows = connection.execute(
        text(
            "SELECT name_sealed, reason_sealed, approved_at FROM approvals WHERE object_kind = :kind AND object_id = :id"
            " ORDER BY place"
        ),
        {"kind": object_kind, "id": object_id},
    )
    of = f"{object_kind}:{object_id}"
    return [
        Approval(
            cipher.decrypt(bytes(row.name_sealed), subject_id=of, field_name="approver"),
            cipher.decrypt(bytes(row.reason_sealed), subject_id=of, field_name="approval_reason"),
            row.approved_at,
        )
        for row in rows
    ]


def withdraw_approvals(connection: Connection, object_kind: str, object_id: str) -> None:
    """Forget the approvals of an object that was changed: they were of something else."""
    connection.execute(
        text("DELETE FROM approvals WHERE object_kind = :kind AND object_id = :id"),
        {"kind": object_kind, "id": object_id},
    )
