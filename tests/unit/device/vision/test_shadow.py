from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from device.vision.features import FeatureVector
from device.vision.shadow import LEAST_SESSIONS, Fate, Move, Moved, Shadow, ShadowFound
from protocol.policy import ComparisonPolicy
from protocol.references import LegalBasis, protect

pytestmark = pytest.mark.provisioning

OUTPUTS = {"features": (1, 2)}
SECRET, OTHER = bytes(32), bytes([7] * 32)
OLD = ComparisonPolicy(match=0.6, grey=0.45)
NEW = ComparisonPolicy(match=0.95, grey=0.9)


def move(known: FeatureVector | None = None) -> Move:
    return Move("d-1", SECRET, NEW, OLD, LegalBasis.CONSENT, known, OTHER)


def known_at(shadow: Shadow, angle: float) -> FeatureVector:
    """What somebody has of the new network, in another key domain."""
    values = np.array([np.cos(angle), np.sin(angle)], np.float32)
    return FeatureVector(protect(values, OTHER), shadow.network.sha256, "d-0")


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
        found = shadow.run(Fate.NO_KEY if number % 2 else Fate.NO_THRESHOLDS).summary
        assert (found is not None) == (number == LEAST_SESSIONS - 1), "never of a few"
    assert found is not None
    assert (found.sessions, found.pairs) == (LEAST_SESSIONS, 3 * LEAST_SESSIONS)
    old, new = [np.cos(0.5), np.cos(0.5), 1.0], [np.cos(0.2), np.cos(0.2), 1.0]
    assert (found.old_mean, found.old_sd) == pytest.approx((np.mean(old), np.std(old)), abs=1e-4)
    assert (found.new_mean, found.new_sd) == pytest.approx((np.mean(new), np.std(new)), abs=1e-4)
    half = LEAST_SESSIONS // 2
    assert found.fates == {Fate.NO_KEY: half, Fate.NO_THRESHOLDS: half}
    shadow.hold([face(0, 0.0), face(20, 0.5)])
    assert shadow.run(Fate.NO_KEY).summary is None, "it begins anew"


def test_faces_are_zeroed_whatever_comes(shadow: Shadow) -> None:
    for end in (lambda: shadow.run(move()), shadow.forget, lambda: shadow.hold([])):
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
            assert shadow.run(move()) == ShadowFound()


def test_a_network_that_wants_another_crop_cannot_run_beside(fake_network: Callable) -> None:
    networks = [fake_network("features", size, OUTPUTS, lambda _: {}) for size in (112, 150)]
    with pytest.raises(ValueError, match="150x150"):
        Shadow(networks[1], present=networks[0])


def test_a_reference_for_the_new_network_is_made_of_the_samples_and_is_protected(shadow: Shadow) -> None:
    shadow.hold([face(0, 0.0), face(20, 0.5)], quality=71.0)
    made = shadow.run(move()).moved
    assert isinstance(made, Moved)
    assert (made.quality, made.samples, made.legal_basis) == (71.0, 2, LegalBasis.CONSENT)
    assert (made.features.model_digest, made.features.key_domain) == (shadow.network.sha256, "d-1")
    between = np.array([np.cos(0.1), np.sin(0.1)], np.float32)
    assert np.abs(made.features.values.astype(int) - protect(between, SECRET)).max() <= 1
    assert repr(made) == "Moved(2 samples)"


@pytest.mark.parametrize(
    ("faces", "fate"),
    [
        # Both networks are sure: cosines of .88 and .98.
        ([face(0, 0.0), face(20, 0.5)], Fate.PROPOSED),
        # The new one is in doubt where the old one is: .45 to .6, and .92.
        ([face(0, 0.0), face(40, 1.0)], Fate.PROPOSED),
        # The new one is in doubt where the old one is sure.
        ([face(0, 0.0), face(40, 0.5)], Fate.UNLIKE),
        # Two people to the new one, whatever the old one says; one pair of three is enough.
        ([face(0, 0.0), face(60, 1.5)], Fate.UNLIKE),
        ([face(0, 0.0), face(5, 0.1), face(60, 0.2)], Fate.UNLIKE),
    ],
)
def test_samples_must_be_as_alike_by_the_new_network_as_by_the_old_one(
    shadow: Shadow, faces: list[tuple[np.ndarray, FeatureVector]], fate: Fate
) -> None:
    for _ in range(LEAST_SESSIONS):
        shadow.hold(faces)
        found = shadow.run(move())
        assert (found.moved is not None) == (fate is Fate.PROPOSED)
    assert found.summary is not None
    assert found.summary.fates == {fate: LEAST_SESSIONS}


@pytest.mark.parametrize(("angle", "fate"), [(0.1, Fate.KNOWN), (1.2, Fate.UNLIKE)])
def test_who_has_a_reference_of_the_new_network_is_compared_with_it_and_gives_no_other(
    shadow: Shadow, angle: float, fate: Fate
) -> None:
    for _ in range(LEAST_SESSIONS):
        shadow.hold([face(0, 0.0), face(20, 0.5)])
        found = shadow.run(move(known_at(shadow, angle)))
        assert found.moved is None
    assert found.summary is not None
    assert found.summary.fates == {fate: LEAST_SESSIONS}


def test_a_reference_of_another_network_is_refused_by_type_and_costs_nothing(shadow: Shadow) -> None:
    foreign = FeatureVector(known_at(shadow, 0.1).values, "old", "d-0")
    shadow.hold([face(0, 0.0), face(20, 0.5)])
    assert shadow.run(move(foreign)) == ShadowFound()
    assert shadow._crops == []
