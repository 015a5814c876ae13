from __future__ import annotations

import lzma
import os
from pathlib import Path

import pytest

from provisioning.cards import images
from provisioning.cards.images import copy_image, make_room, unpack, write_image
from provisioning.errors import FileUnusable, NotWritten

pytestmark = pytest.mark.provisioning
MIB = 2**20


def quiet(_at: int, _of: int) -> None:
    return


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    path = tmp_path / "base.img"
    with path.open("wb") as file:
        file.write(os.urandom(MIB))
        file.seek(20 * MIB)
        file.write(os.urandom(5 * MIB + 17))
        file.truncate(30 * MIB)
    return path


def test_a_copy_is_the_same_and_stores_no_more(sparse: Path, tmp_path: Path) -> None:
    copy_image(sparse, tmp_path / "copy.img")
    assert (tmp_path / "copy.img").read_bytes() == sparse.read_bytes()
    assert (tmp_path / "copy.img").stat().st_blocks <= sparse.stat().st_blocks + 64
    with pytest.raises(FileUnusable):
        copy_image(tmp_path / "nowhere.img", tmp_path / "other.img")


def test_an_image_is_unpacked_into_a_new_file(sparse: Path, tmp_path: Path) -> None:
    packed = tmp_path / "base.img.xz"
    packed.write_bytes(lzma.compress(sparse.read_bytes(), preset=0))
    unpack(packed, tmp_path / "out.img", progress=quiet)
    assert (tmp_path / "out.img").read_bytes() == sparse.read_bytes()
    with pytest.raises(FileUnusable, match="exists already"):
        unpack(packed, tmp_path / "out.img", progress=quiet)
    packed.write_bytes(packed.read_bytes()[:-1000])
    with pytest.raises(FileUnusable, match="cannot be unpacked"):
        unpack(packed, tmp_path / "other.img", progress=quiet)
    assert not (tmp_path / "other.img").exists()


def test_an_image_is_written_to_a_card_and_read_back(sparse: Path, tmp_path: Path) -> None:
    card = tmp_path / "card"
    card.write_bytes(b"\xff" * (31 * MIB))
    seen: list[int] = []
    write_image(sparse, card, progress=lambda at, of: seen.append(at * 100 // of))
    assert card.read_bytes()[: 30 * MIB] == sparse.read_bytes()
    assert seen == sorted(seen)
    assert seen[-1] == 100


def test_a_card_that_was_cut_off_has_no_partition_table(sparse: Path, tmp_path: Path) -> None:
    card = tmp_path / "card"
    card.write_bytes(b"\xff" * (31 * MIB))

    def cut(at: int, _of: int) -> None:
        if at > 20 * MIB:
            raise NotWritten("cut")

    with pytest.raises(NotWritten):
        write_image(sparse, card, progress=cut)
    assert card.read_bytes()[:512] == bytes(512)


def test_a_card_that_loses_what_was_written_is_told(sparse: Path, tmp_path: Path) -> None:
    card = tmp_path / "card"
    card.write_bytes(bytes(31 * MIB))

    def lose(at: int, _of: int) -> None:
        if at == 30 * MIB:
            with card.open("r+b") as file:
                file.seek(21 * MIB)
                file.write(bytes(4096))

    with pytest.raises(NotWritten, match="is not the image"):
        write_image(sparse, card, progress=lose)


def test_a_disk_without_room_is_told_before(tmp_path: Path) -> None:
    make_room(tmp_path, 1)
    with pytest.raises(FileUnusable, match="are needed"):
        make_room(tmp_path, 2**60)


def test_where_blocks_cannot_be_shared_only_what_is_stored_is_copied(sparse: Path, tmp_path: Path) -> None:
    with sparse.open("rb") as reading, (tmp_path / "copy.img").open("wb") as writing:
        images._copy_stored(reading, writing)
    assert (tmp_path / "copy.img").read_bytes() == sparse.read_bytes()
