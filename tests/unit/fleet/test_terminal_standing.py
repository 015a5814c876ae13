from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.settings import TerminalSettings
from fleet.terminals.comparing import Desired, Match, Reported, compare
from fleet.terminals.lists import limits_of
from fleet.terminals.standing import Concern, Seen, Standing, judge, silent_after
from protocol.health import HAS_OCCURRED, THROTTLED, UNDER_VOLTAGE, Held

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
LIMITS = limits_of(TerminalSettings())
WELL = Seen(
    state="online",
    last_word_at=NOW - timedelta(seconds=50),
    presence_s=60,
    keep_alive_s=30,
    health_at=NOW - timedelta(minutes=5),
    temperature_c=51.0,
    throttled=UNDER_VOLTAGE << HAS_OCCURRED,
    battery_percent=100,
    is_charging=True,
    disk_free_bytes=10**10,
    clock_uncertainty_s=0.1,
)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def test_a_terminal_that_spoke_just_now_is_online_and_well() -> None:
    found = judge(WELL, LIMITS, NOW)
    assert (found.standing, found.since, found.comes_by_stick) == (Standing.ONLINE, WELL.last_word_at, False)
    assert found.concerns == frozenset()


@pytest.mark.parametrize(
    ("presence_s", "keep_alive_s", "expected_s"), [(60, 30, 225), (600, 240, 2160), (None, None, 225)]
)
def test_silence_is_measured_by_the_links_own_times(
    presence_s: float | None, keep_alive_s: int | None, expected_s: float
) -> None:
    seen = replace(WELL, presence_s=presence_s, keep_alive_s=keep_alive_s)
    assert silent_after(seen, LIMITS) == timedelta(seconds=expected_s)
    still = replace(seen, last_word_at=ago(seconds=expected_s))
    assert judge(still, LIMITS, NOW).standing is Standing.ONLINE
    silent = replace(seen, last_word_at=ago(seconds=expected_s + 1))
    assert judge(silent, LIMITS, NOW).standing is Standing.SILENT


def test_a_will_makes_it_offline_since_then_and_what_was_measured_before_counts_no_more() -> None:
    gone = replace(WELL, state="offline", offline_at=ago(hours=3), temperature_c=90.0, throttled=THROTTLED)
    found = judge(gone, LIMITS, NOW)
    assert (found.standing, found.since) == (Standing.OFFLINE, ago(hours=3))
    assert found.concerns == frozenset()


def test_a_terminal_whose_will_came_and_whose_records_come_by_stick_is_said_so() -> None:
    gone = replace(WELL, state="offline", last_word_at=ago(days=3), offline_at=ago(days=3))
    assert not judge(gone, LIMITS, NOW).comes_by_stick
    assert judge(replace(gone, last_stick_at=ago(days=1)), LIMITS, NOW).comes_by_stick
    assert not judge(replace(gone, last_stick_at=ago(days=4)), LIMITS, NOW).comes_by_stick
    never = Seen(last_record_at=ago(days=1), last_stick_at=ago(days=1))
    found = judge(never, LIMITS, NOW)
    assert (found.standing, found.since, found.comes_by_stick) == (Standing.OFFLINE, ago(days=1), True)


def test_never_seen_and_retired() -> None:
    assert judge(Seen(), LIMITS, NOW).standing is Standing.NEVER_SEEN
    found = judge(replace(WELL, retired_at=ago(days=2), refused=3), LIMITS, NOW)
    assert (found.standing, found.since, found.concerns) == (Standing.RETIRED, ago(days=2), frozenset())


def test_suspended_and_decommissioned() -> None:
    suspended = replace(WELL, suspended_at=ago(days=1), refused=3)
    found = judge(suspended, LIMITS, NOW)
    assert (found.standing, found.since, found.concerns) == (Standing.SUSPENDED, ago(days=1), frozenset())
    found = judge(replace(suspended, retired_at=ago(hours=2)), LIMITS, NOW)
    assert (found.standing, found.since) == (Standing.RETIRED, ago(hours=2))
    found = judge(replace(suspended, retired_at=ago(hours=2), decommissioned_at=ago(hours=1)), LIMITS, NOW)
    assert (found.standing, found.since) == (Standing.DECOMMISSIONED, ago(hours=1))


@pytest.mark.parametrize(
    ("changes", "concern"),
    [
        ({"temperature_c": 75.0}, Concern.WARM),
        ({"throttled": THROTTLED}, Concern.THROTTLED),
        ({"throttled": UNDER_VOLTAGE}, Concern.UNDER_VOLTAGE),
        ({"is_mains_lost": True}, Concern.MAINS_LOST),
        ({"battery_percent": 20, "is_charging": False}, Concern.LOW_BATTERY),
        ({"disk_free_bytes": 200 * 1024 * 1024}, Concern.LOW_DISK),
        ({"clock_uncertainty_s": None}, Concern.CLOCK_UNSURE),
        ({"oldest_unconfirmed_at": ago(hours=25)}, Concern.OLD_OUTBOX),
        ({"refused": 1}, Concern.REFUSED),
        ({"alarms": 1}, Concern.DRIFT),
    ],
)
def test_each_concern_by_itself(changes: dict[str, Any], concern: Concern) -> None:
    assert judge(replace(WELL, **changes), LIMITS, NOW).concerns == {concern}


def test_what_is_just_below_a_limit_or_not_known_is_no_concern() -> None:
    fine = replace(
        WELL,
        temperature_c=74.9,
        battery_percent=20,
        oldest_unconfirmed_at=ago(hours=24),
        disk_free_bytes=None,
    )
    assert judge(fine, LIMITS, NOW).concerns == frozenset()
    older = Seen(state="online", last_word_at=NOW, clock_uncertainty_s=None)
    assert judge(older, LIMITS, NOW).concerns == frozenset(), "an older terminal says nothing of its clock"


def test_an_outbox_grows_old_while_the_terminal_is_away_until_a_stick_has_come() -> None:
    away = replace(
        WELL, state="offline", offline_at=ago(hours=30), last_word_at=ago(hours=30), oldest_unconfirmed_at=ago(hours=31)
    )
    assert judge(away, LIMITS, NOW).concerns == {Concern.OLD_OUTBOX}
    assert judge(replace(away, last_stick_at=ago(hours=1)), LIMITS, NOW).concerns == frozenset()


def test_desired_and_reported_stand_side_by_side() -> None:
    early, late = ago(days=9), ago(days=2)
    desired = Desired("2026.11.2", late, 31, late, None)
    reported = Reported("2026.11.1", 31, Held(rule_packs=late, staff=early))
    found = {line.what: line.match for line in compare(desired, reported)}
    assert found == {
        "policy": Match.BEHIND,
        "roster": Match.SAME,
        "rule_packs": Match.SAME,
        "staff": Match.BEHIND,
        "card_keys": Match.NOTHING,
    }
    older = {line.what: line.match for line in compare(desired, Reported("2026.11.2", 40, None))}
    assert older == {
        "policy": Match.SAME,
        "roster": Match.BEHIND,
        "rule_packs": Match.NOT_SAID,
        "staff": Match.NOT_SAID,
        "card_keys": Match.NOTHING,
    }
    never = compare(Desired("1", None, 0, None, None), Reported(None, None, None))
    assert [line.match for line in never[:2]] == [Match.NOT_SAID, Match.NOTHING]
