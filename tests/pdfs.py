"""Scans and what only looks like one, as PDF."""

from __future__ import annotations

import io
import zlib

from PIL import Image


def scan(*shades: int, words: str = "") -> bytes:
    """Return a PDF with a page of each shade of grey; words stand where no reader looks."""
    first, *others = (Image.new("L", (60, 80), shade) for shade in shades or (200,))
    out = io.BytesIO()
    first.save(out, "PDF", save_all=True, append_images=others)
    return out.getvalue() + f"%{words}\n".encode()


def by_hand(
    *,
    kids: str = "[3 0 R]",
    count: int = 1,
    media: str = "[0 0 595 842]",
    draw: bytes = b"",
    more: str = "",
    end: str = "",
) -> bytes:
    """Return a PDF without its table of places, which readers make anew; every part of it can be wrong."""
    drawn = zlib.compress(draw)
    objects = (
        "1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        f"2 0 obj<</Type/Pages/Kids{kids}/Count {count}>>endobj\n"
        f"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox{media}/Contents 4 0 R/Resources<</XObject<</A 10 0 R>>>>>>endobj\n"
        f"{more}4 0 obj<</Length {len(drawn)}/Filter/FlateDecode>>stream\n"
    )
    return b"%PDF-1.7\n" + objects.encode() + drawn + f"\nendstream endobj\ntrailer<</Root 1 0 R{end}>>\n".encode()
