from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from protocol.courier import Address, ChunkName, CourierBundle, CourierChunk, CourierMessage, courier_message
from protocol.courier_files import (
    BundleReader,
    BundleWriter,
    Problem,
    ProblemKind,
    find_bundle,
    make_bundle,
    terminals_on,
)
from protocol.envelope import sign
from protocol.keys import PrivateKey
from protocol.stick import Disk, StickFailed, StickFault, open_stick
from protocol.topics import Kind

WRITER, READER = PrivateKey.generate(), PrivateKey.generate()
HERE = Address("north", "t-1", CourierBundle.RECORDS)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def messages(number: int, count: int = 3) -> list[CourierMessage]:
    return [courier_message(Kind.RECORD, f"record-{number}-{one}".encode()) for one in range(count)]


class Cut(Exception):
    """The stick is pulled out."""


class CuttingDisk(Disk):
    """Is pulled out at the call with this number: half of the bytes of a write arrive, nothing after it does."""

    def __init__(self, at: int) -> None:
        self.calls = 0
        self.written = 0
        self._at = at

    def _count(self) -> None:
        self.calls += 1
        if self.calls >= self._at:
            raise Cut

    def make_folder(self, name: str, folder: int) -> None:
        self._count()
        super().make_folder(name, folder)

    def create(self, name: str, folder: int) -> int:
        self._count()
        return super().create(name, folder)

    def write(self, file: int, data: bytes) -> int:
        if self.calls + 1 == self._at:
            super().write(file, data[: len(data) // 2])
        self._count()
        self.written += 1
        return super().write(file, data)

    def sync(self, file: int) -> None:
        self._count()
        super().sync(file)

    def replace(self, source: str, target: str, folder: int) -> None:
        self._count()
        super().replace(source, target, folder)

    def remove(self, name: str, folder: int) -> None:
        self._count()
        super().remove(name, folder)


@contextmanager
def writing(stick: Path, disk: Disk | None = None, address: Address = HERE, key: PrivateKey = WRITER, **more: object):
    with open_stick(stick, disk=disk) as root, make_bundle(root, address) as folder:
        yield BundleWriter(
            folder,
            address,
            sign=lambda payload, typ: sign(payload, key=key, typ=typ),
            writer_id=key.key_id,
            reader=READER.public(),
            made_at=NOON,
            **more,
        )


@contextmanager
def reading(stick: Path, address: Address = HERE) -> Iterator[BundleReader]:
    with open_stick(stick) as root:
        folder = find_bundle(root, address)
        assert folder is not None
        with folder:
            yield BundleReader(folder, address, key=READER, key_of={WRITER.key_id: WRITER.public()}.get)


def write(stick: Path, numbers: range, disk: Disk | None = None) -> int:
    """Write some chunks as an export does; return how many were not there yet."""
    with writing(stick, disk) as writer:
        done = sum(writer.put(number, writer.content([b"%d" % number]), messages(number)) for number in numbers)
        writer.finish()
    return done


def read(stick: Path, address: Address = HERE) -> tuple[list[str], list[Problem]]:
    """The messages of all chunks that open, in order, and what is wrong."""
    found: list[str] = []
    with reading(stick, address) as reader:
        problems = reader.whole()
        for name in reader.names:
            chunk = reader.open(name)
            if isinstance(chunk, CourierChunk):
                found += [message.envelope for message in chunk.messages]
            else:
                problems.append(chunk)
    return found, problems


def expected(numbers: range) -> list[str]:
    return [message.envelope for number in numbers for message in messages(number)]


def folder_of(stick: Path) -> Path:
    return stick / "lifecert" / "fleet-north" / "terminal-t-1" / "records"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_chunks_come_back_in_order_and_whole(tmp_path: Path) -> None:
    assert write(tmp_path, range(12)) == 12
    assert read(tmp_path) == (expected(range(12)), [])


def test_writing_again_adds_what_is_new_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, range(5))
    before = {path: path.stat().st_ino for path in folder_of(tmp_path).iterdir() if path.name != "manifest.lcb"}
    assert write(tmp_path, range(7)) == 2
    assert all(path.stat().st_ino == number for path, number in before.items())
    assert read(tmp_path) == (expected(range(7)), [])


def test_a_cut_at_any_moment_loses_nothing_and_what_was_whole_is_not_written_again(tmp_path: Path) -> None:
    counted = CuttingDisk(10**9)
    (tmp_path / "0").mkdir()
    write(tmp_path / "0", range(4), counted)
    assert counted.calls > 30
    for at in range(1, counted.calls + 1):
        stick = tmp_path / str(at)
        stick.mkdir()
        with pytest.raises(Cut):
            write(stick, range(4), CuttingDisk(at))
        whole = [name for path in folder_of(stick).glob("*") if (name := ChunkName.parse(path.name))]
        assert all(name.fits((folder_of(stick) / str(name)).read_bytes()) for name in whole)
        assert write(stick, range(4)) == 4 - len(whole)
        assert read(stick) == (expected(range(4)), [])
        assert len(names_in(folder_of(stick))) == 5


def test_what_was_whole_counts_on_a_stick_that_was_pulled_out(tmp_path: Path) -> None:
    with writing(tmp_path) as writer:
        writer.put(1, writer.content([b"1"]), messages(1))
    assert read(tmp_path) == (expected(range(1, 2)), [Problem("manifest.lcb", ProblemKind.UNFINISHED)])


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (damage, ProblemKind.DAMAGED),
        (lambda path: path.write_bytes(b""), ProblemKind.DAMAGED),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), ProblemKind.DAMAGED),
        (lambda path: path.write_bytes(b"x" * (1 << 22)), ProblemKind.DAMAGED),
        (lambda path: (path.unlink(), path.mkdir()), ProblemKind.DAMAGED),
        (lambda path: path.unlink(), ProblemKind.MISSING),
    ],
)
def test_a_chunk_that_suffered_is_named_and_the_others_count(
    tmp_path: Path, spoil: Callable[[Path], object], kind: ProblemKind
) -> None:
    write(tmp_path, range(3))
    second = sorted(folder_of(tmp_path).glob("0*"))[1]
    spoil(second)
    assert read(tmp_path) == (expected(range(1)) + expected(range(2, 3)), [Problem(second.name, kind)])


