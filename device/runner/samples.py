"""The samples of a session: features that may be compared, until they are, and the comparison itself."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from device.errors import IncomparableFeatures
from device.session.commands import TakeSample, Watched
from device.session.state import State
from device.vision.evidence.continuity import PhaseSample, assess_continuity
from device.vision.features import FeatureVector, mean_features
from device.vision.frame import Pixels
from device.vision.normalisation import CohortMember, CohortRules, CohortScore, compare_with_cohort
from device.vision.pipeline import SubjectObservation
from protocol.evidence import EvidenceResult
from protocol.quality import unified_score
from protocol.references import protect

logger = logging.getLogger(__name__)

_RECENT = 16
"""Observations kept for a `TakeSample` that comes some frames late: half a second at 30 frames/s."""
_MOST_MOVING = 300
"""Frames kept of the actions after one prompt, the newest: ten seconds of movement at 30 frames/s; no answer takes as long."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame that was taken as a sample."""

    phase: str
    track_id: int
    features: FeatureVector
    quality: dict[str, float]
    """Empty for an action: what shows one is not chosen by quality."""
    is_moving: bool
    crop: Pixels | None = None
    """The aligned face, only while a network runs in the shadow of the one in use."""


class SampleKeeper:
    """Keeps features and zeroes them when they are no longer wanted.

    Args:
        keeps_crops: whether the aligned faces of the resting face are kept as well, as long as the features.
    """

    def __init__(self, *, keeps_crops: bool = False) -> None:
        self._keeps_crops = keeps_crops
        self._recent: OrderedDict[int, SubjectObservation] = OrderedDict()
        self._moving: OrderedDict[int, SubjectObservation] = OrderedDict()
        self._samples: list[Sample] = []

    def keep_resting(self, sequence: int, subject: SubjectObservation) -> bool:
        """Keep a frame of the resting face; return whether it has features."""
        # A copy, since it is zeroed: others look at the same picture.
        crop = subject.crop.copy() if self._keeps_crops and subject.crop is not None else None
        return _put(self._recent, sequence, replace(subject, crop=crop), most=_RECENT)

    def keep_moving(self, sequence: int, subject: SubjectObservation) -> None:
        """Keep a frame, with features, that may show the answer to the open prompt."""
        _put(self._moving, sequence, replace(subject, crop=None), most=_MOST_MOVING)

    def has_moving(self, sequence: int | None) -> bool:
        """Say whether a frame of an action is kept."""
        return sequence in self._moving

    def take(self, order: TakeSample) -> None:
        """Make a kept frame a sample; one that is gone makes none, and continuity will miss it."""
        subject = (self._moving if order.is_moving else self._recent).get(order.sequence)
        if subject is None or subject.features is None:
            logger.debug("sample no longer there phase=%s", order.phase)
            return
        own = FeatureVector(subject.features.values.copy(), subject.features.model_digest)
        quality = {} if subject.quality is None else subject.quality.components()
        crop = None if subject.crop is None else subject.crop.copy()
        self._samples.append(Sample(order.phase, subject.track_id, own, quality, order.is_moving, crop))

    def probe(self, *, best: int, minimum: Mapping[str, float]) -> list[Sample]:
        """Return what the probe is fused from: the best samples of the acquisition, and those of every rest and stage after it.

        Args:
            best: how many of the acquisition.
            minimum: quality by component; which sample is better follows from it.
        """
        resting = [sample for sample in self._samples if not sample.is_moving]
        first = [sample for sample in resting if sample.phase == State.ACQUIRING]
        first.sort(key=lambda sample: unified_score(sample.quality, minimum), reverse=True)
        return first[:best] + [sample for sample in resting if sample.phase != State.ACQUIRING]

    def continuity(self, *, threshold: float, phases: Sequence[str], watched: Watched) -> EvidenceResult:
        """Judge whether all samples show one face."""
        seen = [
            PhaseSample(sample.phase, sample.track_id, sample.features, sample.is_moving) for sample in self._samples
        ]
        if watched is Watched.CHANGED:
            # Another track took over; it has no samples, its existence is the evidence.
            seen.append(PhaseSample("another_track", -1, None))
        is_blind = watched is Watched.BLIND
        return assess_continuity(seen, threshold=threshold, phases=phases, is_blind=is_blind)

    def drop_moving(self) -> None:
        """Forget the frames of an action."""
        _empty(self._moving)

    def drop_samples(self) -> None:
        """Forget the samples, and the frames of an action."""
        for sample in self._samples:
            sample.features.erase()
            if sample.crop is not None:
                sample.crop[...] = 0
        self._samples.clear()
        self.drop_moving()

    def forget(self) -> None:
        """Forget everything."""
        self.drop_samples()
        _empty(self._recent)


def reference_of(probe: Sequence[Sample], domain: str, key: bytes) -> FeatureVector | None:
    """Return the fused probe as a protected reference of a key domain, int8 (D,); None without samples."""
    if not probe:
        return None
    fused = mean_features([sample.features for sample in probe])
    try:
        return FeatureVector(protect(fused.values.astype("float32", copy=False), key), fused.model_digest, domain)
    except ValueError as error:
        logger.warning("no reference why=%s", type(error).__name__)
        return None
    finally:
        fused.erase()


def score_of(
    probe: Sequence[Sample],
    reference: FeatureVector | None,
    key: bytes,
    *,
    cohort: Sequence[CohortMember] = (),
    rules: CohortRules | None = None,
    subject_id: str = "",
) -> CohortScore | None:
    """Return the score of the fused probe against the protected reference; None where the two cannot be compared."""
    if not probe or reference is None:
        return None
    plain: FeatureVector | None = None
    protected: FeatureVector | None = None
    try:
        plain = mean_features([sample.features for sample in probe])
        values = plain.values.astype("float32", copy=False)
        protected = FeatureVector(protect(values, key), plain.model_digest, reference.key_domain)
        return compare_with_cohort(protected, reference, cohort, rules, subject_id=subject_id)
    except (IncomparableFeatures, ValueError) as error:
        logger.warning("no comparison why=%s", type(error).__name__)
        return None
    finally:
        erase(plain)
        erase(protected)


def mean_quality(samples: Sequence[Sample]) -> tuple[tuple[str, float], ...]:
    """Return each component's mean; nothing without samples."""
    if not samples:
        return ()
    return tuple((name, sum(sample.quality[name] for sample in samples) / len(samples)) for name in samples[0].quality)


def erase(features: FeatureVector | None) -> None:
    """Zero features, where there are any."""
    if features is not None:
        features.erase()


def _erase(subject: SubjectObservation) -> None:
    erase(subject.features)
    if subject.crop is not None:
        subject.crop[...] = 0


def _empty(kept: OrderedDict[int, SubjectObservation]) -> None:
    for subject in kept.values():
        _erase(subject)
    kept.clear()


def _put(kept: OrderedDict[int, SubjectObservation], sequence: int, subject: SubjectObservation, *, most: int) -> bool:
    """Keep an observation in place of the oldest one; return whether it has features."""
    kept[sequence] = subject
    while len(kept) > most:
        _erase(kept.popitem(last=False)[1])
    return subject.features is not None
