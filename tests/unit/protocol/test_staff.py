"""Who may sign in: PIN hashes and operator codes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Malformed
from protocol.staff import OperatorCode, PinHash, parse_operator_code

SALT = bytes(range(16))


def test_a_pin_fits_its_own_hash_only() -> None:
    hashed = PinHash.of("493817", SALT)
    assert hashed.fits("493817")
    assert not hashed.fits("493818")
    for text in ("", "4938", "493817" * 3, "\ud800", "四九三八一七"):
        assert not hashed.fits(text)
    assert PinHash.of("493817", bytes(16)).digest != hashed.digest


@pytest.mark.parametrize("pin", ["12345", "1234567890123", "12a456", "", "１２３４５６"])
def test_what_is_no_pin_is_refused_without_repeating_it(pin: str) -> None:
    with pytest.raises(Malformed, match="6 to 12 digits") as found:
        PinHash.of(pin, SALT)
    assert not pin or pin not in str(found.value)


@given(st.from_regex(r"[0-9A-Za-z-]{1,64}", fullmatch=True), st.binary(min_size=16, max_size=16))
def test_an_operator_code_reads_back(operator_id: str, secret: bytes) -> None:
    code = OperatorCode(operator_id, secret)
    assert parse_operator_code(f" {code.text()}\n") == code
    assert secret.hex() not in repr(code)


@given(st.text())
def test_any_text_is_a_code_or_malformed(text: str) -> None:
    try:
        code = parse_operator_code(text)
    except Malformed:
        return
    assert code.text() == text.strip()


def test_a_hash_is_not_shown() -> None:
    hashed = PinHash.of("493817", SALT)
    assert hashed.digest not in repr(hashed)
    assert hashed.salt not in repr(hashed)
