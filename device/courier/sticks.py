"""Which sticks are plugged in and mounted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")
_DEEPEST = 2
"""`/media/<label>`, or `/media/<user>/<label>` where a desktop mounts."""


@dataclass(frozen=True, slots=True)
class Stick:
    """A mounted stick."""

    path: Path
    is_read_only: bool


def mounted_sticks(mount_root: Path, *, mounts: Path = _MOUNTS) -> list[Stick]:
    """Return what is mounted under a folder, sorted by path; empty when nothing is, or when mounts cannot be read.

    Args:
        mount_root: the folder, see `device.settings.Courier`.
        mounts: the kernel's list. Source: proc_pid_mountinfo(5): fields 5 and 6 are mount point and options, space and the like
            are written as three octal digits after a backslash.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    found: dict[Path, Stick] = {}
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 6:
            continue
        path = Path(_ESCAPED.sub(lambda code: chr(int(code[1], 8)), fields[4]))
        if mount_root in path.parents and len(path.relative_to(mount_root).parts) <= _DEEPEST:
            # A later mount hides an earlier one at the same place.
            found[path] = Stick(path, "ro" in fields[5].split(","))
    return [found[path] for path in sorted(found)]
