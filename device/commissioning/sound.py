"""A sweep of tones for the loudspeaker, and whether a recording has it in it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

RATE_HZ: Final = 16_000
SECONDS: Final = 1.0
_LOWEST_HZ, _HIGHEST_HZ = 500.0, 2500.0
"""What every small loudspeaker and microphone passes, and old ears hear."""
_LEVEL: Final = 0.5


def sweep() -> NDArray[np.int16]:
    """Return the sweep, int16 (N,), at `RATE_HZ`; it fades in and out, so that nothing clicks."""
    t = np.arange(round(RATE_HZ * SECONDS)) / RATE_HZ
    phase = 2 * np.pi * (_LOWEST_HZ * t + (_HIGHEST_HZ - _LOWEST_HZ) / (2 * SECONDS) * t**2)
    fade = np.minimum(1, np.minimum(t, SECONDS - t) / 0.02)
    return np.asarray(np.rint(_LEVEL * 32767 * fade * np.sin(phase)), np.int16)


def found_in(recording: NDArray[np.int16]) -> float:
    """Return how far the sweep stands out of a recording: the highest correlation over the root mean square of all.

    In noise alone of some seconds that is 4 to 5, by the tail of the normal distribution; the sweep played into a quiet room, 50 and more.

    Args:
        recording: int16 (N,), at `RATE_HZ`.
    """
    wanted = sweep().astype(np.float64)
    if len(recording) < len(wanted):
        return 0.0
    heard = recording.astype(np.float64)
    heard -= heard.mean()
    size = len(heard) + len(wanted)
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size))
    # White: a hum that is always there must not outweigh the sweep.
    whitened = spectrum / np.maximum(np.abs(np.fft.rfft(heard, size)), 1e-9)
    correlation = np.fft.irfft(whitened, size)[: len(heard) - len(wanted) + 1]
    spread = float(np.sqrt(np.mean(correlation**2)))
    return float(correlation.max()) / spread if spread > 0 else 0.0
