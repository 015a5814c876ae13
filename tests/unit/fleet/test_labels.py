"""Schemes, categories, feeds and networks have one name each in every language."""

from __future__ import annotations

import pytest

from fleet.duplicates.combinations import load_combinations
from fleet.exchange.definitions import catalogue
from fleet.intake.categories import categories
from fleet.statistics.evaluated import evaluated
from fleet.web.labels import category_word, feed_word, network_word, scheme_word


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
    assert scheme_word(written, "zh") == zh
    assert scheme_word(written, "en") == en


def test_every_code_that_the_program_knows_has_a_chinese_name() -> None:
    schemes = {word for each in categories() for word in each.schemes} | {
        word for words in load_combinations().schemes.values() for word in words
    }
    assert {each for each in schemes if scheme_word(each, "zh").isascii()} == set()
    words = {word for each in categories() for word in each.words}
    assert {each for each in words if category_word(each, "zh").isascii()} == set()
    assert {each for each in catalogue().feeds if feed_word(each, "zh").isascii()} == set()
    names = {each.name for each in evaluated().networks}
    assert {each for each in names if network_word(each, "zh") == each} == set()
