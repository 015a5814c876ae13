#!/usr/bin/env python3
"""Draws docs/labels.png, parts of the two sheets that come with a batch of cards, with made-up terminals.

By hand: `.venv/bin/python docs/build_labels.py`. Not part of `make docs`: the characters look as the font of the computer does that drew
them.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from fleet.pki.files import ROOT, make_authority
from protocol.provisioning import ProvisioningClaim
from provisioning.cards.labels import ClaimPage, Plate, claim_pages, font_for_labels, label_pages

OUT = Path(__file__).parent / "labels.png"
PLACES = {"hall-1": "东村便民服务大厅", "hall-2": "西村村委会", "hall-3": "北镇卫生院"}
CODE = "0123456789ABCDEF"
"""Of a claim that nobody has made."""


def main() -> None:
    """Draw one row of labels above one claim."""
    font = font_for_labels(None)
    now = datetime(2026, 11, 29, 10, tzinfo=UTC)
    with tempfile.TemporaryDirectory() as folder:
        make_authority(Path(folder), "east", now=now)
        root = Path(folder, ROOT).read_text()
    claim = ProvisioningClaim(
        fleet_id="east", url="https://fleet.example:8444", root=root, code=CODE, terminal_id="hall-1", expires_at=now
    )
    (labels,) = label_pages([Plate("east", name, place) for name, place in PLACES.items()], font)
    (claims,) = claim_pages([ClaimPage(claim, "hall-1", "Asia/Shanghai", PLACES["hall-1"])], font)
    width, height = labels.size
    above = labels.crop((0, 0, width, height // 8))
    below = claims.crop((0, 0, width // 2 + 2, height * 9 // 20))
    sheet = Image.new("L", (width, above.height + below.height + 40), 255)
    sheet.paste(above, (0, 0))
    sheet.paste(below, (width // 4, above.height + 40))
    sheet.resize((sheet.width * 3 // 10, sheet.height * 3 // 10), Image.Resampling.LANCZOS).quantize(8).save(
        OUT, optimize=True
    )


if __name__ == "__main__":
    main()
