"""Thresholds from the population served: how high do scores between different people go?

Every pair of different people in a roster or a fleet gives an impostor score. The share of such scores at or above a threshold is its false
match rate; this module finds the threshold for a rate that is wanted, also where there are too few pairs to count it.

The tail is fitted by peaks over threshold: above its 90 % point the scores follow a generalised Pareto distribution. With few
people that fit knows little, so it is blended with the tail of a normal distribution of the same mean and spread, whose
two numbers every score helps to find. The weight of the fit rises from 0 to 1 with the effective number of people in the tail.

Two people count once however many pictures of them there are: what is estimated is the rate between two people drawn at random.
Uncertainty comes from resampling people, not pairs, because the scores of one person belong together. The threshold is the
upper end of the one-sided 95 % bootstrap interval, where the best estimate would exceed the rate wanted about every second time.
That is no promise of 95 %: with some seventeen people, on other people of the same group, the mean FMR over many halvings was
below the rate wanted counted by pairs of people and above it counted by pairs of pictures (docs/evaluation.md, Comparison).

Scores may be raw or normalised (`protocol.cohort`), larger = more alike.

Source: Coles, An Introduction to Statistical Modeling of Extreme Values, 2001, chapter 4; Zhang and Stephens, A new and efficient
estimation method for the generalized Pareto distribution, Technometrics 51(3), 2009; Efron and Tibshirani, An introduction to the
bootstrap, 1993, chapters 6 and 12.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Index = NDArray[np.intp]

TAIL_SHARE = 0.1
"""Of the scores that belong to the tail; a rate that is wanted lies below. Source: Coles 2001, section 4.3: low enough for a sample in the
tail, high enough for the limit to hold; the fit changes little between 5 and 20 %."""
_NORMAL_POINT = NormalDist().inv_cdf(1 - TAIL_SHARE)
_NORMAL_EXCESS = NormalDist().pdf(_NORMAL_POINT) / TAIL_SHARE - _NORMAL_POINT
"""Mean excess of a standard normal over that point."""
_NORMAL_SHAPE = -0.15
"""The shape with which a generalised Pareto tail of that mean excess reaches the normal quantile at 1e-3; at 1e-4 it is 4 % short of it."""
_FIT_COUNTS_FROM = 50.0
"""People in the tail at which fit and normal tail weigh the same. Source: the standard error of a shape fitted to n values is
(1 + shape) / sqrt(n) (Smith, Biometrika 72, 1985), .12 at 50: as much as the shapes of normal tails and of bounded ones differ."""
_SHAPE_LIMIT = 0.5
"""A fitted shape beyond it either way is an accident of few values: similarities have neither infinite variance nor a wall."""
_LEAST_ERRORS = 0.1
"""Least number of false matches to be expected among the pairs at the rate wanted: beyond ten times the count nothing is extrapolated."""
_ONE_SIDED, _TWO_SIDED = NormalDist().inv_cdf(0.95), NormalDist().inv_cdf(0.975)
"""In standard errors. The ends are the estimate and so many bootstrap standard errors, not percentiles of the resamples: a
person drawn twice has no score with themselves, so resamples lie a little low."""
_RESAMPLES = 200
MOST_PEOPLE = 1000
"""More add minutes and hardly any certainty: half a million pairs."""


class CalibrationImpossible(ValueError):
    """Scores from which no threshold can be found; says why, in words for the operator."""


@dataclass(frozen=True, slots=True, eq=False)
class ImpostorScores:
    """Scores between different people."""

    scores: Real
    """float64 (N,), larger = more alike."""
    first: Index
    """(N,), number of the one person, 0 to people - 1."""
    second: Index
    """(N,), number of the other."""
    people: int

    def __post_init__(self) -> None:
        if not self.scores.shape == self.first.shape == self.second.shape or self.scores.ndim != 1:
            raise ValueError("impostor scores: three arrays of one length expected")
        if not np.isfinite(self.scores).all():
            raise ValueError("impostor scores: one is not finite")
        if (self.first == self.second).any():
            raise ValueError("impostor scores: one is of a person with themselves")


@dataclass(frozen=True, slots=True)
class Tail:
    """The tail of a distribution of scores."""

    start: float
    """Score above which the share `TAIL_SHARE` lies."""
    mean_excess: float
    """Of the scores above it, 0 or more."""
    shape: float
    """Of the generalised Pareto distribution; below 0 the tail is lighter than exponential."""
    people: float
    """Effective number of people in the tail: (sum of weights) squared over the sum of squared weights."""

    def threshold(self, rate: float) -> float:
        """Return the score that is exceeded at a rate, which is at most `TAIL_SHARE`."""
        depth = math.log(TAIL_SHARE / rate)
        if abs(self.shape) < 1e-9:
            return self.start + self.mean_excess * depth
        return self.start + self.mean_excess * (1 - self.shape) * math.expm1(self.shape * depth) / self.shape

    def rate(self, threshold: float) -> float:
        """Return the rate at which a score is exceeded; `TAIL_SHARE` for any below the start."""
        if threshold <= self.start:
            return TAIL_SHARE
        if self.mean_excess == 0:
            return 0.0
        above = (threshold - self.start) / (self.mean_excess * (1 - self.shape))
        if abs(self.shape) < 1e-9:
            return TAIL_SHARE * math.exp(-above)
        return TAIL_SHARE * float(max(0.0, 1 + self.shape * above) ** (-1 / self.shape))


@dataclass(frozen=True, slots=True)
class CalibratedThreshold:
    """A threshold for a rate, with what it rests on."""

    rate: float
    """The false match rate wanted, between two people drawn at random."""
    threshold: float
    """Upper end of the one-sided 95 % interval."""
    estimate: float
    """The best estimate."""
    interval: tuple[float, float]
    """Two-sided 95 % interval."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds for several rates from one set of impostor scores."""

    thresholds: tuple[CalibratedThreshold, ...]
    """In the order of the rates asked for."""
    tail: Tail
    people: int
    pairs: int
    """Of people."""
    highest: float
    """The highest score between two people: among the first to look at when somebody may be enrolled twice."""


