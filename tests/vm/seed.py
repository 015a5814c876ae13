"""Makes what a provisioned terminal has before its first start: settings and keys, and the data folder with policy and roster."""

from __future__ import annotations

import argparse
import base64
import secrets
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2

from device.adapters.clock_system import SystemClock
from device.adapters.inference_tflite import open_networks
from device.adapters.policy_file import FilePolicyStore
from device.adapters.references_sqlite import SqliteReferenceStore
from device.app.enrol import reference_of
from protocol.documents import check_digit, claim_token, parse_document
from protocol.envelope import sign
from protocol.keys import PrivateKey
from protocol.policy import POLICY_TYP, default_policy
from protocol.references import CaptureKind
from protocol.registration import FleetIdentity
from protocol.roster import RosterEntry, RosterPage

ROOT = Path(__file__).resolve().parents[2]
FLEET, TERMINAL = "vm", "vm-1"
NUMBER, STRANGER = (stem + check_digit(stem) for stem in ("99999919400101001", "99999919500101002"))
"""Invented: of somebody on the roster, and of nobody."""
PARTS = """\
[camera]
kind = "simulated"
[panel]
kind = "simulated"
[ring_light]
kind = "simulated"
[voice]
kind = "none"
[screen]
kind = "web"
[simulated]
control_socket = "/run/lifecert/control.sock"
"""
"""Of a terminal's settings, where the machine has none of the parts."""
SETTINGS = f"""\
[terminal]
fleet_id = "{FLEET}"
terminal_id = "{TERMINAL}"
languages = ["zh", "en"]
[keys]
signing = "credential:signing"
sealing = "credential:sealing"
storage = "credential:storage"
{PARTS}"""


def seed(settings: Path, data: Path) -> None:
    """Provision a terminal as a technician would, and let the fleet's policy and roster have arrived."""
    settings.mkdir(parents=True)
    data.mkdir(parents=True, mode=0o700)
    provision = Path(sys.executable).parent / "lifecert-provision"
    names = ("--fleet-id", FLEET, "--terminal-id", TERMINAL)
    subprocess.run([provision, "identity", *names, "--out", settings], check=True, stdout=subprocess.DEVNULL)
    fleet = PrivateKey.generate()
    with tempfile.TemporaryDirectory() as folder:
        identity = Path(folder, "identity.json")
        identity.write_bytes(FleetIdentity(fleet_id=FLEET, signing_key=fleet.public()).to_bytes())
        subprocess.run([provision, "accept-fleet", identity, "--out", settings], check=True, stdout=subprocess.DEVNULL)
    (settings / "terminal.toml").write_text(SETTINGS)
    FilePolicyStore(data / "policy.jws", fleet.public()).apply(
        sign(default_policy().to_bytes(), key=fleet, typ=POLICY_TYP)
    )
    store = SqliteReferenceStore(data / "references.sqlite", settings / "storage.key", SystemClock(data / "time.json"))
    if not store.apply(_roster()):
        sys.exit("seed: the roster was not taken")
    store.close()


def _roster() -> RosterPage:
    now = datetime.fromtimestamp(time.time(), UTC)
    claim_key, feature_key = secrets.token_bytes(32), secrets.token_bytes(32)
    video = cv2.VideoCapture(str(ROOT / "demo/people/live_om.mp4"))
    _, picture = video.read()
    video.release()
    reference = reference_of(
        cv2.imencode(".png", picture)[1].tobytes(),
        open_networks(ROOT / "models"),
        name="reference",
        key=feature_key,
        key_domain="d-1",
        capture=CaptureKind.LIVE,
        now=now,
    )
    entry = RosterEntry(
        roster_version=1,
        subject_id="5" * 32,
        claim_token=claim_token(parse_document(NUMBER), claim_key),
        references=(reference,),
    )
    return RosterPage(
        fleet_id=FLEET,
        terminal_id=TERMINAL,
        issued_at=now,
        # The machine is kept for later runs.
        expires_at=now + timedelta(days=3650),
        after=0,
        upto=1,
        complete=True,
        claim_key=_text_of(claim_key),
        feature_keys={"d-1": _text_of(feature_key)},
        entries=(entry,),
    )


def _text_of(secret: bytes) -> str:
    return base64.urlsafe_b64encode(secret).rstrip(b"=").decode()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=Path, required=True, help="becomes /etc/lifecert")
    parser.add_argument("--data", type=Path, required=True, help="becomes /var/lib/lifecert")
    given = parser.parse_args()
    seed(given.settings, given.data)
