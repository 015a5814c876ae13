"""A terminal's whole way, with nothing left out: claim, card, certificate, broker, first record, renewal, swap, refused, erased.

Everything is what an agency runs: `lifecert-fleet` as a program, its door over HTTPS, Mosquitto with the files the fleet wrote, the
terminal's uplink as a program.
"""

from __future__ import annotations

import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from device.adapters.outbox_sqlite import SqliteOutbox
from fleet.pki.files import REVOKED
from protocol.keys import PrivateKey
from provisioning.identity import FLEET, SEALING, SIGNING, STORAGE
from provisioning.joining import CERTIFICATE, KEY, ROOT
from tests.agency import Agency
from tests.conftest import FleetTerminal
from tests.integration.conftest import UplinkProcess

pytestmark = [pytest.mark.integration, pytest.mark.system, pytest.mark.provisioning]
SOON_S = 10.0
PATIENCE_S = 60.0


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


def settings_of(folder: Path, running_agency: Agency) -> Path:
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
port = {running_agency.broker_port}
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


def test_from_a_claim_to_the_first_record_and_out_again(running_agency: Agency, tmp_path: Path) -> None:
    claim, keys = tmp_path / "claim.json", tmp_path / "terminal"
    running_agency.run("pki", "claim", "--area", "east", "--terminal", "t-1", "--out", str(claim), "--by", "Li Na")
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
    assert made["broker"] | {"host": "localhost", "port": running_agency.broker_port} == made["broker"]
    assert (keys / CERTIFICATE).exists()

    terminal = FleetTerminal("north", "t-1")
    terminal.signing = PrivateKey.load(keys / SIGNING)
    outbox = SqliteOutbox(keys / "data" / "outbox.sqlite", max_rows=100, max_bytes=1 << 20)
    at = datetime.fromtimestamp(time.time(), UTC)
    outbox.append(lambda _counter, _previous: terminal.next(at=at))
    uplink = UplinkProcess(settings_of(keys, running_agency))
    try:
        until(lambda: running_agency.rows("SELECT 1 FROM records WHERE terminal_id = 't-1'"))
        until(lambda: outbox.counts().acknowledged + outbox.counts().refused == 1)
        until(lambda: running_agency.rows("SELECT 1 FROM terminals WHERE presence_state = 'online'"))

        early = provision("renew", "--out", str(keys), "--if-due")
        assert (early.returncode, early.stdout) == (0, "")
        before = x509.load_pem_x509_certificates((keys / CERTIFICATE).read_bytes())[0].serial_number
        renewed = provision("renew", "--out", str(keys))
        assert renewed.returncode == 0, renewed.stderr
        after = x509.load_pem_x509_certificates((keys / CERTIFICATE).read_bytes())[0].serial_number
        assert after != before

        listed = (running_agency.broker_dir / REVOKED).read_bytes()
        successor, second = tmp_path / "successor.claim", tmp_path / "second"
        running_agency.run("terminals", "swap", "t-1", "--claim-out", str(successor), "--new", "t-2", "--by", "Li Na")
        assert provision("join", str(successor), "--out", str(second), "--wait-s", "60").returncode == 0
        started = time.monotonic()
        until(lambda: (running_agency.broker_dir / REVOKED).read_bytes() != listed, SOON_S)
        running_agency.reload()
        # Put off: the broker gives its will, and it does not come in again.
        until(
            lambda: (
                running_agency.rows("SELECT 1 FROM terminals WHERE presence_state = 'offline'")
                or "certificate verify failed" in running_agency.broker_log()
            ),
            SOON_S,
        )
        until(lambda: "certificate verify failed" in running_agency.broker_log(), SOON_S)
        assert time.monotonic() - started < SOON_S
        refused = provision("renew", "--out", str(keys))
        assert refused.returncode == 1
        assert "in service" in refused.stderr
    finally:
        uplink.kill()
        outbox.close()
    assert running_agency.rows("SELECT terminal_id, replaced_by, area FROM terminals ORDER BY 1") == [
        ("t-1", "t-2", "east"),
        ("t-2", None, "east"),
    ]
    erased = provision(
        *("decommission", "--yes", "--config", str(settings_of(keys, running_agency)), "--out", str(tmp_path / "proof"))
    )
    assert erased.returncode == 0, erased.stderr
    assert "the fleet has the statement" in erased.stdout
    assert "take " not in erased.stdout
    assert running_agency.rows("SELECT 1 FROM terminals WHERE terminal_id = 't-1' AND decommissioned_at IS NOT NULL")
    assert not any((keys / name).exists() for name in (SIGNING, SEALING, STORAGE, KEY, CERTIFICATE))
    again = provision("join", str(claim), "--out", str(tmp_path / "other"), "--wait-s", "0")
    assert again.returncode == 1
    assert "claim: another terminal came with it; get another claim" in again.stderr
