"""Whether the frames come from the sensor, now: its name, its clock, its noise, and its answer to commanded exposure.

What is injected behind the camera has no sensor's clock, repeats itself, or does not know which exposure is asked for next.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from device.vision.evidence.face_patch import LINEAR, SATURATED
from device.vision.evidence.results import Writer
from device.vision.evidence.stimulus import StimulusLog
from device.vision.frame import Frame, Pixels
from protocol.evidence import EvidenceKind, EvidenceResult
from protocol.policy import CapturePathPolicy

DELAYS_MS = tuple(range(0, 301, 10))
"""How long after the command a new exposure may show. Source: libcamera's Raspberry Pi pipeline applies exposure two to three frames
after the request that asks for it, 200 ms at 15 frames/s, plus one frame under way."""
_STEP_MS = 40
"""Frames this near to a command, on either side of the delay, may show a mixture and are left out."""
_DELAY_TIE = 1e-3
_MOST_FRAMES = 36_000
"""Frames kept as plain numbers: 20 min at 30 frames/s. A slow person who needs every repetition and all the time that the default policy
gives takes half of it, and the frames of the code, which come first, must still be there."""
_LEAST_FRAMES = 10
_REGULAR_WITHIN = 0.25
"""A sensor's clock ticks: intervals are whole multiples of the frame's duration (dropped frames make them longer), within this part of
a duration. Intervals drawn at random would be so half of the time, far from what a policy asks for."""
_GRID = 8
"""Every so many pixels enter digest and brightness: 4,800 of a picture of 640x480, enough noise that no two are equal."""
_DARK = 5
_LEAST, _MOST = (np.full(1, float(value)) for value in (_DARK + 1, SATURATED - 1))
_LEAST_USABLE = 0.2
"""Part of the pixels, and of the blocks, that must be neither saturated nor black for the brightness to be believed."""
_BLOCKS = (8, 6)
"""Blocks across and down: which parts of a picture are saturated changes with the exposure, so each part is compared with itself."""
_MOST_SATURATED = 0.02
"""Part of a block that may be saturated: a gleam, which moves its mean by as little."""
_OFTEN = 0.9
"""Part of the commanded frames in which a block must be measured to be used; frames that lack one used are left out."""
_LEAST_COMMANDED = 0.05
"""Standard deviation of the logarithm of the commanded factor below which there was no command to obey."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of a frame; no pixels."""

    monotonic_ns: int
    sensor_id: str | None
    sensor_ns: int
    exposure: float
    """Exposure time times gain, in microseconds."""
    digest: bytes
    blocks: NDArray[np.float32]
    """float32 (K,): mean linear brightness of each block, NaN where it is saturated; NaN everywhere if most is saturated or black."""


