"""Makes the folder of wheels from which a terminal installs its programs without a network: pinned, checked by hash, and complete."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from provisioning.errors import FileUnusable
from provisioning.installed_files import installed_folder
from provisioning.wheels import REQUIREMENTS, for_whom, missing_from, run_pip

_LISTED: Final = "card.txt"
_SOURCES: Final = (
    *("pyproject.toml", "README.md", "LICENSE", "NOTICE", "systemd", "requirements"),
    *("device", "fleet", "protocol", "provisioning", "models", "demo"),
)
"""What this project's wheel is made from."""


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
    run_pip(
        "wheelhouse",
        "download",
        *source,
        *for_whom(machine, python),
        "--no-deps",
        "--require-hashes",
        "-r",
        str(listed),
        "-d",
        str(out),
    )
    _drop_others(out, pinned)
    if missing := missing_from(out, machine=machine, python=python):
        raise FileUnusable(f"wheelhouse: not complete: {'; '.join(missing)}")
    # Last: what has it is complete.
    (out / f"{REQUIREMENTS}.new").write_text(pinned, encoding="utf-8")
    (out / f"{REQUIREMENTS}.new").rename(out / REQUIREMENTS)
    return sorted(out.iterdir())


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
            run_pip("wheelhouse", "wheel", "--no-deps", "--no-build-isolation", "-w", scratch, str(source))
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
