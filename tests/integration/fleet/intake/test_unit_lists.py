"""Lists that units hand in and lists that go out to them, on a real database."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from typer.testing import CliRunner

from fleet.audit.log import entries, to_line, verify_lines
from fleet.cli import app
from fleet.errors import ImportRefused, NotFound, Refused
from fleet.intake.handed_in import Body, Evidence, HandedIn
from fleet.intake.outgoing_lists import Format, make_list
from fleet.intake.people_table import read_people
from fleet.intake.subjects import import_rows
from fleet.intake.unit_lists import RowResult, approve_list, look, take_in
from fleet.store import packs
from fleet.store.life_events import NewLifeEvent, add_life_events
from protocol.documents import check_digit, parse_document
from protocol.rules.life import LifeEventKind
from protocol.shipped_packs import shipped_pack, shipped_text

pytestmark = pytest.mark.integration

LANZHOU, GUANGZHOU = "6201", "4401"
PAPERS = HandedIn(
    body=Body.UNIT,
    unit="某厂",
    evidence=Evidence.LIST,
    is_sealed=True,
    matches_originals=True,
    register_copies=9,
    verified_on=date(2026, 10, 9),
    handler="经办人",
    handler_document=parse_document("H1234567801"),
)


def number(serial: int) -> str:
    first = f"99999919400101{serial:03d}"
    return first + check_digit(first)


@pytest.fixture
def town(office: Any, tmp_path: Path) -> Any:
    """Lanzhou's pack in force, two people of one unit there and one of another, and one in a village without rules of its own."""
    path = tmp_path / "people.csv"
    path.write_text(
        "证件号码,姓名,地区,险种,人员类别,待遇领取日期,单位\n"
        f"{number(1)},甲,{LANZHOU},工伤保险,伤残津贴,2015-07-01,某厂\n"
        f"{number(2)},乙,{LANZHOU},工伤保险,供养亲属,2015-07-01,某厂\n"
        f"H1234567801,丙,{LANZHOU},工伤保险,伤残津贴,2015-07-01,别厂\n"
        f"{number(4)},丁,village,城乡居民基本养老保险,居民,2015-07-01,\n",
        encoding="utf-8",
    )
    with office.database.begin() as connection:
        pack = shipped_pack("LZ-2019")
        packs.save_proposal(connection, pack, shipped_text("LZ-2019"), "a" * 64, now=office.now)
        packs.put_in_force(connection, pack.pack_id, pack.version, b"signed", now=office.now)
    rows = read_people(path, today=office.now.date()).rows
    import_rows(office.database, office.keys, rows, now=office.now, zone=office.settings.zone())
    return office


@pytest.fixture
def take(town: Any, tmp_path: Path) -> Callable[..., Any]:
    def taken(*rows: str, papers: HandedIn = PAPERS, heading: str = "证件号码,姓名") -> Any:
        path = tmp_path / "verified.csv"
        path.write_text("\n".join((heading, *rows)), encoding="gb18030")
        return take_in(town.database, town.keys, path, papers, by="Li", now=town.now, zone=town.settings.zone())

    return taken


@pytest.fixture
def approve(town: Any) -> Callable[..., Any]:
    def given(list_id: str, by: str) -> Any:
        zone = town.settings.zone()
        return approve_list(town.database, town.keys, list_id, by=by, reason="checked", now=town.now, zone=zone)

    return given


def said(refused: pytest.ExceptionInfo[ImportRefused]) -> list[str]:
    return [problem.split("verified.csv: ")[1] for problem in refused.value.problems]


def test_r6_6_who_took_a_list_in_is_none_of_the_two_who_approve_it(take: Any, approve: Any) -> None:
    list_id, _ = take(f"{number(1)},甲")
    with pytest.raises(Refused, match="who took it in") as raised:
        approve(list_id, " ＬI ")
    assert raised.value.code == "took_in"


