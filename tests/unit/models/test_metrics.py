from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.tools.metrics import (
    LEAST_GROUPS,
    best_threshold,
    bootstrap,
    clopper_pearson,
    equal_error_rate,
    false_match_rate,
    false_non_match_rate,
    finite,
    fnmr_at_fmr,
    fold_accuracy,
    grouped_interval,
    threshold_at_fmr,
    wilson,
)

SCORES = arrays(np.float64, st.integers(1, 60), elements=st.floats(-1, 1))


def test_wilson_interval_of_known_proportions() -> None:
    assert wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 0) == (0, 1)


def test_exact_interval_of_known_proportions() -> None:
    assert clopper_pearson(0, 500) == pytest.approx((0, 1 - 0.025 ** (1 / 500)), abs=1e-9)
    assert clopper_pearson(1, 20) == pytest.approx((0.001265, 0.248733), abs=1e-6)
    assert clopper_pearson(10, 100) == pytest.approx((0.049005, 0.176223), abs=1e-6)
    assert clopper_pearson(5, 5) == pytest.approx((0.025 ** (1 / 5), 1), abs=1e-9)
    assert clopper_pearson(0, 0) == (0, 1)


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_interval_holds_the_proportion(successes: int, total: int) -> None:
    low, high = wilson(min(successes, total), total)
    assert 0 <= low <= min(successes, total) / total + 1e-12
    assert min(successes, total) / total - 1e-12 <= high <= 1


@given(SCORES, st.floats(0, 0.99))
def test_threshold_keeps_its_false_match_rate_and_is_the_lowest(impostor: np.ndarray, rate: float) -> None:
    threshold = threshold_at_fmr(impostor, rate)
    assert false_match_rate(impostor, threshold) <= rate + 1e-9
    assert false_match_rate(impostor, np.nextafter(threshold, -np.inf)) > rate - 1e-9


def test_rates_of_known_scores() -> None:
    genuine, impostor = np.array([0.9, 0.8, 0.5, 0.2]), np.array([0.6, 0.1, 0.0, -0.2])
    assert false_non_match_rate(genuine, 0.5) == 0.25
    assert false_match_rate(impostor, 0.6) == 0.25
    assert fnmr_at_fmr(genuine, impostor, 0.0) == 0.5
    assert fnmr_at_fmr(genuine, impostor, 0.25) == 0.0
    assert equal_error_rate(genuine, impostor) == 0.25


def test_scores_apart_have_no_errors() -> None:
    assert equal_error_rate(np.array([0.8, 0.9]), np.array([0.1, 0.2])) == 0


@given(SCORES, SCORES)
def test_equal_error_rate_is_a_rate(genuine: np.ndarray, impostor: np.ndarray) -> None:
    assert 0 <= equal_error_rate(genuine, impostor) <= 1


def test_best_threshold_lies_between_the_classes() -> None:
    assert best_threshold(np.array([0.9, 0.1, 0.7, 0.2]), np.array([True, False, True, False])) == pytest.approx(0.45)


def test_threshold_is_never_set_on_the_fold_it_is_used_on() -> None:
    # In fold 2 everything is shifted; its own best threshold would be right everywhere, that of fold 1 is not.
    scores = np.array([0.9, 0.1, 0.4, 0.3])
    same = np.array([True, False, True, False])
    accuracy, thresholds, right = fold_accuracy(scores, same, [1, 1, 2, 2])
    assert thresholds == pytest.approx({1: 0.35, 2: 0.5})
    assert accuracy == {1: 1.0, 2: 0.5}
    assert right == 3


def test_failure_to_acquire_is_an_error_for_both_kinds_of_pair() -> None:
    scores = np.array([0.9, 0.1, np.nan, np.nan, 0.9, 0.1])
    same = np.array([True, False, True, False, True, False])
    accuracy, _, right = fold_accuracy(scores, same, [1, 1, 1, 1, 2, 2])
    assert accuracy == {1: 0.5, 2: 1.0}
    assert right == 4


def test_bootstrap_interval_is_repeatable_and_holds_the_value() -> None:
    generator = np.random.default_rng(1)
    genuine, impostor = generator.normal(0.6, 0.2, 300), generator.normal(0.0, 0.2, 300)
    low, high = bootstrap(equal_error_rate, genuine, impostor)
    assert (low, high) == bootstrap(equal_error_rate, genuine, impostor)
    assert low <= equal_error_rate(genuine, impostor) <= high


def test_trials_of_one_person_widen_the_interval() -> None:
    flags = [True] * 10 + [False] * 90
    alone = grouped_interval(list(enumerate(flags)))
    together = grouped_interval([(number // 10, flag) for number, flag in enumerate(flags)])
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])


@pytest.mark.parametrize("flag", [False, True])
def test_where_resampling_says_nothing_the_people_are_counted(flag: bool) -> None:
    found = [(number // 10, flag) for number in range(100)]
    assert grouped_interval(found) == clopper_pearson(10 * flag, 10)


@given(st.lists(st.booleans(), min_size=1, max_size=LEAST_GROUPS - 1), st.integers(1, 5))
def test_of_few_people_each_counts_as_one_trial_rounded_outwards(flags: list[bool], trials: int) -> None:
    found = [(number, flag) for number, flag in enumerate(flags) for _ in range(trials)]
    assert grouped_interval(found) == clopper_pearson(sum(flags), len(flags))


def test_one_person_alone_says_next_to_nothing_however_many_trials() -> None:
    low, high = grouped_interval([("somebody", number < 50) for number in range(100)])
    assert (low, high) == (0, 1)


def test_without_trials_any_share_is_possible() -> None:
    assert grouped_interval([]) == (0, 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_json_cannot_carry_is_none(value: float) -> None:
    assert finite(value) is None
    assert finite(0.5) == 0.5
