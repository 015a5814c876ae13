"""A small picture of the face in linear light, moved onto the first frame's so that a place stays a place.

It serves what compares the light on a place of the face over time. Patches never leave the vision worker.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from device.vision.evidence.planarity import RIGID_POINTS
from device.vision.frame import Frame, Pixels
from device.vision.landmarks import FaceLandmarks

Plane = NDArray[np.float32]
"""float32 (PATCH_HEIGHT, PATCH_WIDTH): something at each place of the face."""
Mask = NDArray[np.bool_]
"""bool (PATCH_HEIGHT, PATCH_WIDTH)."""

PATCH_WIDTH, PATCH_HEIGHT = 64, 72
PATCH_SCALE = 28.0
"""Pixels of the patch for one distance between the eyes: 2.3 mm each. Finer holds no relief and more noise."""
_EYES_AT = (31.5, 22.0)
"""Where the middle of the eyes lies in the patch: forehead to chin and ear to ear are inside."""
_GAMMA = 2.2
"""Of sRGB, approximately; see IEC 61966-2-1."""
SATURATED = 250
LINEAR = ((np.arange(256) / 255.0) ** _GAMMA).astype(np.float32)
"""float32 (256,): linear light of an 8-bit value, 0..1."""
_MEAN = np.full((1, 3), 1 / 3, np.float32)
_EYE_SOCKETS = (70, 46, 124, 111, 119, 188, 412, 348, 340, 353, 276, 300, 336, 9, 107)
"""Landmarks around both eyes, as far as spectacles reach."""
_MOUTH = (0, 61, 291, 17, 185, 409, 146, 375)
"""Landmarks around the lips."""
_OUTLINE_MARGIN_PX = 4
"""By how much the face's outline is drawn in: at the edge landmarks are least sure and skin is seen askew."""
_LEAST_SATURATED = 0.05
"""A place of which more is saturated has no colour."""
_LEAST_SKIN = 0.8
"""Part of the skin that must have a colour."""
_BACKGROUND = ((-3.0, -1.5, -1.9, 0.9), (1.5, -1.5, 3.0, 0.9), (-1.4, -3.0, 1.4, -2.1))
"""Left of, right of and above the head: x and y from, x and y to, from the middle of the eyes in distances between them."""
_GRID = 4
"""Every so many pixels of the background count."""
_BLOCKS = (6, 8)
"""The frame in blocks, down and across, for the background: a wall is as bright as it is, but which part of it is saturated changes with
the exposure, so parts are compared with themselves."""
_LEAST_OF_BLOCK = 0.25
"""Part of a block that must be background for it to count."""
_MOST_SATURATED_IN_BLOCK = 0.02
"""Part of a block that may be saturated: a gleam, which moves its mean by as little."""


@dataclass(frozen=True, slots=True, eq=False)
class FacePatch:
    """One frame of the face."""

    sequence: int
    """Number of the frame."""
    monotonic_ns: int
    brightness: Plane = field(repr=False)
    """Linear brightness divided by the exposure."""
    saturated: Plane = field(repr=False)
    """Part of each place that was saturated, 0..1."""
    background: NDArray[np.float64] = field(repr=False)
    """float64 (K,): linear brightness of blocks beside and above the head, divided by the exposure; NaN where a block is saturated.
    K is 0 where too little of the background is in the picture."""
    shift: tuple[float, float]
    """Of the face from the first frame, in distances between the eyes."""
    turn: tuple[float, float]
    """Width and height of the face as parts of those in the first frame."""


