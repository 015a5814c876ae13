"""What the kernel tells of the storage's life and of the battery-backed clock.

Tried without a board on folders that look like /sys; see `docs/verified.md`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_PERCENT_A_STEP: Final = 10
_PRE_EOL_NORMAL: Final = 1
_SYS: Final = Path("/sys")


@dataclass(frozen=True, slots=True)
class StorageLife:
    """What a storage says of itself; None for what it does not say."""

    worn_percent: int | None
    is_ending: bool | None


def storage_life(folder: Path, *, sys: Path = _SYS) -> StorageLife:
    """Return how worn the disk below a folder is; cards of the SD kind say nothing.

    Source: Linux Documentation/mmc/mmc-dev-attrs: `life_time` is an estimate of type A and type B memory in steps of a tenth,
    0x01 the first of them and 0x0b beyond the last; `pre_eol_info` is 0x01 while reserved blocks are in order.

    Args:
        folder: on the file system in question.
        sys: where the kernel shows its devices.

    Raises:
        OSError: if there is no such folder.
    """
    number = folder.stat().st_dev
    block = (sys / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}").resolve()
    for place in (block, *block.parents):
        device = place / "device"
        if (device / "life_time").is_file():
            return _life_of(device)
    return StorageLife(None, None)


def battery_clocks(*, sys: Path = _SYS) -> list[datetime | None]:
    """Return what each battery-backed clock says now; None for one that cannot be read."""
    return [_time_of(path) for path in sorted((sys / "class" / "rtc").glob("rtc*"))]


def _life_of(device: Path) -> StorageLife:
    steps = _hexadecimals(device / "life_time")
    # Zero is a type of memory that the storage has not.
    known = [step for step in steps if step]
    endings = _hexadecimals(device / "pre_eol_info")
    return StorageLife(
        max(known) * _PERCENT_A_STEP if known else None,
        endings[0] > _PRE_EOL_NORMAL if endings and endings[0] else None,
    )


def _hexadecimals(path: Path) -> list[int]:
    try:
        return [int(word, 16) for word in path.read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return []


def _time_of(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(int((path / "since_epoch").read_text(encoding="ascii")), UTC)
    except (OSError, ValueError, OverflowError):
        return None
