"""The technician's way from an empty folder to a checked terminal, with the installed programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from protocol.keys import PrivateKey
from protocol.registration import FleetIdentity
from protocol.selftest import SelftestReport

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def provision(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "lifecert-provision"), *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    fleet = tmp_path / "from-the-fleet.json"
    fleet.write_bytes(FleetIdentity(fleet_id="north", signing_key=PrivateKey.generate().public()).to_bytes())
    keys = tmp_path / "keys"
    for arguments in (
        ("identity", "--fleet-id", "north", "--terminal-id", "t-1", "--out", keys),
        ("accept-fleet", fleet, "--out", keys),
    ):
        done = provision(*arguments)
        assert done.returncode == 0, done.stderr
    path = tmp_path / "terminal.toml"
    path.write_text(
        f"""
[terminal]
fleet_id = "north"
terminal_id = "t-1"
data_dir = "data"
models_dir = "{ROOT / "models"}"
[keys]
signing = "keys/signing.pem"
sealing = "keys/sealing.pem"
storage = "keys/storage.key"
fleet = "keys/fleet.json"
[camera]
kind = "simulated"
[panel]
kind = "simulated"
[voice]
kind = "none"
"""
    )
    return path


def test_what_provisioning_made_is_what_the_terminal_takes(config: Path) -> None:
    done = provision("check", "--config", config, "--json")
    report = SelftestReport.parse(done.stdout.encode())
    status = {check.name: check.status for check in report.checks}
    assert status["signing-key"] == "passed"
    assert status["outbox"] == "passed"
    assert done.returncode == (0 if report.passed else 1)


def test_a_terminal_whose_key_is_gone_is_told_which_tool_makes_one(config: Path) -> None:
    (config.parent / "keys" / "signing.pem").unlink()
    done = provision("check", "--config", config)
    assert done.returncode == 1
    assert "signing-key" in done.stdout
    assert "failed" in done.stdout


def test_settings_the_terminal_refuses_end_the_check_with_78(config: Path) -> None:
    config.write_text(config.read_text() + "[brokr]\nhost = 'x'\n")
    done = provision("check", "--config", config)
    assert done.returncode == 78
    assert "brokr: unknown key, did you mean broker?" in done.stderr
