"""Whether the ring's light falls on a living face: it follows the session's code, and its shape is that of a face.

Brightening alone proves nothing, paper brightens more than skin. For each place of the face the part of its light that comes from
the left and from the right half of the ring is measured. On a face these gains have relief (nose, sockets, cheeks) and carry brows and
lips, as skin reflects the ring like any other light. On paper they are as smooth as the sheet; on a screen they know nothing of the
picture shown and have the bright spot of glass; a film follows the code of another session.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from device.vision.evidence.face_patch import FacePatch, PatchCutter
from device.vision.evidence.light_fit import LEAST_FRAMES, CodeFit, LightShape, follow_code, measure_shape
from device.vision.evidence.results import Writer
from device.vision.evidence.stimulus import StimulusLog
from device.vision.frame import Frame
from device.vision.landmarks import FaceLandmarks
from protocol.evidence import EvidenceKind, EvidenceResult
from protocol.policy import IlluminationPolicy

_MOST_MOTION = 0.6
_MOST_TURN = 0.12
"""How far a face may have moved (in distances between the eyes) and changed in width or height (as a part) against the median of all
frames to be used; beyond it other skin is seen under another angle. Derived: a width 12 % less is a turn by 28 degrees, and a head that
moved by .6 eye distances at half a metre sees the ring 4 degrees off. Frames beyond count as not steady."""
_MOST_FRAMES = 900
"""Thirty seconds at 30 frames/s, longer than any code of the default policy."""
_SMALLEST_PX = 8.0
"""Distance between the eyes below which a face has no shape to speak of."""
_MOST_SATURATED = 0.05
"""Of a place, over all frames; one frame in twenty is a passing gleam and moves a gain by as little."""
_LEAST_FACE = 0.5
"""Part of the face that must not be saturated; chosen: relief is measured over what is left, and half a face still has a nose."""
_MOST_PART = 100.0
"""A score says no more than this, however small the threshold is; a number, so that it can be written down."""
_LEAST_SPREAD = 0.15
"""Brightness that changes by less than this part of the least gain follows no code at all, not a wrong one. Chosen: it decides only between
not run and failed; neither passes."""


class IlluminationRecorder:
    """Collects small pictures of the face while the code is played. They are forgotten with `forget`."""

    def __init__(self) -> None:
        self._patches: deque[FacePatch] = deque(maxlen=_MOST_FRAMES)
        self._cutter: PatchCutter | None = None
        self._seen: set[int] = set()
        self._sampled: set[int] = set()

    def observe(self, frame: Frame, landmarks: FaceLandmarks) -> None:
        """Take in one frame of the subject during the code.

        Exposure is taken from the frame's metadata; without metadata it counts as constant.
        """
        self._seen.add(frame.sequence)
        if not np.isfinite(landmarks.points).all() or landmarks.interocular_px < _SMALLEST_PX:
            return
        if self._cutter is None:
            height, width = frame.pixels.shape[:2]
            self._cutter = PatchCutter(landmarks, (height, width))
        patch = self._cutter.cut(frame, landmarks)
        if patch is not None:
            self._patches.append(patch)

    def sampled(self, sequence: int) -> None:
        """Note that the face in a frame is compared with the rest of the session: that frame must be one of those judged."""
        self._sampled.add(sequence)

    @property
    def left_out(self) -> frozenset[int]:
        """Numbers of the frames that are not judged, because the face was elsewhere in them."""
        return frozenset(self._seen - {patch.sequence for patch in _steady(tuple(self._patches))})

    def forget(self) -> None:
        """Drop all pictures."""
        self._patches.clear()
        self._cutter = None
        self._seen.clear()
        self._sampled.clear()

    def assess(self, rules: IlluminationPolicy | None, stimulus: StimulusLog) -> EvidenceResult:
        """Judge what was seen so far.

        Args:
            rules: the policy's thresholds.
            stimulus: the light that was set.

        Returns:
            The score is the least of what was measured divided by what the policy asks for (code correlation, relief, albedo
            share, and the inverse for the highlight): 1 passes, larger = more surely a face under this light. Passed with
            `follows_light`. Failed with `wrong_code`, `flat`, `highlight` or `not_skin`. Not run with `not_in_policy`,
            `too_few_frames` or `moved` (parts of the code, or a frame that was sampled, cannot be judged), or `too_bright` (the room
            outshines the ring, or the face is saturated).
        """
        write = Writer(EvidenceKind.ILLUMINATION)
        if rules is None:
            return write.not_run("not_in_policy")
        steady = _steady(tuple(self._patches))
        measures = {"frames": float(len(steady))}
        if self._cutter is None or len(steady) < LEAST_FRAMES:
            return write.not_run("moved" if len(self._patches) >= 2 * LEAST_FRAMES else "too_few_frames", measures)
        measures["steady"] = len(steady) / len(self._seen)
        if measures["steady"] < rules.min_steady or self._sampled & self.left_out:
            return write.not_run("moved", measures)
        face = self._cutter.face & (np.mean([patch.saturated for patch in steady], axis=0) < _MOST_SATURATED)
        if face.sum() < max(_LEAST_FACE * self._cutter.face.sum(), 1):
            return write.not_run("too_bright", measures)
        fit = follow_code(steady, face, stimulus)
        if fit is None:
            return write.not_run("too_few_frames", measures)
        measures |= _measures_of(fit)
        if fit.longest_gap_s > rules.max_gap_s:
            return write.not_run("moved" if len(steady) < len(self._seen) else "too_few_frames", measures)
        follows = (
            fit.correlation >= rules.min_code_correlation
            and fit.margin > 0.0
            and fit.deviation <= rules.max_code_deviation
        )
        if not follows and fit.spread >= _LEAST_SPREAD * rules.min_gain:
            score = min(
                _part(fit.correlation, rules.min_code_correlation),
                1.0 + min(fit.margin, 0.0),
                _part(rules.max_code_deviation, max(fit.deviation, 1e-6)),
            )
            return write.failed("wrong_code", score, 1.0, measures)
        if not (follows and fit.gain >= rules.min_gain):
            return write.not_run("too_bright", measures)
        return _judge_shape(fit, measure_shape(steady, fit, face, self._cutter.sockets), rules, measures)


def _judge_shape(
    fit: CodeFit, shape: LightShape, rules: IlluminationPolicy, measures: dict[str, float]
) -> EvidenceResult:
    """Judge a face that follows the code by the shape of the light on it."""
    write = Writer(EvidenceKind.ILLUMINATION)
    measures = measures | {
        "relief_left": shape.relief_left,
        "relief_right": shape.relief_right,
        "relief_sides": shape.relief_sides,
        "highlight": shape.highlight,
        "albedo_share": shape.albedo_share,
    }
    skin = _part(shape.albedo_share, rules.min_albedo_share)
    matt = _part(1.0 / shape.highlight, 1.0 / rules.max_highlight) if shape.highlight > 0 else math.nan
    solid = _part(shape.relief, rules.min_relief)
    parts = (_part(fit.correlation, rules.min_code_correlation), skin, matt, solid)
    if not all(math.isfinite(part) for part in parts):
        return write.not_run("no_measurement", measures)
    score = min(parts)
    doubt = "not_skin" if score == skin else "highlight" if score == matt else "flat"
    return write.judged(score, 1.0, reasons=("follows_light", doubt), measures=measures)


def _steady(patches: tuple[FacePatch, ...]) -> tuple[FacePatch, ...]:
    """Return the frames in which the face is about where and how it usually is."""
    if not patches:
        return ()
    shifts = np.array([patch.shift for patch in patches])
    turns = np.array([patch.turn for patch in patches])
    near = (np.abs(shifts - np.median(shifts, axis=0)) <= _MOST_MOTION).all(axis=1)
    near &= (np.abs(turns / np.median(turns, axis=0) - 1.0) <= _MOST_TURN).all(axis=1)
    return tuple(patch for patch, is_near in zip(patches, near, strict=True) if is_near)


def _measures_of(fit: CodeFit) -> dict[str, float]:
    return {
        "code_correlation": fit.correlation,
        "code_margin": fit.margin,
        "code_deviation": fit.deviation,
        "longest_gap_s": fit.longest_gap_s,
        "gain": fit.gain,
        "background_gain": fit.background_gain,
        "latency_ms": float(fit.latency_ms),
    }


def _part(value: float, least: float) -> float:
    """Return a measure as a part of what is asked for, at most 100; what asks for nothing is satisfied by any number."""
    if math.isnan(value):
        return math.nan
    return min(value / least, _MOST_PART) if least > 0 else _MOST_PART
