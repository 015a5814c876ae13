"""What a list of people would change, by line."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from fleet.intake.comparison import Change, Known, NewWord, compare, with_known_schemes
from fleet.intake.people_table import SubjectRow
from fleet.store.subjects import Benefit
from protocol.documents import check_digit, parse_document

BENEFIT = Benefit("enterprise_pension", "V1", "retired", date(2001, 7, 1), "厂")
DIGITS = "99999919400101001"
ROW = SubjectRow(2, parse_document(DIGITS + check_digit(DIGITS)), "王秀英", "V1", replace(BENEFIT, unit=None))
KNOWN = Known("王秀英", "V1", {"enterprise_pension": BENEFIT}, "13800138000")
HERE = {"schemes": {"enterprise_pension"}, "used": {("enterprise_pension", "retired")}}


@pytest.mark.parametrize(
    ("row", "known", "changes"),
    [
        (ROW, None, {Change.NEW}),
        (ROW, KNOWN, set()),
        (replace(ROW, phone="13800138000"), KNOWN, set()),
        (replace(ROW, phone="13800138001"), KNOWN, {Change.PHONE}),
        (replace(ROW, name="王秀兰"), KNOWN, {Change.RENAMED}),
        (replace(ROW, area="V2"), KNOWN, {Change.MOVED}),
        (replace(ROW, given=frozenset({"unit"})), KNOWN, {Change.BENEFIT_CHANGED}),
        (replace(ROW, benefit=replace(BENEFIT, scheme="work_injury")), KNOWN, {Change.BENEFIT_ADDED}),
    ],
)
def test_a_row_says_what_it_changes(row: SubjectRow, known: Known | None, changes: set[Change]) -> None:
    found = compare([row], [known], **HERE)
    assert found.rows == (frozenset(changes),)
    assert found.unchanged == (not changes)
    assert all(found.lines_of(change) == [2] for change in changes)


def test_words_that_are_not_known_stand_with_their_lines() -> None:
    odd = replace(ROW, line=3, benefit=replace(BENEFIT, scheme="养老x"))
    found = compare([ROW, odd, replace(odd, line=4)], [KNOWN, KNOWN, KNOWN], **HERE)
    assert found.words == (NewWord("scheme", "养老x", (3, 4)), NewWord("category", "retired", (3, 4)))


def test_a_chinese_name_of_a_scheme_is_the_scheme_that_is_known() -> None:
    written = replace(ROW, benefit=replace(BENEFIT, scheme="企业职工基本养老保险"))
    assert with_known_schemes([written], {"enterprise_pension"})[0].benefit.scheme == "enterprise_pension"
    assert with_known_schemes([written], {"企业职工基本养老保险"}) == [written]
    assert with_known_schemes([written], set()) == [written]


def test_a_digest_tells_one_outcome_from_another() -> None:
    assert compare([ROW], [KNOWN], **HERE).digest == compare([ROW], [KNOWN], **HERE).digest
    assert compare([ROW], [KNOWN], **HERE).digest != compare([ROW], [None], **HERE).digest
