"""The terminal's self test, run as the program it is; the two meet at the command line and in `protocol.selftest`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from protocol.errors import ProtocolError
from protocol.selftest import SelftestReport
from provisioning.as_terminal import as_terminal
from provisioning.errors import SelftestFailed

PROGRAM: Final = "lifecert-terminal"
_TIMEOUT_S: Final = 300.0
"""The self test runs every network on the slowest board; a minute is usual there, five are too many."""
EX_CONFIG: Final = 78
"""Exit code of the terminal program for bad settings. Source: sysexits.h."""


def run_selftest(config: Path | None, *, program: Path | None = None) -> SelftestReport:
    """Run the terminal's self test and return its report.

    Args:
        config: settings file for the terminal; without it the terminal uses its own default.
        program: the terminal program; by default the one installed beside this one, else the one on the path.

    Raises:
        SelftestFailed: if the program is missing, ends without a report, or takes too long; carries the exit code to end with.
    """
    found = program or installed_program()
    command = as_terminal([str(found), "selftest", "--json", *(["--config", str(config)] if config else [])], config)
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except OSError as error:
        raise SelftestFailed(f"{found}: {error.strerror}; is the terminal program installed?") from error
    except subprocess.TimeoutExpired as error:
        raise SelftestFailed(
            f"{found.name} selftest: no report within {_TIMEOUT_S:.0f} s; is the camera stuck?"
        ) from error
    try:
        return SelftestReport.parse(done.stdout)
    except ProtocolError as error:
        said = done.stderr.decode(errors="replace").strip() or str(error)
        code = EX_CONFIG if done.returncode == EX_CONFIG else 1
        raise SelftestFailed(f"{found.name} selftest: no report (exit code {done.returncode})\n{said}", code) from error


def installed_program() -> Path:
    """Return the terminal's program: the one beside this one, else the one on the path.

    Raises:
        SelftestFailed: if there is none.
    """
    beside = Path(sys.executable).parent / PROGRAM
    if beside.exists():
        return beside
    elsewhere = shutil.which(PROGRAM)
    if elsewhere is None:
        raise SelftestFailed(
            f"{PROGRAM}: not found beside {sys.executable} and not on the path; install it on this machine"
        )
    return Path(elsewhere)
