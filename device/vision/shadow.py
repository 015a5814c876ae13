"""A features network that runs beside the one in use, on the same faces, and decides nothing.

It says how alike it finds somebody to themselves, beside what the one in use says.

Nothing of anybody is kept but sums over sessions: the faces of one session are zeroed when it has ended, and no sum of fewer than
`LEAST_SESSIONS` is told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

from device.errors import IncomparableFeatures
from device.vision.comparison import compare
from device.vision.features import FeatureExtractor, FeatureVector
from device.vision.frame import Pixels
from device.vision.inference import Network

LEAST_SESSIONS: Final = 20
"""Of fewer a figure would say something about single people."""
_MOST_FACES: Final = 6
"""Of one session: 15 pairs, and on a small board a third of a second after the decision."""


@dataclass(frozen=True, slots=True)
class ShadowSummary:
    """What came of some sessions. Cosines of pairs of samples of one session: the same person, under the same light."""

    sessions: int
    pairs: int
    old_mean: float
    old_sd: float
    new_mean: float
    new_sd: float


@dataclass(slots=True)
class _Sums:
    sessions: int = 0
    old: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """Sum, and sum of squares."""
    new: list[float] = field(default_factory=lambda: [0.0, 0.0])
    pairs: int = 0


class Shadow:
    """Used by the vision worker's thread.

    Args:
        network: the new one.
        present: the one in use; both must see the same crop.

    Raises:
        ValueError: if the new one wants another crop than the one in use makes.
    """

    def __init__(self, network: Network, *, present: Network) -> None:
        new, old = network.manifest.preprocessing, present.manifest.preprocessing
        if (new.width, new.height) != (old.width, old.height):
            raise ValueError(f"shadow: faces of {new.width}x{new.height}, those here are {old.width}x{old.height}")
        self._extractor = FeatureExtractor(network)
        self._crops: list[Pixels] = []
        self._old: list[float] = []
        self._sums = _Sums()

    def hold(self, faces: Sequence[tuple[Pixels, FeatureVector]]) -> None:
        """Hold the faces of a session until it is known how it ended.

        Args:
            faces: aligned crops, which are copied, and their features by the network in use, of which nothing but their likeness is kept.
        """
        self.forget()
        some = list(faces[:_MOST_FACES])
        try:
            self._old = [compare(a, b).similarity for (_, a), (_, b) in combinations(some, 2)]
        except IncomparableFeatures:
            # Of a broken frame; the session goes on without it.
            return
        self._crops = [crop.copy() for crop, _ in some]

    def forget(self) -> None:
        """Zero the faces that are held."""
        for crop in self._crops:
            crop[...] = 0
        self._crops, self._old = [], []

    def run(self) -> ShadowSummary | None:
        """Run the new network on the faces that are held, zero them, and return a summary where there are enough sessions for one."""
        features: list[FeatureVector] = []
        try:
            features = [self._extractor.extract(crop) for crop in self._crops]
            new = [compare(a, b).similarity for a, b in combinations(features, 2)]
            if new:
                self._add(self._old, new)
        except IncomparableFeatures:
            # A network that gives no direction says nothing; nobody is served worse for it.
            pass
        finally:
            for vector in features:
                vector.erase()
            self.forget()
        if self._sums.sessions < LEAST_SESSIONS:
            return None
        found, self._sums = self._summary(), _Sums()
        return found

    def _add(self, old: Sequence[float], new: Sequence[float]) -> None:
        sums = self._sums
        sums.sessions += 1
        sums.pairs += len(new)
        for total, values in ((sums.old, old), (sums.new, new)):
            total[0] += math.fsum(values)
            total[1] += math.fsum(value * value for value in values)

    def _summary(self) -> ShadowSummary:
        sums = self._sums
        return ShadowSummary(
            sums.sessions, sums.pairs, *_mean_sd(sums.old, sums.pairs), *_mean_sd(sums.new, sums.pairs)
        )


def _mean_sd(sums: Sequence[float], count: int) -> tuple[float, float]:
    mean = sums[0] / count
    return mean, math.sqrt(max(0.0, sums[1] / count - mean * mean))
