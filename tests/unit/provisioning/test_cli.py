"""The technician's tool as the process it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.commissioning import COMMISSIONING_TYP, CommissioningReport, CommissioningStep, Question
from protocol.envelope import sign
from protocol.examples import examples
from protocol.keys import PrivateKey, short_key_id
from protocol.registration import FleetIdentity, read_registration
from protocol.selftest import Check, SelftestReport
from provisioning import leaving
from provisioning.errors import ProvisioningError

PROGRAM = "from provisioning.cli import main; main()"


def provision(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "200", "TERM": "dumb"} | environment,
    )


def make(out: Path, terminal: str = "t-1") -> subprocess.CompletedProcess[str]:
    return provision("identity", "--fleet-id", "north", "--terminal-id", terminal, "--out", out)


def fleet_file(folder: Path, fleet_id: str = "north") -> Path:
    path = folder / "fleet-identity.json"
    path.write_bytes(FleetIdentity(fleet_id=fleet_id, signing_key=PrivateKey.generate().public()).to_bytes())
    return path


def terminal_program(folder: Path, stdout: bytes, code: int, stderr: str = "") -> Path:
    """A program that stands where the terminal's would and prints what its self test would."""
    folder.joinpath("report").write_bytes(stdout)
    path = folder / "lifecert-terminal"
    path.write_text(
        f"#!/bin/sh\nprintf '%s' \"$*\" > {folder}/arguments\ncat {folder}/report\n"
        f"printf '%s\\n' '{stderr}' >&2\nexit {code}\n"
    )
    path.chmod(0o755)
    return path


def report(*checks: Check) -> bytes:
    return SelftestReport(software="lifecert 0", python="3.11", machine="board", checks=checks).to_bytes()


def test_identity_makes_keys_only_the_owner_reads_and_a_registration_the_fleet_can_check(tmp_path: Path) -> None:
    out = tmp_path / "keys"
    done = make(out)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        "registration.jws",
        "sealing.pem",
        "signing.pem",
        "storage.key",
    ]
    for name in ("sealing.pem", "signing.pem", "storage.key"):
        assert (out / name).stat().st_mode & 0o777 == 0o600
    registration = read_registration((out / "registration.jws").read_bytes())
    assert (registration.fleet_id, registration.terminal_id) == ("north", "t-1")
    assert registration.signing_key == PrivateKey.load(out / "signing.pem").public()
    assert registration.sealing_key == PrivateKey.load(out / "sealing.pem").public()
    assert registration.signing_key.key_id in done.stdout
    assert short_key_id(registration.signing_key.key_id) in done.stdout
    assert len((out / "storage.key").read_bytes()) == 32


def test_identity_never_replaces_anything(tmp_path: Path) -> None:
    assert make(tmp_path).returncode == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    done = make(tmp_path, "t-2")
    assert done.returncode == 1
    assert "signing.pem" in done.stderr
    assert done.stderr.count("\n") == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["T 1", "", "a/b", "+", "x" * 64])
def test_a_name_that_is_no_topic_level_is_refused_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    done = make(tmp_path / "keys", name)
    assert done.returncode == 1
    assert "terminal_id: lower-case letters" in done.stderr
    assert not (tmp_path / "keys").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = make(tmp_path / "file" / "keys")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_a_missing_option_is_a_usage_error() -> None:
    assert provision("identity", "--fleet-id", "north").returncode == 2


def test_accept_fleet_can_be_repeated_and_shows_the_fingerprint(tmp_path: Path) -> None:
    out = tmp_path / "keys"
    make(out)
    source = fleet_file(tmp_path)
    key_id = FleetIdentity.parse(source.read_bytes()).signing_key.key_id
    for _ in range(2):
        done = provision("accept-fleet", source, "--out", out)
        assert done.returncode == 0, done.stderr
        assert key_id in done.stdout
    assert FleetIdentity.parse((out / "fleet.json").read_bytes()) == FleetIdentity.parse(source.read_bytes())


