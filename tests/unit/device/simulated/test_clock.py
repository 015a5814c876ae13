"""Stepped time that is held to the true one."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from device.simulated.clock import FastClock, SteppedClock

STEP_NS = 20_000_000
T0 = datetime(2026, 11, 2, tzinfo=UTC)


def held_ns(clock: SteppedClock) -> int:
    """How long a step takes of this computer's time."""
    began = time.monotonic_ns()
    clock.advance(STEP_NS)
    return time.monotonic_ns() - began


def test_held_time_ends_no_step_early_and_makes_up_for_no_late_one() -> None:
    real = SteppedClock(T0)
    clock = FastClock(real, is_held=True)
    assert held_ns(clock) >= STEP_NS
    real.advance(100 * STEP_NS)
    # Late already: it waits no longer, and the time that was lost stays lost.
    clock.advance(STEP_NS)
    assert held_ns(clock) >= STEP_NS
    clock.advance_to(4 * STEP_NS)
    assert clock.monotonic_ns() == 4 * STEP_NS
    clock.advance_to(STEP_NS)
    assert clock.monotonic_ns() == 4 * STEP_NS
    assert clock.now().wall_clock == T0 + timedelta(seconds=2)