class PatchCutter:
    """Cuts the patch of one face out of frames; the first frame fixes where it lies on the face."""

    def __init__(self, landmarks: FaceLandmarks, size: tuple[int, int]) -> None:
        """Prepare a cutter.

        Args:
            landmarks: of the first frame.
            size: height and width of the frames.
        """
        self._points = landmarks.points[list(RIGID_POINTS), :2].astype(np.float64)
        self._unit = landmarks.interocular_px
        right, left = (eye.astype(np.float64) for eye in landmarks.eye_centres)
        axis = (left - right) / np.linalg.norm(left - right) * (self._unit / PATCH_SCALE)
        linear = np.column_stack([axis, [-axis[1], axis[0]]])
        middle = (left + right) / 2
        self._to_frame = np.column_stack([linear, middle - linear @ np.array(_EYES_AT)])
        """Patch to the first frame, float64 (2, 3)."""
        placed = (landmarks.points[:, :2] - self._to_frame[:, 2]) @ np.linalg.inv(linear).T
        self.face = _hull(placed, _OUTLINE_MARGIN_PX)
        """Where the face is, bool."""
        self.sockets = _hull(placed[list(_EYE_SOCKETS)], 0)
        """Where eyes and spectacles are, bool."""
        self.skin = self.face & ~self.sockets & ~_hull(placed[list(_MOUTH)], 0)
        """What neither blinks nor speaks, bool."""
        self._background = _background_blocks(size, middle, self._unit)
        self._exposure: float | None = None
        self._even: Mask | None = None

    def cut(self, frame: Frame, landmarks: FaceLandmarks) -> FacePatch | None:
        """Return the patch of a frame, None if no map from the first frame's landmarks can be found."""
        to_frame = self._follow(landmarks)
        if to_frame is None:
            return None
        brightness, saturated = _warp(frame.pixels, to_frame, is_grey=True)
        exposure = self._relative_exposure(frame)
        points = landmarks.points[list(RIGID_POINTS), :2].astype(np.float64)
        shift = (points - self._points).mean(axis=0) / self._unit
        linear = to_frame[:, :2] @ np.linalg.inv(self._to_frame[:, :2])
        return FacePatch(
            sequence=frame.sequence,
            monotonic_ns=frame.monotonic_ns,
            brightness=brightness / np.float32(exposure),
            saturated=saturated,
            background=self._background_of(frame.pixels) / exposure,
            shift=(float(shift[0]), float(shift[1])),
            turn=(float(np.linalg.norm(linear[:, 0])), float(np.linalg.norm(linear[:, 1]))),
        )

    def colour(self, pixels: Pixels, landmarks: FaceLandmarks) -> NDArray[np.float64] | None:
        """Return the mean colour of the skin, float64 (3,), linear light of R, G, B; None if much of it is saturated or not seen.

        Much of the skin, the half that was most even when first asked, at places that are fixed by many landmarks together: where a
        landmark moves by a part of a pixel, the shade of a cheek changes more than by a heartbeat.
        """
        to_frame = self._follow(landmarks)
        if to_frame is None:
            return None
        light, saturated = _warp(pixels, to_frame, is_grey=False)
        if self._even is None:
            self._even = self.skin & _most_even(light.mean(axis=2), self.skin)
        used = self._even & (saturated < _LEAST_SATURATED)
        if used.sum() < max(_LEAST_SKIN * self._even.sum(), 1):
            return None
        return np.asarray(light[used].mean(axis=0), np.float64)

    def _follow(self, landmarks: FaceLandmarks) -> NDArray[np.float64] | None:
        """Return the map from the patch to this frame, float64 (2, 3); None if there is no sensible one."""
        points = landmarks.points[list(RIGID_POINTS), :2].astype(np.float64)
        if not np.isfinite(points).all():
            return None
        design = np.column_stack([self._points, np.ones(len(points))])
        moved = np.linalg.lstsq(design, points, rcond=None)[0].T
        linear = moved[:, :2]
        if not np.isfinite(moved).all() or not 0.2 < np.linalg.det(linear) < 5.0:
            return None
        return np.column_stack([linear @ self._to_frame[:, :2], linear @ self._to_frame[:, 2] + moved[:, 2]])

    def _relative_exposure(self, frame: Frame) -> float:
        """Return the frame's exposure as a part of the first frame's."""
        if frame.metadata is None:
            return 1.0
        exposure = max(frame.metadata.exposure_us * frame.metadata.analogue_gain, 1e-6)
        if self._exposure is None:
            self._exposure = exposure
        return exposure / self._exposure

    def _background_of(self, pixels: Pixels) -> NDArray[np.float64]:
        blocks = self._background
        sampled = pixels[::_GRID, ::_GRID]
        if not blocks.counts.size or sampled.shape[:2] != blocks.shape:
            return np.full(blocks.counts.size, np.nan)
        chosen = sampled.reshape(-1, 3)[blocks.places]
        count = len(blocks.counts)
        light = np.bincount(blocks.block_of, LINEAR[chosen].sum(axis=1), count) / (3 * blocks.counts)
        saturated = np.bincount(blocks.block_of, chosen.max(axis=1) >= SATURATED, count) / blocks.counts
        return np.where(saturated <= _MOST_SATURATED_IN_BLOCK, light, np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class _Background:
    """Which pixels of the grid belong to which block of the background."""

    shape: tuple[int, int]
    """Of the grid."""
    places: NDArray[np.intp]
    """Indexes into the grid, row by row."""
    block_of: NDArray[np.intp]
    """Number of the block for each place."""
    counts: NDArray[np.intp]
    """Places in each block."""


def _warp(pixels: Pixels, to_frame: NDArray[np.float64], *, is_grey: bool) -> tuple[Plane, Plane]:
    """Return linear light (brightness, or three colours) and saturated part of the patch.

    Light is averaged before it is sampled, and outside is saturated.
    """
    corners = np.array([[0, 0, 1], [PATCH_WIDTH, 0, 1], [PATCH_WIDTH, PATCH_HEIGHT, 1], [0, PATCH_HEIGHT, 1]], float)
    corners = corners @ to_frame.T
    height, width = pixels.shape[:2]
    scale = float(np.sqrt(abs(np.linalg.det(to_frame[:, :2]))))
    margin = int(3 * scale) + 2
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - margin, 0, [width - 1, height - 1])
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + margin, low + 1, [width, height])
    part = np.ascontiguousarray(pixels[low[1] : high[1], low[0] : high[0]])
    light = cv2.LUT(part, LINEAR)
    if is_grey:
        light = cv2.transform(light, _MEAN)
    red, green, blue = cv2.split(part)
    full = (cv2.max(cv2.max(red, green), blue) >= SATURATED).astype(np.float32)
    moved = to_frame.copy()
    moved[:, 2] -= low
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    planes = []
    for plane, outside in ((light, 0.0), (full, 1.0)):
        smooth = cv2.GaussianBlur(plane, (0, 0), 0.5 * scale) if scale > 1.0 else plane
        planes.append(
            cv2.warpAffine(
                smooth,
                moved,
                (PATCH_WIDTH, PATCH_HEIGHT),
                flags=flags,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=(outside, outside, outside),
            ).astype(np.float32)
        )
    return planes[0], planes[1]


