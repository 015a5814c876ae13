"""Tables that spreadsheets open as they are meant, and that come back as they went out."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.intake.photo_report import LANGUAGES, photo_texts
from fleet.intake.sheets import to_csv, to_xlsx
from fleet.intake.tables import Column, Shape, read_table

COLUMNS = {"number": Column(("证件号码",), Shape.NUMBER), "name": Column(("姓名",))}
ROWS = [["620123199901011234", "=HYPERLINK(1)"], ["H1234567801", "+张"]]


@pytest.mark.parametrize(("make", "ending"), [(to_csv, "csv"), (to_xlsx, "xlsx")])
def test_what_goes_out_comes_back(tmp_path: Path, make: object, ending: str) -> None:
    path = tmp_path / f"list.{ending}"
    path.write_bytes(make(["证件号码", "姓名"], ROWS))  # type: ignore[operator]
    table = read_table(path, COLUMNS)
    assert [list(row.cells.values()) for row in table.rows] == ROWS
    assert table.problems == ()


def test_a_spreadsheet_takes_no_cell_for_a_number_or_a_formula() -> None:
    content = to_csv(["a"], ROWS)
    assert content.startswith(b"\xef\xbb\xbf")
    assert b"\t620123199901011234" in content
    assert b"\t=HYPERLINK" in content


def test_every_text_of_the_report_is_there_in_both_languages() -> None:
    for group in photo_texts().values():
        for name, text in group.items():
            assert set(text) == set(LANGUAGES), name
