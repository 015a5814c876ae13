"""Schemes, categories, feeds and networks have one name each in every language."""

from __future__ import annotations

import pytest

from fleet.duplicates.combinations import load_combinations
from fleet.exchange.definitions import catalogue
from fleet.intake.categories import categories
from fleet.statistics.evaluated import evaluated
from fleet.store.own_words import OwnWords
from fleet.web.labels import category_word, feed_word, network_word, scheme_word
from fleet.web.texts import load_texts
from protocol.rules.pack import Title

ZH, EN = load_texts()["zh"], load_texts()["en"]


@pytest.mark.parametrize(
    ("written", "zh", "en"),
    [
        ("enterprise_pension", "企业职工基本养老保险", "enterprise pension"),
        ("企业养老保险", "企业职工基本养老保险", "enterprise pension"),
        ("工伤保险", "工伤保险", "work injury"),
        ("own_scheme", "own_scheme", "own_scheme"),
    ],
)
def test_a_scheme_is_called_alike_however_a_list_writes_it(written: str, zh: str, en: str) -> None:
    assert scheme_word(written, ZH) == zh
    assert scheme_word(written, EN) == en


def test_every_code_that_the_program_knows_has_a_chinese_name() -> None:
    schemes = {word for each in categories() for word in each.schemes} | {
        word for words in load_combinations().schemes.values() for word in words
    }
    assert {each for each in schemes if scheme_word(each, ZH).isascii()} == set()
    words = {word for each in categories() for word in each.words}
    assert {each for each in words if category_word(each, ZH).isascii()} == set()
    assert {each for each in catalogue().feeds if feed_word(each, ZH).isascii()} == set()
    names = {each.name for each in evaluated().networks}
    assert {each for each in names if network_word(each, "zh") == each} == set()


def test_what_is_an_agency_s_own_is_called_as_its_data_says_in_the_reader_s_language() -> None:
    """Words of the program stay what they are, and what has no word is called as it is written."""
    own = OwnWords(
        {"自办补助": Title(zh="自办补助", en="own allowance"), "工伤保险": Title(zh="x", en="x")},
        {"own_feed": Title(zh="自有数据", en="Own data")},
    )
    for texts, scheme, feed in (
        (ZH.with_own(own), "自办补助", "自有数据"),
        (EN.with_own(own), "own allowance", "Own data"),
    ):
        assert scheme_word("自办补助", texts) == category_word("自办补助", texts) == scheme
        assert feed_word("own_feed", texts) == feed
        assert scheme_word("另一项", texts) == "另一项"
    assert scheme_word("工伤保险", EN.with_own(own)) == "work injury"
    assert scheme_word("自办补助", EN) == "自办补助", "another agency's words are not changed"
