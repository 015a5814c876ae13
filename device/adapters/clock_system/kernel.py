"""Asks the kernel for the time and how good it is."""

from __future__ import annotations

import ctypes
import math
import time
from datetime import UTC, datetime
from pathlib import Path

from device.adapters.clock_system.judging import MAX_DRIFT, Readings

_TIMESYNCD_BOUND_S = 5.0
"""What systemd-timesyncd accepts as root distance. Source: timesyncd.conf(5), RootDistanceMaxSec=."""
_STA_UNSYNC = 0x0040
"""Source: adjtimex(2)."""
_TIME_ERROR = 5
"""Return value of adjtimex for a clock that is not synchronised. Source: adjtimex(2)."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNCD_MARK = Path("/run/systemd/timesync/synchronized")
_CLOCKS = Path("/sys/class/rtc")
"""A board may have several: a Pi 5 its own and one on the I2C bus."""


def read_system() -> Readings:
    """Ask the kernel."""
    stamp = _timesyncd_stamp()
    return Readings(
        boot_id=_BOOT_ID.read_text(encoding="ascii").strip().replace("-", ""),
        monotonic_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
        wall_clock=datetime.fromtimestamp(time.time(), UTC),
        network_bound_s=_network_bound_s(stamp),
        rtc_set_clock=any(_first_byte(clock) == b"1" for clock in _CLOCKS.glob("*/hctosys")),
        network_stamp=stamp,
    )


def _timesyncd_stamp() -> int | None:
    # timesyncd touches the file at every answer; it is in memory, so it is of this boot.
    try:
        return _TIMESYNCD_MARK.stat().st_mtime_ns
    except OSError:
        return None


def _network_bound_s(stamp: int | None) -> float | None:
    """Bound the wall clock's error by the kernel's word and, where timesyncd keeps the clock, by its mark.

    Whoever sets the clock by hand makes the kernel call it unsynchronised until a time service answers again (Linux
    kernel/time/timekeeping.c, TK_CLEAR_NTP). Where asking is forbidden, the mark alone counts.
    """
    kernel = _kernel_bound_s()
    if kernel is _UNSYNCHRONISED:
        return None
    if stamp is None:
        return kernel
    age_s = max(0.0, time.time() - stamp / 1e9)
    return _TIMESYNCD_BOUND_S + age_s * MAX_DRIFT


class _Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2), as far as it is read; the rest is room for the kernel to write."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


_UNSYNCHRONISED = math.inf
"""The kernel says that nothing keeps the clock."""


def _kernel_bound_s() -> float | None:
    """Return the kernel's bound; `_UNSYNCHRONISED` when nothing keeps the clock, None when it may not be asked."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = _Timex()
    # modes = 0 only reads, which needs no privilege; a sandbox may forbid it all the same.
    result = libc.adjtimex(ctypes.byref(found))
    if result == -1:
        return None
    if result == _TIME_ERROR or found.status & _STA_UNSYNC:
        return _UNSYNCHRONISED
    return float(found.maxerror) / 1e6


def _first_byte(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(1)
    except OSError:
        return b""
