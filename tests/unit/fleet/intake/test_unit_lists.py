"""What a unit must hand in beside names, and which rules take it."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import date
from importlib.resources import files

import pytest

from fleet.intake.categories import categories, categories_of, takes_certificate
from fleet.intake.handed_in import Body, Evidence, HandedIn, paper_problems
from fleet.intake.list_results import ListResult, list_texts, result_of, result_words
from fleet.intake.unit_lists import takes_unit_list
from protocol.documents import DocumentKind, parse_document
from protocol.rules.acts import Channel
from protocol.rules.obligations import CertificationState
from protocol.shipped_packs import SHIPPED, shipped_pack

TODAY = date(2018, 6, 1)
PAPERS = HandedIn(
    body=Body.UNIT,
    unit="某厂",
    evidence=Evidence.LIST,
    is_sealed=True,
    matches_originals=True,
    register_copies=2,
    verified_on=date(2018, 5, 31),
    handler="经办人",
    handler_document=parse_document("H1234567801"),
)


def test_r4_20_a_sealed_list_with_marked_copies_is_in_order() -> None:
    assert paper_problems(PAPERS, 2, TODAY) == []


def test_r4_20_what_lacks_is_told_at_once() -> None:
    lacking = replace(PAPERS, is_sealed=False, matches_originals=False, verified_on=date(2018, 6, 2))
    found = paper_problems(lacking, 3, TODAY)
    assert [problem.split()[0:3] for problem in found] == [
        ["the", "list", "has"],
        ["verified", "on", "a"],
        ["the", "copies", "are"],
        ["2", "copies", "of"],
    ]


def test_r4_21_a_certificate_needs_a_seal_and_no_copies() -> None:
    certificate = replace(PAPERS, evidence=Evidence.CERTIFICATE, matches_originals=False, register_copies=0)
    assert paper_problems(certificate, 3, TODAY) == []
    assert len(paper_problems(replace(certificate, is_sealed=False), 3, TODAY)) == 1


def test_r6_6_only_packs_that_take_the_channel_take_a_list() -> None:
    taking = {pack_id for pack_id in SHIPPED if takes_unit_list([shipped_pack(pack_id)])}
    assert {"LZ-2019", "SJZ-2017"} <= taking
    pack = shipped_pack("LZ-2019")
    assert not takes_unit_list([pack.model_copy(update={"channels": (Channel.TERMINAL,)})])
    assert takes_unit_list([pack.model_copy(update={"channels": ()})])
    assert not takes_unit_list([])


@pytest.mark.parametrize("rule", [f"R3-{number}" for number in range(1, 11)])
def test_r3_1_r3_2_r3_3_r3_4_r3_5_r3_6_r3_7_r3_8_r3_9_r3_10_every_category_of_the_sources_is_data(rule: str) -> None:
    found = [one for one in categories() if one.rule == rule]
    assert found
    assert all(one.zh and one.en and one.schemes for one in found)


def test_r3_13_three_families_of_pensions_share_one_pool() -> None:
    assert {one.family for one in categories()} - {"work_injury"} == {
        "enterprise_pension",
        "government_pension",
        "resident_pension",
    }


def test_r3_every_scheme_and_category_of_the_shipped_packs_is_known() -> None:
    packs = [shipped_pack(pack_id) for pack_id in SHIPPED]
    known = {scheme for one in categories() for scheme in one.schemes}
    assert {scheme for pack in packs for scheme in pack.schemes} - {"*"} <= known
    for pack in packs:
        assert all(categories_of(pack.schemes[0], category) for category in pack.categories), pack.pack_id


@pytest.mark.parametrize(
    ("scheme", "category", "suffices"),
    [
        ("工伤保险", "供养亲属", True),
        ("work_injury", "grade_1_4", True),
        ("工伤保险", "别的", False),
        ("机关事业养老保险", "退休", False),
        ("企业职工基本养老保险", "退休", False),
    ],
)
def test_r4_21_a_certificate_suffices_for_the_injured_and_dependants(
    scheme: str, category: str, suffices: bool
) -> None:
    assert takes_certificate(scheme, category) is suffices


def test_every_text_of_an_outgoing_list_is_there_in_both_languages() -> None:
    texts = list_texts()
    assert all(set(text) == {"zh", "en"} for group in texts.values() for text in group.values())
    assert set(texts["state"]) == set(CertificationState)
    assert set(texts["document"]) == set(DocumentKind)
    assert set(texts["result"]) == set(ListResult)


@pytest.mark.parametrize(
    ("written", "result"),
    [
        ("已核验", ListResult.VERIFIED),
        (" Seen  alive ", ListResult.VERIFIED),
        ("健在。", ListResult.VERIFIED),
        ("未见到", ListResult.NOT_SEEN),
        ("已去世", ListResult.DEAD),
        ("Deceased", ListResult.DEAD),
        ("失踪", ListResult.MISSING),
        ("不通过", ListResult.NOT_PASSED),
        ("拒绝", ListResult.NOT_PASSED),
        ("  ", ListResult.EMPTY),
        ("未核验通过", None),
        ("可能健在", None),
    ],
)
def test_r4_20_only_words_that_are_known_say_something(written: str, result: ListResult | None) -> None:
    assert result_of(written) is result


def test_r4_20_no_word_says_two_things() -> None:
    words = tomllib.loads(files("fleet.intake").joinpath("list_texts.toml").read_text(encoding="utf-8"))["words"]
    assert len(result_words()) == sum(len(some) for languages in words.values() for some in languages.values())
    assert set(words) == set(ListResult) - {ListResult.EMPTY}
    assert all(set(languages) == {"zh", "en"} for languages in words.values())
