"""Provisioning: how a new terminal comes to its certificate, and to new ones, over HTTPS.

A technician brings a claim, made at the fleet: a code that is good once and for hours, with where the fleet is and whom to trust. It
travels as a file on the card, as a QR code, or typed: the code, the address of the fleet's door, and the fingerprint of its root
certificate. Whoever types it gets the root from the door, which anybody could have answered, compares it, and only then, over TLS that
trusts this root alone, gives the code and gets the claim. The keys are made on the terminal and never leave it.
"""

from __future__ import annotations

import secrets
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from protocol import base45, grouped
from protocol.envelope import sign, verify
from protocol.errors import Malformed
from protocol.ids import FleetId, TerminalId
from protocol.keys import PrivateKey, PublicJwk
from protocol.wire import UtcTime, WireMessage

RENEWAL_TYP = "lifecert-renewal"
JOIN_PATH = "/provisioning/v1/join"
RENEW_PATH = "/provisioning/v1/renew"
ROOT_PATH = "/provisioning/v1/root"
"""The fleet's root certificate in PEM, for everybody: GET."""
CLAIM_PATH = "/provisioning/v1/claim"
"""The whole claim for a code that was typed."""
MAX_REQUEST_BYTES = 32 * 1024
_CODE_CHARACTERS = 16
"""80 bits: guessed once in 10^16 tries by a million guesses a second over the hours that a claim is good for."""
MAX_URL = 200
_QR = "LIFECERT:"

ClaimCode = Annotated[str, StringConstraints(pattern=rf"^[{grouped.ALPHABET}]{{{_CODE_CHARACTERS}}}$")]
_Pem = Annotated[str, StringConstraints(min_length=1, max_length=8192)]


class ProvisioningClaim(WireMessage):
    """What a technician brings to a terminal that knows nothing yet."""

    TYPE: ClassVar[str] = "provisioning-claim"
    VERSION: ClassVar[int] = 1

    type: Literal["provisioning-claim"] = "provisioning-claim"
    version: Literal[1] = 1
    fleet_id: FleetId
    url: Annotated[str, StringConstraints(pattern=r"^https://[^\s/?#@]+(:[0-9]+)?/?$", max_length=MAX_URL)]
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


class ClaimQuestion(WireMessage):
    """What is asked by a code that was typed; answered by the claim, which stays as good as it was."""

    TYPE: ClassVar[str] = "claim-question"
    VERSION: ClassVar[int] = 1
    MAX_BYTES: ClassVar[int] = 1024

    type: Literal["claim-question"] = "claim-question"
    version: Literal[1] = 1
    code: ClaimCode


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
    return "".join(secrets.choice(grouped.ALPHABET) for _ in range(_CODE_CHARACTERS))


def shown(code: str) -> str:
    """Return a code as people read it: in groups, with a sign that finds slips."""
    return grouped.shown(code)


def typed(text: str) -> str:
    """Return the code that somebody typed, as `shown` gave it.

    Raises:
        Malformed: if it is none, or mistyped.
    """
    return grouped.typed(text, length=_CODE_CHARACTERS, what="code", code="claim_code")


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
