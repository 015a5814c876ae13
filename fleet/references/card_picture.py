"""The QR code of a reference card."""

from __future__ import annotations

import io
from pathlib import Path

import segno

from fleet.tables.writing import write_new

_SCALE_PX = 8
"""Pixels for a module: 712 pixels for a code of 81 modules with its border, which prints at 300 dpi as a square of 60 mm."""
_BORDER = 4
"""Modules of quiet zone on each side, as `segno` has for QR codes by default."""


def card_code(text: str) -> segno.QRCode:
    """Return the code: error correction level M, which reads with some 15 % of the code damaged; a card is folded and rubbed."""
    return segno.make_qr(text, error="m", boost_error=False)


def save_code(code: segno.QRCode, path: Path) -> None:
    """Write the code as PNG, readable by its owner only; an existing file is never replaced.

    Raises:
        Refused: if it cannot be written.
    """
    picture = io.BytesIO()
    code.save(picture, kind="png", scale=_SCALE_PX, border=_BORDER)
    write_new(path, picture.getvalue())
