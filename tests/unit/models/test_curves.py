from __future__ import annotations

import numpy as np
import pytest

from models.tools.curves import det_curve, histogram
from models.tools.metrics import fnmr_at_fmr


def scores(seed: int, mean: float, count: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 0.1, count)


def test_the_curve_goes_through_the_points_of_the_metrics():
    genuine, impostor = scores(0, 0.6, 2000), scores(1, 0.1, 100_000)
    curve = det_curve(genuine, impostor)
    for fmr, fnmr in curve:
        assert fnmr == pytest.approx(fnmr_at_fmr(genuine, impostor, fmr), abs=2e-3)
    assert curve[0][0] == pytest.approx(1e-4)
    assert curve[-1][0] == pytest.approx(0.5, abs=0.01)
    assert [fnmr for _, fnmr in curve] == sorted((fnmr for _, fnmr in curve), reverse=True)


def test_too_few_impostors_give_no_curve():
    assert det_curve(scores(0, 0.6, 100), scores(1, 0.1, 19)) == []
    assert det_curve(np.array([]), scores(1, 0.1, 1000)) == []


def test_failures_are_non_matches_at_every_threshold():
    genuine = np.append(scores(0, 0.6, 99), -np.inf)
    assert min(fnmr for _, fnmr in det_curve(genuine, scores(1, 0.1, 10_000))) >= 0.01


def test_a_histogram_has_the_share_inside_its_range_as_area():
    found = histogram(np.array([0.1, 0.1, 0.9, 5.0]), low=0.0, high=1.0)
    width = found[1][0] - found[0][0]
    assert sum(density for _, density in found) * width == pytest.approx(0.75)
