"""Quality: what each component says of faces that were spoilt step by step, and what the comparison makes of the same pictures.

This is the source of the scales in `device.vision.quality`. The faces are rendered ones, so it says how the components move and nothing
about how often people reach them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from device.vision.comparison import compare
from device.vision.features import FeatureVector
from device.vision.frame import Pixels
from device.vision.inference import Networks
from device.vision.pipeline import SubjectObservation
from device.vision.quality import ACCEPTABLE, measure
from models.tools.degradations import DEGRADATIONS, Degradation, Face
from models.tools.evaluate_index import IndexInvalid
from models.tools.evaluate_stills import StillObserver, names_of
from models.tools.evaluate_verification import Paths

FRAMES = (0, 3, 6)
"""Which frames of a clip are spoilt: the person looks into the camera, the lamp is off, on one side, on both."""
_TELLING_COSINE = 0.9
"""The loss at which the middle of a scale is put."""


@dataclass(frozen=True, slots=True)
class _Spoilt:
    """One spoilt picture in which a face was found."""

    value: float
    components: dict[str, float]
    similarity: float


def evaluate_quality(clips: Sequence[Path], networks: Networks, *, track: Paths = iter) -> dict[str, Any]:
    """Return, for each way to spoil a picture, the components and the cosine to the same picture unspoilt, by level.

    Args:
        clips: clips or pictures of people who look into the camera at the beginning.
        networks: the terminal's.
        track: passes the clips through.

    Raises:
        IndexInvalid: if there is a clip without a face in a frame that is needed.
    """
    observer = StillObserver(networks)
    spoilt: dict[tuple[str, float], list[_Spoilt]] = {}
    frames = 0
    for path in track(clips):
        for picture in _frames(path):
            frames += 1
            subject = observer.subject(picture, want_features=True)
            if subject is None or subject.features is None:
                raise IndexInvalid([f"{path.name}: frame without a face"])
            face = Face(subject.box, subject.landmarks)
            for degradation in DEGRADATIONS:
                for level in degradation.levels:
                    found = _look(observer, degradation.apply(picture, face, level), degradation, subject.features)
                    spoilt.setdefault((degradation.name, level), []).extend(found)
    used = names_of(networks)
    return {
        "degradations": [_judge(degradation, spoilt, frames) for degradation in DEGRADATIONS],
        "frames": frames,
        "clips": len(clips),
        "networks": used.digests,
        "runtime": used.runtime,
        "method": "medians over the frames in which the face is still found; cosine of the features to those of the same frame "
        f"unspoilt; middle: the measured value at which the cosine falls to {_TELLING_COSINE}, by straight lines between levels",
    }


def _look(
    observer: StillObserver, picture: Pixels, degradation: Degradation, features: FeatureVector
) -> Iterable[_Spoilt]:
    subject = observer.subject(picture, want_features=True)
    if subject is not None and subject.features is not None and subject.quality is not None:
        value = _measured(picture, subject)[degradation.component]
        yield _Spoilt(value, subject.quality.components(), compare(features, subject.features).similarity)


def _measured(picture: Pixels, subject: SubjectObservation) -> dict[str, float]:
    if subject.crop is None or subject.openness is None or subject.quality is None:
        raise IndexInvalid(["observation without quality"])
    measured = measure(
        picture,
        box=subject.box,
        others=(),
        landmarks=subject.landmarks,
        pose=subject.pose,
        openness=subject.openness,
        mouth=subject.mouth,
        crop=subject.crop,
    )
    # The other faces are not handed on; this component is its own measure.
    return measured | {"single_face_present": subject.quality.single_face_present / 100}


def _judge(degradation: Degradation, spoilt: dict[tuple[str, float], list[_Spoilt]], frames: int) -> dict[str, Any]:
    levels: list[dict[str, Any]] = []
    for level in degradation.levels:
        found = spoilt[(degradation.name, level)]
        row: dict[str, Any] = {"level": level, "found": len(found), "frames": frames}
        if found:
            scores = {name: _median([item.components[name] for item in found]) for name in found[0].components}
            row |= {
                "value": _median([item.value for item in found]),
                "score": scores[degradation.component],
                "cosine": _median([item.similarity for item in found]),
                "lowest_cosine": min(item.similarity for item in found),
                "also_below_50": [
                    name for name, score in scores.items() if score < ACCEPTABLE and name != degradation.component
                ],
            }
        levels.append(row)
    seen = [row for row in levels if row["found"]]
    return {
        "name": degradation.name,
        "component": degradation.component,
        "unit": degradation.unit,
        "middle": _middle(seen),
        "is_monotone": all(a["score"] >= b["score"] - 1.0 for a, b in pairwise(seen)),
        "levels": levels,
    }


def _middle(rows: Sequence[dict[str, Any]]) -> float | None:
    """Return the measured value at which the cosine first falls to the telling one, None where it does not."""
    for before, after in pairwise(rows):
        if before["cosine"] >= _TELLING_COSINE > after["cosine"]:
            part = (before["cosine"] - _TELLING_COSINE) / (before["cosine"] - after["cosine"])
            return float(before["value"] + part * (after["value"] - before["value"]))
    return None


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))


def _frames(path: Path) -> list[Pixels]:
    """Return the frames of a clip that are spoilt; a picture is a clip of one.

    Raises:
        IndexInvalid: if there are none.
    """
    capture = cv2.VideoCapture(str(path))
    frames: list[Pixels] = []
    try:
        for number in range(FRAMES[-1] + 1):
            is_read, picture = capture.read()
            if not is_read:
                break
            if number in FRAMES:
                frames.append(np.ascontiguousarray(np.asarray(picture, np.uint8)[:, :, ::-1]))
    finally:
        capture.release()
    if not frames:
        raise IndexInvalid([f"{path.name}: cannot be read as a clip or a picture"])
    return frames
