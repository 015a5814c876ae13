"""Words of an agency's own data, in one language or in both."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from fleet.duplicates.combinations import load_combinations
from fleet.statistics.evaluated import evaluated
from fleet.tables.words import Told, Words


def test_words_are_told_in_the_readers_language_or_in_the_one_there_is() -> None:
    both = Words(zh="两份养老金", en="two pensions")
    assert both.told("zh") == Told("zh", "两份养老金")
    assert both.told("en") == Told("en", "two pensions")
    only = Words.model_validate("由本市规定")
    assert only.told("en") == only.told("zh") == Told("zh", "由本市规定")
    assert Words.model_validate("two pensions").told("zh") == Told("en", "two pensions")


@pytest.mark.parametrize("found", [{}, {"zh": ""}, "", {"fr": "x"}, 3])
def test_no_words_are_refused(found: object) -> None:
    with pytest.raises(ValidationError):
        Words.model_validate(found)


def test_the_shipped_table_of_benefits_says_why_in_both_languages() -> None:
    table = load_combinations()
    for rule in (table.same_scheme, *table.pair):
        assert {rule.because.told(language).language for language in ("zh", "en")} == {"zh", "en"}


def test_the_notes_of_every_shipped_network_are_there_in_both_languages() -> None:
    for network in evaluated().networks:
        assert network.words.told("en").text == network.notes
        assert network.words.told("zh").language == "zh", f"{network.name}: translate the notes anew"


def test_a_chinese_note_of_an_earlier_text_is_not_shown() -> None:
    network = evaluated().networks[0].model_copy(update={"notes": "Trained on something else."})
    assert network.words.told("zh") == Told("en", "Trained on something else.")
