"""A terminal's whole way, with nothing left out: claim, card, certificate, broker, first record, renewal, swap, refused, erased.

Everything is what an agency runs: `lifecert-fleet` as a program, its door over HTTPS, Mosquitto with the files the fleet wrote, the
terminal's uplink as a program.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy import text

from device.adapters.outbox_sqlite import SqliteOutbox
from fleet.pki.files import REVOKED
from fleet.store.database import Database
from protocol.keys import PrivateKey
from provisioning.identity import FLEET, SEALING, SIGNING, STORAGE
from provisioning.joining import CERTIFICATE, KEY, ROOT
from tests.conftest import FleetTerminal, free_port
from tests.integration.conftest import UplinkProcess

pytestmark = [pytest.mark.integration, pytest.mark.system, pytest.mark.provisioning]
SOON_S = 10.0
PATIENCE_S = 60.0


class Agency:
    """A fleet and a broker, as programs."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.database_url = database_url
        self.broker_port, self.door_port = free_port(), free_port()
        self.broker_dir = folder / "broker"
        self.config = folder / "fleet.toml"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.config.write_text(
            f"""
fleet_id = "north"
data_dir = "fleet-data"
database = "{database_url}"
[web]
port = {free_port()}
[broker]
mode = "external"
host = "localhost"
port = {self.broker_port}
ca_file = "{self.broker_dir}/trusted.pem"
certificate_file = "{self.broker_dir}/fleet.pem"
key_file = "{self.broker_dir}/fleet.key"
[provisioning]
port = {self.door_port}
broker_host = "localhost"
broker_port = {self.broker_port}
broker_dir = "{self.broker_dir}"
"""
        )

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", "from fleet.cli import main; main()", *arguments, "--config", str(self.config)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def start(self) -> None:
        self.run("init")
        self.run("pki", "init", "--by", "Li Na")
        self.run("pki", "broker-config", "--host", "localhost", "--out", str(self.broker_dir), "--by", "Li Na")
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        assert program, "mosquitto is not installed: make system-packages"
        (self.folder / "mosquitto.conf").write_text(f"user root\ninclude_dir {self.broker_dir}\n")
        self.broker = self.begin([program, "-c", str(self.folder / "mosquitto.conf")], "broker.log")
        self.begin(
            [sys.executable, "-c", "from fleet.cli import main; main()", "serve", "--config", str(self.config)],
            "fleet.log",
        )

    def begin(self, command: list[str], log: str) -> subprocess.Popen[bytes]:
        with (self.folder / log).open("wb") as file:
            self.processes.append(subprocess.Popen(command, stdout=file, stderr=file))
        return self.processes[-1]

    def reload(self) -> None:
        """What systemd does when the list is another one (systemd/lifecert-broker-reload.path)."""
        self.broker.send_signal(signal.SIGHUP)

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        with closing(Database(self.database_url)) as database, database.begin() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def stop(self) -> None:
        for each in reversed(self.processes):
            each.terminate()
            each.wait(20)


@pytest.fixture
def agency(tmp_path: Path, database_url: str) -> Iterator[Agency]:
    made = Agency(tmp_path, database_url)
    made.start()
    yield made
    made.stop()


