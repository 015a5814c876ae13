from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus, PadOutcome, fuse

KINDS = list(EvidenceKind)
STATUSES = [None, *EvidenceStatus]


def result(kind: EvidenceKind, status: EvidenceStatus) -> EvidenceResult:
    return EvidenceResult(kind=kind, status=status, reason="test")


@pytest.mark.parametrize("are_required", list(itertools.product([False, True], repeat=3)))
@pytest.mark.parametrize("statuses", list(itertools.product(STATUSES, repeat=3)))
def test_decision_table(statuses: tuple[EvidenceStatus | None, ...], are_required: tuple[bool, ...]) -> None:
    kinds = KINDS[:3]
    required = {kind for kind, is_required in zip(kinds, are_required, strict=True) if is_required}
    results = [result(kind, status) for kind, status in zip(kinds, statuses, strict=True) if status is not None]
    if EvidenceStatus.FAILED in statuses:
        expected = PadOutcome.ATTACK_SUSPECTED
    elif required and all(
        status is EvidenceStatus.PASSED
        for status, is_required in zip(statuses, are_required, strict=True)
        if is_required
    ):
        expected = PadOutcome.BONA_FIDE
    else:
        expected = PadOutcome.INCOMPLETE
    decision = fuse(results, required)
    assert decision.outcome is expected
    assert set(decision.failed) == {kinds[i] for i in range(3) if statuses[i] is EvidenceStatus.FAILED}


def test_path_that_requires_nothing_shows_nothing() -> None:
    passed = [result(kind, EvidenceStatus.PASSED) for kind in KINDS]
    assert fuse(passed, ()).outcome is PadOutcome.INCOMPLETE


def test_missing_required_kind_is_named() -> None:
    decision = fuse(
        [result(EvidenceKind.CHALLENGE, EvidenceStatus.PASSED)], [EvidenceKind.CHALLENGE, EvidenceKind.PULSE]
    )
    assert decision.outcome is PadOutcome.INCOMPLETE
    assert decision.missing == (EvidenceKind.PULSE,)


@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(list(EvidenceStatus))), max_size=12),
    st.sets(st.sampled_from(KINDS), min_size=1),
)
def test_no_other_evidence_outvotes_a_failure_or_makes_up_for_a_gap(
    pairs: list[tuple[EvidenceKind, EvidenceStatus]], required: set[EvidenceKind]
) -> None:
    results = [result(*pair) for pair in pairs]
    is_bona_fide = fuse(results, required).outcome is PadOutcome.BONA_FIDE
    statuses = {kind: {s for k, s in pairs if k is kind} for kind in required}
    assert is_bona_fide == (
        all(found == {EvidenceStatus.PASSED} for found in statuses.values())
        and all(status is not EvidenceStatus.FAILED for _, status in pairs)
    )
    assert fuse(list(reversed(results)), required) == fuse(results, required)


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_score_that_is_no_number_is_refused(score: float) -> None:
    with pytest.raises(ValidationError):
        EvidenceResult(kind=EvidenceKind.PULSE, status=EvidenceStatus.FAILED, score=score, reason="test")


def test_passing_below_the_threshold_is_refused() -> None:
    with pytest.raises(ValidationError):
        EvidenceResult(
            kind=EvidenceKind.CONTINUITY, status=EvidenceStatus.PASSED, score=0.4, threshold=0.5, reason="same_person"
        )


def test_result_survives_json() -> None:
    before = EvidenceResult(
        kind=EvidenceKind.CONTINUITY, status=EvidenceStatus.PASSED, score=0.5, threshold=0.5, reason="same_person"
    )
    assert EvidenceResult.model_validate_json(before.model_dump_json()) == before
