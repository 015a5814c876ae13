"""Lists as of a key date, on a real database."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import SQLAlchemyError

from fleet.audit.log import entries
from fleet.errors import NotFound, Refused
from fleet.intake.key_lists import compare_lists, take_list
from fleet.intake.people_table import read_people
from fleet.intake.subjects import import_rows
from fleet.store import subjects
from fleet.store.packs import put_in_force, save_proposal
from fleet.store.subjects import PHONE_FIELD
from protocol.documents import check_digit
from protocol.rules.pack import parse_pack
from protocol.shipped_packs import shipped_text

pytestmark = pytest.mark.integration

HEADING = "证件号码,姓名,地区,险种,人员类别,待遇领取日期"
END_OF_JUNE = date(2017, 6, 30)
"""R2-9: the pay list of the end of June 2017."""


def number(serial: int) -> str:
    first = f"99999919400101{serial:03d}"
    return first + check_digit(first)


def row(serial: int, category: str = "退休", scheme: str = "机关事业养老保险") -> str:
    return f"{number(serial)},甲{serial},east,{scheme},{category},2001-07-01"


@pytest.fixture
def take(office: Any, tmp_path: Path) -> Any:
    def taken(name: str, *rows: str, as_of: date = END_OF_JUNE) -> str:
        path = tmp_path / "list.csv"
        path.write_text("\n".join((HEADING, *rows)), encoding="gb18030")
        people = read_people(path, today=office.now.date())
        zone = office.settings.zone()
        return take_list(
            office.database, office.keys, people, name=name, as_of=as_of, by="Li", now=office.now, zone=zone
        )[0]

    return taken


def test_r2_9_who_is_not_on_the_pay_list_of_the_key_date_is_not_asked_for_its_window(office: Any, take: Any) -> None:
    written = shipped_text("SJZ-2017").replace('region = "1301"', 'region = "east"')
    with office.database.begin() as connection:
        save_proposal(connection, parse_pack(written), written, "0" * 64, now=office.now)
        put_in_force(connection, "SJZ-2017", 1, b"signed", now=office.now)
    take("May", row(1), row(2), row(3), as_of=date(2016, 5, 31))
    office.list_since("2010-01-01")
    take("June", row(1), row(2), as_of=END_OF_JUNE)
    found = office.rows("SELECT o.due FROM obligations o WHERE o.pack_id = 'SJZ-2017' ORDER BY o.due")
    year = END_OF_JUNE.year
    assert [row.due for row in found] == [date(year, 10, 31), date(year, 10, 31), date(year + 1, 10, 31)]


def test_r2_10_r3_4_two_lists_are_compared(office: Any, take: Any) -> None:
    first = take("pay list", row(1), row(2), row(3, "退职"))
    second = take("pay list", row(1), row(3, "退休"), row(4), as_of=date(2020, 6, 30))
    with office.database.begin() as connection:
        found = compare_lists(connection, first, second)
    assert (len(found.joined), len(found.left), len(found.changed), found.same) == (1, 1, 1, 1)
    assert (
        office.rows("SELECT category FROM list_members WHERE list_id = :id ORDER BY category", id=first)[0].category
        == "退休"
    )


def test_the_same_list_again_is_the_same_one_and_another_content_is_refused(office: Any, take: Any) -> None:
    first = take("pay list", row(1))
    assert take("pay list", row(1)) == first
    with pytest.raises(Refused, match="another content"):
        take("pay list", row(2))
    assert len(office.rows("SELECT subject_id FROM subjects")) == 1
    assert len(office.rows("SELECT list_id FROM lists")) == 1


def test_a_list_of_a_day_to_come_is_refused_and_nothing_stored(office: Any, take: Any) -> None:
    with pytest.raises(Refused, match="a day to come"):
        take("pay list", row(1), as_of=date(2027, 1, 1))
    assert office.rows("SELECT subject_id FROM subjects") == []


def test_comparing_with_a_list_that_is_not_there_says_so(office: Any, take: Any) -> None:
    first = take("pay list", row(1))
    with office.database.begin() as connection, pytest.raises(NotFound, match="none of this id"):
        compare_lists(connection, first, "0" * 16)


def test_who_took_a_list_in_is_in_the_log_without_a_name(office: Any, take: Any) -> None:
    list_id = take("pay list", row(1))
    with office.database.begin() as connection:
        (entry,) = entries(connection, object_kind="list", object_id=list_id)
    assert (entry.action, entry.detail["rows"], entry.detail["encoding"]) == ("list.taken", 1, "GB18030")


def imported(office: Any, tmp_path: Path, text: str) -> Any:
    path = tmp_path / "people.csv"
    path.write_text(text, encoding="utf-8")
    rows = read_people(path, today=office.now.date()).rows
    return import_rows(office.database, office.keys, rows, now=office.now, zone=office.settings.zone())


def test_r8_14_a_phone_is_kept_sealed_and_no_list_without_one_takes_it_away(office: Any, tmp_path: Path) -> None:
    first = imported(office, tmp_path, f"{HEADING},手机号,单位\n{row(1)},13800138000,某厂\n")
    again = imported(office, tmp_path, f"{HEADING},手机号,单位\n{row(1)},13800138000,某厂\n")
    without = imported(office, tmp_path, f"{HEADING}\n{row(1)}\n")
    assert [(d.new, d.changed, d.unchanged) for d in (first, again, without)] == [(1, 0, 0), (0, 0, 1), (0, 0, 1)]
    (subject_id,) = first.subject_ids
    with office.database.begin() as connection:
        sealed = subjects.phones_of(connection, [subject_id])[subject_id]
        benefit = subjects.benefits_of(connection, [subject_id])[subject_id]["机关事业养老保险"]
    assert b"13800138000" not in sealed
    assert office.keys.cipher.decrypt(sealed, subject_id=subject_id, field_name=PHONE_FIELD) == "13800138000"
    assert benefit.unit == "某厂"
    changed = imported(office, tmp_path, f"{HEADING},手机号,单位\n{row(1)},13900139000,\n")
    assert changed.changed == 1
    assert office.rows("SELECT unit FROM benefits")[0].unit is None


def test_r3_11_the_database_knows_two_ways_of_management(office: Any) -> None:
    office.import_people(1)
    with pytest.raises(SQLAlchemyError, match="managed_by"), office.database.begin() as connection:
        connection.exec_driver_sql("UPDATE benefits SET managed_by = 'nobody'")


def test_an_older_list_sets_nobody_back(office: Any, take: Any) -> None:
    take("June 2020", row(1, "退职"), as_of=date(2020, 6, 30))
    take("June 2017", row(1, "退休"), row(2), as_of=END_OF_JUNE)
    found = office.rows("SELECT category FROM benefits ORDER BY category")
    assert sorted(each.category for each in found) == ["退休", "退职"], "the newer word stays; who is new is taken in"
    assert office.rows("SELECT count(*) FROM list_members")[0][0] == 3
