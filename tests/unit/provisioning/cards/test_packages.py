from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.cards.packages import Package, packages_in, refuse_foreign
from provisioning.errors import FileUnusable
from tests.unit.provisioning.cards.conftest import deb

pytestmark = pytest.mark.provisioning
COMPILED = "python3 (<< 3.12), python3 (>= 3.11~), libc6 (>= 2.34)"
"""As Debian's own packages of Python say for whom they are compiled; here, of the release before trixie."""


@pytest.mark.parametrize("packing", ["xz", "gzip", "none"])
def test_a_package_says_what_it_is_however_it_is_packed(tmp_path: Path, packing: str) -> None:
    path = deb(tmp_path / "packages", "cage", depends="libc6 (>= 2.34),\n libseat1", packing=packing)
    (found,) = packages_in(path.parent)
    assert (found.path, found.name, found.architecture) == (path, "cage", "arm64")
    assert "libseat1" in found.depends


def test_what_a_terminal_cannot_install_is_told_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    deb(folder, "python3-picamera2", architecture="all", depends="python3 (>= 3.9)")
    deb(folder, "cage")
    refuse_foreign(packages_in(folder), ["numpy-2.1.0-cp313-cp313-manylinux_2_28_aarch64.whl"])
    deb(folder, "chromium", architecture="amd64")
    deb(folder, "seatd", architecture="armhf")
    deb(folder, "python3-evdev", depends=COMPILED)
    packages = packages_in(folder)
    with pytest.raises(FileUnusable) as told:
        refuse_foreign(packages, ["numpy-2.1.0-cp313-cp313-manylinux_2_28_aarch64.whl", "pip-25-py3-none-any.whl"])
    machine, _, release = str(told.value).partition("; ")
    assert machine == (
        "--packages: neither arm64 nor all, so of another machine: chromium_1_amd64.deb (amd64), seatd_1_armhf.deb (armhf)"
    )
    assert release.startswith(
        "not for Python 3.13 as the wheelhouse is, so of another release: python3-evdev_1_arm64.deb."
    )
    # Whose Python it is nobody knows without a wheelhouse.
    refuse_foreign([each for each in packages if each.architecture in ("arm64", "all")], [])


@pytest.mark.parametrize(
    ("depends", "minors"),
    [(COMPILED, {11}), ("python3 (>= 3.12~)", {12, 13}), ("python3:any, python3-numpy (>= 1:2)", {10, 11, 12, 13})],
)
def test_for_which_python_a_package_is_compiled(depends: str, minors: set[int]) -> None:
    package = Package(Path("x.deb"), "x", "arm64", depends)
    assert {minor for minor in (10, 11, 12, 13) if package.is_for(minor)} == minors


@pytest.mark.parametrize(
    "data", [b"", b"x" * 200, b"!<arch>\n", b"!<arch>\n" + b"control.tar.xz  ".ljust(48) + b"4         `\nabcd"]
)
def test_what_is_no_package_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "torn.deb").write_bytes(data)
    with pytest.raises(FileUnusable, match=r"torn\.deb: not a package of Debian that can be read"):
        packages_in(tmp_path)


def test_a_package_that_was_cut_off_is_told(tmp_path: Path) -> None:
    path = deb(tmp_path / "packages", "cage")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FileUnusable, match=r"cage_1_arm64\.deb: not a package"):
        packages_in(path.parent)
