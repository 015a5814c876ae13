"""Makes bundles and looks at them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from protocol.bundle import (
    Bundle,
    BundleFile,
    BundleKind,
    BundleManifest,
    Needs,
    check_files,
    read_bundle,
    write_bundle,
)
from protocol.errors import ProtocolError
from protocol.keys import PrivateKey, PublicJwk
from provisioning.errors import AlreadyThere, FileUnusable


@dataclass(frozen=True, slots=True)
class Wish:
    """What a bundle is to say, besides its files."""

    kind: BundleKind
    number: int
    floor: int
    label: str
    machine: str
    python: str | None
    needs: tuple[tuple[BundleKind, int], ...]
    valid: timedelta


def make_bundle(
    out: Path, folder: Path, files: Sequence[Path], wish: Wish, *, key: PrivateKey, now: datetime
) -> Bundle:
    """Write a bundle; its file appears whole or not at all, and replaces none.

    Args:
        out: where.
        folder: from which the files' names begin.
        files: what goes in, checked.
        wish: what it says.
        key: the release key.
        now: in UTC.

    Raises:
        AlreadyThere: if there is a file.
        FileUnusable: if something cannot be read, written or said.
    """
    if out.exists():
        raise AlreadyThere(f"{out}: exists already; a bundle is never written over another file")
    fresh = out.with_name(f".{out.name}.new")
    try:
        manifest = _manifest(folder, files, wish, now=now)
        with fresh.open("wb") as target:
            made = write_bundle(target, manifest, _opened(files), key=key)
            target.flush()
            os.fsync(target.fileno())
        # A link fails where a file exists; a rename would replace it.
        os.link(fresh, out)
    except FileExistsError as error:
        raise AlreadyThere(f"{out}: exists already; a bundle is never written over another file") from error
    except OSError as error:
        raise FileUnusable(f"{error.filename or out}: {error.strerror}") from error
    except ProtocolError as error:
        raise FileUnusable(f"{folder.name}: changed while it was read: {error}") from error
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
    return made


def look_at(path: Path, *, key_of: Callable[[str], PublicJwk | None]) -> Bundle:
    """Return a bundle, all of it checked.

    Raises:
        FileUnusable: if it cannot be read, or is not what somebody signed who may.
    """
    try:
        with path.open("rb") as source:
            bundle = read_bundle(source, key_of=key_of)
            check_files(source, bundle)
    except OSError as error:
        raise FileUnusable(f"{path}: {error.strerror}") from error
    except ProtocolError as error:
        raise FileUnusable(f"{path.name}: {error}") from error
    return bundle


def needs_in(written: Sequence[str]) -> tuple[tuple[BundleKind, int], ...]:
    """Return what must run before, as it is typed: `app:12`.

    Raises:
        FileUnusable: if one cannot be read.
    """
    found = []
    for each in written:
        parts = re.fullmatch(rf"({'|'.join(BundleKind)}):([1-9]\d{{0,8}})", each)
        if parts is None:
            raise FileUnusable(f"--needs {each}: KIND:NUMBER expected, such as app:12")
        found.append((BundleKind(parts[1]), int(parts[2])))
    return tuple(found)


def _manifest(folder: Path, files: Sequence[Path], wish: Wish, *, now: datetime) -> BundleManifest:
    try:
        return BundleManifest(
            kind=wish.kind,
            label=wish.label,
            number=wish.number,
            floor=wish.floor,
            machine=wish.machine,
            python=wish.python,
            needs=tuple(Needs(kind=kind, number=number) for kind, number in wish.needs),
            made_at=now,
            expires_at=now + wish.valid,
            files=tuple(_described(folder, each) for each in files),
        )
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(map(str, found["loc"]))
        raise FileUnusable(
            f"bundle: {f'{where}: ' if where else ''}{found['msg'].removeprefix('Value error, ')}"
        ) from error


def _described(folder: Path, path: Path) -> BundleFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    return BundleFile(name=path.relative_to(folder).as_posix(), size=size, sha256=digest)


def _opened(files: Sequence[Path]) -> Iterator[BinaryIO]:
    for path in files:
        with path.open("rb") as source:
            yield source
