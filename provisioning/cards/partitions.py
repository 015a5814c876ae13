"""Where the boot partition of an image or a card begins, read from its partition table and from the first sector of its file system.

Pure: whoever calls says how bytes are read. Whatever stands there, the answer lies within the image or is a `WrongImage`.

Source: UEFI Specification 2.10, sections 5.2 (MBR) and 5.3 (GPT); Microsoft, "FAT: General Overview of On-Disk Format" 1.03, section "Boot
Sector and BPB".
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from provisioning.errors import WrongImage

Read = Callable[[int, int], bytes]
"""From which byte, how many; fewer come at the end."""

_SECTOR: Final = 512
_SIGNATURE: Final = b"\x55\xaa"
_MBR_ENTRY: Final = struct.Struct("<B3sB3sII")
_PROTECTIVE: Final = 0xEE
_FAT_TYPES: Final = frozenset((0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E, 0xEF))
_GPT_HEADER: Final = struct.Struct("<8sIII4xQQQQ16sQIII")
_GPT_FAT_TYPES: Final = frozenset(
    (UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"), UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"))
)
"""EFI system and basic data: one of these is a FAT partition of a table in the newer form."""
_MOST_GPT_ENTRIES: Final = 1024


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition, in bytes."""

    number: int
    """From 1, as the table counts."""
    offset: int
    size: int


def boot_partitions(read: Read, size: int) -> list[Partition]:
    """Return the partitions with a FAT file system, one at least.

    Args:
        read: gives bytes of the image.
        size: of the image, in bytes.

    Raises:
        WrongImage: if there is no table, no such partition, or one does not lie within the image.
    """
    found = list(_fat_partitions(read, size))
    if not found:
        raise WrongImage("no FAT partition in its table: not an image or card of Raspberry Pi OS")
    for each in found:
        _look_at(each, read, size)
    return found


def _look_at(found: Partition, read: Read, size: int) -> None:
    if found.offset + found.size > size:
        raise WrongImage(
            f"partition {found.number} ends at {found.offset + found.size} bytes, and there are {size}: cut short; get the image again"
        )
    _look_at_file_system(read(found.offset, _SECTOR), found)


def _fat_partitions(read: Read, size: int) -> Iterator[Partition]:
    first = read(0, _SECTOR)
    if len(first) < _SECTOR or size < 2 * _SECTOR or first[510:512] != _SIGNATURE:
        raise WrongImage("no partition table: not an image or card of Raspberry Pi OS (is it still packed?)")
    entries = [_MBR_ENTRY.unpack_from(first, 446 + 16 * at) for at in range(4)]
    if any(kind == _PROTECTIVE for _, _, kind, *_ in entries):
        yield from _gpt_fat_partitions(read, size)
        return
    for number, (_, _, kind, _, start, count) in enumerate(entries, 1):
        if kind in _FAT_TYPES and start and count:
            yield Partition(number, start * _SECTOR, count * _SECTOR)


def _gpt_fat_partitions(read: Read, size: int) -> Iterator[Partition]:
    sector = read(_SECTOR, _SECTOR)
    damaged = WrongImage("its partition table (GPT) is damaged; write the image to it again")
    if len(sector) < _GPT_HEADER.size:
        raise damaged
    signature, _, length, checksum, _, _, first, last, _, table, count, entry_size, table_sum = _GPT_HEADER.unpack_from(
        sector
    )
    if signature != b"EFI PART" or not _GPT_HEADER.size <= length <= _SECTOR:
        raise damaged
    if zlib.crc32(sector[:16] + bytes(4) + sector[20:length]) != checksum:
        raise damaged
    if not 1 <= count <= _MOST_GPT_ENTRIES or entry_size not in (128, 256, 512) or table * _SECTOR >= size:
        raise damaged
    entries = read(table * _SECTOR, count * entry_size)
    if len(entries) < count * entry_size or zlib.crc32(entries) != table_sum:
        raise damaged
    for at in range(count):
        kind, _, start, end = struct.unpack_from("<16s16sQQ", entries, at * entry_size)
        if UUID(bytes_le=kind) in _GPT_FAT_TYPES and first <= start <= end <= last:
            yield Partition(at + 1, start * _SECTOR, (end - start + 1) * _SECTOR)


def _look_at_file_system(sector: bytes, partition: Partition) -> None:
    wrong = WrongImage(f"partition {partition.number} has no FAT file system: not an image or card of Raspberry Pi OS")
    if len(sector) < _SECTOR or sector[510:512] != _SIGNATURE:
        raise wrong
    bytes_each, cluster, reserved, fats, _, small = struct.unpack_from("<HBHBHH", sector, 11)
    (large,) = struct.unpack_from("<I", sector, 32)
    sectors = small or large
    if bytes_each not in (512, 1024, 2048, 4096) or not cluster or cluster & (cluster - 1) or not reserved:
        raise wrong
    if fats not in (1, 2) or not 0 < sectors * bytes_each <= partition.size:
        raise wrong
