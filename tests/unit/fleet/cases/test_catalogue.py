"""What reviewers may say, and that everything has a text in both languages."""

from __future__ import annotations

import string

import pytest

from fleet.cases.catalogue import LANGUAGES, catalogue, texts
from fleet.cases.deciding import CERTIFYING, CLOSINGS
from fleet.cases.files import Role
from fleet.cases.machine import Kind, State, Verdict
from fleet.errors import Refused
from protocol.rules.acts import Channel


def listed(found: str | list[str]) -> list[str]:
    return [found] if isinstance(found, str) else found


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_a_person_may_read_has_a_text(language: str) -> None:
    said, known = texts(language), catalogue()
    assert set(said["kinds"]) == set(Kind)
    assert set(said["states"]) == set(State)
    assert set(said["reasons"]) == {*known.reasons, *CLOSINGS, "visited"}
    assert set(said["ways"]) == {way for reason in known.reasons.values() for way in reason.ways}
    assert set(said["bodies"]) == set(known.bodies)
    assert set(said["opened_for"]) == {code for codes in known.opened_for.values() for code in codes} | set(
        known.visit_reasons
    )
    assert set(said["letter_titles"]) == set(State)
    assert all(text.strip() for table in said.values() for found in table.values() for text in listed(found))
    assert len(said["letter"]["marks"]) == len(said["letter_headings"])
    assert len(said["letter"]["way_marks"]) == len(said["ways"])
    assert len(said["letter"]["months"]) == 12


def test_both_languages_have_the_same_texts_with_the_same_places() -> None:
    zh, en = (texts(language) for language in LANGUAGES)
    assert {name: set(table) for name, table in zh.items()} == {name: set(table) for name, table in en.items()}

    def places(text: str) -> set[str | None]:
        return {place for _, place, _, _ in string.Formatter().parse(text)} - {None}

    for name, table in zh.items():
        for key, text in table.items():
            for one, other in zip(listed(text), listed(en[name][key]), strict=True):
                assert places(one) == places(other), f"{name}.{key}"


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_can_be_passed_refused_and_asked_more_about(kind: Kind) -> None:
    for verdict in Verdict:
        assert any(each.verdict is verdict and kind in each.kinds for each in catalogue().reasons.values())


def test_r6_3_r6_4_every_refusal_of_a_certification_names_another_way() -> None:
    for reason in catalogue().reasons.values():
        if reason.verdict is Verdict.REFUSED and reason.kinds & set(CERTIFYING):
            assert reason.ways, reason.code
    assert "unit_list" in catalogue().reasons["other_person"].ways


def test_a_reason_that_does_not_fit_is_answered_with_those_that_do() -> None:
    with pytest.raises(Refused, match="one of: sharper_photograph, newer_newspaper, another_document"):
        catalogue().reason("other_person", Kind.SPECIAL, Verdict.MORE_EVIDENCE)


def test_r4_18_r4_19_r4_20_r4_21_r4_22_bodies_their_documents_and_channels_are_data() -> None:
    known = catalogue().bodies
    assert len([code for code in known if code.startswith("macao_")]) == 4
    assert known["managing_unit"].needs == ("handler_card", "verified_list", "household_copy")
    assert [code for code, body in known.items() if body.is_for_injured_only] == ["certifying_unit"]
    assert known["street_retirement_office"].channel is Channel.COUNTER
    for body in known.values():
        assert set(body.needs) <= set(Role)
    for needs in catalogue().needs.values():
        assert set(needs) <= set(Role)


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ("1~4级工残人员", True),
        ("因工死亡职工供养亲属", True),
        ("Work-injured grade 5", True),
        ("retired", False),
        ("退休", False),
    ],
)
def test_r4_21_who_counts_as_injured_or_dependant(category: str, expected: bool) -> None:
    assert catalogue().is_injured_or_dependant(category) is expected


def test_r4_7_r4_14_r6_9_reasons_of_a_visit() -> None:
    assert {"age", "bedridden", "hospital", "round"} <= set(catalogue().visit_reasons)


def test_r1_19_r1_20_no_photograph_and_no_proxy_certifies() -> None:
    assert not {Kind.PHOTO_ENROLMENT, Kind.PROXY, Kind.EXCEPTION, Kind.ATTACK_ALARM} & set(CERTIFYING)