def least_people(rate: float) -> int:
    """Return how many people are needed for a threshold at a rate."""
    pairs = _LEAST_ERRORS / rate
    # The smallest n with n (n - 1) / 2 >= pairs; a hair is taken off for rates such as .001 that are no binary fractions.
    return max(3, math.ceil((1 + math.sqrt(1 + 8 * pairs)) / 2 - 1e-9))


def calibrate(impostor: ImpostorScores, rates: Sequence[float], *, seed: int = 0) -> Calibration:
    """Return thresholds for the rates wanted.

    Args:
        impostor: the scores.
        rates: false match rates, each above 0 and at most `TAIL_SHARE`.
        seed: of the resampling; the same seed gives the same thresholds.

    Raises:
        CalibrationImpossible: if there are too few people for a rate, or they all score alike.
    """
    if not rates or not all(0 < rate <= TAIL_SHARE for rate in rates):
        raise ValueError(f"rates: {rates}, each above 0 and at most {TAIL_SHARE} expected")
    present = len(np.unique(np.concatenate([impostor.first, impostor.second])))
    needed = least_people(min(rates))
    if present < needed:
        raise CalibrationImpossible(f"{present} people, {needed} needed for a false match rate of {min(rates):g}")
    sample = _Sample(impostor)
    fitted, normal = sample.tails(np.ones(impostor.people))
    weight = _fit_weight(fitted.people)
    tail = _blend(fitted, normal, weight)
    if tail.mean_excess < 1e-9:
        raise CalibrationImpossible("the scores of different people do not differ")
    generator = np.random.default_rng(seed)
    blended, fits = np.empty((_RESAMPLES, len(rates))), np.empty((_RESAMPLES, len(rates)))
    for resample in range(_RESAMPLES):
        drawn = generator.integers(0, impostor.people, impostor.people)
        counts = np.bincount(drawn, minlength=impostor.people).astype(np.float64)
        one, other = sample.tails(counts)
        blended[resample] = [_blend(one, other, weight).threshold(rate) for rate in rates]
        fits[resample] = [one.threshold(rate) for rate in rates]
    return Calibration(
        thresholds=tuple(
            _summary(rate, tail, blended[:, place], fitted, fits[:, place]) for place, rate in enumerate(rates)
        ),
        tail=tail,
        people=present,
        pairs=sample.pairs,
        highest=float(impostor.scores.max()),
    )


