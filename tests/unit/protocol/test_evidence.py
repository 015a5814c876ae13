from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from protocol.evidence import (
    FUSION,
    EvidenceKind,
    EvidenceResult,
    EvidenceStatus,
    PadDecision,
    PadOutcome,
    Role,
    fuse,
)

KINDS = list(EvidenceKind)
STATUSES = [None, *EvidenceStatus]


def result(kind: EvidenceKind, status: EvidenceStatus) -> EvidenceResult:
    return EvidenceResult(kind=kind, status=status, reason="test")


EXPECTED = {
    "required": {None: "missing", "passed": "supports", "not_run": "missing", "failed": "stops"},
    "advisory": {None: "nothing", "passed": "nothing", "not_run": "nothing", "failed": "stops"},
    "unnamed": {None: "nothing", "passed": "nothing", "not_run": "nothing", "failed": "stops"},
}
"""What the design says of one kind, by what a path says of it and what came of it."""


def expected_outcome(roles: tuple[Role, ...], statuses: tuple[EvidenceStatus | None, ...]) -> PadOutcome:
    effects = [EXPECTED[role][status] for role, status in zip(roles, statuses, strict=True)]
    if "stops" in effects:
        return PadOutcome.ATTACK_SUSPECTED
    return PadOutcome.INCOMPLETE if "missing" in effects or "supports" not in effects else PadOutcome.BONA_FIDE


def fused(
    kinds: list[EvidenceKind], roles: tuple[Role, ...], statuses: tuple[EvidenceStatus | None, ...]
) -> PadDecision:
    return fuse(
        [result(kind, status) for kind, status in zip(kinds, statuses, strict=True) if status is not None],
        [kind for kind, role in zip(kinds, roles, strict=True) if role is Role.REQUIRED],
        [kind for kind, role in zip(kinds, roles, strict=True) if role is Role.ADVISORY],
    )


def test_the_table_has_every_role_and_status_and_no_more() -> None:
    assert set(FUSION) == set(itertools.product(Role, EvidenceStatus))
    assert {key: str(effect) for key, effect in FUSION.items()} == {
        (role, status): EXPECTED[role][status] for role in Role for status in EvidenceStatus
    }


@pytest.mark.parametrize("roles", list(itertools.product(Role, repeat=3)))
@pytest.mark.parametrize("kinds", list(itertools.combinations(KINDS, 3)), ids=lambda kinds: "-".join(kinds))
def test_three_kinds_in_every_role_with_every_status(kinds: tuple[EvidenceKind, ...], roles: tuple[Role, ...]) -> None:
    for statuses in itertools.product(STATUSES, repeat=3):
        decision = fused(list(kinds), roles, statuses)
        assert decision.outcome is expected_outcome(roles, statuses)
        assert set(decision.failed) == {
            kind for kind, status in zip(kinds, statuses, strict=True) if status is EvidenceStatus.FAILED
        }


@given(
    st.tuples(*[st.sampled_from(Role) for _ in KINDS]),
    st.tuples(*[st.sampled_from(STATUSES) for _ in KINDS]),
)
def test_all_kinds_in_any_role_with_any_status(
    roles: tuple[Role, ...], statuses: tuple[EvidenceStatus | None, ...]
) -> None:
    assert fused(KINDS, roles, statuses).outcome is expected_outcome(roles, statuses)


@pytest.mark.parametrize("required_bits", range(1, 2 ** len(KINDS)))
def test_one_gap_or_failure_in_otherwise_passed_evidence_is_enough(required_bits: int) -> None:
    required = [kind for place, kind in enumerate(KINDS) if required_bits >> place & 1]
    for kind, status in itertools.product(KINDS, STATUSES):
        statuses = tuple(status if known is kind else EvidenceStatus.PASSED for known in KINDS)
        roles = tuple(Role.REQUIRED if known in required else Role.UNNAMED for known in KINDS)
        assert fused(KINDS, roles, statuses).outcome is expected_outcome(roles, statuses)


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
