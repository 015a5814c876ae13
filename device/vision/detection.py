"""Face detection with the BlazeFace full-range network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from device.vision.frame import Pixels
from device.vision.geometry import Box, Points, Real
from device.vision.inference import Network

SCORE_THRESHOLD = 0.5
"""Detections at or above it are faces, unless the manifest's threshold `score` says otherwise."""
OVERLAP = 0.3
"""Boxes that overlap the best one by more than this are the same face.
Source: `min_suppression_threshold` 0.3 of the MediaPipe face detection graph that the network was made for."""


@dataclass(frozen=True, slots=True, eq=False)
class DetectedFace:
    """A face in a frame."""

    box: Box
    """From above the eyebrows to the chin, in frame pixels."""
    keypoints: Points
    """float32 (6, 2), frame pixels: the subject's right eye, left eye, nose tip, mouth centre, right ear, left ear."""
    score: float
    """0..1, larger = more surely a face."""


class FaceDetector:
    """Finds all faces of a frame."""

    def __init__(self, network: Network) -> None:
        steps = network.manifest.preprocessing
        self._network = network
        self._size = steps.width
        cells = round(network.manifest.output("scores").shape[1] ** 0.5)
        self._anchors = _anchors(cells)
        threshold = network.manifest.thresholds.get("score")
        self._least_logit = _logit(threshold.value if threshold else SCORE_THRESHOLD)

    def detect(self, pixels: Pixels) -> tuple[DetectedFace, ...]:
        """Return the faces of a frame, best score first.

        Args:
            pixels: uint8 (H, W, 3) RGB.
        """
        picture, scale, offset = letterbox(pixels, self._size)
        outputs = self._network.infer(picture)
        logits = outputs["scores"].reshape(-1)
        kept = np.flatnonzero(logits >= self._least_logit)
        if not kept.size:
            return ()
        values = outputs["boxes"].reshape(-1, 16)[kept] / self._size
        anchors = self._anchors[kept]
        centres = values[:, :2] + anchors
        halves = values[:, 2:4] / 2
        boxes = np.concatenate([centres - halves, centres + halves], axis=1)
        keypoints = values[:, 4:].reshape(-1, 6, 2) + anchors[:, None]
        shift = np.array(offset)
        return tuple(
            DetectedFace(
                box=_as_box((box * self._size - np.tile(shift, 2)) / scale),
                keypoints=((points * self._size - shift) / scale).astype(np.float32),
                score=score,
            )
            for box, points, score in weighted_suppression(boxes, keypoints, _sigmoid(logits[kept]))
        )


def letterbox(pixels: Pixels, size: int) -> tuple[Pixels, float, tuple[int, int]]:
    """Shrink or enlarge a picture into a black square, keeping its aspect.

    Returns:
        uint8 (size, size, 3); the scale from frame to square; and the (x, y) offset of the picture in the square.
    """
    height, width = pixels.shape[:2]
    scale = size / max(height, width)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    part = pixels
    while max(part.shape[0] / inner[1], part.shape[1] / inner[0]) >= 2.0:
        half = (max(inner[0], part.shape[1] // 2), max(inner[1], part.shape[0] // 2))
        part = np.asarray(cv2.resize(part, half, interpolation=cv2.INTER_LINEAR), np.uint8)
    offset = ((size - inner[0]) // 2, (size - inner[1]) // 2)
    square = np.zeros((size, size, 3), np.uint8)
    within = square[offset[1] : offset[1] + inner[1], offset[0] : offset[0] + inner[0]]
    cv2.resize(part, inner, dst=within, interpolation=cv2.INTER_LINEAR)
    return square, scale, offset


def weighted_suppression(boxes: Real, keypoints: Real, scores: Real) -> list[tuple[Real, Real, float]]:
    """Merge overlapping detections into their score-weighted mean.

    Args:
        boxes: (N, 4) x_min, y_min, x_max, y_max.
        keypoints: (N, K, 2).
        scores: (N,), positive.

    Returns:
        (box, keypoints, best score) for each face, best first.

    Source: Bazarevsky et al., BlazeFace, 2019, section 4 "Post-processing" (blending instead of suppression).
    """
    remaining = np.argsort(-scores, kind="stable")
    merged = []
    while remaining.size:
        best = remaining[0]
        is_same = _overlaps(boxes[best], boxes[remaining]) > OVERLAP
        is_same[0] = True
        group = remaining[is_same]
        weights = scores[group] / scores[group].sum()
        box = (boxes[group] * weights[:, None]).sum(axis=0)
        points = (keypoints[group] * weights[:, None, None]).sum(axis=0)
        merged.append((box, points, float(scores[best])))
        remaining = remaining[~is_same]
    return merged


def _overlaps(box: Real, others: Real) -> Real:
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    united = (
        np.clip(box[2:] - box[:2], 0, None).prod()
        + np.clip(others[:, 2:] - others[:, :2], 0, None).prod(axis=1)
        - shared
    )
    return np.asarray(shared / np.maximum(united, 1e-12))


def _anchors(cells: int) -> NDArray[np.float32]:
    """Return the centres of the grid cells, float32 (cells * cells, 2), 0..1, row by row."""
    middles = (np.arange(cells, dtype=np.float32) + 0.5) / cells
    y, x = np.meshgrid(middles, middles, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -80.0, 80.0))), np.float32)


def _logit(score: float) -> float:
    """Return what the sigmoid maps to a score, 0 < score < 1."""
    return math.log(score / (1.0 - score))


def _as_box(values: Real) -> Box:
    x_min, y_min, x_max, y_max = (float(value) for value in values)
    return x_min, y_min, x_max, y_max
