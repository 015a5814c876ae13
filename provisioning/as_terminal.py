"""A program started by root on a terminal, as the terminal's service starts it: its user, its groups, its keys as credentials."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from provisioning.installed_files import installed_folder

CONFIG: Final = Path("/etc/lifecert/terminal.toml")
_UNIT: Final = "lifecert-terminal.service"
_TAKEN: Final = ("User", "Group", "SupplementaryGroups", "LoadCredential", "UMask")
"""Of the service's unit; what it is kept from matters while it runs for months."""


def as_terminal(command: Sequence[str], config: Path | None) -> list[str]:
    """Return a command as it is to be run.

    What it leaves on the disk must be the terminal's own, and keys that are named as credentials are there for nobody else. Whoever is not
    root, and a terminal whose settings name files, get the command as it is.

    Args:
        command: the terminal's program, with its options.
        config: its settings; None for those of an installed terminal.

    Raises:
        FileUnusable: if the unit of the service is not where this program was installed.
    """
    if os.geteuid() != 0 or not _names_credentials(config or CONFIG) or shutil.which("systemd-run") is None:
        return list(command)
    unit = (installed_folder("systemd") / _UNIT).read_text(encoding="utf-8")
    # The library for the header makes a pipe where it is started.
    folder = ("WorkingDirectory=/tmp", "PrivateTmp=yes", "Environment=LG_WD=/tmp", "StateDirectory=lifecert")
    properties = [f"--property={line}" for line in (*_lines(unit), *folder)]
    return ["systemd-run", "--quiet", "--collect", "--wait", "--pipe", f"--unit={_name()}", *properties, "--", *command]


def end(command: Sequence[str]) -> None:
    """End what `as_terminal` started and somebody left: it is no child of this process."""
    if command[0] == "systemd-run":
        with suppress(OSError):
            subprocess.run(["systemctl", "stop", f"{_name()}.service"], capture_output=True, check=False)


def _name() -> str:
    return f"lifecert-by-hand-{os.getpid()}"


def _names_credentials(config: Path) -> bool:
    try:
        keys = tomllib.loads(config.read_text(encoding="utf-8")).get("keys", {})
    except (OSError, ValueError):
        # Whoever is started says what is wrong with it.
        return False
    return isinstance(keys, dict) and any(str(value).startswith("credential:") for value in keys.values())


def _lines(unit: str) -> Iterator[str]:
    for line in unit.splitlines():
        name, _, value = line.partition("=")
        # A key that is made on the way is not there at first.
        if name in _TAKEN and (name != "LoadCredential" or Path(value.partition(":")[2]).exists()):
            yield line
