"""A terminal's whole life in the arm64 machine of `.ci/vm-image`, from an image to its erasure; prints one JSON object.

What a technician and an office do, they do with their own programs: `lifecert-fleet`, Mosquitto and `lifecert-provision` run here, the
terminal starts from the card that they make.

1. An image that is laid out as Raspberry Pi OS gets a data partition, and `card` makes it a terminal's.
2. It starts while the fleet is down; the power goes while it installs itself, and it goes on; it restarts once, and asks.
3. The fleet comes up: certificate, services, nothing secret left on the boot partition; the technician gets in by key, nobody by password.
4. A claim ends with a record at the fleet; the certificate is renewed; the system becomes read-only, and all of that goes on.
5. Programs come over the link and stay. Programs that do not start go back, and the terminal serves again.
6. Its certificate is taken back: the broker lets it in no more, and what it records meanwhile is kept.
7. A card that installed itself and has not asked yet is set up anew for another terminal, which joins, and is erased by the office.

Nothing here says anything about a Raspberry Pi, its firmware or its camera. Exit 0 if all holds, 1 if something does not.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.processes import free_port
from fleet.pki.files import REVOKED
from fleet.store.embedded import EmbeddedDatabase
from provisioning.identity import SEALING, SIGNING, STORAGE
from provisioning.joining import CERTIFICATE, KEY
from tests.agency import BY, Agency
from tests.vm.machine import HERE, IMAGE, PI_5, Drive, Machine, MachineFailed, command_line, say, wait_until
from tests.vm.seed import PARTS
from tests.vm.terminal import IDLE, present_claim, wait_services

ROOT = Path(__file__).resolve().parents[2]
FIRST, SECOND = "hall-1", "hall-2"
SYSTEM_MIB, DATA_MIB = 3584, 2816
"""As docs/image.md has it."""
_CUT_AFTER_S = 60.0
"""Of installing the programs, when the power goes."""
_START_S, _INSTALL_S, _UPDATE_S = 900.0, 3600.0, 7200.0
SOON_S = 10.0
"""Within which a certificate that was taken back opens no door any more."""
_NO_ANSWER = "no answer from the fleet"
_SECRETS = ("lifecert/claim.json", "lifecert/settings.toml", "user-data", "network-config")
_SETTINGS = f"""\
{PARTS}[uplink]
presence_s = 10
[updates]
# An emulator is slow, and its line is not.
bytes_per_s = 1073741824
examine_timeout_s = 7200
"""
_RENEW_NOW = "[Service]\nExecStart=\nExecStart=/opt/lifecert/venv/bin/lifecert-provision renew --out /etc/lifecert\n"
_SERIAL = (
    "/opt/lifecert/venv/bin/python -c 'from cryptography import x509; "
    'print(x509.load_pem_x509_certificates(open("/etc/lifecert/certificate.pem","rb").read())[0].serial_number)\''
)


@dataclass
class Site:
    """Office, technician and terminals of one run."""

    folder: Path
    agency: Agency
    report: dict[str, Any] = field(default_factory=dict)
    starts: int = 0
    ssh_port: int = 0

    @property
    def card(self) -> Path:
        """The first terminal's."""
        return self.folder / "cards" / f"{FIRST}.img"

    @property
    def other_card(self) -> Path:
        """The second one's, once the first has installed itself from it."""
        return self.folder / "cards" / f"{SECOND}.img"

    @contextmanager
    def started(self, card: Path) -> Iterator[Machine]:
        """A machine that starts from a card; its power is cut where the block ends."""
        self.starts += 1
        self.ssh_port = free_port()
        log = self.folder / f"start-{self.starts}.log"
        drives = (Drive("card", card),)
        with Machine(drives, log=log, root="/dev/vda2", processor=PI_5, ssh_port=self.ssh_port) as machine:
            yield machine

    def provision(self, *arguments: str) -> str:
        """Give an order on the technician's command line and return what it printed.

        Raises:
            MachineFailed: if it does not end with 0.
        """
        program = Path(sys.executable).with_name("lifecert-provision")
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, cwd=self.folder)
        if done.returncode:
            raise MachineFailed(f"lifecert-provision {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def log_in(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Try to get in as the technician and become root."""
        ask = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", *options)
        where = ("-p", str(self.ssh_port), "technician@127.0.0.1", "sudo -n id -un")
        return subprocess.run(["ssh", *ask, *where], capture_output=True, text=True, check=False, timeout=600)

    def wait_rows(self, statement: str, what: str, *, timeout_s: float = _START_S) -> list[tuple[object, ...]]:
        """Wait until the fleet's database answers with something."""
        wait_until(lambda: self.agency.rows(statement), what, timeout_s=timeout_s, poll_s=1.0)
        return self.agency.rows(statement)


@contextmanager
def opened(folder: Path) -> Iterator[Site]:
    """An office with an empty fleet, whose programs do not run yet."""
    shutil.rmtree(folder / "cards", ignore_errors=True)
    shutil.rmtree(folder / "agency", ignore_errors=True)
    (folder / "agency").mkdir(parents=True)
    database = EmbeddedDatabase(folder / "agency" / "database")
    try:
        extra = 'release_keys = "../release-keys.json"'
        ports = (free_port(), free_port(), free_port())
        agency = Agency(folder / "agency", database.start(), ports, name=HERE, extra=extra)
        try:
            yield Site(folder, agency)
        finally:
            agency.stop()
    finally:
        database.stop()


def make_cards(site: Site) -> None:
    """From an image and a list to a card, as docs/technician.md has it."""
    folder = site.folder
    for name in ("image.img", "release.pem", "release-keys.json", "technician", "technician.pub"):
        (folder / name).unlink(missing_ok=True)
    site.provision("bundle", "key", "--out", "release.pem", "--no-passphrase")
    site.agency.make()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "technician"], check=True)
    script = ROOT / "provisioning/image/add-data-partition"
    sizes = (str(SYSTEM_MIB), str(DATA_MIB))
    subprocess.run([script, IMAGE / "stock.img", folder / "image.img", *sizes], check=True)
    (folder / "settings.toml").write_text(_SETTINGS)
    for name in (FIRST, SECOND):
        (folder / f"{name}.csv").write_text(f"terminal_id,place,area\n{name},Hall,620102\n")
        claims = ("--list", str(folder / f"{name}.csv"), "--out", str(folder / "cards" / f"claims-{name}"))
        site.agency.run("pki", "claim", *claims, *BY)
    began = time.monotonic()
    site.provision(
        *("card", "--batch", f"{FIRST}.csv", "--claims", f"cards/claims-{FIRST}", "--out", "cards", *_for_all()),
        *("--image", "image.img"),
    )
    site.report["card_s"] = round(time.monotonic() - began, 1)


