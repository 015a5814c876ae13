"""The timers that the desk asks for."""

from __future__ import annotations

from collections.abc import Iterator

from device.desk.events import DeskTimer
from device.ports import Clock


class DeskTimers:
    """Keeps when each runs out. Used by the loop's thread.

    Args:
        clock: measures.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._deadlines: dict[DeskTimer, int] = {}

    def start(self, timer: DeskTimer, seconds: float) -> None:
        """Start a timer, anew where it runs."""
        self._deadlines[timer] = self._clock.monotonic_ns() + round(seconds * 1e9)

    def cancel(self, timer: DeskTimer) -> None:
        """Stop a timer; nothing happens to one that does not run."""
        self._deadlines.pop(timer, None)

    def next_deadline_ns(self) -> int | None:
        """Return when the next one runs out, None when none runs."""
        return min(self._deadlines.values(), default=None)

    def run_out(self) -> Iterator[DeskTimer]:
        """Yield those that are over, in their order; one that is cancelled because of another before it is not among them."""
        now = self._clock.monotonic_ns()
        due = [(deadline, timer) for timer, deadline in self._deadlines.items() if deadline <= now]
        for _, timer in sorted(due):
            if self._deadlines.pop(timer, None) is not None:
                yield timer
