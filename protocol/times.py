"""What a terminal knows about the time, and what that is worth.

A Raspberry Pi before the 5 has no clock of its own. A record therefore carries the wall clock, how it was set, how far it
may be off, the monotonic time inside this boot, and the last moment the fleet signed. The fleet brackets the true moment from these.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Literal

from pydantic import Field

from protocol.ids import BootId
from protocol.wire import UtcTime, WirePart

_CHINA = timezone(timedelta(hours=8))


class ClockSource(StrEnum):
    """What set the wall clock."""

    NETWORK = "network"
    """A time service answered since this boot."""
    RTC = "rtc"
    """A battery-backed clock; right within its drift."""
    FLEET = "fleet"
    """No time service; the fleet's signed time of this boot plus monotonic time since."""
    NONE = "none"
    """Nothing vouches for the wall clock."""


class ClockJump(WirePart):
    """A change of the wall clock that time itself did not make."""

    direction: Literal["forward", "backward"]
    seconds: float = Field(gt=0)
    """How far; at a start, how far at least."""
    at_start: bool = False
    """Whether it was found when the board started, against what was remembered; else it happened while the board ran."""


class DeviceTime(WirePart):
    """One moment as the terminal saw it."""

    boot_id: BootId
    monotonic_ns: int = Field(ge=0)
    """Nanoseconds on the clock of this boot that nobody sets and that also runs while the board sleeps."""
    wall_clock: UtcTime
    source: ClockSource
    uncertainty_s: float | None = Field(default=None, ge=0)
    """Bound on the wall clock's error in seconds; None when nothing bounds it."""
    last_fleet_time: UtcTime | None = None
    """Newest moment signed by the fleet that this terminal has seen: the true time is not before it."""
    not_before: UtcTime | None = None
    """The true time is not before this moment by all the terminal knows: besides the fleet's time what its clock was when something vouched
    for it, and the time it has been switched on since. None when nothing is known."""
    jumps: int = Field(default=0, ge=0)
    """How often the wall clock jumped in this boot, its start included."""
    last_jump: ClockJump | None = None
    """The newest of them."""


def agency_day(moment: DeviceTime) -> date:
    """Return the day that a moment has for the agency, whose days are those of China's time, by the best guess there is."""
    return at_agency(best_guess(moment))


def at_agency(moment: datetime) -> date:
    """Return the day that a moment with a time zone has for the agency."""
    return moment.astimezone(_CHINA).date()


def best_guess(moment: DeviceTime) -> datetime:
    """Return the moment to reckon with where something expires: a wall clock that nothing bounds makes nothing expire by itself.

    Such a clock may stand in 1970 or 2099; what is certain is the time that has passed at least.
    """
    if moment.uncertainty_s is not None:
        return max(moment.wall_clock, moment.last_fleet_time or moment.wall_clock)
    known = [found for found in (moment.not_before, moment.last_fleet_time) if found is not None]
    return max(known, default=moment.wall_clock)


def is_within_hours(from_hour: int | None, until_hour: int | None, hour: int | None) -> bool:
    """Say whether an hour of the day lies in a window.

    Args:
        from_hour: 0..23; None: at any time.
        until_hour: 0..23, not included; before `from_hour` where the night lies between, and the same for the whole day.
        hour: 0..23 of the day of whoever chose the window; None where nothing vouches for the clock: then always, or it might never be.
    """
    if from_hour is None or until_hour is None or hour is None or from_hour == until_hour:
        return True
    if from_hour < until_hour:
        return from_hour <= hour < until_hour
    return hour >= from_hour or hour < until_hour
