"""Tables as other bodies write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.errors import ImportRefused
from fleet.exchange.reading import Column, read_table

COLUMNS = {"number": Column(("number", "证件号码")), "name": Column(("name", "姓名"), is_required=False)}
TABLE = "证件号码,姓名,备注\n1,张三,\n\n 2 , 李四 ,见附件\n"


def read(tmp_path: Path, data: bytes) -> list[tuple[int, dict[str, str]]]:
    (tmp_path / "d.csv").write_bytes(data)
    table = read_table(tmp_path / "d.csv", COLUMNS)
    assert table.problems == []
    return [(row.line, row.cells) for row in table.rows]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_every_encoding_of_other_bodies_reads_alike(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, TABLE.encode(encoding)) == [
        (2, {"number": "1", "name": "张三"}),
        (4, {"number": "2", "name": "李四"}),
    ]


def test_a_damaged_utf8_file_is_not_read_as_gb18030(tmp_path: Path) -> None:
    """One lost byte among many names: as GB18030 every name after it would be another one."""
    data = ("number,name\n" + "".join(f"{n},欧阳建国\n" for n in range(30))).encode()
    place = data.index("建".encode(), 200)
    with pytest.raises(ImportRefused) as refused:
        read(tmp_path, data[:place] + data[place + 1 :])
    line = data.count(b"\n", 0, place) + 1
    assert refused.value.problems == [f"{tmp_path / 'd.csv'}: line {line}: broken UTF-8; have the file sent again"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file is empty"),
        ("number,name\n1,甲\n".encode("utf-16"), "UTF-16"),
        (b"number\0,name\n", "no text"),
        (b"number,name\n1,\x81\xff\xff\n", "neither UTF-8 nor GB18030"),
        (b"name\nx\n", "no column number"),
        (b"number,Number\n1,2\n", "columns 1 and 2 have the same heading"),
    ],
)
def test_what_is_no_table_is_refused_with_what_to_do(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(ImportRefused) as refused:
        read(tmp_path, data)
    assert said in refused.value.problems[0]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="cannot be read"):
        read_table(tmp_path / "none.csv", COLUMNS)


def test_lines_that_cannot_be_read_are_named_beside_the_others(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text('number,name\n1\n2,x\n3,"y\n')
    table = read_table(tmp_path / "d.csv", COLUMNS)
    assert [row.cells["number"] for row in table.rows] == ["2"]
    assert table.problems[0] == "line 2: 1 columns, 2 expected"
    assert table.problems[1].startswith("line 4: not CSV")
