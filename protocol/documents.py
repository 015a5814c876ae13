"""Identity documents a person can claim with, and the keyed token that stands for one on the wire.

The number itself never leaves the terminal's memory: records and rosters carry `claim_token`, a keyed hash, so that who
reads the broker or a lost card learns nobody's number. The key belongs to the fleet and reaches terminals sealed, with the roster.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from protocol.errors import Malformed

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_RESIDENT_LENGTH = 18
MASK_LEAST, MASK_MOST = 2, 4
"""Characters shown of a short and of a long number."""
_LONG = 15
"""Length of the resident numbers of the first generation; permits and passports have 8 to 11 characters."""


class DocumentKind(StrEnum):
    """Kinds of identity document. Source: R4-16; the other kinds are read from the same field later."""

    RESIDENT_ID = "resident_id"


@dataclass(frozen=True, slots=True)
class IdentityDocument:
    """A document number that passed its own checks; its repr shows no digit."""

    kind: DocumentKind
    number: str

    def __repr__(self) -> str:
        return f"IdentityDocument({self.kind})"


def parse_document(text: str) -> IdentityDocument:
    """Read a typed or scanned resident identity number.

    Raises:
        Malformed: with what is wrong (length, characters, birth date, check digit), never with the number itself.
            Source: GB 11643-1999, check by ISO 7064 MOD 11-2.
    """
    number = text.strip().upper()
    if len(number) != _RESIDENT_LENGTH:
        raise Malformed(f"identity number: {len(number)} characters, {_RESIDENT_LENGTH} expected")
    if not (number[:17].isascii() and number[:17].isdigit() and number[17] in "0123456789X"):
        raise Malformed("identity number: 17 digits and a digit or X expected")
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError as error:
        raise Malformed("identity number: digits 7 to 14 are not a date of birth") from error
    if number[17] != check_digit(number[:17]):
        raise Malformed("identity number: the check digit does not fit; was a digit mistyped?")
    return IdentityDocument(DocumentKind.RESIDENT_ID, number)


def check_digit(first_17: str) -> str:
    """Return the 18th character for 17 digits. Source: GB 11643-1999, ISO 7064 MOD 11-2."""
    return _CHECK[sum(w * int(d) for w, d in zip(_WEIGHTS, first_17, strict=True)) % 11]


@dataclass(frozen=True, slots=True)
class MaskedDocument:
    """What may be shown of a document: its kind and the last characters of the number, by which its owner knows it again."""

    kind: DocumentKind
    tail: str


def mask(document: IdentityDocument) -> MaskedDocument:
    """Return what may be shown: the last 4 characters of a long number, the last 2 of a short one.

    The last 4 of a resident number are its order number and check digit and say neither place nor date of birth. A short number has so
    few characters that 4 of them would leave little to guess.
    """
    number = document.number
    return MaskedDocument(document.kind, number[-MASK_MOST:] if len(number) >= _LONG else number[-MASK_LEAST:])


def claim_token(document: IdentityDocument, key: bytes) -> str:
    """Return the keyed hash of a document: HMAC-SHA256 over kind and number, base64url without padding."""
    mac = hmac.new(key, f"{document.kind}:{document.number}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
