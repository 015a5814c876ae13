"""Photographs that wait to be looked at after whoever sent them was answered: sealed under a key that is nowhere but in memory.

What stands in the file, which has no name, opens for nobody once the program has ended.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import BinaryIO

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fleet.errors import Refused
from fleet.intake.photo_files import MAX_FILES, PhotoFile, archive_files, is_archive, single_file, too_many

MAX_SPOOL_BYTES = 1024 * 1024 * 1024
"""Of all pictures of a run, unpacked: as much as one form may bring, because a JPEG hardly gets smaller when it is packed."""
_KEY_BITS = 256
_NONCE_BYTES = 12
_START = 4


class PhotoSpool:
    """Photographs in their order; written once, read once, closed by whoever reads it."""

    def __init__(self) -> None:
        self._file: BinaryIO = TemporaryFile()  # noqa: SIM115 - closed by whoever reads it
        # Its nonces are the files' numbers: of one key no number is used twice.
        self._cipher = AESGCM(AESGCM.generate_key(_KEY_BITS))
        self._found: list[tuple[PhotoFile, int]] = []
        """Each without its content, and how many sealed bytes that has."""
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._found)

    def add(self, file: PhotoFile) -> None:
        """Keep one more; its number follows from how many there are.

        Raises:
            Refused: if it is one too many, or all together are too large.
        """
        number = len(self._found) + 1
        if number > MAX_FILES:
            raise too_many("photographs", number)
        self._bytes += len(file.content)
        if self._bytes > MAX_SPOOL_BYTES:
            most = MAX_SPOOL_BYTES // 1024 // 1024
            raise Refused(f"photographs: more than {most} MiB; divide them", code="too_much", most=most)
        sealed = self._cipher.encrypt(_nonce(number), file.content, None) if file.content else b""
        self._file.write(sealed)
        self._found.append((PhotoFile(number, file.name, b"", file.fault), len(sealed)))

    def __iter__(self) -> Iterator[PhotoFile]:
        self._file.seek(0)
        for file, size in self._found:
            sealed = self._file.read(size)
            content = self._cipher.decrypt(_nonce(file.number), sealed, None) if sealed else b""
            yield PhotoFile(file.number, file.name, content, file.fault)

    def close(self) -> None:
        """Give the room back; can be called twice."""
        self._file.close()


def spool_of(sent: Iterable[tuple[str, BinaryIO]]) -> PhotoSpool:
    """Keep what was sent: photographs by themselves, and ZIP archives of them.

    Args:
        sent: each file's name, and the file.

    Raises:
        Refused: if an archive is damaged, there is nothing in what was sent, or too much.
    """
    spool = PhotoSpool()
    with ExitStack() as cleaning:
        cleaning.callback(spool.close)
        for name, opened in sent:
            _keep(spool, name, opened)
        if not len(spool):
            raise Refused("photographs: none among what was sent", code="no_photographs")
        cleaning.pop_all()
    return spool


def _keep(spool: PhotoSpool, name: str, opened: BinaryIO) -> None:
    start = opened.read(_START)
    size = opened.seek(0, os.SEEK_END)
    opened.seek(0)
    if is_archive(start) or name.lower().endswith(".zip"):
        with archive_files(opened) as found:
            for file in found:
                spool.add(file)
        return
    single = single_file(len(spool) + 1, name, size, opened)
    if single is not None:
        spool.add(single)


def _nonce(number: int) -> bytes:
    return number.to_bytes(_NONCE_BYTES, "big")
