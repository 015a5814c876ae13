from __future__ import annotations

from typing import Any

import pytest

from protocol.challenge import Action
from protocol.errors import Malformed
from protocol.evidence import EvidenceKind
from protocol.policy import PathName, Policy, default_policy


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
        ("challenge", {"rest_shortest_s": 3.0, "rest_longest_s": 1.0}),
        ("challenge", {"count": 1}),
        ("timers", {"acquire_s": 0}),
        ("quality", {"probe_samples": 0}),
    ],
)
def test_policy_no_session_could_follow_is_refused(section: str, values: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match=section):
        Policy.parse(changed(section, **values))
