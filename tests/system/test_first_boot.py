"""The first start of a terminal, below a folder: what `lifecert-provision card` put on the card is installed by the script that is there.

Real are the script, the wheel of this project, pip without an index, `systemctl`, `systemd-sysusers` and `systemd-tmpfiles`; nothing is
started.
"""

from __future__ import annotations

import ensurepip
import hashlib
import os
import shutil
import site
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from device.settings import load_settings
from fleet.pki.files import ROOT as AUTHORITY_ROOT
from fleet.pki.files import make_authority
from protocol.provisioning import ProvisioningClaim, new_code
from provisioning.cli import app
from provisioning.joining import Outcome, has_settings, write_settings

pytestmark = [pytest.mark.system, pytest.mark.provisioning]
ROOT = Path(__file__).resolve().parents[2]
STOCK = {
    "config.txt": "[all]\n",
    "cmdline.txt": "x\n",
    "user-data": "#cloud-config\n",
    "meta-data": "x\n",
    "network-config": "\n",
}
JOINED = ("lifecert-terminal.service", "lifecert-uplink.service", "lifecert-screen.socket", "lifecert-renew.timer")


class Terminal:
    """A terminal's file system with a card's boot partition in it.

    Args:
        root: the folder.
        wheel: of the programs.
    """

    def __init__(self, root: Path, wheel: Path) -> None:
        self.root, self.boot = root, root / "boot/firmware"
        self.slots = root / "var/lib/lifecert-slots"
        wheels = root.parent / "wheelhouse"
        wheels.mkdir(parents=True)
        shutil.copy(wheel, wheels)
        (pip,) = Path(ensurepip.__file__).parent.joinpath("_bundled").glob("pip-*.whl")
        shutil.copy(pip, wheels)
        (wheels / "requirements.txt").write_text("".join(map(pinned, sorted(wheels.glob("*.whl")))))
        self.boot.mkdir(parents=True)
        (root / "etc").mkdir()
        for name, text in STOCK.items():
            (self.boot / name).write_text(text)
        claim = root.parent / "t-1.claim"
        claim.write_bytes(a_claim(root.parent).to_bytes())
        part = root.parent / "part.toml"
        part.write_text('[screen]\nkind = "web"\n')
        arguments = ["card", self.boot, "--claim", claim, "--wheelhouse", wheels, "--settings", part]
        done = CliRunner().invoke(app, list(map(str, arguments)))
        assert done.exit_code == 0, done.stderr

    def does(self, step: str, **environment: str) -> subprocess.CompletedProcess[str]:
        script = self.root / "opt/lifecert/first-boot" if step == "joined" else self.boot / "lifecert/first-boot"
        return subprocess.run(
            ["sh", script, "--root", self.root, step],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LIFECERT_PYTHON": sys.executable, **environment},
        )

    def done(self, step: str, **environment: str) -> None:
        found = self.does(step, **environment)
        assert found.returncode == 0, found.stderr

    def is_enabled(self, unit: str) -> bool:
        # The links count from the root of the terminal, not from here.
        return any((folder / unit).is_symlink() for folder in (self.root / "etc/systemd/system").glob("*.wants"))


def pinned(wheel: Path) -> str:
    name, version = wheel.name.split("-")[:2]
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def a_claim(folder: Path) -> ProvisioningClaim:
    now = datetime.fromtimestamp(int(time.time()), UTC)
    make_authority(folder / "pki", "north", now=now)
    return ProvisioningClaim(
        fleet_id="north",
        url="https://localhost:9",
        root=(folder / "pki" / AUTHORITY_ROOT).read_text(),
        code=new_code(),
        terminal_id="t-1",
        expires_at=now + timedelta(hours=1),
    )


def small_wheel(folder: Path) -> Path:
    """A stand-in for the programs with the real units and the real guard: what is cut off many times must not take long."""
    path = folder / "lifecert-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        for name in ("slots", "minute", "trial", "disk"):
            file.write(ROOT / f"device/updates/{name}.py", f"device/updates/{name}.py")
        for name in ("read-only", "boot-slot"):
            file.write(ROOT / f"provisioning/image/{name}", f"provisioning/image/{name}")
        for unit in sorted((ROOT / "systemd").iterdir()):
            file.write(unit, f"lifecert-0.1.0.data/data/share/lifecert/systemd/{unit.name}")
        for name in ("a.toml", "a.tflite", "a.npz"):
            file.writestr(f"models/{name}", "x")
        script = zipfile.ZipInfo("lifecert-0.1.0.data/scripts/lifecert-provision")
        script.external_attr = 0o100755 << 16
        file.writestr(script, "#!python\nprint('0.1.0')\n")
        info = "lifecert-0.1.0.dist-info"
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: lifecert\nVersion: 0.1.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return path


