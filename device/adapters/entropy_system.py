"""Randomness from the operating system."""

from __future__ import annotations

import secrets


class SystemEntropy:
    """See `device.ports.Entropy`."""

    def token(self, size: int) -> bytes:
        """Return `size` unpredictable bytes."""
        return secrets.token_bytes(size)
