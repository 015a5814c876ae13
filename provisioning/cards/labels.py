"""Labels of terminals and the technician's sheet of claims, as pages to be printed: A4, black and white, Chinese and English."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import segno
from PIL import Image, ImageChops, ImageDraw, ImageFont

from protocol.provisioning import ProvisioningClaim, shown
from protocol.trust import root_fingerprint, root_in
from provisioning.errors import FileUnusable
from provisioning.paper import chinese_font, face_of, rows_of

DPI: Final = 400
_PAGE_MM: Final = (210.0, 297.0)
_LABEL_MM: Final = (70.0, 37.125)
"""Three by eight on a sheet: the common one of 24 labels."""
_CLAIM_MM: Final = (105.0, 148.5)
_QUIET: Final = 4
"""White modules around a code. Source: segno's documentation, after ISO/IEC 18004."""
_Thing = TypeVar("_Thing")
_PLATE: Final = "LIFECERT-TERMINAL:"


@dataclass(frozen=True, slots=True)
class Plate:
    """One terminal's label."""

    fleet_id: str
    terminal_id: str
    place: str = ""

    def text(self) -> str:
        """Return what its code says: which terminal this is, and nothing secret."""
        return f"{_PLATE}{self.fleet_id}/{self.terminal_id}"


@dataclass(frozen=True, slots=True)
class ClaimPage:
    """One terminal's claim, for the technician."""

    claim: ProvisioningClaim
    terminal_id: str
    timezone: str
    """Where it will stand."""
    place: str = ""


def font_for_labels(named: Path | None) -> Path:
    """Return the font to use: the named one, else the first that is there.

    Raises:
        FileUnusable: if it cannot be used, has no Chinese characters, or none is there.
    """
    font = named or chinese_font()
    if font is None:
        raise FileUnusable(
            "no font with Chinese characters was found; install one (Debian: apt install fonts-wqy-microhei), or name one with --font"
        )
    face = face_of(font, 40)
    # What a font does not have it draws as the same box, whatever it is.
    if bytes(face.getmask("终")) == bytes(face.getmask("端")):
        raise FileUnusable(f"{font}: has no Chinese characters; name another one with --font")
    return font


def label_pages(plates: Sequence[Plate], font: Path) -> list[Image.Image]:
    """Return the pages of labels, 24 on each."""
    pen = _Pen(font)
    return _pages(plates, _LABEL_MM, pen.plate)


def claim_pages(claims: Sequence[ClaimPage], font: Path) -> list[Image.Image]:
    """Return the pages of claims, four on each."""
    pen = _Pen(font)
    return _pages(claims, _CLAIM_MM, pen.claim)


