from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from device.vision.evidence.planarity import PlanarityRecorder
from device.vision.landmarks import FaceLandmarks
from device.vision.pose import HeadPose
from protocol.evidence import EvidenceStatus
from protocol.policy import PlanarityPolicy

Array = NDArray[np.float64]
Place = Callable[..., FaceLandmarks]
RULES = PlanarityPolicy(min_residual=0.05, min_yaw_deg=11, min_frames=3)
UNIT = 28.0
"""Distance between the eyes."""


def solid(mesh: Array) -> Array:
    """Return (468, 3): a round head with the landmarks on it, z towards the camera."""
    centred = mesh - [31.5, 36.0]
    radius = np.clip(1 - (centred[:, 0] / (1.3 * UNIT)) ** 2 - (centred[:, 1] / (1.8 * UNIT)) ** 2, 0, None)
    nose = 0.4 * UNIT * np.exp(-((centred[:, 0] / (0.25 * UNIT)) ** 2) - ((centred[:, 1] / (0.4 * UNIT)) ** 2))
    return np.column_stack([centred, UNIT * np.sqrt(radius) + nose])


def sheet(mesh: Array, bend: float = 0.0) -> Array:
    """Return (468, 3): the picture of that head on a sheet, bent around the vertical."""
    centred = mesh - [31.5, 36.0]
    return np.column_stack([centred, -bend * centred[:, 0] ** 2 / UNIT])


def seen(body: Array, yaw_deg: float, pitch_deg: float = 0.0, distance: float = 9.0 * UNIT, size: float = 1.0) -> Array:
    """Return what a camera sees of a turned body, (468, 2)."""
    yaw, pitch = math.radians(yaw_deg), math.radians(pitch_deg)
    turn = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    nod = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
    moved = body @ (nod @ turn).T
    return np.asarray(size * moved[:, :2] * distance / (distance - moved[:, 2:]))


def record(
    body: Array,
    place: Place,
    yaws: list[float],
    *,
    noise: float = 0.15,
    size: float = 1.0,
    seed: int = 1,
    is_kept: bool = True,
) -> PlanarityRecorder:
    """Show a body at rest, then turned; the pose is told truly, which is kind to the sheet."""
    rng = np.random.default_rng(seed)
    recorder = PlanarityRecorder()
    for number, yaw in enumerate([0.0] * 8 + yaws):
        points = seen(body, yaw, size=size if yaw else 1.0) + rng.normal(0, noise, (468, 2)) + 100
        if yaw == 0.0:
            recorder.observe_rest(place(points), HeadPose(yaw, 0.0, 0.0))
        else:
            recorder.observe_movement(number, place(points), HeadPose(yaw, 0.0, 0.0))
    if is_kept:
        recorder.keep(0)
    return recorder


TURN = [6.0, 12.0, 18.0, 24.0, 25.0, 20.0, 13.0, 5.0]


def test_a_head_that_turns_is_solid(face_mesh: Array, place_landmarks: Place) -> None:
    result = record(solid(face_mesh), place_landmarks, TURN).assess(RULES)
    assert (result.status, result.reason) == (EvidenceStatus.PASSED, "solid")
    assert result.measures["turned_frames"] == 6
    assert result.measures["largest_yaw_deg"] == 25


def test_a_flat_sheet_leaves_next_to_nothing(face_mesh: Array, place_landmarks: Place) -> None:
    result = record(sheet(face_mesh), place_landmarks, TURN, noise=0.0).assess(RULES)
    assert (result.status, result.reason) == (EvidenceStatus.FAILED, "flat")
    assert result.score == pytest.approx(0.0, abs=1e-3)


def test_a_bent_sheet_leaves_less_than_a_head(face_mesh: Array, place_landmarks: Place) -> None:
    bent = record(sheet(face_mesh, bend=0.15), place_landmarks, TURN).assess(RULES)
    head = record(solid(face_mesh), place_landmarks, TURN).assess(RULES)
    assert bent.status is EvidenceStatus.FAILED
    assert bent.score is not None
    assert head.score is not None
    assert bent.score < 0.5 * head.score


