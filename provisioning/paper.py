"""What all sheets of paper have in common: a font with Chinese characters, rows of words, and pages as one PDF."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioning.errors import FileUnusable

if TYPE_CHECKING:
    from PIL import Image, ImageFont

FONTS: Final = (
    Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"),
    Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
    Path("/usr/share/fonts/truetype/noto/NotoSansCJK-Regular.ttc"),
    Path("/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf"),
    Path("/System/Library/Fonts/PingFang.ttc"),
    Path("/System/Library/Fonts/STHeiti Light.ttc"),
    Path("C:/Windows/Fonts/msyh.ttc"),
    Path("C:/Windows/Fonts/simhei.ttf"),
)
"""Where systems keep a font with Chinese characters; Debian in fonts-wqy-microhei, fonts-noto-cjk and fonts-droid-fallback."""


def chinese_font() -> Path | None:
    """Return a font with Chinese characters that is installed; None where there is none."""
    return next((path for path in FONTS if path.is_file()), None)


def face_of(font: Path, size: int) -> ImageFont.FreeTypeFont:
    """Return a font at a size in pixels.

    Raises:
        FileUnusable: if it cannot be used.
    """
    from PIL import ImageFont

    try:
        return ImageFont.truetype(str(font), size)
    except (OSError, ImportError) as error:
        raise FileUnusable(f"{font}: no font that can be used") from error


def rows_of(words: str, face: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Break words into rows of a width in pixels: at blanks, and where there are none, as in Chinese, anywhere."""
    rows, row = [], ""
    for word in _words(words):
        if row and face.getlength((row + word).rstrip()) > width:
            rows.append(row.rstrip())
            row = ""
        row += word
        while face.getlength(row.rstrip()) > width and len(row) > 1:
            fits = next(n for n in range(len(row) - 1, 0, -1) if n == 1 or face.getlength(row[:n]) <= width)
            rows.append(row[:fits])
            row = row[fits:]
    return [*rows, row.rstrip()]


def as_pdf(pages: Sequence[Image.Image], dpi: int, title: str) -> bytes:
    """Return pages as one PDF."""
    file = io.BytesIO()
    pages[0].save(file, "PDF", resolution=float(dpi), save_all=True, append_images=list(pages[1:]), title=title)
    return file.getvalue()


def _words(text: str) -> Iterator[str]:
    word = ""
    for character, following in zip(text, [*text[1:], ""], strict=True):
        word += character
        # Chinese breaks after any character, all else after blanks; but what closes a sentence or bracket begins no row.
        if (character == " " or character >= "\u2e80") and (not following or following not in "，。；：、）"):
            yield word
            word = ""
    if word:
        yield word
