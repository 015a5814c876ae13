"""Which benefits one person may have side by side: a table of data, and what it says about two benefits. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from fleet.errors import SettingsInvalid
from fleet.tables.words import Words

Says = Literal["allowed", "not_allowed", "not_listed"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Part):
    """What holds for two payments of one scheme."""

    allowed: bool
    because: Words
    """Why, in both languages or in one."""


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

    def because(self, first: str, second: str) -> Words | None:
        """Return why, as the table says it; None where it says nothing."""
        one, other = self._name(first), self._name(second)
        if one == other:
            return self.same_scheme.because
        return next((rule.because for rule in self.pair if set(rule.schemes) == {one, other}), None)

    def _name(self, word: str) -> str:
        return next((name for name, words in self.schemes.items() if word in words or word == name), word)


@dataclass(frozen=True, slots=True)
class Paid:
    """One benefit of somebody, with its days."""

    scheme: str
    region: str
    started: date
    ended: date | None


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two benefits beside each other: what the table says, and when both are paid."""

    first: Paid
    second: Paid
    says: Says
    because: Words | None
    since: date | None
    """First day on which both are paid; None where there is none."""
    until: date | None
    """Last such day; None where both go on."""


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


def overlaps(own: Sequence[Paid], other: Sequence[Paid] | None, table: Combinations) -> list[Overlap]:
    """Return every two benefits beside each other, with what the table says and when both are paid.

    Args:
        own: of one person.
        other: of somebody who may be the same person; None to lay the first beside each other.
        table: what is allowed.
    """
    pairs = combinations(own, 2) if other is None else ((one, two) for one in own for two in other)
    return [
        Overlap(
            one,
            two,
            table.says(one.scheme, two.scheme),
            table.because(one.scheme, two.scheme),
            *_both(one, two),
        )
        for one, two in pairs
    ]


def _both(one: Paid, two: Paid) -> tuple[date | None, date | None]:
    since = max(one.started, two.started)
    ends = [each for each in (one.ended, two.ended) if each is not None]
    until = min(ends, default=None)
    return (None, None) if until is not None and until < since else (since, until)


def _said(rule: Rule) -> Says:
    return "allowed" if rule.allowed else "not_allowed"
