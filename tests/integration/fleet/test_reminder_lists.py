"""Lists for unit and village, what came of calls and visits, and contacts, as they are typed."""

from __future__ import annotations

import csv
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import Connection, text
from typer.testing import CliRunner

from fleet.app import Fleet, open_fleet
from fleet.cli import app
from fleet.clock import day_of
from fleet.intake.people_table import SubjectRow
from fleet.intake.subjects import import_rows
from fleet.settings import load_settings
from fleet.status.projection import project
from fleet.store.areas import Area, save_areas
from fleet.store.subjects import Benefit
from protocol.documents import check_digit, parse_document

pytestmark = pytest.mark.integration


def project_now(fleet: Fleet, connection: Connection, people: list[str]) -> None:
    zone = fleet.settings.zone()
    project(connection, people, zone=zone, today=day_of(fleet.clock(), zone))


def number_of(serial: int) -> str:
    digits = f"99999919400101{serial:03d}"
    return digits + check_digit(digits)


@dataclass
class Town:
    """A fleet of two villages, as somebody at a keyboard has it."""

    folder: Path
    people: list[str]

    def __call__(self, *arguments: str) -> Result:
        here = Path.cwd()
        os.chdir(self.folder)
        try:
            return CliRunner(env={"COLUMNS": "300"}).invoke(app, list(arguments))
        finally:
            os.chdir(here)

    def json(self, *arguments: str) -> Any:
        done = self(*arguments, "--json")
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    def write(self, name: str, rows: list[str], encoding: str = "utf-8") -> str:
        (self.folder / name).write_bytes("\r\n".join(rows).encode(encoding))
        return name

    def rows(self, name: str) -> list[dict[str, str]]:
        with (self.folder / name).open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    def database(self, statement: str, **values: object) -> list[Any]:
        with open_fleet(load_settings(self.folder / "fleet.toml")) as fleet, fleet.database.begin() as connection:
            found = connection.execute(text(statement), values)
            return list(found.all()) if found.returns_rows else []


@pytest.fixture
def town(make_data_dir: Callable[[], Path]) -> Iterator[Town]:
    folder = make_data_dir()
    # No quiet hours: the tests run at any time of day.
    quiet = '[reminders]\nquiet_from = "00:00:00"\nquiet_until = "00:00:00"\n'
    (folder / "fleet.toml").write_text(f'fleet_id = "north"\ndata_dir = "data"\n{quiet}')
    made = Town(folder, [])
    assert made("init", "--identity", "identity.json").exit_code == 0
    with open_fleet(load_settings(folder / "fleet.toml")) as fleet:
        with fleet.database.begin() as connection:
            save_areas(
                connection, [Area("7", None, 4, "南桥镇"), Area("71", "7", 5, "桥东村"), Area("72", "7", 5, "桥西村")]
            )
        people = [
            SubjectRow(
                serial,
                parse_document(number_of(serial)),
                f"甲<{serial}>",
                "71" if serial < 3 else "72",
                Benefit("pension", "71", "retired", date(2001, 7, 1)),
            )
            for serial in range(1, 4)
        ]
        made.people += import_rows(
            fleet.database, fleet.keys, people, now=fleet.clock(), zone=fleet.settings.zone()
        ).subject_ids
        with fleet.database.begin() as connection:
            connection.execute(
                text("UPDATE benefits SET unit = '棉纺厂' WHERE subject_id = :id"), {"id": made.people[0]}
            )
            # On the lists for years: nobody is overdue for what was before them.
            connection.execute(text("UPDATE subjects SET created_at = '2001-07-01T00:00Z'"))
            project_now(fleet, connection, made.people)
        # Open for the whole test, so that not every command starts the server.
        yield made


def ladder_to_call(town: Town) -> None:
    assert town.json("reminders", "plan")["planned"] == 3
    assert town.json("reminders", "send")["codes"] == {"no_address": 3}
    assert town.json("reminders", "plan")["planned"] == 3


