"""Whether something keeps the computer's clock: what the kernel and systemd-timesyncd say of it. Nothing is remembered or set here."""

from __future__ import annotations

import ctypes
import math
from pathlib import Path
from typing import Final

_STA_UNSYNC: Final = 0x0040
"""Source: adjtimex(2)."""
_TIME_ERROR: Final = 5
"""Return value of adjtimex for a clock that is not synchronised. Source: adjtimex(2)."""
_TIMESYNCD_MARK: Final = Path("/run/systemd/timesync/synchronized")
UNSYNCHRONISED: Final = math.inf
"""The kernel says that nothing keeps the clock."""


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


def kernel_bound_s() -> float | None:
    """Return the kernel's bound on its clock's error in seconds; `UNSYNCHRONISED` when nothing keeps it, None when it cannot be asked."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError, TypeError):
        # No Linux: a technician's own computer.
        return None
    found = _Timex()
    # modes = 0 only reads, which needs no privilege; a sandbox may forbid it all the same.
    result = adjtimex(ctypes.byref(found))
    if result == -1:
        return None
    if result == _TIME_ERROR or found.status & _STA_UNSYNC:
        return UNSYNCHRONISED
    return float(found.maxerror) / 1e6


def timesyncd_stamp() -> int | None:
    """Return nanoseconds since 1970 of timesyncd's last answer in this boot; None when there was none, or it is not in use."""
    # timesyncd touches the file at every answer; it is in memory, so it is of this boot.
    try:
        return _TIMESYNCD_MARK.stat().st_mtime_ns
    except OSError:
        return None


def is_kept() -> bool:
    """Say whether a time service keeps the clock; False where nobody can be asked.

    Whoever sets the clock by hand makes the kernel call it unsynchronised until a time service answers again (Linux
    kernel/time/timekeeping.c, TK_CLEAR_NTP). Where asking the kernel is forbidden, timesyncd's mark alone counts.
    """
    bound_s = kernel_bound_s()
    return timesyncd_stamp() is not None if bound_s is None else bound_s != UNSYNCHRONISED
