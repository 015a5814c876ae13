"""Comparison with a cohort: the score of a probe and a reference, raw and against their nearest strangers.

The definition stands in `protocol.cohort`. On the terminal the cohort is made of the roster's other references of the same key domain
and network: protected vectors of one key domain are turned by one rotation, which keeps the cosines between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device.errors import IncomparableFeatures
from device.vision.comparison import ComparisonScore, compare
from device.vision.features import FeatureVector
from protocol.cohort import level, normalised


@dataclass(frozen=True, slots=True)
class CohortRules:
    """When and how scores are normalised; from the policy."""

    nearest_share: float
    """Of the cohort that counts as near, above 0 up to 1."""
    least_people: int
    """With fewer in the cohort the score stays raw."""


@dataclass(frozen=True, slots=True)
class CohortScore:
    """A comparison score with its normalised form."""

    raw: ComparisonScore
    normalised: float | None
    """-2..2, larger = more alike; None where the cohort was too small."""
    cohort_people: int
    """How many others were compared with."""


@dataclass(frozen=True, slots=True)
class CohortMember:
    """One other person of the cohort."""

    subject_id: str
    features: FeatureVector


def compare_with_cohort(
    probe: FeatureVector,
    reference: FeatureVector,
    cohort: Sequence[CohortMember],
    rules: CohortRules | None,
    *,
    subject_id: str,
) -> CohortScore:
    """Return the score of a probe and a reference, normalised where the cohort is large enough.

    Args:
        probe: of the person at the terminal.
        reference: of the claimed subject.
        cohort: one reference of each of other people; those of another network, key domain or length are passed over, so
            that a roster in the middle of a change of networks never stops a comparison.
        rules: None where the policy judges raw scores only.
        subject_id: the claimed subject.

    Raises:
        IncomparableFeatures: as `compare`; and if the cohort holds the claimed subject or anybody twice, because whoever is in
            the cohort pulls the own score down, or up for a stranger.
    """
    raw = compare(probe, reference)
    names = [member.subject_id for member in cohort]
    if subject_id in names:
        raise IncomparableFeatures("the cohort holds the claimed subject")
    if len(set(names)) != len(names):
        raise IncomparableFeatures("the cohort holds somebody twice")
    others = _directions(cohort, probe)
    if rules is None or len(others) < max(1, rules.least_people):
        return CohortScore(raw, None, len(others))
    first, second = (level(others @ _direction(side), rules.nearest_share) for side in (probe, reference))
    return CohortScore(raw, normalised(raw.similarity, first, second), len(others))


def _directions(cohort: Sequence[CohortMember], probe: FeatureVector) -> NDArray[np.float64]:
    """Return the unit vectors of those that can be compared with the probe, float64 (N, D)."""
    vectors = [member.features for member in cohort]
    usable = [
        vector.values
        for vector in vectors
        if (vector.model_digest, vector.key_domain, vector.values.shape)
        == (probe.model_digest, probe.key_domain, probe.values.shape)
    ]
    stacked = np.array(usable, np.float64).reshape(len(usable), probe.values.shape[0])
    lengths = np.linalg.norm(stacked, axis=1)
    is_good = np.isfinite(lengths) & (lengths > 0)
    return np.asarray(stacked[is_good] / lengths[is_good, None], np.float64)


def _direction(vector: FeatureVector) -> NDArray[np.float64]:
    values = vector.values.astype(np.float64)
    return np.asarray(values / np.linalg.norm(values), np.float64)