def test_another_fleets_identity_does_not_replace_the_one_that_is_there(tmp_path: Path) -> None:
    source = fleet_file(tmp_path)
    provision("accept-fleet", source, "--out", tmp_path / "keys")
    before = (tmp_path / "keys" / "fleet.json").read_bytes()
    done = provision("accept-fleet", fleet_file(tmp_path), "--out", tmp_path / "keys")
    assert done.returncode == 1
    assert "holds another identity" in done.stderr
    assert (tmp_path / "keys" / "fleet.json").read_bytes() == before


def test_a_sealing_key_is_added_to_an_identity_without_one_and_never_replaced(tmp_path: Path) -> None:
    out = tmp_path / "keys"
    old = FleetIdentity(fleet_id="north", signing_key=PrivateKey.generate().public())
    new = old.model_copy(update={"sealing_key": PrivateKey.generate().public()})
    other = old.model_copy(update={"sealing_key": PrivateKey.generate().public()})
    steps = [(old, "accepted", old), (new, "accepted", new), (old, "accepted before", new), (other, None, new)]
    for identity, said, kept in steps:
        (tmp_path / "fleet-identity.json").write_bytes(identity.to_bytes())
        done = provision("accept-fleet", tmp_path / "fleet-identity.json", "--out", out)
        if said is None:
            assert (done.returncode, "holds another identity" in done.stderr) == (1, True)
        else:
            assert said in done.stdout, done.stderr
        assert FleetIdentity.parse((out / "fleet.json").read_bytes()) == kept


def test_the_identity_of_a_fleet_the_terminal_is_not_registered_for_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "keys")
    done = provision("accept-fleet", fleet_file(tmp_path, "south"), "--out", tmp_path / "keys")
    assert done.returncode == 1
    assert "this terminal is of 'north'" in done.stderr


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"type": "fleet-identity", "version": 9}'])
def test_a_file_that_is_no_fleet_identity_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    done = provision("accept-fleet", tmp_path / "x.json", "--out", tmp_path / "keys")
    assert done.returncode == 1
    assert "not a fleet identity" in done.stderr
    assert not (tmp_path / "keys").exists()


