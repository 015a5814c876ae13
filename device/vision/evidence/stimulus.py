"""What the terminal did to the scene and the camera during a code, and when: the light it set, the exposure it asked for.

The vision worker writes it down as it gives the commands; the evidence reads it when it judges what the frames showed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
"""int64 (N,): monotonic nanoseconds, growing."""


class StimulusLog:
    """Commands with their times. Between two commands the first one holds; a fade is a series of small steps."""

    def __init__(self) -> None:
        self._light: list[tuple[int, float, float]] = []
        self._exposure: list[tuple[int, float]] = []

    def light_set(self, left: float, right: float, *, monotonic_ns: int) -> None:
        """Note that both halves of the ring were set.

        Args:
            left: brightness of the half on the subject's left, 0..1.
            right: brightness of the half on the subject's right, 0..1.
            monotonic_ns: when, on the clock of the frames; must not run backwards.
        """
        self._light.append((monotonic_ns, left, right))

    def exposure_set(self, factor: float, *, monotonic_ns: int) -> None:
        """Note that the exposure was locked with this factor on it."""
        self._exposure.append((monotonic_ns, factor))

    def exposure_released(self, *, monotonic_ns: int) -> None:
        """Note that the exposure was left to the camera again."""
        self._exposure.append((monotonic_ns, float("nan")))

    def forget(self) -> None:
        """Be empty again."""
        self._light.clear()
        self._exposure.clear()

    @property
    def span_ns(self) -> tuple[int, int]:
        """When the first and the last command of light or exposure was given; both 0 if there was none."""
        times = [at for at, *_ in (*self._light[:1], *self._light[-1:])]
        times += [at for at, _ in (*self._exposure[:1], *self._exposure[-1:])]
        return (min(times), max(times)) if times else (0, 0)

    def light_at(self, times: Times) -> NDArray[np.float64]:
        """Return the light at some times: float64 (N, 2), left and right, 0..1, NaN before the first command."""
        return _held([(at, (left, right)) for at, left, right in self._light], times, 2)

    def exposure_at(self, times: Times) -> NDArray[np.float64]:
        """Return the factor asked for at some times: float64 (N,), NaN while the exposure is not locked."""
        return _held([(at, (factor,)) for at, factor in self._exposure], times, 1)[:, 0]

    def light_moves(self, begin: Times, end: Times) -> NDArray[np.float64]:
        """Return by how much the brighter moving half changes within each span [begin, end]: float64 (N,), 0..1."""
        at = np.array([entry[0] for entry in self._light], np.int64)
        levels = np.array([entry[1:] for entry in self._light], np.float64).reshape(-1, 2)
        firsts, lasts = np.searchsorted(at, begin, "right").tolist(), np.searchsorted(at, end, "right").tolist()
        # Frames come more often than levels, so most spans hold the same levels as the one before.
        known: dict[tuple[int, int], float] = {}
        for first, last in set(zip(firsts, lasts, strict=True)):
            span = levels[max(first - 1, 0) : last]
            known[first, last] = float(np.ptp(span, axis=0).max()) if len(span) else 0.0
        return np.array([known[place] for place in zip(firsts, lasts, strict=True)], np.float64)


def _held(entries: list[tuple[int, tuple[float, ...]]], times: Times, width: int) -> NDArray[np.float64]:
    """Return the values that hold at some times, NaN before the first."""
    at = np.array([entry[0] for entry in entries], np.int64)
    values = np.vstack(
        [np.full((1, width), np.nan), np.array([entry[1] for entry in entries], np.float64).reshape(-1, width)]
    )
    return np.asarray(values[np.searchsorted(at, times, "right")], np.float64)
