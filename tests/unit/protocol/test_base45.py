from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import base45
from protocol.errors import Malformed


@pytest.mark.parametrize(
    ("data", "text"), [(b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581"), (b"ietf!", "QED8WEX0")]
)
def test_the_examples_of_rfc_9285_hold(data: bytes, text: str) -> None:
    assert base45.encode(data) == text
    assert base45.decode(text) == data


@given(st.binary(max_size=200))
def test_bytes_read_back(data: bytes) -> None:
    assert base45.decode(base45.encode(data)) == data


@given(st.text(alphabet=base45.ALPHABET + "aé\n", max_size=60))
def test_a_text_stands_for_bytes_and_for_no_others_or_is_refused(text: str) -> None:
    try:
        data = base45.decode(text)
    except Malformed:
        return
    assert base45.encode(data) == text


# RFC 9285, section 6: a group above 65535 must be refused; a last pair above 255 as well.
@pytest.mark.parametrize("text", ["GGW", "::", "A", "BB8a"])
def test_what_stands_for_no_bytes_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        base45.decode(text)
