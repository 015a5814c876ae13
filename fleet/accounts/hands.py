"""PURE. Two accounts that one person may have in hand: whoever made an account, reset it or made its link could be both of two persons.

For some time after that neither gives the second word where the first was the other's. What is done at the server's keyboard counts for
nobody: whoever has the server is a second person everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Hand:
    """Somebody made an account, reset it, or made a link for it."""

    account_id: str
    by_account_id: str
    at: datetime


def bound_to(account_id: str, hands: Iterable[Hand], *, term: timedelta, now: datetime) -> frozenset[str]:
    """Return after whose first words an account gives no second one."""
    return frozenset(
        other
        for each in hands
        if now - each.at < term
        for one, other in ((each.account_id, each.by_account_id), (each.by_account_id, each.account_id))
        if one == account_id != other
    )
