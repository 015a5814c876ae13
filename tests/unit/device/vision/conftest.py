"""Networks that answer what a test tells them to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from device.vision.frame import Pixels
from device.vision.landmarks import FaceLandmarks
from protocol.manifest import Calibration, ModelManifest, Preprocessing, Provenance, Tensor

Answers = Mapping[str, NDArray[np.float32]]


@dataclass
class FakeNetwork:
    manifest: ModelManifest
    answer: Callable[[Pixels], Answers]
    digest: str = "d" * 64
    runtime: str = "fake 1"
    seen: list[Pixels] = field(default_factory=list)

    def infer(self, image: Pixels) -> Answers:
        self.seen.append(image)
        return self.answer(image)


def make_manifest(task: str, size: int, outputs: Mapping[str, tuple[int, ...]]) -> ModelManifest:
    return ModelManifest(
        name=task,
        task=task,
        file="none.tflite",
        sha256="d" * 64,
        description="",
        inputs=(Tensor(name="in", role="image", shape=(1, size, size, 3), dtype="float32"),),
        outputs=tuple(Tensor(name=r, role=r, shape=s, dtype="float32") for r, s in outputs.items()),
        preprocessing=Preprocessing(width=size, height=size, multiply=1.0, add=0.0, region=""),
        provenance=Provenance(
            registry="own training", package="", version="", package_sha256="0" * 64, path="", file_sha256="0" * 64,
            licence="", notes="",
        ),
        calibration=Calibration(recipe="", faces="", count=0),
    )  # fmt: skip


@pytest.fixture
def fake_network() -> Callable[..., FakeNetwork]:
    def make(
        task: str, size: int, outputs: Mapping[str, tuple[int, ...]], answer: Callable[[Pixels], Answers]
    ) -> FakeNetwork:
        return FakeNetwork(make_manifest(task, size, outputs), answer)

    return make


@pytest.fixture
def frontal_landmarks() -> FaceLandmarks:
    """A face that looks straight into the camera: the points that the code reads, the rest in the middle."""
    points = np.full((468, 3), (320.0, 240.0, 0.0), np.float32)
    place = {
        33: (270, 220), 133: (300, 220), 159: (285, 215), 145: (285, 225),
        263: (370, 220), 362: (340, 220), 386: (355, 215), 374: (355, 225),
        1: (320, 260), 2: (320, 268), 61: (295, 290), 291: (345, 290), 13: (320, 290), 14: (320, 290),
        234: (240, 240), 454: (400, 240), 127: (242, 220), 356: (398, 220), 93: (244, 260), 323: (396, 260),
        10: (320, 160), 152: (320, 340),
    }  # fmt: skip
    for index, (x, y) in place.items():
        points[index, :2] = x, y
    return FaceLandmarks(points=points, presence=1.0)
