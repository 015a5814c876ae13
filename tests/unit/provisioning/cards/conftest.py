"""Images as Raspberry Pi OS has them, small, and claims as the fleet makes them."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fleet.pki.files import ROOT, make_authority
from protocol.provisioning import ProvisioningClaim, new_code

START = 8192
NOW = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)
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


@pytest.fixture(scope="session")
def base_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image nobody has written to; copy it."""
    return make_image(tmp_path_factory.mktemp("images") / "base.img")


@pytest.fixture
def image(base_image: Path, tmp_path: Path) -> Path:
    """An image to write to."""
    subprocess.run(["cp", "--sparse=always", base_image, tmp_path / "card.img"], check=True)
    return tmp_path / "card.img"


@pytest.fixture(scope="session")
def root_certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("pki")
    make_authority(folder, "north", now=NOW)
    found = x509.load_pem_x509_certificate((folder / ROOT).read_bytes())
    return found.public_bytes(Encoding.PEM).decode()


@pytest.fixture
def claim_for(root_certificate: str) -> Callable[..., ProvisioningClaim]:
    """Make a claim that is good for three days from now on."""

    def made(terminal: str | None = "t-1", **changes: object) -> ProvisioningClaim:
        now = datetime.fromtimestamp(int(time.time()), UTC)
        values: dict[str, object] = {
            "fleet_id": "north",
            "url": "https://fleet.example:8444",
            "root": root_certificate,
            "code": new_code(),
            "terminal_id": terminal,
            "expires_at": now + timedelta(hours=72),
        }
        return ProvisioningClaim.model_validate(values | changes)

    return made
