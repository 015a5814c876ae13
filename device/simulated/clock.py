"""A clock that only moves when it is told to: fast time, the same on every run."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock

from device.ports import Clock
from protocol.times import ClockJump, ClockSource, DeviceTime

_MOST_HELD_NS = 100_000_000
"""Of a wait that is held: whoever waits for more looks up meanwhile, and goes on."""
SIMULATED_BOOT = "00000000000000000000000000000000"
"""No kernel gives this boot id."""


class SteppedClock:
    """Monotonic and wall time that go on together, by `advance` alone."""

    def __init__(
        self,
        start: datetime,
        *,
        source: ClockSource = ClockSource.NETWORK,
        uncertainty_s: float | None = 1.0,
        boot_id: str = SIMULATED_BOOT,
    ) -> None:
        self._start = start
        self._source = source
        self._uncertainty_s = uncertainty_s
        self._boot_id = boot_id
        self._elapsed_ns = 0
        self._fleet_time: datetime | None = None
        self._jumps: list[ClockJump] = []
        self._lock = Lock()

    def advance(self, nanoseconds: int) -> None:
        """Let time pass; it cannot run backwards."""
        if nanoseconds < 0:
            raise ValueError(f"clock: {nanoseconds} ns is backwards")
        with self._lock:
            self._elapsed_ns += nanoseconds

    def advance_to(self, monotonic_ns: int) -> None:
        """Let time pass until a moment; one that is past already changes nothing."""
        with self._lock:
            self._elapsed_ns = max(self._elapsed_ns, monotonic_ns)

    def lose_time(self) -> None:
        """Be as a board whose clock nothing vouches for."""
        self._source = ClockSource.NONE
        self._uncertainty_s = None

    def set_wall_clock(self, moment: datetime) -> None:
        """Be set by hand, which nothing vouches for: the wall clock jumps, time goes on as before."""
        moved = (moment - self.now().wall_clock).total_seconds()
        self._start += timedelta(seconds=moved)
        self._jumps.append(ClockJump(direction="forward" if moved > 0 else "backward", seconds=abs(moved)))
        self.lose_time()

    def monotonic_ns(self) -> int:
        """Return nanoseconds since the clock was made."""
        return self._elapsed_ns

    def now(self) -> DeviceTime:
        """Return the moment."""
        return DeviceTime(
            boot_id=self._boot_id,
            monotonic_ns=self._elapsed_ns,
            wall_clock=self._start + timedelta(microseconds=self._elapsed_ns // 1000),
            source=self._source,
            uncertainty_s=self._uncertainty_s,
            last_fleet_time=self._fleet_time,
            not_before=self._fleet_time,
            jumps=len(self._jumps),
            last_jump=self._jumps[-1] if self._jumps else None,
        )

    def note_fleet_time(self, moment: datetime, *, after_ns: int | None = None) -> None:  # noqa: ARG002 - the port's
        """Remember a moment the fleet signed; this clock's uncertainty is what it was made with."""
        self._fleet_time = moment if self._fleet_time is None else max(moment, self._fleet_time)


class FastClock(SteppedClock):
    """Timers run in stepped time, records carry the true moment: for a terminal that plays clips as fast as it can."""

    def __init__(self, real: Clock, *, is_held: bool = False, sleep: Callable[[float], object] = time.sleep) -> None:
        """Prepare.

        Args:
            real: what its moments are taken from.
            is_held: whether no step ends before as much time has truly passed. Where a step takes longer, time waits and does not catch up.
            sleep: waits, in seconds.
        """
        super().__init__(real.now().wall_clock)
        self._real = real
        self._is_held = is_held
        self._sleep = sleep
        self._due_ns = real.monotonic_ns()

    def advance(self, nanoseconds: int) -> None:
        """Let time pass; it cannot run backwards."""
        super().advance(nanoseconds)
        if self._is_held:
            self._hold(nanoseconds)

    def advance_to(self, monotonic_ns: int) -> None:
        """Let time pass until a moment, held for a tenth of a second at most; one that is past already changes nothing."""
        left_ns = max(0, monotonic_ns - self.monotonic_ns())
        self.advance(min(left_ns, _MOST_HELD_NS) if self._is_held else left_ns)

    def _hold(self, nanoseconds: int) -> None:
        now_ns = self._real.monotonic_ns()
        self._due_ns = max(now_ns, self._due_ns + nanoseconds)
        self._sleep((self._due_ns - now_ns) / 1e9)

    def now(self) -> DeviceTime:
        """Return the true moment."""
        return self._real.now()

    def note_fleet_time(self, moment: datetime, *, after_ns: int | None = None) -> None:
        """Pass it on."""
        self._real.note_fleet_time(moment, after_ns=after_ns)
