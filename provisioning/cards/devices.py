"""Looks at a block device before anything is written to it: what it is, how large, whether anybody uses it. Linux only."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provisioning.errors import DeviceRefused, FileUnusable

SMALLEST_BYTES: Final = 7_400_000_000
"""What is sold as 8 GB: the system, and two slots of everything beside the data (docs/image.md)."""
_SECTOR: Final = 512
"""The unit of `size` in /sys, whatever the device's own. Source: Linux, Documentation/ABI/stable/sysfs-block."""


@dataclass(frozen=True, slots=True)
class Device:
    """A whole disk or card."""

    name: str
    model: str
    size: int
    """In bytes."""
    is_card: bool
    """Whether it can be taken out: an SD card, or a reader or stick at USB."""
    is_read_only: bool
    partitions: tuple[str, ...]
    uses: tuple[str, ...]
    """Who uses it now, in words."""

    def __str__(self) -> str:
        """As people see it before they say yes."""
        parts = f"{len(self.partitions)} partitions" if self.partitions else "no partitions"
        return f"/dev/{self.name}, {self.model or 'no name'}, {self.size / 1e9:.1f} GB, {parts}"


def device_of(path: Path, *, system: Path = Path("/")) -> Device | None:
    """Return the device that a path names; None where it names a file, a folder or nothing.

    Args:
        path: such as /dev/sdb.
        system: where /sys and /proc are.

    Raises:
        DeviceRefused: if it is a device that nothing can be written to as a card: a partition, or something else.
        FileUnusable: if it cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileUnusable(f"{path}: {error.strerror}") from error
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    if not stat.S_ISBLK(mode):
        raise DeviceRefused(f"{path}: neither an image file nor a card")
    if not sys.platform.startswith("linux"):
        raise DeviceRefused(
            f"{path}: cards are written on Linux; elsewhere make an image file and write that with Raspberry Pi Imager"
        )
    return look_at(path.resolve().name, system=system)


def look_at(name: str, *, system: Path = Path("/")) -> Device:
    """Return what the kernel knows of a disk.

    Args:
        name: as in /sys/class/block.
        system: where /sys and /proc are.

    Raises:
        DeviceRefused: if it is a part of a disk.
        FileUnusable: if nothing is known of it.
    """
    folder = system / "sys/class/block" / name
    if (folder / "partition").exists():
        raise DeviceRefused(f"/dev/{name}: a partition; name the whole card, such as /dev/sdb or /dev/mmcblk0")
    try:
        size = int((folder / "size").read_text()) * _SECTOR
        partitions = tuple(sorted(path.parent.name for path in folder.glob(f"{name}*/partition")))
        uses = _uses((name, *partitions), system)
    except (OSError, ValueError) as error:
        raise FileUnusable(f"/dev/{name}: cannot be looked at in /sys: {error}") from error
    words = [_text(folder / "device" / key) for key in ("vendor", "model", "name")]
    return Device(
        name,
        " ".join(word for word in words if word),
        size,
        _text(folder / "removable") == "1" or _text(folder / "device/type") == "SD" or "/usb" in str(folder.resolve()),
        _text(folder / "ro") == "1",
        partitions,
        uses,
    )


def refuse_unfit(device: Device, *, force: str | None, needed: int) -> None:
    """Refuse what must not be overwritten.

    Args:
        device: what would be.
        force: what somebody typed who wants a disk that cannot be taken out.
        needed: bytes that must fit.

    Raises:
        DeviceRefused: with the reason.
    """
    if device.uses:
        raise DeviceRefused(f"{device}: in use: {'; '.join(device.uses)}. Unmount it first, if it really is the card.")
    if device.is_read_only:
        raise DeviceRefused(f"{device}: write-protected; look at the card's slide")
    if device.size == 0:
        raise DeviceRefused(f"{device}: no card in it")
    if not device.is_card and force != device.name:
        raise DeviceRefused(
            f"{device}: a disk that cannot be taken out. If it really is the one, add --force-device {device.name}"
        )
    if device.size < max(needed, SMALLEST_BYTES):
        least = max(needed, SMALLEST_BYTES) / 1e9
        raise DeviceRefused(f"{device}: too small, {least:.1f} GB at least; take another card")


def _uses(names: tuple[str, ...], system: Path) -> tuple[str, ...]:
    """Return who uses a disk or its parts: mounts, swap, and what was built on top, to any depth."""
    mounts = _mounts(system)
    swaps = {Path(line.split()[0]).name for line in _lines(system / "proc/swaps")[1:]}
    found: list[str] = []
    for name in names:
        folder = system / "sys/class/block" / name
        found += [f"{name} is mounted at {place}" for place in mounts.get(_text(folder / "dev"), ())]
        if name in swaps:
            found.append(f"{name} is swap space")
        holders = sorted(path.name for path in (folder / "holders").glob("*"))
        for holder in holders:
            called = _text(system / "sys/class/block" / holder / "dm/name") or holder
            found.append(f"{name} is part of {called}")
        found += _uses(tuple(holders), system) if holders else ()
    return tuple(found)


def _mounts(system: Path) -> dict[str, list[str]]:
    """Return mount points by `major:minor`. Source: proc(5), /proc/pid/mountinfo."""
    found: dict[str, list[str]] = {}
    for line in _lines(system / "proc/self/mountinfo"):
        fields = line.split()
        found.setdefault(fields[2], []).append(fields[4].replace("\\040", " "))
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="surrogateescape").splitlines()


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


@contextmanager
def held_alone(path: Path) -> Iterator[None]:
    """Keep everybody else away from a device, above all a desktop that would mount what has just been written.

    Source: open(2), `O_EXCL` on a block device: who holds a whole disk so keeps its partitions from being mounted.

    Raises:
        DeviceRefused: if somebody uses it now, whatever was looked up before, or it may not be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_EXCL)
    except OSError as error:
        raise DeviceRefused(
            f"{path}: {error.strerror}; cards are written as root, and by one program at a time"
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)
