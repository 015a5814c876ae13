from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from configparser import RawConfigParser
from pathlib import Path

import pytest

from device.app import service
from device.app.decommissioning import ASKED, JOURNAL, PROOF, TOLD
from device.settings import Updates as UpdateSettings
from device.settings import Uplink as UplinkSettings
from device.updates import minute, preparing
from device.updates.trial import Limits
from device.uplink import loop as uplink
from provisioning import leaving

ROOT = Path(__file__).resolve().parents[3]
UNITS = sorted((ROOT / "systemd").glob("*.service"))
PORT = ROOT / "systemd" / "lifecert-screen.socket"
KIOSK = ROOT / "systemd" / "lifecert-kiosk.service"
STARTERS = sorted(path for path in (ROOT / "systemd").iterdir() if path.suffix in (".path", ".timer"))
PROGRAMS = [unit for unit in UNITS if unit.stem in ("lifecert-fleet", "lifecert-terminal", "lifecert-uplink")]
"""Units whose program of this project goes on running; others start a browser, or do one thing and end."""
# In tenths; 100 is a service without any protection. Systemd 252 and 257 say: terminal 9, uplink 12, fleet 17, kiosk 22.
MOST_EXPOSED = {
    # Once, without a network; it makes the system writable, so it is not kept from mounting.
    "lifecert-beneath": 40,
    "lifecert-terminal": 15,
    "lifecert-uplink": 20,
    "lifecert-fleet": 20,
    "lifecert-kiosk": 25,
    "lifecert-renew": 30,
    "lifecert-decommission": 35,
    "lifecert-erased": 20,
    "lifecert-broker-reload": 25,
    # The first start makes users, units and programs, once, without a network: it is enclosed by nothing else.
    "lifecert-first-boot": 93,
    "lifecert-join": 30,
    "lifecert-update": 20,
    "lifecert-guard": 12,
}


def lines(unit: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program, "systemd-analyze is not installed: make system-packages"
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)


def verifiable(unit: Path, folder: Path) -> Path:
    """Return a copy whose program exists on this machine; verify looks for it."""
    copy = folder / unit.name
    copy.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(encoding="utf-8")))
    return copy


def test_the_services_are_there() -> None:
    assert [unit.name for unit in UNITS] == [
        "lifecert-beneath.service",
        "lifecert-broker-reload.service",
        "lifecert-decommission.service",
        "lifecert-erased.service",
        "lifecert-first-boot.service",
        "lifecert-fleet.service",
        "lifecert-guard.service",
        "lifecert-join.service",
        "lifecert-kiosk.service",
        "lifecert-renew.service",
        "lifecert-terminal.service",
        "lifecert-update.service",
        "lifecert-uplink.service",
    ]


@pytest.mark.parametrize("unit", [*UNITS, *STARTERS, PORT], ids=lambda unit: unit.name)
def test_systemd_finds_nothing_wrong_with_a_unit(unit: Path, tmp_path: Path) -> None:
    # It exits 0 on unknown keys, so its words count.
    for other in (*UNITS, *STARTERS, PORT):
        verifiable(other, tmp_path)
    found = analyze("verify", "--man=no", tmp_path / unit.name)
    said = [line for line in (found.stdout + found.stderr).splitlines() if "lifecert" in line]
    assert not said, "\n".join(said)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("starter", STARTERS, ids=lambda unit: unit.name)
def test_what_starts_a_unit_has_one_to_start(starter: Path) -> None:
    assert starter.with_suffix(".service") in UNITS


@pytest.mark.parametrize("path", [unit for unit in STARTERS if unit.suffix == ".path"], ids=lambda unit: unit.name)
def test_what_a_path_starts_has_no_limit_that_would_end_the_path(path: Path) -> None:
    assert lines(path.with_suffix(".service"), "StartLimitIntervalSec") == ["0"]


def test_an_unknown_key_would_be_found(tmp_path: Path) -> None:
    copy = verifiable(UNITS[0], tmp_path)
    copy.write_text(copy.read_text().replace("[Service]", "[Service]\nProtectEverything=yes"))
    found = analyze("verify", "--man=no", copy)
    assert "ProtectEverything" in found.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_well_enclosed(unit: Path, tmp_path: Path) -> None:
    found = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED[unit.stem]}", verifiable(unit, tmp_path))
    assert found.returncode == 0, found.stdout[-300:] + found.stderr


@pytest.mark.parametrize("unit", PROGRAMS, ids=lambda unit: unit.stem)
def test_a_unit_has_its_own_user_a_state_folder_and_a_limit_to_restarts(unit: Path) -> None:
    assert lines(unit, "User")[0] not in {"", "root"}
    assert lines(unit, "StateDirectory")
    # A terminal's programs may be on trial, and end as if all were well.
    assert lines(unit, "Restart") == ["on-failure" if unit.stem == "lifecert-fleet" else "always"]
    assert lines(unit, "StartLimitBurst")
    assert "78" in lines(unit, "RestartPreventExitStatus")[0].split()


