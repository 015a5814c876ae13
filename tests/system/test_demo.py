"""The whole system as processes: terminals, uplinks, broker, database and fleet play the demo's story."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

LINE = re.compile(r"^(ok|FAIL) (.+): expected (.+) got (.+) \(\d+ ms\)$")


@pytest.mark.system
def test_story_ends_as_expected_and_leaves_nothing_behind() -> None:
    # Not pytest's folder: the name of a socket may be 107 bytes long.
    with tempfile.TemporaryDirectory(prefix="lifecert-") as folder:
        _play(Path(folder))


def _play(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--once"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        cwd=Path(__file__).parents[2],
    )
    cases = [found.groups() for line in done.stdout.splitlines() if (found := LINE.match(line))]
    wrong = [case for case in cases if case[0] != "ok" or case[2] != case[3]]
    assert not wrong, done.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = {case[2] for case in cases}
    assert {"certified", "review", "not_certified", "no_reference", "poor_sample", "presentation_attack"} <= outcomes
    # The embedded database keeps its lock files in one folder per user, for as long as the computer runs.
    assert {path.name for path in tmp_path.iterdir()} <= {f"lifecert-{os.getuid()}"}
