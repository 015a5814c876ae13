"""Letters and digits that a person types from paper: in groups of four, with a last one by which a slip is found out.

The signs are those of D. Crockford, "Base 32": without I, L, O and U, of which the first three are read as 1, 1 and 0. The last sign is
the sum of the others, each times a power of its own of the generator of GF(2^5) (x^5 + x^2 + 1): one wrong sign, and any two that changed
places, make another sum, as long as there are 31 at most.
"""

from __future__ import annotations

import unicodedata

from protocol.errors import Malformed

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans("ILO", "110")
_GROUP = 4
_FIELD = 0b100101


def shown(text: str) -> str:
    """Return signs as people read and type them: in groups, and behind them the one that finds slips."""
    groups = [text[start : start + _GROUP] for start in range(0, len(text), _GROUP)]
    return "-".join([*groups, _last(text)])


def typed(text: str, *, length: int, what: str, code: str) -> str:
    """Return the signs that somebody typed, with the letters that are misread.

    Whatever spaces, dashes, dots and other marks stand between them, and whether they are small, large, or full-width ones.

    Args:
        text: what was typed, with the last sign.
        length: how many there are without the last one.
        what: whose they are, for the message.
        code: of the error.

    Raises:
        Malformed: if something was left out, or mistyped.
    """
    plain = unicodedata.normalize("NFKC", text).upper().translate(_MISREAD)
    # Letters and numbers of all scripts stay, to be told by their name.
    found = "".join(sign for sign in plain if unicodedata.category(sign)[0] in "LNM")
    if len(found) != length + 1:
        raise Malformed(
            f"{what}: {length // _GROUP} groups of four letters and digits and a single one expected, {len(found)} signs found",
            code=code,
        )
    if strange := sorted(set(found) - set(ALPHABET)):
        raise Malformed(f"{what}: {' '.join(strange)} is in none; look again", code=code)
    if _last(found[:-1]) != found[-1]:
        raise Malformed(f"{what}: mistyped; compare it with the paper, group by group", code=code)
    return found[:-1]


def of_bits(data: bytes, length: int) -> str:
    """Return the first bits of some bytes as so many signs."""
    bits = int.from_bytes(data, "big") >> (8 * len(data) - 5 * length)
    return "".join(ALPHABET[bits >> 5 * at & 31] for at in reversed(range(length)))


def _last(text: str) -> str:
    total = 0
    for sign in text:
        total = _times(total) ^ ALPHABET.index(sign)
    return ALPHABET[_times(total)]


def _times(value: int) -> int:
    value <<= 1
    return value ^ _FIELD if value & 32 else value
