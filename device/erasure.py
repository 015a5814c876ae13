"""Shows that nothing is left of what was erased: in the raw bytes of a database's files, not in what SQLite says of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_PIECE = 8
"""Bytes that are looked for at a time; one piece stands in some 10 MB by chance with a probability under 1e-12."""
_LEAST_DISTINCT = 4
"""A piece with fewer different bytes (zeros, padding) says nothing about where it came from."""
_SIDE_FILES = ("", "-wal", "-shm", "-journal")
"""SQLite's files beside a database. Source: sqlite.org/tempfiles.html."""
_BLOCK = 1024 * 1024
_TO_OVERWRITE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
"""For reading and writing, since truncating would give the old blocks back untouched; never what a link leads to."""


@dataclass(frozen=True, slots=True)
class ErasureProof:
    """What was looked for and what was found; it holds nothing of the content."""

    looked_for: int
    """Pieces of content: rows as they were stored, and what they said in the open."""
    looked_for_bytes: int
    digest: str
    """SHA-256 over the sorted SHA-256 digests of those pieces: whoever has the content can tell that it was looked for, nobody else."""
    files: tuple[str, ...]
    """Names of the files that were searched."""
    searched_bytes: int
    found: int
    """Places of 8 bytes where something of it still stands; 0 is what is wanted."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return self.found == 0


def files_of(database: Path) -> tuple[Path, ...]:
    """Return the files that SQLite has for a database, as far as they are there."""
    candidates = (database.with_name(database.name + side) for side in _SIDE_FILES)
    return tuple(path for path in candidates if path.exists())


def erase_proof(database: Path, content: Sequence[bytes]) -> ErasureProof:
    """Search a database's files for any trace of what was erased.

    Every run of 15 bytes or more of the content, wherever it lies (tables, indices, freed pages, slack of pages, write-ahead log), is
    found, because it holds one aligned piece of 8 bytes whole.

    Args:
        database: the database file; its log files are searched with it.
        content: what was erased: rows as they were stored, and what they said in the open.

    Raises:
        OSError: if a file cannot be read.
    """
    wanted = _pieces(content)
    files = files_of(database)
    found = searched = 0
    for path in files:
        data = path.read_bytes()
        searched += len(data)
        found += _count(data, wanted)
    digests = sorted(hashlib.sha256(piece).digest() for piece in content)
    return ErasureProof(
        looked_for=len(content),
        looked_for_bytes=sum(map(len, content)),
        digest=hashlib.sha256(b"".join(digests)).hexdigest(),
        files=tuple(path.name for path in files),
        searched_bytes=searched,
        found=found,
    )


def overwrite(path: Path, *, folder: int | None = None) -> None:
    """Write zeros over a whole file, on the disk. On flash the old blocks may live on inside the card, which is why keys go first.

    Args:
        path: the file; of a link nothing is written.
        folder: an open folder that a relative path counts from.

    Raises:
        OSError: if it cannot be written, or is a link.
    """
    with os.fdopen(os.open(path, _TO_OVERWRITE, dir_fd=folder), "r+b") as file:
        left = file.seek(0, os.SEEK_END)
        file.seek(0)
        while left:
            left -= file.write(bytes(min(left, _BLOCK)))
        file.flush()
        os.fsync(file.fileno())


def _pieces(content: Iterable[bytes]) -> NDArray[np.uint64]:
    whole = [
        np.frombuffer(text[: len(text) // _PIECE * _PIECE], dtype=np.uint8).reshape(-1, _PIECE) for text in content
    ]
    if not whole:
        return np.zeros(0, np.uint64)
    rows = np.concatenate(whole)
    ordered = np.sort(rows, axis=1)
    distinct = 1 + (np.diff(ordered, axis=1) != 0).sum(axis=1)
    pieces: NDArray[np.uint64] = np.unique(np.ascontiguousarray(rows[distinct >= _LEAST_DISTINCT]).view(np.uint64))
    return pieces


def _count(data: bytes, wanted: NDArray[np.uint64]) -> int:
    total = 0
    for offset in range(_PIECE):
        length = (len(data) - offset) // _PIECE * _PIECE
        if length > 0:
            view = np.frombuffer(data, dtype=np.uint64, count=length // _PIECE, offset=offset)
            total += int(np.isin(view, wanted).sum())
    return total
