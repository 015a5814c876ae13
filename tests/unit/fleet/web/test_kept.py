from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.keys import FieldCipher
from fleet.web.kept import MOST, Kept, KeptSearch, Line, lines_of, seal, seal_search, title_of, unseal, unseal_search
from fleet.web.texts import load_texts

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
CIPHER = FieldCipher(os.urandom(32))
TEXTS = load_texts()


@given(st.dictionaries(st.text(max_size=20), st.lists(st.text(max_size=50), max_size=3).map(tuple), max_size=5))
def test_a_form_opens_for_its_account_and_no_other(lists: dict[str, tuple[str, ...]]) -> None:
    kept = Kept("/people/s-1/loss?tab=a", lists, (("scan", "表.pdf"),))
    sealed = seal(CIPHER, "a-1", kept, now=NOW)
    assert sealed is not None
    assert unseal(CIPHER, "a-1", sealed, now=NOW + timedelta(hours=10)) == kept
    assert unseal(CIPHER, "a-2", sealed, now=NOW) is None
    assert unseal(CIPHER, "a-1", sealed, now=NOW + timedelta(hours=25)) is None
    assert unseal(FieldCipher(os.urandom(32)), "a-1", sealed, now=NOW) is None


@given(st.text(max_size=200))
def test_whatever_is_sent_in_its_place_opens_for_nobody(sealed: str) -> None:
    assert unseal(CIPHER, "a-1", sealed, now=NOW) is None


@given(st.text(max_size=201), st.text(max_size=200))
def test_a_search_opens_for_its_account_and_for_eight_hours(typed: str, area_typed: str) -> None:
    search = KeptSearch(typed, area_typed)
    sealed = seal_search(CIPHER, "a-1", search, now=NOW)
    assert unseal_search(CIPHER, "a-1", sealed, now=NOW + timedelta(hours=7)) == search
    assert unseal_search(CIPHER, "a-1", sealed, now=NOW + timedelta(hours=9)) is None
    assert unseal_search(CIPHER, "a-2", sealed, now=NOW) is None
    assert unseal(CIPHER, "a-1", sealed, now=NOW) is None, "no form"


def test_an_address_does_not_tell_how_long_a_name_is() -> None:
    lengths = {
        len(seal_search(CIPHER, "a-1", KeptSearch(each), now=NOW)) for each in ("㛃", "王㛃", "王㛃䶮", "欧阳㛃䶮")
    }
    assert len(lengths) == 1


def test_what_is_too_long_is_not_kept() -> None:
    assert seal(CIPHER, "a-1", Kept("/x", {"text": ("x" * MOST,)}), now=NOW) is None


@pytest.mark.parametrize(("language", "label", "role"), [("zh", "角色", "经办员"), ("en", "Role", "operator")])
def test_lines_are_in_the_readers_words(language: str, label: str, role: str) -> None:
    lists = {"role": ("operator",), "version": ("3",), "area": (" ",), "odd": ("1", "2"), "name": ("operator",)}
    kept = Kept("/accounts/new?x=1", lists)
    found = lines_of(kept, TEXTS[language])
    assert found[0] == Line(label, role)
    assert found[1:3] == [Line("odd", "1"), Line("odd", "2")]
    assert [line.value for line in found[3:]] == ["operator"]
    assert title_of(kept, TEXTS[language]) == TEXTS[language]["accounts"]["title"]
    assert title_of(Kept("/", {}), TEXTS[language]) == ""
    assert title_of(Kept("/nowhere", {}), TEXTS[language]) == ""
