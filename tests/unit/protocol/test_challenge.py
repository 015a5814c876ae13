from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from protocol.challenge import (
    RIGID,
    TURNS,
    Action,
    ChallengeDraws,
    Drawn,
    draw_actions,
    draw_light_code,
    draw_moment,
    draw_pauses,
    is_drawable,
)
from protocol.policy import LightPolicy, default_policy

NONCES = st.binary(min_size=16, max_size=64)
ALLOWED = st.lists(st.sampled_from(list(Action)), min_size=2, unique=True)
STANDARD = [Action.TURN_LEFT, Action.TURN_RIGHT, Action.OPEN_MOUTH, Action.BLINK]


@given(NONCES, ALLOWED, st.integers(2, 6), st.booleans(), st.sampled_from([None, *Action]), st.integers(0, 3))
def test_draw_is_repeatable_allowed_and_mixed_without_consecutive_equals(
    nonce: bytes, allowed: list[Action], count: int, needs_turn: bool, after: Action | None, attempt: int
) -> None:
    assume(is_drawable(allowed, count, needs_turn=needs_turn))
    drawn = draw_actions(nonce, allowed, count, needs_turn=needs_turn, after=after, attempt=attempt)
    assert drawn == draw_actions(nonce, allowed, count, needs_turn=needs_turn, after=after, attempt=attempt)
    assert len(drawn) == count
    assert set(drawn) <= set(allowed)
    assert all(a != b for a, b in itertools.pairwise((after, *drawn)))
    assert any(action in RIGID for action in drawn)
    assert any(action not in RIGID for action in drawn)
    assert not needs_turn or any(action in TURNS for action in drawn)


def test_draw_favours_no_action_and_no_order() -> None:
    trials = 9600
    counts = Counter(draw_actions(k.to_bytes(16, "big"), STANDARD, 3) for k in range(trials))
    # Of the 36 orders without repeats in a row, two are turns only and two leave the head still.
    assert len(counts) == 32
    expected = trials / 32
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_square < 61.1  # 99.9 % point for 31 degrees of freedom; the nonces are fixed, so this cannot flicker


def test_a_later_attempt_is_another_draw() -> None:
    draws = {draw_actions(bytes(16), list(Action), 5, attempt=attempt) for attempt in range(6)}
    assert len(draws) == 6


def test_the_draw_is_the_same_in_every_release() -> None:
    nonce = bytes(range(16))
    assert draw_actions(nonce, STANDARD, 3) == (Action.OPEN_MOUTH, Action.TURN_LEFT, Action.BLINK)
    assert [(chip.left, chip.right, chip.exposure) for chip in draw_light_code(nonce, RULES)] == [
        (1.0, 0.1, 0.6),
        (0.1, 1.0, 1.0),
        (1.0, 1.0, 1.0),
        (0.1, 1.0, 1.0),
        (1.0, 0.1, 1.0),
        (0.1, 0.1, 0.6),
        (0.1, 1.0, 1.0),
        (0.1, 0.1, 1.0),
        (0.1, 1.0, 1.0),
        (1.0, 1.0, 1.0),
    ]


@pytest.mark.parametrize(
    ("nonce", "allowed", "count", "needs_turn"),
    [
        (bytes(15), list(Action), 2, False),
        (bytes(16), list(Action), 1, False),
        (bytes(16), [Action.BLINK], 2, False),
        (bytes(16), [], 2, False),
        (bytes(16), [Action.BLINK, Action.BLINK, Action.LOOK_UP], 2, False),
        (bytes(16), [Action.BLINK, Action.OPEN_MOUTH], 2, False),
        (bytes(16), [Action.TURN_LEFT, Action.LOOK_UP], 2, False),
        (bytes(16), [Action.LOOK_UP, Action.BLINK], 2, True),
    ],
)
def test_impossible_draw_is_refused(nonce: bytes, allowed: list[Action], count: int, needs_turn: bool) -> None:
    with pytest.raises(ValueError, match=r"nonce|count"):
        draw_actions(nonce, allowed, count, needs_turn=needs_turn)


