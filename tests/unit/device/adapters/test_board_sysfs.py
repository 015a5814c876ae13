"""The storage's life and the battery-backed clock, on folders that look like /sys."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from device.adapters.board_sysfs import StorageLife, battery_clocks, storage_life

pytestmark = pytest.mark.provisioning


def emmc(sys: Path, folder: Path, life: str, ending: str) -> None:
    """As a Compute Module with eMMC shows it: the partition below the disk, and the disk's device beside."""
    disk = sys / "devices" / "platform" / "emmc2bus" / "mmc0" / "mmc0:0001" / "block" / "mmcblk0"
    (disk / "mmcblk0p2").mkdir(parents=True)
    (disk / "device").mkdir()
    (disk / "device" / "life_time").write_text(life)
    (disk / "device" / "pre_eol_info").write_text(ending)
    number = folder.stat().st_dev
    link = sys / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    link.parent.mkdir(parents=True)
    link.symlink_to(disk / "mmcblk0p2")


@pytest.mark.parametrize(
    ("life", "ending", "found"),
    [
        ("0x01 0x01\n", "0x01\n", StorageLife(10, False)),
        ("0x02 0x09\n", "0x02\n", StorageLife(90, True)),
        ("0x0b 0x00\n", "0x03\n", StorageLife(110, True)),
        ("0x00 0x00\n", "0x00\n", StorageLife(None, None)),
        ("nonsense\n", "\n", StorageLife(None, None)),
    ],
)
def test_what_an_emmc_says_of_its_life(tmp_path: Path, life: str, ending: str, found: StorageLife) -> None:
    emmc(tmp_path / "sys", tmp_path, life, ending)
    assert storage_life(tmp_path, sys=tmp_path / "sys") == found


def test_a_disk_that_says_nothing_is_told_as_such(tmp_path: Path) -> None:
    assert storage_life(tmp_path, sys=tmp_path / "sys") == StorageLife(None, None)


def test_battery_backed_clocks_are_read_and_a_broken_one_is_told(tmp_path: Path) -> None:
    assert battery_clocks(sys=tmp_path) == []
    for name, text in (("rtc0", "1795948380\n"), ("rtc1", "")):
        folder = tmp_path / "class" / "rtc" / name
        folder.mkdir(parents=True)
        (folder / "since_epoch").write_text(text)
    assert battery_clocks(sys=tmp_path) == [datetime.fromtimestamp(1795948380, UTC), None]
