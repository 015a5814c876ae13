from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from protocol.challenge import Action
from protocol.errors import Malformed
from protocol.evidence import EvidenceKind
from protocol.policy import (
    CapturePathPolicy,
    ComparisonPolicy,
    LightPolicy,
    NormalisedThresholds,
    PathName,
    PathPolicy,
    PlanarityPolicy,
    Policy,
    TexturePolicy,
    ThresholdSource,
    default_policy,
)


def changed(section: str, **values: Any) -> bytes:
    policy = default_policy()
    part = getattr(policy, section).model_copy(update=values)
    return policy.model_copy(update={section: part}).to_bytes()


def test_default_policy_asks_for_every_kind_of_evidence_where_it_can_be_had() -> None:
    paths = default_policy().paths
    assert {kind for path in paths.values() for kind in (*path.required, *path.advisory)} == set(EvidenceKind)
    # A pulse has a stage of its own, which only a path that requires it has.
    assert [name for name, path in paths.items() if EvidenceKind.PULSE in (*path.required, *path.advisory)] == [
        PathName.NO_MOVEMENT
    ]


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("challenge", {"actions": (Action.BLINK, Action.BLINK)}),
        ("challenge", {"actions": (Action.BLINK,)}),
        ("challenge", {"actions": (Action.BLINK, Action.OPEN_MOUTH)}),
        ("challenge", {"actions": (Action.TURN_LEFT, Action.LOOK_UP)}),
        ("challenge", {"rest_shortest_s": 3.0, "rest_longest_s": 1.0}),
        ("challenge", {"count": 1}),
        ("timers", {"acquire_s": 0}),
        ("quality", {"probe_samples": 0}),
    ],
)
def test_policy_no_session_could_follow_is_refused(section: str, values: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match=section):
        Policy.parse(changed(section, **values))


LIGHT = LightPolicy(chips=8, chip_s=0.5)
BARE = (EvidenceKind.CHALLENGE, EvidenceKind.CONTINUITY)


@pytest.mark.parametrize(
    ("required", "is_enough"),
    [
        (BARE, True),
        ((EvidenceKind.ILLUMINATION, EvidenceKind.CONTINUITY), True),
        ((EvidenceKind.CHALLENGE, EvidenceKind.ILLUMINATION), False),
        ((EvidenceKind.CONTINUITY,), False),
        ((EvidenceKind.CONTINUITY, EvidenceKind.CAPTURE_PATH, EvidenceKind.PULSE, EvidenceKind.TEXTURE), False),
        ((EvidenceKind.PLANARITY, EvidenceKind.CONTINUITY), False),
    ],
)
def test_every_path_requires_one_face_throughout_and_an_answer_to_something_drawn(
    required: tuple[EvidenceKind, ...], is_enough: bool
) -> None:
    policy = default_policy()
    for name in PathName:
        changed_path = PathPolicy(required=required, needs_witness=True)
        content = policy.model_copy(update={"paths": {**policy.paths, name: changed_path}}).to_bytes()
        if is_enough:
            assert Policy.parse(content).paths[name] == changed_path
        else:
            with pytest.raises(Malformed):
                Policy.parse(content)


@pytest.mark.parametrize("floor", [0.0, -0.1])
@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("continuity", "min_similarity"),
        ("illumination", "min_code_correlation"),
        ("illumination", "min_gain"),
        ("illumination", "min_relief"),
        ("illumination", "min_albedo_share"),
        ("planarity", "min_residual"),
        ("planarity", "min_yaw_deg"),
        ("pulse", "min_snr_db"),
        ("capture_path", "min_exposure_response"),
        ("capture_path", "min_regular"),
        ("illumination", "min_steady"),
    ],
)
def test_a_floor_that_everything_reaches_is_refused(section: str, name: str, floor: float) -> None:
    with pytest.raises(Malformed, match=name):
        Policy.parse(changed(section, **{name: floor}))


def test_a_texture_score_that_everything_reaches_is_refused() -> None:
    with pytest.raises(ValidationError, match="min_score"):
        TexturePolicy(min_score=0.0, min_frames=1)


@pytest.mark.parametrize("kind", [kind for kind in EvidenceKind if kind not in {"challenge", "continuity"}])
def test_a_path_that_requires_what_has_no_thresholds_is_refused(kind: EvidenceKind) -> None:
    bare = {"illumination": None, "planarity": None, "texture": {}, "pulse": None, "capture_path": None}
    policy = default_policy().model_copy(
        update=bare
        | {"light": {PathName.HELPER: LIGHT}, "paths": {PathName.HELPER: PathPolicy(required=(*BARE, kind))}}
    )
    with pytest.raises(Malformed):
        Policy.parse(policy.to_bytes())


