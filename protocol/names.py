"""Names of people: any script, rare characters kept as they are written.

Chinese names use characters outside the basic plane (CJK extensions B and later, four bytes in UTF-8) and, in registers that are older than
their encoding, of the private use area, which every system shows in its own way. Both are kept: a name is not ours to correct.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from protocol.errors import Malformed

NAME_MOST = 120
"""Longest name in characters. Chosen: the longest names of minorities and foreigners on cards are below a hundred."""
_REFUSED = {"Cc": "a control character", "Cs": "half a character", "Cn": "a character that no Unicode version has"}
_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
"""Characters that turn the writing around: a name with one is read otherwise than it is stored."""


def normal_name(text: str) -> str:
    """Return a name in normal form C, without white space around it and with single blanks inside.

    Variation selectors are kept: they choose between two ways to write one character, and some names differ by nothing else.

    Raises:
        Malformed: with what is wrong, never with the name.
    """
    name = unicodedata.normalize("NFC", " ".join(text.split()))
    if not name:
        raise Malformed("name: empty", code="name_empty")
    if len(name) > NAME_MOST:
        raise Malformed(
            f"name: {len(name)} characters, at most {NAME_MOST} are taken",
            code="name_long",
            found=len(name),
            most=NAME_MOST,
        )
    for character in name:
        wrong = _REFUSED.get(unicodedata.category(character))
        if wrong is not None:
            raise Malformed(f"name: characters that cannot be shown: {wrong}", code="name_not_shown")
        if character in _DIRECTION:
            raise Malformed(
                "name: characters that cannot be shown: one that turns the writing around", code="name_turned"
            )
    return name


def may_look_otherwise(name: str) -> bool:
    """Say whether a name has a character of a private use area: what it looks like depends on the font of each computer."""
    return any(unicodedata.category(character) == "Co" for character in name)


def _validated(text: str) -> str:
    try:
        return normal_name(text)
    except Malformed as error:
        raise ValueError(str(error)) from None


PersonName = Annotated[str, StringConstraints(max_length=4 * NAME_MOST), AfterValidator(_validated)]
"""A person's name in normal form; see `normal_name`."""
