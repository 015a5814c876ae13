"""Asks the kernel for the time and how good it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from device.adapters.clock_system.judging import MAX_DRIFT, Readings
from protocol.system_clock import UNSYNCHRONISED, kernel_bound_s, timesyncd_stamp

_TIMESYNCD_BOUND_S = 5.0
"""What systemd-timesyncd accepts as root distance. Source: timesyncd.conf(5), RootDistanceMaxSec=."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_CLOCKS = Path("/sys/class/rtc")
"""A board may have several: a Pi 5 its own and one on the I2C bus."""


def read_system() -> Readings:
    """Ask the kernel."""
    stamp = timesyncd_stamp()
    return Readings(
        boot_id=_BOOT_ID.read_text(encoding="ascii").strip().replace("-", ""),
        monotonic_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
        wall_clock=datetime.fromtimestamp(time.time(), UTC),
        network_bound_s=_network_bound_s(stamp),
        rtc_set_clock=any(_first_byte(clock) == b"1" for clock in _CLOCKS.glob("*/hctosys")),
        network_stamp=stamp,
    )


def _network_bound_s(stamp: int | None) -> float | None:
    """Bound the wall clock's error by the kernel's word and, where timesyncd keeps the clock, by its mark.

    Whoever sets the clock by hand makes the kernel call it unsynchronised until a time service answers again (Linux
    kernel/time/timekeeping.c, TK_CLEAR_NTP). Where asking is forbidden, the mark alone counts.
    """
    kernel = kernel_bound_s()
    if kernel is UNSYNCHRONISED:
        return None
    if stamp is None:
        return kernel
    age_s = max(0.0, time.time() - stamp / 1e9)
    return _TIMESYNCD_BOUND_S + age_s * MAX_DRIFT


def _first_byte(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(1)
    except OSError:
        return b""
