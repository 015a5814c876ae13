from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.accounts.lockout import (
    FORGOTTEN_AFTER,
    FREE_BY_ACCOUNT,
    LONGEST_WAIT,
    address_key,
    counted,
    is_locked,
    wait_after,
)

NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)


def test_the_first_failures_cost_nothing_and_each_further_one_twice_the_wait_up_to_an_hour() -> None:
    waits = [wait_after(failures, free=5) for failures in range(14)]
    assert waits[:6] == [timedelta()] * 6
    assert [wait.total_seconds() for wait in waits[6:]] == [30, 60, 120, 240, 480, 960, 1920, 3600]


def test_a_day_has_room_for_far_fewer_guesses_than_nist_allows_in_a_row() -> None:
    now, failures, last_at, guesses = NOW, 0, NOW, 0
    while now < NOW + timedelta(days=1):
        if is_locked(failures, last_at, now, free=FREE_BY_ACCOUNT):
            now = last_at + wait_after(failures, free=FREE_BY_ACCOUNT)
            continue
        failures, last_at, guesses = counted(failures, last_at, now) + 1, now, guesses + 1
    assert 30 <= guesses <= 40


@given(st.integers(0, 10**6), st.timedeltas(timedelta(), timedelta(days=400)), st.timedeltas(timedelta(), LONGEST_WAIT))
def test_no_lock_lasts_longer_than_an_hour_and_a_clock_put_back_locks_nobody(
    failures: int, ahead: timedelta, later: timedelta
) -> None:
    assert not is_locked(failures, NOW, NOW + LONGEST_WAIT + later, free=FREE_BY_ACCOUNT)
    if ahead:
        assert not is_locked(failures, NOW + ahead, NOW, free=FREE_BY_ACCOUNT)


def test_failures_are_forgotten_a_day_after_the_last_one() -> None:
    assert counted(50, NOW, NOW + FORGOTTEN_AFTER - timedelta(seconds=1)) == 50
    assert counted(50, NOW, NOW + FORGOTTEN_AFTER) == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.7", "::ffff:192.0.2.7"),
        ("2001:db8::1", "2001:db8:0:0:ffff::9"),
        ("no address", ""),
    ],
)
def test_one_client_has_one_key(one: str, other: str) -> None:
    assert address_key(one) == address_key(other)


def test_two_clients_have_two_keys() -> None:
    assert address_key("192.0.2.7") != address_key("192.0.2.8")
    assert address_key("2001:db8:0:1::1") != address_key("2001:db8:0:2::1")
