from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from device.errors import IncomparableFeatures
from device.vision.features import FeatureExtractor, FeatureVector, mean_features

OUTPUTS = {"features": (1, 4)}


def vector(values: list[float], digest: str = "a", key_domain: str | None = None) -> FeatureVector:
    return FeatureVector(values=np.array(values, np.float32), model_digest=digest, key_domain=key_domain)


def test_features_have_unit_length_and_the_digest(fake_network: Callable) -> None:
    network = fake_network("features", 112, OUTPUTS, lambda _: {"features": np.array([[3, 0, 4, 0]], np.float32)})
    made = FeatureExtractor(network).extract(np.zeros((112, 112, 3), np.uint8))
    assert made.values == pytest.approx([0.6, 0, 0.8, 0])
    assert made.values.dtype == np.float32
    assert made.model_digest == network.digest


def test_flip_averaging_does_not_depend_on_the_side(fake_network: Callable) -> None:
    def answer(image: np.ndarray) -> dict[str, np.ndarray]:
        left = float(image[:, :56].mean())
        return {"features": np.array([[left, 10, 0, 0]], np.float32)}

    extractor = FeatureExtractor(fake_network("features", 112, OUTPUTS, answer))
    crop = np.zeros((112, 112, 3), np.uint8)
    crop[:, :56] = 100
    mirrored = np.ascontiguousarray(crop[:, ::-1])
    plain = [extractor.extract(item).values for item in (crop, mirrored)]
    averaged = [extractor.extract(item, flip_averaging=True).values for item in (crop, mirrored)]
    assert plain[0] != pytest.approx(plain[1])
    assert averaged[0] == pytest.approx(averaged[1])
    assert np.linalg.norm(averaged[0]) == pytest.approx(1)


def test_mean_has_unit_length() -> None:
    assert mean_features([vector([1, 0]), vector([0, 1])]).values == pytest.approx([0.5**0.5] * 2)


@pytest.mark.parametrize("other", [vector([0, 1], digest="b"), vector([0, 1, 0]), vector([0, 1], key_domain="k")])
def test_vectors_that_do_not_belong_together_have_no_mean(other: FeatureVector) -> None:
    with pytest.raises(IncomparableFeatures):
        mean_features([vector([1, 0]), other])


def test_no_vector_has_no_mean() -> None:
    with pytest.raises(ValueError, match="no feature vectors"):
        mean_features([])


def test_text_form_hides_the_values_and_erasing_zeroes_them() -> None:
    secret = vector([0.123456, 0.9])
    assert "123" not in repr(secret)
    secret.erase()
    assert not secret.values.any()
