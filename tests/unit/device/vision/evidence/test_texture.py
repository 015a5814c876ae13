from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.vision.evidence.texture import TextureRecorder
from protocol.evidence import EvidenceStatus
from protocol.policy import TexturePolicy

RULES = TexturePolicy(min_score=0.5, min_frames=5)


def recorded(scores: list[float], *, is_at_rest: bool = True) -> TextureRecorder:
    recorder = TextureRecorder()
    for score in scores:
        recorder.observe(score, is_at_rest=is_at_rest)
    return recorder


def test_the_median_decides() -> None:
    result = recorded([0.9, 0.9, 0.5, 0.1, 0.1]).assess(RULES)
    assert (result.status, result.reason, result.score) == (EvidenceStatus.PASSED, "skin", 0.5)
    result = recorded([0.9, 0.9, 0.4, 0.1, 0.1]).assess(RULES)
    assert (result.status, result.reason, result.score) == (EvidenceStatus.FAILED, "not_skin", 0.4)


@pytest.mark.parametrize("scores", [[], [0.9] * 4, [math.nan] * 9])
def test_too_few_scores_are_not_judged(scores: list[float]) -> None:
    result = recorded(scores).assess(RULES)
    assert (result.status, result.reason) == (EvidenceStatus.NOT_RUN, "too_few_frames")


def test_only_frames_at_rest_count() -> None:
    assert recorded([0.9] * 9, is_at_rest=False).assess(RULES).reason == "too_few_frames"


def test_forgetting_leaves_nothing() -> None:
    recorder = recorded([0.9] * 9)
    recorder.forget()
    assert recorder.assess(RULES).status is EvidenceStatus.NOT_RUN
    assert recorder.assess(None).reason == "not_in_policy"


@given(st.lists(st.floats(max_value=0.49) | st.just(math.nan), max_size=50))
def test_scores_below_the_threshold_never_pass(scores: list[float]) -> None:
    assert recorded(scores).assess(RULES).status is not EvidenceStatus.PASSED
