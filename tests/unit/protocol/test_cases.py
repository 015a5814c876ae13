"""What a case, a visit and an enrolment must carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from protocol.cases import CASE_TYP, CaseRecord
from protocol.examples import examples
from protocol.records import RECORD_TYP, CertificationRecord
from protocol.visits import Place


def changed(typ: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    return examples()[typ].model_dump(mode="json") | changes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"photos": []}, "special without"),
        ({"newspaper_date": None, "newspaper_age_days": None}, "date of a newspaper"),
        ({"newspaper_age_days": None}, "belong together"),
        ({"kind": "exception", "photos": [], "newspaper_date": None, "newspaper_age_days": None}, "another way"),
        ({"other_way": "counter"}, "another way"),
        ({"witness": "w-204"}, "no witness of their own case"),
        (
            {"proxy": {"document": "resident_id", "token": "A" * 43, "relation": "child"}},
            "a proxy",
        ),
    ],
)
def test_a_case_that_lacks_what_its_reviewer_needs_is_none(changes: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        CaseRecord.model_validate(changed(CASE_TYP, changes))


def test_an_enrolment_needs_an_operator() -> None:
    with pytest.raises(ValidationError, match="without an operator"):
        CertificationRecord.model_validate(changed(RECORD_TYP, {"purpose": "enrolment"}))


@pytest.mark.parametrize(("purpose", "kind"), [("enrolment", "refresh"), ("certification", "enrolment")])
def test_a_reference_is_of_the_kind_that_the_session_makes(purpose: str, kind: str) -> None:
    reference = {"kind": kind, "reference_id": "ab" * 16, "legal_basis": "statute", "sealed": "x"}
    with pytest.raises(ValidationError, match="with a reference of kind"):
        CertificationRecord.model_validate(
            changed(RECORD_TYP, {"purpose": purpose, "operator": "w-1", "reference": reference})
        )


@pytest.mark.parametrize(
    "place",
    [
        {"source": "chosen"},
        {"source": "receiver", "code": "620102001", "latitude_deg": 36.0, "longitude_deg": 103.8, "accuracy_m": 5.0},
        {"source": "both", "code": "620102001"},
        {"source": "chosen", "code": "620102001", "latitude_deg": 36.0},
    ],
)
def test_a_place_says_how_it_is_known(place: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="do not fit"):
        Place.model_validate(place)
