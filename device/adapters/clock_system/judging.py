"""What the readings of the kernel and what is remembered say about the time; nothing here reads a clock or a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from protocol.ids import BootId
from protocol.times import ClockJump, ClockSource, DeviceTime
from protocol.wire import UtcTime, WirePart

MAX_DRIFT = 500e-6
"""Seconds a second; above this the kernel calls a clock unusable. Source: Linux include/linux/timex.h, MAXFREQ (500 ppm)."""
_RTC_READ_S = 1.0
"""A hardware clock counts whole seconds."""
_REMEMBER_EVERY = timedelta(minutes=1)
"""The file is on a memory card: it is not rewritten for every receipt."""
_REMEMBER_FLOOR_EVERY = timedelta(minutes=15)
"""Of the time that the board has been on, so much is forgotten at most when the power fails."""
_LEAST_JUMP = timedelta(seconds=2)
"""A leap second is one, and the two clocks are read one after the other; a certification is counted in days."""
_LONGEST_PAUSE = timedelta(days=400)
"""A board that wakes up later than this after all it remembers has no clock to be believed. Chosen: more than a year in a cupboard."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Readings:
    """What the kernel says at one moment."""

    boot_id: str
    monotonic_ns: int
    """Of CLOCK_BOOTTIME."""
    wall_clock: datetime
    network_bound_s: float | None
    """Bound on the error of a clock that a time service keeps; None when none does."""
    rtc_set_clock: bool
    """Whether a hardware clock gave the date at boot."""
    network_stamp: int | None = None
    """Changes whenever the time service answers; None when it leaves no mark."""

    @property
    def offset_us(self) -> int:
        """What the wall clock shows more than the clock of the boot, in microseconds since 1970."""
        return (self.wall_clock - _EPOCH) // _MICROSECOND - self.monotonic_ns // 1000


