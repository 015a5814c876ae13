"""A features network that runs beside the one in use, on the same faces, and decides nothing.

It says how alike it finds somebody to themselves, beside what the one in use says, and makes of the same samples a reference for the day on
which it is the one in use: features of one network cannot be turned into those of another.

Nothing of anybody is kept here but sums over sessions: the faces of one session are zeroed when it has ended, and no sum of fewer than
`LEAST_SESSIONS` is told.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from typing import Final

from device.errors import IncomparableFeatures
from device.vision.comparison import compare
from device.vision.features import FeatureExtractor, FeatureVector, mean_features
from device.vision.frame import Pixels
from device.vision.inference import Network
from protocol.policy import ComparisonPolicy
from protocol.records import NetworkUse
from protocol.references import LegalBasis, protect

LEAST_SESSIONS: Final = 20
"""Of fewer a figure would say something about single people."""
_MOST_FACES: Final = 6
"""Of one session: 15 pairs, and on a small board a third of a second after the decision."""
_RANK: Final = {"non_match": 0, "grey": 1, "match": 2}


class Fate(StrEnum):
    """What became of the samples of a session that certified."""

    PROPOSED = "proposed"
    KNOWN = "known"
    """The person has a reference of the new network, and is alike with it."""
    UNLIKE = "unlike"
    """The samples are less alike by the new network than by the one in use, or not alike with the reference that is there."""
    NO_THRESHOLDS = "no_thresholds"
    """The policy has none for the new network."""
    NO_KEY = "no_key"
    """The fleet has named no key domain for new references, or nobody to seal them to."""
    OTHER_POLICY = "other_policy"
    """Another policy came since the session."""
    NOT_ON_ROSTER = "not_on_roster"
    """What the person was compared with is no live or confirmed reference of the roster: a card keeps its reference to itself."""


@dataclass(frozen=True, slots=True)
class Move:
    """How a reference for the new network is made of a session's samples. Its repr shows no secret and no feature."""

    domain: str
    """The key domain of new references."""
    secret: bytes
    new: ComparisonPolicy
    """Thresholds of the new network."""
    old: ComparisonPolicy
    """Those of the one in use."""
    legal_basis: LegalBasis
    known: FeatureVector | None = None
    """What the person has of the new network already, int8 (D,)."""
    known_secret: bytes = b""
    """Of its key domain."""

    def __repr__(self) -> str:
        return f"Move({self.domain})"

    def erase(self) -> None:
        """Zero the features that came with it."""
        if self.known is not None:
            self.known.erase()


@dataclass(frozen=True, slots=True)
class Moved:
    """A reference for the new network; whoever gets it erases its features."""

    features: FeatureVector
    """Protected, int8 (D,)."""
    quality: float
    """Unified quality of the probe, 0..100."""
    samples: int
    legal_basis: LegalBasis

    def __repr__(self) -> str:
        return f"Moved({self.samples} samples)"


@dataclass(frozen=True, slots=True)
class ShadowSummary:
    """What came of some sessions. Cosines of pairs of samples of one session: the same person, under the same light."""

    sessions: int
    pairs: int
    old_mean: float
    old_sd: float
    new_mean: float
    new_sd: float
    fates: Mapping[Fate, int] = field(default_factory=dict)
    """How many of the sessions came to what."""


@dataclass(frozen=True, slots=True)
class ShadowFound:
    """What came of one session, and of many where it is the last of them."""

    summary: ShadowSummary | None = None
    moved: Moved | None = None


