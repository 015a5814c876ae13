"""The arithmetic of the light code: does the face follow it, and what does each half of the ring add to each place of the face?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from device.vision.evidence.face_patch import FacePatch, Mask, Plane
from device.vision.evidence.stimulus import StimulusLog, Times

Series = NDArray[np.float64]
"""float64 (N,), one value for each frame."""

_EARLIEST_MS, _LATEST_MS, _LATENCY_STEP_MS = -40, 150, 10
"""How much later than commanded the ring may show in the time of a frame. Later by the lamp's driver, and by exposure and rolling shutter
(50 ms together) where timestamps are of their end; earlier where they are of their beginning. The usual interval of two frames comes on
top of the latest, as a command between two frames may miss the next. None of it was measured on a board, so the estimate is free within
these limits."""
_EDGE_NS = 25_000_000
"""Frames this near to a step of the light show a mixture: half of the 50 ms that exposure and rolling shutter can take together."""
_STEP = 0.2
"""A change of light within the edge that is called a step; slower ones are a fade and are followed: the fastest that has 1.5 s for all of
it changes by .03 in that time."""
LEAST_FRAMES = 12
"""Four parameters for each place, three frames for each."""
_LEAST_LEVELS = 0.1
"""Standard deviation that the code of each half must have among the frames used: a half that is on for a fiftieth of them has .14."""
_MOST_CONDITION = 100.0
"""Of the regressors: beyond it an error of a hundredth in the brightness may be one of the whole gain."""
_LATENCY_TIE = 0.002
"""Correlations this near to each other are the same; then the latency nearest to none is taken."""
_ALTERNATIVES = 15
"""Shifts that are tried, evenly over the whole code: finer than its steps."""
_TOGETHER = 3
"""Frames on end whose deviation is one: a step of the code has more than two of them, a wink or a wrong landmark fewer."""
_SMOOTH_PX = 1.5
"""For relief, which is coarse."""
_DETAIL_PX = 0.8
"""For brows, lids and lips, which are not."""
_FINE_PX = 4.0
"""Albedo is compared in what is finer than this: brows, eyes, nostrils, lips, and not the shading of the head."""
_DARKEST = 0.1
"""Part of the face that counts as dark in its fine structure: where little light comes back, shine is least, so wet, oily and dark skin
and spectacles do not hide it."""
_LEAST_LIGHT = 0.05
"""Light below this part of the median counts as this much: its logarithm is noise."""
_LEAST_PART = 0.1
"""Places where a gain is less than this part of the median are in a cast shadow and have no logarithm worth having."""
_LEAST_USABLE = 0.4
"""Part of the face that must be left to measure relief on; chosen: with less a quadratic bends around whatever is there."""


@dataclass(frozen=True, slots=True, eq=False)
class CodeFit:
    """How the brightness of the face as a whole follows the code, at the latency at which it does so best."""

    latency_ms: int
    correlation: float
    """Of measured and predicted brightness, at most 1; 0 if the ring only darkens the face."""
    margin: float
    """The correlation less that of the best alternative: the same code shifted in time, at its own best latency."""
    gain: float
    """What both halves add at full brightness, as a part of the face's brightness without them."""
    background_gain: float
    """The same of the background; NaN where none is seen."""
    deviation: float
    """How far the face is from the code where it is furthest: the largest mean of what the fit leaves in three frames on end, as a
    part of what both halves add; infinite if they add nothing."""
    longest_gap_s: float
    """The longest time in the code without a frame that is used, its beginning and its end included."""
    spread: float
    """Standard deviation of the face's brightness over time, as a part of its mean, whatever it follows."""
    used: NDArray[np.bool_]
    """bool (N,): the frames away from steps."""
    light: NDArray[np.float64]
    """float64 (N, 2): left and right as they fell on each frame."""