def test_a_missing_fleet_file_is_one_line(tmp_path: Path) -> None:
    done = provision("accept-fleet", tmp_path / "none.json", "--out", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "No such file" in done.stderr


def test_check_shows_what_to_do_about_a_failed_check_and_exits_1(tmp_path: Path) -> None:
    checks = (
        Check(name="networks", status="passed", detail="4 files", seconds=1.2),
        Check(name="storage", status="failed", detail="read-only; remount the data partition", seconds=0),
        Check(name="camera", status="skipped", detail="simulated", seconds=0),
    )
    program = terminal_program(tmp_path, report(*checks), 1)
    done = provision("check", "--program", program, "--config", tmp_path / "t.toml")
    assert done.returncode == 1
    assert "remount the data partition" in done.stdout
    assert "1 of 3 checks failed" in done.stdout
    assert (tmp_path / "arguments").read_text() == f"selftest --json --config {tmp_path}/t.toml"


def test_check_of_a_terminal_in_order_exits_0_and_gives_its_report_as_json(tmp_path: Path) -> None:
    data = report(Check(name="clock", status="passed", detail="network", seconds=0.1))
    program = terminal_program(tmp_path, data, 0)
    assert provision("check", "--program", program).returncode == 0
    done = provision("check", "--program", program, "--json")
    assert json.loads(done.stdout) == json.loads(data)


def test_a_terminal_that_refuses_its_settings_ends_check_with_78_and_its_own_words(tmp_path: Path) -> None:
    program = terminal_program(tmp_path, b"", 78, "t.toml: broker.port: missing")
    done = provision("check", "--program", program)
    assert done.returncode == 78
    assert "t.toml: broker.port: missing" in done.stderr


def test_a_terminal_that_gives_no_report_is_a_failure(tmp_path: Path) -> None:
    assert provision("check", "--program", terminal_program(tmp_path, b"\xff<html>", 0)).returncode == 1
    done = provision("check", "--program", tmp_path / "none")
    assert done.returncode == 1
    assert "is the terminal program installed?" in done.stderr


def test_logs_and_the_end_are_the_terminals_own_work(tmp_path: Path) -> None:
    program = terminal_program(tmp_path, b"packed", 0)
    config, out = tmp_path / "t.toml", tmp_path / "out"
    done = provision("logs", "--program", program, "--config", config, "--out", out, "--log", "a", "--log", "b")
    assert (done.returncode, done.stdout) == (0, "packed")
    assert (tmp_path / "arguments").read_text() == f"logs --config {config} --out {out} --log a --log b"
    refused = terminal_program(tmp_path, b"", 1, "3 records are here that the fleet has not confirmed")
    done = provision("decommission", "--program", refused, "--config", config, "--out", out, "--export", "/media/x")
    assert done.returncode == 1
    assert done.stderr == "3 records are here that the fleet has not confirmed\n"
    wanted = f"decommission --config {config} --out {out} --lose-records 0 --taken-there --export /media/x"
    assert (tmp_path / "arguments").read_text() == wanted


def test_a_proof_that_does_not_reach_the_fleet_is_to_be_taken_there(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"proof")
    program = terminal_program(tmp_path, b"", 0)
    given = ("--program", program, "--config", tmp_path / "t.toml", "--out", tmp_path / "out", "--yes")
    done = provision("decommission", *given)
    assert done.returncode == 1
    assert "the fleet does not know yet" in done.stderr
    assert f"take {tmp_path / 'out'} there" in done.stderr


@pytest.mark.parametrize(
    ("active", "code", "stopped"),
    [
        ("lifecert-kiosk.service lifecert-screen.socket lifecert-terminal.service", 0, True),
        ("lifecert-kiosk.service lifecert-screen.socket lifecert-terminal.service", 1, False),
        ("lifecert-kiosk.service lifecert-renew.timer", 0, False),
    ],
)
def test_services_are_stopped_for_the_end_but_not_for_a_wish_that_is_none_nor_for_each_try_to_tell_the_fleet(
    tmp_path: Path, active: str, code: int, stopped: bool
) -> None:
    (tmp_path / "out").write_bytes(b"proof")
    (tmp_path / "systemctl").write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\n[ "$1" != is-active ] || case " {active} " in *" $3 "*) ;; *) exit 3 ;; esac\n'
    )
    (tmp_path / "systemctl").chmod(0o755)
    program = terminal_program(tmp_path, b"", code)
    given = ("--program", program, "--config", tmp_path / "t.toml", "--out", tmp_path / "out", "--yes", "--if-asked")
    assert provision("decommission", *given, PATH=f"{tmp_path}:{os.environ['PATH']}").returncode == 1
    last = (
        f"decommission-asked --config {tmp_path / 't.toml'}"
        if code
        else "--lose-records 0 --taken-there --yes --if-asked"
    )
    assert (tmp_path / "arguments").read_text().endswith(last)
    calls = tmp_path / "asked"
    asked = [
        line for line in (calls.read_text().splitlines() if calls.exists() else []) if not line.startswith("is-active")
    ]
    names = active.split()
    renewal = [] if code else ["stop lifecert-renew.service"]
    again = [f"start --no-block {' '.join(reversed(names))}", f"start --no-block {leaving.ERASED}"]
    # A renewal that is under way is stopped before the keys go, and nobody but its timer begins another.
    assert asked == ([f"stop {active}", *renewal, *again] if stopped else renewal)