def _for_all() -> tuple[str, ...]:
    return (
        *("--wheelhouse", str(IMAGE / "wheelhouse"), "--release-keys", "release-keys.json"),
        *("--ssh-key", "technician.pub", "--settings", "settings.toml"),
    )


def install(site: Site) -> None:
    """The first start without a fleet, cut off once; afterwards there is a second card with the programs installed.

    Raises:
        MachineFailed: if it does not install itself, or does not ask.
    """
    with site.started(site.card) as machine:
        machine.wait_for("lifecert: installing the programs", timeout_s=_START_S)
        time.sleep(_CUT_AFTER_S)
        if any("lifecert: installed" in line for _, line in machine.lines):
            raise MachineFailed("it was installed before the power went")
    began = time.monotonic()
    with site.started(site.card) as machine:
        machine.wait_for("lifecert: installed; the terminal now asks", timeout_s=_INSTALL_S)
        site.report["install_s"] = round(time.monotonic() - began)
        # config.txt is another one now: it restarts.
        machine.wait_off(timeout_s=_START_S)
    # Before it asks: from then on it has keys of this name.
    subprocess.run(["cp", "--sparse=always", site.card, site.other_card], check=True)
    with site.started(site.card) as machine:
        machine.wait_for(r"lifecert-provision\[\d+\]: .*: no answer", timeout_s=_START_S)
        said = machine.run("sync; cat /boot/firmware/lifecert/status.txt")
        if _NO_ANSWER not in said:
            raise MachineFailed(f"status.txt: {said}")
        machine.run("systemctl poweroff", may_fail=True)
        machine.wait_off(timeout_s=_START_S)


