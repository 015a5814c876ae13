"""Sheets of paper: the target for the focus, and the report of a commissioning on one page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from protocol.commissioning import CommissioningCheck, CommissioningReport, label, part_name, sentence, status_name
from protocol.envelope import key_id_of, sha256_of
from provisioning.errors import FileUnusable
from provisioning.paper import as_pdf, face_of, rows_of

if TYPE_CHECKING:
    from PIL import Image, ImageFont

_MM_WIDE, _MM_HIGH = 210, 297
"""A4. Source: ISO 216."""
_MM_INCH: Final = 25.4
SQUARE_MM: Final = 100.0
"""At 65 cm some 105 pixels of a frame of 640: large enough for its edges, small enough for whoever does not hold it in the middle."""
TURNED_DEG: Final = 7.0
"""A slanted edge; of an angle whose tangent is no simple fraction, so that every place between pixels is met."""
_TARGET_DPI, _REPORT_DPI = 300, 150
_LINES_ZH = (
    "对焦板：按 100% 打印在白纸上，下面的线应长 100 毫米。",
    "验收时举在座位处面部的位置，正对镜头，拿稳；黑方块要完整入镜。",
)
_LINES_EN = (
    "Focus target: print at 100 % on white paper; the line below must be 100 mm long.",
    "Hold it where a face will be, facing the lens, still, the black square whole in the picture.",
)


def target_svg() -> str:
    """Return the target as SVG in millimetres: browsers and printers keep its size."""
    corners = " ".join(f"{x:.2f},{y:.2f}" for x, y in _square())
    lines = "".join(
        f'<text x="15" y="{y}" font-size="5" font-family="sans-serif">{words}</text>'
        for y, words in zip((210, 218, 230, 238), (*_LINES_ZH, *_LINES_EN), strict=True)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_MM_WIDE}mm" height="{_MM_HIGH}mm"'
        f' viewBox="0 0 {_MM_WIDE} {_MM_HIGH}"><rect width="100%" height="100%" fill="#fff"/>'
        f'<polygon points="{corners}" fill="#000"/>{lines}'
        '<path d="M55 255H155M55 252V258M155 252V258" stroke="#000" stroke-width="0.4" fill="none"/></svg>\n'
    )


def target_pdf(font: Path | None) -> bytes:
    """Return the target as PDF.

    Args:
        font: with Chinese characters; without it the words are English alone.

    Raises:
        FileUnusable: if the font is none.
    """
    from PIL import Image, ImageDraw

    scale = _TARGET_DPI / _MM_INCH
    page = Image.new("L", (round(_MM_WIDE * scale), round(_MM_HIGH * scale)), 255)
    draw = ImageDraw.Draw(page)
    draw.polygon([(x * scale, y * scale) for x, y in _square()], fill=0)
    face = _font(font, round(4.2 * scale))
    for y, words in zip((210, 218, 230, 238), (*(_LINES_ZH if font else ()), *_LINES_EN), strict=False):
        draw.text((15 * scale, y * scale), words, font=face, fill=0)
    for x_from, y_from, x_to, y_to in ((55, 255, 155, 255), (55, 252, 55, 258), (155, 252, 155, 258)):
        draw.line([(x_from * scale, y_from * scale), (x_to * scale, y_to * scale)], fill=0, width=5)
    return as_pdf([page], _TARGET_DPI, "Lifecert")


def report_pdf(report: CommissioningReport, envelope: bytes, language: str, font: Path | None) -> bytes:
    """Return a report on one page of A4.

    Args:
        report: which.
        envelope: as the terminal signed it.
        language: `zh` or `en`; English where there is no font.
        font: with the characters of the language; None for the one that comes with the program, which has no Chinese.

    Raises:
        FileUnusable: if the font is none.
    """
    from PIL import Image

    language = language if font is not None else "en"
    # What is to be said differs in length: the largest letters with which all of it stands on one page.
    for millimetres in (3.4, 3.0, 2.6, 2.2, 1.9):
        page = Image.new("L", (round(_MM_WIDE * _REPORT_DPI / _MM_INCH), round(_MM_HIGH * _REPORT_DPI / _MM_INCH)), 255)
        if _drawn(page, report, envelope, language, font, millimetres):
            break
    return as_pdf([page], _REPORT_DPI, "Lifecert")


def _drawn(
    page: Image.Image,
    report: CommissioningReport,
    envelope: bytes,
    language: str,
    font: Path | None,
    millimetres: float,
) -> bool:
    """Draw the report with letters of this size; return whether it had room."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(page)
    scale = _REPORT_DPI / _MM_INCH
    small, large = _font(font, round(millimetres * scale)), _font(font, round(millimetres * 1.6 * scale))
    step, left, right = millimetres * 1.45 * scale, 15 * scale, page.width - 15 * scale
    y = 14 * scale
    draw.text((left, y), label("title", language), font=large, fill=0)
    y += 2 * step
    for words in _head(report, language):
        draw.text((left, y), words, font=large, fill=0)
        y += 1.8 * step
    for words in _facts(report, envelope, language):
        for row in rows_of(words, small, right - left):
            draw.text((left, y), row, font=small, fill=0)
            y += step
    y += step / 2
    columns = (left, left + 42 * scale, left + 62 * scale)
    for check in _told(report):
        draw.line([(left, y), (right, y)], fill=160)
        y += step / 4
        name = rows_of(part_name(check.part, language), small, columns[1] - columns[0] - scale)
        found = rows_of(sentence(check, language), small, right - columns[2])
        for number, row in enumerate(name):
            draw.text((columns[0], y + number * step), row, font=small, fill=0)
        draw.text((columns[1], y), _mark(check) + status_name(check.status, language), font=small, fill=0)
        for number, row in enumerate(found):
            draw.text((columns[2], y + number * step), row, font=small, fill=0)
        y += max(len(name), len(found)) * step + step / 4
    return y < page.height - 10 * scale