def test_r4_20_r6_6_a_list_certifies_after_two_persons_and_not_before(town: Any, take: Any, approve: Any) -> None:
    list_id, lines = take(f"{number(1)},甲", f"{number(2)},乙")
    assert [line.result for line in lines] == [RowResult.PENDING] * 2
    assert approve(list_id, "Wang")[0] == 1
    assert town.rows("SELECT act_id FROM acts") == []
    with pytest.raises(Refused, match="a second person is needed"):
        approve(list_id, " WANG ")
    place, lines = approve(list_id, "Zhao")
    assert (place, [line.result for line in lines]) == (2, [RowResult.CERTIFIED] * 2)
    acts = town.rows("SELECT kind, channel, acted_at, source, source_id FROM acts")
    assert {(act.kind, act.channel, act.source, act.source_id) for act in acts} == {
        ("special", "unit", "unit_list", list_id)
    }
    assert acts[0].acted_at == datetime(2026, 10, 9, 4, tzinfo=UTC)
    certified = town.rows("SELECT last_act_kind FROM statuses WHERE last_act IS NOT NULL")
    assert [row.last_act_kind for row in certified] == ["special", "special"]
    with pytest.raises(Refused, match="approved it already"):
        approve(list_id, "Sun")


def test_r4_21_a_certificate_is_for_the_injured_and_dependants_alone(take: Any) -> None:
    certificate = replace(PAPERS, evidence=Evidence.CERTIFICATE, register_copies=0, matches_originals=False)
    assert len(take(f"{number(1)},甲", f"{number(2)},乙", papers=certificate)[1]) == 2
    with pytest.raises(ImportRefused) as refused:
        take(f"{number(4)},丁", papers=replace(certificate, body=Body.VILLAGE, unit="village"))
    assert said(refused) == ["line 2: a certificate alone suffices for injured people and dependants only"]


def test_r4_20_a_list_without_a_seal_is_refused_with_everything_else_that_is_wrong(town: Any, take: Any) -> None:
    wrong = number(1)[:17] + ("0" if number(1)[17] != "0" else "1")
    with pytest.raises(ImportRefused) as refused:
        take(f"{number(1)},乙", f"{wrong},甲", f"{number(9)},甲", "H1234567801,丙", f"{number(2)},乙", f"{number(2)},乙",
             papers=replace(PAPERS, is_sealed=False))  # fmt: skip
    assert said(refused) == [
        "the list has no seal of the unit; send it back to be sealed",
        "line 2: the person known by this document number has another name",
        "line 3: document_number: identity number: the check digit does not fit; was a digit mistyped?",
        "line 4: nobody is known by this document number; import the person first",
        "line 5: the person belongs to another unit",
        "line 7: same person as line 6",
    ]
    assert town.rows("SELECT list_id FROM unit_lists") == []


def test_r4_16_a_person_with_a_permit_is_on_a_list(town: Any, take: Any, approve: Any) -> None:
    list_id, _ = take("H1234567801,丙", papers=replace(PAPERS, unit="别厂"))
    approve(list_id, "Wang")
    approve(list_id, "Zhao")
    assert len(town.rows("SELECT act_id FROM acts")) == 1


def test_r4_6_who_has_rules_without_the_channel_is_told_and_not_certified(town: Any, take: Any, approve: Any) -> None:
    with town.database.begin() as connection:
        connection.exec_driver_sql(
            'UPDATE rule_packs SET text = replace(text, \'"photographs", "unit", \', \'"photographs", \')'
        )
    list_id, lines = take(f"{number(1)},甲")
    assert [line.result for line in lines] == [RowResult.NOT_TAKEN]
    approve(list_id, "Wang")
    assert [line.result for line in approve(list_id, "Zhao")[1]] == [RowResult.NOT_TAKEN]
    assert town.rows("SELECT act_id FROM acts") == []


def test_the_same_file_is_taken_in_once_and_an_unknown_list_is_told(take: Any, approve: Any) -> None:
    list_id, _ = take(f"{number(1)},甲")
    with pytest.raises(Refused, match=f"as list {list_id}"):
        take(f"{number(1)},甲")
    with pytest.raises(NotFound, match="none of this id"):
        approve("0" * 16, "Wang")


def test_r4_20_the_handler_is_kept_sealed_and_all_is_in_the_log(town: Any, take: Any, approve: Any) -> None:
    list_id, _ = take(f"{number(1)},甲")
    approve(list_id, "Wang")
    (row,) = town.rows("SELECT * FROM unit_lists")
    assert town.keys.cipher.decrypt(bytes(row.handler_sealed), subject_id=list_id, field_name="handler") == "经办人"
    assert (row.is_sealed, row.matches_originals, row.register_copies) == (True, True, 9)
    with town.database.begin() as connection:
        found = list(entries(connection, object_kind="unit_list", object_id=list_id))
        assert verify_lines([to_line(entry) for entry in entries(connection)])[0] == 2
    assert [entry.action for entry in found] == ["unit_list.taken", "unit_list.approved"]
    assert "经办人" not in "".join(to_line(entry) for entry in found)


