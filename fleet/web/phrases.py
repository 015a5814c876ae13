"""Says in the reader's language what a job refused, and every problem of a file.

Jobs say it in English, as the command line shows it; that sentence is what a phrase is found by, as messages of a catalogue are. The
catalogue (`phrases.toml`) is data: for each code the sentence as the job says it, what it is in Chinese, and in English where the one for
the command line would send a reader of a page to a command. Parts of a sentence are said by themselves (`line 3: name: empty`).
"""

from __future__ import annotations

import logging
import re
import tomllib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fleet.errors import FleetError, ImportRefused, SettingsInvalid
from protocol.errors import ProtocolError

logger = logging.getLogger(__name__)

_PLACE = re.compile(r"\{(\w+)\}")
_PARTS = frozenset({"rest", "where", "other"})
"""Facts that are sentences of their own."""
_NAMED = frozenset({"column", "document"})
"""Facts that are one of the catalogue's words."""
_SHAPES = {
    **dict.fromkeys(("line", "row", "count", "found", "most"), "[0-9]+"),
    **dict.fromkeys(("column", "document", "codes"), "[^:]+"),
}
"""What facts look like that would else swallow the sentence around them."""
_LISTS = re.compile(r", | or | and |/")
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Phrase:
    """One sentence."""

    code: str
    says: str
    """As a job says it, with what it names in braces."""
    sentences: Mapping[str, str]
    """By language."""

    @property
    def weight(self) -> int:
        """How much of it is its own words: of two phrases that fit, the one that says more is meant."""
        return len(_PLACE.sub("", self.says))

    def facts(self, message: str) -> dict[str, str] | None:
        """Return what a message names, None if it is another sentence."""
        found = re.fullmatch(_pattern(self.says), message)
        return None if found is None else found.groupdict()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All phrases, those that say most first, and words for what they name."""

    phrases: tuple[Phrase, ...]
    words: Mapping[str, Mapping[str, str]]

    def say(self, message: str, language: str) -> str | None:
        """Return a message in a language, None where no phrase is it."""
        for phrase in self.phrases:
            facts = phrase.facts(message)
            if facts is None:
                continue
            told = {name: self._fact(name, value, language) for name, value in facts.items()}
            if None not in told.values():
                return phrase.sentences[language].format(**told)
        return None

    def _fact(self, name: str, value: str, language: str) -> str | None:
        if name in _PARTS:
            return self.say(value, language)
        words = self.words.get(language, {})
        if name in _NAMED and value not in self.words["zh"]:
            # "name: something" is about a column only if there is one of that name.
            return None
        if value in words:
            return words[value]
        parts = _LISTS.split(value)
        return "、".join(words[part] for part in parts) if all(part in words for part in parts) else value


@cache
def catalogue() -> Catalogue:
    """Return the catalogue."""
    found = tomllib.loads(files("fleet.web").joinpath("phrases.toml").read_text(encoding="utf-8"))
    phrases = [
        Phrase(code, each["says"], {"zh": each["zh"], "en": each.get("en", each["says"])})
        for code, each in found["phrase"].items()
    ]
    return Catalogue(tuple(sorted(phrases, key=lambda phrase: -phrase.weight)), found["words"])


def reasons(error: FleetError | ProtocolError, language: str) -> list[str]:
    """Return everything that an error says, in a language: a sentence for each problem.

    What no phrase is for is written into the log, and the reader gets the number by which it is found there: nobody is shown a language
    that they may not read, and no reason is lost.
    """
    problems = error.problems if isinstance(error, ImportRefused | SettingsInvalid) else [str(error)]
    return [_reason(problem, language, type(error).__name__) for problem in problems]


def _reason(problem: str, language: str, kind: str) -> str:
    said = catalogue().say(problem, language)
    if said is not None:
        return said
    number = f"{_number_of(problem):08x}"
    # No message of ours has a name or a number of a person in it.
    logger.warning("no phrase for a refusal number=%s error=%s said=%r", number, kind, problem)
    if language == "en":
        return problem
    unknown = next(phrase for phrase in catalogue().phrases if phrase.code == _UNKNOWN)
    return unknown.sentences[language].replace("{number}", number)


def _number_of(problem: str) -> int:
    """Return a number that is the same for the same problem, whenever it is asked for."""
    return zlib.crc32(problem.encode())


@cache
def _pattern(says: str) -> str:
    parts = _PLACE.split(says)
    # Every second part is the name of a place.
    return "".join(
        f"(?P<{part}>{_SHAPES.get(part, '.+')})" if place % 2 else re.escape(part) for place, part in enumerate(parts)
    )
