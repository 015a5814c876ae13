from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.documents import (
    DocumentKind,
    IdentityDocument,
    MaskedDocument,
    check_digit,
    claim_token,
    mask,
    parse_document,
)
from protocol.errors import Malformed

FIRST_17 = "99999919400229001"
GOOD = FIRST_17 + check_digit(FIRST_17)


def test_worked_example_of_the_standard_gets_its_check_digit() -> None:
    # GB 11643 prints this specimen number: 11010519491231002 with check character X.
    assert check_digit("11010519491231002") == "X"


def test_number_is_read_with_spaces_and_lower_case_x() -> None:
    first = next(f"9999991940022900{n}" for n in range(10) if check_digit(f"9999991940022900{n}") == "X")
    assert parse_document(f" {first}x ").kind is DocumentKind.RESIDENT_ID


@given(st.integers(0, 17), st.integers(1, 9))
def test_any_single_mistyped_digit_is_refused(position: int, shift: int) -> None:
    if position == 17:
        wrong = GOOD[:17] + str((int(GOOD[17].replace("X", "0")) + shift) % 10)
        if wrong == GOOD:
            return
    else:
        wrong = GOOD[:position] + str((int(GOOD[position]) + shift) % 10) + GOOD[position + 1 :]
    with pytest.raises(Malformed):
        parse_document(wrong)


@given(st.text(max_size=30))
def test_text_that_is_no_number_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse_document(text)
    assert len(text.strip()) <= 8 or text.strip() not in str(refused.value)


@pytest.mark.parametrize("day", ["19400230", "19991301", "00000101"])
def test_impossible_birth_date_is_refused(day: str) -> None:
    first = "999999" + day + "001"
    with pytest.raises(Malformed, match="date of birth"):
        parse_document(first + check_digit(first))


def test_token_depends_on_key_and_number_and_shows_neither() -> None:
    document = parse_document(GOOD)
    other = parse_document(FIRST_17[:-1] + "2" + check_digit(FIRST_17[:-1] + "2"))
    token = claim_token(document, b"k" * 32)
    assert len({token, claim_token(document, b"l" * 32), claim_token(other, b"k" * 32)}) == 3
    assert GOOD not in token
    assert GOOD not in repr(document)


def test_what_may_be_shown_of_a_number_is_its_end() -> None:
    assert mask(parse_document("11010519491231002X")) == MaskedDocument(DocumentKind.RESIDENT_ID, "002X")
    assert mask(IdentityDocument(DocumentKind.RESIDENT_ID, "130503670401001")).tail == "1001"
    assert mask(IdentityDocument(DocumentKind.RESIDENT_ID, "H12345678")).tail == "78"
