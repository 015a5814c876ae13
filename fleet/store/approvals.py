"""Approvals by two persons, as SQL: for rule packs, decisions of cases, stops of benefits, and whatever else is not one person's word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from fleet.errors import Refused
from fleet.keys import FieldCipher
from fleet.store.names import cleaned, seal_approver
from fleet.store.words import HELD, VOID

NEEDED = 2
_IS_OPEN = "NOT EXISTS (SELECT 1 FROM approvals s WHERE s.object_kind = w.object_kind AND s.object_id = w.object_id AND s.place = 2)"


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
    """Write down one person's approval; return how many there are now that count.

    A word of somebody who is out of service meanwhile, or lost a role that they had then, is dropped before.

    Args:
        connection: where.
        cipher: the fleet's.
        object_kind: what kind of thing is approved.
        object_id: its id.
        name: who approves; an `AccountName` for somebody who is signed in.
        reason: why.
        now: when.

    Raises:
        Refused: if this person approved it before, two others did, the first word is of an account that is in one hand with this one,
            or name or reason cannot be taken.
    """
    sealed, why = seal_approver(cipher, name, of=f"{object_kind}:{object_id}"), cleaned(reason)
    # One at a time for one object, so that both of two at once are counted.
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"approval:{object_kind}:{object_id}"}
    )
    rows = connection.execute(
        text("SELECT place, name_hash, account_id FROM approvals WHERE object_kind = :kind AND object_id = :id"),
        {"kind": object_kind, "id": object_id},
    ).all()
    if len(rows) < NEEDED and drop_void(connection, object_kind, object_id):
        rows = []
    if any(bytes(row.name_hash) == sealed.digest for row in rows):
        raise Refused(
            f"{object_kind} {object_id}: this person has approved it already; a second person is needed",
            code="same_person",
        )
    if len(rows) >= NEEDED:
        raise Refused(f"{object_kind} {object_id}: two persons have approved it already", code="two_have_approved")
    sealed.demand_unbound((row.account_id for row in rows), f"{object_kind} {object_id}")
    place = len(rows) + 1
    connection.execute(
        text(
            "INSERT INTO approvals (object_kind, object_id, place, name_hash, name_sealed, name_source, reason_sealed,"  # noqa: S608 - our own words
            " approved_at, account_id, held) VALUES (:kind, :id, :place, :hash, :name, :source, :reason, :now, :account,"
            f" CASE WHEN CAST(:account AS text) IS NULL THEN NULL ELSE {HELD} END)"
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
            "account": sealed.account_id,
        },
    )
    return place


def drop_void(connection: Connection, object_kind: str, object_id: str) -> bool:
    """Delete the first word about an object that waits for a second one, if it counts no more; return whether it did."""
    gone = connection.execute(
        text(
            "DELETE FROM approvals w WHERE object_kind = :kind AND object_id = :id"  # noqa: S608 - our own words
            f" AND {_IS_OPEN} AND {VOID} RETURNING 1"
        ),
        {"kind": object_kind, "id": object_id},
    )
    return bool(gone.all())


def drop_void_of(connection: Connection, account_id: str) -> list[tuple[str, str]]:
    """Delete the first words of an account that wait for a second one and count no more; return kinds and ids of what they are about."""
    gone = connection.execute(
        text(
            f"DELETE FROM approvals w WHERE account_id = :account AND {_IS_OPEN} AND {VOID}"  # noqa: S608 - our own words
            " RETURNING object_kind, object_id"
        ),
        {"account": account_id},
    )
    return sorted((row.object_kind, row.object_id) for row in gone)


def void_of(connection: Connection, account_id: str, object_kind: str) -> list[str]:
    """Return about which objects of a kind the first word of an account waits and counts no more."""
    rows = connection.execute(
        text(
            "SELECT object_id FROM approvals w WHERE account_id = :account AND object_kind = :kind"  # noqa: S608 - our own words
            f" AND {_IS_OPEN} AND {VOID} ORDER BY object_id"
        ),
        {"account": account_id, "kind": object_kind},
    )
    return list(rows.scalars())


def open_about(connection: Connection, object_kind: str, begins: str) -> list[str]:
    """Return the ids of objects that begin so (`<begins>/...`) and have one word, of this kind, in order."""
    rows = connection.execute(
        text(
            "SELECT object_id FROM approvals w WHERE object_kind = :kind AND split_part(object_id, '/', 1) = :begins"  # noqa: S608 - our own words
            f" AND {_IS_OPEN} ORDER BY object_id"
        ),
        {"kind": object_kind, "begins": begins},
    )
    return list(rows.scalars())


def drop_old(connection: Connection, object_kind: str, begins: str, *, before: datetime) -> None:
    """Delete first words about what begins so that are older than a moment, or do not say what else they mean (`<begins>` alone)."""
    connection.execute(
        text(
            "DELETE FROM approvals w WHERE object_kind = :kind AND split_part(object_id, '/', 1) = :begins"  # noqa: S608 - our own words
            f" AND (approved_at < :before OR object_id = :begins) AND {_IS_OPEN}"
        ),
        {"kind": object_kind, "begins": begins, "before": before},
    )


def take_back(connection: Connection, cipher: FieldCipher, object_kind: str, object_id: str, *, name: str) -> None:
    """Take a person's first word back, as long as no second one was given.

    Raises:
        Refused: if they gave none, or two have decided.
    """
    sealed = seal_approver(cipher, name, of=f"{object_kind}:{object_id}")
    gone = connection.execute(
        text(
            "DELETE FROM approvals w WHERE object_kind = :kind AND object_id = :id AND name_hash = :hash"  # noqa: S608 - our own words
            f" AND {_IS_OPEN} RETURNING 1"
        ),
        {"kind": object_kind, "id": object_id, "hash": sealed.digest},
    )
    if not gone.all():
        raise Refused(f"{object_kind} {object_id}: no word of this person waits for a second one", code="no_word")


def is_first_word(connection: Connection, cipher: FieldCipher, object_kind: str, object_id: str, *, name: str) -> bool:
    """Return whether a person's word about an object waits for a second one, so that they may take it back."""
    sealed = seal_approver(cipher, name, of=f"{object_kind}:{object_id}")
    found = connection.execute(
        text(
            "SELECT 1 FROM approvals w WHERE object_kind = :kind AND object_id = :id AND name_hash = :hash"  # noqa: S608 - our own words
            f" AND {_IS_OPEN}"
        ),
        {"kind": object_kind, "id": object_id, "hash": sealed.digest},
    )
    return found.one_or_none() is not None


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
