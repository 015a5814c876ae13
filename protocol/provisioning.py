"""Provisioning: how a new terminal comes to its certificate, and to new ones, over HTTPS.

A technician brings a claim, made at the fleet: a code that is good once and for hours, with where the fleet is and whom to trust. It
travels as a file on the card, as a QR code, or, where the rest is on the card already, as the code alone, typed. The keys are made on
the terminal and never leave it.
"""

from __future__ import annotations

import secrets
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from protocol import base45
from protocol.envelope import sign, verify
from protocol.errors import Malformed
from protocol.ids import FleetId, TerminalId
from protocol.keys import PrivateKey, PublicJwk
from protocol.wire import UtcTime, WireMessage

RENEWAL_TYP = "lifecert-renewal"
JOIN_PATH = "/provisioning/v1/join"
RENEW_PATH = "/provisioning/v1/renew"
MAX_REQUEST_BYTES = 32 * 1024
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without I, L, O and U. Source: D. Crockford, "Base 32", which also reads I and L as 1 and O as 0."""
_MISREAD = str.maketrans("ILO", "110")
_CODE_CHARACTERS = 16
"""80 bits: guessed once in 10^16 tries by a million guesses a second over the hours that a claim is good for."""
_QR = "LIFECERT:"

ClaimCode = Annotated[str, StringConstraints(pattern=rf"^[{_ALPHABET}]{{{_CODE_CHARACTERS}}}$")]
_Pem = Annotated[str, StringConstraints(min_length=1, max_length=8192)]


class ProvisioningClaim(WireMessage):
    """What a technician brings to a terminal that knows nothing yet."""

    TYPE: ClassVar[str] = "provisioning-claim"
    VERSION: ClassVar[int] = 1

    type: Literal["provisioning-claim"] = "provisioning-claim"
    version: Literal[1] = 1
    fleet_id: FleetId
    url: Annotated[str, StringConstraints(pattern=r"^https://[^\s/?#@]+(:[0-9]+)?/?$", max_length=200)]
    """The fleet's door for new terminals."""
    root: _Pem
    """The fleet's root certificate: the only one that is trusted from here on."""
    code: ClaimCode
    terminal_id: TerminalId | None = None
    """Which terminal this will be; None where that is said on the spot."""
    expires_at: UtcTime

    def to_qr(self) -> str:
        """Return the text of the QR code; all of it is in the code's alphanumeric set."""
        return _QR + base45.encode(self.to_bytes())

    @classmethod
    def from_qr(cls, text: str) -> ProvisioningClaim:
        """Read a QR code.

        Raises:
            ProtocolError: if it is none of ours.
        """
        if not text.startswith(_QR):
            raise Malformed("provisioning-claim: not the QR code of one")
        return cls.parse(base45.decode(text.removeprefix(_QR)))


class JoinRequest(WireMessage):
    """What a terminal sends with its claim."""

    TYPE: ClassVar[str] = "join-request"
    VERSION: ClassVar[int] = 1
    MAX_BYTES: ClassVar[int] = MAX_REQUEST_BYTES

    type: Literal["join-request"] = "join-request"
    version: Literal[1] = 1
    code: ClaimCode
    request: _Pem
    """PKCS #10 in PEM, for the key it will connect with."""
    registration: Annotated[str, StringConstraints(min_length=1, max_length=16384)]
    """JWS of terminal-registration."""
    board_serial: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,64}$")] | None = None
    """As the board tells it: one board that comes under two names is looked at by a person."""


class JoinAnswer(WireMessage):
    """What the fleet answers."""

    TYPE: ClassVar[str] = "join-answer"
    VERSION: ClassVar[int] = 1
    MAX_BYTES: ClassVar[int] = 64 * 1024

    type: Literal["join-answer"] = "join-answer"
    version: Literal[1] = 1
    verdict: Literal["joined", "waits"]
    """`waits`: for a person at the fleet; ask again."""
    certificate: _Pem | None = None
    """With the issuing authority's, in PEM."""
    fleet_identity: Annotated[str, StringConstraints(max_length=4096)] | None = None
    """The message fleet-identity as JSON."""
    broker_host: Annotated[str, StringConstraints(max_length=253)] | None = None
    broker_port: int | None = Field(default=None, ge=1, le=65535)


class Renewal(WireMessage):
    """A terminal that has joined asks for its next certificate, signed with its signing key.

    It has no time in it: a clock that was lost must not keep a terminal from its certificate, and who sends an old one again gets a
    certificate for a key they do not have.
    """

    TYPE: ClassVar[str] = "renewal"
    VERSION: ClassVar[int] = 1
    MAX_BYTES: ClassVar[int] = MAX_REQUEST_BYTES

    type: Literal["renewal"] = "renewal"
    version: Literal[1] = 1
    fleet_id: FleetId
    terminal_id: TerminalId
    request: _Pem


def new_code() -> str:
    """Return a code nobody can guess."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_CHARACTERS))


def shown(code: str) -> str:
    """Return a code as people read it: in groups of four."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def typed(text: str) -> str:
    """Return the code that somebody typed, with whatever between the groups, in either case, and with the letters that are misread.

    Raises:
        Malformed: if it is none.
    """
    found = "".join(text.split()).replace("-", "").upper().translate(_MISREAD)
    if len(found) != _CODE_CHARACTERS or not set(found) <= set(_ALPHABET):
        raise Malformed(f"code: {_CODE_CHARACTERS} letters and digits expected, in four groups", code="claim_code")
    return found


def sign_renewal(renewal: Renewal, key: PrivateKey) -> bytes:
    """Return the signed request."""
    return sign(renewal.to_bytes(), key=key, typ=RENEWAL_TYP)


def read_renewal(token: bytes, key: PublicJwk) -> Renewal:
    """Check a request by the key of the terminal.

    Raises:
        ProtocolError: if it does not hold.
    """
    verified = verify(token, key_of=key.only, typ=RENEWAL_TYP)
    return Renewal.parse(verified.payload)
