from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pytest

from fleet.settings import TerminalSettings
from fleet.terminals.drift import (
    LEARNING,
    WATCHED,
    Advice,
    Day,
    Measure,
    Point,
    alarms,
    average_run_length,
    points,
    standardised,
)

START = date(2026, 1, 1)
H = TerminalSettings().drift_h
SERIES = 200


def series(values: list[float], sessions: int = 40) -> list[Point]:
    days = [START + timedelta(days=number) for number in range(len(values))]
    return [Point(day, day, sessions, float(value)) for day, value in zip(days, values, strict=True)]


def test_run_lengths_are_those_of_the_textbook() -> None:
    # Montgomery: with k = 1/2 a two-sided chart has an average run length of 168 at h = 4 and 465 at h = 5; a shift of one standard
    # deviation is found after 8.38 and 10.4 points on average. One-sided ones run twice as long without a shift.
    assert average_run_length(4) == pytest.approx(2 * 168, rel=0.02)
    assert average_run_length(5) == pytest.approx(2 * 465, rel=0.02)
    assert average_run_length(4, shift=1) == pytest.approx(8.38, rel=0.02)
    assert average_run_length(5, shift=1) == pytest.approx(10.4, rel=0.02)
    assert average_run_length(5, shift=0.5) == pytest.approx(6.166**2)


@pytest.mark.parametrize("h", [5.0, H])
def test_series_in_control_give_no_more_alarms_than_stated(h: float) -> None:
    random = np.random.default_rng(17)
    length = 120
    found = sum(bool(alarms(Measure.SHARPNESS, series(list(random.normal(70, 6, length))), h=h)) for _ in range(SERIES))
    stated = SERIES * length / average_run_length(h)
    # The count is about Poisson; three deviations above what is stated is never by chance.
    assert found <= stated + 3 * math.sqrt(stated)
    if h == 5.0:
        assert found >= stated / 4, "so few that the chart cannot be at work"


def test_pass_rates_in_control_give_no_more_alarms_than_stated() -> None:
    random = np.random.default_rng(18)
    length, sessions = 120, 30
    found = sum(
        bool(
            alarms(
                Measure.PASS_RATE,
                series(list(random.binomial(sessions, 0.95, length) / sessions), sessions),
                h=H,
            )
        )
        for _ in range(SERIES)
    )
    stated = SERIES * length / average_run_length(H)
    assert found <= stated + 3 * math.sqrt(stated)


@pytest.mark.parametrize(("shift", "days", "share"), [(2.0, 14, 0.95), (3.0, 8, 0.95)])
def test_a_step_is_found_within_the_stated_days(shift: float, days: int, share: float) -> None:
    random = np.random.default_rng(19)
    changed, found = START + timedelta(days=60), 0
    for _ in range(SERIES):
        values = [*random.normal(70, 6, 60), *random.normal(70 - shift * 6, 6, 30)]
        raised = [a for a in alarms(Measure.SHARPNESS, series(values), h=H) if a.raised_on >= changed]
        found += bool(raised and raised[0].raised_on <= changed + timedelta(days=days))
    assert found >= share * SERIES


def test_an_alarm_says_what_to_do_and_when_the_change_began() -> None:
    random = np.random.default_rng(20)
    values = [*random.normal(70, 4, 60), *random.normal(55, 4, 30)]
    (alarm,) = alarms(Measure.SHARPNESS, series(values), h=H)
    assert (alarm.advice, alarm.is_rise, alarm.ended_on) == (Advice.CLEAN_THE_LENS, False, None)
    assert abs((alarm.since - (START + timedelta(days=60))).days) <= 3
    assert alarm.before == pytest.approx(70, abs=2)
    assert alarm.after == pytest.approx(55, abs=4)


def test_an_alarm_is_over_a_week_after_the_lens_was_cleaned_and_can_come_again() -> None:
    random = np.random.default_rng(21)
    dirty, clean = list(random.normal(52, 4, 20)), list(random.normal(70, 4, 60))
    found = alarms(Measure.SHARPNESS, series([*clean, *dirty, *clean, *dirty]), h=H)
    assert len(found) == 2
    assert found[0].ended_on is not None
    assert START + timedelta(days=83) <= found[0].ended_on <= START + timedelta(days=90)
    assert found[1].ended_on is None


def test_a_level_that_stays_becomes_the_usual_one() -> None:
    random = np.random.default_rng(22)
    values = [*random.normal(70, 4, 60), *random.normal(50, 4, 120), *random.normal(30, 4, 10)]
    first, second = alarms(Measure.SHARPNESS, series(values), h=H)
    assert first.ended_on is not None
    assert second.before == pytest.approx(50, abs=2)


@pytest.mark.parametrize(
    ("measure", "rise", "fall"),
    [
        (Measure.LIGHT_GAIN, Advice.LAMP_MOVED, Advice.LAMP_MOVED),
        (Measure.CAPTURE_S, Advice.SLOWER, None),
        (Measure.SHARPNESS, None, Advice.CLEAN_THE_LENS),
        (Measure.ILLUMINATION_UNIFORMITY, None, Advice.LAMP_MOVED),
        (Measure.PASS_RATE, None, Advice.FEWER_PASS),
    ],
)
def test_which_way_a_measure_is_watched(measure: Measure, rise: Advice | None, fall: Advice | None) -> None:
    random = np.random.default_rng(23)
    usual = WATCHED[measure].least_spread * 3
    for sign, expected in ((1, rise), (-1, fall)):
        values = 1.0 + np.concatenate([random.normal(0, usual, 60), random.normal(sign * 4 * usual, usual, 20)])
        found = alarms(measure, series(list(values)), h=H)
        assert [alarm.advice for alarm in found] == ([] if expected is None else [expected])
        assert all(alarm.is_rise == (sign > 0) for alarm in found)


def test_a_value_that_never_moved_gives_no_alarm_over_nothing() -> None:
    assert not alarms(Measure.SHARPNESS, series([100.0] * 60 + [99.4] * 60), h=H)
    assert alarms(Measure.SHARPNESS, series([100.0] * 60 + [90.0] * 10), h=H)


def test_there_is_no_alarm_before_something_is_known_of_the_past() -> None:
    assert not alarms(Measure.SHARPNESS, series([70.0, 71.0, 20.0, 20.0]), h=H)
    assert not alarms(Measure.SHARPNESS, series([70.0] * (LEARNING - 1)), h=H)
    assert not alarms(Measure.SHARPNESS, [], h=H)


def test_days_with_few_sessions_are_taken_together() -> None:
    days = [Day(START + timedelta(days=n), sessions, 2.0 * sessions) for n, sessions in enumerate([4, 0, 4, 4, 20, 3])]
    found = points(days)
    assert [(p.first, p.last, p.sessions, p.mean) for p in found] == [
        (START, START + timedelta(days=3), 12, 2.0),
        (START + timedelta(days=4), START + timedelta(days=4), 20, 2.0),
    ]


def test_a_deviate_is_normal_whatever_the_length_of_the_past() -> None:
    random = np.random.default_rng(24)
    for known in (5, 20):
        past = random.normal(3, 2, (20_000, known))
        new = random.normal(3, 2, 20_000)
        found = [
            standardised(float(value), known=known, mean=float(row.mean()), spread=float(row.std(ddof=1)))
            for value, row in zip(new, past, strict=True)
        ]
        assert np.std(found) == pytest.approx(1, abs=0.03)
        assert np.mean(np.abs(found) > 2.576) == pytest.approx(0.01, abs=0.004)
