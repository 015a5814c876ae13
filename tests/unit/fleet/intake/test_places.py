from __future__ import annotations

from pathlib import Path

import pytest

from fleet.errors import ImportRefused
from fleet.intake.places import read_places
from fleet.store.operators import StoredPlace


def written(folder: Path, text: str) -> Path:
    path = folder / "places.csv"
    path.write_text(text, encoding="utf-8-sig")
    return path


@pytest.mark.parametrize("heading", ["code,name,area", "代码,名称,区域", "Code, Name ,AREA"])
def test_places_are_read_under_the_headings_agencies_use(tmp_path: Path, heading: str) -> None:
    found = read_places(written(tmp_path, f"{heading}\n620102001, 东岗  村,620102\n\n"))
    assert found == [StoredPlace("620102001", "东岗 村", "620102")]


def test_every_problem_is_told_with_its_line(tmp_path: Path) -> None:
    text = "code,name,area\na b,x,y\nc1,,y\nc2,x,y,z\nc3,x,y\nc3,x,y\n"
    with pytest.raises(ImportRefused) as caught:
        read_places(written(tmp_path, text))
    assert [problem.split(": ", 1)[1] for problem in caught.value.problems] == [
        "line 2: code: 1 to 32 letters, digits and hyphens expected",
        "line 3: name: 1 to 120 characters that can be shown expected",
        "line 4: 4 columns, 3 expected",
        "line 6: same code as line 5",
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"code,name\n", "no column area"),
        (b"code,name,area\n", "a heading and no rows"),
        (b"\xff\xfe", "UTF-16"),
        (b'code,name,area\n"a,b', "not CSV"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "places.csv"
    path.write_bytes(content)
    with pytest.raises(ImportRefused, match=why):
        read_places(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="cannot be read"):
        read_places(tmp_path / "places.csv")


def test_r4_12_places_come_in_a_spreadsheets_own_encoding(tmp_path: Path) -> None:
    path = tmp_path / "places.csv"
    path.write_text("代码,名称,区域\n620102001,东岗村,620102\n", encoding="gb18030")
    assert read_places(path) == [StoredPlace("620102001", "东岗村", "620102")]
