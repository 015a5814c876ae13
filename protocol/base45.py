"""Base45: bytes in the 45 characters that a QR code packs densest. Source: RFC 9285."""

from __future__ import annotations

from protocol.errors import Malformed

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
"""The characters of the QR code's alphanumeric mode, in the order of their values (RFC 9285, table 1)."""
_VALUES = {character: value for value, character in enumerate(ALPHABET)}


def encode(data: bytes) -> str:
    """Return the text for bytes: three characters for two bytes, two for a last odd one."""
    parts = []
    for start in range(0, len(data), 2):
        pair = data[start : start + 2]
        rest = int.from_bytes(pair, "big")
        for _ in range(len(pair) + 1):
            rest, value = divmod(rest, 45)
            parts.append(ALPHABET[value])
    return "".join(parts)


def decode(text: str) -> bytes:
    """Return the bytes a text stands for.

    Raises:
        Malformed: for other characters, a length that no bytes have, or a group above what its bytes can hold.
    """
    if len(text) % 3 == 1:
        raise Malformed(f"base45: {len(text)} characters stand for no whole bytes")
    found = bytearray()
    for start in range(0, len(text), 3):
        group = text[start : start + 3]
        try:
            number = sum(_VALUES[character] * 45**place for place, character in enumerate(group))
        except KeyError as error:
            raise Malformed(f"base45: a character outside the alphabet in group {start // 3 + 1}") from error
        try:
            found += number.to_bytes(len(group) - 1, "big")
        except OverflowError as error:
            raise Malformed(f"base45: group {start // 3 + 1} stands for no bytes") from error
    return bytes(found)
