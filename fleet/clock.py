"""The fleet's clock and calendar: the only place of the fleet that asks for the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo

Clock = Callable[[], datetime]
"""Gives the present moment in UTC."""


def system_clock() -> datetime:
    """Return the present moment in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


def monotonic_s() -> float:
    """Return seconds since some moment, for deadlines; never goes back."""
    return time.monotonic()


def day_of(moment: datetime, zone: tzinfo) -> date:
    """Return the calendar day of a moment where the agency is."""
    return moment.astimezone(zone).date()