class CapturePathRecorder:
    """Collects sensor metadata, digests and brightness of all frames of a session."""

    def __init__(self, expected_sensor_id: str | None = None) -> None:
        """Prepare a recorder.

        Args:
            expected_sensor_id: which sensor this terminal was commissioned with; None if that is not known.
        """
        self._expected = expected_sensor_id
        self._seen: deque[_Seen] = deque(maxlen=_MOST_FRAMES)

    def observe(self, frame: Frame) -> None:
        """Take in the next frame, whether or not a face is in it."""
        sampled = np.ascontiguousarray(frame.pixels[::_GRID, ::_GRID])
        metadata = frame.metadata
        self._seen.append(
            _Seen(
                monotonic_ns=frame.monotonic_ns,
                sensor_id=metadata.sensor_id if metadata else None,
                sensor_ns=metadata.sensor_ns if metadata else 0,
                exposure=metadata.exposure_us * metadata.analogue_gain if metadata else math.nan,
                digest=hashlib.blake2b(sampled.data, digest_size=16).digest(),
                blocks=_brightness(sampled),
            )
        )

    def forget(self) -> None:
        """Drop everything kept of the frames."""
        self._seen.clear()

    def assess(self, rules: CapturePathPolicy | None, stimulus: StimulusLog) -> EvidenceResult:
        """Judge what was seen so far.

        Args:
            rules: the policy's thresholds.
            stimulus: what was commanded; frames taken while the exposure was not locked count for sensor and clock only.

        Returns:
            The score is the part of the commanded change of exposure that the picture shows, 1 = all of it. Passed with
            `sensor_answers`. Failed with `sensor_changed`, `unexpected_sensor`, `time_backwards`, `irregular_time`, `repeated`,
            `exposure_disobeyed` (metadata) or `picture_disobeyed` (brightness). Not run with `not_in_policy`, `no_metadata`,
            `too_few_frames`, `not_commanded` if the exposure was never varied, or `no_brightness` if the picture is saturated.
        """
        write = Writer(EvidenceKind.CAPTURE_PATH)
        if rules is None:
            return write.not_run("not_in_policy")
        seen = tuple(self._seen)
        is_known = self._expected is not None
        measures = {"sensor_known": float(is_known), "frames": float(len(seen)), "repeated": float(_repeated(seen))}
        if len(seen) >= _LEAST_FRAMES and measures["repeated"] > rules.max_repeated_frames:
            return write.failed("repeated", measures=measures)
        sensors = {frame.sensor_id for frame in seen}
        if not seen or sensors == {None}:
            return write.not_run("no_metadata", measures)
        if len(sensors) > 1:
            return write.failed("sensor_changed", measures=measures)
        if self._expected is not None and sensors != {self._expected}:
            return write.failed("unexpected_sensor", measures=measures)
        seen = _without_doubles(seen)
        steps = np.diff(np.array([frame.sensor_ns for frame in seen], np.int64))
        if (steps <= 0).any():
            return write.failed("time_backwards", measures=measures)
        if len(seen) < _LEAST_FRAMES:
            return write.not_run("too_few_frames", measures)
        measures["regular"] = _regular(steps)
        if not measures["regular"] >= rules.min_regular:
            return write.failed("irregular_time", measures=measures)
        return _assess_exposure(seen, rules, stimulus, measures)


