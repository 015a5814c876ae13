"""Spoiling a picture lowers the component that is about it, step by step, and hardly any other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.vision.inference import Networks
from device.vision.quality import COMPONENTS
from models.tools.degradations import DEGRADATIONS
from models.tools.evaluate_index import IndexInvalid
from models.tools.evaluate_quality import evaluate_quality

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


def test_a_picture_without_a_face_cannot_be_spoilt(tmp_path: Path, networks: Networks) -> None:
    path = tmp_path / "empty.png"
    cv2.imwrite(str(path), np.full((480, 640, 3), 128, np.uint8))
    with pytest.raises(IndexInvalid, match=r"empty\.png"):
        evaluate_quality([path], networks)
