from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from device.vision.eyelids import EyeOpenness
from device.vision.geometry import Box
from device.vision.landmarks import LEFT_EYE, RIGHT_EYE, FaceLandmarks
from device.vision.pose import HeadPose
from device.vision.quality import ACCEPTABLE, COMPONENTS, RAMPS, QualityAssessment, assess

BOX: Box = (250, 170, 390, 330)
CROPS = [
    "leftward_crop_of_the_face_image",
    "rightward_crop_of_the_face_image",
    "margin_above_of_the_face_image",
    "margin_below_of_the_face_image",
]


def crop() -> np.ndarray:
    """Coarse shapes with fine grain on them, like a face, and the same on both sides."""
    generator = np.random.default_rng(0)
    coarse = cv2.GaussianBlur(generator.normal(0, 1, (112, 56)), (0, 0), 10)
    half = 128 + coarse * 35 / coarse.std() + generator.normal(0, 5, (112, 56))
    picture = np.hstack([half, half[:, ::-1]])
    return np.clip(picture, 0, 255).astype(np.uint8)[:, :, None].repeat(3, 2)


def assessed(
    landmarks: FaceLandmarks,
    *,
    frame: np.ndarray | None = None,
    picture: np.ndarray | None = None,
    box: Box = BOX,
    others: Sequence[Box] = (),
    pose: HeadPose | None = None,
    openness: float = 0.32,
    mouth: float = 0.02,
) -> QualityAssessment:
    return assess(
        np.zeros((480, 640, 3), np.uint8) if frame is None else frame,
        box=box,
        others=others,
        landmarks=landmarks,
        pose=pose or HeadPose(0, 0, 0),
        openness=EyeOpenness(right=0.32, left=openness),
        mouth=mouth,
        crop=crop() if picture is None else picture,
    )


def shrunk(landmarks: FaceLandmarks, factor: float) -> FaceLandmarks:
    return replace(landmarks, points=landmarks.points * np.float32(factor))


def moved(landmarks: FaceLandmarks, x: float, y: float) -> FaceLandmarks:
    return replace(landmarks, points=landmarks.points + np.array([x, y, 0], np.float32))


def gained(factor: float) -> np.ndarray:
    return np.clip(crop() * factor, 0, 255).astype(np.uint8)


def half_lit(factor: float) -> np.ndarray:
    picture = crop()
    picture[:, :56] = (picture[:, :56] * factor).astype(np.uint8)
    return picture


def glaring(landmarks: FaceLandmarks, radius: int) -> np.ndarray:
    frame = np.full((480, 640, 3), 120, np.uint8)
    for eye in (RIGHT_EYE, LEFT_EYE):
        x, y = landmarks.points[eye, :2].mean(axis=0)
        cv2.circle(frame, (round(float(x)), round(float(y))), radius, (255, 255, 255), -1)
    return frame


def lowered(landmarks: FaceLandmarks, change: dict) -> list[str]:
    """Return the components below the middle of their scale."""
    change = dict(change)
    landmarks = moved(landmarks, *change.pop("shift", (0, 0)))
    landmarks = replace(shrunk(landmarks, change.pop("factor", 1.0)), presence=change.pop("presence", 1.0))
    if "glare" in change:
        change["frame"] = glaring(landmarks, change.pop("glare"))
    quality = assessed(landmarks, **change)
    assert quality.overall == min(quality.components().values())
    return [name for name, value in quality.components().items() if value < ACCEPTABLE]


def test_good_sample_lacks_nothing(frontal_landmarks: FaceLandmarks) -> None:
    assert lowered(frontal_landmarks, {}) == []


def test_every_component_has_a_ramp_in_the_order_of_the_fields() -> None:
    assert tuple(RAMPS) == COMPONENTS


