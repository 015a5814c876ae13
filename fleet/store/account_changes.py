"""Changes of accounts that wait for a second administrator, as SQL; their words are in `fleet.store.approvals`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, text

OBJECT_KIND = "account_change"
"""Kind of object under which `fleet.store.approvals` has the words."""


@dataclass(frozen=True, slots=True)
class StoredChange:
    """A change as it was asked for."""

    change_id: str
    account_id: str
    action: str
    role: str | None
    area: str | None
    asked_by: str
    """Account of whoever asked."""
    asked_at: datetime


def add_change(connection: Connection, change: StoredChange) -> bool:
    """Store a change that waits; return False if the same is waiting already."""
    added = connection.execute(
        text(
            "INSERT INTO account_changes (change_id, account_id, action, role, area, asked_by, asked_at)"
            " VALUES (:change, :account, :action, :role, :area, :by, :at) ON CONFLICT DO NOTHING RETURNING 1"
        ),
        {
            "change": change.change_id,
            "account": change.account_id,
            "action": change.action,
            "role": change.role,
            "area": change.area,
            "by": change.asked_by,
            "at": change.asked_at,
        },
    )
    return added.scalar_one_or_none() is not None


def find_waiting(connection: Connection, change_id: str) -> StoredChange | None:
    """Return a change that waits, locked until the transaction ends; None if there is none, or it is decided."""
    row = connection.execute(
        text(f"{_SELECT} WHERE change_id = :id AND decided_at IS NULL FOR UPDATE"), {"id": change_id}
    ).one_or_none()
    return None if row is None else _change(row)


def waiting(connection: Connection, account_ids: Collection[str]) -> list[StoredChange]:
    """Return what waits about these accounts, the oldest first."""
    rows = connection.execute(
        text(f"{_SELECT} WHERE account_id = ANY(:ids) AND decided_at IS NULL ORDER BY asked_at, change_id"),
        {"ids": sorted(account_ids)},
    )
    return [_change(row) for row in rows]


def decide(connection: Connection, change_id: str, *, is_approved: bool, now: datetime) -> None:
    """Write down what became of a change."""
    connection.execute(
        text("UPDATE account_changes SET decided_at = :now, is_approved = :approved WHERE change_id = :id"),
        {"id": change_id, "approved": is_approved, "now": now},
    )


def use_link_word(connection: Connection, account_id: str, *, not_before: datetime, now: datetime) -> bool:
    """Use up the second person's word for one link of an account; return False if there is none of that time."""
    used = connection.execute(
        text(
            "UPDATE account_changes SET link_used_at = :now WHERE account_id = :id AND action IN ('add', 'reset', 'link')"
            " AND is_approved AND link_used_at IS NULL AND decided_at >= :not_before RETURNING 1"
        ),
        {"id": account_id, "not_before": not_before, "now": now},
    )
    return bool(used.all())


_SELECT = "SELECT change_id, account_id, action, role, area, asked_by, asked_at FROM account_changes"


def _change(row: Row[tuple[object, ...]]) -> StoredChange:
    return StoredChange(row.change_id, row.account_id, row.action, row.role, row.area, row.asked_by, row.asked_at)
