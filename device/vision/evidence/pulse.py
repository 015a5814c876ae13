"""The blood-volume pulse: with every heartbeat the skin's colour changes by a few parts in a thousand.

The heart rate itself is nobody's business here: it is neither returned nor written down.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from device.vision.evidence.face_patch import PatchCutter
from device.vision.evidence.results import Writer
from device.vision.frame import Frame
from device.vision.landmarks import FaceLandmarks
from protocol.evidence import EvidenceKind, EvidenceResult
from protocol.policy import PulsePolicy

MINIMUM_RATE = 12.0
"""Frames per second. Source: a rate of 3 Hz with its first harmonic needs 12 samples a second (Nyquist)."""
_SIGNATURE = np.array([0.33, 0.77, 0.53])
"""Relative strength of the pulse in R, G, B. Source: de Haan and van Leest 2014, for white light."""
_LEAST_VARIANCE = 1e-16
"""Relative variance below which nothing but rounding is seen."""
_SMALLEST_PX = 8.0
"""Distance between the eyes below which a face has no skin to speak of."""
_RIDGE = 1e-3
"""Part of the mean variance that is added to each channel, so that colours that always change together can be told apart."""
_LEAST_WINDOW = 0.9
"""Part of the window that must have been seen; the rest is what a repeated stage begins late by."""
_LONGEST_GAP_S = 0.5
"""Between two frames; over a longer one interpolation would invent half a heartbeat."""
_MOST_FRAMES = 1800
_NEIGHBOURHOOD_HZ = 0.1
"""Half width of the band around rate and harmonic that counts as signal; widened to one line of the spectrum in short windows."""


class PulseRecorder:
    """Collects the mean colour of the skin while the subject is watched at rest under constant light."""

    def __init__(self) -> None:
        self._times: deque[int] = deque(maxlen=_MOST_FRAMES)
        self._colours: deque[NDArray[np.float64]] = deque(maxlen=_MOST_FRAMES)
        self._middles: deque[NDArray[np.float64]] = deque(maxlen=_MOST_FRAMES)
        self._cutter: PatchCutter | None = None

    def observe(self, frame: Frame, landmarks: FaceLandmarks) -> None:
        """Take in one frame of the subject; its pixels are not kept."""
        if not np.isfinite(landmarks.points).all() or landmarks.interocular_px < _SMALLEST_PX:
            return
        if self._cutter is None:
            height, width = frame.pixels.shape[:2]
            self._cutter = PatchCutter(landmarks, (height, width))
        colour = self._cutter.colour(frame.pixels, landmarks)
        if colour is None or (self._times and frame.monotonic_ns <= self._times[-1]):
            return
        right, left = landmarks.eye_centres
        self._times.append(frame.monotonic_ns)
        self._colours.append(colour)
        self._middles.append(np.array([*((right + left) / 2), landmarks.interocular_px], np.float64))

    def forget(self) -> None:
        """Drop everything."""
        self._times.clear()
        self._colours.clear()
        self._middles.clear()
        self._cutter = None

    def assess(self, rules: PulsePolicy | None) -> EvidenceResult:
        """Judge the last `window_s` of what was seen.

        Returns:
            The score is the signal-to-noise ratio of the pulse in dB, larger = more surely a pulse. Passed with `pulse`, failed with
            `no_pulse`. Not run with `not_in_policy`, `too_short`, `frame_rate` or `moved`.
        """
        write = Writer(EvidenceKind.PULSE)
        if rules is None:
            return write.not_run("not_in_policy")
        times = np.array(self._times, np.float64) / 1e9
        inside = times >= (times[-1] - rules.window_s if len(times) else 0.0)
        times = times[inside]
        span = float(times[-1] - times[0]) if len(times) > 1 else 0.0
        rate = (len(times) - 1) / span if span > 0 else 0.0
        measures = {"window_s": span, "frame_rate": rate}
        if span < _LEAST_WINDOW * rules.window_s:
            return write.not_run("too_short", measures)
        if rate < MINIMUM_RATE or float(np.diff(times).max()) > _LONGEST_GAP_S:
            return write.not_run("frame_rate", measures)
        middles = np.array(self._middles)[inside]
        motion = float(np.ptp(middles[:, :2], axis=0).max() / np.median(middles[:, 2]))
        measures["motion"] = motion
        if not motion <= rules.max_motion:
            return write.not_run("moved", measures)
        even = np.arange(times[0], times[-1], 1.0 / rate)
        colours = np.array(self._colours)[inside]
        resampled = np.column_stack([np.interp(even, times, colours[:, channel]) for channel in range(3)])
        score = pulse_snr_db(
            blood_volume_pulse(resampled),
            rate,
            band_hz=(rules.min_rate_bpm / 60.0, rules.max_rate_bpm / 60.0),
        )
        return write.judged(score, rules.min_snr_db, reasons=("pulse", "no_pulse"), measures=measures)


def blood_volume_pulse(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the pulse signal of a series of colours.

    Args:
        colours: float64 (N, 3), mean R, G, B of the skin, linear, at even times.

    Returns:
        float64 (N,), relative change; constant colours give zeros.

    Source: de Haan and van Leest: Improved motion robustness of remote-PPG by using the blood volume pulse signature, Physiological
    Measurement 35(9), 2014: of all mixtures of the normalised colours the one in whose changes each colour has the part that blood
    gives it, which is the signature divided by the colours' covariance. Here over the whole window, free of slow change (a parabola).
    """
    normal = colours / np.maximum(colours.mean(axis=0), 1e-9) - 1.0
    slow = np.vander(np.linspace(-1.0, 1.0, len(normal)), 3)
    normal = normal - slow @ np.linalg.lstsq(slow, normal, rcond=None)[0]
    covariance = normal.T @ normal / len(normal)
    variance = float(np.trace(covariance)) / 3
    if variance < _LEAST_VARIANCE:
        return np.zeros(len(normal))
    mixture = np.linalg.solve(covariance + _RIDGE * variance * np.eye(3), _SIGNATURE)
    return np.asarray(normal @ (mixture / np.linalg.norm(mixture)), np.float64)


