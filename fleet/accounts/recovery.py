"""Recovery codes: in place of the telephone that was lost, each good once."""

from __future__ import annotations

import secrets
import unicodedata

from fleet.keys import FieldCipher

COUNT = 8
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 characters, none of which looks like another; so one carries 5 bits."""
_LENGTH = 16
"""80 bits; NIST SP 800-63B-4, 3.1.2, asks for 20 at least, and for a keyed or slow hash below 112."""
_GROUP = 4


def make_codes() -> tuple[str, ...]:
    """Return new codes as they are shown, in groups."""
    made = ("".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)) for _ in range(COUNT))
    return tuple("-".join(code[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP)) for code in made)


def digest_of(cipher: FieldCipher, account_id: str, code: str) -> bytes | None:
    """Return what is stored of a code, under a key that is not in the database; None for what has not the form of one."""
    typed = "".join(each for each in unicodedata.normalize("NFKC", code).casefold() if each.isalnum())
    if len(typed) != _LENGTH or not set(typed) <= set(_ALPHABET):
        return None
    return cipher.digest(typed, subject_id=account_id, field_name="recovery_code")
