"""Reports of commissionings: what passes, and in words."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from protocol.commissioning import (
    COMMISSIONING_TYP,
    LANGUAGES,
    CommissioningCheck,
    CommissioningReport,
    Part,
    Question,
    part_name,
    question_text,
    sentence,
    status_name,
)
from protocol.examples import examples

pytestmark = pytest.mark.provisioning


def report(*checks: CommissioningCheck) -> CommissioningReport:
    example = examples()[COMMISSIONING_TYP]
    assert isinstance(example, CommissioningReport)
    return example.model_copy(update={"checks": checks})


def check(part: Part, status: str = "passed", *, is_required: bool = True) -> CommissioningCheck:
    return CommissioningCheck.model_validate(
        {"part": part, "status": status, "is_required": is_required, "reason": "good"}
    )


def test_everything_in_order_passes() -> None:
    assert report(*map(check, Part)).passed


def test_what_a_terminal_is_not_fitted_with_is_not_missed() -> None:
    others = [check(part) for part in Part if part is not Part.RING_LEFT]
    assert report(*others, check(Part.RING_LEFT, "skipped", is_required=False)).passed


@pytest.mark.parametrize(("status", "is_required"), [("failed", True), ("failed", False), ("skipped", True)])
def test_what_failed_or_was_left_out_is_told_and_does_not_pass(status: str, is_required: bool) -> None:
    others = [check(part) for part in Part if part is not Part.FOCUS]
    found = report(*others, check(Part.FOCUS, status, is_required=is_required))
    assert not found.passed
    assert [each.part for each in found.open_checks] == [Part.FOCUS]


def test_a_part_that_is_not_in_the_report_at_all_does_not_pass() -> None:
    found = report(*(check(part) for part in Part if part is not Part.KEYS))
    assert not found.passed
    assert [(each.part, each.reason) for each in found.open_checks] == [(Part.KEYS, "not_tried")]


def test_texts_are_whole_in_both_languages() -> None:
    texts = tomllib.loads(files("protocol").joinpath("commissioning.toml").read_text(encoding="utf-8"))
    for group, entries in texts.items():
        for name, languages in entries.items():
            assert set(languages) == set(LANGUAGES), (group, name)
    for language in LANGUAGES:
        assert all(part_name(part, language) for part in Part)
        assert all(question_text(question, language) for question in Question)
        assert all(status_name(status, language) for status in ("passed", "failed", "skipped"))


def test_a_reason_of_a_newer_terminal_is_named_as_it_is() -> None:
    found = CommissioningCheck(
        part=Part.FOCUS, status="failed", is_required=True, reason="fogged", facts={"haze": 0.41}
    )
    assert sentence(found, "zh") == "fogged (haze 0.41)"
    with pytest.raises(ValueError, match="language"):
        sentence(found, "fr")


def test_parts_and_sources_of_time_have_names_in_sentences() -> None:
    needs = CommissioningCheck(
        part=Part.FLEET, status="skipped", is_required=True, reason="needs", facts={"part": "broker"}
    )
    assert "消息服务器" in sentence(needs, "zh")
    clock = CommissioningCheck(
        part=Part.CLOCK,
        status="passed",
        is_required=True,
        reason="no_battery",
        facts={"source": "network", "bound": 0.1},
    )
    assert sentence(clock, "en").startswith("Set by a time service, within 0.1 s.")
