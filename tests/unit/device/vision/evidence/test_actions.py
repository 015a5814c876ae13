from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.vision.evidence.actions import YAW, ActionDetector, ActionInterval, ActionReport, Motion
from protocol.challenge import Action

Play = Callable[..., list[ActionReport]]
REST: list[dict[str, float]] = [{}] * 20


def completed(reports: Sequence[ActionReport]) -> list[ActionInterval]:
    return [interval for report in reports for interval in report.completed]


def there_and_back(name: str, rest: float, peak: float, frames: int) -> list[dict[str, float]]:
    return [{name: rest + (peak - rest) * np.sin(np.pi * k / frames)} for k in range(frames + 1)]


@pytest.mark.parametrize("frames", [8, 30, 300])
@pytest.mark.parametrize(
    ("name", "rest", "peak", "action"),
    [
        ("yaw_deg", 0, 25, Action.TURN_LEFT),
        ("yaw_deg", 0, -25, Action.TURN_RIGHT),
        ("pitch_deg", 0, 20, Action.LOOK_UP),
        ("mouth", 0.02, 0.5, Action.OPEN_MOUTH),
    ],
)
def test_r5_2_quick_and_slow_movements_are_seen_alike(
    play: Play, name: str, rest: float, peak: float, action: Action, frames: int
) -> None:
    reports = play([*REST, *there_and_back(name, rest, peak, frames), *REST])
    (interval,) = completed(reports)
    assert interval.action is action
    assert interval.peak == pytest.approx(abs(peak - rest), rel=0.15)
    assert 20 <= interval.start_sequence < interval.end_sequence <= 20 + frames
    assert any(item.action is action for report in reports for item in report.active)


def test_small_movements_are_none(play: Play) -> None:
    frames = [*REST, *there_and_back("yaw_deg", 0, 9, 30), *there_and_back("mouth", 0.02, 0.25, 30), *REST]
    assert not completed(play(frames))


def test_looking_down_is_no_action(play: Play) -> None:
    assert not completed(play([*REST, *there_and_back("pitch_deg", 0, -30, 30), *REST]))


def test_one_wrong_frame_is_no_action(play: Play) -> None:
    assert not completed(play([*REST, {"yaw_deg": 40}, *REST, {"mouth": 0.9}, *REST]))


def test_crooked_seat_is_rest(play: Play) -> None:
    crooked = {"yaw_deg": 10.0, "pitch_deg": -15.0}
    assert not completed(play([crooked] * 60))
    turn = [{**crooked, "yaw_deg": 10 - signals["yaw_deg"]} for signals in there_and_back("yaw_deg", 0, 20, 30)]
    (interval,) = completed(play([*[crooked] * 30, *turn, *[crooked] * 10]))
    assert interval.action is Action.TURN_RIGHT


def test_who_begins_turned_away_is_turning(play: Play) -> None:
    reports = play([{"yaw_deg": -45.0}] * 30)
    assert [item.action for item in reports[-1].active] == [Action.TURN_RIGHT]


def test_steady_hold_is_one_action(play: Play) -> None:
    hold = [{"yaw_deg": 25 + 6 * np.sin(k)} for k in range(240)]
    assert [item.action for item in completed(play([*REST, *hold, *REST]))] == [Action.TURN_LEFT]


@pytest.mark.parametrize(("rate", "frames"), [(30, 5), (15, 3), (30, 100)])
def test_blink_counts_when_the_eyes_are_open_again(play: Play, rate: float, frames: int) -> None:
    reports = play([*REST, *[{"openness": 0.12}] * frames, *REST], rate=rate)
    (interval,) = completed(reports)
    assert interval.action is Action.BLINK
    assert interval.peak == pytest.approx(0.6)
    assert interval.end_sequence - interval.start_sequence == frames - 1
    assert not any(report.active for report in reports)


def test_eyes_that_stay_closed_do_not_blink(play: Play) -> None:
    assert not completed(play([*REST, *[{"openness": 0.1}] * 200, *REST]))


def test_narrow_eyes_blink_against_their_own_rest(play: Play) -> None:
    narrow = {"openness": 0.16}
    assert [i.action for i in completed(play([*[narrow] * 20, *[{"openness": 0.09}] * 4, *[narrow] * 20]))] == [
        Action.BLINK
    ]


