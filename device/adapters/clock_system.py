"""Time from the kernel, judged: what set the wall clock, and how far it may be off.

What the fleet signed and when the clock was last known to be right is remembered in a small file that the terminal and the
uplink share, because a Raspberry Pi before the 5 wakes up without any idea of the date.
"""

from __future__ import annotations

import ctypes
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from protocol.ids import BootId
from protocol.times import ClockSource, DeviceTime
from protocol.wire import UtcTime, WirePart

logger = logging.getLogger(__name__)

_MAX_DRIFT = 500e-6
"""Seconds a second; above this the kernel calls a clock unusable. Source: Linux include/linux/timex.h, MAXFREQ (500 ppm)."""
_TIMESYNCD_BOUND_S = 5.0
"""What systemd-timesyncd accepts as root distance. Source: timesyncd.conf(5), RootDistanceMaxSec=."""
_RTC_READ_S = 1.0
"""A hardware clock counts whole seconds."""
_STA_UNSYNC = 0x0040
"""Source: adjtimex(2)."""
_TIME_ERROR = 5
"""Return value of adjtimex for a clock that is not synchronised. Source: adjtimex(2)."""
_REMEMBER_EVERY = timedelta(minutes=1)
"""The file is on a memory card: it is not rewritten for every receipt."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNCD_MARK = Path("/run/systemd/timesync/synchronized")
_RTC_SET_CLOCK = Path("/sys/class/rtc/rtc0/hctosys")


@dataclass(frozen=True, slots=True)
class Readings:
    """What the kernel says at one moment."""

    boot_id: str
    monotonic_ns: int
    wall_clock: datetime
    network_bound_s: float | None
    """Bound on the error of a clock that a time service keeps; None when none does."""
    rtc_set_clock: bool
    """Whether a hardware clock gave the date at boot."""


class Anchor(WirePart):
    """A moment the fleet signed, tied to the monotonic clock of one boot."""

    boot_id: BootId
    monotonic_ns: int
    moment: UtcTime
    late_by_s: float | None
    """The true time at `monotonic_ns` is at most so much after `moment`; None when nothing bounds it."""

    def bound_s(self, monotonic_ns: int) -> float | None:
        """Return the bound at a later monotonic time of the same boot."""
        return (
            None if self.late_by_s is None else self.late_by_s + (monotonic_ns - self.monotonic_ns) / 1e9 * _MAX_DRIFT
        )


class Memory(WirePart):
    """What is remembered across starts."""

    newest_fleet_time: UtcTime | None = None
    anchor: Anchor | None = None
    synchronised_at: UtcTime | None = None
    """Last wall-clock time at which a time service kept the clock."""


def judge(readings: Readings, memory: Memory) -> DeviceTime:
    """Return the best statement about now: a time service, else the tightest of hardware clock and fleet, else nothing."""
    if readings.network_bound_s is not None:
        return _device_time(readings, memory, readings.wall_clock, ClockSource.NETWORK, readings.network_bound_s)
    statements: list[tuple[datetime, ClockSource, float | None]] = []
    if (anchor := memory.anchor) is not None and anchor.boot_id == readings.boot_id:
        elapsed = timedelta(microseconds=(readings.monotonic_ns - anchor.monotonic_ns) // 1000)
        statements.append((anchor.moment + elapsed, ClockSource.FLEET, anchor.bound_s(readings.monotonic_ns)))
    if (rtc_bound := _rtc_bound_s(readings, memory)) is not None:
        statements.append((readings.wall_clock, ClockSource.RTC, rtc_bound))
    if not statements:
        return _device_time(readings, memory, readings.wall_clock, ClockSource.NONE, None)
    wall, source, bound = min(statements, key=lambda found: float("inf") if found[2] is None else found[2])
    return _device_time(readings, memory, wall, source, bound)


def read_system() -> Readings:
    """Ask the kernel."""
    return Readings(
        boot_id=_BOOT_ID.read_text(encoding="ascii").strip().replace("-", ""),
        monotonic_ns=time.monotonic_ns(),
        wall_clock=datetime.fromtimestamp(time.time(), UTC),
        network_bound_s=_kernel_bound_s() if (bound := _timesyncd_bound_s()) is None else bound,
        rtc_set_clock=_first_byte(_RTC_SET_CLOCK) == b"1",
    )


class SystemClock:
    """See `device.ports.Clock`.

    Args:
        path: the file of what is remembered; a damaged one counts as none.
        read: asks for the readings.
    """

    def __init__(self, path: Path, *, read: Callable[[], Readings] = read_system) -> None:
        self._path = path
        self._read = read
        self._memory = Memory()
        self._stamp: tuple[int, int] | None = None
        self._write_failed = False

    def monotonic_ns(self) -> int:
        """Return monotonic nanoseconds of this boot."""
        return self._read().monotonic_ns

    def now(self) -> DeviceTime:
        """Return the moment with everything known about its worth."""
        readings = self._read()
        memory = self._recall()
        if readings.network_bound_s is not None and _is_older(memory.synchronised_at, readings.wall_clock):
            self._remember(memory.model_copy(update={"synchronised_at": readings.wall_clock}))
        return judge(readings, memory)

    def note_fleet_time(self, moment: datetime, *, after_ns: int | None = None) -> None:
        """Remember a moment the fleet signed, as lower bound of the true time and, if it is a tighter one, as anchor."""
        readings = self._read()
        memory = self._recall()
        late_by_s = None if after_ns is None else max(0.0, (readings.monotonic_ns - after_ns) / 1e9)
        fresh = Anchor(boot_id=readings.boot_id, monotonic_ns=readings.monotonic_ns, moment=moment, late_by_s=late_by_s)
        changes: dict[str, object] = {}
        if _is_better(fresh, memory.anchor):
            changes["anchor"] = fresh
        if _is_older(memory.newest_fleet_time, moment):
            changes["newest_fleet_time"] = moment
        if changes:
            self._remember(memory.model_copy(update=changes))

    def _recall(self) -> Memory:
        try:
            found = self._path.stat()
        except OSError:
            return self._memory
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._memory = Memory.model_validate_json(self._path.read_bytes())
            except (OSError, ValidationError) as error:
                logger.warning("remembered time cannot be read file=%s error=%s", self._path.name, type(error).__name__)
        return self._memory

    def _remember(self, memory: Memory) -> None:
        self._memory = memory
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Terminal and uplink may both write: each through a file of its own, the last one stays.
            fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
            with fresh.open("w", encoding="utf-8") as file:
                file.write(memory.model_dump_json())
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            if not self._write_failed:
                logger.warning("time cannot be remembered file=%s reason=%s", self._path.name, error.strerror)
            self._write_failed = True
        else:
            self._write_failed = False


def _device_time(
    readings: Readings, memory: Memory, wall: datetime, source: ClockSource, bound_s: float | None
) -> DeviceTime:
    return DeviceTime(
        boot_id=readings.boot_id,
        monotonic_ns=readings.monotonic_ns,
        wall_clock=wall,
        source=source,
        uncertainty_s=bound_s,
        last_fleet_time=memory.newest_fleet_time,
    )


def _rtc_bound_s(readings: Readings, memory: Memory) -> float | None:
    """Bound a hardware clock by the drift since it was last seen to be right; None when it has lost the date."""
    right_at = memory.synchronised_at
    floor = max((t for t in (right_at, memory.newest_fleet_time) if t is not None), default=None)
    if not readings.rtc_set_clock or right_at is None or floor is None or readings.wall_clock < floor:
        return None
    return _RTC_READ_S + (readings.wall_clock - right_at).total_seconds() * _MAX_DRIFT


def _is_better(fresh: Anchor, known: Anchor | None) -> bool:
    if known is None or known.boot_id != fresh.boot_id or known.late_by_s is None:
        return True
    drifted = known.bound_s(fresh.monotonic_ns)
    return fresh.late_by_s is not None and drifted is not None and fresh.late_by_s < drifted / 2


def _is_older(known: datetime | None, moment: datetime) -> bool:
    return known is None or moment - known >= _REMEMBER_EVERY


def _timesyncd_bound_s() -> float | None:
    # timesyncd touches the file at every answer; it is in memory, so it is of this boot.
    try:
        age_s = max(0.0, time.time() - _TIMESYNCD_MARK.stat().st_mtime)
    except OSError:
        return None
    return _TIMESYNCD_BOUND_S + age_s * _MAX_DRIFT


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


def _kernel_bound_s() -> float | None:
    libc = ctypes.CDLL(None, use_errno=True)
    found = _Timex()
    # modes = 0 only reads, which needs no privilege; a sandbox may forbid it all the same.
    result = libc.adjtimex(ctypes.byref(found))
    if result in {-1, _TIME_ERROR} or found.status & _STA_UNSYNC:
        return None
    return float(found.maxerror) / 1e6


def _first_byte(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(1)
    except OSError:
        return b""