def test_feature_82_a_village_gets_its_list_and_the_slips_come_back_as_proof(town: Town) -> None:
    ladder_to_call(town)
    done = town.json("reminders", "list", "--area", "71", "--csv", "list.csv", "--html", "list.html", "--by", "Li Na")
    assert (done["people"], done["cancelled"]) == (2, 0)
    rows = town.rows("list.csv")
    assert sorted((row["姓名"], row["地区"], row["方式"], row["单位"]) for row in rows) == [
        ("甲<1>", "桥东村", "电话通知", "棉纺厂"),
        ("甲<2>", "桥东村", "电话通知", ""),
    ]
    page = (town.folder / "list.html").read_text(encoding="utf-8")
    assert "甲&lt;1&gt;" in page
    assert "甲<1>" not in page, "a name is text, whatever is in it"
    assert all(row["编号"][:10] in page for row in rows)
    assert "签字" in page
    assert stat.S_IMODE((town.folder / "list.csv").stat().st_mode) == 0o600
    again = town("reminders", "list", "--area", "71", "--csv", "more.csv", "--by", "Li Na")
    assert (again.exit_code, again.stderr) == (
        1,
        "nobody is to be called or visited there now; `lifecert-fleet reminders plan` looks who is\n",
    )
    assert not (town.folder / "more.csv").exists()
    assert (
        town.json("reminders", "list", "--area", "71", "--csv", "more.csv", "--by", "Li Na", "--again")["people"] == 2
    )

    today = date.fromisoformat(town.json("statistics", "snapshot")["day"])
    first, second = rows[0]["编号"], rows[1]["编号"]
    filled = [
        "编号,结果,经办人,日期,新电话",
        f"{first},已联系上,张伟,{today},138 0000 1111",
        f"{second[:12]},未联系上,张伟,{today:%Y/%m/%d},",
    ]
    town.write("filled.csv", filled, "gb18030")
    assert town.json("reminders", "results", "filled.csv", "--by", "Li Na") == {
        "new": 2, "unchanged": 0, "empty": 0, "phones": 1, "steps": 0,
    }  # fmt: skip
    assert town.json("reminders", "results", "filled.csv", "--by", "Li Na")["unchanged"] == 2
    subject = town.database("SELECT subject_id FROM reminders WHERE reminder_id = :id", id=second)[0].subject_id
    steps = town.json("reminders", "steps", subject)["steps"]
    assert [(step["step"], step["outcome"]) for step in steps] == [("message", "not_possible"), ("call", "not_reached")]
    assert steps[1]["proof_id"] == second
    assert town.json("reminders", "plan")["planned"] == 1, "who was not reached is visited, who was reached has a week"
    status = town.json("reminders", "status")
    assert {(row["step"], row["state"]): row["steps"] for row in status["steps"] if row["step"] != "message"} == {
        ("call", "delivered"): 1, ("call", "failed"): 1, ("call", "pending"): 1, ("visit", "pending"): 1,
    }  # fmt: skip
    assert status["reach"] == {"asked": 3, "no_address": 2, "doubtful": 0, "opted_out": 0}
    actions = [row.action for row in town.database("SELECT action FROM audit_log ORDER BY entry")]
    assert actions.count("reminders.listed") == 2
    assert actions.count("reminders.results") == 2


