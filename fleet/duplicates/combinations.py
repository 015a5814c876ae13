"""Which benefits one person may have side by side: a table of data, and what it says about two benefits. Pure."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fleet.errors import SettingsInvalid

Says = Literal["allowed", "not_allowed", "not_listed"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Part):
    """What holds for two payments of one scheme."""

    allowed: bool
    because: str = Field(min_length=1)


class PairRule(Rule):
    """What holds for two schemes."""

    schemes: tuple[str, str]


class Combinations(_Part):
    """The whole table."""

    schemes: dict[str, tuple[str, ...]]
    """Our name of each scheme and the words that lists use for it."""
    same_scheme: Rule
    pair: tuple[PairRule, ...] = ()

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        words = [word for known in self.schemes.values() for word in known]
        if twice := sorted({word for word in words if words.count(word) > 1}):
            raise ValueError(f"schemes: a word stands twice: {', '.join(twice)}")
        seen: set[frozenset[str]] = set()
        for rule in self.pair:
            if unknown := [scheme for scheme in rule.schemes if scheme not in self.schemes]:
                raise ValueError(f"pair: unknown scheme {', '.join(unknown)}")
            both = frozenset(rule.schemes)
            if len(both) < 2:
                raise ValueError(f"pair: {rule.schemes[0]} with itself belongs under same_scheme")
            if both in seen:
                raise ValueError(f"pair: {' and '.join(sorted(both))} stand twice")
            seen.add(both)
        return self

    def says(self, first: str, second: str) -> Says:
        """Return what holds for two benefits by the names of their schemes, as lists write them."""
        one, other = self._name(first), self._name(second)
        if one == other:
            return _said(self.same_scheme)
        rule = next((rule for rule in self.pair if set(rule.schemes) == {one, other}), None)
        return "not_listed" if rule is None else _said(rule)

    def _name(self, word: str) -> str:
        return next((name for name, words in self.schemes.items() if word in words or word == name), word)


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Two benefits that may not be paid side by side, or of which the table says nothing."""

    first: tuple[str, str]
    """Scheme and region."""
    second: tuple[str, str]
    says: Says

    def __str__(self) -> str:
        return f"{self.first[0]} ({self.first[1]}) + {self.second[0]} ({self.second[1]}): {self.says}"


def load_combinations(path: Path | None = None) -> Combinations:
    """Read a table; without a path the shipped example.

    Raises:
        SettingsInvalid: with every problem of the file.
    """
    try:
        text = (
            files("fleet.duplicates").joinpath("combinations.toml").read_text(encoding="utf-8")
            if path is None
            else path.read_text(encoding="utf-8")
        )
        return Combinations.model_validate(tomllib.loads(text))
    except OSError as error:
        raise SettingsInvalid([f"{path}: cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid([f"{path}: not TOML: {error}"]) from error
    except ValidationError as error:
        found = error.errors(include_input=False)
        raise SettingsInvalid(
            [f"{path}: {'.'.join(map(str, each['loc'])) or 'table'}: {each['msg']}" for each in found]
        ) from error


def suspicions(own: list[tuple[str, str]], other: list[tuple[str, str]] | None, table: Combinations) -> list[Suspicion]:
    """Return what is suspicious between benefits, each scheme and region.

    Args:
        own: of one person.
        other: of somebody who may be the same person; None to compare the first with each other.
        table: what is allowed.
    """
    pairs = combinations(own, 2) if other is None else ((one, two) for one in own for two in other)
    return [Suspicion(one, two, says) for one, two in pairs if (says := table.says(one[0], two[0])) != "allowed"]


def _said(rule: Rule) -> Says:
    return "allowed" if rule.allowed else "not_allowed"
