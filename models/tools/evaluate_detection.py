"""Detection: recall and precision against labelled boxes, by face size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device.vision.detection import FaceDetector
from device.vision.geometry import Box, area, intersection_over_union
from device.vision.inference import Networks
from models.tools.evaluate_index import BadRow, existing_file, read_index, read_picture, whole_number
from models.tools.evaluate_stills import names_of
from models.tools.evaluate_verification import Paths
from models.tools.metrics import wilson

COLUMNS = ("file", "xmin", "ymin", "xmax", "ymax", "name")
OVERLAP = 0.5
"""A detection finds a labelled face if their boxes overlap by at least this (intersection over union)."""
_SIZES = ((0.0, 16.0), (16.0, 32.0), (32.0, 64.0), (64.0, 128.0), (128.0, float("inf")))
"""Face sizes: square root of the box area in pixels of the picture."""


@dataclass(frozen=True, slots=True)
class LabelledBox:
    """One labelled face."""

    path: Path
    box: Box


def read_boxes(index: Path) -> list[LabelledBox]:
    """Read an index of labelled boxes.

    Raises:
        IndexInvalid: names every bad row.
    """
    return read_index(index, COLUMNS, _labelled_box)


def evaluate_detection(labels: Sequence[LabelledBox], networks: Networks, *, track: Paths = iter) -> dict[str, Any]:
    """Return recall and precision, over all and by face size; a picture that cannot be read counts all its faces as missed."""
    boxes: dict[Path, list[Box]] = {}
    for label in labels:
        boxes.setdefault(label.path, []).append(label.box)
    detector = FaceDetector(networks.detection)
    labelled: list[tuple[float, bool]] = []
    detected: list[tuple[float, bool]] = []
    overlaps: list[float] = []
    unreadable = 0
    for path in track(sorted(boxes)):
        picture = read_picture(path)
        unreadable += picture is None
        found = [] if picture is None else [face.box for face in detector.detect(picture)]
        matched = match(boxes[path], found)
        overlaps += [overlap for _, _, overlap in matched]
        labelled += _sized(boxes[path], {label for label, _, _ in matched})
        detected += _sized(found, {face for _, face, _ in matched})
    used = names_of(networks)
    return {
        **_rates(labelled, detected),
        "mean_overlap": sum(overlaps) / len(overlaps) if overlaps else None,
        "overlap_at_least": OVERLAP,
        "by_size_px": {
            f"{low:g}-{high:g}": _rates(
                [item for item in labelled if low <= item[0] < high],
                [item for item in detected if low <= item[0] < high],
            )
            for low, high in _SIZES
        },
        "pictures": len(boxes),
        "unreadable_pictures": unreadable,
        "networks": {networks.detection.manifest.name: networks.detection.digest},
        "runtime": used.runtime,
        "method": "size: square root of the box area in pixels, of the labelled box for recall and of the detected box for "
        "precision; intervals: 95 % Wilson",
    }


def match(labelled: Sequence[Box], found: Sequence[Box]) -> list[tuple[int, int, float]]:
    """Return (label, detection, overlap) of matched boxes, each used once, the best overlaps first."""
    pairs = sorted(
        (
            (intersection_over_union(label, face), i, j)
            for i, label in enumerate(labelled)
            for j, face in enumerate(found)
        ),
        reverse=True,
    )
    matched: list[tuple[int, int, float]] = []
    for overlap, i, j in pairs:
        if overlap >= OVERLAP and all(i != k and j != m for k, m, _ in matched):
            matched.append((i, j, overlap))
    return matched


def _sized(boxes: Sequence[Box], hits: set[int]) -> list[tuple[float, bool]]:
    return [(area(box) ** 0.5, index in hits) for index, box in enumerate(boxes)]


def _rates(labelled: Sequence[tuple[float, bool]], detected: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    found = sum(is_found for _, is_found in labelled)
    true = sum(is_true for _, is_true in detected)
    return {
        "recall": found / len(labelled) if labelled else None,
        "recall_interval": wilson(found, len(labelled)),
        "precision": true / len(detected) if detected else None,
        "precision_interval": wilson(true, len(detected)),
        "labelled_faces": len(labelled),
        "detected_faces": len(detected),
    }


def _labelled_box(cells: Mapping[str, str], root: Path) -> LabelledBox:
    x_min, y_min, x_max, y_max = (whole_number(cells, column) for column in COLUMNS[1:5])
    if x_max <= x_min or y_max <= y_min:
        raise BadRow(f"box ({x_min}, {y_min}, {x_max}, {y_max}) is empty")
    return LabelledBox(path=existing_file(cells["file"], root), box=(x_min, y_min, x_max, y_max))
