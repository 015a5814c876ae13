"""`lifecert-fleet statistics` as it is typed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from openpyxl import load_workbook
from sqlalchemy import text

from fleet.app import open_fleet
from fleet.clock import day_of
from fleet.intake.people_table import SubjectRow
from fleet.intake.subjects import import_rows
from fleet.settings import load_settings
from fleet.status.projection import project
from fleet.store.areas import Area, save_areas
from fleet.store.subjects import Benefit
from protocol.documents import check_digit, parse_document

pytestmark = pytest.mark.integration


@pytest.fixture
def run(
    program_in: Callable[..., Callable[..., Any]], make_data_dir: Callable[[], Path], database_url: str
) -> Iterator[Callable[..., Result]]:
    """A fleet with a dozen people of one county."""
    folder = make_data_dir()
    (folder / "fleet.toml").write_text(f'fleet_id = "north"\ndata_dir = "data"\ndatabase = "{database_url}"\n')

    invoke = program_in(folder)
    assert invoke("init", "--identity", "identity.json").exit_code == 0
    with open_fleet(load_settings(folder / "fleet.toml")) as fleet:
        rows = []
        for serial in range(1, 13):
            digits = f"99999919400101{serial:03d}"
            document = parse_document(digits + check_digit(digits))
            rows.append(SubjectRow(serial, document, "甲", "31", Benefit("pension", "31", "retired", date(2001, 7, 1))))
        with fleet.database.begin() as connection:
            save_areas(connection, [Area("3", None, 2, "市"), Area("31", "3", 3, "东县")])
        zone = fleet.settings.zone()
        done = import_rows(fleet.database, fleet.keys, rows, now=fleet.clock(), zone=zone)
        with fleet.database.begin() as connection:
            # On the lists for years: nobody is overdue for what was before them.
            connection.execute(text("UPDATE subjects SET created_at = '2001-07-01T00:00Z'"))
            project(connection, done.subject_ids, zone=zone, today=day_of(fleet.clock(), zone))
        yield invoke


def test_feature_80_counts_are_shown_and_exported(run: Callable[..., Result], tmp_path: Path) -> None:
    done = run("statistics", "--json")
    assert done.exit_code == 0, done.stderr
    (row,) = json.loads(done.stdout)["by area"]
    assert (row["key"], row["name"], row["people"], row["overdue"], row["coverage"]) == (
        "31",
        "东县",
        12,
        12,
        0.0,
    )
    assert "东县" in run("statistics", "--by", "area", "--level", "3", "--scheme", "pension").stdout
    assert json.loads(run("statistics", "--scheme", "other", "--json").stdout) == {"by area": []}
    out = tmp_path / "counts.xlsx"
    assert run("statistics", "--by", "scheme", "--export", str(out)).exit_code == 0
    book = load_workbook(out)
    assert [cell.value for cell in book["by scheme"][2]][:1] == ["pension"]
    book.close()
    refused = run("statistics", "--export", str(tmp_path / "counts.pdf"))
    assert (refused.exit_code, ".xlsx" in refused.stderr) == (1, True)


def test_snapshots_trend_and_days_that_are_over(run: Callable[..., Result]) -> None:
    first = json.loads(run("statistics", "snapshot", "--json").stdout)
    assert first["new"] is True
    assert json.loads(run("statistics", "snapshot", "--json").stdout)["new"] is False
    assert "was there" in run("statistics", "snapshot").stderr
    trend = json.loads(run("statistics", "trend", first["day"], first["day"], "--json").stdout)["trend"]
    assert trend == [{"key": "31", "name": "东县", "state": "overdue", "before": 12, "after": 12, "change": 0}]
    missing = run("statistics", "--as-of", "2020-01-01")
    assert missing.exit_code == 1
    assert f"no snapshot of 2020-01-01: the nearest is of {first['day']}" in missing.stderr


def test_feature_38_fairness_is_shown_even_where_nobody_came(run: Callable[..., Result]) -> None:
    found = json.loads(run("statistics", "fairness", "--json").stdout)
    assert found["rates"] == [
        {
            "group": "all", "key": "all", "sessions": 0,
            "failure": None, "failure_low": None, "failure_high": None,
            "abandon": None, "abandon_low": None, "abandon_high": None,
        }
    ]  # fmt: skip
    assert found["worst against best"] == []
    assert run("statistics", "fairness", "--since", "2999-01-01").exit_code == 1
