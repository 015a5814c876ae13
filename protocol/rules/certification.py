"""Whether a subject is certified on a date, worked out from the last pass."""

from __future__ import annotations

import calendar
from datetime import date
from enum import StrEnum

from protocol.rules.pack import RulePack


class CertificationState(StrEnum):
    """A subject's certification status on a date."""

    NEVER_CERTIFIED = "never_certified"
    CERTIFIED = "certified"
    OVERDUE = "overdue"


def add_months(day: date, months: int) -> date:
    """Return the same day of the month `months` later, or that month's last day if it is shorter."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def certified_until(last_pass: date, pack: RulePack) -> date:
    """Return the last day on which a pass still certifies; that day is included. Source: R2-5."""
    return add_months(last_pass, pack.months_since_last_pass)


def certification_state(last_pass: date | None, today: date, pack: RulePack) -> CertificationState:
    """Return the status on `today`."""
    if last_pass is None:
        return CertificationState.NEVER_CERTIFIED
    if today <= certified_until(last_pass, pack):
        return CertificationState.CERTIFIED
    return CertificationState.OVERDUE