def made(town: Any, kind: Format, language: str = "zh", **scope: str) -> Any:
    return make_list(
        town.database,
        town.keys,
        kind=kind,
        language=language,
        by="Li",
        now=town.now,
        zone=town.settings.zone(),
        **scope,
    )


def filled(content: bytes, kind: Format, *words: str) -> bytes:
    """Return a list that went out with words in its column for results, the last one in all rows that are left."""
    if kind is Format.XLSX:
        book = load_workbook(io.BytesIO(content))
        sheet = book.active
        place = [cell.value for cell in sheet[1]].index("核验结果") + 1
        for row in range(2, sheet.max_row + 1):
            sheet.cell(row, place).value = words[min(row - 2, len(words) - 1)]
        saved = io.BytesIO()
        book.save(saved)
        return saved.getvalue()
    heading, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig")))
    written = io.StringIO()
    csv.writer(written).writerows(
        [heading, *([*row[:-1], words[min(at, len(words) - 1)]] for at, row in enumerate(rows))]
    )
    assert heading[-1] == "核验结果"
    return written.getvalue().encode()


@pytest.mark.parametrize("kind", [Format.CSV, Format.XLSX])
def test_r2_14_r4_20_a_list_of_who_is_missing_goes_out_and_comes_back_as_it_is(
    town: Any, tmp_path: Path, approve: Any, kind: Format
) -> None:
    out = made(town, kind, unit="某厂")
    assert out.persons == 2
    path = tmp_path / f"out.{kind}"
    path.write_bytes(filled(out.content, kind, "已核验"))
    list_id, lines = take_in(town.database, town.keys, path, PAPERS, by="Li", now=town.now, zone=town.settings.zone())
    assert len(lines) == 2
    approve(list_id, "Wang")
    approve(list_id, "Zhao")
    assert made(town, kind, unit="某厂").persons == 0


VILLAGE = replace(PAPERS, body=Body.VILLAGE, unit=LANZHOU)


@pytest.mark.parametrize("kind", [Format.CSV, Format.XLSX])
def test_r4_20_a_village_that_marks_people_dead_or_away_certifies_nobody_of_them(
    town: Any, tmp_path: Path, approve: Any, kind: Format
) -> None:
    path = tmp_path / f"out.{kind}"
    path.write_bytes(filled(made(town, kind, area=LANZHOU).content, kind, "已去世", "未见到", "不通过"))
    zone = town.settings.zone()
    list_id, lines = take_in(town.database, town.keys, path, VILLAGE, by="Li", now=town.now, zone=zone)
    assert [line.result for line in lines] == [RowResult.DEAD, RowResult.NOT_SEEN, RowResult.NOT_PASSED]
    approve(list_id, "Wang")
    assert [line.result for line in approve(list_id, "Zhao")[1]] == [line.result for line in lines]
    assert town.rows("SELECT act_id FROM acts") == []


def test_r4_20_only_who_is_called_verified_is_certified_and_an_empty_cell_is_not(
    town: Any, take: Any, approve: Any
) -> None:
    rows = (f"{number(1)},甲,健在", f"{number(2)},乙,", "H1234567801,丙,seen alive")
    list_id, _ = take(*rows, papers=replace(VILLAGE, register_copies=2), heading="证件号码,姓名,核验结果")
    approve(list_id, "Wang")
    lines = approve(list_id, "Zhao")[1]
    assert [(line.name, line.result) for line in lines] == [
        ("甲", RowResult.CERTIFIED),
        ("乙", RowResult.EMPTY),
        ("丙", RowResult.CERTIFIED),
    ]
    certified = {row.subject_id for row in town.rows("SELECT subject_id FROM acts")}
    assert certified == {lines[0].subject_id, lines[2].subject_id}


def test_r4_20_a_result_in_words_nobody_knows_is_refused_by_its_line(town: Any, take: Any) -> None:
    with pytest.raises(ImportRefused) as refused:
        take(f"{number(1)},甲,大概还在", f"{number(2)},乙,verified", heading="证件号码,姓名,核验结果")
    (problem,) = said(refused)
    assert problem.startswith("line 2: verified: a word that is not known; write one of 已核验/verified, ")
    assert "大概还在" not in problem
    assert town.rows("SELECT list_id FROM unit_lists") == []


