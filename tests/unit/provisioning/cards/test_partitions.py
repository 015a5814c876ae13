from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.cards.partitions import Partition, boot_partitions
from provisioning.errors import WrongImage
from tests.unit.provisioning.cards.conftest import START, make_image

pytestmark = pytest.mark.provisioning


def found_in(data: bytes, size: int | None = None) -> Partition:
    return boot_partitions(lambda offset, count: data[offset : offset + count], len(data) if size is None else size)[0]


@pytest.fixture(scope="module", params=["dos", "gpt"])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, int]:
    """The beginning of an image that sfdisk and mkfs.vfat made, up to the partition's first sector, and its size."""
    path = make_image(tmp_path_factory.mktemp("table") / "x.img", label=request.param, boot_mib=36, files={})
    with path.open("rb") as file:
        return file.read((START + 1) * 512), path.stat().st_size


def test_the_boot_partition_is_where_the_tools_put_it(table: tuple[bytes, int]) -> None:
    assert found_in(*table) == Partition(1, START * 512, 36 * 2**20)


def test_an_image_that_was_cut_short_is_told(table: tuple[bytes, int]) -> None:
    with pytest.raises(WrongImage, match="cut short"):
        found_in(table[0], START * 512 + 1000)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no partition table"),
        (bytes(4096), "no partition table"),
        (b"\xfd7zXZ\0" + bytes(4096), "still packed"),
        (bytes(510) + b"\x55\xaa" + bytes(4096), "no FAT partition"),
    ],
)
def test_what_is_no_image_is_told(data: bytes, told: str) -> None:
    with pytest.raises(WrongImage, match=told):
        found_in(data)


def test_a_partition_without_a_file_system_is_told(table: tuple[bytes, int]) -> None:
    data, size = table
    with pytest.raises(WrongImage, match="no FAT file system"):
        found_in(data[: START * 512] + bytes(512), size)


@settings(max_examples=100)
@given(data=st.data())
def test_whatever_stands_in_a_table_the_answer_lies_within_the_image(
    table: tuple[bytes, int], data: st.DataObject
) -> None:
    content, size = bytearray(table[0]), table[1]
    # The table in the old form, that in the new one with its first entries, and the file system's first sector.
    places = [range(440, 512), range(512, 608), range(1024, 1280), range(START * 512, START * 512 + 64)]
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.sampled_from(places))
        content[data.draw(st.integers(place.start, place.stop - 1))] = data.draw(st.integers(0, 255))
    try:
        found = found_in(bytes(content), size)
    except WrongImage:
        return
    assert 0 < found.offset < found.offset + found.size <= size


def test_a_table_in_the_new_form_is_only_believed_whole(tmp_path: Path) -> None:
    path = make_image(tmp_path / "x.img", label="gpt", boot_mib=36, files={})
    with path.open("rb") as file:
        data = bytearray(file.read((START + 1) * 512))
    data[1024 + 32] ^= 1
    with pytest.raises(WrongImage, match="damaged"):
        found_in(bytes(data), path.stat().st_size)
