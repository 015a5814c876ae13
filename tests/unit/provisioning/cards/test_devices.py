from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.cards.devices import SMALLEST_BYTES, device_of, look_at, refuse_unfit
from provisioning.errors import DeviceRefused, FileUnusable

pytestmark = pytest.mark.provisioning
GB = 1_000_000_000


class Computer:
    """What the kernel tells of disks, as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "sys/class/block").mkdir(parents=True)
        (folder / "proc/self").mkdir(parents=True)
        self.mounts = folder / "proc/self/mountinfo"
        self.mounts.write_text("21 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
        self.swaps = folder / "proc/swaps"
        self.swaps.write_text("Filename Type Size Used Priority\n")
        self.minor = 0

    def disk(
        self, name: str, gb: float, *, parts: int = 0, usb: bool = False, removable: bool = False, kind: str = ""
    ) -> None:
        real = self.folder / "sys/devices" / ("pci0/usb1" if usb else "pci0/ata1") / name
        self._block(real, name, int(gb * GB))
        (real / "removable").write_text("1\n" if removable else "0\n")
        (real / "ro").write_text("0\n")
        (real / "device").mkdir()
        (real / "device/model").write_text("Test Reader\n")
        (real / "device/type").write_text(f"{kind}\n")
        for number in range(1, parts + 1):
            part = f"{name}p{number}" if name[-1].isdigit() else f"{name}{number}"
            self._block(real / part, part, GB)
            (real / part / "partition").write_text(f"{number}\n")

    def on_top(self, holder: str, name: str) -> None:
        self._block(self.folder / "sys/devices/virtual" / holder, holder, GB)
        (self.folder / "sys/devices/virtual" / holder / "dm").mkdir()
        (self.folder / "sys/devices/virtual" / holder / "dm/name").write_text("vg-root\n")
        (self.folder / "sys/class/block" / name / "holders" / holder).touch()

    def _block(self, real: Path, name: str, size: int) -> None:
        real.mkdir(parents=True)
        (real / "size").write_text(f"{size // 512}\n")
        (real / "dev").write_text(f"8:{self.minor}\n")
        self.minor += 1
        (real / "holders").mkdir()
        (self.folder / "sys/class/block" / name).symlink_to(real)


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    made = Computer(tmp_path)
    made.disk("sda", 500, parts=1)
    return made


def refused(computer: Computer, name: str, *, force: str | None = None, needed: int = 0) -> str:
    with pytest.raises(DeviceRefused) as error:
        refuse_unfit(look_at(name, system=computer.folder), force=force, needed=needed)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "usb", "removable", "kind"),
    [("sdb", True, False, ""), ("sdc", False, True, ""), ("mmcblk0", False, False, "SD")],
)
def test_cards_and_readers_are_taken_and_named(
    computer: Computer, name: str, usb: bool, removable: bool, kind: str
) -> None:
    computer.disk(name, 16, parts=2, usb=usb, removable=removable, kind=kind)
    found = look_at(name, system=computer.folder)
    refuse_unfit(found, force=None, needed=3 * GB)
    assert str(found) == f"/dev/{name}, Test Reader, 16.0 GB, 2 partitions"


def test_the_systems_own_disk_is_refused_whatever_is_typed(computer: Computer) -> None:
    assert "sda1 is mounted at /" in refused(computer, "sda", force="sda")


def test_what_is_mounted_swap_or_below_something_else_is_refused(computer: Computer) -> None:
    computer.disk("sdb", 16, parts=2, usb=True)
    computer.mounts.write_text("30 1 8:3 / /media/my\\040card rw - vfat /dev/sdb1 rw\n")
    assert "sdb1 is mounted at /media/my card" in refused(computer, "sdb")
    computer.mounts.write_text("")
    computer.swaps.write_text("Filename Type\n/dev/sdb2 partition 1 0 -2\n")
    assert "sdb2 is swap space" in refused(computer, "sdb")
    computer.swaps.write_text("Filename\n")
    computer.on_top("dm-0", "sdb2")
    assert "sdb2 is part of vg-root" in refused(computer, "sdb")
    computer.mounts.write_text("30 1 8:5 / /srv rw - ext4 /dev/dm-0 rw\n")
    assert "dm-0 is mounted at /srv" in refused(computer, "sdb")


def test_a_disk_that_stays_in_is_only_taken_by_its_exact_name(computer: Computer) -> None:
    computer.disk("nvme0n1", 256, parts=1)
    assert "--force-device nvme0n1" in refused(computer, "nvme0n1")
    assert "--force-device nvme0n1" in refused(computer, "nvme0n1", force="/dev/nvme0n1")
    refuse_unfit(look_at("nvme0n1", system=computer.folder), force="nvme0n1", needed=0)


def test_what_is_too_small_write_protected_or_empty_is_refused(computer: Computer) -> None:
    computer.disk("sdb", 4, usb=True)
    assert "too small, 7.4 GB at least" in refused(computer, "sdb")
    computer.disk("sdc", 16, usb=True)
    assert "too small, 20.0 GB at least" in refused(computer, "sdc", needed=20 * GB)
    (computer.folder / "sys/class/block/sdc/ro").write_text("1\n")
    assert "write-protected" in refused(computer, "sdc")
    computer.disk("sdd", 0, usb=True)
    assert "no card in it" in refused(computer, "sdd")
    assert SMALLEST_BYTES > 7 * GB


def test_a_partition_is_not_a_card(computer: Computer) -> None:
    with pytest.raises(DeviceRefused, match="name the whole card"):
        look_at("sda1", system=computer.folder)
    with pytest.raises(FileUnusable, match="cannot be looked at"):
        look_at("sdz", system=computer.folder)


def test_files_are_no_devices_and_terminals_no_cards(tmp_path: Path) -> None:
    (tmp_path / "x.img").touch()
    assert device_of(tmp_path / "x.img") is None
    assert device_of(tmp_path / "new.img") is None
    assert device_of(tmp_path) is None
    with pytest.raises(DeviceRefused, match="neither an image file nor a card"):
        device_of(Path("/dev/null"))
