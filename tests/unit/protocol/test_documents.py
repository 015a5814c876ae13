from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.documents import (
    DocumentKind,
    IdentityDocument,
    MaskedDocument,
    birth_year,
    check_digit,
    claim_token,
    mask,
    parse_document,
)
from protocol.errors import Malformed
from protocol.mrz import zone_check_digit

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


KEY = b"k" * 32


def kind_only(value: object) -> str:
    """Name a case by its kind or message: numbers stand in no test's name."""
    return value if (isinstance(value, str) and " " in value) or isinstance(value, DocumentKind) else "text"


FIRST_GENERATION = FIRST_17[:6] + FIRST_17[8:]


def with_check(first: str) -> str:
    return first + check_digit(first)


def token(text: str, kind: DocumentKind | None = None, issuer: str = "") -> str:
    return claim_token(parse_document(text, kind, issuer=issuer), KEY)


RESIDENCE = with_check("81000019500203001")
FOREIGN_NEW = "931586198001010028"  # the specimen of the card of 2023
FOREIGN_OLD = "CAN110081080319"  # a specimen of the card of 2017
PASSPORT_ZONE = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<L898902C36UTO7408122F1204159ZE184226B<<<<<10"


def permit_zone(number: str, state: str = "CHN") -> str:
    first = f"C<{state}{number:<<9}{zone_check_digit(f'{number:<<9}')}".ljust(30, "<")
    second = "7408122F3004157CHN" + "<" * 11
    return first + second + zone_check_digit(first[5:] + second[:7] + second[8:15] + second[18:]) + "A".ljust(30, "<")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (GOOD, DocumentKind.RESIDENT_ID),
        (FIRST_GENERATION, DocumentKind.RESIDENT_ID),
        (RESIDENCE, DocumentKind.RESIDENCE_PERMIT),
        (with_check("83000019500203001"), DocumentKind.RESIDENCE_PERMIT),
        ("H12345678", DocumentKind.HK_MACAO_PERMIT),
        ("M1234567803", DocumentKind.HK_MACAO_PERMIT),
        ("HA1234567", DocumentKind.HK_MACAO_PERMIT),
        ("1234567801(B)", DocumentKind.TAIWAN_PERMIT),
        (FOREIGN_NEW, DocumentKind.FOREIGN_PERMANENT_RESIDENCE),
        (FOREIGN_OLD, DocumentKind.FOREIGN_PERMANENT_RESIDENCE),
        ("passport:FRA:12AB34567", DocumentKind.PASSPORT),
        ("taiwan_permit:12345678", DocumentKind.TAIWAN_PERMIT),
        (PASSPORT_ZONE, DocumentKind.PASSPORT),
        (permit_zone("H12345678"), DocumentKind.HK_MACAO_PERMIT),
        (permit_zone("12345678"), DocumentKind.TAIWAN_PERMIT),
    ],
    ids=kind_only,
)
def test_unambiguous_text_tells_its_kind(text: str, kind: DocumentKind) -> None:
    document = parse_document(text)
    assert document.kind is kind
    assert parse_document(document.text) == document
    assert parse_document(text, kind) == document


@pytest.mark.parametrize("text", ["12345678", "1234567801"])
def test_digits_that_may_be_several_kinds_need_the_kind(text: str) -> None:
    with pytest.raises(Malformed, match="choose the kind"):
        parse_document(text)
    assert parse_document(text, DocumentKind.TAIWAN_PERMIT).number == "12345678"


def test_first_generation_and_new_number_are_one_person() -> None:
    assert token(FIRST_GENERATION) == token(GOOD)


def test_first_generation_number_of_a_centenarian_leaves_the_century_open() -> None:
    with pytest.raises(Malformed, match="18-digit"):
        parse_document(FIRST_GENERATION[:12] + "997")


def test_renewed_permit_is_the_same_person() -> None:
    assert token("H1234567800") == token("H1234567812") == token("H12345678") == token(permit_zone("H12345678"))
    taiwan = DocumentKind.TAIWAN_PERMIT
    assert token("1234567801", taiwan) == token("1234567802(C)", taiwan) == token("12345678", taiwan)


def test_one_number_of_two_kinds_or_states_is_two_people() -> None:
    passport = DocumentKind.PASSPORT
    tokens = {
        token("H12345678"),
        token("H12345678", passport, "CHN"),
        token("H12345678", passport, "FRA"),
        token("M12345678"),
    }
    assert len(tokens) == 4


