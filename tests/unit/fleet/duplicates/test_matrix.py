"""The bulk comparison against comparing every pair by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.duplicates.matrix import Blocking, Facts, Gallery
from fleet.duplicates.thresholds import UNCALIBRATED_SCORE, calibrated, fmr_for, fpir_of, rounded_up, uncalibrated
from protocol.calibration import Tail

EVERYBODY = Blocking(same_sex=False, birth_years=None)
BLOCKED = Blocking(same_sex=True, birth_years=5)


def people(count: int, seed: int) -> tuple[np.ndarray, list[Facts]]:
    rng = np.random.default_rng(seed)
    features = rng.integers(-127, 128, (count, 16)).astype(np.int8)
    features[:, 0] |= 1
    sexes = ("female", "male", None)
    facts = [
        Facts(sexes[rng.integers(3)], None if rng.random() < 0.2 else int(rng.integers(1930, 1960)))
        for _ in range(count)
    ]
    return features, facts


def one_by_one(features: np.ndarray, facts: list[Facts], new: set[int], blocking: Blocking, threshold: float) -> set:
    unit = features.astype(float) / np.linalg.norm(features.astype(float), axis=1, keepdims=True)
    found = set()
    for first in range(len(features)):
        for second in range(first + 1, len(features)):
            a, b = facts[first], facts[second]
            other_sex = None not in (a.sex, b.sex) and a.sex != b.sex
            years = (a.birth_year, b.birth_year)
            too_far = (
                blocking.birth_years is not None
                and None not in years
                and abs(years[0] - years[1]) > blocking.birth_years
            )
            is_left_out = (blocking.same_sex and other_sex) or too_far
            if not is_left_out and {first, second} & new and unit[first] @ unit[second] >= threshold:
                found.add((first, second))
    return found


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 60),
    seed=st.integers(0, 2**16),
    blocking=st.sampled_from([EVERYBODY, BLOCKED, Blocking(same_sex=True, birth_years=None)]),
    share=st.sampled_from([0.0, 0.3, 1.0]),
    rows=st.integers(1, 20),
    columns=st.integers(1, 20),
)
def test_blocks_find_what_comparing_every_pair_finds_and_each_pair_once(
    count: int, seed: int, blocking: Blocking, share: float, rows: int, columns: int
) -> None:
    features, facts = people(count, seed)
    new = {place for place in range(count) if np.random.default_rng(seed + place).random() < share}
    steps = list(Gallery(features, facts).search(sorted(new), blocking, 0.4, rows=rows, columns=columns))
    pairs = [(pair.first, pair.second) for step in steps for pair in step.pairs]
    assert sorted(pairs) == sorted(one_by_one(features, facts, new, blocking, 0.4))
    assert sorted(place for step in steps for place in step.rows) == sorted(new)


def test_a_score_is_the_cosine_of_the_protected_features() -> None:
    features = np.array([[127, 0, 0, 0], [127, 127, 0, 0]], np.int8)
    (step,) = Gallery(features, [Facts(None, None)] * 2).search([0, 1], EVERYBODY, 0.5)
    assert [pair.score for pair in step.pairs] == [pytest.approx(0.7071, abs=1e-4)]


def test_blocking_saves_comparisons() -> None:
    features, facts = people(400, 3)
    counts = [
        sum(step.comparisons for step in Gallery(features, facts).search(range(400), blocking, 2.0, rows=32))
        for blocking in (EVERYBODY, BLOCKED)
    ]
    assert counts[1] < counts[0] / 1.5


def test_a_zero_vector_is_refused() -> None:
    with pytest.raises(ValueError, match="non-zero"):
        Gallery(np.zeros((1, 4), np.int8), [Facts(None, None)])


def test_feature_16_the_rate_of_a_search_grows_with_the_people_searched() -> None:
    # 1 - (1 - 1e-5)^100000 = 1 - 1/e: a threshold good for one comparison in 100,000 fails two of three searches.
    assert fpir_of(1e-5, 100_000) == pytest.approx(0.632, abs=1e-3)
    assert fmr_for(0.01, 100_000) == pytest.approx(1.005e-7, rel=1e-3)
    assert fpir_of(fmr_for(0.02, 5000), 5000) == pytest.approx(0.02)
    for fpir, others in ((0.0, 10), (1.0, 10), (0.1, 0)):
        with pytest.raises(ValueError, match="expected"):
            fmr_for(fpir, others)


def test_a_calibrated_threshold_is_stricter_for_more_people_and_never_laxer_than_a_session() -> None:
    tail = Tail(start=0.30, mean_excess=0.04, shape=-0.15, people=200)
    few, many = (calibrated(tail, match=0.5, margin=0.02, fpir=0.01, others=count) for count in (100, 100_000))
    assert 0.5 <= few.score < many.score < 1
    assert many.fmr is not None
    assert many.fmr <= fmr_for(0.01, 100_000)
    assert calibrated(tail, match=0.9, margin=0.0, fpir=0.5, others=1).score == 0.9
    assert many.false_hits(1_000_000) == pytest.approx(many.fmr * 1_000_000)


def test_a_threshold_stays_while_people_come_and_go() -> None:
    assert [rounded_up(people) for people in (0, 1, 3, 10, 11, 501, 100_000, 100_001)] == [
        *(1, 1, 5, 10, 20, 1000, 100_000, 200_000)
    ]


def test_nothing_is_assumed_of_a_network_of_which_nothing_is_known() -> None:
    found = uncalibrated(0.6)
    assert found is not None
    assert found.score == UNCALIBRATED_SCORE
    assert uncalibrated(0.95) is None
