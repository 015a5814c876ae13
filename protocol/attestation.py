"""The fleet's statement that a key is that of one of its terminals, for whoever holds a slip and knows the fleet's key alone.

A statement is packed (`protocol.packed`) and signed by itself, because it travels inside every slip: version, the terminal's key as a
compressed point, first and last day, fleet, terminal. The terminal gets it in a message like any other from the fleet.

There is no list of withdrawn statements: who checks a slip may have no network. What a terminal signed while it was in service stays
verifiable until the last day of its statement, also after it was retired.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Literal

from pydantic import Field, TypeAdapter, ValidationError

from protocol import base64url
from protocol.envelope import sign, signature_of, verify, verify_detached
from protocol.errors import Malformed, NotForUs, UnsupportedVersion
from protocol.ids import FleetId, TerminalId
from protocol.keys import COMPRESSED_BYTES, PrivateKey, PublicJwk
from protocol.packed import Unpacker, packed_day, packed_text
from protocol.wire import UtcTime, WireMessage

ATTESTATION_TYP = "lifecert-attestation"
STATEMENT_TYP = "lifecert-terminal-key"
"""`typ` of the statement inside: its signature is worth nothing for any other message."""
SIGNATURE_BYTES = 64
_VERSION = 1
_FLEET: TypeAdapter[str] = TypeAdapter(FleetId)
_TERMINAL: TypeAdapter[str] = TypeAdapter(TerminalId)
_BASE64URL = r"^[A-Za-z0-9_-]+$"


@dataclass(frozen=True, slots=True)
class KeyStatement:
    """The key of terminal T of fleet F, and the days for which the fleet vouches for it; both are included."""

    fleet_id: str
    terminal_id: str
    key: PublicJwk
    valid_from: date
    valid_until: date


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A statement with the bytes the fleet signed."""

    statement: KeyStatement
    payload: bytes
    signature: bytes


class TerminalAttestation(WireMessage):
    """Brings a terminal the fleet's statement about its key."""

    TYPE: ClassVar[str] = "terminal-attestation"
    VERSION: ClassVar[int] = 1

    type: Literal["terminal-attestation"] = "terminal-attestation"
    version: Literal[1] = 1
    fleet_id: FleetId
    terminal_id: TerminalId
    issued_at: UtcTime
    """A terminal keeps the statement that was issued last."""
    statement: str = Field(pattern=_BASE64URL, max_length=400)
    """The packed statement as the fleet signed it, base64url."""
    signature: str = Field(pattern=_BASE64URL, max_length=100)
    """Its signature under the type `lifecert-terminal-key`, base64url of 64 bytes."""

    def opened(self, fleet_key: PublicJwk) -> SignedStatement:
        """Return the statement inside, verified and about this terminal.

        Raises:
            ProtocolError: if it does not hold or is about another one.
        """
        try:
            payload, signature = base64url.decode(self.statement), base64url.decode(self.signature)
        except (binascii.Error, ValueError) as error:
            raise Malformed(f"{self.TYPE}: statement or signature is not base64url") from error
        statement = read_statement(payload, signature, fleet_key)
        if (statement.fleet_id, statement.terminal_id) != (self.fleet_id, self.terminal_id):
            raise NotForUs(f"{self.TYPE}: the statement inside is about another terminal")
        return SignedStatement(statement, payload, signature)


def state_key(statement: KeyStatement, key: PrivateKey) -> SignedStatement:
    """Sign a statement with the fleet's key.

    Raises:
        Malformed: if its parts are no ids or no key, or its days are in the wrong order.
    """
    payload = (
        bytes([_VERSION])
        + statement.key.compressed()
        + packed_day(statement.valid_from)
        + packed_day(statement.valid_until)
        + packed_text(statement.fleet_id)
        + packed_text(statement.terminal_id)
    )
    checked = parse_statement(payload)
    token = sign(payload, key=key, typ=STATEMENT_TYP)
    signature = signature_of(token, payload=payload, key_id=key.key_id, typ=STATEMENT_TYP)
    return SignedStatement(checked, payload, signature)


def read_statement(payload: bytes, signature: bytes, fleet_key: PublicJwk) -> KeyStatement:
    """Return what a signed statement says.

    Raises:
        ProtocolError: if the fleet did not sign it, or it is none.
    """
    verify_detached(payload, signature, key=fleet_key, typ=STATEMENT_TYP)
    return parse_statement(payload)


def parse_statement(payload: bytes) -> KeyStatement:
    """Return what the bytes of a statement say, without any signature: what it says is not to be believed.

    Raises:
        UnsupportedVersion: if they begin with another version.
        Malformed: if they are no statement.
    """
    fields = Unpacker(payload, "statement")
    if (version := fields.number()) != _VERSION:
        raise UnsupportedVersion(f"statement: version {version}, this program knows {_VERSION}")
    key = PublicJwk.from_compressed(fields.take(COMPRESSED_BYTES))
    first, last = fields.day(), fields.day()
    fleet_id, terminal_id = fields.text(), fields.text()
    fields.end()
    if first is None or last is None or last < first:
        raise Malformed("statement: its days are missing or in the wrong order")
    try:
        return KeyStatement(_FLEET.validate_python(fleet_id), _TERMINAL.validate_python(terminal_id), key, first, last)
    except ValidationError as error:
        raise Malformed("statement: no names of a fleet and a terminal") from error


def attest(statement: KeyStatement, key: PrivateKey, *, issued_at: datetime) -> bytes:
    """Return the signed message that brings a terminal the fleet's statement about its key.

    Raises:
        Malformed: as `state_key`.
    """
    signed = state_key(statement, key)
    message = TerminalAttestation(
        fleet_id=statement.fleet_id,
        terminal_id=statement.terminal_id,
        issued_at=issued_at,
        statement=base64url.encode(signed.payload),
        signature=base64url.encode(signed.signature),
    )
    return sign(message.to_bytes(), key=key, typ=ATTESTATION_TYP)


def read_attestation(token: bytes, fleet_key: PublicJwk) -> TerminalAttestation:
    """Return the message of a signed attestation, with the statement inside verified, too.

    Raises:
        ProtocolError: if either does not hold.
    """
    known = fleet_key.key_id
    found = verify(token, key_of=lambda key_id: fleet_key if key_id == known else None, typ=ATTESTATION_TYP)
    message = TerminalAttestation.parse(found.payload)
    message.opened(fleet_key)
    return message
