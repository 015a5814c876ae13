"""The name list of an operator: who is found by a part of a name, and with what characters names begin."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable

from device.ports import Labelled


def matching(people: Iterable[Labelled], part: str) -> list[Labelled]:
    """Return whose name contains `part` however it is written: first whose name begins with it, each by name and year of birth."""
    wanted = _folded(part)
    found = [one for one in people if wanted in _folded(one.label.name)]
    return sorted(
        found,
        key=lambda one: (
            not _folded(one.label.name).startswith(wanted),
            one.label.name,
            one.label.born or 0,
            one.token,
        ),
    )


def initials(people: Iterable[Labelled]) -> list[str]:
    """Return the characters that names begin with, the most frequent first: surnames, where those come first and have one character."""
    counts = Counter(_folded(one.label.name)[:1].upper() for one in people)
    return sorted(filter(None, counts), key=lambda initial: (-counts[initial], initial))


def _folded(name: str) -> str:
    """Return what all ways of writing a name have in common."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())
