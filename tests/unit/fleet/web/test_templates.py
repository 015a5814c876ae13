from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

import fleet.web

TEMPLATES = Path(fleet.web.__file__).parent / "templates"


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_a_template_can_be_read(path: Path) -> None:
    jinja2.Environment(autoescape=True).parse(path.read_text(encoding="utf-8"))
