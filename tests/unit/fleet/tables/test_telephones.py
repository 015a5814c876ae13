"""Telephone numbers: what people write, and what is none."""

from __future__ import annotations

import pytest

from fleet.tables.telephones import telephone_in


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("138 0013 8000", "13800138000"),
        ("１３８-0013-8000", "13800138000"),
        ("0351-1234567", "03511234567"),
        ("(010) 6234 5678", "01062345678"),
        ("6234567", "6234567"),
        ("400 123 4567", "4001234567"),
        ("+852 9123 4567", "+85291234567"),
    ],
)
def test_a_number_has_one_form(written: str, number: str) -> None:
    assert telephone_in(written) == number


@pytest.mark.parametrize(
    "written", ["", "12345", "12333", "1" * 11, "1380013800", "138001380001", "+", "+12", "call my son", "1" * 20]
)
def test_what_reaches_nobody_is_no_number(written: str) -> None:
    assert telephone_in(written) is None
