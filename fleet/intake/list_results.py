"""What a unit or a village found out about each person of its list, in the words that people write. Pure, but for the texts."""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any


class ListResult(StrEnum):
    """What stands at a person."""

    VERIFIED = "verified"
    """Seen alive, in so many words; the only one that certifies (R4-20)."""
    NOT_SEEN = "not_seen"
    DEAD = "dead"
    MISSING = "missing"
    NOT_PASSED = "not_passed"
    EMPTY = "empty"
    """The list asks, and nobody answered."""


@cache
def _all_texts() -> Mapping[str, Any]:
    return tomllib.loads(files("fleet.intake").joinpath("list_texts.toml").read_text(encoding="utf-8"))


@cache
def list_texts() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Return all texts of lists: group -> id -> language -> text."""
    return {group: texts for group, texts in _all_texts().items() if group != "words"}


@cache
def result_words() -> Mapping[str, ListResult]:
    """Return what each word that is understood says, folded as `result_of` folds."""
    return {
        _folded(word): ListResult(result)
        for result, languages in _all_texts()["words"].items()
        for words in languages.values()
        for word in words
    }


def result_of(written: str) -> ListResult | None:
    """Return what a cell says, None if its word is not known."""
    folded = _folded(written)
    return result_words().get(folded) if folded else ListResult.EMPTY


def words_to_write() -> str:
    """Return the words that a message can propose, one for each result and language."""
    results = (result for result in ListResult if result is not ListResult.EMPTY)
    return ", ".join("/".join(list_texts()["result"][result].values()) for result in results)


def _folded(written: str) -> str:
    return "".join(unicodedata.normalize("NFKC", written).replace("_", "").split()).casefold().rstrip(".。")
