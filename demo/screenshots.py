"""Makes the pictures of `docs/console.md`: the ten main pages of the console on the made-up agency, in a real browser.

python -m demo.screenshots            (needs Debian's chromium and fonts-wqy-microhei; two minutes)
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Page, sync_playwright

from demo.accounts import link_for
from demo.agency.build import Built
from demo.agency.show import fresh_agency, shown
from demo.processes import free_port

CHROMIUM = "/usr/bin/chromium"
FOLDER = Path(__file__).parents[1] / "docs" / "console"
_TODAY = date(2026, 11, 20)
_WIDTH, _HEIGHT = 1366, 768
_TALLEST = 1800
"""Pixels of a picture: what matters of a page stands at its top."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture."""

    name: str
    who: str
    path: Callable[[Built], str]
    language: str


SHOTS = (
    Shot("overview", "Shen Yulan", lambda _: "/", "zh"),
    Shot("people", "Dong Wenqing", lambda _: "/people?state=overdue", "zh"),
    Shot("person", "Dong Wenqing", lambda built: f"/people/{built.index.people['paused']}", "zh"),
    Shot("terminals", "Shen Yulan", lambda _: "/terminals", "zh"),
    Shot("terminal", "Shen Yulan", lambda built: f"/terminals/{built.index.terminals['dull'][0]}", "zh"),
    Shot("cases", "Luo Jiming", lambda _: "/cases", "zh"),
    Shot("case", "Luo Jiming", lambda built: f"/cases/{built.index.cases['appeal.in_review']}", "zh"),
    Shot("rules", "Shen Yulan", lambda _: "/rules", "en"),
    Shot("figures", "Shen Yulan", lambda _: "/figures", "en"),
    Shot("exchange", "Shen Yulan", lambda _: "/exchange", "en"),
)


def main() -> None:
    """Make the agency and take the pictures."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="lifecert-pictures-") as folder,
        fresh_agency(Path(folder), today=_TODAY) as built,
        shown(built, port=free_port(), clock=lambda: built.now) as (address, fleet),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        for shot in SHOTS:
            context = browser.new_context(
                viewport={"width": _WIDTH, "height": _HEIGHT}, locale={"zh": "zh-CN", "en": "en-GB"}[shot.language]
            )
            page = context.new_page()
            # The link is for `localhost`, where a passkey would be good as well.
            page.goto(link_for(fleet, shot.who))
            page.click("main form button")
            page.goto(address.replace("127.0.0.1", "localhost").rstrip("/") + shot.path(built))
            page.wait_for_load_state("networkidle")
            _keep(page, FOLDER / f"{shot.name}.webp")
            context.close()
            sys.stdout.write(f"{shot.name}\n")
        browser.close()


def _keep(page: Page, target: Path) -> None:
    picture = cv2.imdecode(np.frombuffer(page.screenshot(full_page=True), np.uint8), cv2.IMREAD_COLOR)[:_TALLEST]
    target.write_bytes(cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, 70])[1].tobytes())


if __name__ == "__main__":
    main()
