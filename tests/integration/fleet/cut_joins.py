"""Joins at a door over and over, each cut off at another change of its folder and then begun again; run as a program by `test_joining`.

Standard input has a claim in each line, standard output gets one of JSON: how often it was cut off.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from protocol.provisioning import ProvisioningClaim
from provisioning.identity import FLEET
from provisioning.joining import CERTIFICATE, DOOR, KEYS, ROOT, SETTINGS, Outcome, join, write_settings
from tests.cutting import is_cut_off


def come(claim: ProvisioningClaim, folder: Path, part: Path) -> Outcome:
    """Join, and make the settings, as lifecert-join.service does."""
    now = datetime.fromtimestamp(time.time(), UTC)
    outcome = join(claim, folder, terminal_id=None, board_serial=None, now=now)
    write_settings(part, folder, claim.fleet_id, outcome)
    return outcome


def main() -> None:
    """Cut off each claim's join one change later than the one before, until one comes to its end."""
    root = Path(sys.argv[1])
    part = root / "part.toml"
    part.write_text("")
    for at, line in enumerate(sys.stdin):
        claim, folder = ProvisioningClaim.parse(line.encode()), root / f"cut {at}"
        # The changes between are names: what stands before a file is opened stands after the change before it.
        was_cut = is_cut_off(lambda: come(claim, folder, part), folder, at=at, torn=True)  # noqa: B023 - called at once
        if not was_cut:
            break
        outcome = come(claim, folder, part)
        assert outcome.is_joined
        there = sorted(each.name for each in folder.iterdir())
        assert there == sorted((*KEYS, CERTIFICATE, DOOR, FLEET, ROOT, SETTINGS)), there
        assert all(each.stat().st_size for each in folder.iterdir()), "an empty file"
    else:
        raise AssertionError("too few claims")
    sys.stdout.write(json.dumps({"cuts": at}))


if __name__ == "__main__":
    main()
