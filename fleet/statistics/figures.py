"""Rates with their uncertainty, and cells too small to be shown. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

Z_95 = 1.959963984540054
"""The 97.5 % point of the standard normal distribution: intervals of 95 %."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the 95 % interval around it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Cell:
    """Sessions of one group."""

    key: str
    sessions: int
    """Without those that had nothing to compare with."""
    failed: int
    """Ended without a match, a usable sample, or with contradicting evidence."""
    abandoned: int
    """Broken off."""
    is_hidden: bool = False
    """Whether it is left out: too small, or so that a smaller one cannot be computed from the totals."""

    @property
    def finished(self) -> int:
        """Sessions that were not broken off."""
        return self.sessions - self.abandoned

    def failure(self) -> Interval | None:
        """Return the share of finished sessions that failed; None where there are none or it is not shown."""
        return None if self.is_hidden else wilson(self.failed, self.finished)

    def abandon(self) -> Interval | None:
        """Return the share of sessions that were broken off; None where there are none or it is not shown."""
        return None if self.is_hidden else wilson(self.abandoned, self.sessions)


@dataclass(frozen=True, slots=True)
class Ratio:
    """The worst rate against the best."""

    worst: str
    best: str
    ratio: Interval


def wilson(successes: int, trials: int) -> Interval | None:
    """Return a share with its 95 % interval; None without trials. Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212."""
    if trials == 0:
        return None
    share, z2 = successes / trials, Z_95 * Z_95
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    # At the ends the bound is exact; floating point would miss it by a hair.
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == trials else min(1.0, middle + half)
    return Interval(share, low, high)


def risk_ratio(worse: tuple[int, int], better: tuple[int, int]) -> Interval:
    """Return the ratio of two shares, each events of trials, with its 95 % interval.

    Where one has no events, half an event is added to each and half a trial to each, so that there is an interval at all.
    Source: D. Katz et al., Biometrics 34 (1978) 469-474; S. D. Walter, Biometrika 62 (1975) 371-374.
    """
    (a, n), (b, m) = (tuple(map(float, worse)), tuple(map(float, better)))
    if a == 0 or b == 0:
        a, n, b, m = a + 0.5, n + 0.5, b + 0.5, m + 0.5
    ratio = (a / n) / (b / m)
    half = Z_95 * math.sqrt(max(0.0, 1 / a - 1 / n + 1 / b - 1 / m))
    return Interval(ratio, ratio * math.exp(-half), ratio * math.exp(half))


def worst_to_best(cells: Sequence[Cell], *, abandon: bool = False) -> Ratio | None:
    """Return the highest rate against the lowest of the cells that are shown; None of fewer than two.

    The two are picked because they lie farthest apart, so the interval is too narrow for a test; it says how much the ratio can be trusted.
    """
    parts = [
        (cell, (cell.abandoned, cell.sessions) if abandon else (cell.failed, cell.finished))
        for cell in cells
        if not cell.is_hidden
    ]
    known = [(cell, part) for cell, part in parts if part[1] > 0]
    if len(known) < 2:
        return None
    by_rate = sorted(known, key=lambda found: (found[1][0] / found[1][1], found[0].key))
    (best, low), (worst, high) = by_rate[0], by_rate[-1]
    return Ratio(worst.key, best.key, risk_ratio(high, low))


LEAST_APART = 30
"""Sessions. Chosen, not published: with fewer, one or two failures more or less decide whether a cell stands out."""


def apart(cells: Sequence[Cell], *, abandon: bool = False) -> list[str]:
    """Return the keys of the cells whose interval lies wholly above that of all the others and above the whole's rate, highest rate first.

    By chance alone that happens to at most one of forty cells (2.5 % on one side), so of many cells some stand out that are no worse.
    Hidden cells are left out on both sides, and a cell of fewer than `LEAST_APART` sessions that count is never said to stand out.
    """
    shown = [cell for cell in cells if not cell.is_hidden and cell.sessions]
    whole = (sum(cell.sessions for cell in shown), sum(cell.failed for cell in shown), sum(c.abandoned for c in shown))
    found = []
    for cell in shown:
        rest = Cell("", whole[0] - cell.sessions, whole[1] - cell.failed, whole[2] - cell.abandoned)
        mine, others = (cell.abandon(), rest.abandon()) if abandon else (cell.failure(), rest.failure())
        both = Cell("", *whole)
        all_together = both.abandon() if abandon else both.failure()
        if (
            mine is None
            or others is None
            or all_together is None
            or (cell.sessions if abandon else cell.finished) < LEAST_APART
        ):
            continue
        if mine.low > max(others.high, all_together.value):
            found.append((-mine.value, cell.key))
    return [key for _, key in sorted(found)]


def merge_bands(cells: Sequence[Cell], least: int) -> list[Cell]:
    """Return bands in order, each smaller one together with its neighbours until all have enough sessions.

    Args:
        cells: in order of age, keys like `60-64` and `90+`.
        least: sessions that are enough.
    """
    merged: list[Cell] = []
    for cell in cells:
        if merged and merged[-1].finished < least:
            merged[-1] = _joined(merged[-1], cell)
        else:
            merged.append(cell)
    if len(merged) > 1 and merged[-1].finished < least:
        last = merged.pop()
        merged[-1] = _joined(merged[-1], last)
    return merged


def hide_small(cells: Sequence[Cell], least: int) -> list[Cell]:
    """Return the cells of one total with those hidden that have too few finished sessions, and others with them.

    Where a total is known, a single hidden cell is the total less the others, and several small ones are known together: so the smallest
    of the others are hidden, too, until at least two are and they have enough sessions together. Cells without sessions tell of nobody.
    """
    full = sorted((cell for cell in cells if cell.sessions), key=lambda cell: (cell.finished, cell.key))
    hidden = [cell for cell in full if cell.finished < least]
    rest = full[len(hidden) :]
    while hidden and rest and (len(hidden) < 2 or sum(cell.finished for cell in hidden) < least):
        hidden.append(rest.pop(0))
    keys = {cell.key for cell in hidden}
    return [replace(cell, is_hidden=cell.key in keys) for cell in cells]


def _joined(first: Cell, second: Cell) -> Cell:
    low = first.key.split("-")[0].rstrip("+")
    high = second.key.split("-")[-1]
    key = f"{low}+" if high.endswith("+") else f"{low}-{high}"
    return Cell(key, first.sessions + second.sessions, first.failed + second.failed, first.abandoned + second.abandoned)
