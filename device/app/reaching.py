"""Who this terminal is and what it reaches, for its commissioning: keys, the way out, broker and fleet."""

from __future__ import annotations

import secrets
import socket
from contextlib import closing, suppress
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from device.adapters.clock_system import SystemClock
from device.adapters.references_sqlite import SqliteReferenceStore
from device.adapters.signer_keyfile import KeyfileSigner, load_fleet_identity, load_private_key
from device.commissioning import judging
from device.settings import Settings
from device.uplink.inbox import Inbox
from device.uplink.probe import Probe, Reached
from protocol.commissioning import CommissioningCheck, Part
from protocol.envelope import verify
from protocol.errors import ProtocolError
from protocol.times import best_guess
from protocol.trust import client_context

ANSWER_S: Final = 15.0
"""For the fleet's answer; a loaded fleet commits within seconds."""
_CHALLENGE_TYP: Final = "lifecert-commissioning-challenge"
_CONNECT_S: Final = 10.0


def check_keys(settings: Settings, signer: KeyfileSigner, now: datetime) -> CommissioningCheck:
    """Have the key sign a challenge, and see that certificate, name and fleet are this terminal's.

    Raises:
        KeyUnusable: if a key or the fleet's identity cannot be used.
        ProtocolError: if the signature does not hold.
        OSError: if a certificate cannot be read.
        ValueError: if it is none.
    """
    terminal, broker = settings.terminal, settings.broker
    key = load_private_key(settings.keys.signing.path).public()
    challenge = secrets.token_bytes(32)
    signed = signer.sign(challenge, _CHALLENGE_TYP)
    if verify(signed, key_of=lambda _key_id: key, typ=_CHALLENGE_TYP).payload != challenge:
        raise ValueError("the key signs something else than it is given")
    load_fleet_identity(settings.keys.fleet, fleet_id=terminal.fleet_id)
    if broker.tls_certificate is None or broker.tls_key is None:
        return judging.check(Part.KEYS, "passed", "no_certificate")
    certificate = x509.load_pem_x509_certificates(broker.tls_certificate.read_bytes())[0]
    own = load_pem_private_key(broker.tls_key.path.read_bytes(), None).public_key()
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificate.public_key().public_bytes(*form) != own.public_bytes(*form):
        return judging.check(Part.KEYS, "failed", "wrong_key")
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(names[0].value) if names else ""
    if name != terminal.terminal_id:
        return judging.check(Part.KEYS, "failed", "wrong_name", {"name": name[:80]})
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begins <= now < ends:
        facts = {"begins": f"{begins:%Y-%m-%d}", "ends": f"{ends:%Y-%m-%d}"}
        return judging.check(Part.KEYS, "failed", "not_in_force", facts)
    return judging.check(Part.KEYS, "passed", "good")


def check_network(settings: Settings, now: datetime) -> CommissioningCheck:
    """Look for a way to the broker, and shake hands with the fleet's door where `lifecert-provision join` left word of one."""
    host, port = settings.broker.host, settings.broker.port
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except OSError:
        return judging.check(Part.NETWORK, "failed", "no_name", {"host": host[:200]})
    try:
        # No packet goes: the kernel only says which way it would take.
        with socket.socket(address[0], socket.SOCK_DGRAM) as probe:
            probe.connect(address[4])
            own = str(probe.getsockname()[0])
    except OSError:
        return judging.check(Part.NETWORK, "failed", "no_route")
    try:
        _reach_door(settings, now)
    except (OSError, ProtocolError) as error:
        facts = {"host": _door_host(settings)[:200], "what": str(error)[:200]}
        return judging.check(Part.NETWORK, "failed", "no_door", facts)
    return judging.check(Part.NETWORK, "passed", "good", {"address": own, "host": host[:200]})


def ask_fleet(settings: Settings, signer: KeyfileSigner, clock: SystemClock) -> Reached:
    """Ask the fleet something over a connection of this terminal's own.

    Raises:
        KeyUnusable: if a key, a certificate or the fleet's identity cannot be used.
        ReferencesUnavailable: if the roster cannot be looked at.
    """
    terminal = settings.terminal
    inbox = Inbox(
        fleet_id=terminal.fleet_id,
        terminal_id=terminal.terminal_id,
        fleet_key=load_fleet_identity(settings.keys.fleet, fleet_id=terminal.fleet_id).signing_key,
        sealing_key=load_private_key(settings.keys.sealing.path),
    )
    have = _roster_version(settings, clock)
    return Probe(settings, signer, inbox, have=have, now=lambda: best_guess(clock.peek())).ask(ANSWER_S)


def judge_broker(settings: Settings, reached: Reached) -> CommissioningCheck:
    """Say whether the broker let this terminal in."""
    if reached.connected_ms is None:
        facts = {"host": f"{settings.broker.host[:200]}:{settings.broker.port}"[:200], "what": reached.why[:200]}
        return judging.check(Part.BROKER, "failed", "refused", facts)
    how = "plain" if settings.broker.tls_ca is None else "good"
    return judging.check(Part.BROKER, "passed", how, {"took": reached.connected_ms})


def judge_fleet(reached: Reached) -> CommissioningCheck:
    """Say whether the fleet answered."""
    if reached.answered_ms is not None:
        return judging.check(Part.FLEET, "passed", "good", {"took": reached.answered_ms})
    if reached.why:
        return judging.check(Part.FLEET, "failed", "refused", {"what": reached.why[:200]})
    return judging.check(Part.FLEET, "failed", "silent", {"waited": ANSWER_S})


def _reach_door(settings: Settings, now: datetime) -> None:
    folder = settings.keys.fleet.parent
    try:
        door, root = urlsplit((folder / "door.txt").read_text()), (folder / "root.pem").read_text()
    except FileNotFoundError:
        return
    where = (door.hostname or "", door.port or 443)
    context = client_context(root, now=now)
    with socket.create_connection(where, timeout=_CONNECT_S) as plain:
        context.wrap_socket(plain, server_hostname=where[0]).close()


def _door_host(settings: Settings) -> str:
    with suppress(OSError):
        return urlsplit((settings.keys.fleet.parent / "door.txt").read_text()).netloc
    return ""


def _roster_version(settings: Settings, clock: SystemClock) -> int:
    if not settings.references_path.exists() or not settings.keys.storage.path.exists():
        return 0
    with closing(SqliteReferenceStore(settings.references_path, settings.keys.storage.path, clock)) as references:
        return references.version()