@dataclass(frozen=True, slots=True, eq=False)
class LightGains:
    """What the halves of the ring add to each place of the face."""

    base: Plane
    """Linear brightness without the ring."""
    left: Plane
    """Added by the half on the subject's left at full brightness."""
    right: Plane

    def smooth(self, sigma_px: float) -> LightGains:
        """Return the same, smoothed; as all is linear, this is what smoothed frames would have given."""
        base, left, right = (
            np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma_px), np.float32)
            for plane in (self.base, self.left, self.right)
        )
        return LightGains(base, left, right)


@dataclass(frozen=True, slots=True)
class LightShape:
    """What the gains look like over the face. Repeated measurements are compared, so noise adds to none of it."""

    relief_left: float
    """Relief of the left half's gain over the face's own brightness: root mean square of what is left of its logarithm after the
    best plane and bend (a quadratic in x and y) is taken away, as any sheet under one lamp is that smooth. Eye sockets are left out:
    holes are cut into masks there, and prints are darkest and so least certain."""
    relief_right: float
    relief_sides: float
    """The same of the left gain over the right one: free of skin, print and room light, but small with a small ring."""
    highlight: float
    """Brightest hundredth over median of the added light, eye sockets left out."""
    albedo_share: float
    """How dark brows, eyes, nostrils and lips are in the added light, as a part of how dark they are in the face's own: about 1 if the
    same surface reflects both, 0 if the lamp lies on them as a veil. Logarithms of the fine structure, median of the darkest tenth."""

    @property
    def relief(self) -> float:
        """The lesser of the two halves' reliefs; NaN if either could not be measured."""
        return float(np.minimum(self.relief_left, self.relief_right))


def follow_code(patches: Sequence[FacePatch], face: Mask, stimulus: StimulusLog) -> CodeFit | None:
    """Fit the brightness of the face to the code; None if too few frames or levels of light were seen."""
    times = np.array([patch.monotonic_ns for patch in patches], np.int64)
    brightness = np.array([float(patch.brightness[face].mean()) for patch in patches])
    background = _background(patches)
    if not (np.isfinite(brightness).all() and (brightness > 0).all()):
        return None
    fits = [
        (light, used, latency, _correlation(brightness, background, light, used))
        for latency in _latencies(times)
        for light, used in [_light_on(times, stimulus, latency)]
        if _is_enough(light, used)
    ]
    if not fits:
        return None
    best = max(fit[3] for fit in fits)
    light, used, latency, correlation = min(
        (fit for fit in fits if fit[3] >= best - _LATENCY_TIE), key=lambda fit: abs(fit[2])
    )
    others = [
        _correlation(brightness, background, np.roll(light, round(len(light) * k / (_ALTERNATIVES + 1)), axis=0), used)
        for k in range(1, _ALTERNATIVES + 1)
    ]
    design = _design(light[used])
    gains = _solve(design, brightness[used, None])[:, 0]
    is_seen = np.isfinite(background[used]).all()
    behind = _solve(design, background[used, None])[:, 0] if is_seen else np.full(4, np.nan)
    return CodeFit(
        latency_ms=latency,
        correlation=correlation,
        margin=correlation - max(others),
        deviation=_deviation(brightness, background, light, used),
        longest_gap_s=_longest_gap_s(times[used] - latency * 1_000_000, stimulus),
        gain=float((gains[1] + gains[2]) / max(gains[0], 1e-4)),
        background_gain=float((behind[1] + behind[2]) / max(behind[0], 1e-4)),
        spread=float(brightness[used].std() / brightness[used].mean()),
        used=used,
        light=light,
    )


def _background(patches: Sequence[FacePatch]) -> Series:
    """Return the brightness of the blocks of the background that no frame shows saturated; NaN where there is none."""
    blocks = np.array([patch.background for patch in patches])
    seen = blocks[:, np.isfinite(blocks).all(axis=0)]
    return seen.mean(axis=1) if seen.size else np.full(len(patches), np.nan)