def test_feature_83_what_reminders_prove_is_on_the_ladder_after_propose_and_after_results(town: Town) -> None:
    assert town.json("benefits", "propose")["overdue"] == 3
    ladder_to_call(town)
    assert town.json("benefits", "propose")["steps"] == 3, "the messages that were not possible"
    town.json("reminders", "list", "--csv", "list.csv", "--by", "Li Na")
    today = town.json("statistics", "snapshot")["day"]
    first, second = (row["编号"] for row in town.rows("list.csv")[:2])
    filled = ["编号,结果,经办人,日期", f"{first},联系不上,张伟,{today}", f"{second},无法进行,张伟,{today}"]
    town.write("filled.csv", filled)
    done = town("reminders", "results", "filled.csv", "--by", "Li Na")
    assert "2 steps of proposed stops are proven by them" in done.stderr
    missing = [row["missing"] for row in town.json("benefits", "list")["benefits"]]
    assert sorted(missing) == [["call", "visit"], ["visit"], ["visit"]]
    assert town.json("benefits", "propose")["steps"] == 0, "each step is proven once"
    subject = town.database("SELECT subject_id FROM reminders WHERE reminder_id = :id", id=first)[0].subject_id
    history = town.json("history", subject, "--by", "Li Na")["entries"]
    told = {entry["kind"]: entry["detail"] for entry in history if entry["kind"].startswith("reminder.")}
    assert (told["reminder.message"]["code"], told["reminder.call"]["outcome"]) == ("no_address", "not_reached")


def test_feature_82_a_unit_gets_only_its_own_people(town: Town) -> None:
    ladder_to_call(town)
    assert (
        town.json("reminders", "list", "--unit", "棉纺厂", "--csv", "unit.csv", "--language", "en", "--by", "Li Na")[
            "people"
        ]
        == 1
    )
    assert [row["Unit"] for row in town.rows("unit.csv")] == ["棉纺厂"]
    assert town("reminders", "list", "--by", "Li Na").exit_code == 2, "a file is asked for"
    (town.folder / "there.csv").write_text("x")
    refused = town("reminders", "list", "--csv", "there.csv", "--html", "new.html", "--by", "Li Na")
    assert refused.exit_code == 1
    assert not (town.folder / "new.html").exists()
    assert town.json("reminders", "list", "--csv", "rest.csv", "--by", "Li Na")["people"] == 2, "nothing was half done"


def test_all_errors_of_results_come_in_one_report_and_nothing_is_stored(town: Town) -> None:
    ladder_to_call(town)
    town.json("reminders", "list", "--csv", "list.csv", "--by", "Li Na")
    code = town.rows("list.csv")[0]["编号"]
    name = town.write(
        "bad.csv",
        [
            "code,result,worker,day,new telephone",
            f"{code},reached,张伟,2999-01-01,",
            "xyz,maybe,,yesterday,12",
            f"{code},reached,张伟,2001-01-01,",
            f"{'0' * 32},reached,张伟,2001-01-01,",
            f"{code[:8]},,,,",
        ],
    )
    done = town("reminders", "results", name, "--by", "Li Na")
    assert done.exit_code == 1
    assert [line.split(": ", 1)[1].split(":")[0] for line in done.stderr.splitlines()] == ["line 2", *["line 3"] * 5]
    assert "张伟" not in done.stderr
    name = town.write(
        "old.csv", ["code,result,worker,day", f"{code},reached,张伟,2001-01-01", f"{'0' * 32},reached,张伟,2001-01-01"]
    )
    done = town("reminders", "results", name, "--by", "Li Na")
    assert "line 2: day: before the step was asked for" in done.stderr
    assert "line 3: code: no call or visit has it" in done.stderr
    assert (
        town.json(
            "reminders", "results", town.write("none.csv", ["code,result,worker,day", f"{code},,,"]), "--by", "L"
        )["empty"]
        == 1
    )
    assert town.database("SELECT 1 FROM reminders WHERE step = 'call' AND outcome IS NOT NULL") == []
    for rows, problem in (
        (["code,worker"], "no column result"),
        ([], "empty"),
        (["code,result,worker,day"], "no rows"),
    ):
        done = town("reminders", "results", town.write("form.csv", rows), "--by", "Li Na")
        assert done.exit_code == 1
        assert problem in done.stderr