class Anchor(WirePart):
    """A moment that somebody vouched for, tied to the clock of one boot."""

    boot_id: BootId
    monotonic_ns: int
    moment: UtcTime
    late_by_s: float | None
    """The true time at `monotonic_ns` is at most so much away from `moment`; None when nothing bounds it."""
    stamp: int | None = None
    """`Readings.network_stamp` of then, if a time service vouched."""

    def at(self, monotonic_ns: int) -> datetime:
        """Return the moment at another time of the same boot."""
        return self.moment + timedelta(microseconds=(monotonic_ns - self.monotonic_ns) // 1000)

    def bound_s(self, monotonic_ns: int) -> float | None:
        """Return the bound at a later time of the same boot."""
        return None if self.late_by_s is None else self.late_by_s + (monotonic_ns - self.monotonic_ns) / 1e9 * MAX_DRIFT


class Course(WirePart):
    """How the wall clock of one boot stood to the clock of the boot."""

    boot_id: BootId
    first_us: int
    """`Readings.offset_us` when it was first seen."""
    offset_us: int
    """The same after the newest jump."""
    jumps: int = 0
    last: ClockJump | None = None


class Memory(WirePart):
    """What is remembered across starts."""

    newest_fleet_time: UtcTime | None = None
    anchor: Anchor | None = None
    """What the fleet signed."""
    synchronised_at: UtcTime | None = None
    """Last wall-clock time at which a time service kept the clock."""
    service: Anchor | None = None
    """The same, tied to its boot."""
    course: Course | None = None
    floor: Anchor | None = None
    """The true time was not before this."""


@dataclass(frozen=True, slots=True)
class _Statement:
    """What one source says the time is."""

    wall_clock: datetime
    source: ClockSource
    bound_s: float | None


def judge(readings: Readings, memory: Memory) -> DeviceTime:
    """Return the best statement about now: a time service, else the tightest of what is remembered and the hardware clock, else nothing.

    A statement that ends before what the fleet signed is wrong and is left out.
    """
    found = _statement(readings, memory)
    floor = not_before(readings, memory)
    if found.bound_s is not None:
        least = _earlier(found.wall_clock, found.bound_s)
        floor = least if floor is None else max(floor, least)
    course = memory.course if memory.course is not None and memory.course.boot_id == readings.boot_id else None
    return DeviceTime(
        boot_id=readings.boot_id,
        monotonic_ns=readings.monotonic_ns,
        wall_clock=found.wall_clock,
        source=found.source,
        uncertainty_s=found.bound_s,
        last_fleet_time=memory.newest_fleet_time,
        not_before=floor,
        jumps=0 if course is None else course.jumps,
        last_jump=None if course is None else course.last,
    )


def not_before(readings: Readings, memory: Memory) -> datetime | None:
    """Return the moment before which now is not, from what is remembered and the time this boot has run; None when nothing is known."""
    known = [] if memory.newest_fleet_time is None else [memory.newest_fleet_time]
    if (floor := memory.floor) is not None:
        # Of another boot: all of this one came after.
        since_ns = readings.monotonic_ns - (floor.monotonic_ns if floor.boot_id == readings.boot_id else 0)
        known.append(floor.moment + timedelta(seconds=max(0, since_ns) / 1e9 * (1 - MAX_DRIFT)))
    return max(known, default=None)


def watch(readings: Readings, memory: Memory) -> Course:
    """Return how the wall clock has gone up to now, with the jump that is found in these readings, if there is one."""
    course = memory.course
    if course is None or course.boot_id != readings.boot_id:
        jump = _jump_at_start(readings, memory)
        offset = readings.offset_us
        return Course(
            boot_id=readings.boot_id, first_us=offset, offset_us=offset, jumps=int(jump is not None), last=jump
        )
    # The offset stays that of the newest jump: many small steps add up to one.
    moved = timedelta(microseconds=readings.offset_us - course.offset_us)
    if abs(moved) < _LEAST_JUMP:
        return course
    changes = {"offset_us": readings.offset_us, "jumps": course.jumps + 1, "last": _jump(moved)}
    return course.model_copy(update=changes)


def _statement(readings: Readings, memory: Memory) -> _Statement:
    floor = memory.newest_fleet_time
    direct = _direct(readings, memory)
    if direct is not None and not _ends_before(direct, floor):
        return direct
    candidates = [*_remembered(readings, memory)]
    if (hardware := _hardware(readings, memory)) is not None:
        candidates.append(hardware)
    candidates = [found for found in candidates if not _ends_before(found, floor)]
    nothing = _Statement(readings.wall_clock, ClockSource.NONE, None)
    return min(candidates, key=lambda found: float("inf") if found.bound_s is None else found.bound_s, default=nothing)


def _direct(readings: Readings, memory: Memory) -> _Statement | None:
    """Return what a time service says now; None when the wall clock was set by somebody else since its last answer."""
    if readings.network_bound_s is None:
        return None
    said = memory.service
    if said is not None and said.boot_id == readings.boot_id and said.stamp == readings.network_stamp is not None:
        moved = readings.wall_clock - said.at(readings.monotonic_ns)
        if abs(moved) >= _LEAST_JUMP:
            return None
    return _Statement(readings.wall_clock, ClockSource.NETWORK, readings.network_bound_s)


def _remembered(readings: Readings, memory: Memory) -> Iterator[_Statement]:
    for anchor, source in ((memory.service, ClockSource.NETWORK), (memory.anchor, ClockSource.FLEET)):
        if anchor is not None and anchor.boot_id == readings.boot_id:
            yield _Statement(anchor.at(readings.monotonic_ns), source, anchor.bound_s(readings.monotonic_ns))


def _hardware(readings: Readings, memory: Memory) -> _Statement | None:
    """Bound a hardware clock by the drift since it was last seen to be right; None when it has lost the date.

    It is asked once, at the start, so its time goes on with the clock of the boot, whatever became of the wall clock since.
    """
    right_at, course = memory.synchronised_at, memory.course
    if not readings.rtc_set_clock or right_at is None:
        return None
    wall = readings.wall_clock
    if course is not None and course.boot_id == readings.boot_id:
        if course.last is not None and course.last.at_start:
            return None
        wall = _EPOCH + timedelta(microseconds=course.first_us + readings.monotonic_ns // 1000)
    floor = right_at if memory.newest_fleet_time is None else max(right_at, memory.newest_fleet_time)
    if wall < floor:
        return None
    # The kernel sets the hardware clock while a service keeps the wall clock, so it was as right as that.
    said = memory.service
    base_s = said.late_by_s if said is not None and said.moment == right_at and said.late_by_s is not None else 0.0
    return _Statement(wall, ClockSource.RTC, _RTC_READ_S + base_s + (wall - right_at).total_seconds() * MAX_DRIFT)


def answer(readings: Readings, memory: Memory) -> Anchor | None:
    """Return what a time service says, if it is worth remembering beside what is."""
    found = _direct(readings, memory)
    if found is None or _ends_before(found, memory.newest_fleet_time):
        return None
    known = memory.service
    if known is not None and known.boot_id == readings.boot_id:
        is_moved = abs(readings.wall_clock - known.at(readings.monotonic_ns)) >= _LEAST_JUMP
        is_new = known.stamp != readings.network_stamp or readings.wall_clock - known.moment >= _REMEMBER_EVERY
        if not is_moved and not is_new:
            return None
    return Anchor(
        boot_id=readings.boot_id,
        monotonic_ns=readings.monotonic_ns,
        moment=found.wall_clock,
        late_by_s=found.bound_s,
        stamp=readings.network_stamp,
    )


def risen_floor(readings: Readings, memory: Memory) -> Anchor | None:
    """Return the floor of now, if it is worth remembering; a floor that a time service contradicts is put right."""
    known = not_before(readings, memory)
    found = _statement(readings, memory)
    floor = known
    if found.bound_s is not None:
        least, most = _earlier(found.wall_clock, found.bound_s), found.wall_clock + timedelta(seconds=found.bound_s)
        is_too_high = known is not None and known > most and found.source is ClockSource.NETWORK
        floor = least if known is None or is_too_high else max(known, least)
    if floor is None:
        return None
    old = memory.floor
    if old is not None and old.boot_id == readings.boot_id:
        risen = floor - old.moment
        if timedelta(0) <= risen < _REMEMBER_FLOOR_EVERY:
            return None
    return Anchor(boot_id=readings.boot_id, monotonic_ns=readings.monotonic_ns, moment=floor, late_by_s=None)


def _jump_at_start(readings: Readings, memory: Memory) -> ClockJump | None:
    """Return how far the wall clock is from where it can be after a pause; None when it can be right."""
    least = [memory.synchronised_at] if memory.synchronised_at is not None else []
    if (floor := not_before(readings, memory)) is not None:
        least.append(floor)
    if not least:
        return None
    since = readings.wall_clock - max(least)
    return _jump(since, at_start=True) if since <= -_LEAST_JUMP or since > _LONGEST_PAUSE else None


def _jump(moved: timedelta, *, at_start: bool = False) -> ClockJump:
    direction: Literal["forward", "backward"] = "forward" if moved > timedelta(0) else "backward"
    return ClockJump(direction=direction, seconds=abs(moved).total_seconds(), at_start=at_start)


def _ends_before(found: _Statement, moment: datetime | None) -> bool:
    if moment is None or found.bound_s is None:
        return False
    return moment - found.wall_clock > timedelta(seconds=found.bound_s) + _LEAST_JUMP


def _earlier(moment: datetime, seconds: float) -> datetime:
    try:
        return moment - timedelta(seconds=seconds)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def is_better(fresh: Anchor, known: Anchor | None) -> bool:
    """Say whether what the fleet signed now is worth more than what it signed before."""
    if known is None or known.boot_id != fresh.boot_id or known.late_by_s is None:
        return True
    drifted = known.bound_s(fresh.monotonic_ns)
    return fresh.late_by_s is not None and drifted is not None and fresh.late_by_s < drifted / 2


def is_older(known: datetime | None, moment: datetime) -> bool:
    """Say whether a moment is so much newer than what is remembered that it is worth a writing."""
    return known is None or moment - known >= _REMEMBER_EVERY
