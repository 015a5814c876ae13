"""Who this terminal is and what it reaches, for its commissioning: keys, the way out, broker and fleet."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from device.adapters.clock_system import SystemClock
from device.adapters.reaching_files import FileReaching
from device.adapters.signer_keyfile import KeyfileSigner, load_fleet_identity, load_private_key
from device.commissioning.check import check
from device.settings import Settings
from device.uplink.reaching import ANSWER_S, OwnReach
from protocol.commissioning import CommissioningCheck, Part
from protocol.envelope import verify

_CHALLENGE_TYP: Final = "lifecert-commissioning-challenge"
_UPLINK_S: Final = 4 * ANSWER_S
"""For the uplink's answer: it looks each second, opens the door in 10 s, connects in as many, and waits for the fleet."""
_LOOK_S: Final = 0.2


class Reach(Protocol):
    """Tries network, broker and fleet, in this order."""

    def of(self, part: Part) -> CommissioningCheck:
        """Try one of them. Raises what cannot be told otherwise, as errors of ours or of the system."""


class UplinkReach:
    """Has the uplink try, where this process has no network of its own.

    Args:
        files: where it is asked.
        patience_s: how long it may take.
    """

    def __init__(self, files: FileReaching, *, patience_s: float = _UPLINK_S) -> None:
        self._files = files
        self._patience_s = patience_s
        self._found: Mapping[Part, CommissioningCheck] | None = None

    def of(self, part: Part) -> CommissioningCheck:
        """Return what the uplink found; asked once. Raises `ReportsUnavailable` if it cannot be asked."""
        if self._found is None:
            self._found = {each.part: each for each in self._ask()}
        if part in self._found:
            return self._found[part]
        if part is Part.NETWORK:
            return check(part, "failed", "no_uplink", {"waited": self._patience_s})
        return check(part, "skipped", "needs", {"part": Part.NETWORK.value})

    def _ask(self) -> tuple[CommissioningCheck, ...]:
        asked = self._files.ask()
        try:
            deadline = time.monotonic() + self._patience_s
            while time.monotonic() < deadline:
                found = self._files.answered(asked)
                if found is not None:
                    return found
                time.sleep(_LOOK_S)
            return ()
        finally:
            self._files.forget()


def reach_of(settings: Settings, signer: KeyfileSigner, clock: SystemClock) -> Reach:
    """Return what tries network, broker and fleet from here: this process, or the uplink where this one is shut off from every network."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except OSError:
        return UplinkReach(FileReaching(settings.reaching_path))
    return OwnReach(settings, signer, clock)


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
        return check(Part.KEYS, "passed", "no_certificate")
    certificate = x509.load_pem_x509_certificates(broker.tls_certificate.read_bytes())[0]
    own = load_pem_private_key(broker.tls_key.path.read_bytes(), None).public_key()
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificate.public_key().public_bytes(*form) != own.public_bytes(*form):
        return check(Part.KEYS, "failed", "wrong_key")
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(names[0].value) if names else ""
    if name != terminal.terminal_id:
        return check(Part.KEYS, "failed", "wrong_name", {"name": name[:80]})
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begins <= now < ends:
        facts = {"begins": f"{begins:%Y-%m-%d}", "ends": f"{ends:%Y-%m-%d}"}
        return check(Part.KEYS, "failed", "not_in_force", facts)
    return check(Part.KEYS, "passed", "good")
