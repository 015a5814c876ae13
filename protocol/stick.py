"""Files of a courier stick: written so that it can be pulled out at any moment, read without trusting anything on it.

A file gets its name only once it is whole: written under another name, synchronised, renamed, folder synchronised. Folders are held open
from the stick's root downwards and no link is ever followed, so that nothing on a stick, and no stick that goes away under a mount point,
can lead to another place. Everything that goes wrong with the stick itself is a `StickFailed`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

_UNFINISHED = "unfinished.tmp"
"""One name for all files that are being written: what an interruption left is written over, never piled up."""
_PIECE_BYTES = 1024 * 1024
_SPARE_BYTES = 256 * 1024
"""Kept free for folders and the table of the file system."""
_PIECE_BYTES = 256 * 1024
_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF})
"""What drivers say that cannot synchronise a folder (fsync(2), `EINVAL`)."""


class StickFault(StrEnum):
    """Why a stick cannot be worked on."""

    ABSENT = "absent"
    """Nothing is plugged in or mounted there."""
    REMOVED = "removed"
    """It went away, or stopped answering, in the middle."""
    FULL = "full"
    READ_ONLY = "read_only"
    FOREIGN = "foreign"
    """It belongs to another fleet."""
    BUSY = "busy"
    """Another program of ours works on it."""
    UNUSABLE = "unusable"


class StickFailed(Exception):
    """A stick that cannot be worked on now; the message says what to do next."""

    def __init__(self, fault: StickFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


_FAULTS = {
    errno.ENOSPC: StickFault.FULL,
    errno.EDQUOT: StickFault.FULL,
    errno.EROFS: StickFault.READ_ONLY,
    errno.EACCES: StickFault.READ_ONLY,
    errno.EPERM: StickFault.READ_ONLY,
    errno.ENOENT: StickFault.REMOVED,
    errno.ENODEV: StickFault.REMOVED,
    errno.ENXIO: StickFault.REMOVED,
    errno.EIO: StickFault.REMOVED,
    errno.ESTALE: StickFault.REMOVED,
    errno.ENOTCONN: StickFault.REMOVED,
    errno.ESHUTDOWN: StickFault.REMOVED,
}
_WHAT_TO_DO = {
    StickFault.REMOVED: "it was removed or does not answer; nothing is lost: plug it in and start again",
    StickFault.FULL: "no room is left on it; nothing is lost: delete other files or take another stick, and start again",
    StickFault.READ_ONLY: "it cannot be written to; move its switch, or mount it so that this program may write, and start again",
}


class Disk:
    """The calls to the operating system that change a stick, each one of them a moment at which it can be pulled out."""

    def make_folder(self, name: str, folder: int) -> None:
        """Make a folder in an open folder."""
        os.mkdir(name, dir_fd=folder)

    def create(self, name: str, folder: int) -> int:
        """Make a file that is not there yet and open it for writing."""
        return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)

    def write(self, file: int, data: bytes) -> int:
        """Write some of the bytes and return how many."""
        return os.write(file, data)

    def sync(self, file: int) -> None:
        """Wait until a file or folder is on the medium."""
        os.fsync(file)

    def replace(self, source: str, target: str, folder: int) -> None:
        """Give a file its name, in place of what had it."""
        os.replace(source, target, src_dir_fd=folder, dst_dir_fd=folder)

    def remove(self, name: str, folder: int) -> None:
        """Remove a file."""
        os.unlink(name, dir_fd=folder)

    def read(self, name: str, folder: int, limit: int) -> bytes | None:
        """Read a file whole; None if it is larger than `limit` bytes or no regular file."""
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
                return None
            with os.fdopen(file, "rb", closefd=False) as opened:
                return opened.read(limit)
        finally:
            os.close(file)


class Folder:
    """An open folder on a stick; close it after use, an open one keeps the stick from being unmounted."""

    def __init__(self, descriptor: int, shown: str, disk: Disk) -> None:
        self._descriptor = descriptor
        self._shown = shown
        self._disk = disk
        self._failed_before = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it; may be called twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def folder(self, name: str) -> Folder | None:
        """Return a folder in this one, None if there is none of this name."""
        with self._translated():
            try:
                return self._open(name)
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                if error.errno == errno.ELOOP:
                    return None
                raise

    def make_folder(self, name: str) -> Folder:
        """Return a folder in this one, made if there is none of this name."""
        with self._translated():
            with suppress(FileExistsError):
                self._disk.make_folder(name, self._descriptor)
                self._sync_folder()
            return self._open(name)

    def names(self) -> list[str]:
        """Return the names of everything in this folder, sorted."""
        with self._translated():
            return sorted(os.listdir(self._descriptor))  # noqa: PTH208 - of an open folder, whatever its path leads to by now

    def read(self, name: str, limit: int) -> bytes | None:
        """Return a file whole; None if it cannot be read although the stick is there, is too large, or is no regular file."""
        with self._translated():
            try:
                data = self._disk.read(name, self._descriptor, limit)
            except OSError as error:
                if error.errno == errno.ELOOP:
                    return None
                # One spot of a stick can be bad; where a second read fails at once, the stick is gone.
                if error.errno == errno.EIO and not self._failed_before:
                    self._failed_before = True
                    return None
                raise
            self._failed_before = False
            return data

    @contextmanager
    def stream(self, name: str, limit: int) -> Iterator[Iterator[bytes] | None]:
        """Give a large file in pieces, read while they are asked for; None if it is not there, too large, or no regular file.

        Raises:
            StickFailed: here, or by a piece.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with self._translated():
            try:
                file = os.open(name, flags, dir_fd=self._descriptor)
            except FileNotFoundError:
                file = -1
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
                file = -1
        if file < 0:
            yield None
            return
        try:
            found = os.fstat(file)
            yield self._pieces(file, limit) if stat.S_ISREG(found.st_mode) and found.st_size <= limit else None
        finally:
            os.close(file)

    def _pieces(self, file: int, limit: int) -> Iterator[bytes]:
        left = limit
        while left:
            with self._translated():
                piece = os.read(file, min(left, _PIECE_BYTES))
            if not piece:
                return
            left -= len(piece)
            yield piece

    def write(self, name: str, data: bytes) -> None:
        """Put a file in place: after a cut at any moment either the whole file has the name, or what had it before."""
        self._put(name, (data,))

    def write_from(self, name: str, source: BinaryIO) -> None:
        """Put a file in place as `write` does, of all that a source has left, without holding it in memory."""
        self._put(name, iter(lambda: source.read(_PIECE_BYTES), b""))

    def _put(self, name: str, pieces: Iterable[bytes]) -> None:
        with self._translated():
            with suppress(FileNotFoundError):
                self._disk.remove(_UNFINISHED, self._descriptor)
            file = self._disk.create(_UNFINISHED, self._descriptor)
            try:
                try:
                    for data in pieces:
                        done = 0
                        while done < len(data):
                            done += self._disk.write(file, data[done:])
                    self._disk.sync(file)
                finally:
                    os.close(file)
                self._disk.replace(_UNFINISHED, name, self._descriptor)
            except OSError:
                # A full stick is no fuller than before.
                with suppress(OSError):
                    self._disk.remove(_UNFINISHED, self._descriptor)
                raise
            self._sync_folder()

    def remove(self, names: Sequence[str]) -> None:
        """Remove files; those that are not there are left alone."""
        with self._translated():
            for name in names:
                with suppress(FileNotFoundError):
                    self._disk.remove(name, self._descriptor)
            if names:
                self._sync_folder()

    def need(self, file_bytes: Sequence[int]) -> None:
        """Make sure that files of these sizes have room.

        Raises:
            StickFailed: full, with how much there is and how much is needed.
        """
        with self._translated():
            found = os.statvfs(self._descriptor)
        block = max(found.f_frsize, 1)
        needed = sum(-(-size // block) * block for size in file_bytes) + _SPARE_BYTES
        free = found.f_bavail * found.f_frsize
        if free < needed:
            raise StickFailed(
                StickFault.FULL,
                f"stick {self._shown}: {needed // 1024:,} KiB are needed and {free // 1024:,} KiB are free; nothing is lost: "
                "delete other files or take another stick, and start again",
            )

    def _open(self, name: str) -> Folder:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        return Folder(os.open(name, flags, dir_fd=self._descriptor), self._shown, self._disk)

    def _sync_folder(self) -> None:
        try:
            self._disk.sync(self._descriptor)
        except OSError as error:
            if error.errno not in _NO_FOLDER_SYNC:
                raise
            os.sync()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _failure(self._shown, error) from error


@contextmanager
def open_stick(path: Path, *, mount_root: Path | None = None, disk: Disk | None = None) -> Iterator[Folder]:
    """Give the root folder of a stick, locked against other programs of ours on this computer.

    Args:
        path: where it is mounted; a folder that is no mount point serves as well.
        mount_root: folder under which sticks are mounted: a path in it counts only while something is mounted there, because without
            a stick the mount point is a folder of the computer's own disk.
        disk: how files are changed.

    Raises:
        StickFailed: if there is none, or another program works on it.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _absent(path) from error
    except OSError as error:
        raise _failure(str(path), error) from error
    with Folder(descriptor, str(path), disk or Disk()) as root:
        if mount_root is not None and _is_unmounted(path, descriptor, mount_root):
            raise _absent(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StickFailed(
                StickFault.BUSY, f"stick {path}: another program works on it; wait until it has ended, and start again"
            ) from error
        except OSError as error:
            raise _failure(str(path), error) from error
        yield root


def _is_unmounted(path: Path, descriptor: int, mount_root: Path) -> bool:
    try:
        if mount_root.resolve() not in path.resolve().parents:
            return False
        return os.fstat(descriptor).st_dev == mount_root.stat().st_dev
    except OSError:
        return False


def _absent(path: Path) -> StickFailed:
    return StickFailed(
        StickFault.ABSENT, f"stick {path}: none is mounted there; plug it in, wait a few seconds, and start again"
    )


def _failure(shown: str, error: OSError) -> StickFailed:
    fault = _FAULTS.get(error.errno or 0, StickFault.UNUSABLE)
    what = _WHAT_TO_DO.get(fault, f"{error.strerror}; take another stick")
    return StickFailed(fault, f"stick {shown}: {what}")