@pytest.mark.parametrize(
    ("name", "watchdog_s", "silent_s"),
    [
        # A vision worker that hangs ends the service by itself first, with its reason in the log.
        ("terminal", 30, service._HUNG_NS / 1e9),
        # Between two signs of life lies an attempt to connect, and a wait.
        ("uplink", 60, UplinkSettings().connect_timeout_s + uplink._SLICE_S),
    ],
)
def test_a_service_is_started_when_it_says_so_and_one_that_hangs_is_killed_well_after_its_longest_silence(
    name: str, watchdog_s: int, silent_s: float
) -> None:
    unit = ROOT / "systemd" / f"lifecert-{name}.service"
    assert lines(unit, "Type") == ["notify"]
    # The program itself speaks, no child of it.
    assert lines(unit, "NotifyAccess") == ["main"]
    assert lines(unit, "WatchdogSec") == [str(watchdog_s)]
    assert watchdog_s >= 2 * silent_s


def test_the_terminal_has_devices_and_no_network_and_the_uplink_the_reverse() -> None:
    terminal, uplink = (ROOT / "systemd" / f"lifecert-{name}.service" for name in ("terminal", "uplink"))
    assert lines(terminal, "PrivateNetwork") == ["yes"]
    assert not {"AF_INET", "AF_INET6"} & set(lines(terminal, "RestrictAddressFamilies")[0].split())
    assert lines(uplink, "PrivateDevices") == ["yes"]
    assert not lines(uplink, "DeviceAllow")
    # Both take rosters in: one from the network, one from a stick. What they open lies on their shared disk under the storage key anyway.
    for unit in (terminal, uplink):
        assert any("sealing" in found for found in lines(unit, "LoadCredential"))


@pytest.mark.parametrize("name", ["terminal", "uplink"])
def test_the_clock_can_still_be_asked_after_privileges_were_taken(name: str) -> None:
    filters = lines(ROOT / "systemd" / f"lifecert-{name}.service", "SystemCallFilter")
    assert filters[0] == "@system-service"
    assert filters[1].startswith("~@privileged")
    # A later line takes away what an earlier one gave, also in a group, so these must come last.
    assert filters[2:] == ["adjtimex clock_adjtime clock_adjtime64"]


def test_the_board_library_may_write_where_the_terminal_is_started() -> None:
    terminal = ROOT / "systemd" / "lifecert-terminal.service"
    assert lines(terminal, "RuntimeDirectory") == ["lifecert"]
    assert lines(terminal, "WorkingDirectory") == ["/run/lifecert"]
    assert "LG_WD=/run/lifecert" in lines(terminal, "Environment")


def test_the_screen_has_one_port_on_loopback_that_the_terminal_gets_and_the_browser_shows() -> None:
    terminal = ROOT / "systemd" / "lifecert-terminal.service"
    (listens,) = lines(PORT, "ListenStream")
    assert listens.startswith("127.0.0.1:")
    assert lines(PORT, "FileDescriptorName") == ["screen"]
    assert lines(PORT, "Service") == [terminal.name]
    assert lines(terminal, "Sockets") == [PORT.name]
    (command,) = lines(KIOSK, "ExecStart")
    assert f"/lifecert-kiosk {listens.partition(':')[2]} " in command
    assert command.endswith(f" http://{listens}/")


def test_the_uplink_does_not_reach_the_screen_but_the_resolver() -> None:
    (listens,) = lines(PORT, "ListenStream")
    (denied,) = lines(ROOT / "systemd" / "lifecert-uplink.service", "IPAddressDeny")
    assert {listens.partition(":")[0], "::1"} == set(denied.split())


def test_the_browser_reaches_loopback_alone_keeps_nothing_and_is_always_started_again() -> None:
    assert lines(KIOSK, "User") == ["lifecert-kiosk"]
    assert lines(KIOSK, "IPAddressDeny") == ["any"]
    assert lines(KIOSK, "IPAddressAllow") == ["127.0.0.1"]
    assert not lines(KIOSK, "StateDirectory")
    assert lines(KIOSK, "RuntimeDirectory") == ["lifecert-kiosk"]
    assert lines(KIOSK, "Restart") == ["always"]
    assert lines(KIOSK, "StartLimitIntervalSec") == ["0"]
    assert "lifecert-terminal.service" in lines(KIOSK, "After")[0].split()


GUARD = "/usr/bin/python3 -E -s -S /opt/lifecert/guard/slots.py /var/lib/lifecert-slots"


