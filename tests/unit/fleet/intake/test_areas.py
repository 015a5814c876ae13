"""Files of areas: five levels, one root each, no way round."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.errors import ImportRefused
from fleet.intake.areas import read_areas
from fleet.store.areas import Area

HEADING = "代码,名称,级别,上级代码\n"
SHANXI = (
    "14,山西省,省,\n1401,太原市,2,14\n140105,小店区,county,1401\n"
    "140105001,坞城街道,街道,140105\n140105001001,红寺社区,社区,140105001\n"
)


def read(folder: Path, text: str, known: dict[str, Area] | None = None) -> list[Area]:
    path = folder / "areas.csv"
    path.write_text(text, encoding="gb18030")
    return read_areas(path, known or {})


def problems(folder: Path, text: str, known: dict[str, Area] | None = None) -> list[str]:
    with pytest.raises(ImportRefused) as caught:
        read(folder, HEADING + text, known)
    return [problem.split(": ", 1)[1] for problem in caught.value.problems]


def test_r4_26_five_levels_are_read_by_number_or_word_in_either_language(tmp_path: Path) -> None:
    found = read(tmp_path, HEADING + SHANXI)
    assert [(area.code, area.level, area.parent) for area in found] == [
        ("14", 1, None),
        ("1401", 2, "14"),
        ("140105", 3, "1401"),
        ("140105001", 4, "140105"),
        ("140105001001", 5, "140105001"),
    ]


def test_r4_26_cycles_missing_parents_and_wrong_levels_are_told_together(tmp_path: Path) -> None:
    text = "14,山西省,1,\n1401,太原市,2,15\n140105,小店区,3,14\n15,甲,2,16\n16,乙,2,15\n17,丙,3,\n18,丁,2,18\n"
    assert problems(tmp_path, text.replace("1401,太原市,2,15", "1401,太原市,2,99")) == [
        "line 3: no area has the code of its parent",
        "line 4: level 3 below level 1",
        "line 5: is its own parent, by way of those above it",
        "line 6: is its own parent, by way of those above it",
        "line 7: level 3 without a parent; only a province has none",
        "line 8: is its own parent, by way of those above it",
    ]


def test_what_hangs_on_a_cycle_is_no_endless_way(tmp_path: Path) -> None:
    found = problems(tmp_path, "15,甲,2,16\n16,乙,2,15\n151,丙,3,15\n")
    assert len(found) == 2


def test_cells_that_say_nothing_are_told(tmp_path: Path) -> None:
    assert problems(tmp_path, "1 4,山西省,1,\n15,,1,\n16,a/b,9,?\n16,b,1,\n") == [
        "line 2: code: 1 to 32 letters, digits and hyphens expected",
        "line 3: name: empty",
        "line 4: parent: the code of the area above expected",
        "line 4: name: with a /, which divides names",
        "line 4: level: 1 to 5 expected (province, city, county, township, community)",
    ]


def test_two_of_one_code_or_name_are_told(tmp_path: Path) -> None:
    assert problems(tmp_path, "14,山西省,1,\n14,山西,1,\n") == ["line 3: same code as line 2"]
    assert problems(tmp_path, "14,山西省,1,\n15,山西省,1,\n") == [
        "line 2: another area of this name has the same parent",
        "line 3: another area of this name has the same parent",
    ]


def test_a_file_is_checked_together_with_what_is_stored(tmp_path: Path) -> None:
    known = {"14": Area("14", None, 1, "山西省"), "1401": Area("1401", "14", 2, "太原市")}
    assert read(tmp_path, HEADING + "140105,小店区,3,1401\n", known)[0].parent == "1401"
    assert problems(tmp_path, "14,山西省,2,15\n15,中国,1,\n", known) == [
        "area 1401, stored before: level 2 below level 2",
    ]
