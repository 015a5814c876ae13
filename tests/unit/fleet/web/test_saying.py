"""What jobs refuse, as a page says it."""

from __future__ import annotations

import logging
from datetime import date

import pytest

from fleet.errors import ImportRefused, NotFound, Refused
from fleet.exchange.checking import Given, check_rows
from fleet.exchange.definitions import catalogue
from fleet.exchange.messages import DeliveredRow
from fleet.intake.areas import read_areas
from fleet.intake.people_table import read_people
from fleet.tables.places import at_line
from fleet.tables.reading import Upload
from fleet.web.saying import all_said, said
from fleet.web.texts import REFUSED, Texts, load_texts


def shared(language: str) -> Texts:
    found = load_texts()[language][REFUSED]
    assert isinstance(found, Texts)
    return found


def test_every_problem_of_a_file_is_said_with_its_line_and_column() -> None:
    with pytest.raises(ImportRefused) as refused:
        read_areas(Upload("code,name,level,parent\n省,甘肃,1,\n62,,1,\n63,青海,9,\n".encode()), {})
    assert all_said(shared("zh"), refused.value) == [
        "第 2 行：“编号”：应为 1 至 32 个字母、数字或连字符",
        "第 3 行：“姓名”：未填写",
        "第 4 行：“级别”：级别应为 1 至 5（省、市、县、乡、村）",
    ]
    assert all_said(shared("en"), refused.value)[1] == "line 3: name: empty"
    assert refused.value.problems[1] == "file: line 3: name: empty", "for the command line"


def test_a_number_that_was_mistyped_and_one_that_was_cut() -> None:
    content = "document_number,name,area,scheme,category,benefit_start\n11010519491231002X1,王,a,b,c,2015-07-01\n"
    content += "110105194912310000,王,a,b,c,2015-07-01\n"
    with pytest.raises(ImportRefused) as refused:
        read_people(Upload(content.encode()), today=date(2026, 11, 1))
    assert all_said(shared("zh"), refused.value) == [
        "第 2 行：“证件号码”：身份证号码有 19 位，应为 18 或 15 位",
        "第 3 行：“证件号码”：身份证号码校验位不符，是否有数字写错？（末几位是零，可能已被表格软件截断）",
    ]


def test_another_place_and_the_words_of_a_feed_are_said_within_a_problem() -> None:
    rows = [
        DeliveredRow(row_id="1", document_number="11010519491231002X", name="", kind="", since=since)
        for since in ("2026-10-03", "2026-10-04")
    ]
    given = [Given(at_line(line).at("file"), row) for line, row in enumerate(rows, 2)]
    found = check_rows(catalogue().feeds["deaths"], given, period=date(2026, 10, 1), today=date(2026, 11, 1))
    assert [said(shared("zh"), each) for each in found.problems] == [
        "第 3 行：行编号与第 2 行相同，内容不同",
        "第 3 行：与第 2 行是同一人，死亡日期不同",
    ]
    assert found.problems[0] == "file: line 3: same row id as file: line 2, and says something else"


def test_a_groups_own_sentence_comes_before_the_one_of_all() -> None:
    error = Refused("said before", code="same_person")
    for language, texts in load_texts().items():
        assert said(texts["rules"], error) != said(texts["duplicates"], error), language


def test_what_has_no_sentence_is_told_by_its_code_and_in_the_log_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        told = said(shared("zh"), NotFound("something quite new"))
    assert "NotFound" in told
    assert "something" not in told
    assert "something quite new" in caplog.text
