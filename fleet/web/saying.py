"""Says what was refused, and what is wrong with what was sent, in the reader's language: by codes, from the texts of a group of pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from fleet.errors import FleetError
from fleet.web.texts import Texts
from protocol.errors import Problem

REFUSED = "refused"
"""Table of a group's texts with a sentence for each code."""
NAMES = "names"
"""Table with the words for codes that sentences name, such as the steps of a ladder."""


def said(group: Texts, found: FleetError | Problem) -> str:
    """Return the sentence; one of no known code is told as such, with the code, because no reason may be lost."""
    sentences = group[REFUSED]
    if found.code not in sentences:
        return str(sentences["unknown"]).format(code=found.code or type(found).__name__)
    return filled(group, str(sentences[found.code]), found.facts)


def filled(group: Texts, sentence: str, facts: Mapping[str, object]) -> str:
    """Return a sentence with what it names; codes are named by their words."""
    return sentence.format(**{name: word(group, value) for name, value in facts.items()})


def word(group: Texts, value: object) -> str:
    """Return how a number, a day, a code or a list of codes reads."""
    if isinstance(value, list | tuple):
        return str(group["and"]).join(word(group, each) for each in value)
    if isinstance(value, date):
        return value.isoformat()
    names = group[NAMES]
    return str(names[value]) if str(value) in names else str(value)