def test_a_path_that_needs_light_and_has_none_is_refused() -> None:
    capture = CapturePathPolicy(
        max_exposure_error=0.2, min_exposure_response=0.5, max_repeated_frames=0, min_regular=0.8
    )
    update = {
        "paths": {PathName.STANDARD: PathPolicy(required=(*BARE, EvidenceKind.CAPTURE_PATH))},
        "capture_path": capture,
    }
    with pytest.raises(Malformed):
        Policy.parse(default_policy().model_copy(update=update | {"light": {PathName.NO_FLASH: LIGHT}}).to_bytes())
    lit = default_policy().model_copy(update=update | {"light": {PathName.STANDARD: LIGHT}})
    assert Policy.parse(lit.to_bytes()) == lit


def test_planarity_is_not_required_where_nobody_is_asked_to_turn() -> None:
    policy = default_policy()
    still = policy.challenge.model_copy(update={"actions": (Action.LOOK_UP, Action.BLINK)})
    update = {
        "challenge": still,
        "planarity": PlanarityPolicy(min_residual=0.03, min_yaw_deg=11, min_frames=3),
        "paths": {PathName.STANDARD: PathPolicy(required=(*BARE, EvidenceKind.PLANARITY))},
    }
    with pytest.raises(Malformed):
        Policy.parse(policy.model_copy(update=update).to_bytes())


def test_a_kind_both_required_and_advisory_is_refused() -> None:
    with pytest.raises(ValidationError, match="pulse"):
        PathPolicy(required=(EvidenceKind.PULSE,), advisory=(EvidenceKind.PULSE,))


SOURCE = ThresholdSource(
    calibration_id="0" * 32,
    population="fleet",
    fmr=1e-3,
    grey_fmr=1e-2,
    match_estimate=0.25,
    match_interval=(0.2, 0.3),
    people=300,
    pairs=44_850,
)
NORMALISED = ComparisonPolicy(
    match=0.6,
    grey=0.45,
    normalised=NormalisedThresholds(match=0.3, grey=0.1, nearest_share=0.04, least_people=200, source=SOURCE),
)
SCORES = st.floats(-1, 1)
LIFTED = st.floats(-2, 2)


@given(SCORES, LIFTED, st.integers(0, 199))
def test_a_cohort_too_small_leaves_the_raw_score_at_the_raw_thresholds(
    score: float, normalised: float, people: int
) -> None:
    for judged in (
        NORMALISED.judge(score),
        NORMALISED.judge(score, normalised=normalised, cohort_people=people),
        NORMALISED.judge(score, cohort_people=1000),
    ):
        assert judged.kind == "raw"
        assert (judged.zone == "match") == (score >= 0.6)
        assert (judged.match, judged.grey) == (0.6, 0.45)


@given(SCORES, LIFTED, st.integers(200, 5000), st.floats(0, 1))
def test_with_a_cohort_the_normalised_score_is_judged_and_a_higher_one_is_no_worse(
    score: float, normalised: float, people: int, more: float
) -> None:
    order = ("non_match", "grey", "match")
    judged = NORMALISED.judge(score, normalised=normalised, cohort_people=people)
    better = NORMALISED.judge(score, normalised=normalised + more, cohort_people=people)
    assert judged.kind == "normalised"
    assert (judged.zone == "match") == (normalised >= 0.3)
    assert order.index(better.zone) >= order.index(judged.zone)


@given(SCORES, LIFTED, st.integers(0, 5000))
def test_a_policy_without_normalised_thresholds_judges_raw_scores(score: float, normalised: float, people: int) -> None:
    policy = ComparisonPolicy(match=0.6, grey=0.45)
    assert policy.judge(score, normalised=normalised, cohort_people=people) == policy.judge(score)


def test_a_score_equal_to_its_threshold_belongs_to_the_better_zone_and_no_number_is_a_non_match() -> None:
    policy = ComparisonPolicy(match=0.6, grey=0.45)
    assert [policy.judge(score).zone for score in (0.6, 0.45, 0.44, math.nan)] == [
        "match",
        "grey",
        "non_match",
        "non_match",
    ]
    assert NORMALISED.judge(math.nan, normalised=0.9, cohort_people=300).zone == "non_match"
    assert NORMALISED.judge(0.9, normalised=math.nan, cohort_people=300).zone == "non_match"


def test_thresholds_out_of_order_are_refused() -> None:
    with pytest.raises(ValidationError, match="grey threshold above"):
        NormalisedThresholds(match=0.1, grey=0.3, nearest_share=0.04, least_people=200, source=SOURCE)


def test_a_policy_from_before_normalised_thresholds_is_read() -> None:
    assert ComparisonPolicy.model_validate({"match": 0.6, "grey": 0.45}) == ComparisonPolicy(match=0.6, grey=0.45)
