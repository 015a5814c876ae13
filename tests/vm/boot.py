"""Boots the arm64 machine of `.ci/vm-image` and looks whether its terminal keeps its promises; prints one JSON object.

1. How long from the kernel's end (systemd begins) to a terminal that is ready (`READY=1`) and to one that takes claims (session IDLE):
   `counted`, on one core whose clock moves by a nanosecond with every instruction, which hardly depends on the computer and must be
   at most `LONGEST_START_S`; and `emulated`, on two cores in real time, which is what this computer made of it today. There, `computer_s`
   is the processor time the emulator took meanwhile, and `serial_*` what the serial console says, in real time.
2. Both services are active, the screen's page comes through the port that systemd holds, and a claim ends with a stored record.
3. A terminal whose loop stands still is started again by the watchdog.
4. The power is cut while a record is being stored, at its first and at a later write to the disk: at the next start every record that was
   answered for is there, signed and chained, and the counter goes on.

Nothing here says anything about a Raspberry Pi: an emulator knows no caches, no memory speed and no card.
Exit 0 if all holds, 1 if something does not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device.adapters.outbox_sqlite import SqliteOutbox
from protocol.envelope import sha256_of, typ_of, verify
from protocol.events import EVENT_TYP, TerminalEvent
from protocol.keys import PublicJwk
from protocol.records import RECORD_TYP, CertificationRecord
from protocol.registration import read_registration
from tests.vm.machine import IMAGE, Machine, MachineFailed, command_line, say, set_up, wait_until
from tests.vm.terminal import CLAIM_S, IDLE, START_S, claim_order, present_claim, properties, wait_services

LONGEST_START_S = 15.0
"""What the project asks of a start beyond the kernel."""
_WATCHDOG_S = 30.0
"""`WatchdogSec=` of the terminal's unit."""
_CUTS = (1, 3)
"""At which write of a record the power goes: storing one takes some four (the write-ahead log, and the file system's own journal)."""
_COMMIT_S = 6
"""The file system holds writes back for 5 s at most (`commit=` of ext4(5))."""
_LINKS: dict[str, type[CertificationRecord] | type[TerminalEvent]] = {
    RECORD_TYP: CertificationRecord,
    EVENT_TYP: TerminalEvent,
}
_PROGRAM = "/opt/lifecert/venv/bin/python"
_GET_PAGE = "/usr/bin/python3 -c 'import urllib.request as w; w.urlopen(\"http://127.0.0.1:8088/\", timeout=50).read()'"
_HANDOVER, _READY = r"^vm: handing over", r"Started .*lifecert-terminal"


@dataclass
class Story:
    """What one data partition has been through."""

    data: Path
    answered: list[str] = field(default_factory=list)
    """SHA-256 of every record the terminal said was stored."""
    stored: int = 0
    """Links of the chain known to be on the disk: those records, the terminal's events, and what a power cut left unanswered."""


def start_times(machine: Machine) -> dict[str, float]:
    """Wait for a terminal that takes claims; return when it did what, in seconds of the machine after systemd began."""
    handed_over_s, before_s = machine.wait_for(_HANDOVER, timeout_s=START_S), machine.computer_s
    ready_s = machine.wait_for(_READY, timeout_s=START_S)
    idle_s, after_s = machine.wait_for(IDLE, timeout_s=START_S), machine.computer_s
    manager = properties(machine.run("systemctl show -p UserspaceTimestampMonotonic"))
    unit = properties(
        machine.run(
            "systemctl show lifecert-terminal -p InactiveExitTimestampMonotonic -p ActiveEnterTimestampMonotonic"
        )
    )
    begun = int(manager["UserspaceTimestampMonotonic"])
    idle = machine.run("journalctl -b -u lifecert-terminal -o json --output-fields=MESSAGE | grep -m1 state=idle")
    return {
        "kernel_s": round(begun / 1e6, 2),
        "terminal_begun_s": _after(begun, unit["InactiveExitTimestampMonotonic"]),
        "terminal_ready_s": _after(begun, unit["ActiveEnterTimestampMonotonic"]),
        "terminal_idle_s": _after(begun, json.loads(idle)["__MONOTONIC_TIMESTAMP"]),
        "terminal_cpu_s": cpu_s(machine, "lifecert-terminal"),
        "serial_ready_s": round(ready_s - handed_over_s, 2),
        "serial_idle_s": round(idle_s - handed_over_s, 2),
        "computer_s": round(after_s - before_s, 2),
    }


