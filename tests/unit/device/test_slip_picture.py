from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest

from device.errors import SettingsInvalid
from device.slip_picture import code_picture, code_png, code_svg, sheet_png, words_picture

SLIP = "LCS1:" + "A7B %" * 63
BEHIND_A_PAGE = "https://pension.example.gov.cn/slip#LCS1:" + "A7B%20%25" * 40
FONT = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")


def read(png: bytes) -> str:
    return str(
        cv2.QRCodeDetector().detectAndDecode(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE))[0]
    )


@pytest.mark.parametrize("content", [SLIP, BEHIND_A_PAGE])
def test_a_code_reads_back(content: str) -> None:
    assert read(code_png(content)) == content


def test_an_address_does_not_cost_the_slip_its_dense_mode() -> None:
    # Version 13 has 69 modules a side, and 4 white ones on each; in byte mode alone the same text needs version 15.
    assert code_picture(BEHIND_A_PAGE, 77).height == 77
    with pytest.raises(ValueError, match="does not fit"):
        code_picture(BEHIND_A_PAGE.replace("#", "?"), 77)


def test_the_screen_s_code_is_a_drawing_without_a_size() -> None:
    drawing = ET.fromstring(code_svg(SLIP))
    # Without its namespace a browser shows no picture.
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    assert "viewBox" in drawing.attrib
    assert "width" not in drawing.attrib


def test_a_code_that_does_not_fit_is_said() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        code_picture(SLIP, 60)


def test_long_lines_are_broken_and_nothing_is_cut_off() -> None:
    one, several = words_picture(["短"], 384, FONT), words_picture(["很长的一行字" * 10], 384, FONT)
    assert several.height > 4 * one.height
    pixels = np.array(several)
    assert pixels[:, :8].all()
    assert pixels[:, -4:].all()


def test_a_sheet_has_words_above_the_code_or_the_code_alone() -> None:
    words, alone = (sheet_png(["结果：认证成功"], SLIP, width_px=576, font=font) for font in (FONT, None))
    assert read(words) == read(alone) == SLIP
    tall, short = (cv2.imdecode(np.frombuffer(png, np.uint8), 0).shape[0] for png in (words, alone))
    assert tall > short


def test_a_file_that_is_no_font_is_said(tmp_path: Path) -> None:
    (tmp_path / "font.ttf").write_bytes(b"no font")
    with pytest.raises(SettingsInvalid, match=r"printer\.font: font\.ttf"):
        words_picture(["x"], 384, tmp_path / "font.ttf")
