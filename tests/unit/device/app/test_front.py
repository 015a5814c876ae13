from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from device.app.front import staff_warnings
from device.desk.view import StaffWarning
from device.simulated.clock import SteppedClock
from protocol.offline import standing
from protocol.policy import OfflinePolicy
from protocol.presence import OutboxCounts, PictureCounts, tally

T0 = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
NO_PICTURES = PictureCounts(waiting=0, refused=0)


@pytest.mark.parametrize(
    ("days", "waiting", "refused", "pictures", "expected"),
    [
        (0, 0, 0, 0, []),
        (8, 0, 0, 0, [StaffWarning.OFFLINE, StaffWarning.ROSTER_ENDS]),
        (0, 1000, 1, 0, [StaffWarning.RECORDS_WAITING, StaffWarning.RECORDS_REFUSED]),
        (0, 0, 0, 2, [StaffWarning.RECORDS_REFUSED]),
    ],
)
def test_staff_is_warned_of_what_stands_badly(
    days: int, waiting: int, refused: int, pictures: int, expected: list[StaffWarning]
) -> None:
    now = SteppedClock(T0 + timedelta(days=days)).now()
    counts = OutboxCounts(pending=waiting, published=0, acknowledged=0, refused=refused)
    found = standing(OfflinePolicy(), now, T0, counts, T0 + timedelta(days=14))
    refusals = PictureCounts(waiting=7, refused=pictures)
    assert list(staff_warnings(found, tally(counts), refusals, now, 3600.0)) == expected


def test_staff_is_warned_of_a_clock_that_nothing_vouches_for_or_too_little() -> None:
    clock = SteppedClock(T0, uncertainty_s=4000.0)
    counts = OutboxCounts(pending=0, published=0, acknowledged=0, refused=0)
    found = standing(OfflinePolicy(), clock.now(), T0, counts, None)
    assert staff_warnings(found, tally(counts), NO_PICTURES, clock.now(), 3600.0) == (StaffWarning.CLOCK_UNSURE,)
    assert staff_warnings(found, tally(counts), NO_PICTURES, clock.now(), None) == ()
    clock.set_wall_clock(datetime(2099, 1, 1, tzinfo=UTC))
    assert staff_warnings(found, tally(counts), NO_PICTURES, clock.now(), None) == (StaffWarning.CLOCK_UNSURE,)
