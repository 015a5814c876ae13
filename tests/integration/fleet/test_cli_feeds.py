"""`lifecert-fleet feeds` as it is typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from fleet.app import open_fleet
from fleet.clock import day_of
from fleet.exchange.cycles import month_text
from fleet.intake.people_table import SubjectRow
from fleet.intake.subjects import import_rows
from fleet.settings import load_settings
from fleet.store.subjects import Benefit
from protocol.documents import check_digit, parse_document
from protocol.rules.days import first_of_month

pytestmark = pytest.mark.integration


def number(serial: int) -> str:
    digits = f"99999919400101{serial:03d}"
    return digits + check_digit(digits)


@pytest.fixture
def folder(tmp_path: Path, database_url: str) -> Path:
    made = tmp_path / "fleet"
    made.mkdir()
    (made / "fleet.toml").write_text(f'fleet_id = "north"\ndata_dir = "data"\ndatabase = "{database_url}"\n')
    return made


@pytest.fixture
def run(program_in: Callable[..., Callable[..., Any]], folder: Path) -> Callable[..., Result]:
    """A fleet with three people."""

    invoke = program_in(folder, columns=300)
    assert invoke("init", "--identity", "identity.json").exit_code == 0
    with open_fleet(load_settings(folder / "fleet.toml")) as fleet:
        rows = [
            SubjectRow(
                n, parse_document(number(n)), f"甲{n}", "east", Benefit("pension", "east", "retired", date(2001, 7, 1))
            )
            for n in (1, 2, 3)
        ]
        import_rows(fleet.database, fleet.keys, rows, now=fleet.clock(), zone=fleet.settings.zone())
    return invoke


@pytest.fixture
def last_month(run: Callable[..., Result], folder: Path) -> date:
    """The first day of the month before this one."""
    settings = load_settings(folder / "fleet.toml")
    with open_fleet(settings) as fleet:
        return first_of_month(day_of(fleet.clock(), settings.zone()), -1)


def test_a_delivery_from_its_feed_to_a_resolved_contradiction(
    run: Callable[..., Result], folder: Path, last_month: date, tmp_path: Path
) -> None:
    period = month_text(last_month)
    for name in ("deaths", "travel"):
        added = run("feeds", "add", name, "--by", "Li Na", "--from", period, "--due-day", "1")
        assert added.exit_code == 0, added.stderr
    listed = {feed["name"]: feed for feed in json.loads(run("feeds", "list", "--json").stdout)["feeds"]}
    assert (listed["deaths"]["in_use"], listed["deaths"]["due_day"], listed["cremations"]["in_use"]) == (True, 1, False)
    assert "火葬信息" in run("feeds", "list").stdout

    late = run("feeds", "status", "--check")
    assert late.exit_code == (1 if _is_after_first(last_month, folder) else 0)

    deaths = folder / "deaths.csv"
    deaths.write_bytes(f"证件号码,姓名,死亡日期\n{number(1)},甲1,{last_month}\n".encode("gb18030"))
    travel = folder / "travel.csv"
    travel.write_text(
        f"document_number,since\n{number(1)},{last_month + timedelta(days=9)}\n{number(9)},{last_month}\n"
    )
    asked = ("--period", period, "--number", "1", "--by", "Li Na")
    done = run("feeds", "import", "deaths", str(deaths), *asked)
    assert (done.exit_code, done.stderr.startswith("1 rows (0 repeated): 1 about people here")) == (0, True), (
        done.stderr
    )
    found = json.loads(run("feeds", "import", "travel", str(travel), *asked, "--json").stdout)
    assert (found["known"], found["unknown"], found["certified"]) == (1, 1, 0)
    assert "nothing was changed" in run("feeds", "import", "travel", str(travel), *asked).stderr

    status = json.loads(run("feeds", "status", "--json").stdout)["feeds"]
    assert [(feed["name"], feed["last"], feed["missing"]) for feed in status] == [
        ("deaths", period, []),
        ("travel", period, []),
    ]
    assert run("feeds", "status", "--check").exit_code == 0

    (contradiction,) = json.loads(run("feeds", "contradictions", "--json").stdout)["contradictions"]
    assert (contradiction["kind"], contradiction["first"]["source"]) == ("alive_after_death", "feed:deaths")
    assert "alive_after_death" in run("feeds", "contradictions").stdout
    (loss,) = json.loads(run("feeds", "losses", "--period", period, "--json").stdout)["losses"]
    assert loss["first_unpaid_month"] == month_text(first_of_month(last_month, 1))

    decide = ("feeds", "resolve", contradiction["contradiction_id"], "--keep", "second", "--reason", "Seen")
    assert "a second person" in run(*decide, "--by", "Li Na").stderr
    again = run(*decide, "--by", "Li Na")
    assert (again.exit_code, "second person is needed" in again.stderr) == (1, True)
    assert "is resolved" in run(*decide, "--by", "Wang Wei").stderr
    assert json.loads(run("feeds", "losses", "--period", period, "--json").stdout) == {"losses": []}

    out = tmp_path / "out.csv"
    export = run("feeds", "export", "--period", period, "--out", str(out), "--by", "Li Na")
    assert (export.exit_code, len(out.read_text().splitlines())) == (0, 2), export.stderr
    assert json.loads(run("feeds", "settle", "--json").stdout) == {"certified": 0, "withdrawn": 0}


def _is_after_first(last_month: date, folder: Path) -> bool:
    settings = load_settings(folder / "fleet.toml")
    with open_fleet(settings) as fleet:
        return day_of(fleet.clock(), settings.zone()) > first_of_month(last_month, 1)


def test_every_fault_of_a_file_is_in_one_report_and_nothing_is_taken_in(
    run: Callable[..., Result], folder: Path, last_month: date
) -> None:
    period = month_text(last_month)
    assert run("feeds", "add", "deaths", "--by", "Li Na", "--from", period).exit_code == 0
    file = folder / "deaths.csv"
    file.write_text(
        "document_number,name,since,row_id\n"
        f"{number(1)},甲1,2999-01-01,1\n"
        f"{number(2)},甲2,{last_month}\n"
        f",甲3,{last_month},3\n"
        f"{number(2)[:-1]}A,甲2,{last_month},4\n"
        f"{number(3)},甲3,{last_month},5\n"
        f"{number(3)},甲3,{last_month + timedelta(days=1)},6\n",
        encoding="utf-8-sig",
    )
    refused = run("feeds", "import", "deaths", str(file), "--period", period, "--number", "1", "--by", "Li Na")
    assert refused.exit_code == 1
    lines = refused.stderr.splitlines()
    assert sorted(int(line.split("line ")[1].split(":")[0]) for line in lines) == [2, 3, 4, 5, 7]
    assert not any(number(n)[:17] in refused.stderr or f"甲{n}" in refused.stderr for n in (1, 2, 3))
    assert json.loads(run("feeds", "losses", "--period", period, "--json").stdout) == {"losses": []}
    assert json.loads(run("feeds", "status", "--json").stdout)["feeds"][0]["last"] is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"document_number,since\n", "zero-report"),
        ("document_number,since\n1,2\n".encode("utf-16"), "UTF-16"),
        (f"document_number,since\n2026-10-03,{number(1)}\n".encode(), "look exchanged"),
        (b"number,day\n1,2\n", "no column document_number"),
    ],
)
def test_a_file_that_is_no_delivery_is_refused_in_one_line(
    run: Callable[..., Result], folder: Path, last_month: date, data: bytes, said: str
) -> None:
    period = month_text(last_month)
    run("feeds", "add", "travel", "--by", "Li Na", "--from", period)
    (folder / "d.csv").write_bytes(data)
    refused = run("feeds", "import", "travel", "d.csv", "--period", period, "--number", "1", "--by", "Li Na")
    assert refused.exit_code == 1
    assert said in refused.stderr.splitlines()[0]


def test_r8_10_a_zero_report_is_said_on_the_command_line(run: Callable[..., Result], last_month: date) -> None:
    period = month_text(last_month)
    run("feeds", "add", "deaths", "--by", "Li Na", "--from", period, "--due-day", "1")
    asked = ("feeds", "zero-report", "deaths", "--period", period, "--by", "Li Na")
    assert run(*asked).exit_code == 0
    assert "said before" in run(*asked).stderr
    assert json.loads(run("feeds", "status", "--json").stdout)["feeds"][0]["last"] == period


def test_a_feed_of_the_agencys_own_is_a_file(run: Callable[..., Result], folder: Path) -> None:
    (folder / "mine.toml").write_text(
        'title = { zh = "殡仪馆", en = "Funeral home" }\nbody = "funeral"\nkinds = ["cremation"]\nconfirms = false\n'
    )
    assert run("feeds", "add", "home", "--definition", "mine.toml", "--by", "Li Na").exit_code == 0
    (feed,) = (f for f in json.loads(run("feeds", "list", "--json").stdout)["feeds"] if f["name"] == "home")
    assert (feed["kinds"], feed["in_use"]) == (["cremation"], True)
    (folder / "mine.toml").write_text('body = "funeral"\n')
    refused = run("feeds", "add", "home", "--definition", "mine.toml", "--by", "Li Na")
    assert refused.exit_code == 1
    assert [line.split(":")[1].strip() for line in refused.stderr.splitlines()] == ["title", "kinds", "confirms"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("add", "unknown", "--by", "Li Na"), 1, "--definition FILE"),
        (("add", "Bad Name", "--by", "Li Na"), 1, "small letters"),
        (("add", "deaths"), 2, "--by"),
        (("add", "x", "--definition", "none.toml", "--by", "Li Na"), 2, "cannot be read"),
        (("zero-report", "deaths", "--period", "2026-10", "--by", "Li Na"), 1, "not in use"),
        (("losses", "--period", "october"), 1, "2026-10"),
        (("resolve", "f" * 32, "--keep", "both", "--by", "Li Na", "--reason", "x"), 1, "none of this id is open"),
    ],
)
def test_wrong_usage_says_what_to_do(
    run: Callable[..., Result], arguments: tuple[str, ...], status: int, said: str
) -> None:
    result: Any = run("feeds", *arguments)
    assert result.exit_code == status
    assert said in result.stderr


def test_a_feed_that_ended_is_not_missing(run: Callable[..., Result]) -> None:
    assert run("feeds", "add", "deaths", "--by", "Li Na", "--from", "2020-01").exit_code == 0
    assert run("feeds", "zero-report", "deaths", "--period", "2020-01", "--by", "Li Na").exit_code == 0
    assert run("feeds", "status", "--check").exit_code == 1
    before = run("feeds", "end", "deaths", "--last", "2019-12", "--by", "Li Na")
    assert (before.exit_code, "lies before" in before.stderr) == (1, True)
    assert run("feeds", "end", "deaths", "--last", "2020-01", "--by", "Li Na").exit_code == 0
    assert run("feeds", "status", "--check").exit_code == 0
    assert run("feeds", "end", "travel", "--last", "2020-01", "--by", "Li Na").exit_code == 1


def test_lists_of_nobody_say_so(run: Callable[..., Result]) -> None:
    assert run("feeds", "abroad").stderr == "nobody\n"
    assert run("feeds", "compare", "--area", "east").stderr == "nobody\n"
    rows = json.loads(run("feeds", "register-check", "--area", "east", "--json").stdout)["people"]
    assert [each["finding"] for each in rows] == ["not_checked"] * 3
    assert "not_checked" in run("feeds", "register-check", "--area", "east").stdout
