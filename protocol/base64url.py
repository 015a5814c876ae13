"""Base64url without padding, as JOSE and every secret on the wire are written. Source: RFC 4648, section 5; RFC 7515, section 2."""

from __future__ import annotations

import base64


def encode(data: bytes) -> str:
    """Return the text for bytes."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes a text stands for.

    Raises:
        ValueError: if it stands for none.
    """
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
