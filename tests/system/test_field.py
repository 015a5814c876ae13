"""Days without network, short: the whole of it is `make field`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from demo.field.__main__ import WRONG

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
    assert done.stderr.rstrip().endswith("nothing lost, nothing doubled")
    assert {name: found[name] for name in WRONG} == dict.fromkeys(WRONG, 0)
    assert found["served"] == found["sessions"] - found["power_losses"] == sum(found["outcomes"].values())
    assert found["served"] <= found["stored"] <= found["sessions"]
    assert found["stored"] == sum(found["outcomes_at_fleet"].values())
    assert found["outcomes"]["certified"] > 0
    assert found["outcomes"]["time_uncertain"] > 0