@pytest.mark.parametrize("size", [0.6, 1.6])
def test_coming_closer_changes_little(face_mesh: Array, place_landmarks: Place, size: float) -> None:
    near = record(solid(face_mesh), place_landmarks, TURN, noise=0.0, size=size).assess(RULES)
    still = record(solid(face_mesh), place_landmarks, TURN, noise=0.0).assess(RULES)
    assert near.score == pytest.approx(still.score, rel=0.02)


def test_turns_to_either_side_count(face_mesh: Array, place_landmarks: Place) -> None:
    assert record(solid(face_mesh), place_landmarks, [-yaw for yaw in TURN]).assess(RULES).reason == "solid"


def test_one_wrong_frame_decides_nothing(face_mesh: Array, place_landmarks: Place) -> None:
    recorder = record(sheet(face_mesh), place_landmarks, TURN)
    wild = np.random.default_rng(2).normal(100, 30, (468, 2))
    recorder.observe_movement(99, place_landmarks(wild), HeadPose(20, 0, 0))
    recorder.keep(0)
    assert recorder.assess(RULES).reason == "flat"


def test_turns_that_are_too_small_or_too_few_are_not_judged(face_mesh: Array, place_landmarks: Place) -> None:
    result = record(solid(face_mesh), place_landmarks, [5.0, 8.0, 10.0, 25.0, 24.0]).assess(RULES)
    assert (result.status, result.reason, result.score) == (EvidenceStatus.NOT_RUN, "too_few_turns", None)


def test_a_movement_that_answered_nothing_does_not_count(face_mesh: Array, place_landmarks: Place) -> None:
    recorder = record(solid(face_mesh), place_landmarks, TURN, is_kept=False)
    assert recorder.assess(RULES).reason == "too_few_turns"
    recorder.drop()
    recorder.keep(0)
    assert recorder.assess(RULES).reason == "too_few_turns"


def test_a_movement_counts_from_where_the_answer_begins(face_mesh: Array, place_landmarks: Place) -> None:
    recorder = record(solid(face_mesh), place_landmarks, TURN, is_kept=False)
    recorder.keep(12)
    assert recorder.assess(RULES).measures["turned_frames"] == 3


def test_without_rest_nothing_is_judged(face_mesh: Array, place_landmarks: Place) -> None:
    recorder = PlanarityRecorder()
    for yaw in TURN:
        recorder.observe_movement(0, place_landmarks(seen(solid(face_mesh), yaw) + 100), HeadPose(yaw, 0, 0))
    recorder.keep(0)
    assert recorder.assess(RULES).reason == "no_rest"


def test_without_a_policy_nothing_is_judged() -> None:
    assert PlanarityRecorder().assess(None).reason == "not_in_policy"


def test_forgetting_leaves_nothing(face_mesh: Array, place_landmarks: Place) -> None:
    recorder = record(solid(face_mesh), place_landmarks, TURN)
    recorder.forget()
    assert recorder.assess(RULES).reason == "no_rest"


@pytest.mark.parametrize("points", [np.full((468, 2), np.nan), np.full((468, 2), 5.0)], ids=["no numbers", "one point"])
def test_landmarks_that_say_nothing_never_pass(points: Array, place_landmarks: Place) -> None:
    recorder = PlanarityRecorder()
    for index in range(20):
        recorder.observe_rest(place_landmarks(points), HeadPose(0.0, 0, 0))
        recorder.observe_movement(index, place_landmarks(points), HeadPose(index * 2.0, 0, 0))
    recorder.keep(0)
    assert recorder.assess(RULES).status is EvidenceStatus.NOT_RUN


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    yaws=st.lists(st.floats(-60, 60).filter(lambda yaw: abs(yaw) > 1), max_size=30),
    size=st.floats(0.5, 2.0),
    noise=st.floats(0.0, 0.4),
    seed=st.integers(0, 1000),
)
def test_no_flat_sheet_passes_however_it_is_moved(
    face_mesh: Array, place_landmarks: Place, yaws: list[float], size: float, noise: float, seed: int
) -> None:
    recorder = record(sheet(face_mesh), place_landmarks, yaws, size=size, noise=noise, seed=seed)
    assert recorder.assess(RULES).status is not EvidenceStatus.PASSED
