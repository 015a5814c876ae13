"""The page in a real browser, before the real server and the real desk: every page that can be shown, and what people do there."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from demo.people import LIANG
from device.desk.commands import DeskCommand, PressButton
from device.desk.events import (
    AnswerRefused,
    CaseStored,
    CourierMoved,
    DateChecked,
    DeskEvent,
    DeskTimer,
    DeskTimerExpired,
    NamesFound,
    OptionsFound,
    PersonFound,
    PhotoFailed,
    PhotoTaken,
    ProxyFound,
    ResultCame,
    Service,
    ServiceMoved,
    SignedIn,
    SignInRefused,
    SlipChecked,
    StandingCame,
    Touched,
    WitnessFound,
)
from device.desk.machine import advance
from device.desk.state import Desk, view_of
from device.desk.tasks import STEPS, TASKS, Step, Task
from device.desk.view import (
    CountsView,
    CourierView,
    Language,
    NameRow,
    Option,
    PhotoCheckView,
    ResultView,
    SlipView,
    StaffWarning,
    Touch,
    TouchKind,
    View,
)
from device.screen.server import WebScreen
from device.screen.viewfinder import LatestFrame
from device.session.acquiring import CLAIM_LINES
from device.session.commands import Line
from device.vision.frame import Frame
from protocol.cases import PhotoRole
from protocol.challenge import Action
from protocol.outcomes import Outcome
from protocol.staff import Role

pytestmark = pytest.mark.browser

PICTURE = cv2.imencode(".jpg", np.zeros((6, 8, 3), np.uint8))[1].tobytes()
FRAME = Frame(np.zeros((480, 640, 3), np.uint8), 1, 1)
NUMBER = LIANG.number
UNTIL = date(2027, 11, 28)
SLIP = "LCS1:" + "6BF2 $%*+-./:0A" * 30
WORKER = SignedIn("w-1", "Wang Xiulan", tuple(Role))
NAMES = tuple(
    NameRow(place, name, 1930 + place, "Dongshan Village, East")
    for place, name in enumerate(
        (
            "王桂英",
            "李秀珍",
            "欧阳玉梅",
            "张德福",
            "买买提·艾合买提",
            "Margaret Elizabeth Featherstone",
            "𠮷田",
            "陈淑芳",
        )
    )
)
PLACES = tuple(Option(f"p-{number}", f"东山县第{number}村民委员会") for number in range(1, 24))
FREE = ServiceMoved(Service.FREE, line="welcome")
COUNTS = StandingCame(CountsView(1234, 1187, 2), tuple(StaffWarning))
LONGEST_PROBLEM = Line.OFFLINE_LIMIT.value


def touch(kind: TouchKind, value: str = "") -> Touched:
    return Touched(Touch(kind, value))


def busy(line: str, action: str | None = None, *, is_seen: bool = True) -> ServiceMoved:
    return ServiceMoved(Service.BUSY, line=line, action=action, is_seen=is_seen)


def sessions() -> Iterator[tuple[str, tuple[DeskEvent, ...]]]:
    """Pages of a session: every line that can be said with the picture, every action, every outcome."""
    # Lines after the outcomes begin belong to other pages.
    for line in list(Line)[list(Line).index(Line.LOOK_HERE) : list(Line).index(Line.ONE_MOMENT)]:
        action = line.value if line.value in set(Action) else None
        yield f"session-{line}", (FREE, busy(line.value, action))
    yield "session-comparing", (FREE, busy("one_moment", is_seen=False))
    for outcome in Outcome:
        until = UNTIL if outcome is Outcome.CERTIFIED else None
        for slip in (SLIP, None):
            yield (
                f"result-{outcome}{'' if slip else '-without-slip'}",
                (
                    FREE,
                    busy("one_moment"),
                    ResultCame(ResultView(outcome.value, until, slip)),
                    ServiceMoved(Service.REPORTING, line=outcome.value),
                ),
            )
    yield "result-not_stored", (FREE, busy("one_moment"), ServiceMoved(Service.REPORTING, line="not_stored"))


def pages() -> Iterator[tuple[str, tuple[DeskEvent, ...]]]:
    """Pages without a session."""
    yield "starting", ()
    yield "idle", (FREE, COUNTS)
    for line in sorted(CLAIM_LINES.values()):
        yield f"idle-{line}", (FREE, COUNTS, ServiceMoved(Service.FREE, line=line.value))
    yield "number", (FREE, touch(TouchKind.BEGIN))
    yield (
        "number-refused",
        (
            FREE,
            touch(TouchKind.BEGIN),
            touch(TouchKind.NUMBER, "1"),
            ServiceMoved(Service.FREE, line=LONGEST_PROBLEM),
        ),
    )
    yield "working", (FREE, touch(TouchKind.BEGIN), touch(TouchKind.NUMBER, "1"))
    yield "sign_in", (FREE, touch(TouchKind.SIGN_IN))
    yield "sign_in-refused", (FREE, touch(TouchKind.SIGN_IN), SignInRefused("pin_wrong"))
    yield "sign_in-locked", (FREE, touch(TouchKind.SIGN_IN), SignInRefused("sign_in_locked", 300))
    yield "menu", (FREE, WORKER, COUNTS)
    yield "status", (FREE, WORKER, COUNTS, touch(TouchKind.TASK, Task.STATUS), COUNTS)
    yield "status-quiet", (FREE, WORKER, touch(TouchKind.TASK, Task.STATUS), StandingCame(CountsView(0, 0), ()))
    yield "slip", (FREE, SlipChecked(SlipView("valid", "certified", UNTIL)))
    yield "slip-over", (FREE, SlipChecked(SlipView("certification_over", "certified", UNTIL)))
    yield "slip-review", (FREE, SlipChecked(SlipView("valid", "review")))
    yield "slip-foreign", (FREE, SlipChecked(SlipView("other_fleet")))
    yield "out_of_order", (FREE, ServiceMoved(Service.OUT_OF_ORDER, line="out_of_order"))


def steps() -> Iterator[tuple[str, tuple[DeskEvent, ...]]]:
    """Every step of every task, and the states that a step goes through."""
    for task, rule in TASKS.items():
        so_far: tuple[DeskEvent, ...] = (FREE, WORKER, COUNTS, touch(TouchKind.TASK, task))
        for step in rule.steps:
            name = f"{task}-{step}"
            for state, events in _states(step):
                yield f"{name}{state}", (*so_far, *events)
            so_far += _answer(step)
        if rule.case is not None:
            yield f"{task}-done", (*so_far, CaseStored())


def _states(step: Step) -> Iterator[tuple[str, tuple[DeskEvent, ...]]]:
    match STEPS[step].kind:
        case "person":
            yield "", ()
            yield "-refused", (AnswerRefused("card_foreign"),)
            if step is Step.PERSON:
                yield "-names", (NamesFound(NAMES, has_more=True),)
                yield "-names-refused", (NamesFound(NAMES, has_more=True), AnswerRefused("card_expired"))
        case "place":
            yield "-receiver", (OptionsFound((Option("receiver"), Option("none"))),)
            yield "-many", (OptionsFound(PLACES),)
        case "witness":
            yield "", ()
            yield "-refused", (AnswerRefused("witness_is_worker"),)
        case "photo":
            role = role_of(step)
            yield "", ()
            yield "-taking", (touch(TouchKind.TAKE),)
            yield "-taken", (touch(TouchKind.TAKE), PhotoTaken(role, _checks(step)))
            yield "-failed", (touch(TouchKind.TAKE), PhotoFailed(role, "camera_lost"))
        case "date":
            yield "", ()
            yield "-refused", (AnswerRefused("date_unreadable"),)
        case "stick":
            yield "-none", (OptionsFound(()),)
            two = OptionsFound((Option("/media/a", "LIFECERT-2026-NORTH"), Option("/media/b", "STICK")))
            yield "-two", (two,)
            yield "-running", (two, CourierMoved(CourierView("running", 480, 12, 1234)))
            yield "-done", (two, CourierMoved(CourierView("done", 1234, 1187, 1234)))
            yield "-failed", (two, CourierMoved(CourierView("failed"), "stick_removed"), two)
        case _:
            yield "", ()


def role_of(step: Step) -> PhotoRole:
    role = STEPS[step].role
    assert role is not None
    return role


def _checks(step: Step) -> tuple[PhotoCheckView, ...]:
    most = ("resolution", "bytes", "one_face", "face_quality", "white_ground", "same_face")
    few = ("resolution", "bytes")
    names = few if STEPS[step].role is PhotoRole.AUTHORITY else most
    return tuple(PhotoCheckView(name, name != "white_ground") for name in names)


def _answer(step: Step) -> tuple[DeskEvent, ...]:
    rule = STEPS[step]
    match rule.kind:
        case "person":
            return (PersonFound("欧阳玉梅") if step is Step.PERSON else ProxyFound(),)
        case "choice":
            return (touch(TouchKind.CHOOSE, rule.options[0]),)
        case "place":
            return (OptionsFound(PLACES), touch(TouchKind.CHOOSE, PLACES[0].code))
        case "witness":
            return (WitnessFound(None),)
        case "photo":
            return (touch(TouchKind.TAKE), PhotoTaken(role_of(step), _checks(step)), touch(TouchKind.KEEP))
        case "date":
            return (DateChecked(date(2026, 11, 28)),)
        case "confirm":
            return (touch(TouchKind.CONFIRM),)
        case _:
            return ()


QUIET = DeskTimerExpired(DeskTimer.QUIET)
SCENES: dict[str, tuple[DeskEvent, ...]] = {
    name: events for some in (pages(), sessions(), steps()) for name, events in some
}


class Terminal:
    """A terminal whose desk is fed by a test; what is touched reaches the desk, what the desk asks for is noted."""

    def __init__(self) -> None:
        self.finder = LatestFrame()
        self.screen = WebScreen(0, self.finder)
        self.touches: list[Touch] = []
        self.commands: list[DeskCommand] = []
        self.desk = Desk()
        self._lock = threading.Lock()
        self._arrived = threading.Condition()
        self.screen.start(self._touch)
        self.screen.show(view_of(self.desk))

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
            self.finder.show(FRAME)
            return view

    def begin_anew(self, language: Language) -> None:
        """Be a terminal that has just started and whose usual language this is."""
        with self._lock:
            self.desk = Desk(usual=language, language=language)
            self.screen.show(view_of(self.desk))

    def wait_for_touch(self, kind: TouchKind) -> None:
        """Wait until something was touched."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: any(touch.kind is kind for touch in self.touches), timeout=15)

    def restart(self) -> None:
        """Stop and start on the same port, with a desk that knows nothing."""
        port = self.screen.port
        self.screen.stop()
        self.desk = Desk()
        self.screen = WebScreen(port, self.finder)
        self.screen.start(self._touch)

    def touched(self, kind: TouchKind) -> list[str]:
        """Values of the touches of a kind so far."""
        return [touch.value for touch in self.touches if touch.kind is kind]

    def _touch(self, touch: Touch) -> None:
        self.feed(Touched(touch))
        with self._arrived:
            self.touches.append(touch)
            self._arrived.notify_all()


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
        """Feed events and wait until the page has drawn what came of them."""
        drawn = int(self.page.evaluate("document.body.dataset.drawn ?? 0"))
        self.terminal.feed(*events)
        self.page.wait_for_function("drawn => Number(document.body.dataset.drawn ?? 0) > drawn", arg=drawn)

    def begin_anew(self, language: Language) -> None:
        """Show a terminal that has just started."""
        drawn = int(self.page.evaluate("document.body.dataset.drawn ?? 0"))
        self.terminal.begin_anew(language)
        self.page.wait_for_function("drawn => Number(document.body.dataset.drawn ?? 0) > drawn", arg=drawn)

    def wait_for_pictures(self) -> None:
        """Wait until everything is drawn but the live picture, which never ends."""
        self.page.wait_for_function(
            """() => [...document.images].every((one) => one.src.includes(".mjpg") || (one.complete && one.naturalWidth > 0))"""
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
    """Open the terminal's page: `watch(width, height)`; whatever the browser complains about fails the test."""
    contexts: list[BrowserContext] = []
    pages: list[Watched] = []

    def make(width: int = 800, height: int = 480, **options: object) -> Watched:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
        context.set_default_timeout(15_000)
        contexts.append(context)
        pages.append(Watched(context.new_page(), terminal))
        pages[-1].open()
        return pages[-1]

    yield make
    for context in contexts:
        context.close()
    for page in pages:
        assert page.complaints == []
        assert page.hosts == {f"127.0.0.1:{terminal.screen.port}"}


FAULTS = """
() => {
    const faults = [];
    const seen = (e) => { const b = e.getBoundingClientRect(); return b.width > 0 && b.height > 0 && !e.closest(".unseen"); };
    const name = (e) => `${e.localName}.${e.className} ${e.dataset.key ?? ""} "${e.textContent.slice(0, 24)}"`;
    const rgb = (text) => (text.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
    const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => (v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4));
        return .2126 * x + .7152 * y + .0722 * z;
    };
    const ground = (e) => {
        for (let at = e; at; at = at.parentElement) {
            const found = rgb(getComputedStyle(at).backgroundColor);
            if (found.length === 3 || found[3] === 1) return found;
        }
        return [255, 255, 255];
    };
    const root = document.documentElement;
    if (root.scrollWidth > innerWidth || root.scrollHeight > innerHeight) faults.push("the page is larger than the screen");
    for (const e of document.body.querySelectorAll("*")) {
        if (!seen(e)) continue;
        const box = e.getBoundingClientRect(), style = getComputedStyle(e);
        const isOff = box.left < -1 || box.top < -1 || box.right > innerWidth + 1 || box.bottom > innerHeight + 1;
        if (isOff) faults.push(`off the screen: ${name(e)}`);
        const says = [...e.childNodes].some((c) => c.nodeType === Node.TEXT_NODE && c.data.trim());
        if (says) {
            if (parseFloat(style.fontSize) < 28) faults.push(`small text: ${name(e)} ${style.fontSize}`);
            const [a, b] = [light(rgb(style.color)), light(ground(e))].sort((x, y) => y - x);
            if ((a + .05) / (b + .05) < 7) faults.push(`little contrast: ${name(e)} ${((a + .05) / (b + .05)).toFixed(1)}`);
            const isShortened = style.textOverflow === "ellipsis";
            const isCut = e.scrollWidth > e.clientWidth + 2 || e.scrollHeight > e.clientHeight + 4;
            if (isCut && !isShortened && style.display !== "inline") faults.push(`cut off: ${name(e)}`);
        }
        if (e.localName !== "button") continue;
        const isLarge = ["repeat", "cancel", "begin"].includes(e.dataset.key);
        const isSmall = Math.round(box.height) < (isLarge ? 96 : 56) || Math.round(box.width) < 56;
        if (isSmall) faults.push(`small: ${name(e)} ${box.width}x${box.height}`);
    }
    const main = document.getElementById("page").firstElementChild;
    for (const e of main ? [main, ...main.querySelectorAll(".left, .words, .beside, .names, .options, .side")] : []) {
        if (e.scrollHeight > e.clientHeight + 2 || e.scrollWidth > e.clientWidth + 2) faults.push(`does not fit: ${name(e)}`);
        const kids = [...e.children].filter((one) => seen(one) && !one.matches(".symbol"));
        kids.forEach((one, at) => kids.slice(at + 1).forEach((other) => {
            const [p, q] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
            const across = Math.min(p.right, q.right) - Math.max(p.left, q.left);
            const down = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
            if (across > 2 && down > 2) faults.push(`one over the other: ${name(one)} / ${name(other)}`);
        }));
    }
    return faults;
}
"""
"""What is wrong with how a page stands on the screen: sizes in CSS pixels, contrast after WCAG 2.2 (1.4.6)."""


@pytest.mark.parametrize(("width", "height"), [(800, 480), (1280, 800)])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_fits_the_screen_and_can_be_read_and_touched(
    language: Language, width: int, height: int, watch: Callable[..., Watched], tmp_path: Path
) -> None:
    pictures = Path(os.environ.get("LIFECERT_SCREENSHOTS", tmp_path))
    watched = watch(width, height)
    watched.terminal.screen.show_photo(PICTURE)
    faults = []
    for name, events in SCENES.items():
        watched.begin_anew(language)
        watched.show(*events)
        watched.wait_for_pictures()
        faults += [f"{name}: {fault}" for fault in watched.page.evaluate(FAULTS)]
        watched.page.screenshot(path=pictures / f"{language}-{width}-{name}.png")
    assert "\n".join(faults) == ""


def test_an_attack_is_shown_like_any_session_that_did_not_certify(watch: Callable[..., Watched]) -> None:
    watched = watch()
    shown = []
    for outcome in (Outcome.NOT_CERTIFIED, Outcome.PRESENTATION_ATTACK):
        watched.begin_anew("zh")
        watched.show(*SCENES[f"result-{outcome}-without-slip"])
        shown.append(watched.page.inner_html("#page"))
    assert shown[0] == shown[1]
    assert "attack" not in watched.everything()


@pytest.mark.parametrize(("language", "until"), [("zh", "2027年11月28日"), ("en", "28 November 2027")])
def test_a_session_is_touched_through_and_leaves_nothing_behind(
    language: Language, until: str, watch: Callable[..., Watched], terminal: Terminal
) -> None:
    watched = watch()
    watched.show(FREE)
    if language == "en":
        watched.press("language")
    watched.press("begin")
    for digit in NUMBER:
        watched.press(digit)
    assert NUMBER[-4:] in watched.text()
    watched.press("ok")
    watched.page.wait_for_selector(".of-working")
    assert terminal.touched(TouchKind.NUMBER) == [NUMBER]
    watched.show(busy("turn_left", "turn_left"))
    assert watched.page.locator('img[src*="turn_left"]').count() == 1
    watched.press("repeat")
    watched.show(busy("one_moment", is_seen=False), ResultCame(ResultView("certified", UNTIL, SLIP)))
    watched.show(ServiceMoved(Service.REPORTING, line="certified"))
    assert until in watched.text()
    assert watched.page.locator(".slip img").count() == 1
    watched.show(FREE)
    left = watched.everything()
    for secret in (NUMBER, NUMBER[:6], until, SLIP[:20], "2027"):
        assert secret not in left
    assert PressButton("repeat") in terminal.commands


def test_whoever_typed_a_number_that_cannot_be_read_puts_it_right(watch: Callable[..., Watched]) -> None:
    watched = watch()
    watched.show(FREE)
    watched.press("begin")
    for digit in NUMBER[:5]:
        watched.press(digit)
    watched.press("ok")
    watched.page.wait_for_selector(".of-working")
    watched.show(ServiceMoved(Service.FREE, line="claim_unreadable"))
    assert NUMBER[:5] in watched.text()
    watched.press("cancel")
    watched.page.wait_for_selector(".of-idle")
    assert NUMBER[:5] not in watched.everything()


def test_without_the_terminal_the_page_shows_nobody_and_comes_back_by_itself(
    watch: Callable[..., Watched], terminal: Terminal
) -> None:
    watched = watch()
    watched.show(*SCENES["visit-person-names"])
    assert NAMES[0].name in watched.text()
    terminal.restart()
    watched.page.wait_for_selector(".of-covered, .of-starting")
    assert NAMES[0].name not in watched.everything()
    terminal.feed(FREE)
    watched.page.wait_for_selector(".of-idle")


def test_a_page_that_is_loaded_anew_shows_what_is_going_on(watch: Callable[..., Watched]) -> None:
    watched = watch()
    watched.show(FREE, busy("look_up", "look_up"))
    watched.page.reload()
    watched.page.wait_for_selector('[data-key="action look_up"]')


def test_a_session_can_be_begun_and_cancelled_with_keys_alone(
    watch: Callable[..., Watched], terminal: Terminal
) -> None:
    watched = watch()
    watched.show(FREE)
    watched.page.wait_for_selector("body:not(.settling)")
    watched.page.keyboard.press("Enter")
    watched.page.wait_for_selector(".of-number")
    watched.page.keyboard.type(NUMBER)
    watched.page.keyboard.press("Enter")
    watched.page.wait_for_selector(".of-working")
    assert terminal.touched(TouchKind.NUMBER) == [NUMBER]
    watched.show(busy("look_here"))
    watched.page.keyboard.press("Escape")
    terminal.wait_for_touch(TouchKind.CANCEL)
    assert PressButton("cancel") in terminal.commands


def test_what_is_said_is_told_to_screen_readers(watch: Callable[..., Watched]) -> None:
    watched = watch()
    watched.show(FREE, busy("turn_right", "turn_right"))
    live = watched.page.locator("[aria-live]")
    assert live.inner_text() == watched.page.inner_text("h1")


def test_nothing_moves_for_whoever_wants_no_motion(watch: Callable[..., Watched]) -> None:
    watched = watch(reduced_motion="reduce")
    watched.show(FREE, busy("turn_right", "turn_right"))
    watched.page.wait_for_function(
        "() => document.querySelector('.action img').currentSrc.endsWith('turn_right_still.svg')"
    )


def test_a_signed_in_operator_takes_a_picture(watch: Callable[..., Watched], terminal: Terminal) -> None:
    watched = watch()
    watched.show(*SCENES["special-photo_identity_card"])
    assert watched.page.locator(".picture").count() == 1
    terminal.screen.show_photo(PICTURE)
    watched.press("take")
    terminal.wait_for_touch(TouchKind.TAKE)
    watched.show(PhotoTaken(PhotoRole.IDENTITY_CARD, (PhotoCheckView("resolution", passed=True),)))
    watched.page.wait_for_function("() => document.querySelector('[data-key=taken] img')?.naturalWidth === 8")
    watched.press("keep")
    terminal.wait_for_touch(TouchKind.KEEP)
    watched.page.wait_for_selector("[data-key=none], [data-key=picture]")
    assert watched.page.locator("[data-key=taken]").count() == 0
