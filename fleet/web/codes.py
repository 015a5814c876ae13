"""QR codes on pages."""

from __future__ import annotations

import segno


def qr_of(content: str) -> str:
    """Return a QR code as an address that holds its picture, for an `img`."""
    return segno.make(content, error="m", micro=False).svg_data_uri(scale=5, border=4, light="white")
