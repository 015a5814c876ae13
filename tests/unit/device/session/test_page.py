"""The page about the session."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]


def test_the_page_is_up_to_date():
    made = runpy.run_path(str(ROOT / "docs" / "build_session.py"))
    assert (ROOT / "docs" / "session.md").read_text(encoding="utf-8") == made["page"]()
