from __future__ import annotations

from dataclasses import asdict

import pytest

from fleet.admission import Chain, Flag
from fleet.web.texts import LANGUAGES, load_texts
from fleet.web.views import _OUTCOME_KINDS, _STATE_KINDS, SYMBOLS
from protocol.outcomes import Outcome, Reason
from protocol.rules.obligations import CertificationState


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_every_language_has_a_text_for_everything_shown(language: str) -> None:
    texts = load_texts()[language]
    assert set(texts.outcomes) == set(Outcome)
    assert set(texts.reasons) == set(Reason)
    assert set(texts.states) == set(CertificationState)
    assert set(texts.flags) == set(Flag)
    assert set(texts.chain) == set(Chain)
    assert all(text for table in asdict(texts).values() if isinstance(table, dict) for text in table.values())


def test_all_languages_have_the_same_page_texts() -> None:
    pages = [set(texts.page) for texts in load_texts().values()]
    assert all(page == pages[0] for page in pages)


def test_no_outcome_or_state_is_told_by_colour_alone() -> None:
    assert set(_OUTCOME_KINDS) == set(Outcome)
    assert set(_STATE_KINDS) == set(CertificationState)
    assert {*_OUTCOME_KINDS.values(), *_STATE_KINDS.values()} <= set(SYMBOLS)
