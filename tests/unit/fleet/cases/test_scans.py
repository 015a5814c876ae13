"""Scans drawn page by page, and files that mean harm, each refused in one sentence."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from fleet.cases.scans import LONGEST_SIDE, MOST_PAGES, pages_of
from fleet.errors import Refused
from tests.pdfs import by_hand, scan

_BOX = "/Type/XObject/Subtype/Form/BBox[0 0 600 900]"
FAN = "".join(
    f"{10 + depth} 0 obj<<{_BOX}/Resources<</XObject<</A {11 + depth} 0 R>>>>/Length 60>>stream\n{'/A Do ' * 10}\nendstream endobj\n"
    for depth in range(12)
)
"""Each part draws the next one ten times."""
FAN_END = f"22 0 obj<<{_BOX}/Length 24>>stream\n0 0 500 800 re f        \nendstream endobj\n"
LOCKED = f"/Encrypt<</Filter/Standard/V 2/R 3/Length 128/P -4/O<{'00' * 32}>/U<{'11' * 32}>>>/ID[<00><00>]"


def pages(pdf: bytes) -> list[Image.Image]:
    return [Image.open(io.BytesIO(page)) for page in pages_of(pdf)]


def test_every_page_of_a_scan_is_drawn_in_order_at_one_size() -> None:
    found = pages(scan(250, 120, 10))
    assert [max(page.size) for page in found] == [LONGEST_SIDE] * 3
    middles = [page.convert("L").getpixel((page.width // 2, page.height // 2)) for page in found]
    assert middles == pytest.approx([250, 120, 10], abs=3)
    assert len(pages(scan(*[200] * MOST_PAGES))) == MOST_PAGES


@pytest.mark.parametrize("media", ["[0 0 1e9 1e9]", "[0 0 1 100000]", "[0 0 0 0]", "[0 0 -595 -842]", "[5 5]"])
def test_a_page_of_any_size_it_says_takes_no_more_pixels(media: str) -> None:
    (page,) = pages(by_hand(media=media))
    assert max(page.size) <= LONGEST_SIDE + 1


@pytest.mark.parametrize(
    ("pdf", "code"),
    [
        (by_hand(end=LOCKED), "scan_encrypted"),
        (scan(*[200] * (MOST_PAGES + 1)), "scan_long"),
        (by_hand(kids="[" + "3 0 R " * 5000 + "]", count=5000), "scan_long"),
        (by_hand(kids="[]", count=0), "scan_damaged"),
        (by_hand(kids="[2 0 R]"), "scan_damaged"),
        (scan(200, 100)[:400], "scan_damaged"),
        (b"%PDF-", "scan_damaged"),
        (b"%PDF-1.7\n" + bytes(range(256)) * 40, "scan_damaged"),
        (by_hand(draw=b" " * 900_000_000), "scan_damaged"),
        (by_hand(draw=b"/A Do", more=FAN + FAN_END), "scan_damaged"),
    ],
    ids=["locked", "long", "very long", "no page", "in a circle", "cut off", "empty", "noise", "bomb", "for ever"],
)
def test_what_cannot_be_shown_is_refused_in_one_sentence(pdf: bytes, code: str) -> None:
    with pytest.raises(Refused) as error:
        pages_of(pdf)
    assert error.value.code == code
