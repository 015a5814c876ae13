"""Days without network, short: the whole of it is `make field`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system


def test_nothing_is_lost_doubled_or_miscounted_in_days_without_network() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo.field", "--days", "4", "--sessions", "60", "--seed", "3"],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout
    found = json.loads(done.stdout)
    assert found["sessions"] == 60
    assert (found["lost"], found["duplicates"], found["counter_errors"], found["receipt_errors"]) == (0, 0, 0, 0)
    assert found["outcomes"]["certified"] > 0
    assert found["outcomes"]["time_uncertain"] > 0
