"""The terminal's real networks, and clips seen through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.adapters.inference_tflite import open_networks
from device.vision.evidence.actions import ActionDetector, ActionInterval, ActionReport, motion_of
from device.vision.frame import Frame
from device.vision.inference import Networks
from device.vision.pipeline import FrameObservation, VisionPipeline

ROOT = Path(__file__).resolve().parents[3]
PEOPLE = ROOT / "demo" / "people"
EVALUATION = ROOT.parent / "shared" / "eval"


@dataclass(frozen=True)
class SeenClip:
    observations: list[FrameObservation]
    reports: list[ActionReport]

    @property
    def intervals(self) -> list[ActionInterval]:
        return [interval for report in self.reports for interval in report.completed]


@pytest.fixture(scope="session")
def models_dir() -> Path:
    return ROOT / "models"


@pytest.fixture(scope="session")
def networks(models_dir: Path) -> Networks:
    return open_networks(models_dir)


@pytest.fixture(scope="session")
def pictures() -> Callable[[str], list[np.ndarray]]:
    @cache
    def read(name: str) -> list[np.ndarray]:
        capture = cv2.VideoCapture(str(PEOPLE / f"{name}.mp4"))
        frames = []
        while (answer := capture.read())[0]:
            frames.append(np.ascontiguousarray(answer[1][:, :, ::-1]))
        capture.release()
        assert frames, f"{name} cannot be read"
        return frames

    return read


@pytest.fixture(scope="session")
def watch(networks: Networks, pictures: Callable[[str], list[np.ndarray]]) -> Callable[..., SeenClip]:
    """Play a synthetic clip, each picture `times` times at `rate` frames per second, with features of every picture."""

    @cache
    def seen(name: str, rate: float = 10, times: int = 1) -> SeenClip:
        pipeline, detector = VisionPipeline(networks), ActionDetector()
        observations, reports = [], []
        shown = [picture for picture in pictures(name) for _ in range(times)]
        for index, picture in enumerate([*shown, *shown[:1] * 4]):  # back to the first posture, so that all ends
            now = round(index * 1e9 / rate)
            observation = pipeline.process(Frame(picture, index, now), want_features=True)
            observations.append(observation)
            reports.append(detector.observe(motion_of(observation), monotonic_ns=now))
        return SeenClip(observations, reports)

    return seen


@pytest.fixture(scope="session")
def evaluation() -> Path:
    if not EVALUATION.is_dir():
        pytest.skip("the private evaluation data is not here")
    return EVALUATION
