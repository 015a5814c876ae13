"""Levels and normalised scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from protocol.cohort import level, levels, nearest, normalised

COSINES = arrays(np.float64, st.integers(1, 40), elements=st.floats(-1, 1))
SHARES = st.floats(0.01, 1.0)


@given(COSINES, SHARES, st.randoms(use_true_random=False))
def test_the_order_of_the_cohort_does_not_matter(cosines: np.ndarray, share: float, random: object) -> None:
    shuffled = np.random.default_rng(0).permutation(cosines)
    assert level(shuffled, share) == pytest.approx(level(cosines, share))


@given(COSINES, SHARES, st.integers(0, 39), st.floats(0, 1))
def test_a_nearer_stranger_never_lowers_the_level(cosines: np.ndarray, share: float, place: int, more: float) -> None:
    nearer = cosines.copy()
    nearer[place % len(nearer)] += more
    assert level(nearer, share) >= level(cosines, share) - 1e-12


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1))
def test_normalised_scores_are_symmetric_rise_with_the_cosine_and_fall_with_the_levels(
    cosine: float, first: float, second: float, more: float
) -> None:
    score = normalised(cosine, first, second)
    assert score == normalised(cosine, second, first)
    assert normalised(cosine + more, first, second) >= score
    assert normalised(cosine, first + more, second) <= score
    assert -2 <= score <= 2


@pytest.mark.parametrize("cosines", [np.array([]), np.array([0.1, np.nan]), np.zeros((2, 2))])
def test_a_cohort_that_is_none_is_refused(cosines: np.ndarray) -> None:
    with pytest.raises(ValueError, match="cohort"):
        level(cosines, 0.04)


def test_a_share_of_the_cohort_is_near_and_at_least_one() -> None:
    assert [nearest(people, 0.04) for people in (1, 25, 26, 200, 2000)] == [1, 1, 2, 8, 80]


@pytest.mark.parametrize("people", [3, 4, 12, 60])
@pytest.mark.parametrize("share", [0.04, 0.3, 1.0])
def test_levels_leave_out_both_people_of_a_pair(people: int, share: float) -> None:
    rng = np.random.default_rng(people)
    similarities = rng.uniform(-1, 1, (9, people))
    own = np.append(rng.integers(0, people, 7), [-1, -1])
    found = levels(similarities, own, share)
    for sample in range(9):
        for other in range(people + 1):
            cohort = [p for p in range(people) if p not in (own[sample], other)]
            assert found[sample, other] == pytest.approx(level(similarities[sample, cohort], share))


def test_levels_of_two_people_are_refused() -> None:
    with pytest.raises(ValueError, match="people"):
        levels(np.zeros((2, 2)), np.array([0, 1]), 0.04)
