from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from protocol.challenge import Action
from protocol.errors import Malformed
from protocol.evidence import EvidenceKind
from protocol.policy import (
    CapturePathPolicy,
    LightPolicy,
    PathName,
    PathPolicy,
    PlanarityPolicy,
    Policy,
    default_policy,
)


def changed(section: str, **values: Any) -> bytes:
    policy = default_policy()
    part = getattr(policy, section).model_copy(update=values)
    return policy.model_copy(update={section: part}).to_bytes()


def test_default_policy_names_every_kind_of_evidence_on_the_standard_path() -> None:
    path = default_policy().paths[PathName.STANDARD]
    assert set(path.required) | set(path.advisory) == set(EvidenceKind)
    assert path.required == (EvidenceKind.CHALLENGE, EvidenceKind.CONTINUITY)


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


@pytest.mark.parametrize("kind", [kind for kind in EvidenceKind if kind not in {"challenge", "continuity"}])
def test_a_path_that_requires_what_has_no_thresholds_is_refused(kind: EvidenceKind) -> None:
    bare = {"illumination": None, "planarity": None, "texture": {}, "pulse": None, "capture_path": None}
    policy = default_policy().model_copy(
        update=bare | {"light": {PathName.HELPER: LIGHT}, "paths": {PathName.HELPER: PathPolicy(required=(kind,))}}
    )
    with pytest.raises(Malformed):
        Policy.parse(policy.to_bytes())


def test_a_path_that_needs_light_and_has_none_is_refused() -> None:
    capture = CapturePathPolicy(max_exposure_error=0.2, min_exposure_response=0.5, max_repeated_frames=0)
    update = {
        "paths": {PathName.STANDARD: PathPolicy(required=(EvidenceKind.CAPTURE_PATH,))},
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
        "paths": {PathName.STANDARD: PathPolicy(required=(EvidenceKind.PLANARITY,))},
    }
    with pytest.raises(Malformed):
        Policy.parse(policy.model_copy(update=update).to_bytes())


def test_a_kind_both_required_and_advisory_is_refused() -> None:
    with pytest.raises(ValidationError, match="pulse"):
        PathPolicy(required=(EvidenceKind.PULSE,), advisory=(EvidenceKind.PULSE,))
