"""The comparison of a probe: nothing of it is left in memory, however it ends."""

from __future__ import annotations

import numpy as np
import pytest

from device.errors import IncomparableFeatures
from device.runner import samples
from device.runner.samples import Sample, score_of
from device.vision.features import FeatureVector
from protocol.references import protect

KEY, MODEL = bytes(range(32)), "a" * 64
VALUES = np.array([0.6, 0.8, 0.0, 0.0], np.float32)


@pytest.mark.parametrize("breaks", ["nowhere", "protecting", "comparing"])
def test_whatever_becomes_of_a_comparison_the_probe_is_zeroed(monkeypatch, breaks):
    seen = []

    def fuse(vectors):
        fused = FeatureVector(vectors[0].values.copy(), MODEL)
        seen.append(fused.values)
        return fused

    def hide(values, key):
        seen.append(values)
        if breaks == "protecting":
            raise ValueError("key")
        return protect(values, key)

    def compare(probe, *_args, **_kwargs):
        seen.append(probe.values)
        if breaks == "comparing":
            raise IncomparableFeatures("the cohort holds somebody twice")

    monkeypatch.setattr(samples, "mean_features", fuse)
    monkeypatch.setattr(samples, "protect", hide)
    monkeypatch.setattr(samples, "compare_with_cohort", compare)
    probe = [Sample("acquiring", 1, FeatureVector(VALUES.copy(), MODEL), {}, is_moving=False)]
    reference = FeatureVector(protect(VALUES, KEY), MODEL, "d-1")
    assert score_of(probe, reference, KEY) is None
    assert len(seen) == (2 if breaks == "protecting" else 3)
    assert not any(values.any() for values in seen)
