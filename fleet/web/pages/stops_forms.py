"""What all pages of stops need: whose they are, what forms have typed into them, and where a benefit has its page."""

from __future__ import annotations

from datetime import date
from urllib.parse import urlencode

from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.benefits.guard import StopGuard
from fleet.errors import Refused
from fleet.web.visits import Visit

LOOK = Permission.STOPS
PREPARE, DECIDE = Permission.STOPS_PREPARE, Permission.STOPS_APPROVE
BOTH = (PREPARE, DECIDE)
TYPED = frozenset(
    {
        "proof_missing",
        "too_early",
        "day_to_come",
        "day_unusable",
        "text_unusable",
        "no_month",
        "month_past",
        "month_far",
        "before_proposed_month",
        "before_stopped_month",
        "reason_missing",
        "choice_missing",
    }
)
"""Refusals of what was typed; all others are of the state."""


def month_in(written: str) -> date | None:
    """Return the first day of a month written as `2026-12`; None if nothing is written; raises Refused."""
    if not written:
        return None
    try:
        return date.fromisoformat(f"{written}-01")
    except ValueError as error:
        raise Refused("no month", code="no_month") from error


def address_of(subject_id: str, scheme: str) -> str:
    """Return the address of a benefit's page."""
    return f"/stops/{subject_id}?{urlencode({'scheme': scheme})}"


def guard_of(visit: Visit, connection: Connection) -> StopGuard:
    """Return what does the steps, in a transaction of this visit's."""
    return StopGuard(connection, visit.cipher, now=visit.now, zone=visit.zone)
