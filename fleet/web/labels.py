"""What codes of an agency's lists are called on every page: schemes and categories of people."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from fleet.duplicates.combinations import load_combinations
from fleet.web.texts import LANGUAGES, Texts, load_texts


def scheme_word(scheme: str, language: str) -> str:
    """Return what a scheme is called; one of an agency's own is called as its lists write it."""
    return _schemes()[language].get(scheme, scheme)


def category_word(category: str, language: str) -> str:
    """Return what a category of people is called; one of an agency's own is called as its lists write it."""
    return _categories()[language].get(category, category)


@cache
def _schemes() -> dict[str, dict[str, str]]:
    texts = load_texts()
    return _by_every_word({each: texts[each]["words"]["schemes"] for each in LANGUAGES}, load_combinations().schemes)


@cache
def _categories() -> dict[str, dict[str, str]]:
    texts = load_texts()
    return _by_every_word({each: texts[each]["words"]["categories"] for each in LANGUAGES}, {})


def _by_every_word(tables: Mapping[str, Texts], also: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, str]]:
    """Return for each language the word by our code, and by every other way in which lists write the same."""
    found: dict[str, dict[str, str]] = {}
    for language, words in tables.items():
        found[language] = {code: str(words[code]) for code in words}
        for code in words:
            for other in (*also.get(code, ()), *(str(table[code]) for table in tables.values())):
                found[language].setdefault(other, str(words[code]))
    return found