def measure_shape(patches: Sequence[FacePatch], fit: CodeFit, face: Mask, sockets: Mask) -> LightShape:
    """Measure relief, highlight and albedo share of the gains.

    Every measure but the highlight comes from two sets of frames, every other one of those used, and is the agreement of both.

    Args:
        patches: all frames of the fit.
        fit: which of them are used and what light fell on them.
        face: places that belong to the face.
        sockets: places where eyes and spectacles are.
    """
    chosen = [patch for patch, is_used in zip(patches, fit.used, strict=True) if is_used]
    stack = np.array([patch.brightness for patch in chosen], np.float32)
    light = fit.light[fit.used]
    sharp = [fit_gains(stack[start::2], light[start::2]) for start in (0, 1)]
    halves = [half.smooth(_SMOOTH_PX) for half in sharp]
    added = np.mean([half.left + half.right for half in halves], axis=0)
    skin = face & ~sockets
    return LightShape(
        relief_left=_relief([(half.left, half.base) for half in halves], skin),
        relief_right=_relief([(half.right, half.base) for half in halves], skin),
        relief_sides=_relief([(half.left, half.right) for half in halves], skin),
        highlight=float(np.quantile(added[skin], 0.99) / max(float(np.median(added[skin])), 1e-6)),
        albedo_share=_albedo_share(sharp[0].smooth(_DETAIL_PX), sharp[1].smooth(_DETAIL_PX), face),
    )


def fit_gains(stack: NDArray[np.float32], light: NDArray[np.float64]) -> LightGains:
    """Fit base and gains at each place by least squares.

    Args:
        stack: float32 (N, PATCH_HEIGHT, PATCH_WIDTH), linear brightness.
        light: float64 (N, 2), left and right on each frame.
    """
    solver = np.linalg.pinv(_design(light)).astype(np.float32)
    base, left, right = (solver[:3] @ stack.reshape(len(stack), -1)).reshape(3, *stack.shape[1:])
    return LightGains(base, left, right)


def _latencies(times: Times) -> range:
    """Return the latencies that are tried, in milliseconds."""
    interval_ms = int(np.median(np.diff(times))) // 1_000_000 if len(times) > 1 else 0
    return range(_EARLIEST_MS, _LATEST_MS + interval_ms + 1, _LATENCY_STEP_MS)


