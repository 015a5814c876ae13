"""A slip as pictures: the QR code for the screen, the code with words for paper or a file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import segno

from device.errors import SettingsInvalid

if TYPE_CHECKING:
    from PIL import Image, ImageFont

QUIET_MODULES = 4
"""White modules around a QR code. Source: segno's documentation, after ISO/IEC 18004."""
_LEVEL = "m"
"""A slip is folded and gets wet; level M restores 15 % of the code."""
_FONT_PX = 26
"""Height of a Chinese character on paper: 3.3 mm at 8 dots a millimetre, somewhat above the 24 dots of a printer's own."""
_LINE_PX = 36
_MARGIN_PX = 8


def code_svg(content: str) -> str:
    """Return the QR code as an SVG picture without a size of its own, black on white, quiet zone included."""
    file = io.BytesIO()
    # With its namespace: a browser shows no picture without one.
    _code(content).save(file, kind="svg", border=QUIET_MODULES, light="white", omitsize=True, xmldecl=False, nl=False)
    return file.getvalue().decode()


def code_png(content: str, *, scale: int = 8) -> bytes:
    """Return the QR code as PNG, `scale` pixels a module."""
    file = io.BytesIO()
    _code(content).save(file, kind="png", scale=scale, border=QUIET_MODULES)
    return file.getvalue()


def code_picture(content: str, width_px: int) -> Image.Image:
    """Return the QR code as a picture of 1 bit a pixel, as wide as `width_px` allows with whole pixels a module, centred.

    Raises:
        ValueError: if it does not fit.
    """
    from PIL import Image

    code = _code(content)
    scale = width_px // code.symbol_size(border=QUIET_MODULES)[0]
    if scale == 0:
        raise ValueError(f"a code of {code.designator} does not fit into {width_px} pixels")
    file = io.BytesIO()
    code.save(file, kind="png", scale=scale, border=QUIET_MODULES)
    drawn = Image.open(file).convert("1")
    picture = Image.new("1", (width_px, drawn.height), 1)
    picture.paste(drawn, ((width_px - drawn.width) // 2, 0))
    return picture


def words_picture(lines: Sequence[str], width_px: int, font: Path) -> Image.Image:
    """Return lines as a picture of 1 bit a pixel, broken where they are too long.

    Args:
        lines: the lines.
        width_px: width of the picture.
        font: font file (TrueType or OpenType) with the characters.

    Raises:
        SettingsInvalid: if the font cannot be used.
    """
    from PIL import Image, ImageDraw, ImageFont

    try:
        face = ImageFont.truetype(str(font), _FONT_PX)
    except OSError as error:
        raise SettingsInvalid([f"printer.font: {font.name} is no font that can be used"]) from error
    rows = [row for line in lines for row in _broken(line, face, width_px - 2 * _MARGIN_PX)]
    picture = Image.new("1", (width_px, _LINE_PX * len(rows) + _MARGIN_PX), 1)
    draw = ImageDraw.Draw(picture)
    for number, row in enumerate(rows):
        draw.text((_MARGIN_PX, number * _LINE_PX), row, font=face, fill=0)
    return picture


def sheet_png(lines: Sequence[str], content: str, *, width_px: int, font: Path | None) -> bytes:
    """Return a slip as PNG: the lines above the code; without a font, the code alone.

    Raises:
        SettingsInvalid: if the font cannot be used.
    """
    from PIL import Image

    code = code_picture(content, width_px)
    if font is None:
        picture = code
    else:
        words = words_picture(lines, width_px, font)
        picture = Image.new("1", (width_px, words.height + code.height), 1)
        picture.paste(words, (0, 0))
        picture.paste(code, (0, words.height))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def code_in_text(content: str) -> str:
    """Return a QR code as lines of text for a terminal window, at the lowest error correction: it is read off a screen."""
    drawn = io.StringIO()
    segno.make(content, error="l", micro=False).terminal(drawn, compact=True, border=2)
    return drawn.getvalue()


def _code(content: str) -> segno.QRCode:
    # An address and the slip behind it are separate parts of the code: only the slip has the characters of the dense mode.
    before, mark, behind = content.partition("#")
    parts: list[str] = [before + mark, behind] if mark else [content]
    return segno.make_qr(parts, error=_LEVEL)  # type: ignore[arg-type]  # the encoder takes parts; its annotation does not say so


def _broken(line: str, face: ImageFont.FreeTypeFont, width_px: int) -> list[str]:
    rows, row = [], ""
    for character in line:
        if row and face.getlength(row + character) > width_px:
            rows.append(row)
            row = ""
        row += character
    return [*rows, row]