RULES = LightPolicy(chips=10, chip_s=0.5, lowest=0.1, exposures=(1.0, 0.6))


@given(
    NONCES,
    st.integers(6, 14),
    st.lists(st.floats(0.1, 4), min_size=1, max_size=4, unique=True).map(tuple),
    st.floats(0, 0.4),
    st.integers(0, 3),
)
def test_a_light_code_shows_every_lamp_and_every_exposure_and_never_the_same_lamp_twice_in_a_row(
    nonce: bytes, chips: int, exposures: tuple[float, ...], lowest: float, attempt: int
) -> None:
    rules = LightPolicy(chips=chips, chip_s=0.5, lowest=lowest, exposures=exposures)
    code = draw_light_code(nonce, rules, attempt=attempt)
    assert code == draw_light_code(nonce, rules, attempt=attempt)
    assert len(code) == chips
    lamps = [(chip.left, chip.right) for chip in code]
    assert all(before != after for before, after in itertools.pairwise(lamps))
    counts = Counter(lamps)
    assert set(counts) == set(itertools.product((lowest, 1.0), repeat=2))
    assert min(counts.values()) >= (2 if chips >= 8 else 1)
    assert {chip.exposure for chip in code} == set(exposures)


def test_a_light_code_favours_no_code() -> None:
    rules = LightPolicy(chips=8, chip_s=0.5)
    trials = 8080
    codes = Counter(draw_light_code(k.to_bytes(16, "big"), rules) for k in range(trials))
    # Two each of four kinds in a row of eight without equal neighbours: 864, of which 56 repeat their own brightness.
    assert len(codes) == 808
    chi_square = sum((count - trials / 808) ** 2 / (trials / 808) for count in codes.values())
    assert chi_square < 936  # 99.9 % point for 807 degrees of freedom


def test_no_light_code_is_as_bright_as_itself_a_while_later() -> None:
    rules = LightPolicy(chips=12, chip_s=0.4)
    for k in range(3000):
        bright = [chip.left + chip.right for chip in draw_light_code(k.to_bytes(16, "big"), rules)]
        assert all(bright != bright[shift:] + bright[:shift] for shift in range(1, 12))


def test_a_repeated_code_is_another_one() -> None:
    assert len({draw_light_code(bytes(16), RULES, attempt=attempt) for attempt in range(5)}) == 5


@given(NONCES, st.integers(0, 5))
def test_the_moment_of_a_sample_may_be_nearly_any(nonce: bytes, attempt: int) -> None:
    assert 0.05 <= draw_moment(nonce, attempt=attempt) <= 0.9
    assert draw_moment(nonce, attempt=attempt) == draw_moment(nonce, attempt=attempt)


@pytest.mark.parametrize(
    "draw", [lambda nonce: draw_light_code(nonce, RULES), draw_moment], ids=["light code", "moment"]
)
def test_a_short_nonce_is_refused(draw: Callable[[bytes], object]) -> None:
    with pytest.raises(ValueError, match="nonce"):
        draw(bytes(15))


@given(NONCES, st.integers(1, 9))
def test_pauses_are_repeatable_and_within_their_limits(nonce: bytes, count: int) -> None:
    pauses = draw_pauses(nonce, count, shortest_s=0.8, longest_s=2.4)
    assert pauses == draw_pauses(nonce, count, shortest_s=0.8, longest_s=2.4)
    assert len(pauses) == count
    assert all(0.8 <= pause <= 2.4 for pause in pauses)


