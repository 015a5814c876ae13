from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from device.errors import IncomparableFeatures
from device.vision.comparison import ComparisonScore, Zone, ZoneThresholds, compare
from device.vision.features import FeatureVector

VALUES = arrays(np.float32, 8, elements=st.floats(-1, 1, width=32))
INTEGERS = arrays(np.int8, 8, elements=st.integers(-127, 127))


def vector(values: np.ndarray, digest: str = "a", key_domain: str | None = None) -> FeatureVector:
    return FeatureVector(values=values, model_digest=digest, key_domain=key_domain)


def score(similarity: float) -> ComparisonScore:
    return ComparisonScore(similarity=similarity, model_digest="a")


@given(VALUES | INTEGERS, VALUES | INTEGERS)
def test_comparison_is_symmetric_and_bounded(a: np.ndarray, b: np.ndarray) -> None:
    assume(np.abs(a).max() > 1e-3)
    assume(np.abs(b).max() > 1e-3)
    forth, back = compare(vector(a), vector(b)), compare(vector(b), vector(a))
    assert forth == back
    assert -1 <= forth.similarity <= 1
    assert compare(vector(a), vector(a)).similarity == pytest.approx(1)


@given(VALUES, st.floats(0.01, 100))
def test_similarity_does_not_depend_on_length(a: np.ndarray, factor: float) -> None:
    assume(np.abs(a).max() > 1e-3)
    scaled = (a * np.float32(factor)).astype(np.float32)
    assert compare(vector(a), vector(scaled)).similarity == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("probe", "reference"),
    [
        (vector(np.ones(4)), vector(np.ones(4), digest="b")),
        (vector(np.ones(4)), vector(np.ones(5))),
        (vector(np.ones(4), key_domain="x"), vector(np.ones(4))),
        (vector(np.ones(4), key_domain="x"), vector(np.ones(4), key_domain="y")),
        (vector(np.zeros(4)), vector(np.ones(4))),
    ],
)
def test_vectors_without_a_common_meaning_are_refused(probe: FeatureVector, reference: FeatureVector) -> None:
    with pytest.raises(IncomparableFeatures):
        compare(probe, reference)


def test_score_equal_to_a_threshold_belongs_to_the_zone_above() -> None:
    thresholds = ZoneThresholds(match=0.6, grey=0.45)
    expected = {0.61: Zone.MATCH, 0.6: Zone.MATCH, 0.59: Zone.GREY, 0.45: Zone.GREY, 0.44: Zone.NON_MATCH}
    assert {value: thresholds.zone(score(value)) for value in expected} == expected


def test_score_that_is_no_number_is_a_non_match() -> None:
    assert ZoneThresholds(match=-1, grey=-1).zone(score(float("nan"))) is Zone.NON_MATCH


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1))
def test_higher_score_or_lower_threshold_never_worsens_the_zone(a: float, b: float, value: float, step: float) -> None:
    order = [Zone.NON_MATCH, Zone.GREY, Zone.MATCH]
    grey, match = sorted((a, b))
    before = order.index(ZoneThresholds(match=match, grey=grey).zone(score(value)))
    assert order.index(ZoneThresholds(match=match, grey=grey).zone(score(value + step))) >= before
    lower = ZoneThresholds(match=max(-1, match - step), grey=max(-1, grey - step))
    assert order.index(lower.zone(score(value))) >= before


@pytest.mark.parametrize(("match", "grey"), [(0.4, 0.5), (1.1, 0.5), (float("nan"), 0.5)])
def test_thresholds_out_of_order_are_refused(match: float, grey: float) -> None:
    with pytest.raises(ValueError, match="ordered"):
        ZoneThresholds(match=match, grey=grey)
