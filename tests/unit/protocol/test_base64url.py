"""Base64url without padding."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocol import base64url


@given(st.binary(max_size=70))
def test_bytes_come_back_whole_and_nothing_is_padded(data: bytes) -> None:
    text = base64url.encode(data)
    assert "=" not in text
    assert base64url.decode(text) == data


def test_a_secret_of_32_bytes_has_43_characters() -> None:
    assert len(base64url.encode(bytes(32))) == 43


def test_two_values_are_written_with_the_characters_of_addresses() -> None:
    # RFC 4648, table 2: 62 is "-", 63 is "_".
    assert base64url.encode(b"\xfb\xff") == "-_8"
