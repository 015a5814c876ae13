"""The pages of terminals in a real browser, on the made-up agency."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from demo.agency.conditions import Condition
from fleet.service import WebServer, make_web

pytestmark = [pytest.mark.integration, pytest.mark.browser]
LANGUAGES = ("zh", "en")
WIDTHS = (1366, 390)
NUMBERS = itertools.count()
"""All tests here share one agency, in which no two accounts have the same name."""


@pytest.fixture
def office(module_agency: Any) -> Any:
    """The made-up agency in place of an empty fleet; tests here only look at it."""
    return module_agency


@pytest.fixture
def web(office: Any, free_ports: Callable[[], int]) -> Iterator[httpx.Client]:
    """The console of the made-up agency."""
    port = free_ports()
    app = make_web(office.fleet, broker_state=lambda: "not run here", ingest_state=lambda: "not run here")
    server = WebServer(app, "127.0.0.1", port)
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client
    server.stop()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_list_is_read_and_narrowed(office: Any, browse: Callable[..., Any], language: str, width: int) -> None:
    seen = browse("viewer", name=f"Qiao {next(NUMBERS)}", language=language, width=width)
    page = seen.go("/terminals")
    seen.check(f"terminals-{language}-{width}")
    page.click("a[href*='state=drift']")
    page.wait_for_url("**state=drift*")
    drifting = [office.index.terminals[each][0] for each in (Condition.DULL, Condition.GLARING)]
    expect(page.locator("tbody th")).to_have_text(drifting)
    page.fill("#f-part", drifting[1][-2:])
    page.keyboard.press("Enter")
    page.wait_for_url("**part=*")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.click("tbody th a")
    page.wait_for_url(f"**/terminals/{drifting[1]}")


@pytest.mark.parametrize("condition", [Condition.DULL, Condition.LOW_BATTERY, Condition.GAPS, Condition.NEVER_SEEN])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_terminal_is_read(
    office: Any, browse: Callable[..., Any], language: str, width: int, condition: Condition
) -> None:
    seen = browse("fleet_administrator", name=f"Qiao {next(NUMBERS)}", language=language, width=width)
    page = seen.go(f"/terminals/{office.index.terminals[condition][0]}")
    for summary in page.locator("main details.card > summary").all():
        summary.click()
    seen.check(f"terminal-{condition}-{language}-{width}")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_drift_people_log_and_quarantine_are_read(
    office: Any, browse: Callable[..., Any], language: str, width: int
) -> None:
    seen = browse("fleet_administrator", name=f"Qiao {next(NUMBERS)}", language=language, width=width)
    dull = office.index.terminals[Condition.DULL][0]
    page = seen.go(f"/terminals/{dull}/drift")
    expect(page.locator("figure.chart")).to_have_count(4)
    expect(page.locator("main .notice.warn")).to_contain_text({"zh": "请擦拭镜头", "en": "Clean the lens"}[language])
    seen.check(f"terminal-drift-{language}-{width}")
    seen.go(f"/terminals/{dull}/people")
    seen.check(f"terminal-people-{language}-{width}")
    stuck = office.index.terminals[Condition.OLD_OUTBOX][0]
    seen.go(f"/terminals/{stuck}")
    page.click("a[href$='/log/1']")
    page.wait_for_url("**/log/1")
    seen.check(f"terminal-log-{language}-{width}")
    seen.go("/terminals/-/quarantine")
    seen.check(f"terminals-quarantine-{language}-{width}")
    page.select_option("#f-sender", "unknown")
    page.wait_for_url("**sender=unknown*")
    expect(page.locator("tbody th").first).to_contain_text("x-9000")
    seen.go("/terminals/-/register")
    seen.check(f"terminals-register-{language}-{width}")