def _most_even(light: Plane, skin: Mask) -> Mask:
    """Return the half of the skin where the light changes least from place to place."""
    least = 0.05 * max(float(np.median(light[skin])), 1e-6) if skin.any() else 1.0
    smooth = cv2.GaussianBlur(np.log(np.maximum(light, least)), (0, 0), 1.0)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    return np.asarray(slope <= (np.median(slope[skin]) if skin.any() else 0.0), np.bool_)


def _hull(points: NDArray[np.float64], margin_px: int) -> Mask:
    """Return what is inside the points, drawn in by a margin; the border of the patch is a border too."""
    mask = np.zeros((PATCH_HEIGHT, PATCH_WIDTH), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points).astype(np.int32)), (1,))
    kernel = np.ones((2 * margin_px + 1, 2 * margin_px + 1), np.uint8)
    inside = cv2.erode(mask, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=(0,))
    return np.asarray(inside, np.uint8) > 0


def _background_blocks(size: tuple[int, int], middle: NDArray[np.float64], unit: float) -> _Background:
    """Return where the background is, in blocks of the frame that hold enough of it."""
    rows, columns = np.mgrid[0 : size[0] : _GRID, 0 : size[1] : _GRID]
    x, y = (columns - middle[0]) / unit, (rows - middle[1]) / unit
    mask = np.zeros(x.shape, bool)
    for x_from, y_from, x_to, y_to in _BACKGROUND:
        mask |= (x >= x_from) & (x <= x_to) & (y >= y_from) & (y <= y_to)
    block = rows * _BLOCKS[0] // size[0] * _BLOCKS[1] + columns * _BLOCKS[1] // size[1]
    counts = np.bincount(block[mask], minlength=_BLOCKS[0] * _BLOCKS[1])
    is_kept = mask & (counts >= _LEAST_OF_BLOCK * mask.size / counts.size)[block]
    kept, block_of = np.unique(block[is_kept], return_inverse=True)
    return _Background((mask.shape[0], mask.shape[1]), np.flatnonzero(is_kept), block_of, counts[kept])
