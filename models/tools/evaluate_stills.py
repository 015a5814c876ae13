"""The terminal's vision code on single pictures."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from device.vision.features import FeatureVector
from device.vision.frame import Frame, Pixels
from device.vision.inference import Networks
from device.vision.pipeline import SubjectObservation, VisionPipeline


@dataclass(frozen=True, slots=True)
class NetworkNames:
    """Which networks gave the figures: goes into every report."""

    digests: dict[str, str]
    """SHA-256 by manifest name."""
    runtime: str


def names_of(networks: Networks) -> NetworkNames:
    """Return names, digests and runtime of the networks."""
    used = [networks.detection, networks.landmarks, networks.eyelids, networks.features]
    used += [networks.texture] if networks.texture is not None else []
    return NetworkNames(digests={n.manifest.name: n.digest for n in used}, runtime=networks.features.runtime)


class StillObserver:
    """Runs the terminal's pipeline on pictures that have nothing to do with one another."""

    def __init__(self, networks: Networks) -> None:
        self._pipeline = VisionPipeline(networks)
        self._count = 0

    def subject(self, picture: Pixels, *, want_features: bool = False) -> SubjectObservation | None:
        """Return the most prominent face of a picture, None where there is none."""
        self._pipeline.forget_subject()
        self._count += 1
        frame = Frame(pixels=picture, sequence=self._count, monotonic_ns=self._count)
        return self._pipeline.process(frame, want_features=want_features).subject

    def features(self, picture: Pixels) -> FeatureVector | None:
        """Return the features of the most prominent face, None where there is none."""
        subject = self.subject(picture, want_features=True)
        return subject.features if subject else None


def padded(picture: Pixels) -> Pixels:
    """Return a tight face crop in the middle of a black frame twice as large, at the distance the terminal sees faces."""
    height, width = picture.shape[:2]
    framed = cv2.copyMakeBorder(
        picture, height // 2, height // 2, width // 2, width // 2, cv2.BORDER_CONSTANT, value=(0, 0, 0)
    )
    return np.asarray(framed, np.uint8)