def cpu_s(machine: Machine, unit: str) -> float:
    """Return the processor time a unit has used."""
    return round(int(properties(machine.run(f"systemctl show {unit} -p CPUUsageNSec"))["CPUUsageNSec"]) / 1e9, 2)


def _after(begun: int, moment: str) -> float:
    return round((int(moment) - begun) / 1e6, 2)


def claim(machine: Machine, story: Story) -> dict[str, Any]:
    """Present a claim and wait for its record.

    Raises:
        MachineFailed: if there is none.
    """
    answer = present_claim(machine)
    if answer["counter"] <= story.stored:
        raise MachineFailed(
            f"claim: its record has the counter {answer['counter']}, which was used before ({story.stored})"
        )
    story.answered.append(answer["sha256"])
    story.stored = answer["counter"]
    return answer


def stop_the_loop(machine: Machine) -> dict[str, float]:
    """Stop the terminal's process as if it hung, and wait until the watchdog has got it going again.

    Raises:
        MachineFailed: if it does not, or not soon.
    """
    begun_s = machine.now_s
    machine.run("systemctl kill --signal=SIGSTOP --kill-whom=main lifecert-terminal")
    noticed_s = machine.wait_for(r"lifecert-terminal.*Watchdog timeout", timeout_s=_WATCHDOG_S * 3, since_s=begun_s)
    idle_s = machine.wait_for(IDLE, timeout_s=START_S, since_s=noticed_s)
    restarts = properties(machine.run("systemctl show lifecert-terminal -p NRestarts"))["NRestarts"]
    if restarts != "1":
        raise MachineFailed(f"watchdog: {restarts} restarts, expected 1")
    return {"noticed_after_s": round(noticed_s - begun_s, 1), "idle_again_after_s": round(idle_s - begun_s, 1)}


def cut_while_storing(machine: Machine, story: Story, at_write: int) -> dict[str, Any]:
    """Present a claim and switch the machine off at the given write of its record; look at what is left.

    Raises:
        MachineFailed: if nothing was written, or a record is missing or not as it was.
    """
    say(f"a power cut at write {at_write} of a record")
    machine.wait_for(IDLE, timeout_s=CLAIM_S, since_s=machine.now_s)
    quiet = _writes_when_quiet(machine)
    machine.start_order(claim_order())
    wait_until(lambda: machine.written("data") >= quiet + at_write, "a write", timeout_s=CLAIM_S, poll_s=0.0005)
    machine.cut_power()
    before = story.stored
    look_at_records(story)
    return {"at_write": at_write, "links_before": before, "links_after": story.stored}


def _writes_when_quiet(machine: Machine) -> int:
    """Wait until the file system has written what it holds back, and return the count of writes."""
    machine.run("sync")
    before, now = -1, machine.written("data")
    while now != before:
        time.sleep(_COMMIT_S)
        before, now = now, machine.written("data")
    return now


def look_at_records(story: Story) -> None:
    """Look at the chain on the data partition of a machine that is off: signed, linked, counted without a gap, and none missing.

    Raises:
        MachineFailed: if it is not so.
    """
    digests = _digests_of(story.data)
    if missing := [digest for digest in story.answered if digest not in digests]:
        raise MachineFailed(f"records: {len(missing)} of {len(story.answered)} are lost")
    if len(digests) < story.stored:
        raise MachineFailed(f"chain: {len(digests)} links found, there were {story.stored}")
    story.stored = len(digests)


