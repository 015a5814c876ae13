"""Whoever types slowly on the glass is not taken for somebody who went away, though nothing is sent before the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.people import LIANG
from device.desk.commands import DeskCommand, StartDeskTimer
from device.desk.events import DeskEvent, DeskTimer, Service, ServiceMoved, Touched
from device.desk.machine import advance
from device.desk.state import QUIET_S, Desk, view_of
from device.desk.view import Touch, TouchKind
from device.screen.server import WebScreen
from device.screen.viewfinder import LatestFrame

pytestmark = pytest.mark.browser


class Served:
    """The real desk behind the real server; every touch, and what the desk asked for because of it, is kept."""

    def __init__(self) -> None:
        self.screen = WebScreen(0, LatestFrame())
        self.touches: list[tuple[Touch, tuple[DeskCommand, ...]]] = []
        self._desk = Desk()
        self._lock = threading.Lock()

    def feed(self, event: DeskEvent) -> tuple[DeskCommand, ...]:
        with self._lock:
            self._desk, commands = advance(self._desk, event)
            self.screen.show(view_of(self._desk))
            return commands

    def touch(self, touch: Touch) -> None:
        self.touches.append((touch, self.feed(Touched(touch))))

    @property
    def kinds(self) -> list[TouchKind]:
        return [touch.kind for touch, _ in self.touches]


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    made.screen.start(made.touch)
    made.feed(ServiceMoved(Service.FREE, line="welcome"))
    yield made
    made.screen.stop()


@pytest.fixture
def page(chromium: Browser, served: Served) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 800, "height": 480})
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{served.screen.port}/")
    expect(page.locator(".of-idle")).to_be_visible()
    yield page
    context.close()


def test_the_first_key_after_a_while_says_that_somebody_is_there_and_nothing_else(
    served: Served, page: Page, eventually: object
) -> None:
    assert callable(eventually)
    served.touch(Touch(TouchKind.BEGIN))
    expect(page.locator(".of-number")).to_be_visible()
    for digit in LIANG.number[:6]:
        page.locator(f'[data-key="{digit}"]').click()
    eventually(lambda: TouchKind.STAY in served.kinds, "a word of whoever types")
    # One word is enough for some seconds, and it says nothing of what was typed.
    assert served.kinds == [TouchKind.BEGIN, TouchKind.STAY]
    touch, commands = served.touches[-1]
    assert (touch.value, commands) == ("", (StartDeskTimer(DeskTimer.QUIET, QUIET_S),))
    expect(page.locator(".of-number")).to_contain_text(LIANG.number[:6])


def test_a_touch_where_nothing_is_typed_says_nothing_more(served: Served, page: Page, eventually: object) -> None:
    assert callable(eventually)
    page.locator('[data-key="language"]').click()
    eventually(lambda: served.kinds, "the touch")
    expect(page.locator("html")).to_have_attribute("lang", "en-GB")
    assert served.kinds == [TouchKind.LANGUAGE]
