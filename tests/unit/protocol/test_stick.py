from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from protocol.stick import Disk, StickFailed, StickFault, open_stick


class FailingDisk(Disk):
    """Fails the call with this number, counted over every change, with an error of the operating system."""

    def __init__(self, at: int, code: int, *, for_good: bool = True) -> None:
        self.calls = 0
        self._at = at
        self._code = code
        self._for_good = for_good

    def _count(self) -> None:
        self.calls += 1
        if self.calls == self._at or (self._for_good and self.calls > self._at):
            raise OSError(self._code, os.strerror(self._code))

    def make_folder(self, name: str, folder: int) -> None:
        self._count()
        super().make_folder(name, folder)

    def create(self, name: str, folder: int) -> int:
        self._count()
        return super().create(name, folder)

    def write(self, file: int, data: bytes) -> int:
        self._count()
        return super().write(file, data[: max(1, len(data) // 2)])

    def sync(self, file: int) -> None:
        self._count()
        super().sync(file)

    def replace(self, source: str, target: str, folder: int) -> None:
        self._count()
        super().replace(source, target, folder)

    def remove(self, name: str, folder: int) -> None:
        self._count()
        super().remove(name, folder)

    def read(self, name: str, folder: int, limit: int) -> bytes | None:
        self._count()
        return super().read(name, folder, limit)


NEVER = 10**9


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_whole_and_read_back(tmp_path: Path) -> None:
    with open_stick(tmp_path) as root, root.make_folder("a") as folder:
        folder.write("x", b"1" * 10_000)
        assert folder.read("x", 10_000) == b"1" * 10_000
        folder.write("x", b"2")
        assert folder.read("x", 10) == b"2"
        assert folder.names() == ["x"]
    assert (tmp_path / "a" / "x").read_bytes() == b"2"


def test_after_a_cut_at_any_call_the_file_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    counted = FailingDisk(NEVER, errno.EIO)
    with open_stick(tmp_path, disk=counted) as root:
        root.write("x", b"old" * 100)
        before = counted.calls
        root.write("x", b"new" * 100)
    calls = counted.calls - before
    assert calls > 10
    for at in range(1, calls + 1):
        (tmp_path / "x").write_bytes(b"old" * 100)
        with open_stick(tmp_path, disk=FailingDisk(at, errno.EIO)) as root, pytest.raises(StickFailed) as failed:
            root.write("x", b"new" * 100)
        assert failed.value.fault is StickFault.REMOVED
        assert (tmp_path / "x").read_bytes() in (b"old" * 100, b"new" * 100)
        with open_stick(tmp_path) as root:
            root.write("x", b"new" * 100)
        assert names_in(tmp_path) == ["x"]


@pytest.mark.parametrize(
    ("code", "fault", "said"),
    [
        (errno.ENOSPC, StickFault.FULL, "no room is left"),
        (errno.EDQUOT, StickFault.FULL, "no room is left"),
        (errno.EROFS, StickFault.READ_ONLY, "cannot be written to"),
        (errno.EACCES, StickFault.READ_ONLY, "cannot be written to"),
        (errno.EIO, StickFault.REMOVED, "plug it in and start again"),
        (errno.ENODEV, StickFault.REMOVED, "plug it in and start again"),
        (errno.ENAMETOOLONG, StickFault.UNUSABLE, "take another stick"),
    ],
)
@pytest.mark.parametrize("at", range(1, 7))
def test_each_failure_of_a_stick_is_one_clear_message(
    tmp_path: Path, code: int, fault: StickFault, said: str, at: int
) -> None:
    with (
        open_stick(tmp_path, disk=FailingDisk(at, code)) as root,
        pytest.raises(StickFailed, match=said) as failed,
    ):
        root.write("x", b"12345678")
    assert failed.value.fault is fault
    assert str(tmp_path) in str(failed.value)
    assert not (tmp_path / "x").exists()


def test_a_full_stick_keeps_no_half_file(tmp_path: Path) -> None:
    with open_stick(tmp_path, disk=FailingDisk(4, errno.ENOSPC, for_good=False)) as root, pytest.raises(StickFailed):
        root.write("x", b"12345678")
    assert names_in(tmp_path) == []


def test_a_folder_that_vanishes_is_a_removed_stick(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    with open_stick(stick) as root, root.make_folder("a") as folder:
        shutil.rmtree(stick)
        for work in (lambda: folder.write("x", b"1"), lambda: root.make_folder("b"), lambda: folder.read("x", 9)):
            with pytest.raises(StickFailed) as failed:
                work()
            assert failed.value.fault is StickFault.REMOVED
    assert not stick.exists()


def test_one_bad_spot_is_a_bad_file_and_two_in_a_row_a_removed_stick(tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / name).write_bytes(b"1")
    with open_stick(tmp_path, disk=FailingDisk(2, errno.EIO, for_good=False)) as root:
        assert [root.read(name, 9) for name in "abc"] == [b"1", None, b"1"]
    with open_stick(tmp_path, disk=FailingDisk(2, errno.EIO)) as root:
        assert [root.read(name, 9) for name in "ab"] == [b"1", None]
        with pytest.raises(StickFailed) as failed:
            root.read("c", 9)
    assert failed.value.fault is StickFault.REMOVED


def test_what_is_too_large_a_link_a_pipe_or_a_folder_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"1")
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "large").write_bytes(b"1" * 11)
    (stick / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(stick / "pipe")
    (stick / "folder").mkdir()
    with open_stick(stick) as root:
        assert [root.read(name, 10) for name in ("large", "link", "pipe", "folder")] == [None] * 4


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "a").symlink_to(tmp_path / "elsewhere")
    (stick / "file").write_bytes(b"")
    with open_stick(stick) as root:
        assert root.folder("a") is None
        assert root.folder("file") is None
        assert root.folder("none") is None
        with pytest.raises(StickFailed):
            root.make_folder("a")
        # A planted link under the name of a file that is being written leads nowhere either.
        (stick / "unfinished.tmp").symlink_to(tmp_path / "elsewhere" / "x")
        root.write("y", b"1")
    assert names_in(tmp_path / "elsewhere") == []


def test_removing_what_is_not_there_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    with open_stick(tmp_path) as root:
        root.remove(["a", "b"])
        root.remove([])
    assert names_in(tmp_path) == []


def test_too_little_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with open_stick(tmp_path) as root:
        root.need([1000] * 10)
        with pytest.raises(StickFailed, match=r"KiB are needed and .* KiB are free") as failed:
            root.need([1 << 60])
    assert failed.value.fault is StickFault.FULL


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.write_bytes(b"")])
def test_no_folder_is_no_stick(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "x")
    with pytest.raises(StickFailed, match="plug it in") as failed, open_stick(tmp_path / "x"):
        pass
    assert failed.value.fault is StickFault.ABSENT


