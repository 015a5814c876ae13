"""Tables as agencies hand them in: encodings, spreadsheets, and what spreadsheets do to numbers."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from fleet.errors import ImportRefused
from fleet.tables import reading
from fleet.tables.encodings import decoded
from fleet.tables.places import at_line
from fleet.tables.reading import Column, Shape, read_table
from fleet.tables.written_days import day_in
from protocol.errors import Problem

COLUMNS = {
    "number": Column(("证件号码",), Shape.NUMBER),
    "name": Column(("姓名",)),
    "started": Column(("开始日期",), Shape.DATE),
    "unit": Column(("单位",), is_required=False),
}
HEADING = "证件号码,姓名,开始日期\n"
ROW = "H1234567801,张三,2015-07-01\n"


def written(folder: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = folder / "list.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def workbook(folder: Path, *rows: list[Any], sheets: int = 1) -> Path:
    book = Workbook()
    for index in range(sheets):
        sheet = book.active if index == 0 else book.create_sheet()
        for row in rows:
            sheet.append(row)
    path = folder / "list.xlsx"
    book.save(path)
    return path


def problems(path: Path) -> str:
    with pytest.raises(ImportRefused) as caught:
        read_table(path, COLUMNS)
    return "\n".join(problem.removeprefix(f"{path}: ") for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("encoding", "taken"), [("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8"), ("gbk", "GB18030"), ("gb18030", "GB18030")]
)
def test_encoding_is_told_by_strict_decoding(tmp_path: Path, encoding: str, taken: str) -> None:
    table = read_table(written(tmp_path, HEADING + ROW, encoding), COLUMNS)
    assert (table.encoding, table.rows[0].cells["name"]) == (taken, "张三")


def test_rare_ideographs_of_gb18030_are_read(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, HEADING + ROW.replace("张三", "𠮷㙟"), "gb18030"), COLUMNS)
    assert table.rows[0].cells["name"] == "𠮷㙟"


def test_two_encodings_in_one_file_are_told_with_their_lines(tmp_path: Path) -> None:
    mixed = (HEADING + ROW).encode() + ROW.encode("gb18030")
    assert "line 1 is UTF-8 and line 3" in problems(written(tmp_path, mixed))


def test_a_damaged_utf8_file_is_not_read_as_gb18030(tmp_path: Path) -> None:
    """One lost byte among many names: as GB18030 every name after it would be another one."""
    content = (HEADING + ROW.replace("张三", "欧阳建国") * 30).encode()
    place = content.index("建".encode(), 500)
    line = content.count(b"\n", 0, place) + 1
    assert f"line 1 is UTF-8 and line {line}" in problems(written(tmp_path, content[:place] + content[place + 1 :]))


def test_lines_that_cannot_be_read_are_told_beside_the_others(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, HEADING + "1\n" + ROW + '3,"y\n'), COLUMNS)
    assert [row.line for row in table.rows] == [3]
    assert table.problems[0] == "line 2: 1 columns, 3 expected"
    assert table.problems[1].startswith("line 4: not CSV")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=r"none\.csv: cannot be read"):
        read_table(tmp_path / "none.csv", COLUMNS)


def test_undecodable_bytes_are_told_with_line_and_byte(tmp_path: Path) -> None:
    content = b"a,b\nc,\xff\xff\n"
    assert "neither UTF-8 (line 2, byte 6) nor GB18030 (line 2, byte 6)" in problems(written(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ((HEADING + ROW).encode("utf-16"), "UTF-16"),
        (b"\xef\xbb\xbfa\n\xd0\xd5", "as the file's beginning says"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 more", "(.xls)"),
        (b"a,\0b\n", "byte 2 is no text"),
        (b"PK\x03\x04 not a workbook", "damaged"),
        (b"", "empty"),
        (HEADING.encode(), "no rows"),
        ("姓名,姓名\n".encode(), "column name stands there 2 times"),
        ("姓名\n".encode(), "no column number (also called 证件号码)"),
    ],
)
def test_what_is_no_table_gets_one_clear_message(tmp_path: Path, content: bytes, message: str) -> None:
    assert message in problems(written(tmp_path, content))


def test_headings_are_known_by_aliases_in_any_spelling(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "NUMBER,  姓 名 ,Started,extra\nH1234567801,张三,2015-07-01,x\n"), COLUMNS)
    assert table.rows[0].cells == {"number": "H1234567801", "name": "张三", "started": "2015-07-01"}
    assert table.columns == {"number", "name", "started"}


def test_a_name_where_a_number_is_is_said_as_exchanged_columns(tmp_path: Path) -> None:
    swapped = HEADING + "张三,H1234567801,2015-07-01\n李四,H1234567802,2015-07-01\n"
    assert problems(written(tmp_path, swapped)) == (
        "columns number and name look exchanged: numbers stand in name and words in number"
    )


def test_a_date_where_words_are_is_said_as_exchanged_columns(tmp_path: Path) -> None:
    assert "columns name and started look exchanged" in problems(
        written(tmp_path, HEADING + "H1234567801,2015-07-01,张三\n")
    )


def test_one_odd_row_is_no_exchange(tmp_path: Path) -> None:
    assert len(read_table(written(tmp_path, HEADING + ROW * 4 + "张三,H1234567801,2015-07-01\n"), COLUMNS).rows) == 5


def test_workbook_dates_and_exact_numbers_are_read_as_written(tmp_path: Path) -> None:
    at_midnight = datetime(2015, 7, 1)  # noqa: DTZ001 - as spreadsheets have them
    path = workbook(
        tmp_path,
        ["证件号码", "姓名", "开始日期"],
        [12345678, "张三", at_midnight],
        [],
        ["H1234567801", "李四", date(2016, 2, 29)],
    )
    table = read_table(path, COLUMNS)
    assert table.encoding == "XLSX"
    assert [(row.line, *row.cells.values()) for row in table.rows] == [
        (2, "12345678", "张三", "2015-07-01"),
        (4, "H1234567801", "李四", "2016-02-29"),
    ]


def test_r8_14_a_number_that_a_spreadsheet_cut_is_refused_with_line_and_column(tmp_path: Path) -> None:
    path = workbook(
        tmp_path,
        ["证件号码", "姓名", "开始日期"],
        [620123199901011234, "张三", date(2015, 7, 1)],
        [6.20123199901011e17, "李四", date(2015, 7, 1)],
        ["6.20123E+17", "王五", date(2015, 7, 1)],
    )
    found = read_table(path, COLUMNS).problems
    assert [problem.split(": ")[:2] for problem in found] == [
        ["line 2", "number"],
        ["line 3", "number"],
        ["line 4", "number"],
    ]
    assert "more than 15 digits" in found[0]
    assert "scientific notation" in found[2]
    assert "6.2" not in "".join(found)


def test_scientific_notation_in_csv_is_refused(tmp_path: Path) -> None:
    found = read_table(written(tmp_path, HEADING + ROW + "6.20123E+17,李四,2015-07-01\n"), COLUMNS).problems
    assert found[0].startswith("line 3: number: a number in scientific notation")


def test_error_values_of_a_spreadsheet_are_told(tmp_path: Path) -> None:
    path = workbook(tmp_path, ["证件号码", "姓名", "开始日期"], ["H1234567801", "#REF!", date(2015, 7, 1)])
    assert read_table(path, COLUMNS).problems == ("line 2: name: an error value of the spreadsheet",)


def test_which_of_two_filled_sheets_is_meant_is_not_guessed(tmp_path: Path) -> None:
    path = workbook(tmp_path, ["证件号码", "姓名", "开始日期"], ["H1234567801", "张三", date(2015, 7, 1)], sheets=2)
    assert "2 sheets of this workbook have rows" in problems(path)


def test_a_workbook_that_unpacks_to_a_flood_is_not_opened(tmp_path: Path) -> None:
    path = workbook(tmp_path, ["证件号码"])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings2.xml", b"\0" * 20_000_000)
    assert "unpacks to far more" in problems(path)


def test_a_workbook_with_a_document_type_is_not_opened(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("xl/workbook.xml", '<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>')
    assert "document type" in problems(written(tmp_path, buffer.getvalue()))


def test_a_row_far_down_does_not_hold_the_reader(tmp_path: Path) -> None:
    path = workbook(tmp_path, ["证件号码", "姓名", "开始日期"], ["H1234567801", "张三", date(2015, 7, 1)])
    far = tmp_path / "far.xlsx"
    with zipfile.ZipFile(path) as given_, zipfile.ZipFile(far, "w", zipfile.ZIP_DEFLATED) as made:
        for part in given_.infolist():
            content = given_.read(part)
            if part.filename.endswith("sheet1.xml"):
                content = content.replace(b'r="2"', b'r="99999999999"')
            made.writestr(part.filename, content)
    assert "no rows" in problems(far)


def test_limits_of_size_and_rows_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_ROWS", 3)
    assert "more than 3 rows" in problems(written(tmp_path, HEADING + ROW * 4))
    assert len(read_table(written(tmp_path, HEADING + ROW * 3), COLUMNS).rows) == 3
    monkeypatch.setattr(reading, "MAX_BYTES", 10)
    assert "larger than" in problems(written(tmp_path, HEADING + ROW))


def test_more_problems_than_anybody_reads_are_counted(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused) as caught:
        reading.refuse(tmp_path / "x", [Problem("wrong", "w").within(at_line(n)) for n in range(1500, 0, -1)])
    assert len(caught.value.problems) == 1001
    assert caught.value.problems[0].endswith("line 1: wrong")
    assert caught.value.problems[-1].endswith("and 500 more problems")


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_with_one_reason(content: bytes) -> None:
    text, encoding, fault = decoded(content)
    assert (encoding in {"UTF-8", "GB18030"}) is (fault is None)
    assert fault is None or text == ""


@pytest.mark.parametrize(
    "text", ["2015-07-01", "2015/7/1", "2015.7.1", "20150701", "2015年7月1日", "2015-07-01 00:00:00"]
)
def test_days_are_read_year_first(text: str) -> None:
    assert day_in(text) == date(2015, 7, 1)


@pytest.mark.parametrize(
    "text",
    ["", "01-07-2015", "2015-02-30", "2015-13-01", "42186", "150701", "2015701", "2015-07", "1.7.2015", "2015-W27-3"],
)
def test_what_may_be_read_in_two_ways_is_no_day(text: str) -> None:
    assert day_in(text) is None


def test_a_column_that_is_not_known_is_said_with_the_heading_it_may_stand_for(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("姓名,待遇终止日,颜色\n甲,2026-01-01,红\n", encoding="utf-8")
    columns = {"name": Column(("姓名",)), "ended": Column(("待遇终止日期",), Shape.DATE, is_required=False)}
    found = read_table(path, columns)
    assert found.columns == {"name"}
    assert found.left_out == (
        "line 1: column 待遇终止日 is not known here and was left out; did you mean 待遇终止日期?",
        "line 1: column 颜色 is not known here and was left out",
    )
