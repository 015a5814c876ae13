"""Enrolment from a picture: what is refused leaves no features behind."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from device.app import enrol
from device.errors import PictureUnsuitable
from device.vision.features import FeatureVector


@pytest.mark.parametrize(
    ("face_count", "is_cut", "has_quality", "message"),
    [(2, False, True, "2 faces found"), (1, True, True, "cut by the border"), (1, False, False, "no face found")],
)
def test_the_features_of_a_picture_that_is_refused_are_zeroed(monkeypatch, face_count, is_cut, has_quality, message):
    features = FeatureVector(np.ones(4, np.float32), "a" * 64)
    quality = SimpleNamespace() if has_quality else None
    subject = SimpleNamespace(features=features, quality=quality, is_cut_by_border=is_cut)
    observation = SimpleNamespace(subject=subject, face_count=face_count)
    pipeline = SimpleNamespace(process=lambda *_args, **_kwargs: observation)
    monkeypatch.setattr(enrol, "VisionPipeline", lambda _networks: pipeline)
    with pytest.raises(PictureUnsuitable, match=message):
        enrol.observe_picture(np.zeros((4, 4, 3), np.uint8), SimpleNamespace(), name="a.png")
    assert not features.values.any()
