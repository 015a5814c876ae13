"""Repeatable randomness, so that a demonstration plays the same story every time. Never composed with real hardware."""

from __future__ import annotations

import hashlib


class SeededEntropy:
    """SHAKE-256 of a seed and a counter; everybody who knows the seed knows what comes."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._counter = 0

    def token(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        self._counter += 1
        return hashlib.shake_256(f"lifecert simulated {self._seed} {self._counter}".encode()).digest(size)
