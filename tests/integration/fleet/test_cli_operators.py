"""`lifecert-fleet operator` and `places` as they are typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from click.testing import Result

from protocol.staff import parse_operator_code

pytestmark = pytest.mark.integration


@pytest.fixture
def run(
    program_in: Callable[..., Callable[..., Any]], make_data_dir: Callable[[], Path], database_url: str
) -> Callable[..., Result]:
    folder = make_data_dir()
    (folder / "fleet.toml").write_text(f'fleet_id = "north"\ndata_dir = "data"\ndatabase = "{database_url}"\n')

    invoke = program_in(folder, columns=80)
    assert invoke("init", "--identity", "identity.json").exit_code == 0
    return invoke


def test_operators_are_added_listed_given_pins_and_retired(run: Callable[..., Result], tmp_path: Path) -> None:
    png = tmp_path / "code.png"
    added = run(
        "operator", "add", "甲乙", "--role", "enroller", "--area", "east", "--id", "204", "--code-png", str(png)
    )
    assert added.exit_code == 0, added.stderr
    assert added.stdout.startswith("operator 204 PIN ")
    assert added.stdout.strip().rsplit(" ", 1)[1].isdigit()
    assert png.stat().st_mode & 0o077 == 0
    text, _, _ = cv2.QRCodeDetector().detectAndDecode(cv2.imread(str(png)))
    assert parse_operator_code(text).operator_id == "204"

    again = run("operator", "add", "甲", "--role", "worker", "--area", "", "--code-png", str(png))
    assert again.exit_code == 2
    assert "never written over" in again.stderr
    bad = run("operator", "add", "甲", "--role", "worker", "--area", "east", "--pin-from-stdin", typed="123\n")
    assert bad.exit_code == 1
    assert bad.stderr == "PIN: 6 to 12 digits expected\n"
    chosen = run("operator", "new-pin", "204", "--pin-from-stdin", typed="48291357\n")
    assert (chosen.exit_code, chosen.stdout) == (0, "")
    assert "48291357" not in chosen.stderr

    listed = json.loads(run("operator", "list", "--json").stdout)["operators"]
    assert [(o["operator_id"], o["name"], o["roles"], o["state"]) for o in listed] == [
        ("204", "甲乙", ["enroller"], "in service")
    ]
    assert run("operator", "retire", "204").exit_code == 0
    assert run("operator", "retire", "204").exit_code == 1
    assert "retired" in run("operator", "list").stdout


def test_places_are_imported(run: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "places.csv"
    path.write_text("code,name,area\n620102001,东岗村,620102\n", encoding="utf-8")
    done = run("places", "import", str(path), "--json")
    assert json.loads(done.stdout) == {"new": 1, "changed": 0, "unchanged": 0}
    path.write_text("code,name\n620102001,东岗村\n", encoding="utf-8")
    refused = run("places", "import", str(path))
    assert refused.exit_code == 1
    assert "line 1: no column area" in refused.stderr
