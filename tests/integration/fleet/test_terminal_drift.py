"""From stored records to daily sums, alarms and charts."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from fleet.app import retention_rules
from fleet.privacy.retention import clean
from fleet.settings import TerminalSettings
from fleet.store.terminal_days import day_lines
from fleet.store.terminal_lists import Wanted
from fleet.terminals.daily import look_for_drift, series_of
from fleet.terminals.drift import Advice, Measure
from fleet.terminals.lists import limits_of, list_terminals
from fleet.terminals.page import terminal_page
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.outcomes import Outcome

pytestmark = pytest.mark.integration

LIMITS = limits_of(TerminalSettings())
H = TerminalSettings().drift_h


def look(office: Any) -> dict[str, int]:
    return look_for_drift(office.database, h=H, zone=office.settings.zone(), now=office.now)


def lines(office: Any) -> dict[date, dict[str, tuple[int, float]]]:
    with office.database.begin() as connection:
        found = day_lines(connection, ["t-1"], first=date(2026, 1, 1), last=date(2027, 1, 1))
    return {line.day: line.measures for line in found}


def lit(gain: float) -> tuple[EvidenceResult, ...]:
    return (
        EvidenceResult(
            kind=EvidenceKind.ILLUMINATION,
            status=EvidenceStatus.PASSED,
            score=1.2,
            threshold=1.0,
            reason="follows_light",
            measures={"gain": gain},
        ),
    )


def test_a_day_is_the_agencys_and_counts_who_was_looked_at(office: Any, terminal: Any) -> None:
    # 16:30 UTC is half past midnight of the next day at +08:00.
    morning, night = datetime(2026, 11, 18, 2, tzinfo=UTC), datetime(2026, 11, 18, 16, 30, tzinfo=UTC)
    office.send(
        terminal,
        terminal.next(at=morning, quality={"sharpness": 60.0}, evidence=lit(0.5)),
        terminal.next(at=morning, quality={"sharpness": 80.0}, evidence=lit(0.3)),
        terminal.next(at=morning, quality={}, evidence=(), outcome=Outcome.NO_REFERENCE),
        terminal.next(at=morning, quality={}, evidence=(), outcome=Outcome.POOR_SAMPLE),
        terminal.next(at=night, quality={"sharpness": 10.0}),
    )
    assert look(office)["terminal days"] == 2
    found = lines(office)
    assert set(found) == {date(2026, 11, 18), date(2026, 11, 19)}
    first = found[date(2026, 11, 18)]
    assert (first["pass_rate"], first["sharpness"], first["light_gain"]) == ((3, 2.0), (2, 140.0), (2, 0.8))
    assert found[date(2026, 11, 19)]["sharpness"] == (1, 10.0)


def test_a_record_that_comes_late_is_counted_with_its_day_and_nothing_twice(office: Any, terminal: Any) -> None:
    day = datetime(2026, 11, 18, 2, tzinfo=UTC)
    office.send(terminal, terminal.next(at=day, quality={"sharpness": 60.0}))
    office.now += timedelta(hours=1)
    assert look(office)["terminal days"] == 1
    office.now += timedelta(days=1)
    assert look(office)["terminal days"] == 0
    office.send(terminal, terminal.next(at=day, quality={"sharpness": 70.0}))
    assert look(office)["terminal days"] == 1
    assert lines(office)[date(2026, 11, 18)]["sharpness"] == (2, 130.0)


def fill(office: Any, level: float, first: date, days: int, *, seed: int) -> None:
    """Write sums of days as the job counts them."""
    chance = random.Random(seed)
    with office.database.begin() as connection:
        for number in range(days):
            total = 40 * chance.gauss(level, 4)
            connection.execute(
                text(
                    "INSERT INTO terminal_days VALUES ('t-1', :day, jsonb_build_object('sharpness',"
                    " jsonb_build_array(40, CAST(:total AS double precision))))"
                ),
                {"day": first + timedelta(days=number), "total": total},
            )


def test_a_dirty_lens_is_on_the_list_and_the_page_until_it_is_clean(office: Any, terminal: Any) -> None:
    fill(office, 70, date(2026, 8, 1), 80, seed=3)
    fill(office, 52, date(2026, 10, 20), 20, seed=4)
    office.now = datetime(2026, 11, 9, 2, tzinfo=UTC)
    office.send(terminal, terminal.next(at=office.now - timedelta(hours=1), quality={"sharpness": 52.0}))
    assert look(office)["drift alarms"] == 1
    with office.database.begin() as connection:
        page = terminal_page(connection, "t-1", LIMITS, now=office.now)
        listed = list_terminals(connection, Wanted(concern="drift"), LIMITS, now=office.now)
        (chart,) = [
            series
            for series in series_of(connection, "t-1", zone=office.settings.zone(), now=office.now)
            if series.measure is Measure.SHARPNESS
        ]
    assert page is not None
    (alarm,) = page.alarms
    assert (alarm.advice, alarm.ended_on) == (Advice.CLEAN_THE_LENS, None)
    assert abs((alarm.since - date(2026, 10, 20)).days) <= 3
    assert [item.terminal_id for item in listed] == ["t-1"]
    assert len(chart.points) == 100
    fill(office, 70, date(2026, 11, 10), 7, seed=5)
    office.now = datetime(2026, 11, 18, 2, tzinfo=UTC)
    office.send(terminal, terminal.next(at=office.now - timedelta(hours=1), quality={"sharpness": 70.0}))
    assert look(office)["drift alarms"] == 0
    with office.database.begin() as connection:
        page = terminal_page(connection, "t-1", LIMITS, now=office.now)
        assert not list_terminals(connection, Wanted(concern="drift"), LIMITS, now=office.now)
    assert page is not None
    assert [alarm.ended_on is not None for alarm in page.alarms] == [True]


def test_days_and_alarms_go_when_their_time_is_over(office: Any, terminal: Any) -> None:
    fill(office, 70, date(2026, 11, 1), 3, seed=1)
    rules = retention_rules(office.settings)
    later = office.now + timedelta(days=office.settings.terminals.drift_days - 18)
    done = clean(office.database, rules, zone=office.settings.zone(), now=later)
    assert done["terminal_days"] == 1
    assert sorted(lines(office)) == [date(2026, 11, 2), date(2026, 11, 3)]
