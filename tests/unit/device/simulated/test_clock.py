"""Stepped time that is held to the true one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from device.simulated.clock import FastClock, SteppedClock

STEP_NS = 20_000_000
T0 = datetime(2026, 11, 2, tzinfo=UTC)


def test_held_time_ends_no_step_early_and_makes_up_for_no_late_one() -> None:
    real = SteppedClock(T0)
    slept_s: list[float] = []

    def sleep(seconds: float) -> None:
        slept_s.append(seconds)
        real.advance(round(seconds * 1e9))

    clock = FastClock(real, is_held=True, sleep=sleep)
    clock.advance(STEP_NS)
    # The networks take a quarter of the next step, and then far longer than one.
    real.advance(STEP_NS // 4)
    clock.advance(STEP_NS)
    real.advance(100 * STEP_NS)
    clock.advance(STEP_NS)
    clock.advance(STEP_NS)
    assert slept_s == pytest.approx([0.02, 0.015, 0.0, 0.02])
    assert clock.monotonic_ns() == 4 * STEP_NS
    assert clock.now().wall_clock == T0 + timedelta(microseconds=real.monotonic_ns() // 1000)


def test_a_long_wait_that_is_held_is_made_in_pieces() -> None:
    clock = FastClock(SteppedClock(T0), is_held=True, sleep=lambda _: None)
    clock.advance_to(250_000_000)
    assert clock.monotonic_ns() == 100_000_000
    clock.advance_to(250_000_000)
    clock.advance_to(250_000_000)
    clock.advance_to(STEP_NS)
    assert clock.monotonic_ns() == 250_000_000
