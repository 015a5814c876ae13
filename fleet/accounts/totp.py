"""Codes of a generator on a telephone (TOTP); the door to pyotp."""

from __future__ import annotations

import unicodedata
from datetime import datetime

import pyotp

WINDOW = 1
"""Time steps before and after the present one whose codes are taken. Source: RFC 6238, 5.2: one for the delay of the network."""
_DIGITS = 6
_SECRET_LENGTH = 32
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def make_secret() -> str:
    """Return a new secret: 160 random bits in base32. Source: RFC 4226, 4, R6, recommends that length."""
    return pyotp.random_base32(_SECRET_LENGTH)


def matching_step(secret: str, code: str, *, now: datetime, last_step: int) -> int | None:
    """Return the time step whose code this is, or None if it is of none in the window or of one that was used.

    A code is good once: that of a step not later than the last used one is refused. Source: RFC 6238, 5.2.

    Args:
        secret: base32.
        code: as it was typed, with spaces or full-width digits.
        now: the present moment.
        last_step: the last step of which a code was used; 0 for none.
    """
    typed = "".join(unicodedata.normalize("NFKC", code).split())
    if len(typed) != _DIGITS or not typed.isascii() or not typed.isdigit():
        return None
    generator = pyotp.TOTP(secret)
    present = generator.timecode(now)
    found = None
    for step in range(present - WINDOW, present + WINDOW + 1):
        if pyotp.utils.strings_equal(typed, generator.generate_otp(step)) and step > last_step:
            found = step
    return found


def uri_of(secret: str, *, name: str, service: str) -> str:
    """Return what a generator reads as a QR code: `otpauth://totp/...`."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=service)


def is_secret(text: str) -> bool:
    """Return whether a text has the form of a secret made here."""
    return len(text) == _SECRET_LENGTH and all(each in _BASE32 for each in text)
