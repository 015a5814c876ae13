"""Comparison with a cohort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.errors import IncomparableFeatures
from device.vision.comparison import compare
from device.vision.features import FeatureVector
from device.vision.normalisation import CohortMember, CohortRules, compare_with_cohort
from protocol.references import protect

DIGEST = "a" * 64
SIZE = 64
RULES = CohortRules(nearest_share=0.1, least_people=20)
SEEDS = st.integers(0, 10_000)


def vector(seed: int, *, digest: str = DIGEST, domain: str | None = "d1") -> FeatureVector:
    values = np.random.default_rng(seed).normal(size=SIZE) + 0.3
    return FeatureVector(np.asarray(values / np.linalg.norm(values), np.float32), digest, domain)


def others(count: int, *, seed: int = 1, **kind: str) -> list[CohortMember]:
    return [CohortMember(f"{number:032x}", vector(1000 * seed + number, **kind)) for number in range(count)]


@settings(max_examples=30)
@given(SEEDS, SEEDS)
def test_the_normalised_score_is_symmetric_and_blind_to_the_order_of_the_cohort(first: int, second: int) -> None:
    probe, reference, cohort = vector(first), vector(second), others(30)
    score = compare_with_cohort(probe, reference, cohort, RULES, subject_id="s")
    turned = compare_with_cohort(reference, probe, cohort[::-1], RULES, subject_id="s")
    assert score.normalised == pytest.approx(turned.normalised)
    assert score.raw.similarity == pytest.approx(compare(probe, reference).similarity)


@settings(max_examples=30)
@given(SEEDS)
def test_strangers_nearer_to_the_reference_lower_the_score(seed: int) -> None:
    probe, reference, cohort = vector(seed), vector(seed + 1), others(30)
    twin = reference.values + 0.05 * vector(seed + 2).values
    nearer = [
        *cohort[1:],
        CohortMember(cohort[0].subject_id, FeatureVector(np.asarray(twin, np.float32), DIGEST, "d1")),
    ]
    before = compare_with_cohort(probe, reference, cohort, RULES, subject_id="s").normalised
    after = compare_with_cohort(probe, reference, nearer, RULES, subject_id="s").normalised
    assert before is not None
    assert after is not None
    assert after < before


@pytest.mark.parametrize("count", [0, 1, 19])
def test_a_small_cohort_leaves_the_score_raw_and_says_how_many_there_were(count: int) -> None:
    score = compare_with_cohort(vector(1), vector(2), others(count), RULES, subject_id="s")
    assert (score.normalised, score.cohort_people) == (None, count)
    assert score.raw == compare(vector(1), vector(2))


def test_without_rules_the_score_stays_raw() -> None:
    assert compare_with_cohort(vector(1), vector(2), others(30), None, subject_id="s").normalised is None


def test_a_cohort_with_the_subject_or_with_somebody_twice_is_refused() -> None:
    cohort = others(30)
    with pytest.raises(IncomparableFeatures, match="subject"):
        compare_with_cohort(vector(1), vector(2), cohort, RULES, subject_id=cohort[3].subject_id)
    with pytest.raises(IncomparableFeatures, match="twice"):
        compare_with_cohort(vector(1), vector(2), [*cohort, cohort[0]], RULES, subject_id="s")


def test_members_of_another_network_or_key_domain_or_without_direction_do_not_count() -> None:
    empty = CohortMember("e" * 32, FeatureVector(np.zeros(SIZE, np.float32), DIGEST, "d1"))
    foreign = [
        *others(30, digest="b" * 64)[:10],
        *[CohortMember(f"x{m.subject_id}", m.features) for m in others(10, domain="d2")],
        empty,
    ]
    foreign = [CohortMember(f"f{number}", member.features) for number, member in enumerate(foreign)]
    cohort = others(25)
    alone = compare_with_cohort(vector(1), vector(2), cohort, RULES, subject_id="s")
    mixed = compare_with_cohort(vector(1), vector(2), [*foreign, *cohort], RULES, subject_id="s")
    assert mixed == alone
    assert mixed.cohort_people == 25


def test_protection_keeps_the_normalised_score() -> None:
    key = bytes(range(32))

    def shut(plain: FeatureVector) -> FeatureVector:
        return FeatureVector(protect(np.asarray(plain.values, np.float32), key), plain.model_digest, plain.key_domain)

    cohort = others(40)
    plain = compare_with_cohort(vector(1), vector(2), cohort, RULES, subject_id="s").normalised
    closed = [CohortMember(member.subject_id, shut(member.features)) for member in cohort]
    protected = compare_with_cohort(shut(vector(1)), shut(vector(2)), closed, RULES, subject_id="s").normalised
    assert protected == pytest.approx(plain, abs=0.02)
