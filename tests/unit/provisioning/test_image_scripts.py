"""The scripts of docs/image.md, and every other shell script of a terminal: looked over by shellcheck, and run as far as a folder goes."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from provisioning.cards.fat import open_boot
from provisioning.cards.writing import look_over
from tests.unit.provisioning.cards.conftest import START, make_image, program

pytestmark = pytest.mark.provisioning
ROOT = Path(__file__).resolve().parents[3]
IMAGE = ROOT / "provisioning/image"
SCRIPTS = [
    *sorted(IMAGE.iterdir()),
    ROOT / "provisioning/first_boot/first-boot",
    ROOT / "systemd/lifecert-kiosk",
    ROOT / "systemd/lifecert-stick",
]


def run(name: str, *arguments: object, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", IMAGE / name, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    done = subprocess.run([program("shellcheck"), "-s", "sh", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert os.access(script, os.X_OK)


def test_an_image_gets_a_larger_system_and_a_partition_for_data(tmp_path: Path) -> None:
    image = make_image(tmp_path / "os.img", boot_mib=36)
    boot = open_boot(image)
    boot.write(
        "", {"cmdline.txt": b"root=PARTUUID=1-02 resize rootwait init=/usr/lib/raspberrypi-sys-mods/firstboot quiet\n"}
    )
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/hostname").write_text("raspberrypi\n")
    start, mib = START + 36 * 2048, 2**20
    system = ["-q", "-F", "-t", "ext4", "-E", f"offset={start * 512}", "-d", tree, image, "4M"]
    subprocess.run([program("mke2fs"), *system], check=True)
    before = image.read_bytes()

    done = run("add-data-partition", image, tmp_path / "out.img", 16, 8)
    assert done.returncode == 0, done.stderr
    assert image.read_bytes() == before
    made = open_boot(tmp_path / "out.img")
    look_over(made)
    assert made.read("cmdline.txt") == b"root=PARTUUID=1-02 rootwait quiet\n"
    table = subprocess.run(
        [program("sfdisk"), "-d", tmp_path / "out.img"], capture_output=True, text=True, check=True
    ).stdout
    sizes = [int(line.partition("size=")[2].split(",")[0]) for line in table.splitlines() if "start=" in line]
    assert sizes == [36 * 2048, 16 * 2048, 8 * 2048]
    content = (tmp_path / "out.img").read_bytes()
    for name, offset, size in (("root", start * 512, 16), ("data", start * 512 + 16 * mib, 8)):
        (tmp_path / name).write_bytes(content[offset : offset + size * mib])
        checked = subprocess.run(
            [program("e2fsck"), "-fn", tmp_path / name], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout
    kept = subprocess.run(
        [program("debugfs"), "-R", "cat /etc/hostname", tmp_path / "root"], capture_output=True, text=True, check=True
    )
    assert kept.stdout == "raspberrypi\n"
    assert b"lifecert-data" in (tmp_path / "data").read_bytes()[:4096]

    for arguments, told in (
        ((image, tmp_path / "out.img", 16, 8), "exists already"),
        ((image, tmp_path / "other.img", 1, 8), "has 4 MiB already"),
        ((tmp_path / "out.img", tmp_path / "other.img", 16, 8), "not two partitions"),
        ((tree / "etc/hostname", tmp_path / "other.img", 16, 8), "no partition table"),
    ):
        found = run("add-data-partition", *arguments)
        assert (found.returncode, told in found.stderr) == (1, True), found.stderr
    assert not list(tmp_path.glob("*.new*"))


@pytest.fixture
def terminal(tmp_path: Path) -> Path:
    """The file system of a terminal that has joined."""
    root = tmp_path / "terminal"
    for path in ("etc/lifecert", "var/lib/lifecert-slots", "var/lib/lifecert"):
        (root / path).mkdir(parents=True)
    (root / "etc/fstab").write_text(
        "# a comment\nproc /proc proc defaults 0 0\nPARTUUID=1-01 /boot/firmware vfat defaults 0 2\n"
        "PARTUUID=1-02 / ext4 defaults,noatime 0 1\n"
    )
    (root / "etc/lifecert/signing.pem").write_text("key")
    (root / "var/lib/lifecert-slots/joined").touch()
    return root


def test_what_must_be_written_moves_to_the_data_and_the_rest_is_read_only(terminal: Path) -> None:
    for _ in range(2):
        done = run("read-only", "--root", terminal)
        assert done.returncode == 0, done.stderr
    rows = [line.split() for line in (terminal / "etc/fstab").read_text().splitlines() if line and line[0] != "#"]
    by_place = {row[1]: row for row in rows}
    assert len(by_place) == len(rows)
    assert by_place["/"][3] == "defaults,noatime,ro"
    assert by_place["/boot/firmware"][3] == "defaults,ro"
    for path in (
        "/var/lib/lifecert",
        "/var/lib/lifecert-slots",
        "/var/lib/lifecert-decommission",
        "/etc/lifecert",
        "/var/lib/systemd",
        "/var/lib/NetworkManager",
    ):
        source = Path(by_place[path][0])
        assert source.parent == Path("/data")
        assert (terminal / source.relative_to("/")).is_dir()
    assert (terminal / "data/settings/signing.pem").read_text() == "key"
    assert (terminal / "data/slots/joined").exists()
    assert {row[1] for row in rows if row[0] == "tmpfs"} == {"/tmp", "/var/tmp", "/var/log", "/media"}
    findmnt = [program("findmnt"), "--verify", "--tab-file", terminal / "etc/fstab"]
    verified = subprocess.run(findmnt, capture_output=True, text=True, check=False)
    assert "parse error" not in verified.stdout


def test_of_what_moved_to_the_data_nothing_stays_beneath(terminal: Path, tmp_path: Path) -> None:
    secrets = ("etc/lifecert/signing.pem", "etc/lifecert/tls/key.pem", "var/lib/lifecert/references.sqlite")
    # A second name of the file shows what becomes of its content.
    for number, name in enumerate(secrets):
        (terminal / name).parent.mkdir(exist_ok=True)
        (terminal / name).write_text("secret")
        os.link(terminal / name, tmp_path / f"{number}")
    (terminal / "etc/lifecert/signing.pem").chmod(0o400)
    (terminal / "data").mkdir()
    for is_told in (False, True):
        # Where nothing has moved there is nothing beneath, whoever says so.
        (terminal / "data/beneath").touch() if is_told else None
        assert run("read-only", "--root", terminal, "sweep").returncode != 0
        assert (terminal / "etc/lifecert/signing.pem").exists()
    assert run("read-only", "--root", terminal).returncode == 0
    for _ in range(2):
        (terminal / "data/beneath").touch()
        assert run("read-only", "--root", terminal, "sweep").returncode == 0
        for place in ("etc/lifecert", "var/lib/lifecert", "var/lib/lifecert-slots", "var/lib/lifecert-decommission"):
            assert not list((terminal / place).iterdir())
        assert not (terminal / "data/beneath").exists()
    assert b"secret" not in b"".join((tmp_path / f"{number}").read_bytes() for number in range(len(secrets)))
    assert (terminal / "data/settings/tls/key.pem").read_text() == "secret"
    assert (terminal / "data/lifecert/references.sqlite").read_text() == "secret"


def test_a_copy_that_a_cut_left_on_the_data_is_overwritten(terminal: Path, tmp_path: Path) -> None:
    left = terminal / "data/settings.new/signing.pem"
    left.parent.mkdir(parents=True)
    left.write_text("secret")
    os.link(left, tmp_path / "left")
    assert run("read-only", "--root", terminal).returncode == 0
    assert b"secret" not in (tmp_path / "left").read_bytes()
    assert not left.exists()


def test_a_terminal_that_has_not_joined_stays_as_it_is(terminal: Path) -> None:
    (terminal / "var/lib/lifecert-slots/joined").unlink()
    before = (terminal / "etc/fstab").read_text()
    done = run("read-only", "--root", terminal)
    assert (done.returncode, "has not joined" in done.stderr) == (1, True)
    assert (terminal / "etc/fstab").read_text() == before


class Firmware:
    """What the boot loader tells in the device tree, and the partition that says where to start."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.told = root / "proc/device-tree/chosen/bootloader"
        self.told.mkdir(parents=True)
        self.auto = root / "boot/autoboot/autoboot.txt"
        self.auto.parent.mkdir(parents=True)

    def started(self, partition: int, *, is_try: bool = False) -> None:
        (self.told / "partition").write_bytes(struct.pack(">I", partition))
        (self.told / "tryboot").write_bytes(struct.pack(">I", is_try))

    def does(self, step: str) -> subprocess.CompletedProcess[str]:
        return run("boot-slot", "--root", self.root, step)