@pytest.mark.parametrize("rate", [6, 10, 14])
def test_slow_frames_give_no_eye_evidence(play: Play, rate: float) -> None:
    reports = play([*REST, *[{"openness": 0.1}] * 4, *REST], rate=rate)
    assert not completed(reports)
    assert not reports[-1].is_blink_possible
    assert reports[-1].frame_rate == pytest.approx(rate, rel=0.1)


def test_turning_works_at_slow_rates(play: Play) -> None:
    assert len(completed(play([*REST, *there_and_back("yaw_deg", 0, 25, 8), *REST], rate=6))) == 1


def test_new_track_starts_over(play: Play) -> None:
    other = {"yaw_deg": 11.5, "track_id": 2}
    reports = play([*REST, *[other] * 30])
    assert not completed(reports)
    assert not reports[20].is_settled
    assert reports[-1].is_settled


def test_short_absence_keeps_the_rest_and_long_absence_does_not(play: Play) -> None:
    assert play([*REST, *[None] * 5, {}])[-1].is_settled
    assert not play([*REST, *[None] * 20, {}])[-1].is_settled


def test_nothing_is_known_at_first(play: Play) -> None:
    first = play([{}])[0]
    assert first.frame_rate is None
    assert not first.is_settled
    assert not first.is_blink_possible


@given(st.lists(st.floats(-YAW.enter + 0.1, YAW.enter - 0.1), min_size=40, max_size=80))
def test_noise_within_the_range_around_a_known_rest_is_never_a_turn(values: list[float]) -> None:
    detector = ActionDetector()
    for index in range(450 + len(values)):
        now = index * 33_000_000
        yaw = values[index - 450] / 2 if index >= 450 else 0.0
        motion = Motion(index, now, track_id=1, yaw_deg=yaw, pitch_deg=0, mouth=0.02, openness=0.3)
        report = detector.observe(motion, monotonic_ns=now)
        assert not report.active
        assert not report.completed


def test_frames_that_repeat_or_come_too_late_change_nothing(play: Play) -> None:
    motions = [*REST, *there_and_back("yaw_deg", 0, 25, 30), *REST]
    in_order, disturbed = ActionDetector(), ActionDetector()
    (expected,) = completed(play(motions, detector=in_order))
    reports: list[ActionReport] = []
    for index, signals in enumerate(motions):
        reports += play([signals], detector=disturbed, start=index)
        reports += play([signals, {"yaw_deg": -40.0}], detector=disturbed, start=index - 1)
        assert reports[-1].monotonic_ns == reports[-3].monotonic_ns
    assert completed(reports) == [expected]


@pytest.mark.parametrize("rate", [5, 10, 30])
def test_dropped_frames_and_low_rates_still_show_a_turn(play: Play, rate: int) -> None:
    detector = ActionDetector()
    turn = [*REST, *there_and_back("yaw_deg", 0, 25, 2 * rate), *REST]
    reports = [
        report
        for index, signals in enumerate(turn)
        if index % 7  # one in seven is lost
        for report in play([signals], rate=rate, detector=detector, start=index)
    ]
    (interval,) = completed(reports)
    assert interval.action is Action.TURN_LEFT
    assert reports[-1].is_blink_possible == (rate == 30)


def test_eyes_seen_in_every_third_frame_keep_their_rest_known(play: Play) -> None:
    detector = ActionDetector()
    sparse: list[dict[str, float | None]] = [{"openness": 0.2 if index % 3 == 0 else None} for index in range(300)]
    reports = play(sparse, detector=detector)
    assert not any(report.is_moving or report.completed for report in reports)
    blink = [{"openness": value} for value in (*[0.2] * 10, *[0.08] * 8, *[0.2] * 10)]
    (found,) = completed(play(blink, detector=detector, start=300))
    assert found.action is Action.BLINK
    assert found.peak == pytest.approx(0.6)


def test_a_turn_is_seen_without_looking_at_the_eyes(play: Play) -> None:
    unseen: list[dict[str, float | None]] = [
        {**signals, "openness": None} for signals in (*REST, *there_and_back("yaw_deg", 0, 25, 30), *REST)
    ]
    (found,) = completed(play(unseen))
    assert found.action is Action.TURN_LEFT
