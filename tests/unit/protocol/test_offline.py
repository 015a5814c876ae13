from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from protocol.offline import OfflineLevel, OfflineReason, standing
from protocol.policy import OfflinePolicy, Policy, default_policy
from protocol.presence import OutboxCounts, Tally, tally
from protocol.times import ClockSource, DeviceTime

T0 = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
LIMITS = OfflinePolicy(warn_after_days=7, stop_after_days=30, warn_records=100, stop_records=500)
AHEAD = datetime(2099, 1, 1, tzinfo=UTC)


def at(days: float, *, bound: float | None = 1.0, wall: datetime | None = None, on: float = 0.0) -> DeviceTime:
    """A moment so many days after the contact; `on` are the days that have certainly passed."""
    return DeviceTime(
        boot_id="a" * 32,
        monotonic_ns=1,
        wall_clock=wall if wall is not None else T0 + timedelta(days=days),
        source=ClockSource.NONE if bound is None else ClockSource.RTC,
        uncertainty_s=bound,
        last_fleet_time=T0,
        not_before=T0 + timedelta(days=on),
    )


def rows(waiting: int = 0, *, acknowledged: int = 0, refused: int = 0, stored: int = 0) -> OutboxCounts:
    return OutboxCounts(pending=waiting, published=0, acknowledged=acknowledged, refused=refused, stored=stored)


@pytest.mark.parametrize(
    ("days", "waiting", "roster_days", "level", "reasons", "days_left"),
    [
        (0, 0, 14, OfflineLevel.OK, (), 14),
        (6.9, 99, 14, OfflineLevel.OK, (), 7),
        (7, 0, 30, OfflineLevel.SOFT, (OfflineReason.DAYS,), 23),
        (1, 100, 14, OfflineLevel.SOFT, (OfflineReason.RECORDS,), 13),
        (8, 0, 14, OfflineLevel.SOFT, (OfflineReason.DAYS, OfflineReason.ROSTER), 6),
        (20, 0, 14, OfflineLevel.SOFT, (OfflineReason.DAYS, OfflineReason.ROSTER), 0),
        (29.9, 499, 40, OfflineLevel.SOFT, (OfflineReason.DAYS, OfflineReason.RECORDS), 0),
        (30, 499, 40, OfflineLevel.HARD, (OfflineReason.DAYS, OfflineReason.RECORDS), 0),
        (1, 500, 14, OfflineLevel.HARD, (OfflineReason.RECORDS,), 13),
        (8, 500, 40, OfflineLevel.HARD, (OfflineReason.RECORDS, OfflineReason.DAYS), 22),
    ],
)
def test_a_terminal_stands_by_days_records_and_roster(
    days: float,
    waiting: int,
    roster_days: int,
    level: OfflineLevel,
    reasons: tuple[OfflineReason, ...],
    days_left: int,
) -> None:
    found = standing(LIMITS, at(days), T0, rows(waiting), T0 + timedelta(days=roster_days))
    assert (found.level, found.reasons, found.days_left) == (level, reasons, days_left)
    assert found.records_left == 500 - waiting
    assert found.days_offline == int(days)


@pytest.mark.parametrize("wall", [AHEAD, datetime(1970, 1, 1, tzinfo=UTC)])
def test_a_clock_that_nothing_bounds_counts_the_time_switched_on(wall: datetime) -> None:
    def level(on: float) -> OfflineLevel:
        return standing(LIMITS, at(0, bound=None, wall=wall, on=on), T0, rows(), None).level

    assert [level(on) for on in (0, 8, 31)] == [OfflineLevel.OK, OfflineLevel.SOFT, OfflineLevel.HARD]


def test_a_clock_behind_the_last_contact_is_no_negative_pause() -> None:
    found = standing(LIMITS, at(-3).model_copy(update={"last_fleet_time": None}), T0, rows(), None)
    assert (found.days_offline, found.level) == (0, OfflineLevel.OK)


def test_without_any_contact_only_records_count() -> None:
    found = standing(LIMITS, at(400), None, rows(3), None)
    assert (found.level, found.days_offline, found.days_left) == (OfflineLevel.OK, None, None)


def test_refused_records_do_not_keep_people_from_being_certified() -> None:
    assert standing(LIMITS, at(0), T0, rows(refused=10_000), None).level is OfflineLevel.OK


@given(st.floats(0, 400), st.floats(0, 400), st.integers(0, 1000), st.integers(0, 1000))
def test_more_days_or_records_never_stand_better(days: float, more: float, waiting: int, added: int) -> None:
    order = list(OfflineLevel)
    before = standing(LIMITS, at(days), T0, rows(waiting), None)
    after = standing(LIMITS, at(days + more), T0, rows(waiting + added), None)
    assert order.index(after.level) >= order.index(before.level)
    assert (before.level is OfflineLevel.OK) == (before.reasons == ())


def test_a_policy_from_before_these_limits_has_the_usual_ones() -> None:
    old = default_policy().model_dump(mode="json")
    del old["offline"]
    assert Policy.model_validate(old).offline == OfflinePolicy() == default_policy().offline


@pytest.mark.parametrize("wrong", [{"warn_after_days": 30}, {"warn_records": 5000}])
def test_a_warning_that_does_not_come_first_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="before its limit"):
        OfflinePolicy.model_validate(wrong)


def test_what_left_the_outbox_is_confirmed() -> None:
    counts = rows(2, acknowledged=3, refused=1, stored=50)
    assert tally(counts) == Tally(stored=50, confirmed=47, waiting=2, refused=1)


def test_a_terminal_that_does_not_say_how_many_it_stored_has_stored_what_it_has() -> None:
    assert tally(rows(2, acknowledged=3, refused=1)) == Tally(stored=6, confirmed=3, waiting=2, refused=1)
