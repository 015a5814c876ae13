"""By what names are found: one form for every way of writing, and hashes that fit where characters do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.keys import FieldCipher
from fleet.store.name_index import LONGEST, NameSearch, fits, most_tokens, pattern_of, search_for, tokens_of, units

CIPHER = FieldCipher(bytes(32))
OTHER = FieldCipher(bytes(range(32)))
HAN = st.one_of(
    st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF),
    st.characters(min_codepoint=0x3400, max_codepoint=0x4DBF),
    st.characters(min_codepoint=0x20000, max_codepoint=0x2A6DF),
)
NAMES = st.text(HAN, min_size=2, max_size=8)


def finds(typed: str, name: str) -> bool:
    search = search_for(CIPHER, typed)
    assert search is not None, "too little was typed"
    return set(search.parts) <= set(tokens_of(CIPHER, name))


def searched(typed: str) -> NameSearch:
    search = search_for(CIPHER, typed)
    assert search is not None
    return search


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("王\u3000秀 英", "王秀英"),
        # U+FA1E and U+2F8A6 are compatibility ideographs: of 羽, and of 慈.
        ("王\ufa1e\U0002f8a6", "王羽慈"),
        # Standardised and ideographic variation sequences, and a joiner.
        ("葛\U000e0100秀\ufe00英\u200d", "葛秀英"),
        # U+2F92 is the Kangxi radical of 見.
        ("\u2f92秀英", "見秀英"),
        ("Ｊｏｈｎ  SMITH", "johnsmith"),
        ("O'Neill-Strauß", "oneillstrauss"),
        ("䶮㛃𬭎", "䶮㛃𬭎"),
        ("e\u200d\u0301A\u030a", "éå"),
    ],
)
def test_a_name_has_one_form_however_it_is_written(written: str, plain: str) -> None:
    assert units(written) == plain


@pytest.mark.parametrize("dot", ["", "\u0387", *"·•‧∙⋅・･.．●ᐧ᛫˙⸱․。-－ "])
def test_a_minority_name_is_the_same_with_every_dot_that_is_typed(dot: str) -> None:
    assert units(f"买买提{dot}艾力") == "买买提艾力"


def test_simplified_and_traditional_forms_stay_two_names() -> None:
    assert units("龔") != units("龚")


@pytest.mark.parametrize(
    "mark", ["?", "？", "*", "＊", "□", "■", "〓", "\ufffd", "\ue863", "YAN", "yan3", "yǎn", "Ｙａｎ"]
)
def test_a_character_that_an_old_system_could_not_write_is_one_unknown(mark: str) -> None:
    assert units(f"王{mark}英") == "王?英"


def test_letters_of_a_name_without_ideographs_are_letters() -> None:
    assert units("Yan Li") == "yanli"


@pytest.mark.parametrize(
    ("typed", "name", "is_found"),
    [
        ("王秀英", "王秀英", True),
        ("秀英", "王秀英", True),
        ("王秀", "王秀英", True),
        ("王秀英", "王英秀", False),
        ("英秀", "王秀英", False),
        ("王英", "王秀英", False),
        ("王?英", "王秀英", True),
        ("王*英", "王䶮英", True),
        ("?秀英", "李秀英", True),
        ("王秀？", "王秀兰", True),
        ("李?英", "王秀英", False),
        ("王?英", "王?英", True),
        ("王?英", "王YAN英", True),
        ("王䶮英", "王?英", False),
        ("龚𬭎", "龚𬭎", True),
        ("𬭎㛃", "王𬭎㛃", True),
        ("阿不都", "买买提·阿不都热西提", True),
        ("提阿", "买买提·阿不都热西提", True),
        ("甲", "甲", True),
        ("甲", "甲乙", False),
        ("smith", "John SMITH", True),
    ],
)
def test_what_is_typed_finds_whom_it_fits(typed: str, name: str, is_found: bool) -> None:
    assert finds(typed, name) is is_found


@pytest.mark.parametrize("typed", ["", " ", "?", "??", "王?", "?英", "*王*", "·", "王??英", "\u200d"])
def test_too_little_is_not_searched_for(typed: str) -> None:
    assert search_for(CIPHER, typed) is None


def test_whole_and_given_names_are_told_from_parts() -> None:
    search = searched("秀英")
    assert search.whole in tokens_of(CIPHER, "秀英")
    assert search.given in tokens_of(CIPHER, "王秀英")
    assert not {search.whole, search.given} & set(tokens_of(CIPHER, "王秀英子"))
    assert search.whole not in tokens_of(CIPHER, "王秀英")


def test_what_one_character_is_written_out_to_does_not_make_a_name_longer_than_the_longest() -> None:
    # U+FDFA is one character that NFKC makes eighteen of.
    plain = units("\ufdfa" * 30)
    assert len(plain) == LONGEST
    assert units(plain) == plain


def test_nothing_is_stored_of_a_name_that_says_nothing() -> None:
    assert tokens_of(CIPHER, "") == tokens_of(CIPHER, "??") == tokens_of(CIPHER, "·") == []


def test_another_key_gives_other_hashes_and_no_digest_of_fields() -> None:
    assert not set(tokens_of(CIPHER, "王秀英")) & set(tokens_of(OTHER, "王秀英"))
    digest = CIPHER.digest("pair:王秀", subject_id="", field_name="")
    assert int.from_bytes(digest[:8], "big", signed=True) != CIPHER.blind("pair:王秀")


@given(st.text(max_size=250))
def test_every_text_has_a_form_that_stays_as_it_is(text: str) -> None:
    plain = units(text)
    assert units(plain) == plain
    assert len(tokens_of(CIPHER, text)) <= 2 * max(len(plain), 1)
    assert all(-(2**63) <= token < 2**63 for token in tokens_of(CIPHER, text))


@given(NAMES, st.data())
def test_every_part_of_two_characters_and_more_finds_the_name(name: str, data: st.DataObject) -> None:
    plain = units(name)
    start = data.draw(st.integers(0, len(plain) - 2))
    end = data.draw(st.integers(start + 2, len(plain)))
    assert finds(plain[start:end], name)
    assert searched(name).whole in tokens_of(CIPHER, name)


@given(st.text(HAN, min_size=3, max_size=8), st.data())
def test_a_name_is_found_with_any_one_character_unknown(name: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(name) - 1))
    for mark in "?*":
        assert finds(f"{name[:at]}{mark}{name[at + 1 :]}", name)


@given(NAMES, st.sampled_from(["·", " ", "\u3000", "\ufe00", "\U000e0101", "\u200b"]), st.data())
def test_what_stands_between_characters_changes_nothing(name: str, between: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(name)))
    assert tokens_of(CIPHER, name[:at] + between + name[at:]) == tokens_of(CIPHER, name)


@given(NAMES, st.data())
def test_a_pattern_of_a_name_fits_it_and_no_name_of_another_length(name: str, data: st.DataObject) -> None:
    plain = units(name)
    at = data.draw(st.integers(0, len(plain) - 1))
    pattern = pattern_of(f"{plain[:at]}?{plain[at + 1 :]}")
    assert pattern is not None
    assert fits(pattern, name)
    assert not fits(pattern, f"{name}英")
    assert not fits(pattern, plain[:-1])
    assert len(tokens_of(CIPHER, name)) <= most_tokens(len(plain))


def test_a_known_character_must_be_there() -> None:
    assert fits("张?", "张三")
    assert not fits("张?", "三张")
    assert not fits("张?", "??"), "of this name nothing is known"
    assert fits("王?英", "王YAN英")
    assert pattern_of("张三") is None
    assert pattern_of("??") is None