def pulse_snr_db(signal: NDArray[np.float64], rate: float, *, band_hz: tuple[float, float]) -> float:
    """Return the signal-to-noise ratio of the strongest rate in a band.

    Energy around the rate and its first harmonic against the rest of the band and of its first harmonics.

    Args:
        signal: float64 (N,) at even times.
        rate: samples per second.
        band_hz: the lowest and highest pulse rate.

    Returns:
        Decibels; NaN for a signal without any energy.

    Source: de Haan and Jeanne: Robust Pulse Rate From Chrominance-Based rPPG, IEEE Trans. Biomed. Eng. 60(10), 2013. There the true
    rate is known from a sensor on the finger; here it is the strongest line, so noise alone has a higher ratio than theirs and the
    threshold comes from measuring that.
    """
    low, high = band_hz
    windowed = (signal - signal.mean()) * np.hanning(len(signal))
    padded = 1 << max(math.ceil(math.log2(max(len(signal), 2))) + 2, 10)
    energy = np.abs(np.fft.rfft(windowed, padded)) ** 2
    frequency = np.fft.rfftfreq(padded, 1.0 / rate)
    inside = (frequency >= low) & (frequency <= high)
    if not inside.any() or not float(energy[inside].sum()) > 1e-20:
        return math.nan
    peak = float(frequency[inside][np.argmax(energy[inside])])
    width = max(_NEIGHBOURHOOD_HZ, rate / len(signal))
    judged = (frequency >= low) & (frequency <= min(2.0 * high, rate / 2.0, 4.0))
    near = (np.abs(frequency - peak) <= width) | (np.abs(frequency - 2.0 * peak) <= width)
    noise = float(energy[judged & ~near].sum())
    return 10.0 * math.log10(float(energy[judged & near].sum()) / max(noise, 1e-20))
