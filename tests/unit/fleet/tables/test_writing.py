"""Tables that spreadsheets open as they are meant, and that come back as they went out."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

import fleet
from fleet.errors import Refused
from fleet.tables.reading import Column, Shape, read_table
from fleet.tables.writing import to_csv, to_xlsx, write_new

COLUMNS = {"number": Column(("证件号码",), Shape.NUMBER), "name": Column(("姓名",))}
ROWS = [["620123199901011234", "=HYPERLINK(1)"], ["H1234567801", "+张"]]
CODES = ["12345e67", "0931445566", "00000000"]
"""A spreadsheet would show `1.2345E+71`, and the others without their zeros."""


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_sign_begins_a_formula(sign: str) -> None:
    assert to_csv((["a"], [[f"{sign}1+1"]])).decode("utf-8-sig").splitlines() == ["a", f"\t{sign}1+1"]


def test_what_a_program_reads_stands_as_it_is() -> None:
    assert to_csv((["token", "n"], [["-Ab", 1]]), for_programs=True) == b"token,n\r\n-Ab,1\r\n"


def test_nothing_else_writes_tables() -> None:
    """A cell that is written elsewhere would be a formula there."""
    root = Path(fleet.__file__).parent
    others = [
        path.relative_to(root)
        for path in root.rglob("*.py")
        if path.parent.name != "tables" and re.search(r"csv\.(writer|DictWriter)|Workbook\(", path.read_text("utf-8"))
    ]
    assert others == []


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_what_goes_out_comes_back(tmp_path: Path, ending: str) -> None:
    path, heading = tmp_path / f"list.{ending}", ["证件号码", "姓名"]
    path.write_bytes(to_csv((heading, ROWS)) if ending == "csv" else to_xlsx([(None, heading, ROWS)]))
    table = read_table(path, COLUMNS)
    assert [list(row.cells.values()) for row in table.rows] == ROWS
    assert table.problems == ()


def test_a_spreadsheet_takes_no_cell_for_a_number_or_a_formula() -> None:
    content = to_csv((["a"], [*ROWS, CODES]))
    assert content.startswith(b"\xef\xbb\xbf")
    assert b"\t620123199901011234" in content
    assert b"\t=HYPERLINK" in content
    assert all(f"\t{code}".encode() in content for code in CODES)
    assert to_csv((["a"], [["deadbeef", 5, 0.5, None, "13800000001"]])).endswith(b"deadbeef,5,0.5,,13800000001\r\n")


def test_tables_of_one_file_are_told_apart_by_an_empty_line() -> None:
    assert to_csv((["a"], [["1"]]), (["b"], [])) == b"\xef\xbb\xbfa\r\n1\r\n\r\nb\r\n"


def test_a_new_file_is_its_owners_and_replaces_none(tmp_path: Path) -> None:
    path = tmp_path / "new"
    write_new(path, b"x")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"x", 0o600)
    with pytest.raises(Refused, match="exists"):
        write_new(path, b"y")
    assert path.read_bytes() == b"x"
