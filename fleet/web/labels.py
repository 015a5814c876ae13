"""What codes are called on every page: schemes and categories of people, data feeds, networks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from fleet.duplicates.combinations import load_combinations
from fleet.exchange.definitions import catalogue
from fleet.web.texts import LANGUAGES, Texts, load_texts
from protocol.rules.pack import Title


def scheme_word(scheme: str, texts: Texts) -> str:
    """Return what a scheme is called; one of an agency's own as its rule packs name it, or else as its lists write it."""
    return _schemes()[texts.language].get(scheme) or _own(texts.own_words.named, scheme, texts)


def category_word(category: str, texts: Texts) -> str:
    """Return what a category of people is called; one of an agency's own as its rule packs name it, or else as its lists write it."""
    return _categories()[texts.language].get(category) or _own(texts.own_words.named, category, texts)


def feed_word(feed: str, texts: Texts) -> str:
    """Return what a data feed is called; one of an agency's own as its definition says, or else by its name."""
    return _own(
        {name: found.title for name, found in catalogue().feeds.items()} | dict(texts.own_words.feeds), feed, texts
    )


def network_word(network: str, language: str) -> str:
    """Return what a network is called; one that is not shipped is called by its name."""
    words = _texts()[language]["words"]["networks"]
    return str(words[network]) if network in words else network


def _own(words: Mapping[str, Title], word: str, texts: Texts) -> str:
    return str(getattr(words[word], texts.language)) if word in words else word


@cache
def _texts() -> dict[str, Texts]:
    return load_texts()


@cache
def _schemes() -> dict[str, dict[str, str]]:
    texts = _texts()
    return _by_every_word({each: texts[each]["words"]["schemes"] for each in LANGUAGES}, load_combinations().schemes)


@cache
def _categories() -> dict[str, dict[str, str]]:
    texts = _texts()
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
