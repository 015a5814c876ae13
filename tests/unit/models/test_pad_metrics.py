"""Error rates of presentation attack detection."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.tools.metrics import Scores
from models.tools.pad_metrics import apcer, area_under_curve, bpcer, bpcer_at_apcer, group_bootstrap

SCORES = st.lists(st.integers(0, 10).map(float), min_size=1, max_size=20).map(np.array)


@given(SCORES, SCORES)
def test_area_is_the_share_of_pairs_in_the_right_order(live: Scores, attack: Scores) -> None:
    right = [(a > b) + 0.5 * (a == b) for a in live for b in attack]
    assert area_under_curve(live, attack) == pytest.approx(np.mean(right))


@given(SCORES, SCORES)
def test_swapping_the_classes_mirrors_the_area(live: Scores, attack: Scores) -> None:
    assert area_under_curve(live, attack) + area_under_curve(attack, live) == pytest.approx(1)


def test_score_at_the_threshold_is_taken_for_bona_fide() -> None:
    assert apcer(np.array([0.4, 0.5, 0.6]), 0.5) == pytest.approx(2 / 3)
    assert bpcer(np.array([0.4, 0.5, 0.6]), 0.5) == pytest.approx(1 / 3)


def test_bpcer_is_taken_at_the_lowest_threshold_that_stops_enough_attacks() -> None:
    attack, live = np.arange(10) / 10, np.array([0.75, 0.85, 0.95])
    assert bpcer_at_apcer(live, attack, 0.1) == pytest.approx(1 / 3)
    assert bpcer_at_apcer(live, attack, 0.0) == pytest.approx(2 / 3)
    assert bpcer_at_apcer(live, attack, 1.0) == 0


@given(SCORES, SCORES, st.floats(0, 1))
def test_allowed_share_of_attacks_is_kept(live: Scores, attack: Scores, rate: float) -> None:
    found = bpcer_at_apcer(live, attack, rate)
    better = [t for t in np.unique(np.concatenate([live, attack, [-1, 11]])) if apcer(attack, t) <= rate]
    assert found <= min(bpcer(live, t) for t in better)


def test_pictures_of_one_person_widen_the_interval() -> None:
    random = np.random.Generator(np.random.PCG64(3))
    people = random.normal(0.6, 0.2, 8)
    scores = [(person, float(mean)) for person, mean in enumerate(people) for _ in range(20)]
    attack = [(number, float(score)) for number, score in enumerate(random.normal(0.4, 0.2, 100))]
    alone = [(number, score) for number, (_, score) in enumerate(scores)]
    by_person = group_bootstrap(area_under_curve, scores, attack)
    by_picture = group_bootstrap(area_under_curve, alone, attack)
    assert by_person[1] - by_person[0] > 2 * (by_picture[1] - by_picture[0])