def test_r7_8_who_is_reported_dead_or_missing_is_shown_and_not_certified_by_a_list(
    town: Any, take: Any, approve: Any
) -> None:
    list_id, lines = take(f"{number(1)},甲", f"{number(2)},乙")
    assert [line.result for line in lines] == [RowResult.PENDING] * 2
    with town.database.begin() as connection:
        for line, kind in zip(lines, (LifeEventKind.DEATH, LifeEventKind.MISSING), strict=True):
            event = NewLifeEvent(line.subject_id, kind, date(2026, 9, 1), None, "family", line.subject_id, False)
            add_life_events(connection, [event], now=town.now)
    approve(list_id, "Wang")
    assert [line.result for line in approve(list_id, "Zhao")[1]] == [RowResult.REPORTED] * 2
    assert town.rows("SELECT act_id FROM acts") == []


def test_r4_20_a_unit_speaks_for_its_own_people_and_a_village_for_who_lives_there(town: Any, take: Any) -> None:
    with pytest.raises(ImportRefused) as refused:
        take("H1234567801,丙", f"{number(4)},丁")
    assert said(refused) == [
        "line 2: the person belongs to another unit",
        "line 3: no unit stands at the person's benefits; a village's list is taken in with --body village",
    ]
    with pytest.raises(ImportRefused) as refused:
        take(f"{number(1)},甲", f"{number(4)},丁", papers=replace(VILLAGE, unit="village"))
    assert said(refused) == ["line 2: the person lives in another area"]


def test_r4_20_who_approves_sees_names_first_and_the_look_is_in_the_log(town: Any, take: Any, approve: Any) -> None:
    rows = (f"{number(1)},甲,已核验", f"{number(2)},乙,已去世")
    list_id, _ = take(*rows, heading="证件号码,姓名,核验结果")
    zone = town.settings.zone()
    place, lines = look(town.database, town.keys, list_id, by="Wang", now=town.now, zone=zone)
    assert place == 0
    assert [(line.name, line.result) for line in lines] == [("甲", RowResult.PENDING), ("乙", RowResult.DEAD)]
    approve(list_id, "Wang")
    approve(list_id, "Zhao")
    place, lines = look(town.database, town.keys, list_id, by="Sun", now=town.now, zone=zone)
    assert (place, [line.result for line in lines]) == (2, [RowResult.CERTIFIED, RowResult.DEAD])
    with town.database.begin() as connection:
        log = [entry for entry in entries(connection) if entry.action == "unit_list.looked"]
    assert [entry.detail for entry in log] == [{"names_shown": 2}] * 2


def test_r6_10_a_village_list_is_by_area_and_on_paper_numbers_are_masked(town: Any) -> None:
    page = made(town, Format.HTML, area=LANZHOU)
    text = page.content.decode()
    assert page.persons == 3
    assert "待遇领取资格认证人员名单" in text
    assert f"…{number(1)[-4:]}" in text
    assert number(1) not in text
    english = made(town, Format.HTML, "en", area="village").content.decode()
    assert "never certified" in english
    assert "同" not in english.replace("与原件相符", "")
    assert made(town, Format.HTML, area="nowhere").persons == 0


def test_who_is_paid_no_more_is_on_no_list(town: Any) -> None:
    with town.database.begin() as connection:
        connection.exec_driver_sql("UPDATE benefits SET ended = '2026-10-31' WHERE category = '供养亲属'")
    assert made(town, Format.CSV, unit="某厂").persons == 1


def test_r3_12_a_list_says_which_channel_the_persons_rules_advise(town: Any) -> None:
    with town.database.begin() as connection:
        pack = shipped_pack("HZ-2020")
        written = shipped_text("HZ-2020").replace('region = "3305"', 'region = "village"')
        packs.save_proposal(connection, pack, written, "b" * 64, now=town.now)
        packs.put_in_force(connection, pack.pack_id, pack.version, b"signed", now=town.now)
    town.rebuild()
    (person,) = made(town, Format.CSV, area="village").content.decode("utf-8-sig").splitlines()[1:]
    assert person.split(",")[-2:] == ["浙里办", ""]
    assert "浙里办" in made(town, Format.HTML, area="village").content.decode()
    assert "浙里办" not in made(town, Format.HTML, area=LANZHOU).content.decode()


def test_who_made_a_list_of_people_is_in_the_log(town: Any) -> None:
    made(town, Format.CSV, unit="某厂")
    with town.database.begin() as connection:
        (entry,) = entries(connection)
    assert (entry.action, entry.object_kind, entry.detail) == (
        "list.made",
        "unit_list_out",
        {"persons": 2, "format": "csv"},
    )
    # What a unit is called may name a person, so a mark stands for it: the same for the same words.
    made(town, Format.CSV, unit="某厂")
    made(town, Format.CSV, area=LANZHOU)
    with town.database.begin() as connection:
        ids = [each.object_id for each in entries(connection)]
    assert ids[0] == ids[1]
    assert "某厂" not in str(ids)
    assert len(ids[0]) == 32


