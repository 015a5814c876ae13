"""Whose photograph it is, by its file's name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.intake.photo_names import masked, read_name
from protocol.documents import DocumentKind, check_digit

RESIDENT = "99999919400101001" + check_digit("99999919400101001")


@pytest.mark.parametrize("between", ["+", "＋", "", " ", "_", "-", " + ", "－"])
def test_r1_15_name_and_number_are_read_with_anything_between_them(between: str) -> None:
    (found,) = read_name(f"张三{between}{RESIDENT}.jpg").candidates
    assert (found.name, found.document.number) == ("张三", RESIDENT)


@pytest.mark.parametrize(
    ("name", "kind", "number"),
    [
        (f"张三{RESIDENT}.JPG", DocumentKind.RESIDENT_ID, RESIDENT),
        (f"张三{RESIDENT[:6]}{RESIDENT[8:17]}.jpg", DocumentKind.RESIDENT_ID, RESIDENT),
        ("陈大文H1234567801.jpg", DocumentKind.HK_MACAO_PERMIT, "H12345678"),
        ("陳大文+m12345678.jpeg", DocumentKind.HK_MACAO_PERMIT, "M12345678"),
        ("林美+12345678.jpg", DocumentKind.TAIWAN_PERMIT, "12345678"),
        ("JEAN DUPONT+FRA-12AB34567.jpg", DocumentKind.PASSPORT, "12AB34567"),
        ("HANS 931586198001010028.jpg", DocumentKind.FOREIGN_PERMANENT_RESIDENCE, "931586198001010028"),
    ],
)
def test_r4_16_all_kinds_of_document_are_taken(name: str, kind: DocumentKind, number: str) -> None:
    assert (kind, number) in [(each.document.kind, each.document.number) for each in read_name(name).candidates]


def test_a_full_width_name_and_a_decomposed_one_are_read_in_normal_form() -> None:
    assert read_name(f"JOSE\u0301+{RESIDENT}.jpg").candidates[0].name == "JOSÉ"


@pytest.mark.parametrize("name", ["张三.jpg", f"{RESIDENT}.jpg", "IMG_0001.jpg", "", ".jpg", f"张三{RESIDENT}(1).jpg"])
def test_r1_15_a_name_of_another_form_has_nobody(name: str) -> None:
    assert read_name(name).candidates == ()


def test_r1_15_a_number_that_fails_its_own_check_is_told_from_none() -> None:
    wrong = RESIDENT[:17] + ("0" if RESIDENT[17] != "0" else "1")
    assert read_name(f"张三{wrong}.jpg") == read_name(f"张三+{wrong}.jpg")
    assert read_name(f"张三{wrong}.jpg").has_number
    assert not read_name("张三.jpg").has_number


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (f"张三+{RESIDENT}.jpg", f"…{RESIDENT[-4:]}.jpg"),
        ("林美+12345678.jpg", "…78.jpg"),
        ("张三.jpg", "….jpg"),
        ("JOHN.jpg", "….jpg"),
    ],
)
def test_a_report_shows_of_a_name_what_may_be_shown_of_a_number(name: str, shown: str) -> None:
    assert masked(name) == shown


@given(st.text(max_size=60))
def test_any_name_is_read(name: str) -> None:
    reading = read_name(name)
    assert reading.has_number or not reading.candidates
    assert len(masked(name)) <= 1 + 4 + 6
