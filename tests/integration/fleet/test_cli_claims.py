"""`lifecert-fleet pki claim --list` as it is typed: a claim for each terminal of a list, or none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from protocol.provisioning import ProvisioningClaim

pytestmark = [pytest.mark.integration, pytest.mark.provisioning]


@pytest.fixture
def run(
    program_in: Callable[..., Callable[..., Any]], make_data_dir: Callable[[], Path], database_url: str
) -> Callable[..., Result]:
    folder = make_data_dir()
    (folder / "fleet.toml").write_text(
        f'fleet_id = "north"\ndata_dir = "data"\ndatabase = "{database_url}"\n[provisioning]\nport = 8444\nnames = ["fleet.example"]\n'
    )
    invoke = program_in(folder, columns=80)
    assert invoke("init", "--identity", "identity.json").exit_code == 0
    assert invoke("pki", "init").exit_code == 0
    return invoke


def test_claims_of_a_list_are_made_together_or_not_at_all(run: Callable[..., Result], tmp_path: Path) -> None:
    listed, out = tmp_path / "list.csv", tmp_path / "claims"
    listed.write_text(
        "terminal_id,area,place,wifi_ssid\nhall-1,east,东村,Hall\nHall 2,east,,\nhall-1,east,,\nhall-4,,,\n"
    )
    wrong = run("pki", "claim", "--list", str(listed), "--out", str(out), "--by", "Li")
    assert wrong.exit_code == 1
    for told in ("line 3", "small letters", "line 4: same terminal as line 2", "line 5", "no area of this code"):
        assert told in wrong.stderr
    assert not out.exists()
    assert json.loads(run("pki", "claims", "--json").stdout)["claims"] == []

    listed.write_text("terminal_id,area,place\nhall-1,east,东村\nhall-2,west,\n")
    made = run("pki", "claim", "--list", str(listed), "--out", str(out), "--hours", "5", "--by", "Li")
    assert made.exit_code == 0, made.stderr
    claims = {path.name: ProvisioningClaim.parse(path.read_bytes().strip()) for path in out.iterdir()}
    assert {name: claim.terminal_id for name, claim in claims.items()} == {
        "hall-1.claim": "hall-1",
        "hall-2.claim": "hall-2",
    }
    assert all(path.stat().st_mode & 0o077 == 0 for path in out.iterdir())
    assert all(claim.code not in made.stdout + made.stderr for claim in claims.values())
    stored = json.loads(run("pki", "claims", "--json").stdout)["claims"]
    assert {(each["terminal"], each["area"], each["state"]) for each in stored} == {
        ("hall-1", "east", "open"),
        ("hall-2", "west", "open"),
    }
    again = run("pki", "claim", "--list", str(listed), "--out", str(out), "--by", "Li")
    assert again.exit_code == 1
    assert "never written over" in again.stderr
    assert len(json.loads(run("pki", "claims", "--json").stdout)["claims"]) == 2


def test_a_list_and_one_terminal_are_two_things(run: Callable[..., Result], tmp_path: Path) -> None:
    for options in (("--list", "x", "--area", "east"), ("--list", "x", "--terminal", "t-1"), ()):
        assert run("pki", "claim", "--out", str(tmp_path / "x"), *options).exit_code == 2
