"""Curves and histograms of comparison scores, few enough points to be kept with the figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.tools.evaluate_groups import Member, Pictures
from models.tools.metrics import Scores

_POINTS_PER_DECADE = 8
_BINS = 50
_DIGITS = 5
_RAW_RANGE = (-0.3, 1.0)
_NORMALISED_RANGE = (-0.6, 0.7)
"""Where the histograms begin and end."""


def det_curve(genuine: Scores, impostor: Scores) -> list[tuple[float, float]]:
    """Return (FMR, FNMR) points of the detection error trade-off, from the smallest FMR that at least ten false matches show to 0.5.

    Source: ISO/IEC 19795-1 plots false non-matches against false matches over all thresholds; fewer than ten errors say too little.
    """
    if len(impostor) < 20 or not len(genuine):
        return []
    lowest = math.log10(10 / len(impostor))
    highest = math.log10(0.5)
    rates = np.logspace(lowest, highest, 1 + round(_POINTS_PER_DECADE * (highest - lowest)))
    ordered = np.sort(impostor)[::-1]
    thresholds = ordered[np.minimum((rates * len(ordered)).astype(int), len(ordered) - 1)]
    false_matches = np.searchsorted(-ordered, -thresholds, side="left") / len(ordered)
    misses = np.searchsorted(np.sort(genuine), thresholds, side="right") / len(genuine)
    return [(_short(a), _short(b)) for a, b in zip(false_matches, misses, strict=True)]


def histogram(scores: Scores, *, low: float, high: float) -> list[tuple[float, float]]:
    """Return (score, density) at the middle of equal bins; what lies outside is not counted."""
    counts, edges = np.histogram(scores, bins=_BINS, range=(low, high))
    density = counts / max(len(scores), 1) / (edges[1] - edges[0])
    middles = (edges[:-1] + edges[1:]) / 2
    return [(_short(x), _short(y)) for x, y in zip(middles, density, strict=True)]


def curves_of(pictures: Pictures, members: Sequence[Member]) -> dict[str, Any]:
    """Return curves over all pairs of all pictures (`all`) and of each group, raw and normalised."""
    groups: dict[str, set[Path]] = {}
    for member in members:
        groups.setdefault(member.group, set()).add(member.picture)
    chosen = {"all": None, **{name: pictures.only(paths) for name, paths in sorted(groups.items())}}
    curves: dict[str, Any] = {}
    for name, numbers in chosen.items():
        pairs = pictures.pairs(numbers)
        curves[name] = {
            "raw": _curves(pictures.raw(pairs), pairs.is_same, *_RAW_RANGE),
            "normalised": _curves(pictures.normalised(pairs), pairs.is_same, *_NORMALISED_RANGE),
        }
    return curves


def _curves(scores: Scores, is_same: NDArray[np.bool_], low: float, high: float) -> dict[str, Any]:
    genuine, impostor = scores[is_same], scores[~is_same]
    return {
        "det": det_curve(genuine, impostor),
        "genuine": histogram(genuine, low=low, high=high),
        "impostor": histogram(impostor, low=low, high=high),
        "genuine_pairs": len(genuine),
        "impostor_pairs": len(impostor),
    }


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
