"""Thresholds found from impostor scores whose true tail is known."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.calibration import (
    TAIL_SHARE,
    CalibrationImpossible,
    ImpostorScores,
    Tail,
    calibrate,
    least_people,
)

RATE = 1e-3


def between(vectors: np.ndarray) -> ImpostorScores:
    """Scores between all pairs of people, one unit vector each."""
    first, second = np.triu_indices(len(vectors), 1)
    return ImpostorScores((vectors @ vectors.T)[first, second], first, second, len(vectors))


def people(count: int, *, seed: int, size: int = 150) -> np.ndarray:
    """Unit vectors about a common direction, as faces of one population are."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(count, size)) + rng.normal(size=size) * 0.35
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def independent(scores: np.ndarray) -> ImpostorScores:
    """Scores each between two people of its own."""
    first = np.arange(len(scores)) * 2
    return ImpostorScores(scores, first, first + 1, 2 * len(scores))


@pytest.mark.parametrize("shape", [-0.3, -0.1, 0.2])
def test_a_generalised_pareto_tail_is_recovered(shape: float) -> None:
    uniform = (np.arange(2000) + 0.5) / 2000
    excess = ((1 - uniform) ** -shape - 1) / shape * 0.05
    body = np.linspace(-0.2, 0.2, 18_000)
    tail = calibrate(independent(np.concatenate([body, 0.2 + excess])), [RATE]).tail
    true = 0.2 + ((RATE / TAIL_SHARE) ** -shape - 1) / shape * 0.05
    assert tail.shape == pytest.approx(shape, abs=0.02)
    assert tail.threshold(RATE) == pytest.approx(true, abs=0.01)


def test_a_normal_tail_is_recovered_beyond_the_count() -> None:
    count = 4000
    scores = np.array([NormalDist(0.1, 0.14).inv_cdf((i + 0.5) / count) for i in range(count)])
    tail = calibrate(independent(scores), [1e-4]).tail
    assert tail.threshold(1e-4) == pytest.approx(NormalDist(0.1, 0.14).inv_cdf(1 - 1e-4), abs=0.02)


@pytest.mark.parametrize("count", [17, 60])
def test_the_rate_promised_is_kept_and_the_interval_covers(count: int) -> None:
    kept = covered = 0
    for seed in range(10):
        everybody = people(count + 500, seed=seed)
        found = calibrate(between(everybody[:count]), [RATE]).thresholds[0]
        true = float(np.quantile(between(everybody[count:]).scores, 1 - RATE))
        kept += found.threshold >= true
        covered += found.interval[0] <= true <= found.interval[1]
    assert kept >= 9
    assert covered >= 8


@given(st.floats(-0.5, 0.5), st.floats(0.001, 1), st.floats(1e-7, TAIL_SHARE))
def test_rate_and_threshold_are_inverse(shape: float, excess: float, rate: float) -> None:
    tail = Tail(start=0.3, mean_excess=excess, shape=shape, people=50.0)
    assert tail.rate(tail.threshold(rate)) == pytest.approx(rate, rel=1e-6)
    assert tail.threshold(rate / 2) > tail.threshold(rate)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1000))
def test_more_certainty_and_lower_rates_mean_higher_thresholds(seed: int) -> None:
    found = calibrate(between(people(40, seed=seed)), [1e-2, 1e-3])
    often, seldom = found.thresholds
    assert often.threshold < seldom.threshold
    for each in found.thresholds:
        assert each.interval[0] <= each.estimate <= each.threshold <= max(each.interval[1], each.estimate)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1000))
def test_the_order_of_the_scores_does_not_matter(seed: int) -> None:
    scores = between(people(40, seed=seed))
    order = np.random.default_rng(seed).permutation(len(scores.scores))
    shuffled = ImpostorScores(scores.scores[order], scores.second[order], scores.first[order], scores.people)
    one, other = calibrate(scores, [RATE]), calibrate(shuffled, [RATE])
    assert other.thresholds[0].threshold == pytest.approx(one.thresholds[0].threshold, abs=1e-9)


def test_many_pictures_of_two_people_count_as_one_pair() -> None:
    scores = between(people(40, seed=1))
    again = [ImpostorScores(scores.scores[:1], scores.first[:1], scores.second[:1], 40)] * 50
    repeated = ImpostorScores(
        np.concatenate([scores.scores, *(item.scores for item in again)]),
        np.concatenate([scores.first, *(item.first for item in again)]),
        np.concatenate([scores.second, *(item.second for item in again)]),
        40,
    )
    one, other = calibrate(scores, [RATE]), calibrate(repeated, [RATE])
    assert (one.pairs, other.pairs) == (780, 780)
    assert other.thresholds[0].threshold == pytest.approx(one.thresholds[0].threshold, abs=1e-3)


def test_too_few_people_are_refused_with_the_number_needed() -> None:
    assert (least_people(1e-2), least_people(1e-3), least_people(1e-5)) == (5, 15, 142)
    with pytest.raises(CalibrationImpossible, match="14 people, 15 needed"):
        calibrate(between(people(14, seed=0)), [RATE])


def test_people_who_all_score_alike_are_refused() -> None:
    scores = between(people(20, seed=0))
    alike = ImpostorScores(np.full(len(scores.scores), 0.3), scores.first, scores.second, 20)
    with pytest.raises(CalibrationImpossible, match="differ"):
        calibrate(alike, [RATE])


@pytest.mark.parametrize("rates", [[], [0.0], [0.5]])
def test_rates_out_of_range_are_a_mistake_of_the_caller(rates: list[float]) -> None:
    with pytest.raises(ValueError, match="rates"):
        calibrate(between(people(20, seed=0)), rates)


def test_scores_that_are_none_are_a_mistake_of_the_caller() -> None:
    ends = np.array([0]), np.array([1])
    with pytest.raises(ValueError, match="finite"):
        ImpostorScores(np.array([math.nan]), *ends, 2)
    with pytest.raises(ValueError, match="themselves"):
        ImpostorScores(np.array([0.1]), ends[0], ends[0], 2)
    with pytest.raises(ValueError, match="length"):
        ImpostorScores(np.array([0.1, 0.2]), *ends, 2)