def join(site: Site) -> None:
    """The fleet is there now.

    Raises:
        MachineFailed: if the terminal is not let in, or something secret is left.
    """
    site.agency.start()
    site.agency.wait_open()
    with site.started(site.card) as machine:
        machine.wait_for("lifecert: joined; the services start", timeout_s=_START_S)
        machine.wait_for(IDLE, timeout_s=_START_S)
        site.wait_rows(
            f"SELECT 1 FROM terminals WHERE terminal_id = '{FIRST}' AND presence_state = 'online'", "presence"
        )
        left = machine.run(f"cd /boot/firmware && ls {' '.join(_SECRETS)} 2>/dev/null", may_fail=True).split()
        if left:
            raise MachineFailed(f"left on the boot partition: {left}")
        site.report["services"] = wait_services(machine)
        _doors(site)
        machine.run("udevadm verify /etc/udev/rules.d/80-lifecert-stick.rules")
        serve(site, machine)
        renew(machine)
        serve(site, machine)
        make_read_only(machine)
    with site.started(site.card) as machine:
        machine.wait_for(IDLE, timeout_s=_START_S)
        how = machine.run(
            "findmnt -no OPTIONS / | cut -d, -f1; findmnt -no OPTIONS /boot/firmware | cut -d, -f1"
        ).split()
        if how != ["ro", "ro"]:
            raise MachineFailed(f"read-only: / and /boot/firmware are {how}")
        site.report["services_read_only"] = wait_services(machine)
        _nothing_beneath(machine)
        serve(site, machine)
        renew(machine)
        update(site, machine)
        withdraw(site, machine)


def _doors(site: Site) -> None:
    key = str(site.folder / "technician")
    came_in = site.log_in("-i", key)
    if came_in.stdout.strip() != "root":
        raise MachineFailed(f"ssh: the technician does not get in: {came_in.stderr}")
    kept_out = site.log_in("-o", "PubkeyAuthentication=no")
    if kept_out.returncode == 0 or "Permission denied (publickey)" not in kept_out.stderr:
        raise MachineFailed(f"ssh: it takes more than a key: {kept_out.stderr}")


def serve(site: Site, machine: Machine) -> None:
    """A claim, and its record at the fleet."""
    answer = present_claim(machine)
    site.wait_rows(
        f"SELECT 1 FROM records WHERE terminal_id = '{FIRST}' AND counter = {answer['counter']}", "the record"
    )


def renew(machine: Machine) -> None:
    """Renew the certificate as the timer's service does, though half of its time is not over.

    Raises:
        MachineFailed: if it stays the same, or is another one where none was due.
    """
    before = machine.run(_SERIAL)
    machine.run("systemctl start lifecert-renew.service", timeout_s=_START_S)
    if machine.run(_SERIAL) != before:
        raise MachineFailed("renewal: the certificate is another one though none was due")
    place = "/run/systemd/system/lifecert-renew.service.d"
    machine.run(
        f"mkdir -p {place} && printf '{_RENEW_NOW}' >{place}/now.conf && systemctl daemon-reload".replace("\n", "\\n")
    )
    machine.run("systemctl start lifecert-renew.service", timeout_s=_START_S)
    machine.run(f"rm -r {place} && systemctl daemon-reload")
    if machine.run(_SERIAL) == before:
        raise MachineFailed("renewal: the certificate stayed the same")


def make_read_only(machine: Machine) -> None:
    """As docs/image.md has it; it restarts by itself."""
    machine.start_order("/opt/lifecert/image/read-only")
    machine.wait_off(timeout_s=_START_S)


def _nothing_beneath(machine: Machine) -> None:
    bare = "/run/bare"
    machine.run(f"mkdir {bare} && mount --bind / {bare}")
    left = machine.run(f"find {bare}/etc/lifecert {bare}/var/lib/lifecert* -mindepth 1 | head").split()
    machine.run(f"umount {bare}")
    if left or machine.run("ls /data/beneath 2>/dev/null", may_fail=True):
        raise MachineFailed(f"read-only: {left} lie beneath the data")


