"""Marks a picture with who opened it and when, so that a photograph of the screen or a copy says whose it is."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

_LONGEST_SIDE = 1600
"""Pixels; more than any screen of an office shows of two pictures side by side."""
_OPACITY = 110
_ANGLE = 24
_QUALITY = 88
FONTS = (
    Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"),
    Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
    Path("/usr/share/fonts/truetype/noto/NotoSansCJK-Regular.ttc"),
)
"""Where Debian keeps fonts with Chinese characters (packages fonts-wqy-microhei and fonts-noto-cjk)."""


def chinese_font() -> str | None:
    """Return a font file with Chinese characters; None where none is installed."""
    return next((str(path) for path in FONTS if path.is_file()), None)


def marked(picture: bytes, words: str, *, font: str | None = None) -> bytes:
    """Return a JPEG as a JPEG with words across all of it; what it said beside its pixels (place, camera) is not in it.

    Args:
        picture: the JPEG.
        words: who and when.
        font: file of a font that has the characters of the name; None for the one that comes with Pillow, which has Latin ones.

    Raises:
        OSError: if it is no picture, or the font cannot be read.
    """
    with Image.open(io.BytesIO(picture), formats=("JPEG",)) as opened:
        shown = ImageOps.exif_transpose(opened).convert("RGB")
    shown.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    size = max(16, max(shown.size) // 32)
    face = ImageFont.load_default(size) if font is None else ImageFont.truetype(font, size)
    layer = Image.new("RGBA", (2 * max(shown.size), 2 * max(shown.size)))
    draw = ImageDraw.Draw(layer)
    width = int(draw.textlength(words, font=face)) + 2 * size
    for row, top in enumerate(range(0, layer.height, 5 * size)):
        for left in range(-(row % 2) * width // 2, layer.width, width):
            draw.text(
                (left, top),
                words,
                font=face,
                fill=(255, 255, 255, _OPACITY),
                stroke_width=1,
                stroke_fill=(0, 0, 0, _OPACITY),
            )
    turned = layer.rotate(_ANGLE)
    left, top = (turned.width - shown.width) // 2, (turned.height - shown.height) // 2
    part = turned.crop((left, top, left + shown.width, top + shown.height))
    shown.paste(part, (0, 0), part)
    out = io.BytesIO()
    shown.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
