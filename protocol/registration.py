"""Registration: how a terminal's public keys reach the fleet, and the fleet's reach the terminal."""

from __future__ import annotations

import base64
from typing import ClassVar, Literal

from protocol.envelope import key_id_of, sign, verify
from protocol.errors import SignatureInvalid
from protocol.ids import FleetId, TerminalId
from protocol.keys import PrivateKey, PublicJwk
from protocol.wire import UtcTime, WireMessage

REGISTRATION_TYP = "lifecert-registration"


class TerminalRegistration(WireMessage):
    """A terminal's public keys, signed with the signing key itself: proof that its owner holds it."""

    TYPE: ClassVar[str] = "terminal-registration"
    VERSION: ClassVar[int] = 1

    type: Literal["terminal-registration"] = "terminal-registration"
    version: Literal[1] = 1
    fleet_id: FleetId
    terminal_id: TerminalId
    signing_key: PublicJwk
    sealing_key: PublicJwk
    made_at: UtcTime


class FleetIdentity(WireMessage):
    """What a terminal must know of its fleet before it can trust anything from it."""

    TYPE: ClassVar[str] = "fleet-identity"
    VERSION: ClassVar[int] = 1

    type: Literal["fleet-identity"] = "fleet-identity"
    version: Literal[1] = 1
    fleet_id: FleetId
    signing_key: PublicJwk
    sealing_key: PublicJwk | None = None
    """What only the fleet may read is sealed to this key; None in files of fleets that had none yet."""


def sign_registration(registration: TerminalRegistration, key: PrivateKey) -> bytes:
    """Return the self-signed registration."""
    return sign(registration.to_bytes(), key=key, typ=REGISTRATION_TYP)


def read_registration(token: bytes) -> TerminalRegistration:
    """Check a self-signed registration.

    Raises:
        ProtocolError: if it is malformed or was not signed by the key inside it.
    """
    claimed_id = key_id_of(token)
    # The key to verify with stands inside the payload; what is read here is trusted only if that key made the signature.
    unverified = TerminalRegistration.parse(_payload_of(token))
    if unverified.signing_key.key_id != claimed_id:
        raise SignatureInvalid("registration: signed by another key than the one it presents")
    verified = verify(token, key_of=lambda _: unverified.signing_key, typ=REGISTRATION_TYP)
    return TerminalRegistration.parse(verified.payload)


def _payload_of(token: bytes) -> bytes:
    part = token.split(b".")[1]
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
