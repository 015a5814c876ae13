"""Folders of wheels, from which a terminal installs its programs without a network: what fits it, and whether all of it is there.

pip says whether each wheel fits the board, the Python and its hash. What wheels need of one another it would work out for this computer's
Python, whichever it is asked about; so that is worked out here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Final

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from provisioning.errors import FileUnusable, NotWritten

REQUIREMENTS: Final = "requirements.txt"
OURS: Final = "lifecert"
PIP: Final = "pip"
"""Not every system has what makes one, so it comes with what it installs."""
_EXTRAS: Final = ("terminal", "provision")
_MOST_GLIBC: Final = 41
"""The C library of Debian 13 (trixie) is 2.41, and runs what was built for an older one."""
_MOST_GLIBC_OF_12: Final = 36
_OLDEST_WITH_NEWER: Final = 12
"""Pythons from 3.12 on come with Debian 13 or later, older ones with Debian 12."""
_TIMEOUT_S: Final = 3600.0


def check_wheelhouse(folder: Path, *, machine: str, python: str) -> list[Path]:
    """Return the wheels of a folder and its list.

    Args:
        folder: with wheels and `requirements.txt`, nothing else.
        machine: as `uname -m` says it on the terminal.
        python: version of the terminal's Python, such as 3.13.

    Raises:
        FileUnusable: if it is not complete, or something in it does not fit; says what.
    """
    if not (folder / REQUIREMENTS).is_file():
        raise FileUnusable(f"{folder}: no {REQUIREMENTS}; make the folder with `lifecert-provision wheelhouse`")
    wheels = sorted(folder.glob("*.whl"))
    others = sorted(each.name for each in folder.iterdir() if each not in wheels and each.name != REQUIREMENTS)
    if others:
        raise FileUnusable(f"{folder.name}: {others[0]} is no wheel; a wheelhouse has wheels and {REQUIREMENTS} only")
    for name in (OURS, PIP):
        if not any(each.name.startswith(f"{name}-") for each in wheels):
            raise FileUnusable(
                f"{folder}: no wheel of {name} in it; make the folder with `lifecert-provision wheelhouse`"
            )
    _ask_pip(folder, machine, python)
    if missing := missing_from(folder, machine=machine, python=python):
        raise FileUnusable(f"{folder.name}: not complete: {'; '.join(missing)}")
    return [*wheels, folder / REQUIREMENTS]


def missing_from(folder: Path, *, machine: str, python: str) -> list[str]:
    """Return what the wheels of a folder say they need on the terminal and is not there.

    Raises:
        FileUnusable: if a wheel cannot be read.
    """
    environment = {key: str(value) for key, value in default_environment().items()} | _environment(machine, python)
    there: dict[str, Version] = {}
    needed: list[tuple[str, Requirement]] = []
    for path in sorted(folder.glob("*.whl")):
        try:
            name, version, _, _ = parse_wheel_filename(path.name)
            lines = [Requirement(line) for line in _metadata(path).get_all("Requires-Dist") or ()]
        except (InvalidWheelFilename, InvalidRequirement, zipfile.BadZipFile, ValueError, OSError) as error:
            raise FileUnusable(f"{path.name}: cannot be read as a wheel") from error
        there[canonicalize_name(name)] = version
        extras = _EXTRAS if name == OURS else ("",)
        needed += [(name, line) for line in lines if _holds(line, environment, extras)]
    return sorted(
        {
            f"{name} needs {line.name}{line.specifier}"
            for name, line in needed
            if (found := there.get(canonicalize_name(line.name))) is None
            or not line.specifier.contains(found, prereleases=True)
        }
    )


def _holds(line: Requirement, environment: dict[str, str], extras: tuple[str, ...]) -> bool:
    marker = line.marker
    return marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in extras)


def _environment(machine: str, python: str) -> dict[str, str]:
    """Return what conditions of requirements are asked about. Source: PEP 508, environment markers."""
    return {
        "platform_machine": machine,
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
    }


def _metadata(path: Path) -> Message:
    with zipfile.ZipFile(path) as wheel:
        (name,) = (each for each in wheel.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", each))
        return message_from_bytes(wheel.read(name))


def for_whom(machine: str, python: str) -> list[str]:
    """Return pip's options by which it takes what fits a terminal and not this computer.

    Raises:
        FileUnusable: if there is no such machine or Python.
    """
    if not re.fullmatch(r"(aarch64|x86_64)", machine):
        raise FileUnusable(f"machine {machine!r}: aarch64 (a Raspberry Pi) or x86_64 expected")
    if not (found := re.fullmatch(r"3\.(\d{1,2})", python)):
        raise FileUnusable(f"Python {python!r}: a version such as 3.13 expected")
    newest = _MOST_GLIBC if int(found[1]) >= _OLDEST_WITH_NEWER else _MOST_GLIBC_OF_12
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, 16, -1)]
    platforms += [f"manylinux2014_{machine}", f"linux_{machine}"]
    options = ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    options += [part for platform in platforms for part in ("--platform", platform)]
    return options + [part for abi in (f"cp3{found[1]}", "abi3", "none") for part in ("--abi", abi)]


def run_pip(what: str, *arguments: str) -> None:
    """Run pip.

    Args:
        what: of whom the message speaks if it fails.
        arguments: its command and options.

    Raises:
        FileUnusable: if it refuses; says for what.
        NotWritten: if it does not end.
    """
    command = [sys.executable, "-m", "pip", arguments[0], "--disable-pip-version-check", "--quiet", *arguments[1:]]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
            env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise NotWritten(f"{what}: not done within an hour; run it again, and it goes on") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[-1:]
        raise FileUnusable(f"{what}: {' '.join(line.removeprefix('ERROR: ') for line in lines)[:600]}")


def _ask_pip(folder: Path, machine: str, python: str) -> None:
    with tempfile.TemporaryDirectory(prefix="lifecert-nowhere-") as nowhere:
        run_pip(
            folder.name,
            # Not a dry run of `install`: it asks whether a wheel is for this computer's Python.
            *("download", "--no-index", "--find-links", str(folder), "--no-deps", "--require-hashes"),
            *(*for_whom(machine, python), "-d", nowhere, "-r", str(folder / REQUIREMENTS)),
        )
