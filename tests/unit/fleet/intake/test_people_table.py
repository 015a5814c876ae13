from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from fleet.errors import ImportRefused
from fleet.intake.area_tree import AreaTree
from fleet.intake.people_table import read_rows
from fleet.store.areas import Area
from protocol.documents import check_digit

TODAY = date(2026, 11, 20)
HEADING = "document_number,name,area,scheme,category,benefit_start\n"


def number(serial: int) -> str:
    first = f"99999919400101{serial:03d}"
    return first + check_digit(first)


def row(
    serial: int = 1, name: str = "甲", area: str = "east", scheme: str = "pension", start: str = "2001-07-01"
) -> str:
    return f"{number(serial)},{name},{area},{scheme},retired,{start}\n"


def problems(path: Path) -> list[str]:
    with pytest.raises(ImportRefused) as caught:
        read_rows(path, today=TODAY)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "people.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_utf8_is_read_with_and_without_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    rows = read_rows(written(tmp_path, HEADING + row(1) + "\n" + row(2, start="2015/01/31"), encoding), today=TODAY)
    assert [r.line for r in rows] == [2, 4]
    assert rows[1].benefit.started == date(2015, 1, 31)


def test_chinese_headings_in_another_order_are_read(tmp_path: Path) -> None:
    text = f"姓名,身份证号,地区,险种,人员类别,待遇领取日期\n甲,{number(1)},east,pension,retired,2001-07-01\n"
    assert read_rows(written(tmp_path, text), today=TODAY)[0].name == "甲"


def test_every_bad_cell_is_reported_with_its_line(tmp_path: Path) -> None:
    text = HEADING + row(1) + "123,,east,pension,retired,2001-13-01\n" + "a,b\n" + row(2, start="1200-01-01")
    found = "\n".join(problems(written(tmp_path, text)))
    assert "line 3: document_number: identity number: 3 characters" in found
    assert "line 3: name: empty" in found
    assert "line 3: benefit_start" in found
    assert "line 4: 2 columns, 6 expected" in found
    assert "line 5: benefit_start" in found
    assert "line 2" not in found


def test_no_message_repeats_a_number_or_a_name(tmp_path: Path) -> None:
    wrong = number(1)[:17] + ("0" if number(1)[17] != "0" else "1")
    text = HEADING + f"{wrong},秘密,east,pension,retired,2001-07-01\n" + row(2, name="张\x07三")
    found = "\n".join(problems(written(tmp_path, text)))
    assert "check digit" in found
    assert "cannot be shown" in found
    assert wrong not in found
    assert "秘密" not in found


def test_contradicting_rows_of_one_person_are_refused(tmp_path: Path) -> None:
    text = HEADING + row(1) + row(1, name="乙", scheme="injury") + row(1)
    found = "\n".join(problems(written(tmp_path, text)))
    assert "line 3: same document number as line 2, other name or area" in found
    assert "line 4: same person and scheme as line 2" in found


