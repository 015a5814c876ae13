from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from protocol.times import ClockJump, ClockSource, DeviceTime, best_guess, is_within_hours

T0 = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
AHEAD = datetime(2099, 1, 1, tzinfo=UTC)


def moment(wall: datetime, bound: float | None, **known: datetime | None) -> DeviceTime:
    source = ClockSource.NONE if bound is None else ClockSource.RTC
    return DeviceTime.model_validate(
        {"boot_id": "a" * 32, "monotonic_ns": 1, "wall_clock": wall, "source": source, "uncertainty_s": bound, **known}
    )


def test_a_moment_of_an_older_record_has_no_jumps() -> None:
    old = {"boot_id": "a" * 32, "monotonic_ns": 1, "wall_clock": T0, "source": "none"}
    found = DeviceTime.model_validate(old)
    assert (found.jumps, found.last_jump, found.not_before) == (0, None, None)


def test_a_bounded_clock_is_reckoned_with_but_not_before_the_fleets_time() -> None:
    assert best_guess(moment(T0, 1.0)) == T0
    assert best_guess(moment(T0, 1.0, last_fleet_time=T0 + timedelta(days=1))) == T0 + timedelta(days=1)


@pytest.mark.parametrize("wall", [AHEAD, datetime(1970, 1, 1, tzinfo=UTC)])
def test_an_unbounded_clock_makes_nothing_expire_but_what_certainly_passed(wall: datetime) -> None:
    later = T0 + timedelta(days=3)
    assert best_guess(moment(wall, None, last_fleet_time=T0, not_before=later)) == later
    assert best_guess(moment(wall, None, last_fleet_time=T0)) == T0
    assert best_guess(moment(wall, None)) == wall


def test_a_jump_goes_somewhere() -> None:
    with pytest.raises(ValidationError):
        ClockJump(direction="forward", seconds=0)


@pytest.mark.parametrize(
    ("hours", "hour", "is_now"),
    [
        ((22, 5), 23, True),
        ((22, 5), 4, True),
        ((22, 5), 5, False),
        ((22, 5), 21, False),
        ((1, 4), 1, True),
        ((1, 4), 4, False),
        ((3, 3), 12, True),
        ((None, None), 12, True),
        ((22, 5), None, True),
    ],
)
def test_a_window_of_hours_may_have_the_night_in_it(
    hours: tuple[int | None, int | None], hour: int | None, is_now: bool
) -> None:
    assert is_within_hours(*hours, hour) is is_now
