"""Packages are taken only with the SHA-256 that the build names, and only once."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from models.errors import SourceRefused, SourceUnavailable
from models.tools.fetch import extract, fetch_package
from models.tools.sources import ALL_SOURCES, PACKAGES, Package, SourceFile

CONTENT = b"weights"


class FakeRegistry:
    """A registry client that writes one archive, or another file than asked for."""

    def __init__(self, content: bytes, *, name: str = "thing-1-py3-none-any.whl") -> None:
        self.content, self.name, self.calls = content, name, 0

    def __call__(self, command: Sequence[str]) -> None:
        self.calls += 1
        (Path(command[command.index("--dest") + 1]) / self.name).write_bytes(self.content)


@pytest.fixture
def wheel(tmp_path: Path) -> bytes:
    path = tmp_path / "made.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inside/net.tflite", CONTENT)
    return path.read_bytes()


def package_of(content: bytes) -> Package:
    return Package("PyPI", "thing", "1", "thing-1-py3-none-any.whl", hashlib.sha256(content).hexdigest())


def test_right_package_is_kept_and_not_fetched_again(tmp_path: Path, wheel: bytes) -> None:
    registry = FakeRegistry(wheel)
    for _ in range(2):
        assert fetch_package(package_of(wheel), tmp_path / "packages", registry).read_bytes() == wheel
    assert registry.calls == 1


def test_package_with_another_digest_is_refused_and_not_kept(tmp_path: Path, wheel: bytes) -> None:
    with pytest.raises(SourceRefused, match="thing==1: SHA-256 is"):
        fetch_package(package_of(wheel), tmp_path / "packages", FakeRegistry(wheel + b"x"))
    assert list((tmp_path / "packages").iterdir()) == []


def test_damaged_package_is_fetched_anew(tmp_path: Path, wheel: bytes) -> None:
    package = package_of(wheel)
    place = tmp_path / package.archive
    place.write_bytes(wheel[:10])
    assert fetch_package(package, tmp_path, FakeRegistry(wheel)).read_bytes() == wheel


def test_file_of_another_name_is_named(tmp_path: Path, wheel: bytes) -> None:
    with pytest.raises(SourceUnavailable, match=r"other\.whl"):
        fetch_package(package_of(wheel), tmp_path, FakeRegistry(wheel, name="other.whl"))


def test_file_inside_with_another_digest_is_refused(tmp_path: Path, wheel: bytes) -> None:
    archive = tmp_path / "thing-1-py3-none-any.whl"
    archive.write_bytes(wheel)
    right = SourceFile(package_of(wheel), "inside/net.tflite", hashlib.sha256(CONTENT).hexdigest())
    assert extract(right, archive, tmp_path / "sources").read_bytes() == CONTENT
    with pytest.raises(SourceRefused, match=r"inside/net\.tflite"):
        extract(SourceFile(right.package, right.path, "0" * 64), archive, tmp_path / "others")
    assert list((tmp_path / "others").iterdir()) == []


def test_every_source_has_its_package_and_a_name_of_its_own() -> None:
    assert {source.package for source in ALL_SOURCES} == set(PACKAGES)
    assert len({source.name for source in ALL_SOURCES}) == len(ALL_SOURCES)
