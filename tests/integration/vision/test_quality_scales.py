"""Spoiling a picture lowers the component that is about it, step by step, and hardly any other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.vision.inference import Networks
from device.vision.quality import COMPONENTS
from models.tools.degradations import DEGRADATIONS, Face
from models.tools.evaluate_index import IndexInvalid
from models.tools.evaluate_quality import evaluate_quality
from models.tools.evaluate_stills import StillObserver
from protocol.policy import default_policy
from protocol.quality import weakest

pytestmark = pytest.mark.integration
# Light lost or gained takes shades of grey with it, and what hides or spoils a face is seen by the landmark network, too.
_SHARED = {
    "dynamic_range",
    "eyes_visible",
    "face_occlusion_prevention",
    "illumination_uniformity",
    "under_exposure_prevention",
}


@pytest.fixture
def portrait(tmp_path: Path, pictures: Callable[[str], list[np.ndarray]]) -> Path:
    path = tmp_path / "portrait.png"
    cv2.imwrite(str(path), pictures("live_of")[0][:, :, ::-1])
    return path


def test_each_way_to_spoil_a_picture_lowers_its_component_and_hardly_another(
    portrait: Path, networks: Networks, subtests: pytest.Subtests
) -> None:
    report = evaluate_quality([portrait], networks)
    for way in report["degradations"]:
        with subtests.test(way["name"]):
            seen = [level for level in way["levels"] if level["found"]]
            assert way["is_monotone"]
            assert seen[0]["score"] - seen[-1]["score"] > 10
            assert {name for level in seen for name in level["also_below_50"]} <= _SHARED
    assert {way.component for way in DEGRADATIONS} <= set(COMPONENTS)


@pytest.mark.parametrize(
    ("way", "level", "lacking"),
    [
        ("distance", 0.25, "inter_eye_distance"),
        ("nearness", 1.15, "head_size"),
        ("dim light", 0.1, "under_exposure_prevention"),
        ("fog", 0.9, "dynamic_range"),
        ("shade on one side", 0.95, "illumination_uniformity"),
        ("glare on the eyes", 0.5, "eyes_visible"),
        ("cloth from the chin up", 0.9, "face_occlusion_prevention"),
        ("tilt", 80, "head_pose_roll"),
    ],
)
def test_what_is_said_is_about_what_is_wrong(
    networks: Networks, pictures: Callable[[str], list[np.ndarray]], way: str, level: float, lacking: str
) -> None:
    picture, observer = pictures("live_om")[0], StillObserver(networks)
    subject = observer.subject(picture)
    assert subject is not None
    spoil = next(item for item in DEGRADATIONS if item.name == way)
    spoilt = observer.subject(spoil.apply(picture, Face(subject.box, subject.landmarks), level))
    assert spoilt is not None
    assert weakest(spoilt.quality.components(), default_policy().quality.minimum) == lacking


def test_closed_eyes_and_an_open_mouth_are_said(
    networks: Networks, pictures: Callable[[str], list[np.ndarray]]
) -> None:
    observer, minimum = StillObserver(networks), default_policy().quality.minimum
    shut = observer.subject(pictures("live_of")[10])
    assert shut is not None
    assert weakest(shut.quality.components(), minimum) == "eyes_open"
    gaping = observer.subject(pictures("live_of")[16])
    assert gaping is not None
    assert gaping.quality.mouth_closed < 60


def test_a_picture_without_a_face_cannot_be_spoilt(tmp_path: Path, networks: Networks) -> None:
    path = tmp_path / "empty.png"
    cv2.imwrite(str(path), np.full((480, 640, 3), 128, np.uint8))
    with pytest.raises(IndexInvalid, match=r"empty\.png"):
        evaluate_quality([path], networks)