def test_the_guard_counts_starts_and_minutes_without_anything_that_is_on_trial() -> None:
    terminal, guard = (ROOT / "systemd" / f"lifecert-{name}.service" for name in ("terminal", "guard"))
    # Before each start, whatever becomes of it, and as root.
    assert lines(terminal, "ExecStartPre") == [f"-+{GUARD}"]
    assert lines(guard, "ExecStart") == [f"{GUARD.replace('slots.py', 'minute.py')} 60"]
    assert lines(guard, "ConditionPathExists") == ["/opt/lifecert/guard/minute.py"]
    # It speaks to systemd, and to nobody else: as root, which systemd asks for no capability.
    assert (lines(guard, "RestrictAddressFamilies"), lines(guard, "PrivateNetwork")) == (["AF_UNIX"], ["yes"])
    assert lines(guard, "InaccessiblePaths") == ["-/run/dbus"]
    assert not lines(guard, "User")
    timer = guard.with_suffix(".timer")
    assert (lines(timer, "OnUnitActiveSec"), lines(timer, "AccuracySec")) == (["1min"], ["1s"])
    assert lines(terminal, "RestartSec") == ["2"]
    # A program that crashes at once goes back before systemd gives up.
    assert Limits().starts + 2 < int(lines(terminal, "StartLimitBurst")[0])


def test_services_are_there_again_when_an_update_that_crashed_has_gone_back() -> None:
    for unit in minute._GIVEN_UP_WITH:
        assert (ROOT / "systemd" / unit).is_file()
        assert all((ROOT / "systemd" / other).is_file() for other in minute._GIVEN_UP_WITH[unit])
    uplink, update = (ROOT / "systemd" / f"lifecert-{name}.service" for name in ("uplink", "update"))
    # The uplink may crash for as long as a trial lasts.
    most = int(lines(uplink, "StartLimitIntervalSec")[0]) / int(lines(uplink, "RestartSec")[0])
    assert most < int(lines(uplink, "StartLimitBurst")[0])
    assert lines(update, "StartLimitIntervalSec") == ["0"]


def test_an_update_is_not_cut_off_while_one_of_its_parts_has_time_left() -> None:
    (longest,) = lines(ROOT / "systemd" / "lifecert-update.service", "TimeoutStartSec")
    (most_s,) = (each.le for each in UpdateSettings.model_fields["examine_timeout_s"].metadata if hasattr(each, "le"))
    assert longest.endswith("h")
    assert int(longest.removesuffix("h")) * 3600 > 2 * preparing._TIMEOUT_S + most_s


def test_what_writes_programs_has_no_network_no_device_and_writes_nothing_else() -> None:
    for name in ("update", "guard"):
        unit = ROOT / "systemd" / f"lifecert-{name}.service"
        assert lines(unit, "PrivateNetwork") == lines(unit, "PrivateDevices") == ["yes"]
        assert lines(unit, "ReadWritePaths") == ["/var/lib/lifecert-slots"]
        assert lines(unit, "ProtectSystem") == ["strict"]
        assert lines(unit, "UMask") == ["0022"]
    # And nobody else may write there.
    for unit in UNITS:
        if unit.stem not in {"lifecert-update", "lifecert-guard"}:
            assert not any("lifecert-slots" in path for path in lines(unit, "ReadWritePaths"))
    slots = ["d", str(UpdateSettings().slots_dir), "0755", "root", "root", "-"]
    assert slots in entries(ROOT / "systemd" / "lifecert.tmpfiles")


PAPERS = "/var/lib/lifecert-decommission/"
SHOWN = {PAPERS + name for name in (JOURNAL, PROOF, TOLD)}


def test_a_terminal_that_is_erased_says_so_by_a_unit_that_lends_no_keys_in_the_place_of_those_that_do() -> None:
    erased = ROOT / "systemd" / "lifecert-erased.service"
    assert not lines(erased, "LoadCredential")
    assert {f"|{path}" for path in SHOWN} == set(lines(erased, "ConditionPathExists"))
    assert lines(erased, "WantedBy") == ["multi-user.target"]
    assert erased.name == leaving.ERASED
    # A service whose credentials are gone fails before its program is started, and a port without a service is knocked at in vain.
    lenders = [unit for unit in PROGRAMS if unit.stem != "lifecert-fleet"]
    assert all(lines(unit, "LoadCredential") for unit in lenders)
    for unit in (*lenders, PORT):
        assert {f"!{path}" for path in SHOWN} == set(lines(unit, "ConditionPathExists"))
    (listens,) = lines(PORT, "ListenStream")
    assert lines(erased, "IPAddressAllow") == [listens.partition(":")[0]]