def test_one_person_may_have_two_schemes(tmp_path: Path) -> None:
    assert len(read_rows(written(tmp_path, HEADING + row(1) + row(1, scheme="injury")), today=TODAY)) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (HEADING.encode(), "no rows"),
        (b"name,area\n", "no column document_number"),
        ("姓名".encode("gbk"), "no column document_number"),
        (HEADING.encode() + b'"open\n', "not CSV"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(content)
    assert message in "\n".join(problems(path))


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    assert "cannot be read" in problems(tmp_path / "none.csv")[0]


WITH_KIND = "document_number,证件类型,签发国,name,area,scheme,category,benefit_start\n"


def test_kind_column_names_the_document_in_either_language(tmp_path: Path) -> None:
    text = WITH_KIND + "".join(
        f"{document},{kind},{issuer},{name},east,pension,retired,2001-07-01\n"
        for document, kind, issuer, name in [
            (number(1), "", "", "甲"),
            ("12345678", "台胞证", "", "乙"),
            ("H1234567801", "hk_macao_permit", "", "丙"),
            ("12AB34567", "护照", "FRA", "丁"),
            ("931586198001010028", "外国人永久居留身份证", "", "戊"),
        ]
    )
    rows = read_rows(written(tmp_path, text), today=TODAY)
    assert [r.document.kind for r in rows] == ["resident_id", "taiwan_permit", "hk_macao_permit", "passport", FOREIGN]
    assert rows[3].document.issuer == "FRA"


FOREIGN = "foreign_permanent_residence"


def test_wrong_kind_and_missing_issuer_are_reported(tmp_path: Path) -> None:
    rest = ",甲,east,pension,retired,2001-07-01\n"
    text = WITH_KIND + f"{number(1)},card,{rest}" + f"12AB34567,passport,{rest}" + f"12345678,,{rest}"
    found = "\n".join(problems(written(tmp_path, text)))
    assert "line 2: document_kind: one of resident_id, " in found
    assert "line 3: document_number: passport: the issuing state is missing" in found
    assert "line 4: document_number: identity document: 8 digits" in found


def test_first_generation_number_contradicts_its_new_form(tmp_path: Path) -> None:
    old = number(1)[:6] + number(1)[8:17]
    text = HEADING + row(1) + row(1, name="乙", scheme="injury").replace(number(1), old)
    assert "same document number as line 2" in problems(written(tmp_path, text))[0]


def test_rare_name_is_kept_in_normal_form(tmp_path: Path) -> None:
    rows = read_rows(written(tmp_path, HEADING + row(1, name="\U00020bb7\ue863e\u0301")), today=TODAY)
    assert rows[0].name == "\U00020bb7\ue863é"


WITH_FACTS = "证件号码,姓名,地区,险种,人员类别,待遇领取日期,手机号,单位,管理方式,待遇终止日期\n"


def fact_row(serial: int, phone: str, unit: str, managed: str, ended: str = "") -> str:
    return f"{number(serial)},甲{serial},east,pension,retired,2001-07-01,{phone},{unit},{managed},{ended}\n"


def test_r3_11_r8_14_who_manages_somebody_and_their_phone_are_read(tmp_path: Path) -> None:
    text = (
        WITH_FACTS + fact_row(1, "138 0013-8000", "某厂", "单位管理") + fact_row(2, "", "", "社会化", "2025年12月31日")
    )
    first, second = read_rows(written(tmp_path, text, "gb18030"), today=TODAY)
    assert (first.phone, first.benefit.unit, first.benefit.managed_by) == ("13800138000", "某厂", "unit")
    assert (second.phone, second.benefit.unit, second.benefit.managed_by) == ("", None, "socialised")
    assert second.benefit.ended == date(2025, 12, 31)
    assert first.given == {"unit", "managed_by", "ended"}


def test_wrong_facts_are_all_told(tmp_path: Path) -> None:
    text = WITH_FACTS + fact_row(1, "1234", "", "unit", "2000-01-01") + fact_row(2, "", "", "nobody", "soon")
    assert problems(written(tmp_path, text)) == [
        "line 2: managed_by: managed by a unit, and the column unit does not say which",
        "line 2: ended: before the benefit starts",
        "line 2: phone: a telephone number expected, with + before a country's",
        "line 3: managed_by: unit or socialised expected",
        "line 3: ended: a date like 2015-07-01 expected, from 1949 to next year",
    ]


def test_r8_14_a_number_whose_last_digits_a_spreadsheet_made_zeros_is_told(tmp_path: Path) -> None:
    cut = number(1)[:15] + "000"
    assert "a spreadsheet may have cut it" in problems(written(tmp_path, HEADING + row(1).replace(number(1), cut)))[0]


TREE = AreaTree(
    {
        area.code: area
        for area in (
            Area("14", None, 1, "山西省"),
            Area("1401", "14", 2, "太原市"),
            Area("140105", "1401", 3, "小店区"),
            Area("1402", "14", 2, "大同市"),
            Area("140212", "1402", 3, "城区"),
            Area("1403", "14", 2, "阳泉市"),
            Area("140302", "1403", 3, "城区"),
        )
    }
)


@pytest.mark.parametrize(
    ("area", "code"),
    [("140105", "140105"), ("山西省/太原市/小店区", "140105"), ("小店区", "140105"), ("阳泉市/城区", "140302")],
)
def test_r4_26_an_area_is_named_by_code_or_by_its_unique_path(tmp_path: Path, area: str, code: str) -> None:
    found = read_rows(written(tmp_path, HEADING + row(1, area=area)), today=TODAY, areas=TREE)[0]
    assert (found.area, found.benefit.region) == (code, code)


def test_r4_26_an_area_that_is_not_one_is_told(tmp_path: Path) -> None:
    text = HEADING + row(1, area="城区") + row(2, area="太原市/城区") + row(3, area="150000")
    with pytest.raises(ImportRefused) as caught:
        read_rows(written(tmp_path, text), today=TODAY, areas=TREE)
    first, second, third = (problem.split(": ", 1)[1] for problem in caught.value.problems)
    assert first == "line 2: area: 2 areas are called so; write the names of those above it, too, or its code"
    assert second.startswith("line 3: area: no area of this code or name")
    assert third.startswith("line 4: area: no area of this code or name")


def test_a_row_shows_nobody_in_its_repr(tmp_path: Path) -> None:
    assert repr(read_rows(written(tmp_path, HEADING + row(1)), today=TODAY)[0]) == "SubjectRow(line=2)"