def test_a_terminal_installs_itself_from_its_card_and_its_programs_run(project_wheel: Path, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "root", project_wheel)
    terminal.done("arrange")
    assert terminal.is_enabled("lifecert-first-boot.service")
    # What the programs need besides lies in this environment: installing all of it takes minutes.
    around = {"PYTHONPATH": site.getsitepackages()[0]}
    terminal.done("install", **around, PIP_NO_COMPILE="1")
    program = terminal.root / "opt/lifecert/venv/bin/lifecert-provision"
    said = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=True, env={**os.environ, **around}
    )
    assert said.stdout == "lifecert-provision 0.1.0\n"
    where = subprocess.run(
        [program.parent / "python", "-c", "import provisioning.installed_files as f; print(f.__file__, f.installed_folder('systemd'))"],
        capture_output=True, text=True, check=True, cwd=tmp_path, env={**os.environ, **around},
    )  # fmt: skip
    for path in where.stdout.split():
        assert Path(path).resolve().is_relative_to(terminal.slots / "app/a/venv")
    assert (terminal.slots / "app/current").readlink() == Path("a")
    assert {path.name for path in (terminal.root / "opt/lifecert/guard").iterdir()} == {
        "disk.py",
        "minute.py",
        "slots.py",
        "trial.py",
    }
    assert os.access(terminal.root / "opt/lifecert/image/read-only", os.X_OK)
    assert (
        "/opt/lifecert/bin/lifecert-stick" in (terminal.root / "etc/udev/rules.d/80-lifecert-stick.rules").read_text()
    )
    assert os.access(terminal.root / "opt/lifecert/bin/lifecert-stick", os.X_OK)
    assert (terminal.root / "opt/lifecert/models/face_detection.tflite").stat().st_size > 10_000
    assert terminal.is_enabled("lifecert-join.service")
    assert not any(terminal.is_enabled(unit) for unit in JOINED)
    assert (terminal.boot / "config.txt").read_text().endswith("include lifecert/hardware.txt\n")
    assert "lifecert:" in (terminal.root / "etc/passwd").read_text()
    # The guard is run by the system's own Python, before there is any trial.
    for program in (["slots.py", terminal.slots], ["minute.py", terminal.slots, "60"]):
        guard = [sys.executable, terminal.root / "opt/lifecert/guard" / program[0], *program[1:]]
        assert subprocess.run(guard, check=False).returncode == 0


def test_a_first_start_that_is_cut_off_at_any_moment_goes_on_at_the_next(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "root", small_wheel(tmp_path))
    claim = terminal.boot / "lifecert/claim.json"
    for step, marks in (("install", ("installed",)), ("joined", ("joined",))):
        cuts = 0
        while True:
            terminal.done("arrange")
            assert claim.exists() or step == "joined"
            # What was cut off comes first at the next try, and the second thing is cut off then; tidying up is done anew.
            found = terminal.does(
                step, PATH=f"{pulled_at(tmp_path, min(cuts, 1) if step == 'install' else cuts)}:{os.environ['PATH']}"
            )
            if found.returncode == 0:
                break
            assert found.returncode == -9, found.stderr
            cuts += 1
            assert cuts < 20
        assert cuts >= (4 if step == "install" else 3)
        assert all((terminal.slots / mark).exists() for mark in marks)
    assert all(terminal.is_enabled(unit) for unit in JOINED)
    assert (terminal.boot / "config.txt").read_text().count("include") == 1
    assert not [name for name in ("claim.json", "settings.toml") if (terminal.boot / "lifecert" / name).exists()]
    assert not [name for name in ("network-config", "user-data") if (terminal.boot / name).exists()]
    assert (terminal.root / "etc/cloud/cloud-init.disabled").exists()
    lines = (terminal.boot / "lifecert/status.txt").read_text(encoding="utf-8").splitlines()
    assert lines[-2:] == [
        "安装完毕，正在请求机构准许入网 / installed; the terminal now asks the fleet to let it in",
        "已入网，服务启动 / joined; the services start",
    ]


def pulled_at(folder: Path, number: int) -> Path:
    """Return a folder with a `sync` at whose so-manieth call the power goes; 0 is the first."""
    made = folder / f"sync-{number}"
    made.mkdir(exist_ok=True)
    (made / "count").write_text("0")
    (made / "sync").write_text(
        f'#!/bin/sh\nn=$(cat {made}/count)\necho $((n + 1)) >{made}/count\n[ "$n" -ne {number} ] || kill -9 "$PPID"\n'
    )
    (made / "sync").chmod(0o755)
    return made


