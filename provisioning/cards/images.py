"""Copies images: to a card, with everything read back, and to files, sharing their blocks where the file system can."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import lzma
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from provisioning.errors import FileUnusable, NotWritten

_CHUNK: Final = 4 * 1024 * 1024
_FICLONE: Final = 0x40049409
"""Source: ioctl_ficlone(2)."""
Progress = Callable[[int, int], None]
"""How many bytes of how many."""


def unpack(packed: Path, out: Path, *, progress: Progress) -> None:
    """Unpack an image (.xz) into a new file.

    Raises:
        FileUnusable: if it cannot be read, or the new file is there already.
    """
    scratch = out.with_name(f"{out.name}.new")
    size = packed.stat().st_size
    try:
        if out.exists():
            raise FileUnusable(f"{out}: exists already; name another file, or move it away")
        with packed.open("rb") as raw, lzma.open(raw) as source, scratch.open("wb") as target:
            while piece := source.read(_CHUNK):
                # Of nothing but zeros nothing is stored.
                if piece.count(0) == len(piece):
                    target.seek(len(piece), os.SEEK_CUR)
                else:
                    target.write(piece)
                progress(raw.tell(), size)
            target.truncate()
            os.fsync(target.fileno())
        scratch.rename(out)
    except (OSError, lzma.LZMAError, EOFError) as error:
        scratch.unlink(missing_ok=True)
        raise FileUnusable(f"{packed.name}: cannot be unpacked: {error}; get it again") from error


def copy_image(source: Path, target: Path) -> bool:
    """Copy an image file: by reference where the file system can, else only what is stored of it; return whether by reference.

    Raises:
        FileUnusable: if it cannot be copied.
    """
    try:
        # A claim comes into it.
        target.touch(mode=0o600)
        with source.open("rb") as reading, target.open("wb") as writing:
            try:
                fcntl.ioctl(writing.fileno(), _FICLONE, reading.fileno())
            except OSError:
                _copy_stored(reading, writing)
                return False
    except OSError as error:
        raise FileUnusable(f"{error.filename or target}: {error.strerror}") from error
    return True


def _copy_stored(reading: BinaryIO, writing: BinaryIO) -> None:
    size = os.fstat(reading.fileno()).st_size
    os.ftruncate(writing.fileno(), size)
    for start, end in _stored(reading.fileno(), size):
        reading.seek(start)
        writing.seek(start)
        at = start
        while at < end:
            sent = os.copy_file_range(reading.fileno(), writing.fileno(), end - at, at, at)
            if not sent:
                raise OSError(errno.EIO, "ended early")
            at += sent


def _stored(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    at = 0
    while at < size:
        try:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        at = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, at


def write_image(image: Path, device: Path, *, progress: Progress) -> None:
    """Write an image to a card and read all of it back.

    What stands first on it, the table of its partitions, is written last: a card that was cut off is none.

    Raises:
        NotWritten: if it was cut off, or something else is read back.
        FileUnusable: if the image cannot be read.
    """
    size = image.stat().st_size
    try:
        with image.open("rb") as source, device.open("r+b", buffering=0) as target:
            first = source.read(_CHUNK)
            target.write(bytes(len(first)))
            os.fsync(target.fileno())
            wanted = hashlib.sha256()
            target.seek(len(first))
            at = len(first)
            while piece := source.read(_CHUNK):
                wanted.update(piece)
                _write_all(target, piece)
                at += len(piece)
                progress(at, 2 * size)
            os.fsync(target.fileno())
            target.seek(0)
            _write_all(target, first)
            os.fsync(target.fileno())
            os.posix_fadvise(target.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            _read_back(target, first, wanted.digest(), size, progress)
    except OSError as error:
        raise NotWritten(f"{device}: {error.strerror}; run this again, or take another card") from error


def _write_all(target: BinaryIO, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[target.write(view) :]


def _read_back(target: BinaryIO, first: bytes, wanted: bytes, size: int, progress: Progress) -> None:
    target.seek(0)
    found = hashlib.sha256()
    at = 0
    is_first_same = _read_some(target, len(first)) == first
    at = len(first)
    while at < size and (piece := _read_some(target, min(_CHUNK, size - at))):
        found.update(piece)
        at += len(piece)
        progress(size + at, 2 * size)
    if not is_first_same or found.digest() != wanted:
        raise NotWritten(
            "what was read back is not the image; the card is broken or smaller than it says, take another one"
        )


def _read_some(target: BinaryIO, count: int) -> bytes:
    pieces = []
    while count and (piece := target.read(count)):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def make_room(folder: Path, needed: int) -> None:
    """Say whether so many bytes fit.

    Raises:
        FileUnusable: if not.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise FileUnusable(
            f"{folder}: {free // 2**20} MiB are free, {needed // 2**20} MiB are needed; without --image folders are made, which are small"
        )