def _light_on(times: Times, stimulus: StimulusLog, latency_ms: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the light on each frame, and which frames are away from steps."""
    shown = times - latency_ms * 1_000_000
    light = stimulus.light_at(shown)
    used = np.isfinite(light).all(axis=1) & (stimulus.light_moves(shown - _EDGE_NS, shown + _EDGE_NS) < _STEP)
    return np.nan_to_num(light), used


def _is_enough(light: NDArray[np.float64], used: NDArray[np.bool_]) -> bool:
    """Return whether both gains can be told apart from each other and from a trend, in each half of the frames."""
    if used.sum() < LEAST_FRAMES:
        return False
    chosen = light[used]
    return all(
        bool((part.std(axis=0) >= _LEAST_LEVELS).all()) and np.linalg.cond(_design(part)) < _MOST_CONDITION
        for part in (chosen[0::2], chosen[1::2])
    )


def _design(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the regressors, float64 (N, 4): constant, left, right, slow change of the room."""
    trend = np.linspace(-1.0, 1.0, len(light))
    return np.column_stack([np.ones(len(light)), light, trend])


def _solve(design: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.lstsq(design, values, rcond=None)[0], np.float64)


def _correlation(brightness: Series, background: Series, light: NDArray[np.float64], used: NDArray[np.bool_]) -> float:
    """Return the correlation of the face's brightness with what the code predicts.

    Slow change is taken away first, and so is what the background does apart from the code: a cloud or a flickering lamp changes
    both by the same part. A half of the ring cannot darken the face, so a negative gain counts as none.
    """
    codes = light[used]
    face = brightness[used] / brightness[used].mean() - _room(background[used], codes)
    trend = np.column_stack([np.ones(len(face)), np.linspace(-1.0, 1.0, len(face))])
    face = face - trend @ _solve(trend, face[:, None])[:, 0]
    codes = codes - trend @ _solve(trend, codes)
    best = 0.0
    for columns in ((0, 1), (0,), (1,)):
        chosen = codes[:, columns]
        gains = _solve(chosen, face[:, None])[:, 0]
        predicted = chosen @ gains
        size = float(np.linalg.norm(predicted) * np.linalg.norm(face))
        if (gains >= 0).all() and size > 1e-12:
            best = max(best, float(predicted @ face) / size)
    return best


def _deviation(brightness: Series, background: Series, light: NDArray[np.float64], used: NDArray[np.bool_]) -> float:
    """Return how far the brightness is at most from what the code predicts, over some frames on end; see `CodeFit.deviation`."""
    codes = light[used]
    face = brightness[used] / brightness[used].mean() - _room(background[used], codes)
    design = _design(codes)
    gains = _solve(design, face[:, None])[:, 0]
    if not gains[1] + gains[2] > 0:
        return math.inf
    left_over = np.convolve(face - design @ gains, np.full(_TOGETHER, 1 / _TOGETHER), "valid")
    return float(np.abs(left_over).max() / (gains[1] + gains[2]))


def _longest_gap_s(shown: Times, stimulus: StimulusLog) -> float:
    """Return the longest time between two of the times, or from one to the beginning or the end of the code, in seconds."""
    begin_ns, end_ns = stimulus.span_ns
    return float(np.diff(np.concatenate([[begin_ns], shown, [end_ns]])).max() / 1e9)


def _room(background: Series, codes: NDArray[np.float64]) -> Series:
    """Return by what part the background changes apart from the code; zeros where none is seen."""
    if not np.isfinite(background).all() or not background.mean() > 0:
        return np.zeros(len(background))
    design = _design(codes)
    rest = background - design @ _solve(design, background[:, None])[:, 0]
    return np.asarray(rest / background.mean(), np.float64)


def _relief(pairs: Sequence[tuple[Plane, Plane]], face: Mask) -> float:
    """Return the root mean square of the part of log(numerator / denominator) that no sheet explains and both measurements share."""
    usable = face.copy()
    for pair in pairs:
        for plane in pair:
            usable &= plane > _LEAST_PART * max(float(np.median(plane[face])), 1e-6)
    if usable.sum() < _LEAST_USABLE * face.sum():
        return math.nan
    rows, columns = np.nonzero(usable)
    x, y = columns / usable.shape[1] - 0.5, rows / usable.shape[0] - 0.5
    sheet = np.column_stack([np.ones(len(x)), x, y, x * x, x * y, y * y])
    rest = []
    for numerator, denominator in pairs:
        values = np.log(numerator[usable].astype(np.float64)) - np.log(denominator[usable].astype(np.float64))
        rest.append(values - sheet @ _solve(sheet, values[:, None])[:, 0])
    return math.sqrt(max(0.0, float((rest[0] * rest[1]).mean())))


def _albedo_share(one: LightGains, other: LightGains, face: Mask) -> float:
    """Return how dark the added light is where the face is dark, each measured in other frames; NaN without a face of light and dark."""
    shares = []
    for base, gains in ((one.base, other), (other.base, one)):
        own, added = _fine(base, face), _fine(gains.left + gains.right, face)
        dark = own <= np.quantile(own, _DARKEST)
        depth = float(np.median(own[dark]))
        if depth > -1e-6:
            return math.nan
        shares.append(float(np.median(added[dark])) / depth)
    return float(np.mean(shares))


def _fine(plane: Plane, face: Mask) -> Series:
    """Return the logarithm of the fine structure relative to the coarse one at the places of the face; nothing outside enters."""
    least = _LEAST_LIGHT * max(float(np.median(plane[face])), 1e-6)
    light = np.log(np.maximum(plane, least)).astype(np.float32)
    inside = face.astype(np.float32)
    coarse = cv2.GaussianBlur(light * inside, (0, 0), _FINE_PX) / np.maximum(
        cv2.GaussianBlur(inside, (0, 0), _FINE_PX), np.float32(1e-3)
    )
    return np.asarray((light - coarse)[face], np.float64)
