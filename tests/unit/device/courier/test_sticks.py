from __future__ import annotations

from pathlib import Path

from device.courier.sticks import Stick, mounted_sticks

MOUNTS = r"""
22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw
30 22 8:1 / /media/usb rw,nosuid,nodev,noexec shared:2 - vfat /dev/sda1 rw
31 22 8:17 / /media/clerk/MY\040STICK ro,nosuid shared:3 - exfat /dev/sdb1 ro
32 22 8:33 / /media/a/b/c rw - vfat /dev/sdc1 rw
33 22 8:49 / /mediathek rw - vfat /dev/sdd1 rw
34 22 8:65 / /media rw - tmpfs tmpfs rw
35 22 8:81 / /media/usb ro,nosuid shared:2 - vfat /dev/sde1 rw
short line
"""


def test_sticks_under_the_mount_root_are_found_with_their_rights(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert mounted_sticks(Path("/media"), mounts=mounts) == [
        Stick(Path("/media/clerk/MY STICK"), is_read_only=True),
        Stick(Path("/media/usb"), is_read_only=True),
    ]


def test_without_sticks_or_without_the_kernels_list_there_are_none(tmp_path: Path) -> None:
    assert mounted_sticks(tmp_path) == []
    assert mounted_sticks(Path("/media"), mounts=tmp_path / "none") == []
