"""Time from the kernel, judged: what set the wall clock, and how far it may be off.

What the fleet signed and when the clock was last known to be right is remembered in a small file that the terminal and the
uplink share, because a Raspberry Pi before the 5 wakes up without any idea of the date.

Time that passes is measured by the clock of the boot that nobody can set (CLOCK_BOOTTIME, which also runs while the board sleeps). What a
time service, the hardware clock or the fleet said is tied to it, so a wall clock that is set by hand to 1970 or 2099 changes nothing
but the count of jumps. Steering of the rate moves both clocks alike; only a step sets them apart.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from device.adapters.clock_system.judging import (
    MAX_DRIFT,
    Anchor,
    Course,
    Memory,
    Readings,
    answer,
    is_better,
    is_older,
    judge,
    not_before,
    risen_floor,
    watch,
)
from device.adapters.clock_system.kernel import read_system
from device.whole_file import write_whole
from protocol.times import DeviceTime

__all__ = ["Readings", "SystemClock", "moment_of_system", "read_system"]

logger = logging.getLogger(__name__)


def moment_of_system() -> DeviceTime:
    """Return the moment with what this computer alone says of it, for a command that remembers nothing and writes no file."""
    return judge(read_system(), Memory())


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
        memory = self._look(readings)
        return judge(readings, memory)

    def peek(self) -> DeviceTime:
        """Return the moment as `now` does, and write nothing: for a check."""
        readings = self._read()
        return judge(readings, self._known(readings, self._recall())[0])

    def note_fleet_time(self, moment: datetime, *, after_ns: int | None = None) -> None:
        """Remember a moment the fleet signed, as lower bound of the true time and, if it is a tighter one, as anchor."""
        readings = self._read()
        memory = self._look(readings)
        # The clock of the boot may run slow.
        late_by_s = None if after_ns is None else max(0.0, (readings.monotonic_ns - after_ns) / 1e9) * (1 + MAX_DRIFT)
        fresh = Anchor(boot_id=readings.boot_id, monotonic_ns=readings.monotonic_ns, moment=moment, late_by_s=late_by_s)
        changes: dict[str, object] = {}
        if is_better(fresh, memory.anchor):
            changes["anchor"] = fresh
        if is_older(memory.newest_fleet_time, moment):
            changes["newest_fleet_time"] = moment
        floor = not_before(readings, memory)
        if late_by_s is not None and floor is not None and floor > moment + timedelta(seconds=late_by_s):
            # A clock that was trusted once had gone ahead; the fleet's answer says so.
            changes["floor"] = fresh
        elif (risen := risen_floor(readings, memory.model_copy(update=changes))) is not None:
            changes["floor"] = risen
        if changes:
            self._remember(memory.model_copy(update=changes))

    def _look(self, readings: Readings) -> Memory:
        """Note what these readings tell: jumps, a time service's answer, the time that has passed; return what is known now."""
        memory = self._recall()
        known, course = self._known(readings, memory)
        if course != memory.course:
            self._report(course, memory.course)
        if known is not memory:
            self._remember(known)
        return known

    def _known(self, readings: Readings, memory: Memory) -> tuple[Memory, Course]:
        """Return what is remembered with what these readings add to it, the same object if nothing; and the clock's course."""
        changes: dict[str, object] = {}
        course = watch(readings, memory)
        if course != memory.course:
            changes["course"] = course
        if (service := answer(readings, memory)) is not None:
            changes |= {"service": service, "synchronised_at": service.moment}
        known = memory.model_copy(update=changes)
        if (floor := risen_floor(readings, known)) is not None:
            changes["floor"] = floor
        return (memory.model_copy(update=changes) if changes else memory), course

    def _report(self, course: Course, before: Course | None) -> None:
        jumps_before = before.jumps if before is not None and before.boot_id == course.boot_id else 0
        if course.jumps > jumps_before and course.last is not None:
            jump = course.last
            logger.warning(
                "clock jumped direction=%s seconds=%.0f at_start=%s", jump.direction, jump.seconds, jump.at_start
            )

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
            write_whole(self._path, memory.model_dump_json().encode())
        except OSError as error:
            if not self._write_failed:
                logger.warning("time cannot be remembered file=%s reason=%s", self._path.name, error.strerror)
            self._write_failed = True
        else:
            self._write_failed = False