@pytest.mark.parametrize("does", ["rm -f", "true", "false"])
def test_nobody_has_the_statement_while_keys_lie_beneath_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    mark, program, statement = tmp_path / "beneath", tmp_path / "systemctl", tmp_path / "out"
    statement.touch()
    program.write_text(f'#!/bin/sh\n[ "$*" = "start lifecert-beneath.service" ] && {does} {mark}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    leaving.sweep_beneath(statement, mark)
    mark.touch()
    if does != "rm -f":
        with pytest.raises(ProvisioningError, match="read-only sweep"):
            leaving.sweep_beneath(statement, mark)
    else:
        leaving.sweep_beneath(statement, mark)
    assert mark.exists() == (does != "rm -f")
    assert statement.exists() == (does == "rm -f")


def test_version() -> None:
    assert provision("--version").stdout.startswith("lifecert-provision ")


def test_a_commissioning_asks_what_the_terminal_asks_and_keeps_what_it_signed(tmp_path: Path) -> None:
    example = examples()[COMMISSIONING_TYP]
    assert isinstance(example, CommissioningReport)
    signed = sign(example.to_bytes(), key=PrivateKey.generate(), typ=COMMISSIONING_TYP)
    steps = [
        CommissioningStep(question=Question.PRESS_START),
        CommissioningStep(check=example.checks[0]),
        CommissioningStep(report=signed.decode()),
    ]
    program = tmp_path / "lifecert-terminal"
    ask = CommissioningStep(question=Question.HEARD).to_bytes().decode()
    program.write_text(
        f"#!/bin/sh\nprintf '%s' \"$*\" > {tmp_path}/arguments\necho a library says something\necho '{ask}'\nread said\n"
        f'echo "$said" > {tmp_path}/said\n'
        + "".join(f"echo '{step.to_bytes().decode()}'\n" for step in steps)
        + "exit 1\n"
    )
    program.chmod(0o755)
    common = ("commission", "--program", program, "--language", "en", "--out", tmp_path / "out", "--config", "t.toml")
    done = provision(*common, "--answer", "heard=no")
    assert (tmp_path / "arguments").read_text() == "commission --lines --config t.toml"
    assert (tmp_path / "said").read_text() == "no\n"
    assert done.returncode == 1, done.stderr
    assert "Press the START button once." in done.stdout
    assert "failed Seat and height: Too low: raise the terminal by about 8.2 cm" in done.stdout
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".json", ".jws", ".pdf"]
    # Nobody at the keyboard: no answer is given, and none is made up.
    assert provision(*common).returncode == 1
    assert (tmp_path / "said").read_text() == "\n"


def test_a_terminal_that_ends_without_a_report_is_told_with_what_it_said(tmp_path: Path) -> None:
    program = terminal_program(tmp_path, b"", 78, "t.toml: brokr: unknown key")
    done = provision("commission", "--program", program)
    assert done.returncode == 78
    assert "brokr: unknown key" in done.stderr


def test_a_terminal_that_ends_while_somebody_answers_is_told(tmp_path: Path) -> None:
    program = tmp_path / "lifecert-terminal"
    program.write_text(
        f"#!/bin/sh\nexec <&-\necho '{CommissioningStep(question=Question.HEARD).to_bytes().decode()}'\nexit 3\n"
    )
    program.chmod(0o755)
    done = provision("commission", "--program", program, "--answer", "heard=yes")
    assert done.returncode == 1
    assert "no report (exit code 3)" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("--answer", "heard"), ("--answer", "press_start=maybe"), ("--language", "fr"), ("--answer", "x=yes")]
)
def test_answers_and_languages_that_are_none_are_usage_errors(arguments: tuple[str, str]) -> None:
    assert provision("commission", *arguments).returncode == 2


def test_a_target_is_written_where_it_can_be(tmp_path: Path) -> None:
    assert provision("target", tmp_path / "t.svg").returncode == 0
    assert (tmp_path / "t.svg").read_text().startswith("<svg")
    assert provision("target", tmp_path / "t.png").returncode == 2
    assert provision("target", tmp_path / "none" / "t.svg").returncode == 1
