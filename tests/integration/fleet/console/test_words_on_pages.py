"""A Chinese page says nothing in codes: the made-up agency's pages are walked from link to link, and read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urlsplit

import httpx
import pytest

from fleet.exchange.definitions import catalogue
from fleet.web.texts import load_texts

pytestmark = pytest.mark.integration
OF_EACH = 2
"""So many pages of each kind are read."""
SILENT = frozenset({"code", "script", "style", "kbd", "samp", "pre", "textarea"})
LISTED = ("/rules/packs/", "/exchange/new-definition", "/exchange/definitions/", "/figures/models")
"""Pages that show how files write things, or what a network is made of."""
CODE = re.compile(r"(?<![\w./:@-])[a-z]{2,}(?:_[a-z0-9]+)+")
WORD = re.compile(r"(?<![\w./:@%&=?-])[a-z]{4,}(?![\w./:@-])")


def codes() -> set[str]:
    """Return what the system itself calls schemes, categories, feeds, networks, states and actions."""
    words = load_texts()["en"]["words"]
    known = {code for table in words for code in words[table]}
    return (known | set(catalogue().feeds) | {"resolution"}) - {"face"}


class Reader(HTMLParser):
    """What a person reads of a page, and where it leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []
        self.links: list[str] = []
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "a" and found.get("href", "").startswith("/") and found.get("hx-boost") != "false":  # type: ignore[union-attr]
            self.links.append(str(found["href"]))
        if tag in ("input", "meta", "link", "img", "br", "hr", "source", "wbr"):
            return
        classes = (found.get("class") or "").split()
        is_of_another = found.get("lang", "zh") not in ("zh", None)
        self._open.append((tag, tag in SILENT or "id" in classes or is_of_another))

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            was, _ = self._open.pop()
            if was == tag:
                break

    def handle_data(self, data: str) -> None:
        if data.strip() and not any(is_silent for tag, is_silent in self._open if tag != "html"):
            self.read.append(data.strip())


def kind_of(path: str) -> str:
    """Return a page's kind: its address without ids and what was asked."""
    parts = urlsplit(path).path.split("/")
    return "/".join("*" if re.search(r"[0-9A-Z]|-.*-", part) else part for part in parts)


def walked(client: httpx.Client) -> Iterator[tuple[str, Reader]]:
    seen: Counter[str] = Counter()
    waiting = ["/"]
    known = set(waiting)
    while waiting:
        path = waiting.pop(0)
        if seen[kind_of(path)] >= OF_EACH:
            continue
        answer = client.get(path)
        if answer.status_code != 200 or "text/html" not in answer.headers["content-type"]:
            continue
        seen[kind_of(path)] += 1
        reader = Reader()
        reader.feed(answer.text)
        yield path, reader
        for link in reader.links:
            if link not in known and "lang=" not in link and not link.startswith(("/static", "/sign-out", "/api")):
                known.add(link)
                waiting.append(link)


def test_chinese_pages_have_no_codes(module_reader: httpx.Client) -> None:
    found: dict[str, set[str]] = {}
    known = codes()
    pages = 0
    for path, reader in walked(module_reader):
        pages += 1
        if path.startswith(LISTED):
            continue
        for text in reader.read:
            # What people of the made-up agency wrote themselves has spaces between its words; a code stands alone or among Chinese.
            alone = known.intersection(WORD.findall(text)) if not re.search(r"[A-Za-z]+ [a-z]+", text) else set()
            for word in {*CODE.findall(text), *alone}:
                found.setdefault(word, set()).add(f"{kind_of(path)}: {text[:60]}")
    assert pages > 60
    assert not found, "\n".join(f"{word}: {sorted(where)[:3]}" for word, where in sorted(found.items()))
