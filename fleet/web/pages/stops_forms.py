"""What forms of stops have typed into them, and where a benefit has its page."""

from __future__ import annotations

from datetime import date
from urllib.parse import urlencode

from fleet.errors import Refused
from fleet.web.visits import Visit

TYPED = frozenset(
    {
        "proof_missing",
        "too_early",
        "day_to_come",
        "day_unusable",
        "text_unusable",
        "no_month",
        "before_proposed_month",
        "before_stopped_month",
        "reason_missing",
        "choice_missing",
    }
)
"""Refusals of what was typed; all others are of the state."""


def day_in(visit: Visit, name: str) -> date:
    """Return the day that was typed into a field, today if it was left empty; raises Refused."""
    written = visit.sent.text(name)
    if not written:
        return visit.today
    try:
        return date.fromisoformat(written)
    except ValueError as error:
        raise Refused("no day", code="day_unusable") from error


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
