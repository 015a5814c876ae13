"""`lifecert-provision join` before it asks the fleet: a claim is good once."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from device.settings import load_settings
from protocol.provisioning import ProvisioningClaim
from provisioning.cli import app
from provisioning.joining import CERTIFICATE, SETTINGS, Outcome, write_settings
from provisioning.settings_file import complete, parse_part

pytestmark = pytest.mark.provisioning
NOBODY = "https://localhost:9"


@pytest.fixture
def claim(claim_for: Callable[..., ProvisioningClaim], tmp_path: Path) -> Path:
    (tmp_path / "hall-4.claim").write_bytes(claim_for("hall-4", url=NOBODY).to_bytes())
    return tmp_path / "hall-4.claim"


def join(claim: Path, out: Path, *more: object) -> Result:
    return CliRunner().invoke(app, ["join", str(claim), "--out", str(out), "--wait-s", "0", *map(str, more)])


def test_a_claim_of_another_terminal_is_refused_before_the_fleet_is_asked(claim: Path, tmp_path: Path) -> None:
    (tmp_path / "terminal-id").write_text("hall-5\n")
    status, out = tmp_path / "status.txt", tmp_path / "keys"
    for option in (("--terminal", "hall-5"), ("--terminal-file", tmp_path / "terminal-id")):
        done = join(claim, out, *option, "--status", status)
        assert done.exit_code == 1
        assert done.stderr == "the claim: is for terminal hall-4, not for hall-5; take the claim of hall-5\n"
        assert not out.exists()
    (line,) = status.read_text(encoding="utf-8").splitlines()
    assert line.startswith("凭证属于另一台终端")
    own = join(claim, out, "--terminal", "hall-4")
    assert (own.exit_code, "no answer" in own.stderr) == (1, True)


@pytest.mark.parametrize(
    ("text", "told", "code"),
    [
        ('[screen]\nkin = "web"\n', "part.toml: screen.kin: unknown key", 78),
        ("[screen\n", "part.toml: not TOML", 78),
        (None, "No such file", 1),
        ('[screen]\nkind = "web"\n', "no answer", 1),
    ],
)
def test_settings_are_tried_before_a_claim_is_used(
    claim: Path, tmp_path: Path, text: str | None, told: str, code: int
) -> None:
    part, out = tmp_path / "part.toml", tmp_path / "keys"
    if text is not None:
        part.write_text(text)
    done = join(claim, out, "--settings-part", part)
    assert (done.exit_code, told in done.stderr) == (code, True)
    assert out.exists() is (told == "no answer")


def test_who_has_joined_before_is_told_that_its_settings_stay(claim: Path, tmp_path: Path) -> None:
    part, out = tmp_path / "part.toml", tmp_path / "keys"
    out.mkdir()
    part.write_text('[screen]\nkind = "web"\n')
    write_settings(part, out, "north", Outcome("hall-4", True, "broker.example", 8883))
    (out / CERTIFICATE).write_text("x")
    text = (out / SETTINGS).read_text()
    told = []
    for wanted in ('[screen]\nkind = "web"\n', '[screen]\nkind = "none"\n', "[screen\n", None):
        part.write_text(wanted) if wanted else part.unlink()
        done = join(claim, out, "--settings-part", part)
        assert done.exit_code == 0
        told.append(done.stderr)
    same, kept = "has joined before\n", "has joined before; terminal.toml stays as it is, change it there\n"
    assert told == [same, kept, kept, same]
    assert (out / SETTINGS).read_text() == text


def test_settings_name_the_files_of_the_folder_that_was_joined_into(tmp_path: Path) -> None:
    (tmp_path / "part.toml").write_text('[screen]\nkind = "web"\n')
    write_settings(tmp_path / "part.toml", tmp_path, "north", Outcome("t-1", True, "broker.example", 8883))
    found = load_settings(tmp_path / SETTINGS)
    assert (found.keys.fleet, found.updates.release_keys) == (tmp_path / "fleet.json", tmp_path / "release-keys.json")
    assert found.keys.signing.path == tmp_path / "signing.pem"


def test_what_a_part_says_of_files_beside_the_settings_counts() -> None:
    part = parse_part('[updates]\nrelease_keys = "/srv/keys.json"\n[keys]\nfleet = "other.json"\n')
    text = complete(part, fleet_id="north", terminal_id="t-1", broker_host="x", broker_port=1, files={})
    found = tomllib.loads(text)
    assert found["updates"]["release_keys"] == "/srv/keys.json"
    assert found["keys"] == {"fleet": "other.json"} | {
        name: f"credential:{name}" for name in ("signing", "sealing", "storage")
    }
