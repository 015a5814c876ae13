"""Where the files are that are no Python of this package but belong to it: units and lists of what is installed."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import Final

from provisioning.errors import FileUnusable

_CHECKOUT: Final = Path(__file__).resolve().parents[1]


def installed_folder(name: str) -> Path:
    """Return `systemd` or `requirements`: of the checkout this runs from, else as the wheel installed it.

    Raises:
        FileUnusable: if it is in neither place.
    """
    places = (_CHECKOUT, Path(sysconfig.get_path("data"), "share", "lifecert"))
    for place in places:
        if (place / name).is_dir() and (place / "pyproject.toml").exists() is (place == _CHECKOUT):
            return place / name
    raise FileUnusable(f"{name}: not where this program was installed; install it again from its wheel")
