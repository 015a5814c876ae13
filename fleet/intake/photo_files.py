"""Gives the photograph files of a ZIP archive or a folder one at a time, from memory, whatever the archive says about itself."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from fleet.errors import Refused
from fleet.intake.photo_judging import Fault, Reason
from protocol.photo_files import MAX_PICTURE_BYTES

MAX_FILES = 50_000
"""Of one archive or folder: the retired of a large unit many times over; more are handed in in parts."""
MAX_DIRECTORY_BYTES = 64 * 1024 * 1024
"""Of an archive's directory, which is held in memory: more than 1 KiB for each of so many files."""
MAX_RATIO = 20
"""Unpacked to packed bytes of one file; a JPEG is packed already and hardly gets smaller."""
_ALWAYS_TAKEN = 1024 * 1024
"""Below so many bytes a ratio harms nobody."""
_END = struct.Struct("<4s4H2LH")
"""The archive's last record. Source: PKWARE APPNOTE 4.3.16: number of entries, then bytes of the directory."""
_END_REACH = _END.size + 65535
_UNSAID = 0xFFFF
"""What stands there if the number is in another record, that of archives with more entries. Source: APPNOTE 4.4.21."""
_UTF8 = 0x800
_ENCRYPTED = 0x1
_NOT_MEANT = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """One file: its place, its name without folders, and its content or why there is none."""

    number: int
    """From 1, in the order of the archive, or of the names in a folder."""
    name: str
    content: bytes
    fault: Fault | None = None

    def __repr__(self) -> str:
        return f"PhotoFile({self.number})"


@contextmanager
def photo_files(source: Path) -> Iterator[Iterator[PhotoFile]]:
    """Give all files of an archive or a folder; what operating systems add by themselves is left out.

    Raises:
        Refused: if it is neither, or holds more than is taken.
    """
    if source.is_dir():
        yield _of_folder(source)
        return
    try:
        with source.open("rb") as opened, archive_files(opened, source) as found:
            yield found
    except OSError as error:
        raise Refused(f"{source}: cannot be read: {error.strerror}") from error


@contextmanager
def archive_files(opened: BinaryIO, source: object = "archive") -> Iterator[Iterator[PhotoFile]]:
    """Give all files of an open archive.

    Args:
        opened: the archive; stays open.
        source: what messages call it.

    Raises:
        Refused: if it is no archive, or holds more than is taken.
    """
    try:
        _demand_small_directory(source, opened.seek(0, 2), opened)
        with zipfile.ZipFile(opened) as archive:
            yield _of_archive(source, archive)
    except zipfile.BadZipFile as error:
        raise Refused(
            f"{source}: not a ZIP archive, or damaged; pack the photographs as .zip, or name a folder",
            code="archive_damaged",
        ) from error


def is_archive(start: bytes) -> bool:
    """Return whether a file that begins so is a ZIP archive. Source: PKWARE APPNOTE 4.3.7, 4.3.16 (an empty one)."""
    return start.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def single_file(number: int, name: str, size: int, content: BinaryIO) -> PhotoFile | None:
    """Return a photograph that came by itself; None for what operating systems add to folders.

    Args:
        number: its place, from 1.
        name: as whoever sent it calls it; folders before it are left out.
        size: in bytes.
        content: read only if it is not too large.
    """
    own = PurePosixPath(name.replace("\\", "/")).name
    if not _is_meant(own):
        return None
    fault = _too_large(size)
    return PhotoFile(number, own, content.read() if fault is None else b"", fault)


def too_many(source: object, count: int) -> Refused:
    """Return the error for more files than are taken at once."""
    return Refused(
        f"{source}: {count} files, at most {MAX_FILES} are taken; divide it", code="too_many_files", most=MAX_FILES
    )


def _of_folder(folder: Path) -> Iterator[PhotoFile]:
    found = sorted(path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    meant = [path for path in found if _is_meant(path.relative_to(folder).as_posix())]
    if len(meant) > MAX_FILES:
        raise too_many(folder, len(meant))
    for number, path in enumerate(meant, 1):
        if path.is_symlink() or not path.is_file():
            yield PhotoFile(number, path.name, b"", Fault(Reason.UNSAFE_NAME))
            continue
        try:
            size = path.stat().st_size
            fault = _too_large(size)
            yield PhotoFile(number, path.name, path.read_bytes() if fault is None else b"", fault)
        except OSError:
            yield PhotoFile(number, path.name, b"", Fault(Reason.DAMAGED))


def _of_archive(source: object, archive: zipfile.ZipFile) -> Iterator[PhotoFile]:
    named = [(entry, _name_of(entry)) for entry in archive.infolist() if not entry.is_dir()]
    meant = [(entry, name) for entry, name in named if _is_meant(name)]
    if len(meant) > MAX_FILES:
        raise too_many(source, len(meant))
    for number, (entry, name) in enumerate(meant, 1):
        own = PurePosixPath(name).name
        fault = _entry_fault(entry, name)
        if fault is None:
            try:
                yield PhotoFile(number, own, archive.read(entry))
                continue
            except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError):
                fault = Fault(Reason.DAMAGED)
        yield PhotoFile(number, own, b"", fault)


def _entry_fault(entry: zipfile.ZipInfo, name: str) -> Fault | None:
    path = PurePosixPath(name)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or kind not in {0, stat.S_IFREG}:
        return Fault(Reason.UNSAFE_NAME)
    if entry.flag_bits & _ENCRYPTED:
        return Fault(Reason.ENCRYPTED)
    if entry.file_size > _ALWAYS_TAKEN and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
        return Fault(Reason.TOO_PACKED)
    return _too_large(entry.file_size)


def _too_large(size: int) -> Fault | None:
    """Return the fault of a file that is not even read."""
    return Fault(Reason.BYTES, str(size), str(MAX_PICTURE_BYTES)) if size > MAX_PICTURE_BYTES else None


def _name_of(entry: zipfile.ZipInfo) -> str:
    """Return an entry's name as whoever packed it wrote it: UTF-8 where it says so or reads so, else GB18030, as Windows in Chinese packs.

    Source: PKWARE APPNOTE appendix D: without the flag names are in code page 437, as which `zipfile` reads them.
    """
    if not entry.flag_bits & _UTF8:
        raw = entry.orig_filename.encode("cp437", errors="replace")
        for encoding in ("utf-8", "gb18030"):
            try:
                return raw.decode(encoding).replace("\\", "/")
            except UnicodeDecodeError:
                continue
    return entry.orig_filename.replace("\\", "/")


def _is_meant(name: str) -> bool:
    parts = PurePosixPath(name).parts
    own = parts[-1] if parts else ""
    is_hidden = own.startswith(".") and own != ".."
    return "__MACOSX" not in parts and not is_hidden and own.lower() not in _NOT_MEANT


def _demand_small_directory(source: object, size: int, opened: BinaryIO) -> None:
    opened.seek(max(0, size - _END_REACH))
    tail = opened.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise zipfile.BadZipFile
    _, _, _, _, entries, directory_bytes, _, _ = _END.unpack_from(tail, at)
    opened.seek(0)
    if entries == _UNSAID or directory_bytes > MAX_DIRECTORY_BYTES:
        raise Refused(f"{source}: more than {MAX_FILES} files; divide it", code="too_many_files", most=MAX_FILES)
