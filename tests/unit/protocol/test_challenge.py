from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.challenge import Action, draw_actions, draw_pauses

NONCES = st.binary(min_size=16, max_size=64)
ALLOWED = st.lists(st.sampled_from(list(Action)), min_size=2, unique=True)


@given(NONCES, ALLOWED, st.integers(1, 6))
def test_draw_is_repeatable_allowed_and_without_consecutive_equals(
    nonce: bytes, allowed: list[Action], count: int
) -> None:
    drawn = draw_actions(nonce, allowed, count)
    assert drawn == draw_actions(nonce, allowed, count)
    assert len(drawn) == count
    assert set(drawn) <= set(allowed)
    assert all(a != b for a, b in itertools.pairwise(drawn))


def test_draw_favours_no_action_and_no_order() -> None:
    allowed = [Action.TURN_LEFT, Action.TURN_RIGHT, Action.OPEN_MOUTH]
    trials = 6000
    counts = Counter(draw_actions(k.to_bytes(16, "big"), allowed, 2) for k in range(trials))
    assert len(counts) == 6
    expected = trials / 6
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_square < 20.5  # 99.9 % point for 5 degrees of freedom; the nonces are fixed, so this cannot flicker


def test_one_action_can_be_drawn_from_one() -> None:
    assert draw_actions(bytes(16), [Action.BLINK], 1) == (Action.BLINK,)


@pytest.mark.parametrize(
    ("nonce", "allowed", "count"),
    [
        (bytes(15), list(Action), 2),
        (bytes(16), list(Action), 0),
        (bytes(16), [Action.BLINK], 2),
        (bytes(16), [], 1),
        (bytes(16), [Action.BLINK, Action.BLINK], 1),
    ],
)
def test_impossible_draw_is_refused(nonce: bytes, allowed: list[Action], count: int) -> None:
    with pytest.raises(ValueError, match=r"nonce|count|allowed"):
        draw_actions(nonce, allowed, count)


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
