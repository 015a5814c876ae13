"""`lifecert-fleet pki` as it is typed: a claim for each terminal of a list, or none, and an authority that is given more years."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from fleet.store.areas import Area, save_areas
from fleet.store.database import Database
from protocol.provisioning import ProvisioningClaim

pytestmark = [pytest.mark.integration, pytest.mark.provisioning]


@pytest.fixture
def folder(make_data_dir: Callable[[], Path]) -> Path:
    return make_data_dir()


@pytest.fixture
def run(program_in: Callable[..., Callable[..., Any]], folder: Path, database_url: str) -> Callable[..., Result]:
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
    again = ("pki", "claim", "--list", str(listed), "--by", "Li", "--out")
    refused = run(*again, str(out))
    assert refused.exit_code == 1
    assert [line.partition(" takes ")[0] for line in refused.stderr.splitlines()] == [
        f"{listed}: line {line}: terminal hall-{line - 1}: has an open claim already; --again" for line in (2, 3)
    ]
    kept = run(*again, str(out), "--again")
    assert kept.exit_code == 1
    assert "never written over" in kept.stderr
    assert states(run) == {("hall-1", "open"): 1, ("hall-2", "open"): 1}, "nothing was taken back for nothing"
    assert run(*again, str(tmp_path / "others"), "--again").exit_code == 0
    both = Counter({("hall-1", "open"): 1, ("hall-2", "open"): 1})
    assert states(run) == both + Counter({("hall-1", "taken_back"): 1, ("hall-2", "taken_back"): 1})


def test_a_claim_for_an_area_that_is_not_in_the_tree_is_refused(
    run: Callable[..., Result], database_url: str, tmp_path: Path
) -> None:
    with closing(Database(database_url)) as database, database.begin() as connection:
        save_areas(connection, [Area("62", None, 1, "甘肃"), Area("6201", "62", 2, "兰州")])
    one = ("pki", "claim", "--terminal", "hall-1", "--out", str(tmp_path / "hall-1.claim"), "--by", "Li")
    assert "--area" in run(*one).stderr
    refused = run(*one, "--area", "6299")
    assert refused.exit_code == 1
    assert "area 6299: none of this code" in refused.stderr
    listed = tmp_path / "list.csv"
    listed.write_text("terminal_id,area\nhall-1,6201\nhall-2,6299\n")
    wrong = run("pki", "claim", "--list", str(listed), "--out", str(tmp_path / "claims"), "--by", "Li")
    assert wrong.exit_code == 1
    assert wrong.stderr.strip() == f"{listed}: line 3: area: there is no area of this code"
    assert states(run) == Counter()
    assert run(*one, "--area", "6201").exit_code == 0


def states(run: Callable[..., Result]) -> Counter[tuple[str, str]]:
    """How many claims there are by terminal and state."""
    found = json.loads(run("pki", "claims", "--json").stdout)["claims"]
    return Counter((each["terminal"], each["state"]) for each in found)


def test_a_second_claim_for_one_terminal_says_what_to_do(
    run: Callable[..., Result], make_fleet_terminal: Callable[..., Any], tmp_path: Path
) -> None:
    def claim(*options: str, status: int = 0) -> str:
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.claim"
        done = run("pki", "claim", "--area", "east", "--out", str(file), "--by", "Li", *options)
        assert (done.exit_code, file.exists()) == (status, status == 0), done.stderr
        return str(done.stderr)

    claim("--terminal", "hall-9")
    told = claim("--terminal", "hall-9", status=1)
    assert told == ("terminal hall-9: has an open claim already; --again takes that one back and makes another\n")
    claim("--terminal", "hall-9", "--again")
    # A swap says whose place it is, and asks the same of the new one's name.
    registration = tmp_path / "hall-1.jws"
    registration.write_bytes(make_fleet_terminal("north", "hall-1").registration())
    assert run("register-terminal", str(registration), "--area", "east", "--by", "Li").exit_code == 0
    listed = tmp_path / "list.csv"
    listed.write_text("terminal_id,area\nhall-1,east\n")
    there = run("pki", "claim", "--list", str(listed), "--out", str(tmp_path / "claims"), "--by", "Li")
    assert (there.exit_code, "leave the line out, or swap it" in there.stderr) == (1, True)
    swap = ("terminals", "swap", "hall-1", "--new", "hall-9", "--by", "Li", "--claim-out", str(tmp_path / "swap.claim"))
    refused = run(*swap)
    assert (refused.exit_code, "--again takes that one back" in refused.stderr) == (1, True)
    assert run(*swap, "--again").exit_code == 0
    listed = json.loads(run("pki", "claims", "--json").stdout)["claims"]
    printed = run("pki", "claims").stdout
    assert max(map(len, printed.splitlines())) <= 80
    assert all(each["claim"] in printed for each in listed)
    assert re.search(r"hall-9 for +(hall-1 +)?east +open ", printed)
    shown = run("terminals", "list").stdout.splitlines()
    assert next(line.split() for line in shown if "hall-9" in line)[:3] == ["hall-9", "east", "claimed"]
    assert shown[-1].split()[-2:] == ["from", "hall-1"]
    assert Counter((each["state"], each["replaces"]) for each in listed) == {
        ("open", "hall-1"): 1,
        ("taken_back", ""): 2,
    }


def test_a_claim_is_named_by_its_terminal_or_by_the_beginning_of_its_id(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    refused = run("pki", "claim", "--area", "east", "--out", str(tmp_path / "x"), "--by", "Li", "--hours", "0")
    assert (refused.exit_code, "1 to 720" in refused.stderr) == (1, True)
    for name, options in (("one", ("--terminal", "t-1")), ("two", ()), ("three", ())):
        made = run("pki", "claim", "--area", "east", "--out", str(tmp_path / name), "--by", "Li", *options)
        assert re.search(r"until \d{4}-\d\d-\d\d \d\d:\d\d \(UTC\+08:00\);", made.stderr), made.stderr
    printed = run("pki", "claims").stdout
    assert printed.endswith("times of UTC+08:00\n")
    listed = json.loads(run("pki", "claims", "--json").stdout)["claims"]
    second = next(each["claim"] for each in listed if not each["terminal"])
    for wrong in ("t-9", second[:7], "x" * 40):
        none = run("pki", "take-back", wrong, "--by", "Li")
        assert (none.exit_code, "8 characters of the claim's id" in none.stderr) == (1, True)
    for wrong in (("approve", "t-1"), ("approve", second)):
        none = run("pki", *wrong, "--by", "Li")
        assert (none.exit_code, "waits (it is open);" in none.stderr) == (1, True)
    for right in ("t-1", second[:8]):
        assert run("pki", "take-back", right, "--by", "Li").exit_code == 0
    assert Counter(state for _, state in states(run).elements()) == Counter(taken_back=2, open=1)
    over = run("pki", "take-back", "t-1", "--by", "Li")
    assert (over.exit_code, "used (it is taken back);" in over.stderr) == (1, True)


def test_a_list_and_one_terminal_are_two_things(run: Callable[..., Result], tmp_path: Path) -> None:
    for options in (("--list", "x", "--area", "east"), ("--list", "x", "--terminal", "t-1"), ()):
        assert run("pki", "claim", "--out", str(tmp_path / "x"), *options).exit_code == 2


def test_the_authority_is_given_more_years_by_the_key_from_the_safe(
    run: Callable[..., Result], folder: Path, tmp_path: Path
) -> None:
    pki = folder / "data" / "pki"
    safe, before = tmp_path / "root.key", (pki / "issuing.pem").read_bytes()
    (pki / "root.key").replace(safe)
    wrong = run("pki", "renew-issuing", "--root-key", str(pki / "root.key"), "--by", "Li")
    assert wrong.exit_code == 1
    assert "pki init" in wrong.stderr
    assert (pki / "issuing.pem").read_bytes() == before
    done = run("pki", "renew-issuing", "--root-key", str(safe), "--by", "Li")
    assert done.exit_code == 0, done.stderr
    first = (pki / "issuing.pem").read_bytes()
    assert first != before
    # Beside a broker of its own.
    broker = tmp_path / "broker"
    assert run("pki", "broker-config", "--host", "localhost", "--out", str(broker), "--by", "Li").exit_code == 0
    with (folder / "fleet.toml").open("a") as settings:
        settings.write(f'broker_dir = "{broker}"\n')
    done = run("pki", "renew-issuing", "--root-key", str(safe), "--by", "Li")
    assert done.exit_code == 0, done.stderr
    assert (pki / "issuing.pem").read_bytes() != first
    assert (broker / "trusted.pem").read_bytes() == (pki / "trusted.pem").read_bytes()
    (broker / "trusted.pem").unlink()
    (broker / "trusted.pem").mkdir()
    lost = run("pki", "renew-issuing", "--root-key", str(safe), "--by", "Li")
    assert lost.exit_code == 1
    assert "run it again" in lost.stderr
    assert run("audit", "list").stdout.count("pki.renewed") == 2
