"""Says what was refused, and what is wrong with what was sent, in the reader's language: by codes, from the texts of a group of pages."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date

from fleet.cases.desk import RequestRefused
from fleet.errors import FleetError, ImportRefused
from fleet.web.texts import NAMES, REFUSED, Texts
from protocol.errors import Problem, ProtocolError

logger = logging.getLogger(__name__)
_TABLES = {"column": "file_columns", "roles": "roles"}
"""Tables of a group with the words of facts that are not among its names."""


def said(group: Texts, found: FleetError | ProtocolError | Problem) -> str:
    """Return the sentence; one of no known code is told as such, with the code, and what it says is in the log: no reason may be lost."""
    sentences = group[REFUSED]
    if found.code not in sentences:
        code = found.code or type(found).__name__
        # No message of ours has a name or a number of a person in it.
        logger.warning("no sentence for a refusal code=%s said=%r", code, str(found))
        return str(sentences["unknown"]).format(code=code)
    return filled(group, str(sentences[found.code]), found.facts)


def all_said(group: Texts, error: FleetError | ProtocolError) -> list[str]:
    """Return a sentence for each problem of a file or a request, or the one for any other error."""
    found = error.problems if isinstance(error, ImportRefused | RequestRefused) else [error]
    return [said(group, each) for each in found]


def filled(group: Texts, sentence: str, facts: Mapping[str, object]) -> str:
    """Return a sentence with what it names; codes are named by their words."""
    return sentence.format(**{name: word(group, value, _TABLES.get(name, NAMES)) for name, value in facts.items()})


def word(group: Texts, value: object, table: str = NAMES) -> str:
    """Return how a number, a day, a code, a list of codes, or a problem that is part of another reads."""
    if isinstance(value, Problem):
        return said(group, value)
    if isinstance(value, list | tuple):
        return str(group["and"]).join(word(group, each) for each in value)
    if isinstance(value, date):
        return value.isoformat()
    names = group[table]
    return str(names[value]) if str(value) in names else str(value)
