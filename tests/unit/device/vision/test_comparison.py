from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from device.errors import IncomparableFeatures
from device.vision.comparison import compare
from device.vision.features import FeatureVector

VALUES = arrays(np.float32, 8, elements=st.floats(-1, 1, width=32))
INTEGERS = arrays(np.int8, 8, elements=st.integers(-127, 127))


def vector(values: np.ndarray, digest: str = "a", key_domain: str | None = None) -> FeatureVector:
    return FeatureVector(values=values, model_digest=digest, key_domain=key_domain)


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
        (vector(np.array([1.0, np.nan, 0, 0])), vector(np.ones(4))),
        (vector(np.ones(4)), vector(np.array([1.0, np.inf, 0, 0]))),
    ],
)
def test_vectors_without_a_common_meaning_are_refused(probe: FeatureVector, reference: FeatureVector) -> None:
    with pytest.raises(IncomparableFeatures):
        compare(probe, reference)