def _pages(
    things: Sequence[_Thing],
    size_mm: tuple[float, float],
    draw: Callable[[ImageDraw.ImageDraw, _Thing, tuple[int, int]], None],
) -> list[Image.Image]:
    columns, rows = (round(page // part) for page, part in zip(_PAGE_MM, size_mm, strict=True))
    pages: list[Image.Image] = []
    for at, thing in enumerate(things):
        place = at % (columns * rows)
        if place == 0:
            pages.append(Image.new("1", (_px(_PAGE_MM[0]), _px(_PAGE_MM[1])), 1))
        corner = (_px(place % columns * size_mm[0]), _px(place // columns * size_mm[1]))
        draw(ImageDraw.Draw(pages[-1]), thing, corner)
    return pages


def _told_in(moment: datetime, timezone: str) -> str:
    """Return a moment to the minute where the terminal will stand; the zone stands behind it, because the office may have another one."""
    local = moment.astimezone(ZoneInfo(timezone))
    offset = f"{local:%z}"
    return f"{local:%Y-%m-%d %H:%M} ({timezone}, UTC{offset[:3]}:{offset[3:5]})"


def _px(mm: float) -> int:
    return round(mm * DPI / 25.4)


class _Pen:
    """Draws with one font."""

    def __init__(self, font: Path) -> None:
        self._font = font
        self._faces: dict[int, ImageFont.FreeTypeFont] = {}
        text = (files("provisioning.cards") / "labels.toml").read_text(encoding="utf-8")
        words = tomllib.loads(text)
        self._words = {key: f"{words['zh'][key]} {words['en'][key]}" for key in words["zh"]}
        self._lines = {key: (words["zh"][key], words["en"][key]) for key in words["zh"]}

    def plate(self, page: ImageDraw.ImageDraw, plate: Plate, corner: tuple[int, int]) -> None:
        """Draw a label."""
        left, top = corner
        self._code(page, plate.text(), (left + _px(3), top + _px(5)), _px(25), error="m")
        right, width = left + _px(30), _px(_LABEL_MM[0] - 33)
        self._write(page, self._words["terminal"], (right, top + _px(5)), 2.3, width)
        self._write(page, plate.terminal_id, (right, top + _px(8)), 4.6, width, shrink=True)
        self._write(page, plate.place, (right, top + _px(14.5)), 3.2, width, most=2)
        self._write(page, f"{self._words['fleet']} {plate.fleet_id}", (right, top + _px(23)), 2.3, width)
        self._write(page, self._words["fingerprint"], (right, top + _px(26.5)), 2.3, width)
        line = top + _px(32.5)
        page.line([(right, line), (right + width, line)], fill=0, width=2)

    def claim(self, page: ImageDraw.ImageDraw, found: ClaimPage, corner: tuple[int, int]) -> None:
        """Draw a claim."""
        left, top = corner[0] + _px(8), corner[1] + _px(6)
        width = _px(_CLAIM_MM[0] - 16)
        y = top
        for line in self._lines["claim_title"]:
            y = self._write(page, line, (left, y), 3.4, width)
        y = self._write(page, f"{found.terminal_id}  {found.place}", (left, y + _px(1)), 5.0, width, most=2)
        self._code(page, found.claim.to_qr(), (left + _px(5), y + _px(1)), _px(78), error="l")
        y += _px(80)
        y = self._write(
            page,
            f"{self._words['claim_until']} {_told_in(found.claim.expires_at, found.timezone)}",
            (left, y),
            3.2,
            width,
            shrink=True,
        )
        typed = (
            ("claim_code", shown(found.claim.code)),
            ("claim_door", found.claim.url),
            ("claim_root", shown(root_fingerprint(root_in(found.claim.root)))),
        )
        for name, value in typed:
            y = self._write(page, f"{self._words[name]} {value}", (left, y), 3.2, width, shrink=True)
        for line in self._lines["claim_secret"]:
            y = self._write(page, line, (left, y), 2.8, width, most=2)
        page.rectangle([corner, (corner[0] + _px(_CLAIM_MM[0]), corner[1] + _px(_CLAIM_MM[1]))], outline=0, width=1)

    def _code(self, page: ImageDraw.ImageDraw, text: str, corner: tuple[int, int], width: int, *, error: str) -> None:
        rows = [bytes(255 * (not module) for module in row) for row in segno.make_qr(text, error=error).matrix]
        scale = width // (len(rows) + 2 * _QUIET)
        margin = (width - scale * len(rows)) // 2
        small = Image.frombytes("L", (len(rows), len(rows)), b"".join(rows)).convert("1")
        drawn = small.resize((scale * len(rows), scale * len(rows)), Image.Resampling.NEAREST)
        page.bitmap((corner[0] + margin, corner[1] + margin), ImageChops.invert(drawn), fill=0)

    def _write(
        self,
        page: ImageDraw.ImageDraw,
        text: str,
        corner: tuple[int, int],
        height_mm: float,
        width: int,
        *,
        most: int = 1,
        shrink: bool = False,
    ) -> int:
        """Write words, in lines as wide as there is room, and return where the next line begins."""
        size = _px(height_mm)
        while shrink and self._face(size).getlength(text) > width and size > _px(1.8):
            size -= 2
        face = self._face(size)
        y = corner[1]
        for line in rows_of(text, face, width)[:most]:
            page.text((corner[0], y), line, font=face, fill=0)
            y += round(size * 1.35)
        return y

    def _face(self, size: int) -> ImageFont.FreeTypeFont:
        if size not in self._faces:
            self._faces[size] = face_of(self._font, size)
        return self._faces[size]