def _head(report: CommissioningReport, language: str) -> Iterator[str]:
    if report.is_simulated:
        yield label("simulated", language)
    yield label("passed" if report.passed else "not_passed", language)


def _facts(report: CommissioningReport, envelope: bytes, language: str) -> Iterator[str]:
    yield f"{label('terminal', language)}: {report.fleet_id} / {report.terminal_id}"
    yield f"{label('finished', language)}: {report.finished_at:%Y-%m-%d %H:%M:%S} ({report.clock})"
    yield f"{label('software', language)}: {report.software}, {report.machine}"
    if report.sensor is not None:
        yield f"{label('sensor', language)}: {report.sensor}"
    if report.networks:
        times = ", ".join(f"{each.name} {each.median_ms:.1f}" for each in report.networks)
        yield f"{label('networks', language)}: {times}"
    yield f"{label('report', language)}: {report.report_id}, SHA-256 {sha256_of(envelope)[:16]}"
    yield f"{label('key', language)}: {key_id_of(envelope)}"


def _told(report: CommissioningReport) -> Sequence[CommissioningCheck]:
    """Return every check, and what never came to its turn."""
    known = {check.part for check in report.checks}
    return (*report.checks, *(check for check in report.open_checks if check.part not in known))


def _mark(check: CommissioningCheck) -> str:
    return "! " if check.status == "failed" else ""


def write(path: Path, content: bytes) -> None:
    """Write a sheet.

    Raises:
        FileUnusable: if it cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise FileUnusable(f"{path}: {error.strerror}") from error


def _square() -> list[tuple[float, float]]:
    """Return the corners of the target's square on the page, in millimetres."""
    angle, half = math.radians(TURNED_DEG), SQUARE_MM / 2
    middle = (_MM_WIDE / 2, 105.0)
    return [
        (
            middle[0] + x * half * math.cos(angle) - y * half * math.sin(angle),
            middle[1] + x * half * math.sin(angle) + y * half * math.cos(angle),
        )
        for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]


def _font(path: Path | None, size: int) -> ImageFont.FreeTypeFont:
    from PIL import ImageFont

    if path is not None:
        return face_of(path, size)
    try:
        found = ImageFont.load_default(size)
    except (OSError, ImportError) as error:
        raise FileUnusable("no font that can be used; name a font file") from error
    if not isinstance(found, ImageFont.FreeTypeFont):
        raise FileUnusable("no font: Pillow was built without FreeType; name a font file")
    return found
