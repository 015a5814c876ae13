from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from protocol.errors import Malformed
from protocol.names import NAME_MOST, PersonName, may_look_otherwise, normal_name
from protocol.wire import WirePart

BEYOND_THE_BASIC_PLANE = "\U00020bb7\U00030edd"
PRIVATE = "\ue863"
CHOSEN_FORM = "\u845b\U000e0100"


class Named(WirePart):
    name: PersonName


@pytest.mark.parametrize("rare", [BEYOND_THE_BASIC_PLANE, PRIVATE, CHOSEN_FORM, "阿卜杜热依木·麦麦提", "Ōé"])
def test_rare_characters_survive_json(rare: str) -> None:
    named = Named(name=rare)
    assert Named.model_validate_json(named.model_dump_json()).name == normal_name(rare) == named.name


def test_two_ways_to_write_one_letter_become_one_name() -> None:
    assert normal_name("Jose\u0301") == normal_name("José")


def test_blanks_around_and_between_are_made_one() -> None:
    assert normal_name("  Anna \u3000 Maria ") == "Anna Maria"


def test_longest_name_is_taken_and_a_longer_one_refused() -> None:
    assert len(normal_name(BEYOND_THE_BASIC_PLANE[0] * NAME_MOST)) == NAME_MOST
    with pytest.raises(Malformed, match="at most 120"):
        normal_name("王" * (NAME_MOST + 1))


@pytest.mark.parametrize("wrong", ["", "  ", "张\x07三", "\ud842", "甲\u202e乙", "\U000e0fff"])
def test_what_is_no_name_is_refused_without_being_repeated(wrong: str) -> None:
    with pytest.raises(Malformed) as refused:
        normal_name(wrong)
    assert "甲" not in str(refused.value)
    with pytest.raises(ValidationError):
        Named(name=wrong)


def test_private_characters_are_pointed_out() -> None:
    assert may_look_otherwise("王" + PRIVATE)
    assert not may_look_otherwise("王" + BEYOND_THE_BASIC_PLANE)


@given(st.text(max_size=200))
def test_normal_form_of_a_name_is_its_own_normal_form(text: str) -> None:
    try:
        name = normal_name(text)
    except Malformed:
        return
    assert normal_name(name) == name
