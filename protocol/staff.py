"""The staff list: who may sign in on a terminal and which places there are to choose from; sealed to the terminal.

A PIN is short, so its hash protects it only as long as nobody can try: the list travels sealed, lies encrypted on the terminal, and
sign-in is locked after some wrong ones. An operator code (QR) carries 128 random bits, of which a plain digest is enough.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from protocol import base64url
from protocol.errors import Malformed
from protocol.ids import FleetId, OperatorId, PlaceCode, Sha256, TerminalId
from protocol.wire import UtcTime, WireMessage, WirePart

STAFF_TYP = "lifecert-staff-list"
OPERATOR_CODE_PREFIX = "LCO1:"
PIN_LENGTHS = range(6, 13)
"""Source: ISO 9564-1 lets a PIN have 4 to 12 digits; six and more are asked for here, because it is also typed where others look on."""
_SALT_BYTES = 16
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**14, 8, 1
"""16 MiB and some 60 ms on a computer. Source: RFC 7914 section 2 for the meaning; the cost is what a Pi affords at a sign-in."""
_HASH_BYTES = 32
_CODE = re.compile(r"LCO1:([0-9A-Za-z-]{1,64})\.([A-Za-z0-9_-]{22})")


class Role(StrEnum):
    """What an operator may do on a terminal."""

    WORKER = "worker"
    """Serve people on every path, visits, exceptions; the stick, the terminal's status and its check, as every role."""
    ENROLLER = "enroller"
    """Enrolment, special certification, photographs, proxies."""
    TECHNICIAN = "technician"
    """The stick, the terminal's status and its check alone."""


class PinHash(WirePart):
    """scrypt (RFC 7914) of a PIN, with its salt."""

    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] = Field(repr=False)
    digest: Sha256 = Field(repr=False)

    @classmethod
    def of(cls, pin: str, salt: bytes) -> Self:
        """Hash a PIN with 16 random bytes.

        Raises:
            Malformed: if it is no PIN of 6 to 12 digits.
        """
        if not is_pin(pin):
            raise Malformed(f"PIN: {PIN_LENGTHS.start} to {PIN_LENGTHS.stop - 1} digits expected")
        if len(salt) != _SALT_BYTES:
            raise ValueError(f"salt: {len(salt)} bytes, {_SALT_BYTES} expected")
        return cls(salt=salt.hex(), digest=_scrypt(pin, salt).hex())

    def fits(self, pin: str) -> bool:
        """Say whether it is the hash of this PIN, in a time that does not depend on where they differ; what is no PIN fits none."""
        return is_pin(pin) and hmac.compare_digest(_scrypt(pin, bytes.fromhex(self.salt)), bytes.fromhex(self.digest))


class Operator(WirePart):
    """Somebody who may sign in."""

    operator_id: OperatorId
    name: str = Field(min_length=1, max_length=120, repr=False)
    """As it is shown to whoever has signed in."""
    roles: tuple[Role, ...] = Field(min_length=1)
    pin: PinHash | None = Field(default=None, repr=False)
    code_sha256: Sha256 | None = Field(default=None, repr=False)
    """Digest of the secret in the operator's code."""
    valid_until: date


class PlaceName(WirePart):
    """A place one can be at."""

    code: PlaceCode
    name: str = Field(min_length=1, max_length=120)


class StaffList(WireMessage):
    """Everybody who may sign in on one terminal; it replaces the one before."""

    TYPE: ClassVar[str] = "staff-list"
    VERSION: ClassVar[int] = 1

    type: Literal["staff-list"] = "staff-list"
    version: Literal[1] = 1
    fleet_id: FleetId
    terminal_id: TerminalId
    issued_at: UtcTime
    expires_at: UtcTime
    """After this moment nobody signs in; a worker who left must not be able to for ever."""
    operators: tuple[Operator, ...] = Field(max_length=500)
    places: tuple[PlaceName, ...] = Field(default=(), max_length=2000)


@dataclass(frozen=True, slots=True)
class OperatorCode:
    """What an operator's QR code says; its repr shows no secret."""

    operator_id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"OperatorCode({self.operator_id})"

    def text(self) -> str:
        """Return what the QR code carries."""
        return f"{OPERATOR_CODE_PREFIX}{self.operator_id}.{base64url.encode(self.secret)}"

    def sha256(self) -> str:
        """Return the digest that stands in the staff list."""
        return hashlib.sha256(b"lifecert operator code:" + self.secret).hexdigest()


def parse_operator_code(text: str) -> OperatorCode:
    """Read an operator's code.

    Raises:
        Malformed: if it is none; the message does not repeat it.
    """
    found = _CODE.fullmatch(text.strip())
    if found is None:
        raise Malformed("operator code: not one of this kind")
    return OperatorCode(found[1], base64url.decode(found[2]))


def is_pin(text: str) -> bool:
    """Say whether a text can be a PIN."""
    return text.isascii() and text.isdigit() and len(text) in PIN_LENGTHS


def _scrypt(pin: str, salt: bytes) -> bytes:
    # OpenSSL's own limit is 32 MiB, of which this takes half.
    return hashlib.scrypt(pin.encode(), salt=salt, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P, dklen=_HASH_BYTES)
