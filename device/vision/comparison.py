"""One-to-one comparison of feature vectors; what a score means is said in `device.session.decision`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from device.errors import IncomparableFeatures
from device.vision.features import FeatureVector


@dataclass(frozen=True, slots=True)
class ComparisonScore:
    """How alike a probe and a reference are."""

    similarity: float
    """Cosine of the angle between the two vectors, -1..1, larger = more alike."""
    model_digest: str
    """SHA-256 of the feature network; a score has no meaning without it."""


def compare(probe: FeatureVector, reference: FeatureVector) -> ComparisonScore:
    """Return the similarity of two feature vectors, both plain or both protected in one key domain.

    The rotation of protected vectors keeps angles, and the cosine does not depend on their length, so int8 and float32
    vectors compare alike.

    Raises:
        IncomparableFeatures: if networks, key domains or lengths differ, or a vector is zero or not finite.
    """
    if probe.model_digest != reference.model_digest:
        raise IncomparableFeatures(
            f"probe is of network {probe.model_digest[:8]}, reference of network {reference.model_digest[:8]}"
        )
    if probe.key_domain != reference.key_domain:
        raise IncomparableFeatures(f"probe is of key domain {probe.key_domain}, reference of {reference.key_domain}")
    if probe.values.shape != reference.values.shape or probe.values.ndim != 1:
        raise IncomparableFeatures(f"probe is {probe.values.shape}, reference {reference.values.shape}")
    a, b = probe.values.astype(np.float64), reference.values.astype(np.float64)
    # A number that is none would come out of `min` and `max` below as the best score there is.
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise IncomparableFeatures("a feature vector is not finite")
    lengths = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    if lengths == 0.0:
        raise IncomparableFeatures("a feature vector is zero")
    similarity = max(-1.0, min(1.0, float(a @ b) / lengths))
    return ComparisonScore(similarity=similarity, model_digest=probe.model_digest)