def test_an_empty_mount_point_is_no_stick(tmp_path: Path) -> None:
    (tmp_path / "media" / "usb").mkdir(parents=True)
    (tmp_path / "folder").mkdir()
    with (
        pytest.raises(StickFailed, match="none is mounted") as failed,
        open_stick(tmp_path / "media" / "usb", mount_root=tmp_path / "media"),
    ):
        pass
    assert failed.value.fault is StickFault.ABSENT
    with open_stick(tmp_path / "folder", mount_root=tmp_path / "media"):
        pass


def test_two_programs_do_not_work_on_one_stick(tmp_path: Path) -> None:
    with open_stick(tmp_path), pytest.raises(StickFailed, match="another program") as failed, open_stick(tmp_path):
        pass
    assert failed.value.fault is StickFault.BUSY
    with open_stick(tmp_path):
        pass


def test_a_file_system_that_cannot_synchronise_folders_serves_as_well(tmp_path: Path) -> None:
    class Simple(Disk):
        def sync(self, file: int) -> None:
            if Path(f"/proc/self/fd/{file}").is_dir():
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            super().sync(file)

    with open_stick(tmp_path, disk=Simple()) as root:
        root.write("x", b"1")
    assert (tmp_path / "x").read_bytes() == b"1"


def test_a_large_file_comes_in_pieces_and_nothing_but_a_file_does(tmp_path: Path) -> None:
    data = os.urandom(600_000)
    (tmp_path / "large").write_bytes(data)
    (tmp_path / "link").symlink_to(tmp_path / "large")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with open_stick(tmp_path) as root:
        with root.stream("large", len(data)) as pieces:
            assert pieces is not None
            found = list(pieces)
        assert b"".join(found) == data
        assert len(found) > 1
        for name, limit in (("large", len(data) - 1), ("link", 10**6), ("folder", 10**6), ("pipe", 10**6), ("none", 1)):
            with root.stream(name, limit) as pieces:
                assert pieces is None, name


def test_a_stick_that_is_pulled_out_between_two_pieces_is_a_removed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "large").write_bytes(bytes(600_000))

    def gone(_file: int, _count: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with open_stick(tmp_path) as root, root.stream("large", 10**6) as pieces:
        assert pieces is not None
        next(pieces)
        monkeypatch.setattr("protocol.stick.os.read", gone)
        with pytest.raises(StickFailed) as caught:
            next(pieces)
        monkeypatch.undo()
    assert caught.value.fault is StickFault.REMOVED
