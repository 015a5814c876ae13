"""The blood-volume pulse: with every heartbeat the skin's colour changes by a few parts in a thousand.

The heart rate itself is nobody's business here: it is neither returned nor written down.
"""

from __future__ import annotations

import math
from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from device.vision.evidence.results import Writer
from device.vision.frame import Frame
from device.vision.landmarks import FaceLandmarks
from protocol.evidence import EvidenceKind, EvidenceResult
from protocol.policy import PulsePolicy

MINIMUM_RATE = 12.0
"""Frames per second. Source: a rate of 3 Hz with its first harmonic needs 12 samples a second (Nyquist)."""
PROJECTION_WINDOW_S = 1.6
"""Source: Wang et al. 2017, Algorithm 1: 32 frames at 20 frames/s."""
MOST_MOTION = 0.35
"""Range of the eyes' middle within the window, in distances between the eyes, beyond which what is measured is motion."""
_PATCHES = (
    (109, 10, 338, 337, 151, 108),
    (50, 101, 36, 205, 187, 123),
    (280, 330, 266, 425, 411, 352),
)
"""Forehead and both cheeks: skin without brows, lids, lips and beard line. Landmark numbers, around each patch."""
_MOST_FRAMES = 1800
_NEIGHBOURHOOD_HZ = 0.1
"""Half width of the band around rate and harmonic that counts as signal; widened to one line of the spectrum in short windows."""
_SATURATED = 250


class PulseRecorder:
    """Collects the mean colour of skin patches while the subject is watched at rest under constant light."""

    def __init__(self) -> None:
        self._times: deque[int] = deque(maxlen=_MOST_FRAMES)
        self._colours: deque[NDArray[np.float64]] = deque(maxlen=_MOST_FRAMES)
        self._middles: deque[NDArray[np.float64]] = deque(maxlen=_MOST_FRAMES)

    def observe(self, frame: Frame, landmarks: FaceLandmarks) -> None:
        """Take in one frame of the subject; its pixels are not kept."""
        colour = _skin_colour(frame, landmarks)
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
        if span < 0.9 * rules.window_s:
            return write.not_run("too_short", measures)
        if rate < MINIMUM_RATE or float(np.diff(times).max()) > 0.5:
            return write.not_run("frame_rate", measures)
        middles = np.array(self._middles)[inside]
        motion = float(np.ptp(middles[:, :2], axis=0).max() / np.median(middles[:, 2]))
        measures["motion"] = motion
        if not motion <= MOST_MOTION:
            return write.not_run("moved", measures)
        even = np.arange(times[0], times[-1], 1.0 / rate)
        colours = np.array(self._colours)[inside]
        resampled = np.column_stack([np.interp(even, times, colours[:, channel]) for channel in range(3)])
        score = pulse_snr_db(
            plane_orthogonal_to_skin(resampled, rate),
            rate,
            band_hz=(rules.min_rate_bpm / 60.0, rules.max_rate_bpm / 60.0),
        )
        return write.judged(score, rules.min_snr_db, reasons=("pulse", "no_pulse"), measures=measures)


def plane_orthogonal_to_skin(colours: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Return the pulse signal of a series of colours by POS.

    Args:
        colours: float64 (N, 3), mean R, G, B of the skin, at even times.
        rate: frames per second.

    Returns:
        float64 (N,), zero mean in each window; constant colours give zeros.

    Source: Wang, den Brinker, Stuijk, de Haan: Algorithmic Principles of Remote PPG, IEEE Trans. Biomed. Eng. 64(7), 2017,
    Algorithm 1: normalise each window by its mean, project on the plane orthogonal to the skin's tone, tune by the ratio of
    standard deviations, overlap-add.
    """
    length = math.ceil(PROJECTION_WINDOW_S * rate)
    signal = np.zeros(len(colours))
    for start in range(len(colours) - length + 1):
        window = colours[start : start + length]
        normal = window / np.maximum(window.mean(axis=0), 1e-9)
        first = normal[:, 1] - normal[:, 2]
        second = normal[:, 1] + normal[:, 2] - 2.0 * normal[:, 0]
        spread = float(second.std())
        pulse = first + (float(first.std()) / spread if spread > 1e-12 else 0.0) * second
        signal[start : start + length] += pulse - pulse.mean()
    return signal


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


def _skin_colour(frame: Frame, landmarks: FaceLandmarks) -> NDArray[np.float64] | None:
    """Return the mean colour of the skin patches, None where they are out of the picture or saturated."""
    height, width = frame.pixels.shape[:2]
    polygons = [landmarks.points[list(patch), :2] for patch in _PATCHES]
    every = np.concatenate(polygons)
    if not np.isfinite(every).all():
        return None
    low, high = np.floor(every.min(axis=0)).astype(int), np.ceil(every.max(axis=0)).astype(int) + 1
    if (low < 0).any() or high[0] > width or high[1] > height:
        return None
    part = frame.pixels[low[1] : high[1], low[0] : high[0]]
    mask = np.zeros(part.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(polygon - low).astype(np.int32) for polygon in polygons], (1,))
    skin = part[mask > 0]
    usable = skin[skin.max(axis=1) < _SATURATED]
    if len(usable) < 50 or len(usable) < 0.8 * len(skin):
        return None
    return np.asarray(usable.mean(axis=0), np.float64)
