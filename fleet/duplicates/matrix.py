"""Compares protected references with each other in bulk: an int8 gallery, blocks of float32, and only what reaches a threshold.

References of one key domain and one network are turned by one rotation, which keeps the cosine of any two (`protocol.references`). Between
two domains, or two networks, a cosine says nothing: a gallery is of one of each.

Blocking leaves out pairs that cannot be one person by what their documents say: another sex, or years of birth too far apart. Who has no
sex or year of birth in the number is compared with everybody. What is left out is never compared, so blocking hides somebody who
holds two documents that contradict each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int8 = NDArray[np.int8]
Index = NDArray[np.intp]
Real = NDArray[np.float32]

UNKNOWN_YEAR = 0
UNKNOWN_SEX = 0
_SEXES = {"female": 1, "male": 2}
ROWS, COLUMNS = 1024, 8192
"""Rows and columns of one product: 32 MiB of scores, the most this needs beside the gallery itself. Chosen: on two idle cores 250
million comparisons a second (D = 192), and small enough for any server."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What blocking asks of one reference's subject."""

    sex: str | None
    birth_year: int | None


@dataclass(frozen=True, slots=True)
class Blocking:
    """Which pairs are compared at all."""

    same_sex: bool
    birth_years: int | None
    """Most years between two dates of birth; None compares all ages."""

    def __str__(self) -> str:
        return f"{'one sex' if self.same_sex else 'both sexes'}, {_years(self.birth_years)}"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two references that are alike enough; places in the gallery."""

    first: int
    second: int
    score: float
    """Cosine, -1..1, larger = more alike."""


@dataclass(frozen=True, slots=True)
class Step:
    """What came of one block of rows."""

    rows: Sequence[int]
    """Places in the gallery that are now compared with everything."""
    comparisons: int
    """Scores worked out for them."""
    pairs: Sequence[Pair]


class Gallery:
    """References of one network and key domain, with what blocking asks."""

    def __init__(self, features: Int8, facts: Sequence[Facts]) -> None:
        """Take the gallery.

        Args:
            features: int8 (N, D), protected features, none of them zero.
            facts: one for each.

        Raises:
            ValueError: if a vector is zero or the numbers differ.
        """
        if features.ndim != 2 or len(features) != len(facts):
            raise ValueError(f"gallery: {features.shape} features and {len(facts)} facts do not fit")
        # In float32: the squares of int8 do not fit into int8.
        lengths = np.sqrt(np.einsum("ij,ij->i", features, features, dtype=np.float32))
        if len(lengths) and not lengths.all():
            raise ValueError("gallery: a vector of non-zero length expected")
        self._features = features
        self._scales: Real = (1 / lengths).astype(np.float32)
        self._sex = np.array([_SEXES.get(fact.sex or "", UNKNOWN_SEX) for fact in facts], np.int8)
        self._year = np.array([fact.birth_year or UNKNOWN_YEAR for fact in facts], np.int32)

    def __len__(self) -> int:
        return len(self._features)

    def search(
        self, new: Sequence[int], blocking: Blocking, threshold: float, *, rows: int = ROWS, columns: int = COLUMNS
    ) -> Iterator[Step]:
        """Compare what is new with everything, each pair once, and give what reaches the threshold, some rows at a time.

        Args:
            new: places in the gallery; the others are not compared among themselves.
            blocking: which pairs are left out.
            threshold: least cosine.
            rows: most rows of one product.
            columns: most columns of one product.
        """
        is_new = np.zeros(len(self), bool)
        is_new[np.asarray(new, np.intp)] = True
        waiting = self._ordered(np.flatnonzero(is_new))
        old = self._ordered(np.flatnonzero(~is_new))
        start = 0
        while start < len(waiting):
            block = waiting[start : start + rows]
            if blocking.same_sex:
                block = block[: self._same_sex_until(block)]
            yield self._step(block, waiting[start:], old, blocking, threshold, columns)
            start += len(block)

    def _step(self, block: Index, rest: Index, old: Index, blocking: Blocking, threshold: float, columns: int) -> Step:
        unit = self._unit(block)
        comparisons, pairs = 0, list[Pair]()
        for part, among in ((self._within(block, rest, blocking), True), (self._within(block, old, blocking), False)):
            for begin in range(0, len(part), columns):
                others = part[begin : begin + columns]
                scores = unit @ self._unit(others).T
                comparisons += scores.size
                for row, column in np.argwhere(scores >= threshold):
                    one, other = int(block[row]), int(others[column])
                    # Rows of this block meet each other twice, and themselves.
                    if self._may_be_one(one, other, blocking) and not (among and self._is_repeated(one, other, block)):
                        pairs.append(Pair(min(one, other), max(one, other), float(scores[row, column])))
        return Step([int(place) for place in block], comparisons, pairs)

    def _unit(self, places: Index) -> Real:
        unit: Real = self._features[places].astype(np.float32) * self._scales[places, None]
        return unit

    def _ordered(self, places: Index) -> Index:
        """Return places by sex and year of birth, so that what a block is compared with lies together."""
        ordered: Index = places[np.lexsort((places, self._year[places], self._sex[places]))]
        return ordered

    def _same_sex_until(self, places: Index) -> int:
        others = np.flatnonzero(self._sex[places] != self._sex[places[0]])
        return int(others[0]) if len(others) else len(places)

    def _within(self, block: Index, places: Index, blocking: Blocking) -> Index:
        """Return those of the places that some row of a block may be the same person as."""
        kept = np.ones(len(places), bool)
        if blocking.same_sex and (sex := self._sex[block[0]]) != UNKNOWN_SEX:
            kept &= (self._sex[places] == sex) | (self._sex[places] == UNKNOWN_SEX)
        years = self._year[block]
        if blocking.birth_years is not None and (years != UNKNOWN_YEAR).all():
            low, high = years.min() - blocking.birth_years, years.max() + blocking.birth_years
            found = self._year[places]
            kept &= ((found >= low) & (found <= high)) | (found == UNKNOWN_YEAR)
        within: Index = places[kept]
        return within

    def _may_be_one(self, one: int, other: int, blocking: Blocking) -> bool:
        if blocking.birth_years is None or UNKNOWN_YEAR in (self._year[one], self._year[other]):
            return True
        return bool(abs(self._year[one] - self._year[other]) <= blocking.birth_years)

    def _is_repeated(self, one: int, other: int, block: Index) -> bool:
        return one == other or (one > other and bool(np.any(block == other)))


def _years(most: int | None) -> str:
    return "all ages" if most is None else f"{most} years"
