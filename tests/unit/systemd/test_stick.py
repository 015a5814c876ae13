"""What `lifecert-stick` mounts, with stand-ins for the programs it asks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "systemd/lifecert-stick"
DISKS = "case ${5} in /dev/sda?) echo sda ;; /dev/sdb?) echo sdb ;; /dev/mmcblk0p?) echo mmcblk0 ;; /dev/gone) exit 1 ;; esac"


def mounted(folder: Path, device: str, kind: str, *, system: str) -> list[str]:
    """Return the arguments of `systemd-mount`, or nothing where it was not called."""
    for name, does in {"lsblk": DISKS, "findmnt": f"echo {system}", "systemd-mount": 'echo "$*"'}.items():
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o755)
    done = subprocess.run(
        ["sh", SCRIPT, device],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{folder}:{os.environ['PATH']}", "ID_FS_TYPE": kind},
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(("device", "place"), [("/dev/sda1", "/media/sda1"), ("/dev/sdb", "/media/sdb")])
def test_a_stick_belongs_to_the_services_where_its_file_system_knows_no_owners(
    tmp_path: Path, device: str, place: str
) -> None:
    told = mounted(tmp_path, device, "vfat", system="/dev/mmcblk0p2")
    assert told[-2:] == [device, place]
    assert "--owner=lifecert" in told
    assert "--options=nosuid,nodev,noexec,noatime" in told
    assert "--owner=lifecert" in mounted(tmp_path, device, "exfat", system="/dev/mmcblk0p2")
    # The mount would fail.
    assert "--owner=lifecert" not in mounted(tmp_path, device, "ext4", system="/dev/mmcblk0p2")


@pytest.mark.parametrize("device", ["/dev/sda1", "/dev/sda3"])
def test_the_disk_that_the_terminal_starts_from_is_no_stick(tmp_path: Path, device: str) -> None:
    assert mounted(tmp_path, device, "vfat", system="/dev/sda2") == []
    assert mounted(tmp_path, "/dev/sdb1", "vfat", system="/dev/sda2")[-1] == "/media/sdb1"


def test_where_it_cannot_be_told_nothing_is_mounted(tmp_path: Path) -> None:
    assert mounted(tmp_path, "/dev/sda1", "vfat", system="/dev/gone") == []
