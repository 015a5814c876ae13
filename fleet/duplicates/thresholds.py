"""How alike two references must be to be looked at, where everybody is compared with everybody.

A threshold of 1:1 does not serve 1:N. Where a comparison is falsely a match at the rate FMR, and the comparisons of one search are taken
for independent, a search among N others has a false hit at the rate

    FPIR = 1 - (1 - FMR)^N

so that the false match rate which a wanted FPIR leaves to each comparison is 1 - (1 - FPIR)^(1/N).

Source: the product rule for independent events; terms (FMR, FPIR) as in ISO/IEC 19795-1. Comparisons of one face are not independent: faces
that resemble many others have more hits than this says, others fewer. Relatives and twins are outside of what any such figure says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from protocol.calibration import TAIL_SHARE, Tail

UNCALIBRATED_SCORE = 0.75
UNCALIBRATED_FMR = 4 / 7.3e6
"""What a search uses before a calibration, for a network whose match threshold lies below. Source: LFW, MobileFaceNet int8, flip-averaged:
4 of 7.3 million pairs of different names reach it (`fleet.updates.calibration.DOUBLE_SCORE`); for the population served not known."""


@dataclass(frozen=True, slots=True)
class SearchThreshold:
    """The threshold of a search, and what it rests on."""

    score: float
    """Least cosine of a hit."""
    basis: Literal["calibration", "uncalibrated", "given"]
    fmr: float | None
    """False match rate of one comparison at the score, as far as it is known."""

    def false_hits(self, comparisons: int) -> float | None:
        """Return how many false hits are to be expected among so many comparisons; None where nobody knows."""
        return None if self.fmr is None else self.fmr * comparisons


def fmr_for(fpir: float, others: int) -> float:
    """Return the false match rate of one comparison that keeps a false positive identification rate among so many others.

    Args:
        fpir: wanted, above 0 and below 1.
        others: with how many references each is compared, 1 or more.

    Raises:
        ValueError: if one is out of its range.
    """
    if not 0 < fpir < 1 or others < 1:
        raise ValueError(f"fpir {fpir:g} among {others} others: 0 < fpir < 1 and 1 or more expected")
    return -math.expm1(math.log1p(-fpir) / others)


def fpir_of(fmr: float, others: int) -> float:
    """Return the false positive identification rate of a search among so many others."""
    return -math.expm1(others * math.log1p(-fmr))


def rounded_up(people: int) -> int:
    """Return the next 1, 2 or 5 with zeros, so that a threshold stays while people come and go, and errs to the strict side.

    Args:
        people: 0 or more.
    """
    step = 1
    while True:
        for factor in (1, 2, 5):
            if factor * step >= people:
                return factor * step
        step *= 10


def calibrated(tail: Tail, *, match: float, margin: float, fpir: float, others: int) -> SearchThreshold:
    """Return the threshold of a search from the tail of scores between different people of the population.

    Args:
        tail: of the calibration in force.
        match: its match threshold: a search is never laxer than a session.
        margin: what the calibration added to its best estimate, 0 or more; added here, too.
        fpir: wanted.
        others: with how many references each is compared.
    """
    fmr = min(fmr_for(fpir, others), TAIL_SHARE)
    score = max(match, tail.threshold(fmr) + margin)
    return SearchThreshold(score, "calibration", tail.rate(score))


def uncalibrated(match: float) -> SearchThreshold | None:
    """Return the threshold before a calibration; None for a network of which nothing is known."""
    return SearchThreshold(UNCALIBRATED_SCORE, "uncalibrated", UNCALIBRATED_FMR) if match < UNCALIBRATED_SCORE else None
