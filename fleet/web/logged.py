"""What stands in the audit log, in a reader's language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from fleet.audit.log import Entry
from fleet.store.areas import area_names
from fleet.web.labels import scheme_word
from fleet.web.texts import Texts

_AREAS = frozenset({"area", "areas", "from"})
_WORDS = {
    "channel": ("channels", "message_channels"),
    "kind": ("case_kinds", "life_events", "acts", "stop_reasons"),
    "outcome": ("attempts", "recovery_outcomes", "outcomes"),
    "reason": ("stop_reasons", "restore_reasons", "recovery_reasons", "freeze_reasons"),
    "because": ("freeze_reasons",),
    "role": ("roles",),
    "source": ("reporters", "channels"),
    "state": ("case_states", "states"),
    "step": ("steps",),
    "told_by": ("reporters",),
    "way": ("channels",),
}
"""Tables of words that the codes of a detail are looked up in, in this order."""


@dataclass(frozen=True, slots=True)
class Said:
    """One detail."""

    name: str
    value: str
    is_code: bool
    """Whether the value is what the system calls it, and no word."""


def what(texts: Texts, action: str) -> str:
    """Return what was done; the action itself where a later version wrote it."""
    group, _, verb = action.partition(".")
    words = texts["logged"]["what"]
    return str(words[group][verb]) if group in words and verb in words[group] else action


def kind(texts: Texts, object_kind: str) -> str:
    """Return what kind of thing it was done to."""
    words = texts["logged"]["kinds"]
    return str(words[object_kind]) if object_kind in words else object_kind


def which(texts: Texts, object_id: str) -> str | None:
    """Return the word for an id that stands for a list of things; None for the id of one."""
    words = texts["logged"]["ids"]
    return str(words[object_id]) if object_id in words else None


def choices(texts: Texts) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return the groups of actions, by their names: how they begin, name, and each action with its word."""
    own = texts["logged"]
    return [
        (f"{group}.", str(own["groups"][group]), [(f"{group}.{verb}", str(words[verb])) for verb in words])
        for group, words in ((name, own["what"][name]) for name in own["what"])
    ]


def areas_of(connection: Connection, entries: Iterable[Entry]) -> dict[str, str]:
    """Return the names of all areas that these entries' details name."""
    codes = {
        code
        for entry in entries
        for name, value in entry.detail.items()
        if name in _AREAS
        for code in _each(value)
        if isinstance(code, str)
    }
    return area_names(connection, codes) if codes else {}


def details(texts: Texts, found: Mapping[str, Any], areas: Mapping[str, str]) -> list[Said]:
    """Return the details in words.

    Args:
        texts: of the language.
        found: as they stand in the log.
        areas: names of areas by code.
    """
    own = texts["logged"]
    said = []
    for name, value in found.items():
        if value is None or value == "" or value == []:
            continue
        words = [_word(texts, name, each, areas) for each in _each(value)]
        label = str(own["fields"][name]) if name in own["fields"] else name
        mark = texts["console"]["list_mark"]
        said.append(Said(label, mark.join(word for word, _ in words), any(is_code for _, is_code in words)))
    return said


def _each(value: Any) -> Iterator[Any]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        yield from value
    else:
        yield value


def _word(texts: Texts, name: str, value: Any, areas: Mapping[str, str]) -> tuple[str, bool]:
    """Return the word for one value, and whether it is none but a code."""
    if isinstance(value, bool):
        return str(texts["logged"]["values"]["yes" if value else "no"]), False
    if isinstance(value, int):
        return f"{value:,}", False
    if name in _AREAS and str(value) in areas:
        return areas[str(value)], False
    if name == "scheme":
        return scheme_word(str(value), texts), False
    for table in _WORDS.get(name, ()):
        if str(value) in texts["words"][table]:
            return str(texts["words"][table][str(value)]), False
    return str(value), not str(value)[:1].isdigit()