@pytest.mark.parametrize(
    ("nonce", "count", "shortest_s", "longest_s"),
    [(bytes(15), 1, 0.0, 1.0), (bytes(16), 0, 0.0, 1.0), (bytes(16), 1, 2.0, 1.0), (bytes(16), 1, -1.0, 1.0)],
)
def test_impossible_pauses_are_refused(nonce: bytes, count: int, shortest_s: float, longest_s: float) -> None:
    with pytest.raises(ValueError, match=r"nonce|count|pauses"):
        draw_pauses(nonce, count, shortest_s=shortest_s, longest_s=longest_s)


CHALLENGE = default_policy().challenge


@st.composite
def challenges(draw: st.DrawFn) -> tuple[ChallengeDraws, list[tuple[Action, str]]]:
    """A challenge that was passed: with a wrong action, and begun anew at most once, while a prompt was open or not."""
    draws = ChallengeDraws(draw(NONCES), CHALLENGE, needs_turn=draw(st.booleans()))
    drawn, asked, wrong, is_new = draws.first(), [], 0, False
    while drawn.left:
        options = ["performed", "performed"]
        options += ["wrong"] * (wrong < CHALLENGE.wrong_actions_allowed) + ["anew", "no_answer"] * (not is_new)
        chosen = draw(st.sampled_from(options))
        if chosen == "anew":
            drawn, is_new = draws.anew(drawn, asked[-1][0] if asked else None), True
            continue
        asked.append((drawn.left[0], chosen))
        if chosen == "performed":
            drawn = drawn.after_performed()
        elif chosen == "wrong":
            drawn, wrong = draws.after_wrong(drawn), wrong + 1
        else:
            drawn, is_new = draws.anew(drawn, drawn.left[0]), True
    return draws, asked


@given(challenges())
def test_a_challenge_that_was_passed_can_be_followed_from_the_nonce(
    passed: tuple[ChallengeDraws, list[tuple[Action, str]]],
) -> None:
    draws, asked = passed
    assert draws.are_met(asked)
    performed = {action for action, result in asked if result == "performed"}
    assert performed & RIGID
    assert performed - RIGID
    assert not draws.needs_turn or performed & TURNS


def test_a_challenge_with_a_prompt_too_few_too_many_or_another_action_is_not_met() -> None:
    draws = ChallengeDraws(bytes(16), CHALLENGE)
    asked = [(action, "performed") for action in draws.first().left]
    assert draws.are_met(asked)
    others = [action for action in Action if action not in {action for action, _ in asked}]
    for changed in (
        [],
        asked[:-1],
        asked[1:],
        asked[::-1],
        [*asked, asked[0]],
        [(others[0], "performed"), *asked[1:]],
        [*asked[:-1], (asked[-1][0], "no_answer")],
        [*asked[:-1], (asked[-1][0], "wrong")],
    ):
        assert not draws.are_met(changed)


def test_two_wrong_actions_are_no_passed_challenge() -> None:
    draws = ChallengeDraws(bytes(16), CHALLENGE)
    drawn, asked = draws.first(), []
    for _ in range(2):
        asked.append((drawn.left[0], "wrong"))
        drawn = draws.after_wrong(drawn)
    asked += [(action, "performed") for action in drawn.left]
    assert not draws.are_met(asked)


def test_a_prompt_stays_without_an_answer_only_where_everything_begins_anew_and_that_is_once() -> None:
    draws = ChallengeDraws(bytes(16), CHALLENGE)
    first = draws.first()
    missed = (first.left[0], "no_answer")
    assert not draws.are_met([missed, *performed(first)]), "a prompt that is given again is one prompt"
    anew = draws.anew(first, first.left[0])
    assert draws.are_met([missed, *performed(anew)])
    again = draws.anew(anew, anew.left[0])
    assert not draws.are_met([missed, (anew.left[0], "no_answer"), *performed(again)])
    assert not draws.are_met([missed, (anew.left[0], "no_answer"), *performed(anew)])
    assert not draws.are_met([*performed(first), (anew.left[0], "no_answer")])


def performed(drawn: Drawn) -> list[tuple[Action, str]]:
    return [(action, "performed") for action in drawn.left]
