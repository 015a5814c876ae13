"""The sweep in recordings of rooms."""

from __future__ import annotations

import numpy as np
import pytest

from device.commissioning.judging import judge_loop
from device.commissioning.sound import RATE_HZ, found_in, sweep

pytestmark = pytest.mark.provisioning


def room(level: float, *, seed: int = 1, hum: float = 2000.0, at: int = 9000) -> np.ndarray:
    """Three seconds with noise, a hum of 50 Hz, and the sweep at a level."""
    samples = 3 * RATE_HZ
    sound = np.random.default_rng(seed).normal(0, 300, samples)
    sound += hum * np.sin(2 * np.pi * 50 * np.arange(samples) / RATE_HZ)
    sound[at : at + len(sweep())] += level * sweep()
    return np.clip(sound, -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("level", [0.01, 0.1, 0.9])
def test_the_sweep_is_heard_in_noise_and_hum(level: float) -> None:
    found = judge_loop(found_in(room(level)))
    assert found is not None
    assert (found.status, found.reason) == ("passed", "recorded")


def test_a_dead_loudspeaker_is_not_heard() -> None:
    assert all(judge_loop(found_in(room(0.0, seed=seed))) is None for seed in range(20))


def test_another_tone_is_not_the_sweep() -> None:
    tone = (8000 * np.sin(2 * np.pi * 1000 * np.arange(3 * RATE_HZ) / RATE_HZ)).astype(np.int16)
    assert judge_loop(found_in(tone + room(0.0))) is None


@pytest.mark.parametrize("recording", [np.zeros(0, np.int16), np.zeros(100, np.int16), np.zeros(3 * RATE_HZ, np.int16)])
def test_silence_and_short_recordings_are_nothing(recording: np.ndarray) -> None:
    assert found_in(recording) == 0.0
