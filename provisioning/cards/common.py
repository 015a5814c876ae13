"""What all cards of a fleet have in common: programs, packages, release keys, the hardware, and the script of the first start."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Final

from protocol.errors import ProtocolError
from protocol.release_keys import public_keys, write_release_keys
from provisioning.cards.contents import FOLDER
from provisioning.cards.packages import all_of, packages_in, refuse_foreign
from provisioning.errors import FileUnusable
from provisioning.installed_files import installed_folder
from provisioning.joining import read_text
from provisioning.wheels import OURS, PIP, REQUIREMENTS
from provisioning.words import NAME

_UNIT: Final = "lifecert-first-boot.service"


def common_files(
    *, wheelhouse: Path | None, packages: Path | None, release_keys: Path | None, hardware: Path | None
) -> dict[str, Path | bytes]:
    """Return the files by their names from the root of the boot partition.

    Args:
        wheelhouse: folder that `lifecert-provision wheelhouse` made; None where the image has the programs.
        packages: folder of Debian packages, which are installed without asking anybody for more.
        release_keys: who may sign updates: {"keys": [...]}, RFC 7517.
        hardware: lines for config.txt; None for those that are shipped.

    Raises:
        FileUnusable: if something is missing or is not what it should be.
    """
    shipped = files("provisioning") / "first_boot"
    found: dict[str, Path | bytes] = {
        "first-boot": (shipped / "first-boot").read_bytes(),
        NAME: (shipped / NAME).read_bytes(),
        _UNIT: (installed_folder("systemd") / _UNIT).read_bytes(),
        "hardware.txt": (shipped / "hardware.txt").read_bytes() if hardware is None else read_text(hardware).encode(),
    }
    if release_keys is not None:
        found["release-keys.json"] = _public_keys(release_keys)
    if wheelhouse is not None:
        wheels = all_of(wheelhouse, "*.whl")
        names = {path.name.partition("-")[0] for path in wheels}
        missing = sorted({OURS, PIP} - names)
        if missing or not (wheelhouse / REQUIREMENTS).is_file():
            what = ", ".join([*missing, *([] if (wheelhouse / REQUIREMENTS).is_file() else [REQUIREMENTS])])
            raise FileUnusable(
                f"{wheelhouse}: not a wheelhouse, {what} is missing; make one with `lifecert-provision wheelhouse`"
            )
        found |= {f"wheelhouse/{path.name}": path for path in (*wheels, wheelhouse / REQUIREMENTS)}
    if packages is not None:
        debs = packages_in(packages)
        refuse_foreign(debs, [name for name in found if name.endswith(".whl")])
        found |= {f"packages/{each.path.name}": each.path for each in debs}
    return {f"{FOLDER}/{name}": source for name, source in found.items()}


def _public_keys(path: Path) -> bytes:
    text = read_text(path)
    try:
        keys = public_keys(text.encode())
    except ProtocolError as error:
        raise FileUnusable(f"{path}: {error}") from error
    if any("d" in each for each in json.loads(text)["keys"]):
        raise FileUnusable(f"{path}: holds a private key, which must never be on a card; give the public ones")
    return write_release_keys(keys)
