"""The pages of terminals in a real browser, on the made-up agency."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from demo.agency.conditions import Condition

pytestmark = [pytest.mark.integration, pytest.mark.browser]
LANGUAGES = ("zh", "en")
WIDTHS = (1366, 390)
NUMBERS = itertools.count()
"""All tests here share one agency, in which no two accounts have the same name."""


@pytest.fixture(scope="module")
def office(module_agency: Any) -> Any:
    """The made-up agency in place of an empty fleet; tests here only look at it."""
    return module_agency


@pytest.fixture(scope="module")
def web(module_web: httpx.Client) -> httpx.Client:
    """Its console."""
    return module_web


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_list_is_narrowed(office: Any, browse: Callable[..., Any], language: str, width: int) -> None:
    seen = browse("viewer", name=f"Qiao {next(NUMBERS)}", language=language, width=width)
    page = seen.go("/terminals")
    page.click("a[href*='state=drift']")
    page.wait_for_url("**state=drift*")
    drifting = [office.index.terminals[each][0] for each in (Condition.DULL, Condition.GLARING)]
    expect(page.locator("tbody th")).to_have_text(drifting)
    seen.unfold()
    page.fill("#f-part", drifting[1][-2:])
    page.keyboard.press("Enter")
    page.wait_for_url("**part=*")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.click("tbody th a")
    page.wait_for_url(f"**/terminals/{drifting[1]}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_drift_log_and_quarantine_are_read(office: Any, browse: Callable[..., Any], language: str) -> None:
    seen = browse("fleet_administrator", name=f"Qiao {next(NUMBERS)}", language=language)
    dull = office.index.terminals[Condition.DULL][0]
    page = seen.go(f"/terminals/{dull}/drift")
    expect(page.locator("figure.chart")).to_have_count(4)
    expect(page.locator("main .notice.warn")).to_contain_text({"zh": "请擦拭镜头", "en": "Clean the lens"}[language])
    stuck = office.index.terminals[Condition.OLD_OUTBOX][0]
    seen.go(f"/terminals/{stuck}")
    page.click("a[href$='/log/1']")
    page.wait_for_url("**/log/1")
    seen.go("/terminals/-/quarantine")
    page.select_option("#f-sender", "unknown")
    page.wait_for_url("**sender=unknown*")
    expect(page.locator("tbody th").first).to_contain_text("x-9000")
    seen.check(f"terminals-quarantine-{language}")