def test_a_damaged_chunk_is_written_again_and_then_gone(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    damage(sorted(folder_of(tmp_path).glob("0*"))[1])
    assert write(tmp_path, range(3)) == 1
    assert read(tmp_path) == (expected(range(3)), [])
    assert len(names_in(folder_of(tmp_path))) == 4


def test_chunks_of_others_are_named_and_left_alone(tmp_path: Path) -> None:
    write(tmp_path, range(1))
    other, stranger = tmp_path / "other", tmp_path / "stranger"
    other.mkdir()
    stranger.mkdir()
    # Of another terminal with the same keys, of somebody who is no writer, and sealed to somebody else.
    for stick, address, key in (
        (other, Address("north", "t-2", CourierBundle.RECORDS), WRITER),
        (stranger, HERE, READER),
    ):
        with writing(stick, address=address, key=key) as writer:
            writer.put(5, writer.content([stick.name.encode()]), messages(5))
    names = {}
    for stick, terminal in ((other, "t-2"), (stranger, "t-1")):
        (path,) = (stick / "lifecert" / "fleet-north" / f"terminal-{terminal}" / "records").glob("0*")
        names[stick] = path.rename(folder_of(tmp_path) / path.name).name
    found, problems = read(tmp_path)
    assert found == expected(range(1))
    assert sorted(problems, key=lambda problem: problem.kind) == [
        Problem(names[other], ProblemKind.FOREIGN),
        Problem(names[stranger], ProblemKind.FORGED),
    ]
    write(tmp_path, range(2))
    assert (folder_of(tmp_path) / names[other]).exists()


def test_other_files_are_neither_read_nor_touched(tmp_path: Path) -> None:
    write(tmp_path, range(1))
    for name in ("holiday.jpg", "System Volume Information", "0000-not-a-chunk.lcb", "MANIFEST.LCB.bak"):
        (folder_of(tmp_path) / name).write_bytes(b"mine")
        (tmp_path / name).write_bytes(b"mine")
    write(tmp_path, range(2))
    assert read(tmp_path) == (expected(range(2)), [])
    with reading(tmp_path) as reader:
        reader.remove(reader.names)
    assert {path.read_bytes() for path in folder_of(tmp_path).iterdir()} == {b"mine"}
    assert len(list(tmp_path.iterdir())) == 5


def test_what_was_taken_in_is_gone_with_the_manifest_and_is_not_missed(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    with reading(tmp_path) as reader:
        reader.remove(reader.names)
    assert names_in(folder_of(tmp_path)) == []
    assert read(tmp_path) == ([], [])


def test_a_writer_can_replace_what_it_wrote_before(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    with writing(tmp_path) as writer:
        assert writer.next_sequence == 3
        writer.put(3, writer.content([b"3"]), messages(3))
        writer.put(0, writer.content([b"0"]), messages(0))
        writer.finish(is_replaced=lambda name: name.sequence != 1)
    assert read(tmp_path) == (expected(range(2)) + expected(range(3, 4)), [])


def test_a_stick_of_another_fleet_is_refused_and_one_with_both_is_not(tmp_path: Path) -> None:
    write(tmp_path, range(1))
    south = Address("south", "t-1", CourierBundle.RECORDS)
    with open_stick(tmp_path) as root:
        for work in (
            lambda: find_bundle(root, south),
            lambda: make_bundle(root, south),
            lambda: terminals_on(root, "south"),
        ):
            with pytest.raises(StickFailed, match="belongs to fleet north, this is fleet south") as failed:
                work()
            assert failed.value.fault is StickFault.FOREIGN
        (tmp_path / "lifecert" / "fleet-south").mkdir()
        assert find_bundle(root, south) is None
        assert terminals_on(root, "south") == []
        assert terminals_on(root, "north") == ["t-1"]


def test_the_terminals_on_a_stick_are_told_whatever_else_is_there(tmp_path: Path) -> None:
    with open_stick(tmp_path) as root:
        assert terminals_on(root, "north") == []
        for name in ("t-2", "con", "t-1"):
            make_bundle(root, Address("north", name, CourierBundle.RECORDS)).close()
        for name in ("terminal-", "terminal-UPPER", "terminal-a b", "other"):
            (tmp_path / "lifecert" / "fleet-north" / name).mkdir()
        assert terminals_on(root, "north") == ["con", "t-1", "t-2"]


def test_looking_through_a_stick_is_told(tmp_path: Path) -> None:
    write(tmp_path, range(4))
    seen: list[tuple[int, int]] = []
    with writing(tmp_path, progress=lambda done, total: seen.append((done, total))) as writer:
        assert writer.chunks == 4
    assert seen == [(number, 4) for number in range(4)]


def test_a_stick_that_gives_one_chunk_back_no_more_keeps_the_others(tmp_path: Path) -> None:
    write(tmp_path, range(3))

    class Bad(Disk):
        reads = 0

        def read(self, name: str, folder: int, limit: int) -> bytes | None:
            self.reads += 1
            if self.reads == 2:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().read(name, folder, limit)

    assert write(tmp_path, range(3), Bad()) == 1
    found, problems = read(tmp_path)
    assert sorted(set(found)) == sorted(expected(range(3)))
    assert problems == []