def update(site: Site, machine: Machine) -> None:
    """Programs that are as good as the present ones, and then some that do not start.

    Raises:
        MachineFailed: if the first do not stay, the second do not go back, or nobody is served afterwards.
    """
    say("programs come over the link")
    began = time.monotonic()
    name = roll_out(site, 2, IMAGE / "wheelhouse")
    _wait_told(site, machine, r"^app: 2 \(number 2\)$", r"app: .* stays")
    site.report["update_s"] = round(time.monotonic() - began)
    # One roll-out of programs at a time.
    site.wait_rows(f"SELECT 1 FROM rollouts WHERE rollout_id = '{name}' AND state = 'done'", "the end of the roll-out")
    serve(site, machine)
    say("programs that do not start")
    began = time.monotonic()
    name = roll_out(site, 3, broken(site.folder / "broken"))
    _wait_told(site, machine, r"^app: 2 \(number 2\)$", r"app: .* went back, crash_loop")
    site.report["way_back_s"] = round(time.monotonic() - began)
    site.wait_rows(
        f"SELECT 1 FROM rollout_members WHERE rollout_id = '{name}' AND standing = 'went_back' AND why = 'crash_loop'",
        "what the office knows of it",
    )
    wait_services(machine)
    serve(site, machine)


def roll_out(site: Site, number: int, wheels: Path) -> str:
    """Make a bundle of programs, hand it to the fleet, and ask the terminal for it; return the roll-out's name."""
    out = site.folder / f"app-{number}.bundle"
    out.unlink(missing_ok=True)
    site.provision(
        *("bundle", "make", "--kind", "app", "--from", str(wheels), "--machine", "aarch64", "--python", "3.13"),
        *("--number", str(number), "--floor", "1", "--label", str(number), "--key", "release.pem", "--out", str(out)),
    )
    added = site.agency.run("updates", "add", str(out), *BY)
    bundle = re.search(r"\b[0-9a-f]{16,64}\b", added)
    if bundle is None:
        raise MachineFailed(f"updates add: {added}")
    made = site.agency.run(
        *("updates", "roll-out", "--bundle", bundle[0], "--canary", FIRST, "--shares", "100", "--soak-hours", "0"),
        *("--reason", "test", *BY),
    )
    name = re.search(r"\bro-\w+", made)
    if name is None:
        raise MachineFailed(f"updates roll-out: {made}")
    for person in ("Li Na", "Wang Fang"):
        site.agency.run("updates", "start", name[0], "--reason", "test", "--by", person)
    return name[0]


