"""A bundle of programs as the technician's tool makes it, put into a slot by a Python that has nothing to make a pip from."""

from __future__ import annotations

import ensurepip
import hashlib
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from device.updates import preparing
from device.updates.in_force import slots_of
from device.updates.installing import Done, Installer
from device.updates.release_keys import release_keys
from protocol.bundle import BundleFile, BundleKind, BundleManifest, read_bundle, write_bundle
from protocol.desired import DESIRED_TYP, DesiredBundle
from protocol.envelope import sign
from protocol.keys import PrivateKey
from provisioning.cli import app
from tests.unit.device.updates.making import KEY, desired_of, moment, settings_in, want_of

pytestmark = [pytest.mark.integration, pytest.mark.provisioning]

FLEET = PrivateKey.generate()
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
WITHOUT_ENSUREPIP = """#!/bin/sh
# What Debian's Python says without the package python3-venv.
case "$*" in
  *--without-pip*) exec "{python}" "$@" ;;
esac
echo "The virtual environment was not created successfully because ensurepip is not available." >&2
exit 1
"""


def wheelhouse(folder: Path) -> Path:
    folder.mkdir()
    info = "lifecert-1.4.0.dist-info"
    with zipfile.ZipFile(folder / "lifecert-1.4.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("terminal_of_test.py", "def main() -> None:\n    print('runs')\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: lifecert\nVersion: 1.4.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\nlifecert-terminal = terminal_of_test:main\n")
        wheel.writestr(f"{info}/RECORD", "")
    (pip,) = Path(ensurepip.__file__).parent.joinpath("_bundled").glob("pip-*.whl")
    shutil.copy(pip, folder)
    lines = [
        "{}=={} --hash=sha256:{}".format(*path.name.split("-")[:2], hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.glob("*.whl"))
    ]
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n")
    return folder


def tool(*arguments: object) -> None:
    done = CliRunner().invoke(app, ["bundle", *map(str, arguments)])
    assert done.exit_code == 0, done.output


class Site:
    """A terminal's folders, and the tool's release key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = settings_in(folder)
        self.settings.updates_dir.mkdir(parents=True)
        self.slots = slots_of(self.settings, BundleKind.APP)
        self.slots.begin()
        tool("key", "--out", folder / "release.pem", "--public", folder / "release-keys.json", "--no-passphrase")

    def bundle(self) -> DesiredBundle:
        out = self.folder / "app.bundle"
        told = ("--kind", "app", "--from", wheelhouse(self.folder / "wheelhouse"), "--number", 2, "--floor", 1)
        place = ("--machine", platform.machine(), "--python", PYTHON, "--label", "1.4.0")
        tool("make", *told, *place, "--key", self.folder / "release.pem", "--out", out)
        with out.open("rb") as source:
            made = read_bundle(source, key_of=release_keys(self.folder / "release-keys.json"))
        want = DesiredBundle(
            kind=BundleKind.APP, bundle_id=made.bundle_id, number=2, label="1.4.0", size=out.stat().st_size
        )
        out.rename(self.settings.updates_dir / f"{want.bundle_id}.bundle")
        return want

    def apply(self, want: DesiredBundle) -> Done:
        desired = desired_of(1, want)
        self.settings.desired_path.write_bytes(sign(desired.to_bytes(), key=FLEET, typ=DESIRED_TYP))
        known = release_keys(self.folder / "release-keys.json")
        return Installer(
            self.settings,
            FLEET.public(),
            key_of=lambda key_id: KEY.public() if key_id == KEY.key_id else known(key_id),
            now=moment,
            examine=lambda _kind, _root: None,
        ).apply()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    interpreter = tmp_path / "python-without-ensurepip"
    interpreter.write_text(WITHOUT_ENSUREPIP.format(python=preparing._interpreter()))
    interpreter.chmod(0o755)
    monkeypatch.setattr(preparing, "_interpreter", lambda: str(interpreter))
    return Site(tmp_path)


def test_a_bundle_of_the_tool_is_installed_without_ensurepip_and_lies_there_as_it_was_signed(site: Site) -> None:
    want = site.bundle()
    signed = {path.name: path.read_bytes() for path in (site.folder / "wheelhouse").iterdir()}
    assert site.apply(want) == Done("switched", BundleKind.APP)
    root = site.slots.path(site.slots.current or "")
    said = subprocess.run([root / "venv/bin/lifecert-terminal"], capture_output=True, text=True, check=True)
    assert said.stdout == "runs\n"
    assert {path.name: path.read_bytes() for path in root.iterdir() if path.name in signed} == signed


def test_a_bundle_without_pip_is_refused_in_words(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    path = next(wheelhouse(site.folder / "wheelhouse").glob("lifecert-*.whl"))
    data = path.read_bytes()
    manifest = BundleManifest(
        kind=BundleKind.APP,
        label="1.4.0",
        number=2,
        floor=1,
        made_at=moment().wall_clock,
        expires_at=moment().wall_clock.replace(year=2028),
        machine=platform.machine(),
        python=PYTHON,
        files=(BundleFile(name=path.name, size=len(data), sha256=hashlib.sha256(data).hexdigest()),),
    )
    out = site.folder / "x.bundle"
    with path.open("rb") as source, out.open("wb") as target:
        write_bundle(target, manifest, [source], key=KEY)
    want = want_of(out.read_bytes())
    out.rename(site.settings.updates_dir / f"{want.bundle_id}.bundle")
    assert site.apply(want) == Done("refused", BundleKind.APP, "not_installable")
    assert "no pip among its wheels" in caplog.text
