"""Makes the folder of wheels from which a terminal installs its programs without a network: pinned, checked by hash, and complete."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
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

from provisioning.cards.common import REQUIREMENTS
from provisioning.errors import FileUnusable, NotWritten
from provisioning.installed_files import installed_folder

_LISTED: Final = "card.txt"
_SOURCES: Final = (
    *("pyproject.toml", "README.md", "LICENSE", "NOTICE", "systemd", "requirements"),
    *("device", "fleet", "protocol", "provisioning", "models", "demo"),
)
"""What this project's wheel is made from."""
_MOST_GLIBC: Final = 41
"""The C library of Debian 13 (trixie) is 2.41, and runs what was built for an older one."""
_MOST_GLIBC_OF_12: Final = 36
_OLDEST_WITH_NEWER: Final = (3, 12)
"""Pythons from here on come with Debian 13 or later, older ones with Debian 12."""
_TIMEOUT_S: Final = 3600.0


def make_wheelhouse(
    out: Path, *, machine: str, python: str, requirements: Path | None, wheel: Path | None, find_links: Path | None
) -> list[Path]:
    """Fill a folder; what an earlier try fetched is used.

    Args:
        out: the folder.
        machine: as `uname -m` says it on the terminal.
        python: version of the terminal's Python, such as 3.13.
        requirements: what is needed, each with its hashes; None for the list that is shipped.
        wheel: this project's own; None to build it from the checkout.
        find_links: folder of wheels to take instead of asking a registry.

    Returns:
        All files of the folder.

    Raises:
        FileUnusable: if something is not to be had, or does not fit together.
    """
    listed = requirements or installed_folder("requirements") / _LISTED
    try:
        out.mkdir(parents=True, exist_ok=True)
        own = _own_wheel(wheel, out)
        pinned = f"{listed.read_text(encoding='utf-8').rstrip()}\n{_pin(own)}\n"
    except OSError as error:
        raise FileUnusable(f"{error.filename or out}: {error.strerror}") from error
    source = ["--no-index", "--find-links", str(find_links)] if find_links else []
    for_whom = _for_whom(machine, python)
    _pip("download", *source, *for_whom, "--no-deps", "--require-hashes", "-r", str(listed), "-d", str(out))
    _drop_others(out, pinned)
    if missing := missing_from(out, machine=machine, python=python):
        raise FileUnusable(f"wheelhouse: not complete: {'; '.join(missing)}")
    # Last: what has it is complete.
    (out / f"{REQUIREMENTS}.new").write_text(pinned, encoding="utf-8")
    (out / f"{REQUIREMENTS}.new").rename(out / REQUIREMENTS)
    return sorted(out.iterdir())


def missing_from(folder: Path, *, machine: str, python: str) -> list[str]:
    """Return what the wheels of a folder say they need on the terminal and is not there.

    Not pip's own look: it takes the conditions of requirements for this computer's Python, whichever it was asked about.

    Raises:
        FileUnusable: if a wheel cannot be read.
    """
    environment: dict[str, str] = {
        **{key: str(value) for key, value in default_environment().items()},
        **_environment(machine, python),
    }
    there: dict[str, Version] = {}
    needed: list[tuple[str, Requirement]] = []
    for path in sorted(folder.glob("*.whl")):
        try:
            name, version, _, _ = parse_wheel_filename(path.name)
            told = _metadata(path)
        except (InvalidWheelFilename, InvalidRequirement, zipfile.BadZipFile, ValueError, KeyError, OSError) as error:
            raise FileUnusable(f"{path.name}: cannot be read as a wheel: {error}") from error
        there[canonicalize_name(name)] = version
        extras = ("terminal", "provision") if name == "lifecert" else ("",)
        for line in told.get_all("Requires-Dist") or ():
            wanted = Requirement(line)
            if any(
                wanted.marker is None or wanted.marker.evaluate({**environment, "extra": extra}) for extra in extras
            ):
                needed.append((name, wanted))
    return sorted(
        {
            f"{name} needs {wanted.name}{wanted.specifier}"
            for name, wanted in needed
            if not (found := there.get(canonicalize_name(wanted.name))) or not wanted.specifier.contains(found)
        }
    )


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


def _own_wheel(wheel: Path | None, out: Path) -> Path:
    if wheel is None:
        checkout = installed_folder("systemd").parent
        if not (checkout / "pyproject.toml").exists():
            raise FileUnusable(
                "this tool was installed from a wheel: name that file with --wheel, for it goes on the card, too"
            )
        with tempfile.TemporaryDirectory(prefix="lifecert-wheel-") as scratch:
            # From a copy: a build leaves its traces beside the sources.
            source = Path(scratch, "source")
            source.mkdir()
            for name in _SOURCES:
                if (checkout / name).is_dir():
                    shutil.copytree(checkout / name, source / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
                else:
                    shutil.copy(checkout / name, source)
            _pip("wheel", "--no-deps", "--no-build-isolation", "-w", scratch, str(source))
            (wheel,) = Path(scratch).glob("lifecert-*.whl")
            return Path(shutil.copy(wheel, out))
    if not wheel.name.startswith("lifecert-") or wheel.suffix != ".whl":
        raise FileUnusable(f"{wheel.name}: not a wheel of this project")
    target = out / wheel.name
    return wheel if wheel.resolve() == target.resolve() else Path(shutil.copy(wheel, target))


def _pin(wheel: Path) -> str:
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"lifecert=={wheel.name.split('-')[1]} --hash=sha256:{digest}"


def _for_whom(machine: str, python: str) -> list[str]:
    if not re.fullmatch(r"(aarch64|x86_64)", machine):
        raise FileUnusable(f"machine {machine!r}: aarch64 (a Raspberry Pi) or x86_64 expected")
    if not (found := re.fullmatch(r"3\.(\d{1,2})", python)):
        raise FileUnusable(f"Python {python!r}: a version such as 3.13 expected")
    newest = _MOST_GLIBC if (3, int(found[1])) >= _OLDEST_WITH_NEWER else _MOST_GLIBC_OF_12
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, 16, -1)]
    platforms += [f"manylinux2014_{machine}", f"linux_{machine}"]
    tag = f"cp3{found[1]}"
    options = ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    options += [part for platform in platforms for part in ("--platform", platform)]
    return options + [part for abi in (tag, "abi3", "none") for part in ("--abi", abi)]


def _drop_others(out: Path, pinned: str) -> None:
    """Take away wheels of an earlier list: they would only fill the card."""
    wanted = {
        (canonicalize_name(name), version)
        for name, version in re.findall(r"(?m)^([A-Za-z0-9._-]+)==([^\s;\\]+)", pinned)
    }
    for path in out.glob("*.whl"):
        name, version = path.name.split("-")[:2]
        if (canonicalize_name(name), version) not in wanted:
            path.unlink()


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", arguments[0], "--disable-pip-version-check", "--quiet", *arguments[1:]]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
            env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise NotWritten("wheelhouse: not done within an hour; run it again, and it goes on") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[-1:]
        raise FileUnusable(f"wheelhouse: {' '.join(line.removeprefix('ERROR: ') for line in lines)[:600]}")