@dataclass(slots=True)
class _Sums:
    sessions: int = 0
    fates: Counter[Fate] = field(default_factory=Counter)
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
        self.network = NetworkUse(name=network.manifest.name, sha256=network.digest, runtime=network.runtime)
        """As a link of the chain names it."""
        self._extractor = FeatureExtractor(network)
        self._crops: list[Pixels] = []
        self._old: list[float] = []
        self._quality = 0.0
        self._sums = _Sums()

    def hold(self, faces: Sequence[tuple[Pixels, FeatureVector]], *, quality: float = 0.0) -> None:
        """Hold the faces of a session until it is known how it ended.

        Args:
            faces: aligned crops, which are copied, and their features by the network in use, of which nothing but their likeness is kept.
            quality: unified quality of the probe they are of, 0..100.
        """
        self.forget()
        some = list(faces[:_MOST_FACES])
        try:
            self._old = [compare(a, b).similarity for (_, a), (_, b) in combinations(some, 2)]
        except IncomparableFeatures:
            # Of a broken frame; the session goes on without it.
            return
        self._crops = [crop.copy() for crop, _ in some]
        self._quality = quality

    def forget(self) -> None:
        """Zero the faces that are held."""
        for crop in self._crops:
            crop[...] = 0
        self._crops, self._old = [], []

    def run(self, move: Move | Fate) -> ShadowFound:
        """Run the new network on the faces that are held and zero them.

        Args:
            move: how a reference is made of them, or why none can be.

        Returns:
            The reference, where the faces are as alike by the new network as they are by the one in use; and a summary, where there are
            enough sessions for one.
        """
        features: list[FeatureVector] = []
        moved: Moved | None = None
        try:
            features = [self._extractor.extract(crop) for crop in self._crops]
            new = [compare(a, b).similarity for a, b in combinations(features, 2)]
            if new:
                fate, moved = (move, None) if isinstance(move, Fate) else self._move(move, features, new)
                self._add(self._old, new, fate)
        except IncomparableFeatures:
            # A network that gives no direction says nothing; nobody is served worse for it.
            pass
        finally:
            for vector in features:
                vector.erase()
            self.forget()
        if self._sums.sessions < LEAST_SESSIONS:
            return ShadowFound(moved=moved)
        found, self._sums = self._summary(), _Sums()
        return ShadowFound(found, moved)

    def _move(self, move: Move, features: Sequence[FeatureVector], new: Sequence[float]) -> tuple[Fate, Moved | None]:
        """Return what the samples come to.

        Raises:
            IncomparableFeatures: if they, or what is known of the person, give no direction.
        """
        if not _is_as_alike(self._old, new, move):
            return Fate.UNLIKE, None
        fused = mean_features(features)
        try:
            if move.known is None:
                return Fate.PROPOSED, Moved(
                    _protected(fused, move.domain, move.secret), self._quality, len(features), move.legal_basis
                )
            probe = _protected(fused, move.known.key_domain, move.known_secret)
            try:
                is_match = compare(probe, move.known).similarity >= move.new.match
            finally:
                probe.erase()
            return (Fate.KNOWN if is_match else Fate.UNLIKE), None
        finally:
            fused.erase()

    def _add(self, old: Sequence[float], new: Sequence[float], fate: Fate) -> None:
        sums = self._sums
        sums.sessions += 1
        sums.pairs += len(new)
        sums.fates[fate] += 1
        for total, values in ((sums.old, old), (sums.new, new)):
            total[0] += math.fsum(values)
            total[1] += math.fsum(value * value for value in values)

    def _summary(self) -> ShadowSummary:
        sums = self._sums
        return ShadowSummary(
            sums.sessions,
            sums.pairs,
            *_mean_sd(sums.old, sums.pairs),
            *_mean_sd(sums.new, sums.pairs),
            fates=dict(sums.fates),
        )


def _is_as_alike(old: Sequence[float], new: Sequence[float], move: Move) -> bool:
    """Say whether no pair of samples falls into a worse zone by the new network than by the old one, and none shows two people."""
    zones = [(_RANK[move.old.judge(o).zone], _RANK[move.new.judge(n).zone]) for o, n in zip(old, new, strict=True)]
    return all(by_new >= max(by_old, 1) for by_old, by_new in zones)


def _protected(fused: FeatureVector, domain: str | None, secret: bytes) -> FeatureVector:
    try:
        return FeatureVector(protect(fused.values.astype("float32", copy=False), secret), fused.model_digest, domain)
    except ValueError as error:
        # Its message is about the features.
        raise IncomparableFeatures(f"features cannot be protected: {type(error).__name__}") from None


def _mean_sd(sums: Sequence[float], count: int) -> tuple[float, float]:
    mean = sums[0] / count
    return mean, math.sqrt(max(0.0, sums[1] / count - mean * mean))
