from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pypdfium2
import pytest
import segno

from protocol.provisioning import ProvisioningClaim
from provisioning.cards.labels import (
    DPI,
    ClaimPage,
    Plate,
    claim_pages,
    font_for_labels,
    label_pages,
)
from provisioning.errors import FileUnusable
from provisioning.paper import FONTS, as_pdf

pytestmark = pytest.mark.provisioning
FONT = FONTS[0]


def drawn(pdf: bytes) -> list[np.ndarray]:
    """The pages as a printer gets them, at its resolution."""
    with pypdfium2.PdfDocument(pdf) as document:
        return [np.asarray(page.render(scale=DPI / 72, grayscale=True).to_pil()) for page in document]


def read(picture: np.ndarray) -> str:
    text, _, _ = cv2.QRCodeDetector().detectAndDecode(picture)
    return text


def cell(page: np.ndarray, column: int, row: int, columns: int, rows: int) -> np.ndarray:
    height, width = page.shape
    return page[
        height * row // rows : height * (row + 1) // rows, width * column // columns : width * (column + 1) // columns
    ]


def test_thirty_labels_are_two_sheets_and_each_code_says_whose_it_is() -> None:
    plates = [Plate("north", f"hall-{n}", "东村大厅") for n in range(30)]
    pages = drawn(as_pdf(label_pages(plates, FONT), DPI, "x"))
    assert len(pages) == 2
    assert pages[0].shape == pytest.approx((297 / 25.4 * DPI, 210 / 25.4 * DPI), abs=1)
    for page, column, row, number in ((0, 0, 0, 0), (0, 2, 0, 2), (0, 1, 7, 22), (1, 2, 1, 29)):
        assert read(cell(pages[page], column, row, 3, 8)) == plates[number].text()
    assert cell(pages[1], 0, 2, 3, 8).min() == 255


def test_a_claim_stands_on_its_sheet_as_a_code_of_its_whole_text(claim_for: Callable[..., ProvisioningClaim]) -> None:
    claim = claim_for("hall-1")
    page = np.asarray(claim_pages([ClaimPage(claim, "hall-1", "Asia/Shanghai", "东村")], FONT)[0].convert("L"))
    # OpenCV reads codes of this size by luck only, so the code is looked for as a picture; each module must be half a millimetre at least.
    matrix = np.array([list(row) for row in segno.make_qr(claim.to_qr(), error="l").matrix], np.uint8)
    found = []
    for scale in range(DPI // 50, 20):
        code = 255 * (1 - np.kron(matrix, np.ones((scale, scale), np.uint8)))
        if code.shape[0] < page.shape[1] // 2:
            found.append(cv2.matchTemplate(cell(page, 0, 0, 2, 2), code, cv2.TM_CCOEFF_NORMED).max())
    assert max(found) > 0.999


def test_long_names_stay_within_their_label() -> None:
    (page,) = drawn(as_pdf(label_pages([Plate("n" * 63, "t" * 63, "很长的地点名称" * 15)], FONT), DPI, "x"))
    assert cell(page, 1, 0, 3, 8).min() == 255
    assert cell(page, 0, 1, 3, 8).min() == 255


def test_what_is_to_be_typed_stays_within_its_sheet(claim_for: Callable[..., ProvisioningClaim]) -> None:
    claim = claim_for("t" * 63, url=f"https://{'fleet.' * 30}example:8444")
    page = np.asarray(
        claim_pages([ClaimPage(claim, "t" * 63, "America/Argentina/ComodRivadavia", "很长的地点名称" * 15)], FONT)[
            0
        ].convert("L")
    )
    height, width = page.shape
    assert page[:, width // 2 + 5 :].min() == 255
    # Between the last line of words and the frame there is room.
    assert page[height // 2 - DPI // 8 : height // 2 - 5, 5 : width // 2 - 5].min() == 255


def test_a_font_that_will_not_do_is_told(tmp_path: Path) -> None:
    assert font_for_labels(None).is_file()
    (tmp_path / "x.ttf").write_bytes(b"no font")
    with pytest.raises(FileUnusable, match="no font that can be used"):
        font_for_labels(tmp_path / "x.ttf")
    latin = next(Path("/usr/share/fonts").rglob("DejaVuSans.ttf"), None)
    if latin is not None:
        with pytest.raises(FileUnusable, match="has no Chinese characters"):
            font_for_labels(latin)
