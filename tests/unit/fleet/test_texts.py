from __future__ import annotations

import pytest

from fleet.accounts.roles import Role
from fleet.admission import Chain, Flag
from fleet.web.navigation import ENTRIES
from fleet.web.texts import LANGUAGES, load_texts
from protocol.outcomes import Outcome, Reason
from protocol.rules.obligations import CertificationState


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_every_language_has_a_word_for_everything_shown(language: str) -> None:
    words = load_texts()[language]["words"]
    assert set(words["outcomes"]) == set(Outcome)
    assert set(words["reasons"]) == set(Reason)
    assert set(words["states"]) == set(CertificationState)
    assert set(words["flags"]) == set(Flag)
    assert set(words["chain"]) == set(Chain)
    assert set(words["roles"]) == set(Role)
    assert set(load_texts()[language]["menu"]) == {entry.group for entry in ENTRIES}


def test_all_languages_have_the_same_texts_and_none_is_empty() -> None:
    first, *others = (texts.flat() for texts in load_texts().values())
    for other in others:
        assert set(other) == set(first)
    for texts in (first, *others):
        assert all(texts.values())
    for other in others:
        # Lists of paragraphs, such as help, have as many in every language.
        assert {key: len(value) for key, value in first.items() if isinstance(value, list)} == {
            key: len(value) for key, value in other.items() if isinstance(value, list)
        }
