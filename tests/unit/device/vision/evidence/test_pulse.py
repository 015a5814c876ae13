from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from device.vision.evidence.pulse import PulseRecorder, blood_volume_pulse, pulse_snr_db
from device.vision.frame import Frame
from device.vision.landmarks import FaceLandmarks
from protocol.evidence import EvidenceResult, EvidenceStatus
from protocol.policy import PulsePolicy

Array = NDArray[np.float64]
Place = Callable[..., FaceLandmarks]
RULES = PulsePolicy(window_s=8, min_snr_db=2.0, max_motion=0.35, min_rate_bpm=42, max_rate_bpm=180)
BAND = (0.7, 3.0)
SKIN, BLOOD = np.array([150.0, 110.0, 90.0]), np.array([0.33, 0.77, 0.53])
"""Mean colour of skin, and the relative strength of the pulse in it. Source: de Haan and van Leest, Improved motion robustness of
remote-PPG by using the blood volume pulse signature, 2014."""


def colours(
    *,
    bpm: float,
    amplitude: float,
    rate: float,
    seconds: float = 8.0,
    noise: float = 0.05,
    motion: float = 0.0,
    seed: int = 1,
) -> Array:
    """Return the colour of skin over time (N, 3)."""
    rng = np.random.default_rng(seed)
    at_s = np.arange(int(rate * seconds)) / rate
    phase = 2 * np.pi * bpm / 60 * at_s
    pulse = np.sin(phase) + 0.3 * np.sin(2 * phase)
    shade = motion * np.cumsum(rng.normal(size=len(at_s)))
    light = 1 + amplitude * np.outer(pulse, BLOOD) + shade[:, None]
    return np.asarray(SKIN * light + rng.normal(0, noise, (len(at_s), 3)))


def snr_db(series: Array, rate: float) -> float:
    return pulse_snr_db(blood_volume_pulse(series), rate, band_hz=BAND)


@pytest.mark.parametrize("rate", [15.0, 30.0])
@pytest.mark.parametrize("bpm", [48.0, 72.0, 110.0])
def test_a_pulse_is_far_above_none(rate: float, bpm: float) -> None:
    assert snr_db(colours(bpm=bpm, amplitude=0.005, rate=rate), rate) > 2.0
    assert snr_db(colours(bpm=bpm, amplitude=0.0, rate=rate), rate) < 0.0


def test_the_brightness_of_a_moving_face_is_no_pulse() -> None:
    shade = colours(bpm=72, amplitude=0.0, rate=30)
    shade *= 1 + 0.01 * np.sin(2 * np.pi * 1.2 * np.arange(len(shade)) / 30)[:, None]
    assert snr_db(shade, 30) < 2.0


def test_motion_does_not_hide_a_pulse() -> None:
    assert snr_db(colours(bpm=72, amplitude=0.005, rate=30, motion=0.001), 30) > 2.0


def test_the_noise_of_a_hundred_faces_without_a_pulse_rarely_looks_like_one() -> None:
    above = sum(snr_db(colours(bpm=60, amplitude=0, rate=15, seed=seed), 15) >= RULES.min_snr_db for seed in range(100))
    assert above <= 1


def test_a_constant_colour_has_no_signal() -> None:
    series = np.tile(SKIN, (200, 1))
    assert not blood_volume_pulse(series).any()
    assert math.isnan(snr_db(series, 25.0))


def watch(series: Array, mesh: Array, place: Place, *, rate: float = 15.0, step_px: float = 0.0) -> PulseRecorder:
    """Show a face of these colours to a recorder."""
    recorder = PulseRecorder()
    rng = np.random.default_rng(4)
    for index, colour in enumerate(series):
        # Dither stands for the sensor's noise, without which eight bits hold no pulse.
        pixels = np.floor(np.broadcast_to(colour, (96, 96, 3)) + rng.random((96, 96, 3))).clip(0, 255).astype(np.uint8)
        landmarks = place(mesh, offset=(16.0 + step_px * (index % 10), 12.0))
        recorder.observe(Frame(pixels, index, round(index * 1e9 / rate)), landmarks)
    return recorder


def judged(series: Array, mesh: Array, place: Place, *, rate: float = 15.0, step_px: float = 0.0) -> EvidenceResult:
    return watch(series, mesh, place, rate=rate, step_px=step_px).assess(RULES)


def test_a_beating_heart_passes(face_mesh: Array, place_landmarks: Place) -> None:
    result = judged(colours(bpm=66, amplitude=0.008, rate=15, seconds=9), face_mesh, place_landmarks)
    assert (result.status, result.reason) == (EvidenceStatus.PASSED, "pulse")
    assert "rate_bpm" not in result.measures


def test_a_picture_has_no_pulse(face_mesh: Array, place_landmarks: Place) -> None:
    result = judged(colours(bpm=66, amplitude=0.0, rate=15, seconds=9), face_mesh, place_landmarks)
    assert (result.status, result.reason) == (EvidenceStatus.FAILED, "no_pulse")


@pytest.mark.parametrize(
    ("rate", "seconds", "step_px", "reason"),
    [
        (10.0, 10.0, 0.0, "frame_rate"),
        (15.0, 5.0, 0.0, "too_short"),
        (15.0, 9.0, 1.5, "moved"),
        (15.0, 0.0, 0.0, "too_short"),
    ],
)
def test_what_cannot_be_judged_is_not(
    rate: float, seconds: float, step_px: float, reason: str, face_mesh: Array, place_landmarks: Place
) -> None:
    series = colours(bpm=66, amplitude=0.008, rate=rate, seconds=seconds)
    result = judged(series, face_mesh, place_landmarks, rate=rate, step_px=step_px)
    assert (result.status, result.reason, result.score) == (EvidenceStatus.NOT_RUN, reason, None)


def test_saturated_skin_is_left_out(face_mesh: Array, place_landmarks: Place) -> None:
    series = np.full((150, 3), 254.0)
    assert judged(series, face_mesh, place_landmarks).reason == "too_short"


def test_forgetting_leaves_nothing(face_mesh: Array, place_landmarks: Place) -> None:
    recorder = watch(colours(bpm=66, amplitude=0.008, rate=15, seconds=9), face_mesh, place_landmarks)
    recorder.forget()
    assert recorder.assess(RULES).reason == "too_short"
    assert recorder.assess(None).reason == "not_in_policy"
