from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from device.vision.features import FeatureVector
from device.vision.shadow import LEAST_SESSIONS, Shadow

pytestmark = pytest.mark.provisioning

OUTPUTS = {"features": (1, 2)}


def face(level: int, angle: float) -> tuple[np.ndarray, FeatureVector]:
    values = np.array([np.cos(angle), np.sin(angle)], np.float32)
    return np.full((112, 112, 3), level, np.uint8), FeatureVector(values, "old")


@pytest.fixture
def shadow(fake_network: Callable) -> Shadow:
    def answer(image: np.ndarray) -> dict[str, np.ndarray]:
        angle = float(image[0, 0, 0]) / 100
        return {"features": np.array([[np.cos(angle), np.sin(angle)]], np.float32)}

    present = fake_network("features", 112, OUTPUTS, answer)
    return Shadow(fake_network("features", 112, OUTPUTS, answer), present=present)


def test_likeness_of_a_person_to_themselves_by_both_networks_over_many_sessions(shadow: Shadow) -> None:
    for number in range(LEAST_SESSIONS):
        shadow.hold([face(0, 0.0), face(20, 0.5), face(20, 0.5)])
        found = shadow.run()
        assert (found is not None) == (number == LEAST_SESSIONS - 1), "never of a few"
    assert found is not None
    assert (found.sessions, found.pairs) == (LEAST_SESSIONS, 3 * LEAST_SESSIONS)
    old, new = [np.cos(0.5), np.cos(0.5), 1.0], [np.cos(0.2), np.cos(0.2), 1.0]
    assert (found.old_mean, found.old_sd) == pytest.approx((np.mean(old), np.std(old)), abs=1e-4)
    assert (found.new_mean, found.new_sd) == pytest.approx((np.mean(new), np.std(new)), abs=1e-4)
    shadow.hold([face(0, 0.0), face(20, 0.5)])
    assert shadow.run() is None, "it begins anew"


def test_faces_are_zeroed_whatever_comes(shadow: Shadow) -> None:
    for end in (shadow.run, shadow.forget, lambda: shadow.hold([])):
        given = face(50, 0.1)
        shadow.hold([given, face(60, 0.2)])
        held = list(shadow._crops)
        assert held[0].any()
        assert held[0] is not given[0]
        end()
        assert not any(crop.any() for crop in held)
        assert shadow._crops == shadow._old == []


def test_one_face_or_a_broken_one_counts_as_no_session(shadow: Shadow) -> None:
    broken = FeatureVector(np.zeros(2, np.float32), "old")
    for faces in ([face(0, 0.0)], [], [face(0, 0.0), (face(1, 0)[0], broken)]):
        for _ in range(LEAST_SESSIONS + 1):
            shadow.hold(faces)
            assert shadow.run() is None


def test_a_network_that_wants_another_crop_cannot_run_beside(fake_network: Callable) -> None:
    networks = [fake_network("features", size, OUTPUTS, lambda _: {}) for size in (112, 150)]
    with pytest.raises(ValueError, match="150x150"):
        Shadow(networks[1], present=networks[0])