def _summary(rate: float, tail: Tail, blended: Real, fitted: Tail, fits: Real) -> CalibratedThreshold:
    estimate, error = tail.threshold(rate), float(blended.std())
    # Of the two tails the normal one is usually the heavier; the lower end allows for its being wrong.
    low = min(estimate - _TWO_SIDED * error, fitted.threshold(rate) - _TWO_SIDED * float(fits.std()))
    return CalibratedThreshold(
        rate, estimate + _ONE_SIDED * error, estimate, (min(low, estimate), estimate + _TWO_SIDED * error)
    )


def _blend(fitted: Tail, normal: Tail, weight: float) -> Tail:
    return Tail(
        start=weight * fitted.start + (1 - weight) * normal.start,
        mean_excess=weight * fitted.mean_excess + (1 - weight) * normal.mean_excess,
        shape=weight * fitted.shape + (1 - weight) * normal.shape,
        people=fitted.people,
    )


class _Sample:
    """Scores in rising order with the weight of each."""

    def __init__(self, impostor: ImpostorScores) -> None:
        order = np.argsort(impostor.scores, kind="stable")
        self._scores = impostor.scores[order]
        self._first, self._second = impostor.first[order], impostor.second[order]
        low, high = np.minimum(self._first, self._second), np.maximum(self._first, self._second)
        _, pair, count = np.unique(low * impostor.people + high, return_inverse=True, return_counts=True)
        self._weights = 1.0 / count[pair]
        self.pairs = len(count)
        self._people = impostor.people

    def tails(self, counts: Real) -> tuple[Tail, Tail]:
        """Return the fitted and the normal tail when each person stands in the sample so many times.

        Args:
            counts: (people,), how often each was drawn.
        """
        weights = self._weights * counts[self._first] * counts[self._second]
        total = float(weights.sum())
        if total <= 0:
            raise CalibrationImpossible("no two people in the sample")
        weights /= total
        mean = float(weights @ self._scores)
        spread = math.sqrt(max(0.0, float(weights @ (self._scores - mean) ** 2)))
        beyond = int(np.searchsorted(np.cumsum(weights), 1 - TAIL_SHARE))
        beyond = min(beyond, len(weights) - 1)
        start = float(self._scores[beyond])
        own = weights[beyond:]
        is_used = own > 0
        excess, own = self._scores[beyond:][is_used] - start, own[is_used]
        own = own / own.sum()
        each = np.bincount(self._first[beyond:][is_used], own, self._people)
        each += np.bincount(self._second[beyond:][is_used], own, self._people)
        people = float(each.sum() ** 2 / (each**2).sum())
        shape = _fitted_shape(excess, own, people)
        normal = Tail(mean + _NORMAL_POINT * spread, _NORMAL_EXCESS * spread, _NORMAL_SHAPE, people)
        return Tail(start, float(own @ excess), shape, people), normal


def _fit_weight(people: float) -> float:
    return people**2 / (people**2 + _FIT_COUNTS_FROM**2)


def _fitted_shape(excess: Real, weights: Real, effective: float) -> float:
    """Return the shape of the generalised Pareto distribution that fits weighted excesses.

    Args:
        excess: (N,), rising, 0 or more.
        weights: (N,), their sum is 1.
        effective: how many independent values they are worth.

    Source: Zhang and Stephens 2009, equations 2.2 to 2.6, with weighted means in place of means; the sign of the shape is that of Coles.
    """
    is_above = excess > 0
    if is_above.sum() < 2:
        return _NORMAL_SHAPE
    values, share = excess[is_above], weights[is_above] / weights[is_above].sum()
    quartile = float(values[min(int(np.searchsorted(np.cumsum(share), 0.25)), len(values) - 1)])
    grid = 30 + math.isqrt(max(1, round(effective)))
    places = np.arange(1, grid + 1) - 0.5
    candidates = 1 / values[-1] + (1 - np.sqrt(grid / places)) / (3 * quartile)
    shapes = np.array([float(share @ np.log1p(-candidate * values)) for candidate in candidates])
    with np.errstate(divide="ignore", invalid="ignore"):
        likelihood = effective * (np.log(-candidates / shapes) - shapes - 1)
    likelihood = np.where(np.isfinite(likelihood), likelihood, -np.inf)
    if not np.isfinite(likelihood.max()):
        return _NORMAL_SHAPE
    posterior = np.exp(likelihood - likelihood.max())
    best = float(posterior @ candidates / posterior.sum())
    shape = float(share @ np.log1p(-best * values))
    return max(-_SHAPE_LIMIT, min(_SHAPE_LIMIT, shape)) if math.isfinite(shape) else _NORMAL_SHAPE
