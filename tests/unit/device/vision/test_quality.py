from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from device.vision.eyelids import EyeOpenness
from device.vision.geometry import Box
from device.vision.landmarks import FaceLandmarks
from device.vision.pose import HeadPose
from device.vision.quality import ACCEPTABLE, Advice, QualityAssessment, assess

BOX: Box = (250, 170, 390, 330)


def crop() -> np.ndarray:
    """Coarse shapes with fine grain on them, like a face."""
    generator = np.random.default_rng(0)
    coarse = cv2.GaussianBlur(generator.normal(0, 1, (112, 112)), (0, 0), 10)
    picture = 128 + coarse * 35 / coarse.std() + generator.normal(0, 5, (112, 112))
    return np.clip(picture, 0, 255).astype(np.uint8)[:, :, None].repeat(3, 2)


def assessed(
    landmarks: FaceLandmarks,
    *,
    picture: np.ndarray | None = None,
    box: Box = BOX,
    pose: HeadPose | None = None,
    openness: float = 0.32,
) -> QualityAssessment:
    return assess(
        np.zeros((480, 640, 3), np.uint8),
        box=box,
        landmarks=landmarks,
        pose=pose or HeadPose(0, 0, 0),
        openness=EyeOpenness(right=0.32, left=openness),
        crop=crop() if picture is None else picture,
    )


def test_good_sample_needs_no_advice(frontal_landmarks: FaceLandmarks) -> None:
    quality = assessed(frontal_landmarks)
    assert quality.advice is Advice.NONE
    assert quality.is_acceptable


def shrunk(landmarks: FaceLandmarks, factor: float) -> FaceLandmarks:
    return replace(landmarks, points=landmarks.points * np.float32(factor))


def darkened(factor: float) -> np.ndarray:
    return (crop() * factor).astype(np.uint8)


@pytest.mark.parametrize(
    ("component", "advice", "change"),
    [
        ("size", Advice.NEARER, {"factor": 0.25}),
        ("size", Advice.FURTHER, {"box": (-100, -150, 600, 500)}),
        ("border", Advice.CENTRE, {"box": (-60, 170, 80, 330)}),
        ("brightness", Advice.MORE_LIGHT, {"picture": darkened(0.12)}),
        ("brightness", Advice.TOO_BRIGHT, {"picture": np.clip(crop().astype(int) + 115, 0, 255).astype(np.uint8)}),
        ("sharpness", Advice.HOLD_STILL, {"picture": cv2.GaussianBlur(crop(), (0, 0), 6)}),
        ("pose", Advice.LOOK_AT_CAMERA, {"pose": HeadPose(45, 0, 0)}),
        ("pose", Advice.LOOK_AT_CAMERA, {"pose": HeadPose(0, -38, 0)}),
        ("eyes", Advice.LOOK_AT_CAMERA, {"openness": 0.08}),
        ("visibility", Advice.UNCOVER_FACE, {"presence": 0.9}),
    ],
)
def test_weakness_lowers_its_component_and_gives_its_advice(
    frontal_landmarks: FaceLandmarks, component: str, advice: Advice, change: dict
) -> None:
    landmarks = shrunk(frontal_landmarks, change.pop("factor", 1.0))
    landmarks = replace(landmarks, presence=change.pop("presence", 1.0))
    quality = assessed(landmarks, **change)
    assert getattr(quality, component) < ACCEPTABLE
    if component == "size" and advice is Advice.FURTHER:
        assert quality.advice in {Advice.FURTHER, Advice.CENTRE}
    else:
        assert quality.advice is advice
    assert quality.overall == min(quality.components().values())


def test_movement_in_either_direction_lowers_sharpness(frontal_landmarks: FaceLandmarks) -> None:
    streak = np.zeros((25, 25), np.float32)
    streak[12] = 1 / 25
    still = assessed(frontal_landmarks).sharpness
    for kernel in (streak, streak.T):
        assert assessed(frontal_landmarks, picture=cv2.filter2D(crop(), -1, kernel)).sharpness < still


def test_flat_picture_has_no_contrast(frontal_landmarks: FaceLandmarks) -> None:
    flat = assessed(frontal_landmarks, picture=np.full((112, 112, 3), 128, np.uint8))
    assert flat.contrast == 0
    assert flat.sharpness == 0