def test_r8_14_contacts_are_imported_and_kept_current(town: Town) -> None:
    name = town.write(
        "contacts.csv",
        [
            "身份证号,手机号,微信,邮箱,不接收",
            f"{number_of(1)},138-0000-0001,,,",
            f"{number_of(2)},,wx_open_id,a@example.org,短信",
            f"{number_of(3)},13900000003,,,",
        ],
        "gb18030",
    )
    done = town.json("reminders", "contacts", name, "--by", "Li Na")
    assert done == {"people": 3, "new": 3, "changed": 0, "unchanged": 0}
    done = town.json("reminders", "contacts", name, "--by", "Li Na")
    assert done == {"people": 3, "new": 0, "changed": 0, "unchanged": 3}
    assert town.json("reminders", "status")["reach"] == {"asked": 3, "no_address": 0, "doubtful": 0, "opted_out": 1}
    assert town("reminders", "opt-out", town.people[0], "--channel", "sms", "--by", "Li Na").exit_code == 0
    assert town.json("reminders", "status")["reach"]["opted_out"] == 2
    assert town("reminders", "opt-out", town.people[0], "--channel", "sms", "--by", "Li Na", "--undo").exit_code == 0
    assert town.json("reminders", "status")["reach"]["opted_out"] == 1
    assert town("reminders", "opt-out", "0" * 32, "--channel", "sms", "--by", "Li Na").exit_code == 1
    stored = town.database("SELECT * FROM contacts")
    assert "13800000001" not in str(stored)
    assert "wx_open_id" not in str(stored)


def test_bad_contacts_are_reported_all_together_without_repeating_them(town: Town) -> None:
    name = town.write(
        "contacts.csv",
        [
            "document_number,phone,wechat,email,opt_out",
            "123,13800000001,,,",
            f"{number_of(1)},call me,a b,nobody,letters",
            f"{number_of(2)},,,,",
            f"{number_of(3)},13800000001,,,none",
            f"{number_of(3)},13800000001,,,",
        ],
    )
    done = town("reminders", "contacts", name, "--by", "Li Na")
    assert done.exit_code == 1
    assert [line.split(": ", 1)[1].split(":")[0] for line in done.stderr.splitlines()] == [
        "line 2", *["line 3"] * 4, "line 4", "line 6",
    ]  # fmt: skip
    assert number_of(3) not in done.stderr
    assert "call me" not in done.stderr
    unknown = town.write("unknown.csv", ["document_number,phone", f"{number_of(9)},13800000001"])
    assert "line 2: nobody here has this document number" in town("reminders", "contacts", unknown, "--by", "L").stderr
    assert town.database("SELECT 1 FROM contacts") == []


def test_receipts_are_read_from_a_file(town: Town) -> None:
    good = town.write("receipts.csv", ["message_id,state,code", f"{'a' * 32},delivered,"])
    done = town("reminders", "receipts", good, "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (1, {"delivered": 0, "failed": 0, "repeated": 0, "unknown": 1})
    bad = town.write("receipts.csv", ["message_id,state,code", "x,delivered,", f"{'a' * 32},perhaps,"])
    done = town("reminders", "receipts", bad)
    assert [line.split(": ", 1)[1].split(":")[0] for line in done.stderr.splitlines()] == ["line 2", "line 3"]


def test_a_formula_in_a_name_stays_a_text_in_the_table(town: Town) -> None:
    with open_fleet(load_settings(town.folder / "fleet.toml")) as fleet:
        row = SubjectRow(
            9, parse_document(number_of(8)), "=1+1", "72", Benefit("pension", "72", "retired", date(2001, 7, 1))
        )
        done = import_rows(fleet.database, fleet.keys, [row], now=fleet.clock(), zone=fleet.settings.zone())
        with fleet.database.begin() as connection:
            connection.execute(text("UPDATE subjects SET created_at = '2001-07-01T00:00Z'"))
            project_now(fleet, connection, list(done.subject_ids))
    for _ in range(2):
        town("reminders", "plan")
        town("reminders", "send")
    assert town.json("reminders", "list", "--area", "72", "--csv", "list.csv", "--by", "Li Na")["people"] == 2
    assert "\t=1+1" in {found["姓名"] for found in town.rows("list.csv")}