def test_a_name_with_markup_stays_a_name_on_the_page(town: Any, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(
        "证件号码,姓名,地区,险种,人员类别,待遇领取日期\n"
        f"{number(8)},<b>甲</b>,{LANZHOU},工伤保险,伤残津贴,2015-07-01\n",
        encoding="utf-8",
    )
    rows = read_people(path, today=town.now.date()).rows
    import_rows(town.database, town.keys, rows, now=town.now, zone=town.settings.zone())
    assert "&lt;b&gt;甲" in made(town, Format.HTML, area=LANZHOU).content.decode()


def test_lists_as_they_are_typed(make_data_dir: Callable[[], Path], database_url: str) -> None:
    folder = make_data_dir()
    (folder / "fleet.toml").write_text(f'fleet_id = "north"\ndata_dir = "data"\ndatabase = "{database_url}"\n')
    heading = "证件号码,姓名,地区,险种,人员类别,待遇领取日期,单位\n"
    row = f"{number(1)},甲,east,企业职工基本养老保险,退休,2001-07-01,某厂\n"
    (folder / "june.csv").write_text(heading + row, encoding="gbk")
    (folder / "july.csv").write_text(heading + row.replace("退休", "退职"), encoding="gbk")
    (folder / "verified.csv").write_text(f"证件号码,姓名\n{number(1)},甲\n", encoding="gbk")
    here = Path.cwd()
    os.chdir(folder)
    try:
        runner = CliRunner(env={"COLUMNS": "200"})

        def run(*arguments: str, given: str | None = None) -> Any:
            return runner.invoke(app, list(arguments), input=given)

        def found(*arguments: str, given: str | None = None) -> Any:
            done = run(*arguments, "--json", given=given)
            assert done.exit_code == 0, done.output
            return json.loads(done.stdout)

        assert run("init", "--identity", "identity.json").exit_code == 0
        kept = [
            found("import-subjects", f"{month}.csv", "--as-of", day, "--list", "pay list", "--by", "Li")["list_id"]
            for month, day in (("june", "2017-06-30"), ("july", "2017-07-31"))
        ]
        assert run("import-subjects", "june.csv", "--as-of", "2017-06-30").exit_code == 2
        assert [one["list_id"] for one in found("lists", "show")["lists"]] == kept[::-1]
        assert len(found("lists", "compare", *kept)["changed"]) == 1
        assert "1 changed" in run("lists", "compare", *kept).stderr
        papers = (
            "--unit",
            "某厂",
            "--handler",
            "王",
            "--handler-document",
            "-",
            "--verified-on",
            "2026-10-09",
            "--by",
            "Li",
        )
        unsealed = run("lists", "take-in", "verified.csv", *papers, given="H1234567801\n")
        assert unsealed.exit_code == 1
        assert "has no seal" in unsealed.stderr
        whole = (*papers, "--sealed", "--matches-originals", "--register-copies", "1")
        list_id = found("lists", "take-in", "verified.csv", *whole, given="H1234567801\n")["list_id"]
        out = run("lists", "make", "--unit", "某厂", "--out", "out.html", "--by", "Li")
        assert "1 persons are to be certified" in out.stderr
        assert (folder / "out.html").stat().st_mode & 0o077 == 0
        assert run("lists", "make", "--unit", "某厂", "--out", "out.html", "--by", "Li").exit_code == 2
        assert run("lists", "make", "--out", "x.csv", "--by", "Li").exit_code == 2
        assert found("lists", "look", list_id, "--by", "Wang")["persons"][0]["name"] == "甲"
        for by in ("Wang", "Zhao"):
            assert run("lists", "approve", list_id, "--by", by, "--reason", "checked").exit_code == 0
        assert found("lists", "handed-in")["lists"][0]["state"] == "done"
        (folder / "dead.csv").write_text(f"证件号码,姓名,核验结果\n{number(1)},甲,已去世\n", encoding="gbk")
        dead = run("lists", "take-in", "dead.csv", *whole, given="H1234567801\n")
        assert "1 dead" in dead.stderr
        assert "report it with `lifecert-fleet life report" in dead.stderr
    finally:
        os.chdir(here)
