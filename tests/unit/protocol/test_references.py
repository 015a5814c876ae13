from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from protocol.references import MAX_REKEYS, protect, rekey

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
GOLDEN = [-27, -30, -10, 20, 27, -50, 16, 41]


def unit(seed: int, size: int = 192) -> NDArray[np.float32]:
    v = np.random.default_rng(seed).normal(size=size)
    return (v / np.linalg.norm(v)).astype(np.float32)


def cosine(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    x, y = a.astype(float), b.astype(float)
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1), st.sampled_from([128, 192]))
def test_cosine_survives_protection(seed: int, mix: float, size: int) -> None:
    a = unit(seed, size)
    b = a * mix + unit(seed + 1, size) * (1 - mix)
    b = (b / np.linalg.norm(b)).astype(np.float32)
    assert abs(cosine(protect(a, KEY), protect(b, KEY)) - cosine(a, b)) < 0.01


def test_two_key_domains_cannot_be_linked() -> None:
    # 200 people, each protected under both keys: the cosine of a person with itself across keys must look like that
    # of two unrelated random vectors, whose standard deviation is 1/sqrt(192) = .072.
    same = [cosine(protect(unit(n), KEY), protect(unit(n), OTHER)) for n in range(200)]
    assert abs(float(np.mean(same))) < 0.03
    assert 0.05 < float(np.std(same)) < 0.10


def test_the_same_key_gives_the_same_rotation_for_ever() -> None:
    protected = protect(np.eye(192, dtype=np.float32)[0], KEY)
    assert protected[:8].tolist() == GOLDEN


def test_protected_features_do_not_resemble_the_features() -> None:
    a = unit(5)
    assert abs(cosine(protect(a, KEY), a)) < 0.3


@pytest.mark.parametrize("bad", [np.zeros(192, np.float32), np.full(192, np.nan, np.float32)])
def test_features_without_direction_are_refused(bad: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="finite"):
        protect(bad, KEY)


def test_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 expected"):
        protect(unit(1), b"short")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1), st.sampled_from([128, 192]))
def test_cosine_survives_as_many_changes_of_the_key_as_are_allowed(seed: int, mix: float, size: int) -> None:
    a = unit(seed, size)
    b = a * mix + unit(seed + 1, size) * (1 - mix)
    b = (b / np.linalg.norm(b)).astype(np.float32)
    keys = [bytes([n]) * 32 for n in range(MAX_REKEYS + 1)]
    reference = protect(a, keys[0])
    for old, new in itertools.pairwise(keys):
        reference = rekey(reference, old, new)
    assert abs(cosine(reference, protect(b, keys[-1])) - cosine(a, b)) < 0.01


def test_re_keyed_features_belong_to_the_new_domain_alone() -> None:
    stored = protect(unit(3), KEY)
    moved = rekey(stored, KEY, OTHER)
    assert moved.dtype == np.int8
    assert cosine(moved, protect(unit(3), OTHER)) > 0.9999
    assert abs(cosine(moved, stored)) < 0.3


def test_many_are_re_keyed_as_one_by_one() -> None:
    stored = np.stack([protect(unit(n), KEY) for n in range(5)])
    assert np.array_equal(rekey(stored, KEY, OTHER), np.stack([rekey(one, KEY, OTHER) for one in stored]))


def test_zero_features_have_nothing_to_re_key() -> None:
    with pytest.raises(ValueError, match="non-zero"):
        rekey(np.zeros((2, 192), np.int8), KEY, OTHER)
