"""Rules and faults of packs in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fleet.rules.wording import Rule
from fleet.web.saying import filled, said
from fleet.web.texts import LANGUAGES
from fleet.web.visits import Visit
from protocol.errors import Problem

_TABLE = re.compile(r"\s*\[([A-Za-z0-9_.]+)\]\s*(?:#.*)?")
_ENTRY = re.compile(r"\s*([A-Za-z0-9_.]+)\s*=")


@dataclass(frozen=True, slots=True)
class ToldRule:
    """One rule as it reads."""

    part: str
    """What it is about, in the reader's language."""
    sentence: str
    others: tuple[tuple[str, str], ...]
    """The same in each other language: its code and the sentence."""
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PackFault:
    """One fault of a text, where it is and what to do."""

    line: int | None
    written: str
    """What stands there."""
    key: str
    sentence: str


def told_rules(visit: Visit, rules: Iterable[Rule]) -> list[ToldRule]:
    """Return rules in words, in the reader's language and in all others."""
    own = visit.texts["rules"]
    groups = {language: visit.console.renderer.texts(language)["rules"] for language in LANGUAGES}
    return [
        ToldRule(
            part_name(visit, rule.part),
            filled(own, str(own["says"][rule.code]), rule.facts),
            tuple(
                (language, filled(group, str(group["says"][rule.code]), rule.facts))
                for language, group in groups.items()
                if language != visit.language
            ),
            rule.sources,
        )
        for rule in rules
    ]


def part_name(visit: Visit, part: str) -> str:
    """Return what a part of a pack is about."""
    parts = visit.texts["rules"]["parts"]
    # Scenes are told by what they are worth; all of them are about the same.
    return str(parts[part if part in parts else part.rpartition("_")[0]])


def faults_of(visit: Visit, text: str, problems: Sequence[Problem]) -> list[PackFault]:
    """Return every fault with the line in which it is.

    Args:
        visit: whose language.
        text: of the pack.
        problems: what is wrong with it.
    """
    group, lines = visit.texts["rules"], text.splitlines()
    places = dict(lines_of_keys(lines))
    found = []
    for problem in problems:
        line = int(str(problem.facts.get("line", 0))) or line_of(problem.key, places)
        written = lines[line - 1].strip()[:120] if line and line <= len(lines) else ""
        found.append(PackFault(line, written, problem.key, said(group, problem)))
    return sorted(found, key=lambda fault: (fault.line is None, fault.line or 0))


def lines_of_keys(lines: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Give the keys of a TOML text with the number of the line in which each begins, from 1; tables with that of their heading."""
    table = ""
    for number, line in enumerate(lines, 1):
        if heading := _TABLE.fullmatch(line):
            table = heading[1]
            yield table, number
        elif entry := _ENTRY.match(line):
            yield f"{table}.{entry[1]}" if table else entry[1], number


def line_of(key: str, places: dict[str, int]) -> int | None:
    """Return the line of a key, or of what it stands in; None where nothing of it is there."""
    bare = re.sub(r" \(place \d+\)", "", key)
    while bare:
        if bare in places:
            return places[bare]
        bare = bare.rpartition(".")[0]
    return None
