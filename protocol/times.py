"""What a terminal knows about the time, and what that is worth.

A Raspberry Pi before the 5 has no clock of its own. A record therefore carries the wall clock, how it was set, how far it
may be off, the monotonic time inside this boot, and the last moment the fleet signed. The fleet brackets the true moment from these.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from protocol.ids import BootId
from protocol.wire import UtcTime, WirePart


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


class DeviceTime(WirePart):
    """One moment as the terminal saw it."""

    boot_id: BootId
    monotonic_ns: int = Field(ge=0)
    """Nanoseconds on the monotonic clock of this boot."""
    wall_clock: UtcTime
    source: ClockSource
    uncertainty_s: float | None = Field(default=None, ge=0)
    """Bound on the wall clock's error in seconds; None when nothing bounds it."""
    last_fleet_time: UtcTime | None = None
    """Newest moment signed by the fleet that this terminal has seen: the true time is not before it."""
