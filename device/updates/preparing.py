"""What a slot needs beyond the files of its bundle: of the programs an environment to run in, made without any network."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from device.errors import DeviceError

ENVIRONMENT: Final = "venv"
PROGRAM: Final = "lifecert-terminal"
_TIMEOUT_S = 1200.0
"""For a slow card: an environment and some twenty wheels."""
_MOST_SAID = 2000


class NotInstallable(DeviceError):
    """Wheels that cannot be installed here; another try would end the same way."""


def make_environment(root: Path, wheels: Mapping[str, str]) -> None:
    """Make the environment of a slot from the wheels in it.

    Nothing is fetched, and nothing is worked out: exactly these files are installed, each looked at once more by its digest.

    Args:
        root: the slot.
        wheels: SHA-256 of each wheel, by its name below the slot.

    Raises:
        NotInstallable: if they do not make an environment with the terminal's program in it.
        OSError: if something cannot be written or started.
    """
    pips = sorted(name for name in wheels if Path(name).name.startswith("pip-"))
    if not pips:
        raise NotInstallable("bundle: no pip among its wheels, which installs them")
    environment = root / ENVIRONMENT
    system = ["--system-site-packages"] if _has_systems_packages() else []
    # As the first start does: not every system has what makes a pip, so the bundle's own runs as it lies there.
    _run([_interpreter(), "-I", "-m", "venv", "--without-pip", *system, str(environment)])
    # Inside, for the files beside it are as they were signed.
    wanted = environment / "requirements.txt"
    wanted.write_text("".join(f"{root / name} --hash=sha256:{digest}\n" for name, digest in sorted(wheels.items())))
    pip = [str(environment / "bin" / "python"), "-I", str(root / pips[-1] / "pip"), "--disable-pip-version-check"]
    # Of the system's packages those count that no wheel brings.
    alone = ["--isolated", "--no-input", "--no-index", "--no-deps", "--ignore-installed", "--require-hashes"]
    _run([*pip, "install", *alone, "--no-cache-dir", "-r", str(wanted)])
    if not (environment / "bin" / PROGRAM).is_file():
        raise NotInstallable(f"bundle: no {PROGRAM} comes of its wheels")


def program_of(root: Path) -> Path:
    """Return the interpreter of a slot."""
    return root / ENVIRONMENT / "bin" / "python"


def _interpreter() -> str:
    """Return the interpreter that this environment was made by; a bundle names its version, which was checked."""
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    return str(base) if base.exists() else sys.executable


def _has_systems_packages() -> bool:
    """Say whether the environment this runs in sees the operating system's packages: the camera's library is one of them."""
    try:
        lines = (Path(sys.prefix) / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(line.replace(" ", "").lower() == "include-system-site-packages=true" for line in lines)


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstallable(f"bundle: {Path(command[0]).name} took more than {_TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        raise NotInstallable(f"bundle: its programs cannot be installed: {done.stderr[-_MOST_SAID:].strip()}")
