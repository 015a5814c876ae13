"""Categories of people as the source documents name them (R3-1 to R3-13), as data."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Category:
    """One category."""

    rule: str
    """The rule of the source documents that names it."""
    zh: str
    en: str
    family: str
    """The scheme family that it belongs to (R3-13)."""
    schemes: tuple[str, ...]
    """How lists write its scheme."""
    words: tuple[str, ...]
    """How lists write the category; none where the scheme alone says it."""
    unit_certificate: bool
    """Whether a certificate of the unit suffices (R4-21)."""


@cache
def categories() -> tuple[Category, ...]:
    """Return all categories (`categories.toml`)."""
    found = tomllib.loads(files("fleet.intake").joinpath("categories.toml").read_text(encoding="utf-8"))["category"]
    return tuple(Category(**{**one, "schemes": tuple(one["schemes"]), "words": tuple(one["words"])}) for one in found)


def categories_of(scheme: str, category: str) -> tuple[Category, ...]:
    """Return the categories that a benefit falls into by its scheme and the word for its category; none for words of an agency's own."""
    return tuple(one for one in categories() if scheme in one.schemes and (not one.words or category in one.words))


def takes_certificate(scheme: str, category: str) -> bool:
    """Say whether a certificate of the unit suffices for somebody with this benefit (R4-21)."""
    return any(one.unit_certificate for one in categories_of(scheme, category))