def _digests_of(data: Path) -> list[str]:
    folder = IMAGE / "found"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    copy = folder / "data.img"
    shutil.copyfile(data, copy)
    # What the machine does at its next start; 1 says that something was set right.
    if subprocess.run(["e2fsck", "-p", copy], stdout=subprocess.DEVNULL, check=False).returncode > 1:
        raise MachineFailed("data partition: its file system needs a hand")
    for name in ("outbox.sqlite", "outbox.sqlite-wal"):
        subprocess.run(["debugfs", "-R", f"dump /{name} {folder / name}", copy], capture_output=True, check=True)
    outbox = SqliteOutbox(folder / "outbox.sqlite", max_rows=1000, max_bytes=2**30)
    rows = outbox.unconfirmed(1000)
    outbox.close()
    shutil.rmtree(folder)
    key = read_registration((IMAGE / "system/etc/lifecert/registration.jws").read_bytes()).signing_key
    digests: list[str] = []
    for number, row in enumerate(rows, start=1):
        link = _link(row.envelope, key)
        if (link.counter, link.previous) != (number, digests[-1] if digests else None):
            raise MachineFailed(f"link {number}: its counter is {link.counter}, or its chain is broken")
        digests.append(sha256_of(row.envelope))
    return digests


def _link(envelope: bytes, key: PublicJwk) -> CertificationRecord | TerminalEvent:
    typ = typ_of(envelope)
    return _LINKS[typ].parse(verify(envelope, key_of=lambda _: key, typ=typ).payload)


def profile(machine: Machine, to: Path) -> None:
    """Write down where the time of a start goes."""
    to.write_text(
        "\n\n".join(
            machine.run(command, timeout_s=START_S)
            for command in (
                "systemd-analyze blame",
                "systemd-analyze critical-chain lifecert-terminal.service",
                f"{_PROGRAM} -X importtime -c 'import device.cli, device.app.service'",
            )
        ),
        encoding="utf-8",
    )


def play(folder: Path) -> dict[str, Any]:
    """Do everything; return what came of it.

    Raises:
        MachineFailed: if something does not hold.
    """
    began = time.monotonic()
    story = Story(folder / "data.img")
    report: dict[str, Any] = {"computer": {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}}
    say("counting the instructions of a start")
    shutil.copyfile(IMAGE / "data.img", story.data)
    with Machine(set_up(story.data), log=folder / "counted.log", is_counted=True) as machine:
        report["counted"] = start_times(machine)
    shutil.copyfile(IMAGE / "data.img", story.data)
    say("a start in real time")
    with Machine(set_up(story.data), log=folder / "start-1.log") as machine:
        report["emulated"] = start_times(machine)
        report["services"] = wait_services(machine)
        report["systemd_analyze"] = " ".join(machine.run("systemd-analyze time").split())
        profile(machine, folder / "profile.txt")
        say("a page, a claim, and a terminal that hangs")
        machine.run(_GET_PAGE)
        claim(machine, story)
        report["watchdog"] = stop_the_loop(machine)
        claim(machine, story)
        cuts = [cut_while_storing(machine, story, _CUTS[0])]
    for number, at_write in enumerate([*_CUTS[1:], None], start=2):
        with Machine(set_up(story.data), log=folder / f"start-{number}.log") as machine:
            machine.wait_for(IDLE, timeout_s=START_S)
            claim(machine, story)
            if at_write is not None:
                cuts.append(cut_while_storing(machine, story, at_write))
    look_at_records(story)
    report["power_cuts"] = cuts
    report["records"] = {"answered": len(story.answered), "lost": 0, "links": story.stored}
    report["seconds"] = round(time.monotonic() - began)
    if report["counted"]["terminal_idle_s"] > LONGEST_START_S:
        raise MachineFailed(
            f"start: {json.dumps(report['counted'])}, expected an idle session within {LONGEST_START_S} s"
        )
    return report


if __name__ == "__main__":
    sys.exit(command_line(play, "boot", __doc__ or ""))
