"""The boot partition of an image file or a card, read and written with mtools: no mount, and for an image file no root."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Protocol

from provisioning.cards.partitions import boot_partitions
from provisioning.errors import FileUnusable, NotWritten, ToolMissing, WrongImage

_ENVIRONMENT: Final = {"MTOOLSRC": os.devnull, "MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C.UTF-8"}
_FREE: Final = re.compile(r"([\d ]+) bytes free")
_TIMEOUT_S: Final = 1800.0
"""For one copy: a slow card takes 200 MB in two minutes, and one that needs half an hour is broken."""


class Boot(Protocol):
    """A boot partition. Names are paths from its root, with slashes and without one before."""

    def names(self, folder: str = "") -> frozenset[str]:
        """Return the names in a folder, folders among them; none where there is no such folder."""

    def read(self, name: str) -> bytes | None:
        """Return a file; None where there is none."""

    def free(self) -> int:
        """Return how many bytes are free."""

    def make_folder(self, name: str) -> None:
        """Make a folder that is not there."""

    def write(self, folder: str, sources: Mapping[str, Path | bytes]) -> None:
        """Write files into a folder, over those of the same names."""

    def rename(self, old: str, new: str) -> None:
        """Give a file in the root another name, which none has."""

    def remove(self, name: str) -> None:
        """Remove a file or a folder with everything in it, where there is one."""

    def sync(self) -> None:
        """Return when everything is on the medium; reading comes from the medium after that."""


class MtoolsBoot:
    """The boot partition of an image or a block device.

    Args:
        target: image file or device.
        offset: where the partition begins, in bytes.
    """

    def __init__(self, target: Path, offset: int) -> None:
        self._target = target
        self._drive = f"{target.resolve()}@@{offset}"

    def names(self, folder: str = "") -> frozenset[str]:
        """As `Boot.names`."""
        done = self._run(["mdir", "-b", "-i", self._drive, f"::/{folder}"], may_fail=True)
        if done.returncode and b"not found" in done.stderr.lower():
            return frozenset()
        if done.returncode:
            raise NotWritten(_failed(self._target, "mdir", done))
        lines = done.stdout.decode(errors="replace").splitlines()
        return frozenset(line.rstrip("/").rpartition("/")[2] for line in lines if line.startswith("::"))

    def read(self, name: str) -> bytes | None:
        """As `Boot.read`."""
        folder, _, last = name.rpartition("/")
        if last not in self.names(folder):
            return None
        return self._run(["mcopy", "-n", "-i", self._drive, f"::/{name}", "-"]).stdout

    def free(self) -> int:
        """As `Boot.free`."""
        found = _FREE.search(self._run(["mdir", "-i", self._drive, "::/"]).stdout.decode(errors="replace"))
        return int(found[1].replace(" ", "")) if found else 0

    def make_folder(self, name: str) -> None:
        """As `Boot.make_folder`."""
        self._run(["mmd", "-i", self._drive, f"::/{name}"])

    def write(self, folder: str, sources: Mapping[str, Path | bytes]) -> None:
        """As `Boot.write`."""
        with TemporaryDirectory(prefix="lifecert-card-") as scratch:
            paths: list[str] = []
            for name, source in sources.items():
                # A link, because a file is called on the card what its link is called.
                path = Path(scratch, name)
                if isinstance(source, bytes):
                    path.touch(mode=0o600)
                    path.write_bytes(source)
                else:
                    path.symlink_to(source.resolve())
                paths.append(str(path))
            if paths:
                self._run(["mcopy", "-o", "-n", "-i", self._drive, *paths, f"::/{folder}"])

    def rename(self, old: str, new: str) -> None:
        """As `Boot.rename`."""
        self._run(["mren", "-i", self._drive, f"::/{old}", f"::/{new}"])

    def remove(self, name: str) -> None:
        """As `Boot.remove`."""
        folder, _, last = name.rpartition("/")
        if last in self.names(folder):
            self._run(["mdeltree", "-i", self._drive, f"::/{name}"])

    def sync(self) -> None:
        """As `Boot.sync`."""
        try:
            descriptor = os.open(self._target, os.O_RDWR)
        except OSError as error:
            raise NotWritten(f"{self._target}: {error.strerror}") from error
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise NotWritten(
                f"{self._target}: {error.strerror}; take another card if it happens again, and run this again"
            ) from error
        finally:
            os.close(descriptor)

    def _run(self, command: Sequence[str], *, may_fail: bool = False) -> subprocess.CompletedProcess[bytes]:
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **_ENVIRONMENT},
                timeout=_TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError as error:
            raise ToolMissing(
                f"{command[0]} is not installed; it is in the package mtools (Debian: apt install mtools)"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise NotWritten(f"{self._target}: no end of {command[0]}; is the card broken?") from error
        if done.returncode and not may_fail:
            raise NotWritten(_failed(self._target, command[0], done))
        return done


def _failed(target: Path, program: str, done: subprocess.CompletedProcess[bytes]) -> str:
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return f"{target}: {program}: {said[-1] if said else f'exit code {done.returncode}'}; run this again"


def open_boot(target: Path) -> MtoolsBoot:
    """Find the boot partition of an image or a device.

    Raises:
        FileUnusable: if it cannot be read.
        WrongImage: if it is nothing that a Raspberry Pi starts from.
    """
    try:
        with target.open("rb") as file:
            size = file.seek(0, os.SEEK_END)

            def read(offset: int, count: int) -> bytes:
                file.seek(offset)
                return file.read(count)

            partitions = boot_partitions(read, size)
    except OSError as error:
        raise FileUnusable(f"{target}: {error.strerror}") from error
    except WrongImage as error:
        raise WrongImage(f"{target}: {error}") from error
    boots = [MtoolsBoot(target, each.offset) for each in partitions]
    # With two systems on it the first one only says which of them starts (docs/image.md).
    return next((boot for boot in boots if "config.txt" in boot.names()), boots[0])


class FolderBoot:
    """A folder that is to be copied onto a boot partition by hand, after any tool has written the image.

    Args:
        folder: it is made where it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self, folder: str = "") -> frozenset[str]:
        """As `Boot.names`."""
        path = self._folder / folder
        return frozenset(each.name for each in path.iterdir()) if path.is_dir() else frozenset()

    def read(self, name: str) -> bytes | None:
        """As `Boot.read`."""
        path = self._folder / name
        return path.read_bytes() if path.is_file() else None

    def free(self) -> int:
        """As `Boot.free`."""
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

    def make_folder(self, name: str) -> None:
        """As `Boot.make_folder`."""
        (self._folder / name).mkdir(parents=True)

    def write(self, folder: str, sources: Mapping[str, Path | bytes]) -> None:
        """As `Boot.write`; a file that lies on the same disk is linked, not copied."""
        for name, source in sources.items():
            path = self._folder / folder / name
            path.unlink(missing_ok=True)
            if isinstance(source, Path):
                _link_or_copy(source, path)
            else:
                # A claim is in here.
                path.touch(mode=0o600)
                path.write_bytes(source)

    def rename(self, old: str, new: str) -> None:
        """As `Boot.rename`."""
        (self._folder / old).rename(self._folder / new)

    def remove(self, name: str) -> None:
        """As `Boot.remove`."""
        path = self._folder / name
        if path.is_dir():
            for each in sorted(path.iterdir()):
                self.remove(f"{name}/{each.name}")
            path.rmdir()
        else:
            path.unlink(missing_ok=True)

    def sync(self) -> None:
        """As `Boot.sync`."""
        os.sync()


def _link_or_copy(source: Path, path: Path) -> None:
    try:
        path.hardlink_to(source.resolve())
    except OSError:
        path.write_bytes(source.read_bytes())
