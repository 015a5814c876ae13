"""Debian packages for a terminal's first start, which asks nobody for others: read before they are on a card."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from provisioning.errors import FileUnusable

CAMERA: Final = "python3-picamera2"
"""The camera's library, with all it needs."""
_FITS: Final = frozenset(("arm64", "all"))
_MOST_NAMED: Final = 10
_AR: Final = b"!<arch>\n"
_HEADER_BYTES: Final = 60
_MOST_CONTROL: Final = 4 * 1024 * 1024
_OF_WHEEL: Final = re.compile(r"-cp3(\d+)-cp3\d+-")
_PYTHON: Final = re.compile(r"\bpython3 \((<<|>=) 3\.(\d+)")


@dataclass(frozen=True, slots=True)
class Package:
    """What a package says of itself."""

    path: Path
    name: str
    architecture: str
    depends: str = ""

    def is_for(self, minor: int) -> bool:
        """Say whether it goes with Python 3.`minor`: those that are compiled for another one are of another release of the system."""
        said = [(how, int(number)) for how, number in _PYTHON.findall(self.depends)]
        return all(minor < number if how == "<<" else minor >= number for how, number in said)


def packages_in(folder: Path) -> list[Package]:
    """Return the packages in a folder.

    Raises:
        FileUnusable: if there is none, or one is no package.
    """
    return [_read(path) for path in all_of(folder, "*.deb")]


def all_of(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a kind in a folder.

    Raises:
        FileUnusable: if there is none.
    """
    found = sorted(folder.glob(pattern)) if folder.is_dir() else []
    if not found:
        raise FileUnusable(f"{folder}: no {pattern} in it" if folder.is_dir() else f"{folder}: there is no such folder")
    return found


def refuse_foreign(packages: Sequence[Package], wheels: Iterable[str]) -> None:
    """Say which packages a terminal cannot install.

    Args:
        packages: all that go onto the card.
        wheels: names of the wheels that go there too; they say which Python the terminal has.

    Raises:
        FileUnusable: if there are any.
    """
    pythons = {int(found[1]) for name in wheels if (found := _OF_WHEEL.search(name))}
    minor = pythons.pop() if len(pythons) == 1 else None
    machine = [f"{each.path.name} ({each.architecture})" for each in packages if each.architecture not in _FITS]
    release = [each.path.name for each in packages if minor is not None and not each.is_for(minor)]
    wrong = [
        *([f"neither arm64 nor all, so of another machine: {_some(machine)}"] if machine else []),
        *(
            [f"not for Python 3.{minor} as the wheelhouse is, so of another release: {_some(release)}"]
            if release
            else []
        ),
    ]
    if wrong:
        raise FileUnusable(f"--packages: {'; '.join(wrong)}. Fetch them as docs/image.md says")


def _some(names: Sequence[str]) -> str:
    more = [f"and {len(names) - _MOST_NAMED} more"] if len(names) > _MOST_NAMED else []
    return ", ".join([*names[:_MOST_NAMED], *more])


def _read(path: Path) -> Package:
    """Read a package's control file. Source: deb(5), deb-control(5)."""
    try:
        with path.open("rb") as file:
            text = _control(file)
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t].*)*)", text, re.MULTILINE))
        depends = f"{fields.get('Pre-Depends', '')}, {fields.get('Depends', '')}"
        return Package(path, fields["Package"].strip(), fields["Architecture"].strip(), depends)
    except (OSError, EOFError, ValueError, KeyError, tarfile.TarError) as error:
        raise FileUnusable(
            f"{path.name}: not a package of Debian that can be read ({error}); fetch it again as docs/image.md says"
        ) from error


def _control(file: BinaryIO) -> str:
    if file.read(len(_AR)) != _AR:
        raise ValueError("it begins otherwise")
    while len(header := file.read(_HEADER_BYTES)) == _HEADER_BYTES:
        name, size = header[:16].decode("ascii").strip().rstrip("/"), int(header[48:58])
        if name.startswith("control.tar"):
            if size > _MOST_CONTROL:
                break
            return _unpacked(file.read(size))
        file.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError("no control file in it")


def _unpacked(packed: bytes) -> str:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            if member.name.removeprefix("./") == "control" and member.size <= _MOST_CONTROL:
                found = archive.extractfile(member)
                return found.read().decode("utf-8") if found is not None else ""
    raise ValueError("no control file in it")