def test_the_other_boot_partition_is_tried_and_only_kept_when_somebody_says_so(tmp_path: Path) -> None:
    firmware = Firmware(tmp_path)
    assert firmware.does("which").returncode == 1
    firmware.started(2)
    assert firmware.does("which").stdout == "2 usual\n"
    assert firmware.does("try").returncode == 0
    usual = "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n"
    assert firmware.auto.read_text() == usual
    firmware.started(3, is_try=True)
    assert firmware.does("which").stdout == "3 try\n"
    refused = firmware.does("try")
    assert (refused.returncode, "on trial" in refused.stderr) == (1, True)
    assert firmware.auto.read_text() == usual
    assert firmware.does("keep").returncode == 0
    assert firmware.auto.read_text() == "[all]\ntryboot_a_b=1\nboot_partition=3\n[tryboot]\nboot_partition=2\n"
    assert firmware.auto.stat().st_size < 512
    firmware.started(1)
    assert firmware.does("keep").returncode == 1
    assert firmware.does("wrong").returncode == 2
    shutil.rmtree(firmware.told)
    assert "boot loader of today" in firmware.does("which").stderr


def test_what_was_stored_after_a_run_that_was_cut_off_is_not_left_behind(terminal: Path, tmp_path: Path) -> None:
    store = terminal / "var/lib/lifecert/outbox.sqlite"
    store.write_text("one record")
    # It ends just before the file by which the next start finds the data.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/awk").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin/awk").chmod(0o755)
    cut = run("read-only", "--root", terminal, path=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert cut.returncode != 0
    assert "lifecert-data" not in (terminal / "etc/fstab").read_text()
    store.write_text("two records")
    assert run("read-only", "--root", terminal).returncode == 0
    assert (terminal / "data/lifecert/outbox.sqlite").read_text() == "two records"
