"""How an account's name is stored: sealed, and as a keyed digest that is the same for every way of writing it."""

from __future__ import annotations

from fleet.keys import FieldCipher
from fleet.store.names import bare, cleaned

_FIELD = "account"


def seal_name(cipher: FieldCipher, name: str, *, account_id: str) -> bytes:
    """Return a name for storage.

    Raises:
        Refused: if nothing is left of it, or it is too long.
    """
    return cipher.encrypt(cleaned(name), subject_id=account_id, field_name=_FIELD)


def open_name(cipher: FieldCipher, sealed: bytes, *, account_id: str) -> str:
    """Return a stored name."""
    return cipher.decrypt(sealed, subject_id=account_id, field_name=_FIELD)


def name_digest(cipher: FieldCipher, name: str) -> bytes:
    """Return 32 bytes that are equal for one name however it is written; any text has one."""
    return cipher.digest(bare(name), subject_id="accounts", field_name=_FIELD)
