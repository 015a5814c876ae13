"""The console's texts, as data: one TOML file for each language."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

LANGUAGES = {"zh": "中文", "en": "English"}
"""Offered languages by code, each by its own name; the first one is the default."""


@dataclass(frozen=True, slots=True)
class Texts:
    """All texts of one language."""

    language: str
    page: Mapping[str, str]
    states: Mapping[str, str]
    outcomes: Mapping[str, str]
    reasons: Mapping[str, str]
    flags: Mapping[str, str]
    chain: Mapping[str, str]


def load_texts() -> dict[str, Texts]:
    """Return the texts of every language, by code."""
    found = {}
    for language in LANGUAGES:
        tables = tomllib.loads(files("fleet.web").joinpath("texts", f"{language}.toml").read_text(encoding="utf-8"))
        found[language] = Texts(language=language, **tables)
    return found