def test_what_root_believes_of_an_erased_terminal_lies_where_no_service_may_write() -> None:
    service, path = (ROOT / "systemd" / f"lifecert-decommission.{kind}" for kind in ("service", "path"))
    assert ["d", PAPERS.rstrip("/"), "0755", "root", "root", "-"] in entries(ROOT / "systemd" / "lifecert.tmpfiles")
    assert (lines(service, "StateDirectory"), lines(service, "StateDirectoryMode")) == ([Path(PAPERS).name], ["0755"])
    for unit in UNITS:
        if unit != service:
            assert Path(PAPERS).name not in lines(unit, "StateDirectory")
            assert not any(PAPERS.rstrip("/") in found for found in lines(unit, "ReadWritePaths"))
    # Until the fleet has the proof, and not after.
    begins = {f"/var/lib/lifecert/{ASKED}", PAPERS + JOURNAL, PAPERS + PROOF}
    assert set(lines(path, "PathExists")) == begins
    assert set(lines(service, "ConditionPathExists")) == {f"|{each}" for each in begins}
    (command,) = lines(service, "ExecStart")
    assert "--if-asked" in command.split()
    assert command.split()[-1].startswith(PAPERS)
    # A wish counts once.
    assert lines(service, "ExecStopPost") == [f"-/usr/bin/rm -f /var/lib/lifecert/{ASKED}"]
    # The journal begins with the time, which is read with the id of the boot.
    assert not lines(service, "ProcSubset")


@pytest.mark.parametrize("unit", PROGRAMS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_program_this_project_installs(unit: Path) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    parser = RawConfigParser(strict=False)
    parser.read(unit)
    assert Path(parser["Service"]["ExecStart"].split()[0]).name in scripts


def made(program: str, folder: Path, content: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Have one of systemd's two makers read a file, in a root folder of its own."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    (folder / "etc").mkdir(exist_ok=True)
    command = [found, f"--root={folder}", *options, "-"]
    return subprocess.run(command, input=content, capture_output=True, text=True, check=False)


def entries(path: Path) -> list[list[str]]:
    return [
        line.split()
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    ]


@pytest.mark.parametrize("unit", [*PROGRAMS, KIOSK], ids=lambda unit: unit.stem)
def test_the_user_of_a_unit_is_made(unit: Path, tmp_path: Path) -> None:
    (user,) = lines(unit, "User")
    file = ROOT / "systemd" / f"{user}.sysusers"
    assert [entry[1] for entry in entries(file) if entry[0] == "u"] == [user]
    assert f"/usr/lib/sysusers.d/{user}.conf" in file.read_text(encoding="utf-8")
    found = made("systemd-sysusers", tmp_path, file.read_text(encoding="utf-8"), "--dry-run")
    assert found.returncode == 0, found.stderr
    assert f"Would create user '{user}'" in found.stderr or f"Creating user '{user}'" in found.stderr


@pytest.mark.parametrize("unit", PROGRAMS, ids=lambda unit: unit.stem)
def test_the_settings_folder_of_a_unit_is_made_and_its_keys_are_roots(unit: Path, tmp_path: Path) -> None:
    (user,) = lines(unit, "User")
    file = ROOT / "systemd" / f"{user}.tmpfiles"
    found = entries(file)
    assert ["d", "/etc/lifecert", "0755", "root", "root", "-"] in found
    assert {entry[4] for entry in found} == {"root", user}
    for credential in lines(unit, "LoadCredential"):
        assert ["z", credential.partition(":")[2], "0600", "root", "root", "-"] in found
    (config,) = re.findall(r"--config (\S+)", unit.read_text(encoding="utf-8"))
    assert ["z", config, "0640", "root", user, "-"] in found
    assert f"/usr/lib/tmpfiles.d/{user}.conf" in file.read_text(encoding="utf-8")
    # Every line is read, none is carried out: no path begins so.
    parsed = made("systemd-tmpfiles", tmp_path, file.read_text(encoding="utf-8"), "--create", "--prefix=/nowhere")
    assert parsed.returncode == 0, parsed.stderr
    wrong = made("systemd-tmpfiles", tmp_path, "zz /etc 0755\n", "--create", "--prefix=/nowhere")
    assert wrong.returncode != 0, "a mistake would be found"


def test_the_uplink_leaves_the_processor_to_a_terminal_that_starts_but_does_not_need_one() -> None:
    uplink = ROOT / "systemd" / "lifecert-uplink.service"
    assert "lifecert-terminal.service" in lines(uplink, "After")[0].split()
    assert lines(uplink, "Requires") == lines(uplink, "BindsTo") == []


def test_every_group_of_the_terminal_is_made_or_debians_own() -> None:
    made = re.findall(r"(?m)^[gu] (\S+)", (ROOT / "systemd" / "lifecert.sysusers").read_text(encoding="utf-8"))
    debians = {"video", "audio", "lp", "dialout", "input"}
    wanted = lines(ROOT / "systemd" / "lifecert-terminal.service", "SupplementaryGroups")[0].split()
    assert set(wanted) <= {*made, *debians}
