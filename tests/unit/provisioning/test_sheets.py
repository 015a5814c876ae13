"""The target and the report on paper."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pypdfium2
import pytest

from device.commissioning.focus import find_square
from protocol.commissioning import COMMISSIONING_TYP, CommissioningCheck, CommissioningReport, Part
from protocol.envelope import sign
from protocol.examples import examples
from protocol.keys import PrivateKey
from provisioning.errors import FileUnusable
from provisioning.paper import chinese_font
from provisioning.sheets import SQUARE_MM, report_pdf, target_pdf, target_svg

pytestmark = pytest.mark.provisioning


def page_of(pdf: bytes, dpi: int) -> np.ndarray:
    """Return the only page as uint8 (H, W, 3)."""
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == 1
    return document[0].render(scale=dpi / 72).to_numpy()[..., :3]


def test_the_target_on_paper_is_what_the_terminal_looks_for_and_has_its_size() -> None:
    page = np.ascontiguousarray(page_of(target_pdf(chinese_font()), 100))
    assert page.shape[:2] == pytest.approx((297 / 25.4 * 100, 210 / 25.4 * 100), abs=2)
    corners = find_square(page)
    assert corners is not None
    side = float(np.linalg.norm(corners[0] - corners[1]))
    assert side == pytest.approx(SQUARE_MM / 25.4 * 100, rel=0.02)


def test_both_forms_of_the_target_show_the_same_square() -> None:
    svg = ET.fromstring(target_svg())
    assert (svg.get("width"), svg.get("height")) == ("210mm", "297mm")
    (square,) = svg.iter("{http://www.w3.org/2000/svg}polygon")
    corners = np.array([[float(n) for n in pair.split(",")] for pair in square.get("points", "").split()], np.float32)
    assert cv2.contourArea(corners) == pytest.approx(SQUARE_MM**2, rel=1e-3)
    assert "对焦板" in target_svg()


def longest(part: Part) -> CommissioningCheck:
    return CommissioningCheck(
        part=part, status="failed", is_required=True, reason="error", facts={"what": "an error of many words " * 8}
    )


@pytest.mark.parametrize(("language", "font"), [("zh", chinese_font()), ("en", chinese_font()), ("zh", None)])
@pytest.mark.parametrize("is_long", [False, True])
def test_a_report_is_one_page_however_much_there_is_to_say(language: str, font: Path | None, is_long: bool) -> None:
    example = examples()[COMMISSIONING_TYP]
    assert isinstance(example, CommissioningReport)
    report = example.model_copy(update={"checks": tuple(map(longest, Part))}) if is_long else example
    signed = sign(report.to_bytes(), key=PrivateKey.generate(), typ=COMMISSIONING_TYP)
    page = page_of(report_pdf(report, signed, language, font), 50)
    # Something stands on it, and nothing at its lower edge.
    assert (page < 128).any()
    assert (page[-12:] > 200).all()


def test_a_font_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "font.ttf").write_text("no font")
    with pytest.raises(FileUnusable, match=r"font\.ttf"):
        target_pdf(tmp_path / "font.ttf")
