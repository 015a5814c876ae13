from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Malformed
from protocol.grouped import ALPHABET, of_bits, shown, typed

SIGNS = st.text(alphabet=ALPHABET, min_size=20, max_size=20)


def read(text: str, length: int = 20) -> str:
    return typed(text, length=length, what="code", code="claim_code")


@given(SIGNS)
def test_what_is_shown_is_read_however_it_is_typed(signs: str) -> None:
    text = shown(signs)
    assert [len(group) for group in text.split("-")] == [4, 4, 4, 4, 4, 1]
    for between in ("", " ", "\u3000", ".", "。", "·", "——", "–", "−", "－", "_", "\u200b-"):
        assert read(text.replace("-", between)) == signs
    for way in (text, text.lower(), f" {text}\n", text.translate({ord(sign): ord(sign) + 0xFEE0 for sign in text})):
        assert read(way) == signs
    assert read(text.replace("0", "O").replace("1", "l")) == signs


@given(SIGNS, st.data())
def test_one_wrong_sign_and_two_that_changed_places_are_found_out(signs: str, data: st.DataObject) -> None:
    plain = shown(signs).replace("-", "")
    at = data.draw(st.integers(0, len(plain) - 1))
    other = data.draw(st.sampled_from(ALPHABET))
    if other != plain[at]:
        with pytest.raises(Malformed, match="mistyped"):
            read(plain[:at] + other + plain[at + 1 :])
    to = data.draw(st.integers(0, len(plain) - 1))
    if plain[to] != plain[at]:
        changed = list(plain)
        changed[at], changed[to] = changed[to], changed[at]
        with pytest.raises(Malformed, match="mistyped"):
            read("".join(changed))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "0 signs found"),
        (shown("0" * 20)[:-1], "5 groups of four letters and digits and a single one expected, 20 signs found"),
        (shown("0" * 16), "17 signs found"),
        (shown("0" * 20).replace("0", "U", 1), "U is in none"),
        (shown("0" * 20).replace("0", "零", 1), "零 is in none"),
    ],
)
def test_what_is_none_is_told(text: str, told: str) -> None:
    with pytest.raises(Malformed, match=told) as error:
        read(text)
    assert error.value.code == "claim_code"


def test_the_first_bits_are_taken() -> None:
    # By hand: 11111 00000 11111 00000 ...
    assert of_bits(bytes((0b11111000, 0b00111110, 0b00000000)), 4) == "Z0Z0"
    assert of_bits(bytes(32), 20) == "0" * 20
