from __future__ import annotations

from collections.abc import Callable

import pytest

from device.vision.evidence.actions import ActionReport
from device.vision.evidence.challenge import ChallengeMonitor, ChallengeProgress, ChallengeVerdict
from protocol.challenge import Action

Play = Callable[..., list[ActionReport]]
REST: list[dict[str, float]] = [{}] * 20
LEFT = [{"yaw_deg": 25.0}] * 15
RIGHT = [{"yaw_deg": -25.0}] * 15
BLINK = [{"openness": 0.1}] * 5
MOUTH = [{"mouth": 0.6}] * 15
PROMPT_NS = round(20e9 / 30)


def answer(reports: list[ActionReport], action: Action, prompted_ns: int = PROMPT_NS) -> list[ChallengeProgress]:
    monitor = ChallengeMonitor(action, prompted_ns=prompted_ns)
    return [monitor.observe(report) for report in reports]


@pytest.mark.parametrize(
    ("movement", "action"),
    [
        (LEFT, Action.TURN_LEFT),
        (RIGHT, Action.TURN_RIGHT),
        ([{"pitch_deg": 20.0}] * 15, Action.LOOK_UP),
        (MOUTH, Action.OPEN_MOUTH),
        (BLINK, Action.BLINK),
    ],
)
def test_asked_action_is_performed(play: Play, movement: list[dict[str, float]], action: Action) -> None:
    progress = answer(play([*REST, *movement, *REST]), action)
    assert progress[19].verdict is ChallengeVerdict.PENDING
    assert progress[-1].verdict is ChallengeVerdict.PERFORMED
    assert progress[-1].interval is not None
    assert progress[-1].interval.action is action


def test_turn_need_not_be_taken_back(play: Play) -> None:
    assert answer(play([*REST, *LEFT]), Action.TURN_LEFT)[-1].verdict is ChallengeVerdict.PERFORMED


def test_no_movement_stays_pending(play: Play) -> None:
    assert answer(play(REST * 10), Action.TURN_LEFT)[-1].verdict is ChallengeVerdict.PENDING


def test_movement_that_began_before_the_prompt_does_not_count(play: Play) -> None:
    late_prompt = round(25e9 / 30)
    reports = play([*REST, *LEFT, *REST])
    assert answer(reports, Action.TURN_LEFT, late_prompt)[-1].verdict is ChallengeVerdict.PENDING
    assert answer(reports, Action.TURN_RIGHT, late_prompt)[-1].verdict is ChallengeVerdict.PENDING
    again = play([*REST, *LEFT, *REST, *LEFT])
    assert answer(again, Action.TURN_LEFT, late_prompt)[-1].verdict is ChallengeVerdict.PERFORMED


def test_other_large_action_completed_first_is_wrong_and_stays_so(play: Play) -> None:
    progress = answer(play([*REST, *RIGHT, *REST, *LEFT, *REST]), Action.TURN_LEFT)
    assert progress[-1].verdict is ChallengeVerdict.WRONG_ACTION
    assert progress[-1].interval is not None
    assert progress[-1].interval.action is Action.TURN_RIGHT


def test_other_action_that_is_not_completed_is_not_wrong(play: Play) -> None:
    both = [{"mouth": 0.6, "yaw_deg": yaw} for yaw in [0.0] * 5 + [25.0] * 10]
    assert answer(play([*REST, *both]), Action.TURN_LEFT)[-1].verdict is ChallengeVerdict.PERFORMED


@pytest.mark.parametrize(
    "movement",
    [[{"mouth": 0.6}] * 5, [{"mouth": 0.36}] * 30, [{"yaw_deg": -12.0}] * 30],
    ids=["a word", "a mouth half open", "a glance"],
)
def test_every_other_completed_action_is_wrong(play: Play, movement: list[dict[str, float]]) -> None:
    assert answer(play([*REST, *movement, *REST]), Action.TURN_LEFT)[-1].verdict is ChallengeVerdict.WRONG_ACTION


@pytest.mark.parametrize("movement", [BLINK, BLINK * 10], ids=["a blink", "closed eyes"])
def test_blinks_are_no_wrong_answer(play: Play, movement: list[dict[str, float]]) -> None:
    progress = answer(play([*REST, *movement, *REST, *LEFT]), Action.TURN_LEFT)
    assert all(item.verdict is not ChallengeVerdict.WRONG_ACTION for item in progress)
    assert progress[-1].verdict is ChallengeVerdict.PERFORMED


def test_an_action_that_begins_before_anybody_can_react_is_no_answer(play: Play) -> None:
    reports = play([*REST, *LEFT, *REST])
    monitor = ChallengeMonitor(Action.TURN_LEFT, prompted_ns=PROMPT_NS, reaction_ns=400_000_000)
    assert [monitor.observe(report) for report in reports][-1].verdict is ChallengeVerdict.PENDING


def test_the_frame_that_shows_an_action_is_the_one_nearest_to_rest(play: Play) -> None:
    turn = [{"yaw_deg": yaw} for yaw in (8.0, 14.0, 20.0, 25.0)]
    interval = answer(play([*REST, *turn]), Action.TURN_LEFT)[-1].interval
    assert interval is not None
    assert interval.shown_sequence == len(REST) + 1
