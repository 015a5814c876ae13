"""What an update does to the disk, one operation at a time, each of which happens whole or not at all once it was made sure of.

Only the standard library: it is copied beside `slots`, which see.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


class Disk:
    """The disk. What was written is there for certain after `sync_file`, a name after `sync_folder` of its folder, all after `sync`."""

    def make_folder(self, path: Path) -> None:
        """Make a folder whose parent is there.

        Raises:
            OSError: if it cannot be made, or is there.
        """
        path.mkdir(mode=0o755)

    def write(self, path: Path, chunks: Iterable[bytes], *, mode: int = 0o644) -> None:
        """Write a file that is not there, with just this mode: root counts starts under a service's mask, and the services read that.

        Raises:
            OSError: if it cannot be written, or is there.
        """
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            os.fchmod(descriptor, mode)
            for chunk in chunks:
                self._write_all(file.fileno(), chunk)

    def sync_file(self, path: Path) -> None:
        """Make sure of a file's bytes."""
        _sync(path, os.O_RDONLY)

    def sync_folder(self, path: Path) -> None:
        """Make sure of the names in a folder."""
        _sync(path, os.O_RDONLY | os.O_DIRECTORY)

    def sync(self) -> None:
        """Make sure of everything."""
        os.sync()

    def link(self, target: str, path: Path) -> None:
        """Make a symbolic link."""
        path.symlink_to(target)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file or link another name, in the place of what has that name."""
        source.rename(target)

    def remove(self, path: Path) -> None:
        """Remove a file or link."""
        path.unlink()

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""
        path.rmdir()

    @staticmethod
    def _write_all(descriptor: int, chunk: bytes) -> None:
        view = memoryview(chunk)
        while view:
            view = view[os.write(descriptor, view) :]


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
