"""Error rates of presentation attack detection and their uncertainty.

Source: ISO/IEC 30107-3 for the meaning of APCER (share of the attack presentations of one species taken for bona fide) and BPCER (share of
the bona fide presentations taken for attacks).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from models.tools.metrics import Interval, Scores, threshold_at_fmr

Statistic = Callable[[Scores, Scores], float]
"""Of bona fide and attack scores, larger = more likely bona fide."""

_RESAMPLES = 1000


def area_under_curve(bona_fide: Scores, attack: Scores) -> float:
    """Return the probability that a bona fide presentation scores above an attack, ties counted half; both non-empty."""
    ordered = np.sort(attack)
    below = np.searchsorted(ordered, bona_fide, side="left")
    level = np.searchsorted(ordered, bona_fide, side="right") - below
    return float((below + level / 2).mean() / len(attack))


def apcer(attack: Scores, threshold: float) -> float:
    """Return the share of attacks at or above a threshold."""
    return float((attack >= threshold).mean())


def bpcer(bona_fide: Scores, threshold: float) -> float:
    """Return the share of bona fide presentations below a threshold."""
    return float((bona_fide < threshold).mean())


def bpcer_at_apcer(bona_fide: Scores, attack: Scores, rate: float) -> float:
    """Return the BPCER at the lowest threshold at which the APCER is at most `rate`."""
    return bpcer(bona_fide, threshold_at_fmr(attack, rate))


def group_bootstrap(
    statistic: Statistic,
    bona_fide: Sequence[tuple[Hashable, float]],
    attack: Sequence[tuple[Hashable, float]],
    *,
    seed: int = 0,
) -> Interval:
    """Return the 95 % percentile interval over resampled groups: the subjects or clips that presentations belong to.

    Pictures of one person or one clip are alike; resampling them one by one would make the interval too narrow.

    Args:
        statistic: what is asked.
        bona_fide: (group, score) of each presentation; groups are resampled within each class.
        attack: likewise.
        seed: of the resampling.

    Source: Efron and Tibshirani, An introduction to the bootstrap, 1993, chapters 8 and 13.
    """
    generator = np.random.default_rng(seed)
    classes = [_by_group(found) for found in (bona_fide, attack)]
    values = []
    for _ in range(_RESAMPLES):
        drawn = [
            np.concatenate([groups[k] for k in generator.integers(len(groups), size=len(groups))]) for groups in classes
        ]
        values.append(statistic(drawn[0], drawn[1]))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _by_group(found: Sequence[tuple[Hashable, float]]) -> list[Scores]:
    groups: dict[Hashable, list[float]] = {}
    for group, score in found:
        groups.setdefault(group, []).append(score)
    return [np.array(scores, np.float64) for scores in groups.values()]
