"""What root starts on a terminal runs as the terminal: a stand-in for systemd-run says what it was asked for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from provisioning.as_terminal import as_terminal, end

pytestmark = [
    pytest.mark.provisioning,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root is somebody else for the terminal"),
]
CREDENTIALS = '[keys]\nsigning = "credential:signing"\n'
SYSTEMD_RUN = '#!/bin/sh\nwhile [ "$1" != -- ]; do echo "$1" >>"$ASKED"; shift; done\nshift\nexec "$@"\n'


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What systemd was asked for, a line each."""
    for name, text in (("systemd-run", SYSTEMD_RUN), ("systemctl", '#!/bin/sh\necho "$@" >>"$ASKED"\n')):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    return tmp_path / "asked"


def settings(folder: Path, text: str) -> Path:
    path = folder / "terminal.toml"
    path.write_text(text)
    return path


def test_it_has_user_groups_and_keys_of_the_service_and_speaks_through_the_same_pipes(
    asked: Path, tmp_path: Path
) -> None:
    command = as_terminal(["sh", "-c", "read line; echo heard $line; exit 3"], settings(tmp_path, CREDENTIALS))
    done = subprocess.run(command, input="me\n", capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("heard me\n", 3)
    said = asked.read_text().splitlines()
    for wanted in ("--pipe", "--wait", "--property=User=lifecert", "--property=Group=lifecert"):
        assert wanted in said
    assert any(line.startswith("--property=SupplementaryGroups=") and " gpio" in line for line in said)
    assert not any("LoadCredential" in line for line in said), "on this computer there are no such keys"
    end(command)
    (unit,) = (line.partition("=")[2] for line in said if line.startswith("--unit="))
    assert asked.read_text().splitlines()[-1] == f"stop {unit}.service"


@pytest.mark.parametrize("text", ['[keys]\nsigning = "/somewhere/signing.pem"\n', "[keys", ""])
def test_where_keys_are_files_it_is_run_as_it_is(asked: Path, tmp_path: Path, text: str) -> None:
    command = ["lifecert-terminal", "selftest"]
    assert as_terminal(command, settings(tmp_path, text)) == command
    assert as_terminal(command, tmp_path / "none.toml") == command
    end(command)
    assert not asked.exists()