def until(holds: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def provision(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from provisioning.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def settings_of(folder: Path, agency: Agency) -> Path:
    path = folder / "terminal.toml"
    path.write_text(
        f"""
[terminal]
fleet_id = "north"
terminal_id = "t-1"
data_dir = "data"
[keys]
signing = "{SIGNING}"
sealing = "{SEALING}"
storage = "{STORAGE}"
fleet = "{FLEET}"
[broker]
host = "localhost"
port = {agency.broker_port}
tls_ca = "{ROOT}"
tls_certificate = "{CERTIFICATE}"
tls_key = "{KEY}"
[uplink]
poll_s = 0.05
reconnect_base_s = 0.1
reconnect_cap_s = 0.5
"""
    )
    return path


def test_from_a_claim_to_the_first_record_and_out_again(agency: Agency, tmp_path: Path) -> None:
    claim, keys = tmp_path / "claim.json", tmp_path / "terminal"
    agency.run("pki", "claim", "--area", "east", "--terminal", "t-1", "--out", str(claim), "--by", "Li Na")
    card = tmp_path / "bootfs"
    written = provision("card", str(card), "--claim", str(claim))
    assert written.returncode == 0, written.stderr
    here = card / "lifecert"
    # As lifecert-join.service does.
    brought = (
        str(here / "claim.json"),
        "--terminal-file",
        str(here / "terminal-id"),
        "--settings-part",
        str(here / "settings.toml"),
    )
    joined = provision("join", *brought, "--out", str(keys), "--wait-s", "60")
    assert joined.returncode == 0, joined.stderr
    made = tomllib.loads((keys / "terminal.toml").read_text())
    assert made["broker"] | {"host": "localhost", "port": agency.broker_port} == made["broker"]
    assert (keys / CERTIFICATE).exists()

    terminal = FleetTerminal("north", "t-1")
    terminal.signing = PrivateKey.load(keys / SIGNING)
    outbox = SqliteOutbox(keys / "data" / "outbox.sqlite", max_rows=100, max_bytes=1 << 20)
    at = datetime.fromtimestamp(time.time(), UTC)
    outbox.append(lambda _counter, _previous: terminal.next(at=at))
    uplink = UplinkProcess(settings_of(keys, agency))
    try:
        until(lambda: agency.rows("SELECT 1 FROM records WHERE terminal_id = 't-1'"))
        until(lambda: outbox.counts().acknowledged + outbox.counts().refused == 1)
        until(lambda: agency.rows("SELECT 1 FROM terminals WHERE presence_state = 'online'"))

        early = provision("renew", "--out", str(keys), "--if-due")
        assert (early.returncode, early.stdout) == (0, "")
        before = x509.load_pem_x509_certificates((keys / CERTIFICATE).read_bytes())[0].serial_number
        renewed = provision("renew", "--out", str(keys))
        assert renewed.returncode == 0, renewed.stderr
        after = x509.load_pem_x509_certificates((keys / CERTIFICATE).read_bytes())[0].serial_number
        assert after != before

        listed = (agency.broker_dir / REVOKED).read_bytes()
        successor, second = tmp_path / "successor.claim", tmp_path / "second"
        agency.run("terminals", "swap", "t-1", "--claim-out", str(successor), "--new", "t-2", "--by", "Li Na")
        assert provision("join", str(successor), "--out", str(second), "--wait-s", "60").returncode == 0
        started = time.monotonic()
        until(lambda: (agency.broker_dir / REVOKED).read_bytes() != listed, SOON_S)
        agency.reload()
        # Put off: the broker gives its will, and it does not come in again.
        until(
            lambda: (
                agency.rows("SELECT 1 FROM terminals WHERE presence_state = 'offline'")
                or b"certificate verify failed" in (agency.folder / "broker.log").read_bytes()
            ),
            SOON_S,
        )
        until(lambda: b"certificate verify failed" in (agency.folder / "broker.log").read_bytes(), SOON_S)
        assert time.monotonic() - started < SOON_S
        refused = provision("renew", "--out", str(keys))
        assert refused.returncode == 1
        assert "in service" in refused.stderr
    finally:
        uplink.kill()
        outbox.close()
    assert agency.rows("SELECT terminal_id, replaced_by, area FROM terminals ORDER BY 1") == [
        ("t-1", "t-2", "east"),
        ("t-2", None, "east"),
    ]
    erased = provision(
        *("decommission", "--yes", "--config", str(settings_of(keys, agency)), "--out", str(tmp_path / "proof"))
    )
    assert erased.returncode == 0, erased.stderr
    assert "the fleet has the statement" in erased.stdout
    assert agency.rows("SELECT 1 FROM terminals WHERE terminal_id = 't-1' AND decommissioned_at IS NOT NULL")
    assert not any((keys / name).exists() for name in (SIGNING, SEALING, STORAGE, KEY, CERTIFICATE))
    again = provision("join", str(claim), "--out", str(tmp_path / "other"), "--wait-s", "0")
    assert again.returncode == 1
    assert "each claim is for one terminal" in again.stderr
