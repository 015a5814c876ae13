"""What is done each minute beside updates: `python3 minute.py FOLDER SECONDS`, a copy of which lies beside that of `slots`, which see.

The seconds of a trial are counted. And what systemd has given up on (a program that crashed too often, or that said that another try ends
the same way) is started again as soon as it would start from something else: systemd itself never does, so neither a link that was turned
back nor a mend that has come would help. While one is on trial it is started each minute: that counts as a start, which ends the trial.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

if __package__:
    from device.updates import slots
    from device.updates.disk import Disk
    from device.updates.trial import passed
else:  # A copy beside the slots.
    import slots  # type: ignore[import-not-found,no-redef]
    from disk import Disk  # type: ignore[import-not-found,no-redef]
    from trial import passed  # type: ignore[import-not-found,no-redef]

TERMINAL = "lifecert-terminal.service"
_GIVEN_UP_WITH = {
    # The port is given up on with what it leads to.
    TERMINAL: ("lifecert-screen.socket",),
    "lifecert-uplink.service": (),
}
_STARTED = "started-again.json"
_TIMEOUT_S = 10.0


def main(folder: Path, seconds: int) -> int:
    """Count so many seconds for every kind below a folder, and start what should not be down. Never fails."""
    down = [unit for unit in _GIVEN_UP_WITH if _systemctl("is-failed", "--quiet", unit)]
    slots.main(folder, partial(passed, seconds=seconds, is_down=TERMINAL in down))
    known = _known(folder)
    leads_to, is_on_trial = _state(folder)
    for unit in down:
        if is_on_trial or known.get(unit) != leads_to:
            sys.stderr.write(f"{unit}: had been given up on, and is started again\n")
            _remember(folder, {**known, unit: leads_to})
            known[unit] = leads_to
            for each in (*_GIVEN_UP_WITH[unit], unit):
                # It is started from what the links lead to now.
                _systemctl("reset-failed", each)
            _systemctl("start", "--no-block", unit)
    return 0


def _state(folder: Path) -> tuple[str, bool]:
    """Return what a start would be from, and whether anything is on trial."""
    kinds = [slots.Slots(path) for path in slots.kinds_in(folder)]
    states = [(each.folder.name, each.current, each.state()) for each in kinds]
    # The count besides: a trial that went back leads to the slot of before, and a start from there may have failed earlier.
    leads_to = [[name, current, 0 if state.last is None else state.last.count] for name, current, state in states]
    return json.dumps(leads_to), any(state.trial is not None for _, _, state in states)


def _known(folder: Path) -> dict[str, str]:
    """Return of each unit what it was started again from last."""
    try:
        found = json.loads((folder / _STARTED).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(folder: Path, started: dict[str, str]) -> None:
    """Not made sure of: what is forgotten costs one start."""
    data = json.dumps(started).encode()
    fresh = folder / f"{_STARTED}.new"
    try:
        fresh.unlink(missing_ok=True)
        Disk().write(fresh, [data])
        fresh.rename(folder / _STARTED)
    except OSError as error:
        sys.stderr.write(f"{_STARTED}: {os.strerror(error.errno or 0)}\n")


def _systemctl(*arguments: str) -> bool:
    """Say whether it was done; where there is no systemd to be reached, nothing is."""
    command = ["systemctl", "--no-ask-password", *arguments]
    try:
        done = subprocess.run(command, check=False, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL, capture_output=True)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
