"""PURE. Holds a list of people against what is known of them: what it would change, and which of its words nobody here has used yet."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from fleet.intake.categories import categories
from fleet.intake.people_table import OPTIONAL_FACTS, SubjectRow
from fleet.store.subjects import Benefit


class Change(StrEnum):
    """What a row changes."""

    NEW = "new"
    """A person nobody knows yet."""
    RENAMED = "renamed"
    MOVED = "moved"
    BENEFIT_ADDED = "benefit_added"
    BENEFIT_CHANGED = "benefit_changed"
    PHONE = "phone"


@dataclass(frozen=True, slots=True)
class Known:
    """A person as they are known."""

    name: str = field(repr=False)
    area: str
    benefits: Mapping[str, Benefit]
    """By scheme."""
    phone: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NewWord:
    """A scheme or a category that nobody here has, and where it stands first."""

    column: str
    word: str
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A whole list."""

    rows: tuple[frozenset[Change], ...]
    """In the order of the list; empty for a row that changes nothing."""
    lines: tuple[int, ...]
    """Of the file, for each row."""
    words: tuple[NewWord, ...]

    def lines_of(self, change: Change) -> list[int]:
        """Return the lines that change this."""
        return [line for line, changes in zip(self.lines, self.rows, strict=True) if change in changes]

    @property
    def unchanged(self) -> int:
        """Rows that change nothing."""
        return sum(not each for each in self.rows)

    @property
    def digest(self) -> str:
        """Equal for two comparisons that say the same."""
        told = [f"{line}:{','.join(sorted(each))}" for line, each in zip(self.lines, self.rows, strict=True)]
        told += [f"{each.column}:{each.word}" for each in self.words]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()


def completed(row: SubjectRow, known: Benefit) -> Benefit:
    """Return a row's benefit with what its list has no column for."""
    kept = {name: getattr(known, name) for name in OPTIONAL_FACTS if name not in row.given}
    return replace(row.benefit, **kept)


def with_known_schemes(rows: Iterable[SubjectRow], schemes: Collection[str]) -> list[SubjectRow]:
    """Return rows with each scheme under the name that it has here: lists write `企业职工基本养老保险` for `enterprise_pension`."""
    return [replace(row, benefit=replace(row.benefit, scheme=_scheme(row.benefit.scheme, schemes))) for row in rows]


def _scheme(written: str, schemes: Collection[str]) -> str:
    if written in schemes:
        return written
    same = next((each.schemes for each in categories() if written in each.schemes), ())
    return next((each for each in same if each in schemes), written)


def compare(
    rows: Sequence[SubjectRow],
    known: Sequence[Known | None],
    *,
    schemes: Collection[str],
    used: Collection[tuple[str, str]],
) -> Comparison:
    """Return what a list would change.

    Args:
        rows: the list.
        known: for each row the person as they are known; None for nobody.
        schemes: that are known here: of rule packs and of benefits.
        used: schemes and categories that benefits have.
    """
    return Comparison(
        tuple(_changes(row, person) for row, person in zip(rows, known, strict=True)),
        tuple(row.line for row in rows),
        (
            *_new_words(
                "scheme", ((row.line, row.benefit.scheme) for row in rows if row.benefit.scheme not in schemes)
            ),
            *_new_words("category", ((row.line, row.benefit.category) for row in rows if not _is_used(row, used))),
        ),
    )


def _changes(row: SubjectRow, known: Known | None) -> frozenset[Change]:
    if known is None:
        return frozenset({Change.NEW})
    benefit = known.benefits.get(row.benefit.scheme)
    found = {
        Change.RENAMED: row.name != known.name,
        Change.MOVED: row.area != known.area,
        Change.BENEFIT_ADDED: benefit is None,
        Change.BENEFIT_CHANGED: benefit is not None and completed(row, benefit) != benefit,
        Change.PHONE: bool(row.phone) and row.phone != known.phone,
    }
    return frozenset(change for change, is_so in found.items() if is_so)


def _is_used(row: SubjectRow, used: Collection[tuple[str, str]]) -> bool:
    scheme, category = row.benefit.scheme, row.benefit.category
    named = [each for each in categories() if scheme in each.schemes]
    return (scheme, category) in used or any(category in each.words or not each.words for each in named)


def _new_words(column: str, found: Iterable[tuple[int, str]]) -> list[NewWord]:
    lines: dict[str, list[int]] = {}
    for line, word in found:
        lines.setdefault(word, []).append(line)
    return [NewWord(column, word, tuple(each)) for word, each in lines.items()]