@pytest.mark.parametrize(
    ("spoil", "told", "tries"),
    [
        (lambda wheels: (wheels / "requirements.txt").unlink(), "write the card again with --wheelhouse", 2),
        (lambda wheels: [path.unlink() for path in wheels.glob("pip-*")], "no pip in the wheelhouse", 1),
        (
            lambda wheels: [each.write_bytes(each.read_bytes() + b"x") for each in wheels.glob("l*")],
            "cannot be installed",
            1,
        ),
    ],
    ids=["no list", "no pip", "changed"],
)
def test_a_wheelhouse_that_will_not_do_is_said_where_a_technician_finds_it(
    tmp_path: Path, spoil: Callable[[Path], object], told: str, tries: int
) -> None:
    terminal = Terminal(tmp_path / "root", small_wheel(tmp_path))
    spoil(terminal.boot / "lifecert/wheelhouse")
    for _ in range(tries):
        assert terminal.does("install").returncode == 1
    lines = (terminal.boot / "lifecert/status.txt").read_text().splitlines()
    assert [told in line for line in lines if line != "正在安装程序 / installing the programs"] == [True]
    assert not (terminal.slots / "installed").exists()
    assert not (terminal.slots / "app/current").exists()


def test_a_claim_that_the_fleet_does_not_answer_is_asked_for_again_and_stays(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "root", small_wheel(tmp_path))
    card, keys = terminal.boot / "lifecert", terminal.root / "etc/lifecert"
    unit = (ROOT / "systemd/lifecert-join.service").read_text()
    command = next(line for line in unit.splitlines() if line.startswith("ExecStart=")).partition("=")[2].split()
    here = [str(terminal.root) + word if word.startswith(("/boot", "/etc")) else word for word in command[1:]]
    here[here.index("--wait-s") + 1] = "0"
    for _ in range(2):
        done = subprocess.run(
            [Path(sys.executable).parent / "lifecert-provision", *here], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "no answer" in done.stderr
    assert (card / "claim.json").exists()
    (line,) = (card / "status.txt").read_text(encoding="utf-8").splitlines()
    assert line.startswith(
        "机构没有应答，会继续询问 / no answer from the fleet, it goes on asking (https://localhost:9"
    )
    assert (keys / "signing.pem").exists()


def test_the_settings_that_joining_makes_are_the_terminals(tmp_path: Path) -> None:
    (tmp_path / "part.toml").write_text('[screen]\nkind = "web"\n')
    for name in ("root.pem", "certificate.pem", "tls.pem", "signing", "sealing", "storage"):
        (tmp_path / name).write_text("x")
    assert not has_settings(tmp_path)
    before = os.umask(0o077)
    try:
        write_settings(tmp_path / "part.toml", tmp_path, "north", Outcome("t-1", True, "broker.example", 8883))
    finally:
        os.umask(before)
    assert has_settings(tmp_path)
    # The unit's mask would keep the terminal itself from reading it, once its group is set.
    assert (tmp_path / "terminal.toml").stat().st_mode & 0o777 == 0o640
    found = load_settings(tmp_path / "terminal.toml", credentials=tmp_path)
    assert (found.terminal.terminal_id, found.broker.host, found.screen.kind) == ("t-1", "broker.example", "web")
    assert found.broker.tls_ca == tmp_path / "root.pem"
    text = (tmp_path / "terminal.toml").read_text()
    write_settings(tmp_path / "part.toml", tmp_path, "north", Outcome("t-1", True, "other.example", 8883))
    assert (tmp_path / "terminal.toml").read_text() == text


@pytest.mark.parametrize("failing", ["cp", "cat"])
def test_a_boot_partition_without_room_keeps_the_settings_that_the_board_starts_by(
    tmp_path: Path, failing: str
) -> None:
    terminal = Terminal(tmp_path / "root", small_wheel(tmp_path))
    terminal.done("arrange")
    before = (terminal.boot / "config.txt").read_bytes()
    # As on a full card: half of it is written, and the program that writes fails.
    (tmp_path / "bin").mkdir()
    real = shutil.which(failing)
    (tmp_path / "bin" / failing).write_text(
        f'#!/bin/sh\ncase "$*" in *config.*) [ -z "$2" ] || head -c 3 "$1" >"$2"; exit 1 ;; esac\nexec {real} "$@"\n'
    )
    (tmp_path / "bin" / failing).chmod(0o755)
    found = terminal.does("install", PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert found.returncode == 1
    assert "no room" in found.stderr
    assert (terminal.boot / "config.txt").read_bytes() == before
    assert terminal.does("install").returncode == 0
    assert (terminal.boot / "config.txt").read_bytes().startswith(before)
    assert (terminal.boot / "config.txt").read_text().count("include lifecert/hardware.txt") == 1
