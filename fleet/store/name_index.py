"""PURE. The blind index of names: keyed hashes of a name and of its parts, by which a sealed name is found.

What is hashed is the name as `units` writes it, so that every way of writing it gives the same. Of each name are hashed the whole, the
whole without its first character, each two characters that stand together, and each two with one between them: the last finds a
name of three characters whose middle one is not known. What this tells whoever has the database without the keys is in
docs/decisions/0015-names-are-found-by-hashes-of-pairs.md.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import IntEnum

from fleet.keys import FieldCipher

UNKNOWN = "?"
"""Stands for one character that is not known, in a name and in what is searched for."""
LONGEST = 200
"""Characters of a name or a search that are looked at; the longest name a list may have is shorter."""

_UNKNOWN = re.compile("[?*\uff1f\uff0a\ufe56\ufe61\u25a1\u25a0\u3013\ufffd]")
"""Question mark and star, narrow, wide and small, the white and the black square, the geta mark and the replacement character: what
programs write for a character they cannot. Source: the Unicode Standard, sections 6.2 (geta) and 23.8 (replacement)."""
_DOT_ABOVE = "\u02d9"
"""Typed for a middle dot; NFKC would make a space and a combining mark of it."""
_DOTS = frozenset("\u2219\u22c5\u1427\u16eb\u25cf\u00b7\u2022\u2027\u30fb")
"""Dots between the parts of a minority name that are no punctuation by category, and the common ones.
Source: UnicodeData.txt, names with MIDDLE DOT, BULLET, DOT OPERATOR."""
_HAN = re.compile("[\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
"""Ideographs. Source: Unicode blocks; planes 2 and 3 hold nothing else."""
_PLAIN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]+")
"""Nothing but ideographs that `units` leaves as they are: nearly every name, and looked at by the ten thousand."""
_SPELT = re.compile("[a-z\u00df-\u024f\u1e00-\u1eff]+[1-5]?")
"""Letters, perhaps with a tone: how an old system wrote one ideograph in pinyin."""


class Match(IntEnum):
    """How well a name fits; what fits best comes first."""

    WHOLE = 0
    GIVEN = 1
    """All but the first character."""
    PART = 2


@dataclass(frozen=True, slots=True)
class NameSearch:
    """What to look for in the index."""

    parts: tuple[int, ...]
    """Hashes that a name must all have."""
    whole: int
    given: int


def units(name: str) -> str:
    """Return a name as it is hashed: one form of each character, nothing between them, `?` for each that is not known.

    Variation selectors, format characters, spaces, punctuation and dots go; compatibility ideographs and wide letters become the ordinary
    ones, capitals small. Beside ideographs, letters stand for one that is not known. Simplified and traditional forms stay different.
    """
    # What goes can keep a letter and its accent apart, and wide forms are only told once they are narrow: hence twice.
    kept = unicodedata.normalize("NFKC", _kept(name[:LONGEST].replace(_DOT_ABOVE, ""))).casefold()
    kept = unicodedata.normalize("NFKC", _kept(unicodedata.normalize("NFKC", kept)))
    return (_SPELT.sub(UNKNOWN, kept) if _HAN.search(kept) else kept)[:LONGEST]


def tokens_of(cipher: FieldCipher, name: str) -> list[int]:
    """Return the hashes under which a name is stored, in order, each once."""
    plain = units(name)
    if not plain.strip(UNKNOWN):
        return []
    spoken = {_whole(plain), *_pairs(plain, 1), *_pairs(plain, 2)}
    given = _given(plain)
    if given is not None:
        spoken.add(given)
    return sorted({cipher.blind(each) for each in spoken})


def search_for(cipher: FieldCipher, typed: str) -> NameSearch | None:
    """Return what to look for, or None if too little is known of the name.

    A single character finds only whoever is called that and no more.
    """
    plain = units(typed)
    if not plain.strip(UNKNOWN):
        return None
    around = {_gap(plain[at], plain[at + 2]) for at in range(len(plain) - 2) if plain[at + 1] == UNKNOWN}
    parts = set(_pairs(plain, 1)) | {each for each in around if UNKNOWN not in each.partition(":")[2]}
    if not parts:
        if len(plain) > 1:
            return None
        parts = {_whole(plain)}
    return NameSearch(
        tuple(sorted(cipher.blind(each) for each in parts)),
        cipher.blind(_whole(plain)),
        cipher.blind(f"given:{plain}"),
    )


def pattern_of(typed: str) -> str | None:
    """Return a name with characters that are not known, as `units` writes it; None if all are known, or none."""
    plain = units(typed)
    return plain if UNKNOWN in plain and plain.strip(UNKNOWN) else None


def fits(pattern: str, name: str) -> bool:
    """Return whether a name has the characters of a pattern, as many of them, each at its place.

    A character that is not known, in either, stands for any one; one that is known in both must be there.
    """
    plain = name if _PLAIN.fullmatch(name) else units(name)
    if len(plain) != len(pattern):
        return False
    known = [(one, other) for one, other in zip(pattern, plain, strict=True) if UNKNOWN not in (one, other)]
    return bool(known) and all(one == other for one, other in known)


def most_tokens(length: int) -> int:
    """Return how many hashes a name of so many characters has at most: the whole, the given name, its pairs and those with a gap."""
    return 2 * length - 1


def _kept(text: str) -> str:
    return "".join(map(_unit, _UNKNOWN.sub(UNKNOWN, text)))


def _unit(character: str) -> str:
    category = unicodedata.category(character)
    if character == UNKNOWN or category == "Co":
        return UNKNOWN
    is_between = category[0] in "ZP" or category in {"Cc", "Cf", "Cs"} or character in _DOTS
    is_selector = (
        "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef" or character in _MONGOLIAN
    )
    return "" if is_between or is_selector else character


_MONGOLIAN = frozenset("\u180b\u180c\u180d\u180f")
"""Free variation selectors. Source: the Unicode Standard, section 13.5."""


def _whole(plain: str) -> str:
    return f"whole:{plain}"


def _given(plain: str) -> str | None:
    """Return all but the first character, if it is known and more than one."""
    rest = plain[1:]
    return f"given:{rest}" if len(rest) > 1 and UNKNOWN not in rest else None


def _pairs(plain: str, step: int) -> list[str]:
    """Return the pairs of known characters so many places apart."""
    pairs = zip(plain, plain[step:], strict=False)
    make = _pair if step == 1 else _gap
    return [make(first, second) for first, second in pairs if UNKNOWN not in (first, second)]


def _pair(first: str, second: str) -> str:
    return f"pair:{first}{second}"


def _gap(first: str, second: str) -> str:
    return f"gap:{first}{second}"
