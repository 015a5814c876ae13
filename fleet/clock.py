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


def told_in(moment: datetime, zone: tzinfo) -> str:
    """Return a moment to the minute as it is told where the agency is, with the name of the zone and how far it is from UTC."""
    local = moment.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M} ({zone_told(local, zone)})"


def zone_told(moment: datetime, zone: tzinfo) -> str:
    """Return a zone's name and how far it is from UTC at a moment, such as `Asia/Shanghai, UTC+08:00`."""
    offset = f"{moment.astimezone(zone):%z}"
    told = f"UTC{offset[:3]}:{offset[3:5]}"
    return told if str(zone).startswith("UTC") else f"{zone}, {told}"


def day_of(moment: datetime, zone: tzinfo) -> date:
    """Return the calendar day of a moment where the agency is."""
    return moment.astimezone(zone).date()
