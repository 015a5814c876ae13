"""The screen as it is in service: the real server, the real desk, a real browser; events in place of camera, readers and stores."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from device.desk.commands import DeskCommand
from device.desk.events import DeskEvent, Touched
from device.desk.machine import advance
from device.desk.state import Desk, view_of
from device.desk.view import Touch, TouchKind, View
from device.screen.server import WebScreen
from device.screen.viewfinder import LatestFrame


class Terminal:
    """A terminal whose desk is fed by a test; what is touched reaches the desk, what the desk asks for is noted."""

    def __init__(self) -> None:
        self.finder = LatestFrame()
        self.screen = WebScreen(0, self.finder)
        self.touches: list[Touch] = []
        self.commands: list[DeskCommand] = []
        self.answers: dict[TouchKind, DeskEvent] = {}
        """What a touch of a kind leads to so soon that the page sees no view between."""
        self.desk = Desk()
        self._lock = threading.Lock()
        self.screen.start(self._touch)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.screen.port}/"

    def feed(self, *events: DeskEvent) -> View:
        """Let the desk take events, show what comes of the last."""
        with self._lock:
            for event in events:
                self.desk, commands = advance(self.desk, event)
                self.commands += commands
            view = view_of(self.desk)
            self.screen.show(view)
            return view

    def restart(self) -> None:
        """Stop and start on the same port, with a desk that knows nothing."""
        port = self.screen.port
        self.screen.stop()
        self.desk = Desk()
        self.screen = WebScreen(port, self.finder)
        self.screen.start(self._touch)

    def touched(self, kind: str) -> list[str]:
        """Values of the touches of a kind so far."""
        return [touch.value for touch in self.touches if touch.kind == kind]

    def _touch(self, touch: Touch) -> None:
        answer = self.answers.get(touch.kind)
        self.feed(Touched(touch), *(() if answer is None else (answer,)))
        self.touches.append(touch)


class Watched:
    """A page, with everything the browser complained about."""

    def __init__(self, page: Page, terminal: Terminal) -> None:
        self.page = page
        self.terminal = terminal
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    def open(self) -> None:
        self.page.goto(self.terminal.url)
        self.page.wait_for_selector("#bar button")

    def show(self, *events: DeskEvent) -> None:
        """Feed events and wait until the page has taken what came of them."""
        taken = int(self.page.evaluate("document.body.dataset.taken ?? 0"))
        self.terminal.feed(*events)
        self.page.wait_for_function("taken => Number(document.body.dataset.taken ?? 0) > taken", arg=taken)

    def wait_for_pictures(self) -> None:
        """Wait until every picture that ends has come; the live one never does."""
        self.page.wait_for_function(
            """() => [...document.images].every((image) => image.src.includes(".mjpg") || (image.complete && image.src))"""
        )

    def press(self, key: str) -> None:
        """Touch what has this key."""
        self.page.click(f'[data-key="{key}"]')

    def text(self) -> str:
        return str(self.page.inner_text("body"))

    def everything(self) -> str:
        """All that a page can hold: its document with the values of its fields, storage, and address."""
        return str(
            self.page.evaluate(
                """() => [document.documentElement.outerHTML, ...[...document.querySelectorAll("input")].map((f) => f.value),
                  JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie, location.href,
                  String(history.length), document.title].join("\\n")"""
            )
        )

    def _note(self, message: ConsoleMessage) -> None:
        # The browser itself says so when the terminal is away; the page need not.
        if "net::ERR" not in message.text:
            self.complaints.append(message.text)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """A terminal that starts."""
    made = Terminal()
    yield made
    made.screen.stop()


@pytest.fixture
def watch(chromium: Browser, terminal: Terminal) -> Iterator[Callable[..., Watched]]:
    """Open the page: `watch(width, height)`, with `clock` to move its time on. A complaint of the browser fails the test."""
    contexts: list[BrowserContext] = []
    pages: list[Watched] = []

    def make(width: int = 800, height: int = 480, *, clock: bool = False, **options: object) -> Watched:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
        context.set_default_timeout(15_000)
        contexts.append(context)
        if clock:
            context.clock.install()
        pages.append(Watched(context.new_page(), terminal))
        pages[-1].open()
        return pages[-1]

    yield make
    for context in contexts:
        context.close()
    for page in pages:
        assert page.complaints == []
        assert page.hosts == {f"127.0.0.1:{terminal.screen.port}"}
