"""Makes pictures for the documents in a real browser: of the console on the made-up agency, and of the terminal's screen.

python -m demo.screenshots console        docs/console: the ten main pages, for docs/console.md
python -m demo.screenshots technician     docs/technician: what a technician meets, in Chinese and English

Needs Debian's chromium and fonts-wqy-microhei; each takes two minutes.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from demo.accounts import link_for
from demo.agency.build import Built
from demo.agency.show import fresh_agency, shown
from demo.processes import free_port
from demo.screen_scenes import SCENES, shown_screen
from device.desk.view import Language
from fleet.app import Fleet
from fleet.settings.provisioning import ProvisioningSettings

CHROMIUM = "/usr/bin/chromium"
DOCS = Path(__file__).parents[1] / "docs"
LANGUAGES: tuple[Language, ...] = ("zh", "en")
_TODAY = date(2026, 11, 20)
_WIDE: ViewportSize = {"width": 1366, "height": 768}
_NARROW: ViewportSize = {"width": 1024, "height": 768}
_SCREEN: ViewportSize = {"width": 800, "height": 480}
"""The smallest that the terminal's page is made for."""
_TALLEST = 1800
"""Pixels of a picture: what matters of a page stands at its top."""
_COLOURS = 48
_UNLIKE = 20
"""So much two colours of a small picture differ at least, over red, green and blue."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture of the console."""

    name: str
    who: str
    path: Callable[[Built], str]
    language: Language
    begins: str | None = None
    """The element at which the picture begins; without one the page's top."""
    ends: str | None = None
    """The element before which it ends."""


CONSOLE = (
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
TECHNICIAN = tuple(
    shot
    for language in LANGUAGES
    for shot in (
        Shot(f"claims.{language}", "Shen Yulan", lambda _: "/terminals/-/claims", language),
        Shot(
            f"report.{language}",
            "Shen Yulan",
            lambda built: f"/terminals/{built.index.terminals['glaring'][0]}",
            language,
            begins="#commissioning",
            ends="#versions",
        ),
        Shot(
            f"rollout.{language}",
            "Shen Yulan",
            lambda built: f"/terminals/-/rollouts/{built.index.others['rollout']}",
            language,
            ends="main h2 >> nth=-1",
        ),
    )
)


def main() -> None:
    """Take the pictures of one folder."""
    sets = {"console": _console, "technician": _technician}
    if len(sys.argv) != 2 or sys.argv[1] not in sets:
        sys.exit(__doc__)
    folder = DOCS / sys.argv[1]
    folder.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        sets[sys.argv[1]](browser, folder)
        browser.close()


def _console(browser: Browser, folder: Path) -> None:
    for name, picture in _taken(browser, CONSOLE, _WIDE):
        picture.save(folder / f"{name}.webp", quality=70)


def _technician(browser: Browser, folder: Path) -> None:
    for scene in SCENES:
        for language in LANGUAGES:
            with shown_screen(scene, language) as address, _page(browser, _SCREEN, language) as page:
                page.goto(address)
                page.wait_for_selector("#bar button")
                page.wait_for_function("() => [...document.images].every((image) => image.complete)")
                _save_small(_pixels(page), folder / f"{scene}.{language}.webp")
    for name, picture in _taken(browser, TECHNICIAN, _NARROW):
        _save_small(picture, folder / f"{name}.webp")


def _taken(browser: Browser, shots: Sequence[Shot], size: ViewportSize) -> Iterator[tuple[str, Image.Image]]:
    """Make the agency, and give each picture by its name."""
    # So that pages offer what they do where new terminals may come; nobody comes here.
    door = ProvisioningSettings(port=8444, names=("fleet.example",))
    with (
        tempfile.TemporaryDirectory(prefix="lifecert-pictures-") as data,
        fresh_agency(Path(data), today=_TODAY) as made,
        nullcontext(replace(made, settings=made.settings.model_copy(update={"provisioning": door}))) as built,
        shown(built, port=free_port(), clock=lambda: built.now) as (address, fleet),
    ):
        for shot in shots:
            with _page(browser, size, shot.language) as page:
                yield shot.name, _taken_of(page, shot, built, fleet, address)


def _taken_of(page: Page, shot: Shot, built: Built, fleet: Fleet, address: str) -> Image.Image:
    # The link is for `localhost`, where a passkey would be good as well.
    page.goto(link_for(fleet, shot.who))
    page.click("main form button")
    page.goto(address.replace("127.0.0.1", "localhost").rstrip("/") + shot.path(built))
    page.wait_for_load_state("networkidle")
    picture = _pixels(page)
    top = 0 if shot.begins is None else _place(page, shot.begins)
    bottom = picture.height if shot.ends is None else _place(page, shot.ends)
    sys.stdout.write(f"{shot.name}\n")
    return picture.crop((0, top, picture.width, min(bottom, top + _TALLEST)))


@contextmanager
def _page(browser: Browser, size: ViewportSize, language: Language) -> Iterator[Page]:
    context = browser.new_context(viewport=size, locale={"zh": "zh-CN", "en": "en-GB"}[language])
    yield context.new_page()
    context.close()


def _pixels(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")


def _place(page: Page, selector: str) -> int:
    """Return how far below the top of the page an element begins."""
    return int(page.locator(selector).evaluate("(one) => one.getBoundingClientRect().top + scrollY"))


def _save_small(picture: Image.Image, target: Path) -> None:
    """Keep a picture of flat colours and letters: few colours, each letter as sharp as it was."""
    colours, counts = np.unique(np.asarray(picture).reshape(-1, 3), axis=0, return_counts=True)
    kept: list[tuple[int, int, int]] = []
    for r, g, b in colours[np.argsort(-counts, kind="stable")].tolist():
        is_unlike = all(abs(r - x) + abs(g - y) + abs(b - z) >= _UNLIKE for x, y, z in kept)
        if is_unlike and len(kept) < _COLOURS:
            kept.append((r, g, b))
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in kept for part in colour])
    few = picture.quantize(palette=palette, dither=Image.Dither.NONE)
    few.convert("RGB").save(target, lossless=True, quality=100, method=6)
    sys.stdout.write(f"{target.name} {target.stat().st_size}\n")


if __name__ == "__main__":
    main()
