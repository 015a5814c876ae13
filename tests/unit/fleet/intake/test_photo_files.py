"""Archives and folders of photographs, as units pack them and as nobody should."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from fleet.errors import Refused
from fleet.intake import photo_files as module
from fleet.intake.photo_files import PhotoFile, photo_files
from fleet.intake.photo_judging import Reason

NAME = "张三+620123199901010000.jpg"


def read(source: Path) -> list[PhotoFile]:
    with photo_files(source) as files:
        return list(files)


def packed(folder: Path, *entries: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    path = folder / "photos.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return path


def renamed(path: Path, name: bytes, encoded: bytes) -> Path:
    """Put other bytes of the same length in the place of a name, as programs do that do not say their encoding."""
    path.write_bytes(path.read_bytes().replace(name, encoded))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_names_are_read_in_either_encoding_without_a_flag(tmp_path: Path, encoding: str) -> None:
    encoded = NAME.encode(encoding)
    path = renamed(packed(tmp_path, ("x" * len(encoded), b"1")), b"x" * len(encoded), encoded)
    assert [(file.number, file.name, file.content) for file in read(path)] == [(1, NAME, b"1")]


def test_names_with_the_flag_are_read(tmp_path: Path) -> None:
    assert read(packed(tmp_path, (f"第一批/{NAME}", b"1")))[0].name == NAME


def test_what_operating_systems_add_is_left_out(tmp_path: Path) -> None:
    path = packed(
        tmp_path, ("__MACOSX/._a.jpg", b""), (".DS_Store", b""), ("Thumbs.db", b""), ("a/", b""), (NAME, b"1")
    )
    assert [file.number for file in read(path)] == [1]


@pytest.mark.parametrize("name", [f"../{NAME}", f"/etc/{NAME}", f"a/../../{NAME}", f"C:/{NAME}", f"..\\{NAME}"])
def test_a_path_that_leads_outside_is_refused_and_not_read(tmp_path: Path, name: str) -> None:
    (found,) = read(packed(tmp_path, (name, b"1")))
    assert found.fault is not None
    assert (found.fault.reason, found.content) == (Reason.UNSAFE_NAME, b"")


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo(NAME)
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    fault = read(path)[0].fault
    assert fault is not None
    assert fault.reason is Reason.UNSAFE_NAME


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = packed(tmp_path, (NAME, bytes(8_000_000)), ("b.jpg", b"1"), compression=zipfile.ZIP_DEFLATED)
    first, second = read(path)
    assert first.fault is not None
    assert (first.fault.reason, first.content, second.content) == (Reason.TOO_PACKED, b"", b"1")


def test_a_size_that_is_a_lie_is_noticed(tmp_path: Path) -> None:
    path = packed(tmp_path, (NAME, bytes(500_000)), compression=zipfile.ZIP_DEFLATED)
    lie = struct.pack("<L", 1000)
    path.write_bytes(path.read_bytes().replace(struct.pack("<L", 500_000), lie))
    (found,) = read(path)
    assert found.fault is not None
    assert found.fault.reason is Reason.DAMAGED


def test_a_file_beyond_all_limits_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PICTURE_BYTES", 10)
    for source in (packed(tmp_path, (NAME, b"12345678901")), tmp_path / "folder"):
        if source.suffix != ".zip":
            source.mkdir()
            (source / "a.jpg").write_bytes(b"12345678901")
        fault = read(source)[0].fault
        assert fault is not None
        assert (fault.reason, fault.found) == (Reason.BYTES, "11")


def test_an_encrypted_entry_is_told(tmp_path: Path) -> None:
    path = packed(tmp_path, (NAME, b"1"))
    content = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.index(mark) + at
        content[place] |= 1
    path.write_bytes(content)
    fault = read(path)[0].fault
    assert fault is not None
    assert fault.reason is Reason.ENCRYPTED


def test_a_damaged_entry_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    path = packed(tmp_path, ("a.jpg", b"first picture"), ("b.jpg", b"second"))
    path.write_bytes(path.read_bytes().replace(b"first picture", b"FIRST picture"))
    first, second = read(path)
    assert first.fault is not None
    assert (first.fault.reason, second.content) == (Reason.DAMAGED, b"second")


@pytest.mark.parametrize("content", [b"", b"Rar!\x1a\x07\x00", b"PK\x05\x06", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "photos.zip"
    path.write_bytes(content)
    with pytest.raises(Refused, match="not a ZIP archive"):
        read(path)


def test_an_archive_of_more_files_than_are_taken_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path, *((f"{n}.jpg", b"") for n in range(4)))
    monkeypatch.setattr(module, "MAX_FILES", 3)
    with pytest.raises(Refused, match="4 files, at most 3"):
        read(path)
    monkeypatch.setattr(module, "MAX_DIRECTORY_BYTES", 100)
    with pytest.raises(Refused, match="more than 3 files"):
        read(path)


def test_a_folder_is_read_in_order_with_those_below_and_no_links(tmp_path: Path) -> None:
    (tmp_path / "in" / "below").mkdir(parents=True)
    (tmp_path / "in" / "b.jpg").write_bytes(b"b")
    (tmp_path / "in" / "below" / "c.jpg").write_bytes(b"c")
    (tmp_path / "secret").write_bytes(b"s")
    (tmp_path / "in" / "a.jpg").symlink_to(tmp_path / "secret")
    found = read(tmp_path / "in")
    assert [(file.number, file.name, file.content) for file in found] == [
        (1, "a.jpg", b""),
        (2, "b.jpg", b"b"),
        (3, "c.jpg", b"c"),
    ]
    assert found[0].fault is not None
    assert found[0].fault.reason is Reason.UNSAFE_NAME


def test_only_one_picture_is_held_at_a_time(tmp_path: Path) -> None:
    path = packed(tmp_path, ("a.jpg", b"a"), ("b.jpg", b"b"))
    with photo_files(path) as files:
        assert next(files).content == b"a"
        assert next(files).content == b"b"
        with pytest.raises(StopIteration):
            next(files)


def test_a_file_shows_nobody_in_its_repr() -> None:
    assert repr(PhotoFile(3, NAME, b"x")) == "PhotoFile(3)"
