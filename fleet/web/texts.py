"""The console's texts, as data: in `texts/<language>/` one TOML file for each group of pages, and one with words that several use."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from copy import copy
from importlib.resources import files
from string import Formatter
from typing import Any

from fleet.store.own_words import OwnWords

LANGUAGES = {"zh": "中文", "en": "English"}
"""Offered languages by code, each by its own name; the first one is the default."""


class Text(str):
    """A text whose words may go by a number: `{count} {count:case|cases}`, the word for one and that for any other number."""

    __slots__ = ()

    def format(self, *args: object, **facts: object) -> str:
        """Return the text with what it names."""
        return _BY_NUMBER.format(self, *args, **facts)

    def format_with(self, facts: Mapping[str, object]) -> str:
        """Return the text with what it names, which a mapping gives, one that knows every name, too."""
        return _BY_NUMBER.vformat(self, (), facts)

    def __str__(self) -> str:
        """Return the text as it is: it goes on choosing by number."""
        return self


class _ByNumber(Formatter):
    """Takes `one|other` in the place of a format, chosen by the value as it reads: `1` or any other."""

    def format_field(self, value: Any, format_spec: str) -> str:
        one, mark, other = format_spec.partition("|")
        if not mark:
            return str(super().format_field(value, format_spec))
        return one if str(value) == "1" else other


_BY_NUMBER = _ByNumber()


class Texts:
    """Texts by name, in tables: `texts["people"]["title"]`, in templates `texts.people.title`.

    No mapping, so that a text may be called `items` or `values` in a template.
    """

    def __init__(self, found: Mapping[str, Any], *, language: str, name: str = "") -> None:
        self.language = language
        self.own_words = OwnWords()
        self._name = name
        self._found = {
            key: Texts(value, language=language, name=f"{name}{key}.")
            if isinstance(value, Mapping)
            else Text(value)
            if isinstance(value, str)
            else value
            for key, value in found.items()
        }

    def with_own(self, own: OwnWords) -> Texts:
        """Return all texts with an agency's own words, for `fleet.web.labels`."""
        made = copy(self)
        made.own_words = own
        return made

    def __getitem__(self, key: str) -> Any:
        """Return a text or a table of texts; raises KeyError with the whole name where there is none."""
        try:
            return self._found[str(key)]
        except KeyError:
            raise KeyError(f"{self._name}{key}: no such text in {self.language}") from None

    def __contains__(self, key: str) -> bool:
        return str(key) in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def flat(self) -> dict[str, Any]:
        """Return all texts by their whole names."""
        found: dict[str, Any] = {}
        for key, value in self._found.items():
            found.update(value.flat() if isinstance(value, Texts) else {f"{self._name}{key}": value})
        return found


REFUSED = "refused"
"""Table of a group with a sentence for each code of what is refused; and the file of those that every group has."""
NAMES = "names"
"""Table of a group with the words for codes that such sentences name."""


def load_texts() -> dict[str, Texts]:
    """Return the texts of every language, by code.

    Each group has the tables of `words` that it shares (`shared.toml`), and says what is refused, by its own sentences first.
    """
    return {
        language: Texts(_with_refusals(_with_words(groups_in(language))), language=language) for language in LANGUAGES
    }


def groups_in(language: str) -> dict[str, dict[str, Any]]:
    """Return the files of a language as they are written."""
    folder = files("fleet.web").joinpath("texts", language)
    return {
        each.name.removesuffix(".toml"): tomllib.loads(each.read_text(encoding="utf-8"))
        for each in sorted(folder.iterdir(), key=lambda found: found.name)
        if each.name.endswith(".toml")
    }


def _with_refusals(groups: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    shared = groups[REFUSED]
    return {
        name: {**shared, **own, **{table: {**shared[table], **own.get(table, {})} for table in (REFUSED, NAMES)}}
        if {"help", REFUSED} & own.keys()
        else own
        for name, own in groups.items()
    }


def shared_words() -> dict[str, dict[str, list[str]]]:
    """Return by group and by the name of a table there which tables of `words` it has."""
    return tomllib.loads(files("fleet.web").joinpath("texts", "shared.toml").read_text(encoding="utf-8"))


def _with_words(groups: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    for group, tables in shared_words().items():
        for name, used in tables.items():
            *above, last = name.split(".")
            place = groups[group]
            for part in above:
                place = place[part]
            words = {code: word for table in used for code, word in groups["words"][table].items()}
            place[last] = {**words, **place.get(last, {})}
    return groups