def _assess_exposure(
    seen: tuple[_Seen, ...], rules: CapturePathPolicy, stimulus: StimulusLog, measures: dict[str, float]
) -> EvidenceResult:
    """Judge metadata and brightness against what was commanded, at the delay at which the metadata fit best."""
    write = Writer(EvidenceKind.CAPTURE_PATH)
    times = np.array([frame.monotonic_ns for frame in seen], np.int64)
    reported = np.array([frame.exposure for frame in seen])
    commanded = [(delay, factors) for delay in DELAYS_MS if (factors := _commanded(stimulus, times, delay)) is not None]
    if not commanded:
        return write.not_run("not_commanded", measures)
    errors = [_exposure_errors(reported, factors) for _, factors in commanded]
    means = np.array([float(error.mean()) for error in errors])
    # Several delays fit equally where frames are far apart; the middle one has the most room on either side.
    equal = np.flatnonzero(means <= means.min() + _DELAY_TIE) if np.isfinite(means).any() else np.array([0])
    best = int(equal[len(equal) // 2])
    delay, factors = commanded[best]
    error = float(np.quantile(errors[best], 0.9)) if np.isfinite(means[best]) else math.inf
    measures |= {"exposure_error": error, "exposure_delay_ms": float(delay)}
    if not error <= rules.max_exposure_error:
        return write.failed("exposure_disobeyed", measures=measures)
    response = _response(np.array([frame.blocks for frame in seen]), factors, stimulus.light_at(times))
    if not math.isfinite(response):
        return write.not_run("no_brightness", measures)
    measures["exposure_response"] = response
    return write.judged(
        response, rules.min_exposure_response, reasons=("sensor_answers", "picture_disobeyed"), measures=measures
    )


def _brightness(sampled: Pixels) -> NDArray[np.float32]:
    """Return the mean linear brightness of each block; see `_Seen.blocks`."""
    red, green, blue = cv2.split(sampled)
    brightest = cv2.max(cv2.max(red, green), blue)
    if cv2.countNonZero(cv2.inRange(brightest, _LEAST, _MOST)) < _LEAST_USABLE * red.size:
        return np.full(_BLOCKS[0] * _BLOCKS[1], np.nan, np.float32)
    light = cv2.resize(cv2.LUT(sampled, LINEAR), _BLOCKS, interpolation=cv2.INTER_AREA).mean(axis=2)
    saturated = cv2.resize((brightest >= SATURATED).astype(np.float32), _BLOCKS, interpolation=cv2.INTER_AREA)
    return np.asarray(np.where(saturated <= _MOST_SATURATED, light, np.nan).ravel(), np.float32)


def _repeated(seen: tuple[_Seen, ...]) -> int:
    """Return how many frames equal an earlier one bit by bit, next to it or not.

    Where nearly all is black or saturated there is no noise to tell frames apart, so such frames do not count.
    """
    digests = [frame.digest for frame in seen if np.isfinite(frame.blocks).any()]
    return len(digests) - len(set(digests))


def _without_doubles(seen: tuple[_Seen, ...]) -> tuple[_Seen, ...]:
    """Return the frames less those that are the one before once more, time and all: a driver's slip, which counts as repeated."""
    return seen[:1] + tuple(
        frame
        for before, frame in itertools.pairwise(seen)
        if (frame.sensor_ns, frame.digest) != (before.sensor_ns, before.digest)
    )


def _regular(steps: NDArray[np.int64]) -> float:
    """Return the part of intervals that are whole multiples of the usual one."""
    multiple = steps / float(np.median(steps))
    nearest = np.maximum(np.round(multiple), 1.0)
    return float((np.abs(multiple - nearest) <= _REGULAR_WITHIN).mean())


def _commanded(stimulus: StimulusLog, times: NDArray[np.int64], delay_ms: int) -> NDArray[np.float64] | None:
    """Return the factor each frame was to be taken with, NaN where none or two may apply; None if it never varied."""
    near = [stimulus.exposure_at(times - (delay_ms + shift) * 1_000_000) for shift in (-_STEP_MS, 0, _STEP_MS)]
    factors = np.where((near[0] == near[1]) & (near[1] == near[2]), near[1], np.nan)
    known = factors[np.isfinite(factors)]
    if len(known) < _LEAST_FRAMES or not (known > 0).all() or np.log(known).std() < _LEAST_COMMANDED:
        return None
    return factors


def _exposure_errors(reported: NDArray[np.float64], factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the relative difference of reported and commanded exposure, frame by frame; infinite if one is no exposure."""
    usable = np.isfinite(factors)
    if not (np.isfinite(reported[usable]).all() and (reported[usable] > 0).all()):
        return np.full(1, np.inf)
    base = reported[usable] / factors[usable]
    return np.asarray(np.abs(base / np.median(base) - 1.0), np.float64)


def _response(blocks: NDArray[np.float32], factors: NDArray[np.float64], light: NDArray[np.float64]) -> float:
    """Return the slope of log brightness over log commanded exposure, with the ring's light and slow change accounted for."""
    is_measured, usable = np.isfinite(blocks), np.isfinite(factors)
    chosen = is_measured[usable].mean(axis=0) >= _OFTEN if usable.any() else np.zeros(blocks.shape[1], bool)
    if chosen.sum() < _LEAST_USABLE * blocks.shape[1]:
        return math.nan
    brightness = blocks[:, chosen].mean(axis=1, dtype=np.float64)
    usable &= is_measured[:, chosen].all(axis=1) & (brightness > 0)
    if usable.sum() < _LEAST_FRAMES:
        return math.nan
    ring = np.nan_to_num(light[usable])
    design = np.column_stack(
        [np.ones(usable.sum()), np.log(factors[usable]), ring, np.linspace(-1.0, 1.0, int(usable.sum()))]
    )
    # Without a varied exposure among the usable frames the slope would be anything.
    if design[:, 1].std() < _LEAST_COMMANDED:
        return math.nan
    slope = np.linalg.lstsq(design, np.log(brightness[usable]), rcond=None)[0][1]
    return float(slope)
