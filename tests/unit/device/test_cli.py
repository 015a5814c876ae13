"""The terminal's command line: what needs no network and no network file."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from device.cli import app


def call(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_version_and_help_answer():
    assert call("--version").stdout.startswith("lifecert-terminal ")
    help_text = call("--help").stdout
    for command in ("run", "uplink", "certify", "features", "selftest"):
        assert command in help_text


@pytest.mark.parametrize("command", ["run", "uplink", "selftest"])
def test_bad_settings_end_with_78_and_every_problem(tmp_path, command):
    path = tmp_path / "terminal.toml"
    path.write_text("[terminal]\nfleet_id = 'North!'\nlanguage = 'zh'\n")
    result = call(command, "--config", str(path))
    assert result.exit_code == 78
    for key in ("terminal.fleet_id", "terminal.terminal_id", "terminal.language"):
        assert key in result.stderr
    assert call(command, "--config", str(tmp_path / "none.toml")).exit_code == 78


def test_wrong_usage_ends_with_2():
    assert call("certify").exit_code == 2
    assert call("features", "/nowhere/picture.png").exit_code == 2


def test_starting_up_loads_nothing_heavy():
    code = "import sys, device.cli; print([m for m in ('cv2', 'numpy', 'paho', 'ai_edge_litert') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