def test_typed_passport_and_its_zone_are_one_document() -> None:
    assert token("l898902c3", DocumentKind.PASSPORT, "uto") == token(PASSPORT_ZONE)


@pytest.mark.parametrize(
    "typed",
    [
        f"\ufeff {GOOD}\r\n",
        f"{GOOD[:6]} {GOOD[6:14]}-{GOOD[14:]}",
        "".join(chr(ord(c) + 0xFEE0) for c in GOOD),
        "\x02" + GOOD + "\x03\t",
    ],
    ids=["break", "grouped", "full-width", "control"],
)
def test_what_keyboards_and_readers_add_is_no_fault(typed: str) -> None:
    assert parse_document(typed) == parse_document(GOOD)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("", None, "nothing was entered"),
        ("\x00\u200b", None, "nothing was entered"),
        ("9" * 300, None, "at most 200"),
        ("12345", None, "5 characters, 18 or 15"),
        ("ÜÖ123", None, "no known kind"),
        ("E12345678", None, "choose the kind"),
        ("E12345678", DocumentKind.PASSPORT, "issuing state"),
        ("12345", DocumentKind.PASSPORT, "issuing state"),
        ("passport:FRA:12345", None, "6 to 9"),
        ("passport:FRA:ABCDEFG", None, "6 to 9"),
        ("X12345678", DocumentKind.HK_MACAO_PERMIT, "H or M"),
        ("1234567", DocumentKind.TAIWAN_PERMIT, "8 or 10 digits"),
        (RESIDENCE, DocumentKind.RESIDENT_ID, "residence permit"),
        (FOREIGN_NEW, DocumentKind.RESIDENT_ID, "permanent residence"),
        (GOOD, DocumentKind.RESIDENCE_PERMIT, "810000"),
        (with_check("81010119500203001"), None, "810000"),
        (GOOD, DocumentKind.FOREIGN_PERMANENT_RESIDENCE, "a 9, a province"),
        (FOREIGN_NEW[:-1] + "9", None, "check digit"),
        ("CAN110081080399"[:7] + "991399" + "19", None, "date of birth"),
        ("CAN990081080319", None, "province"),
        (FIRST_GENERATION[:6] + "400230" + "001", None, "date of birth"),
        ("taiwan_permit:12345678", DocumentKind.PASSPORT, "of kind taiwan_permit"),
        (PASSPORT_ZONE, DocumentKind.HK_MACAO_PERMIT, "of kind passport"),
        (PASSPORT_ZONE[:-1] + "1", None, "check digit"),
        (permit_zone("H12345678", "FRA"), None, "neither"),
        (permit_zone("L12345678"), None, "H or M"),
    ],
    ids=kind_only,
)
def test_what_is_wrong_is_said_and_the_number_is_not(text: str, kind: DocumentKind | None, message: str) -> None:
    with pytest.raises(Malformed, match=message) as refused:
        parse_document(text, kind)
    assert len(text) < 6 or text not in str(refused.value)


def test_issuer_belongs_to_a_passport_only() -> None:
    with pytest.raises(Malformed, match="passport only"):
        parse_document(GOOD, issuer="CHN")


@given(st.text(max_size=220), st.sampled_from([None, *DocumentKind]), st.sampled_from(["", "CHN", "x1", "?"]))
def test_any_text_gives_a_document_or_one_message(text: str, kind: DocumentKind | None, issuer: str) -> None:
    try:
        document = parse_document(text, kind, issuer=issuer)
    except Malformed:
        return
    assert isinstance(document, IdentityDocument)
    assert parse_document(document.text) == document


def test_what_may_be_shown_of_a_number_is_its_end() -> None:
    assert mask(parse_document("11010519491231002X")) == MaskedDocument(DocumentKind.RESIDENT_ID, "002X")
    assert mask(IdentityDocument(DocumentKind.RESIDENT_ID, "130503670401001")).tail == "1001"
    assert mask(IdentityDocument(DocumentKind.RESIDENT_ID, "H12345678")).tail == "78"


@pytest.mark.parametrize(
    ("text", "kind", "year"),
    [
        ("11010519491231002X", None, 1949),
        ("110105491231002", None, 1949),
        ("H12345678", DocumentKind.HK_MACAO_PERMIT, None),
    ],
)
def test_the_year_of_birth_is_what_the_number_says(text: str, kind: DocumentKind | None, year: int | None) -> None:
    assert birth_year(parse_document(text, kind)) == year