def broken(folder: Path) -> Path:
    """A wheelhouse whose programs pass their examination and end at once when they are to serve."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(IMAGE / "wheelhouse", folder)
    (wheel,) = folder.glob("lifecert-*.whl")
    whole = wheel.with_suffix(".whole")
    wheel.rename(whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename == "device/app/service.py":
                data += b'\nimport sys\nif "run" in sys.argv:\n    sys.exit("this program does not start")\n'
            target.writestr(entry, data)
    pinned = folder / "requirements.txt"
    before, after = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (whole, wheel))
    pinned.write_text(pinned.read_text().replace(before, after))
    whole.unlink()
    return folder


def _wait_told(site: Site, machine: Machine, *patterns: str) -> None:
    said = ""

    def is_told() -> bool:
        nonlocal said
        said = machine.run("/opt/lifecert/venv/bin/lifecert-terminal update status", timeout_s=_START_S, may_fail=True)
        return all(re.search(pattern, said, re.MULTILINE) for pattern in patterns)

    try:
        wait_until(is_told, "the update", timeout_s=_UPDATE_S, poll_s=60.0)
    except MachineFailed as error:
        raise MachineFailed(f"{error}; the terminal says\n{said}") from None


def withdraw(site: Site, machine: Machine) -> None:
    """Take the certificate back.

    Raises:
        MachineFailed: if the broker goes on taking it, or what is recorded meanwhile is not kept.
    """
    agency = site.agency
    listed = (agency.broker_dir / REVOKED).read_bytes()
    refused = agency.broker_log().count("certificate verify failed")
    began = time.monotonic()
    agency.run("pki", "revoke", FIRST, *BY)
    wait_until(lambda: (agency.broker_dir / REVOKED).read_bytes() != listed, "the list", timeout_s=SOON_S)
    agency.reload()
    wait_until(
        lambda: agency.rows(f"SELECT 1 FROM terminals WHERE terminal_id = '{FIRST}' AND presence_state = 'offline'"),
        "its end at the broker",
        timeout_s=SOON_S - (time.monotonic() - began),
    )
    site.report["out_after_s"] = round(time.monotonic() - began, 1)
    wait_until(
        lambda: agency.broker_log().count("certificate verify failed") > refused, "a refusal", timeout_s=_START_S
    )
    answer = present_claim(machine)
    told = machine.run("/opt/lifecert/venv/bin/lifecert-terminal outbox list --json", timeout_s=_START_S)
    counts = json.loads(told)["counts"]
    if counts["pending"] + counts["published"] < 1:
        raise MachineFailed(f"outbox: {counts}, expected a record that waits")
    if agency.rows(f"SELECT 1 FROM records WHERE terminal_id = '{FIRST}' AND counter = {answer['counter']}"):
        raise MachineFailed("a record came in with a certificate that was taken back")


def erase(site: Site) -> None:
    """The second card: set up anew, joined, and erased by the office's word.

    Raises:
        MachineFailed: if it is not, or a key is left.
    """
    claim = site.folder / "cards" / f"claims-{SECOND}" / f"{SECOND}.claim"
    site.provision("card", str(site.other_card), "--claim", str(claim), "--again", *_for_all())
    with site.started(site.other_card) as machine:
        machine.wait_for("lifecert: joined; the services start", timeout_s=_START_S)
        machine.wait_for(IDLE, timeout_s=_START_S)
        site.wait_rows(
            f"SELECT 1 FROM terminals WHERE terminal_id = '{SECOND}' AND presence_state = 'online'", "presence"
        )
        began = time.monotonic()
        site.agency.run("terminals", "command", SECOND, "decommission", "--yes", "--reason", "test", *BY)
        site.wait_rows(
            f"SELECT 1 FROM terminals WHERE terminal_id = '{SECOND}' AND decommissioned_at IS NOT NULL", "its proof"
        )
        site.report["erased_after_s"] = round(time.monotonic() - began)
        wait_until(
            lambda: machine.run("systemctl is-active lifecert-erased", may_fail=True).strip() == "active",
            "the page of an erased terminal",
            timeout_s=_START_S,
            poll_s=2.0,
        )
        _nothing_left(machine)
    with site.started(site.other_card) as machine:
        machine.run("systemctl is-system-running --wait", timeout_s=_START_S, may_fail=True)
        states = {
            unit: machine.run(f"systemctl is-active {unit}", may_fail=True).strip()
            for unit in ("lifecert-erased", "lifecert-terminal", "lifecert-uplink")
        }
        if list(states.values()) != ["active", "inactive", "inactive"]:
            raise MachineFailed(f"erased: {states}")
        site.report["after_erasure"] = states
        _nothing_left(machine)


def _nothing_left(machine: Machine) -> None:
    keys = " ".join(f"/etc/lifecert/{name}" for name in (SIGNING, SEALING, STORAGE, KEY, CERTIFICATE))
    left = machine.run(f"ls {keys} /var/lib/lifecert/*.sqlite* 2>/dev/null", may_fail=True).split()
    if left:
        raise MachineFailed(f"erased: {left} are left")


def play(folder: Path) -> dict[str, Any]:
    """Do everything; return what came of it.

    Raises:
        MachineFailed: if something does not hold.
    """
    began = time.monotonic()
    with opened(folder) as site:
        site.report["computer"] = {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
        steps: tuple[tuple[str, Callable[[Site], None]], ...] = (
            ("a card", make_cards),
            ("its first start, without a fleet", install),
            ("the fleet is there", join),
            ("another card, until it is erased", erase),
        )
        for what, step in steps:
            say(what)
            step(site)
        site.report["seconds"] = round(time.monotonic() - began)
        return site.report


if __name__ == "__main__":
    sys.exit(command_line(play, "card", __doc__ or ""))
