"""What a technician sets for the terminals of a card, tried by the terminal's own program before it is anywhere near one."""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from provisioning.errors import SelftestFailed, SettingsRefused
from provisioning.joining import TLS_FILES, read_text
from provisioning.selftest import EX_CONFIG, PROGRAM, installed_program
from provisioning.settings_file import complete, parse_part

_TIMEOUT_S: Final = 60.0


def tried_part(path: Path, *, program: Path | None = None) -> dict[str, Any]:
    """Read part of a terminal's settings, and have the terminal's program read it with what joining adds.

    Args:
        path: the file.
        program: the terminal program; by default the one installed beside this one, else the one on the path.

    Raises:
        FileUnusable: if it cannot be read.
        SettingsRefused: with everything that is wrong, each with file and key.
        SelftestFailed: if the terminal's program is not there, or cannot say.
    """
    part = parse_part(read_text(path), name=path.name)
    # Names that any terminal could have: who it is comes with its claim, and was checked there.
    whole = complete(
        part,
        fleet_id="fleet",
        terminal_id="terminal",
        broker_host="broker.invalid",
        broker_port=8883,
        files=TLS_FILES,
    )
    found = program or installed_program()
    with TemporaryDirectory(prefix="lifecert-settings-") as scratch:
        trial = Path(scratch, path.name)
        trial.write_text(whole, encoding="utf-8")
        try:
            done = subprocess.run(
                [found, "check-settings", "--config", trial], capture_output=True, timeout=_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SelftestFailed(f"{path.name}: cannot be checked: {found}: {error}") from error
        said = done.stderr.decode(errors="replace").strip().replace(f"{trial}: ", f"{path.name}: ")
    if done.returncode == EX_CONFIG:
        raise SettingsRefused(said.removeprefix(f"{PROGRAM}: "))
    if done.returncode:
        raise SelftestFailed(f"{path.name}: cannot be checked: {found.name} ended with {done.returncode}: {said}")
    return part