@pytest.mark.parametrize(
    ("component", "change"),
    [
        ("illumination_uniformity", {"picture": half_lit(0.4)}),
        ("under_exposure_prevention", {"picture": gained(0.17)}),
        ("over_exposure_prevention", {"picture": gained(2.6)}),
        ("dynamic_range", {"picture": (crop() * 0.08 + 190).astype(np.uint8)}),
        ("sharpness", {"picture": cv2.GaussianBlur(crop(), (0, 0), 5)}),
        ("single_face_present", {"others": [(0, 0, 100, 120), (500, 0, 510, 10)]}),
        ("eyes_open", {"openness": 0.08}),
        ("mouth_closed", {"mouth": 0.7}),
        ("eyes_visible", {"glare": 12}),
        ("face_occlusion_prevention", {"presence": 0.999}),
        ("inter_eye_distance", {"factor": 0.25}),
        ("head_size", {"box": (-100, -150, 600, 500)}),
        ("leftward_crop_of_the_face_image", {"shift": (-270, 0)}),
        ("rightward_crop_of_the_face_image", {"shift": (270, 0)}),
        ("margin_above_of_the_face_image", {"shift": (0, -190)}),
        ("margin_below_of_the_face_image", {"shift": (0, 170)}),
        ("head_pose_yaw", {"pose": HeadPose(-30, 0, 0)}),
        ("head_pose_pitch", {"pose": HeadPose(0, -30, 0)}),
        ("head_pose_roll", {"pose": HeadPose(0, 0, 50)}),
    ],
)
def test_one_weakness_lowers_its_own_component(frontal_landmarks: FaceLandmarks, component: str, change: dict) -> None:
    found = lowered(frontal_landmarks, change)
    assert component in found
    # Whatever makes a face nearly black or white also takes its shades of grey.
    assert set(found) <= {component, "dynamic_range"}


def test_movement_in_either_direction_lowers_sharpness(frontal_landmarks: FaceLandmarks) -> None:
    streak = np.zeros((25, 25), np.float32)
    streak[12] = 1 / 25
    still = assessed(frontal_landmarks).sharpness
    for kernel in (streak, streak.T):
        assert assessed(frontal_landmarks, picture=cv2.filter2D(crop(), -1, kernel)).sharpness < still


def test_flat_picture_has_neither_range_nor_detail(frontal_landmarks: FaceLandmarks) -> None:
    flat = assessed(frontal_landmarks, picture=np.full((112, 112, 3), 128, np.uint8))
    assert flat.dynamic_range == 0
    assert flat.sharpness == 0


def test_either_side_may_be_the_darker_one(frontal_landmarks: FaceLandmarks) -> None:
    left = assessed(frontal_landmarks, picture=half_lit(0.5))
    right = assessed(frontal_landmarks, picture=half_lit(0.5)[:, ::-1].copy())
    assert left.illumination_uniformity == pytest.approx(right.illumination_uniformity)


def test_a_turned_head_is_no_distant_one(frontal_landmarks: FaceLandmarks) -> None:
    front = assessed(shrunk(frontal_landmarks, 0.3)).inter_eye_distance
    turned = replace(frontal_landmarks, points=frontal_landmarks.points * np.array([0.15, 0.3, 0.3], np.float32))
    assert assessed(turned, pose=HeadPose(60, 0, 0)).inter_eye_distance == pytest.approx(front, abs=0.1)


@pytest.mark.parametrize("shift", [(-2000.0, 0.0), (2000.0, 0.0), (0.0, -2000.0), (0.0, 2000.0)])
def test_landmarks_outside_the_frame_are_cropped_and_nothing_worse(
    frontal_landmarks: FaceLandmarks, shift: tuple[float, float]
) -> None:
    quality = assessed(moved(frontal_landmarks, *shift))
    assert sum(getattr(quality, name) == 0.0 for name in CROPS) == 1


@pytest.mark.parametrize("presence", [0.0, 1.0])
def test_presence_at_its_ends_is_no_fault(frontal_landmarks: FaceLandmarks, presence: float) -> None:
    quality = assessed(replace(frontal_landmarks, presence=presence))
    assert quality.face_occlusion_prevention == 100.0 * presence


def test_landmarks_in_one_place_are_no_fault(frontal_landmarks: FaceLandmarks) -> None:
    points = np.full_like(frontal_landmarks.points, 100.0)
    assert assessed(replace(frontal_landmarks, points=points)).inter_eye_distance == 0.0
