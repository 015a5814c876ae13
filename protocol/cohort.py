"""Cohort normalisation: how much more alike two samples are than each is to its nearest strangers.

Some faces are close to many others: of people of one region, one age, one way of wearing hair. A cosine between two such faces is worth
less than the same cosine between two others. The cohort measures that: other people's references, compared with both samples.

    normalised(a, b) = cosine(a, b) - (level(a) + level(b)) / 2

where `level` is the mean cosine of the nearest of the cohort. It is symmetric, larger = more alike, in -2..2, and 0 means
"as alike as a near stranger". Nobody's own references may be in the cohort, nor those of the person compared with.

Source: adaptive symmetric score normalisation, Matejka et al., "Analysis of Score Normalization in Multilingual Speaker Recognition",
Interspeech 2017, section 2, without its division by the spread: over the few nearest strangers the spread is itself
uncertain, and without it the unit stays that of the cosine. Not a fixed number but a fixed share of the cohort counts as near,
because the mean of, say, the nearest 75 rises with the size of the cohort, and a threshold found by the fleet must hold on a
terminal that knows fewer people.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Scores = TypeVar("Scores", float, NDArray[np.float64])
"""One score or an array of them."""

NEAREST_SHARE = 0.04
"""Of the cohort. Source: 50 to 100 of some 2,000 people is the range in which LFW's error rates hardly change
(`lifecert-models evaluate verification`, `all_pairs`)."""
LEAST_PEOPLE = 200
"""Fewer people than this, and the raw score is the better one. Source: random cohorts of LFW identities: with 200 the FNMR at
FMR 1e-4 is no higher than that of raw scores, with 100 it is."""


def nearest(people: int, share: float) -> int:
    """Return how many of a cohort count as near, at least 1."""
    return max(1, math.ceil(share * people))


def level(similarities: Real, share: float) -> float:
    """Return the mean of the nearest cosines.

    Args:
        similarities: float64 (N,), N >= 1, cosines of one sample with the cohort, one for each person.
        share: of the cohort that counts as near, above 0 up to 1.

    Raises:
        ValueError: if there is no cohort or a cosine is not finite.
    """
    if similarities.ndim != 1 or not similarities.size or not np.isfinite(similarities).all():
        raise ValueError(f"cohort: {similarities.shape} finite cosines, one or more expected")
    count = nearest(len(similarities), share)
    return float(np.sort(similarities)[-count:].mean())


def normalised(similarity: Scores, first: Scores, second: Scores) -> Scores:
    """Return the normalised score of a cosine, given the levels of both samples; larger = more alike."""
    return similarity - (first + second) / 2


def levels(similarities: Real, own: NDArray[np.intp], share: float) -> Real:
    """Return the level of every sample for every person it may be compared with.

    Args:
        similarities: float64 (N, P), cosine of each sample with the one cohort reference of each person, P >= 3.
        own: (N,), the column of the sample's own person, -1 where that person is not in the cohort.
        share: see `level`.

    Returns:
        float64 (N, P + 1); [i, p] is the level of sample i over the cohort without its own person and without person p,
        [i, P] that over the cohort without its own person alone.

    Raises:
        ValueError: if there are too few people.
    """
    samples, people = similarities.shape
    if people < 3:
        raise ValueError(f"cohort: {people} people, 3 or more expected")
    rows = np.arange(samples)
    others = similarities.copy()
    is_in = own >= 0
    others[rows[is_in], own[is_in]] = -np.inf
    # Of the near ones at most one is left out, so one more than the largest number is enough.
    most = min(nearest(people, share) + 1, people)
    columns = np.argpartition(-others, most - 1, axis=1)[:, :most]
    values = np.take_along_axis(others, columns, axis=1)
    order = np.argsort(-values, axis=1)
    columns, values = np.take_along_axis(columns, order, axis=1), np.take_along_axis(values, order, axis=1)
    found = np.empty((samples, people + 1))
    for in_cohort in (False, True):
        chosen = rows[is_in == in_cohort]
        left = people - int(in_cohort)
        near, all_near = nearest(left - 1, share), nearest(left, share)
        found[chosen] = values[chosen, :near].mean(axis=1, keepdims=True)
        for place in range(near):
            without = (values[chosen, : near + 1].sum(axis=1) - values[chosen, place]) / near
            found[chosen, columns[chosen, place]] = without
        found[chosen, people] = values[chosen, :all_near].mean(axis=1)
        if in_cohort:
            found[chosen, own[chosen]] = found[chosen, people]
    return found
