"""Images as Raspberry Pi OS has them, small."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

START = 8192
OF_THE_IMAGE = {
    "config.txt": b"[all]\n",
    "cmdline.txt": b"console=tty1 root=PARTUUID=1-02\n",
    "user-data": b"#cloud-config\n",
    "meta-data": b"instance_id: rpios-image\n",
    "network-config": b"# none\n",
}


def program(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert found, f"{name} is not installed: make system-packages"
    return found


def make_image(path: Path, *, label: str = "dos", boot_mib: int = 48, files: dict[str, bytes] | None = None) -> Path:
    """Make an image with a boot partition and room for another one; it takes no room on the disk."""
    sectors = boot_mib * 2048
    with path.open("wb") as file:
        file.truncate((START + sectors + 40960) * 512)
    kind, other = ("c", "83") if label == "dos" else ("EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "L")
    script = f"label: {label}\nstart={START}, size={sectors}, type={kind}\nstart={START + sectors}, size=8192, type={other}\n"
    subprocess.run([program("sfdisk"), "-q", path], input=script.encode(), check=True)
    fat = [program("mkfs.vfat"), "-F", "32", "-s", "1", "-n", "BOOTFS", "--offset", str(START), path, str(sectors // 2)]
    subprocess.run(fat, check=True, capture_output=True)
    for name, data in (OF_THE_IMAGE if files is None else files).items():
        subprocess.run([program("mcopy"), "-i", f"{path}@@{START * 512}", "-", f"::/{name}"], input=data, check=True)
    return path


def deb(folder: Path, name: str, *, architecture: str = "arm64", depends: str = "", packing: str = "xz") -> Path:
    """Make a package of Debian that installs nothing, with the system's own tool."""
    tree = folder.parent / f"tree-{name}"
    (tree / "DEBIAN").mkdir(parents=True)
    more = f"Depends: {depends}\n" if depends else ""
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: {architecture}\n{more}Maintainer: Li <li@example.org>\nDescription: 东\n"
    )
    folder.mkdir(exist_ok=True)
    made = folder / f"{name}_1_{architecture}.deb"
    subprocess.run([program("dpkg-deb"), f"-Z{packing}", "--build", tree, made], check=True, capture_output=True)
    return made


@pytest.fixture(scope="session")
def base_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image nobody has written to; copy it."""
    return make_image(tmp_path_factory.mktemp("images") / "base.img")


@pytest.fixture
def image(base_image: Path, tmp_path: Path) -> Path:
    """An image to write to."""
    subprocess.run(["cp", "--sparse=always", base_image, tmp_path / "card.img"], check=True)
    return tmp_path / "card.img"
