"""The console's style sheet is whole, and nothing in it is about what no page has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import fleet.web
from fleet.web.assets import PARTS, SHEET, Assets

WEB = Path(fleet.web.__file__).parent
OF_SCRIPTS = {"htmx-request"}
"""Classes that htmx gives to what waits for an answer."""


def selectors(sheet: str) -> Iterator[str]:
    for found in re.findall(r"([^{}]+)\{", re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)):
        if not found.strip().startswith("@"):
            yield from re.split(r",(?![^()\[\]]*[)\]])", found.strip())


def templates() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in (WEB / "templates").rglob("*.html"))


def ids_of(pages: str) -> set[str]:
    """Return the ids that pages have; those of fields are made of their names."""
    fields = re.findall(r'm\.(?:field|choice)\("([\w-]+)"', pages)
    return {*re.findall(r'id="([\w-]+)"', pages), *(f"f-{name}" for name in fields)}


def test_every_part_of_the_sheet_is_served_in_one_file() -> None:
    folder = WEB / "static" / "console"
    assert {path.stem for path in folder.iterdir()} == set(PARTS)
    digest, name = Assets().url(SHEET).removeprefix("/static/").split("/")
    assert (len(digest), name) == (12, SHEET)


def test_no_rule_is_about_what_no_page_has() -> None:
    pages = templates()
    written = " ".join(re.findall(r'class="((?:\{\{.*?\}\}|\{%.*?%\}|[^"{])*)"', pages))
    classes, ids, elements = set(re.findall(r"[\w-]+", written)), ids_of(pages), set(re.findall(r"<([a-z]\w*)", pages))
    unused = []
    for part in PARTS:
        for selector in selectors((WEB / "static" / "console" / f"{part}.css").read_text(encoding="utf-8")):
            bare = re.sub(r"\[[^\]]*\]|::?[a-z-]+", "", selector)
            has = {
                *(f".{name}" for name in re.findall(r"\.([\w-]+)", bare) if name not in classes | OF_SCRIPTS),
                *(f"#{name}" for name in re.findall(r"#([\w-]+)", bare) if name not in ids),
                *(name for name in re.findall(r"(?<![\w.#-])([a-z]\w*)", bare) if name not in elements),
            }
            unused += [(part, selector, name) for name in sorted(has)]
    assert unused == []


def test_no_rule_stands_twice() -> None:
    sheet = "".join((WEB / "static" / "console" / f"{part}.css").read_text(encoding="utf-8") for part in PARTS)
    # What holds for a narrow window or on paper says something else about the same.
    plain = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*\s*\}", "", re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL))
    found = [" ".join(each.split()) for each in re.findall(r"([^{}]+)\{", plain)]
    assert sorted(found) == sorted(set(found))
