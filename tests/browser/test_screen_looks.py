"""How every page looks in a real browser: sizes, contrast, what is touched, and that everything fits, in both languages."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect

from device.desk.events import (
    AnswerRefused,
    CaseStored,
    CodeRead,
    CommissioningMoved,
    CourierMoved,
    DateChecked,
    DeskEvent,
    MyStatusFound,
    MyStatusRefused,
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
from device.desk.state import Desk
from device.desk.tasks import STEPS, TASKS, Step, Task
from device.desk.view import (
    CheckRow,
    CommissioningView,
    CountsView,
    CourierView,
    MyStatusView,
    NameRow,
    Option,
    PackView,
    PhotoCheckView,
    ResultView,
    SlipView,
    StaffWarning,
    Touch,
    TouchKind,
)
from device.session.acquiring import CLAIM_LINES
from device.session.commands import Line
from device.vision.frame import Frame
from protocol.cases import PhotoRole
from protocol.challenge import Action
from protocol.commissioning import CommissioningCheck, Part, Question, sentence
from protocol.outcomes import Outcome
from protocol.rules.obligations import CertificationState
from protocol.shipped_packs import shipped_pack
from protocol.staff import Role

pytestmark = pytest.mark.browser

MEASURE = (Path(__file__).parent / "measure.js").read_text(encoding="utf-8")
SIZES = {"small": (800, 480), "wide": (1024, 600), "large": (1280, 800)}
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
COUNTS = StandingCame(CountsView(1234, 1187, 2, pictures_waiting=14, pictures_refused=3), tuple(StaffWarning))
LONGEST_PROBLEM = Line.OFFLINE_LIMIT.value


PACKS = tuple(
    PackView(pack.title.zh, pack.title.en, "due", UNTIL, cycle, numbers)
    for pack, cycle, numbers in (
        (shipped_pack("LZ-2019"), "half_years", (("gap", 3),)),
        (
            shipped_pack("HZ-2020"),
            "annual_window",
            (("opens_month", 11), ("opens_day", 1), ("closes_month", 12), ("closes_day", 20)),
        ),
        (shipped_pack("SX-2018"), "rolling", (("months", 12),)),
    )
)


def standing(state: str) -> MyStatusFound:
    """The answer to somebody under three packs; to somebody unknown, whom to ask."""
    is_known = state != "unknown"
    status = MyStatusView(
        state=state,
        due=UNTIL if is_known else None,
        next_from=date(2027, 9, 15) if state == "certified" else None,
        as_of=date(2026, 11, 28),
        packs=PACKS if is_known else (),
        help_line="400-900-4889",
    )
    return MyStatusFound(status, Line(f"status_{state}"))


def row(part: Part, status: Any, reason: str, /, **facts: float | str) -> CheckRow:
    found = CommissioningCheck(part=part, status=status, is_required=True, reason=reason, facts=facts)
    return CheckRow(part, status, status != "passed", sentence(found, "zh"), sentence(found, "en"))


ROWS = (
    row(Part.SEAT, "passed", "good", distance=61.0, height=4.0),
    row(Part.KEYS, "failed", "not_in_force", begins="2026-11-02", ends="2026-11-28"),
    row(
        Part.NETWORK,
        "failed",
        "no_door",
        host="terminals.fleet.example.gov.cn:8443",
        what="certificate verify failed " * 5,
    ),
    row(Part.CAMERA, "failed", "error", what=("camera: no frame for 5.0 s, was opened again; " * 5)[:200]),
    row(Part.FOCUS, "failed", "blurred", sharpness=0.06, least=0.12),
    row(Part.CLOCK, "failed", "battery_wrong", drift=12.0),
    row(Part.RING_LEFT, "skipped", "needs", part="seat"),
)


def told(view: CommissioningView, problem: str | None = None) -> CommissioningMoved:
    return CommissioningMoved(view, problem)


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
    early = ResultView("certified", UNTIL, SLIP, next_from=date(2027, 9, 15), is_early=True)
    yield (
        "result-certified-early",
        (FREE, busy("one_moment"), ResultCame(early), ServiceMoved(Service.REPORTING, line="certified_early")),
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
    yield "my_status-number", (FREE, touch(TouchKind.ASK))
    yield "my_status-refused", (FREE, touch(TouchKind.ASK), MyStatusRefused(Line.OFFLINE_LIMIT))
    for state in (*CertificationState, "unknown"):
        yield f"my_status-{state}", (FREE, touch(TouchKind.ASK), standing(state))
    checked = (FREE, WORKER, touch(TouchKind.TASK, Task.COMMISSION))
    yield "check-ready", checked
    yield "check-not_now", (*checked, touch(TouchKind.CONFIRM), told(CommissioningView("ready"), "check_not_now"))
    for question in Question:
        yield f"check-{question}", (*checked, touch(TouchKind.CONFIRM), told(CommissioningView("running", question)))
    asked = (*checked, touch(TouchKind.CONFIRM), told(CommissioningView("running", Question.TARGET, ROWS)))
    yield "check-somebody-came", (*asked, CodeRead("12"))
    for row in ROWS:
        yield (
            f"check-running-{row.part}",
            (*checked, touch(TouchKind.CONFIRM), told(CommissioningView("running", rows=(row,)))),
        )
        view = CommissioningView("done", rows=(row,), is_simulated=True)
        yield f"check-done-{row.part}", (*checked, touch(TouchKind.CONFIRM), told(view))
    yield (
        "check-passed",
        (*checked, touch(TouchKind.CONFIRM), told(CommissioningView("done", rows=ROWS[:1], has_passed=True))),
    )
    failed = CommissioningView("failed", rows=ROWS)
    yield "check-failed", (*checked, touch(TouchKind.CONFIRM), told(failed, "check_failed"))
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
            role = STEPS[step].role
            assert role is not None
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
            for problem in ("stick_part_refused", "stick_roster_refused"):
                yield f"-{problem}", (two, CourierMoved(CourierView("done", 1234, 1187, 1234), problem))
        case _:
            yield "", ()


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
            assert rule.role is not None
            return (touch(TouchKind.TAKE), PhotoTaken(rule.role, _checks(step)), touch(TouchKind.KEEP))
        case "date":
            return (DateChecked(date(2026, 11, 28)),)
        case "confirm":
            return (touch(TouchKind.CONFIRM),)
        case _:
            return ()


SCENES: dict[str, tuple[DeskEvent, ...]] = {
    name: events for some in (pages(), sessions(), steps()) for name, events in some
}


@pytest.fixture
def picture(terminal: Any) -> Iterator[None]:
    """Somebody before the camera, and a picture that was taken."""
    pixels = np.full((480, 640, 3), (110, 130, 140), np.uint8)
    cv2.ellipse(pixels, (320, 250), (90, 125), 0, 0, 360, (226, 188, 160), -1)
    terminal.screen.show_photo(cv2.imencode(".jpg", pixels[:, :, ::-1])[1].tobytes())
    stopping = threading.Event()

    def play() -> None:
        number = 0
        while not stopping.wait(0.1):
            number += 1
            terminal.finder.show(Frame(pixels, number, number))

    thread = threading.Thread(target=play)
    thread.start()
    yield
    stopping.set()
    thread.join()


@pytest.mark.usefixtures("picture")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_can_be_read_and_touched_and_fits(
    language: str, size: str, terminal: Any, watch: Callable[..., Any], tmp_path: Path
) -> None:
    folder = Path(os.environ.get("LIFECERT_SCREENSHOTS", tmp_path)) / f"{language}-{size}"
    folder.mkdir(parents=True, exist_ok=True)
    terminal.feed()
    shown = watch(*SIZES[size], reduced_motion="reduce" if size == "large" else "no-preference")
    wrong: dict[str, list[str]] = {}
    for name, events in SCENES.items():
        terminal.desk = Desk(usual=language, language=language)
        shown.show(*events)
        shown.wait_for_pictures()
        found = shown.page.evaluate(MEASURE)
        if found:
            wrong[name] = found
        shown.page.screenshot(path=folder / f"{name}.png")
    assert not wrong, "\n".join(f"{name}: {what}" for name, found in wrong.items() for what in found)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_is_typed_fits_with_letters_and_digits(
    language: Any, size: str, terminal: Any, watch: Callable[..., Any]
) -> None:
    terminal.desk = Desk(usual=language, language=language)
    terminal.feed(FREE, touch(TouchKind.BEGIN))
    shown = watch(*SIZES[size], clock=True)
    wrong: list[str] = []

    def press(*keys: str) -> None:
        for key in keys:
            shown.press(key)
        wrong.extend(f"{keys[-1]}: {what}" for what in shown.page.evaluate(MEASURE))

    press(*"99999919410305001X")
    # One line: digits that are read aloud in groups are not to be hunted for.
    assert shown.page.locator(".typed").evaluate("(one) => one.getClientRects().length") == 1
    assert shown.page.locator(".typed").bounding_box()["height"] < 60 * SIZES[size][1] / 480
    # Covered when nobody has touched it for a while.
    shown.page.clock.fast_forward(4_000)
    expect(shown.page.locator(".typed")).to_contain_text("*" * 8, timeout=12_000)
    wrong.extend(f"covered: {what}" for what in shown.page.evaluate(MEASURE))
    press("kind")
    press("passport")
    press(*"GBR")
    press(*"512345678")
    press("letters", "A")
    press("digits", "cancel", "staff", "letters")
    press(*"ABCDEFGHIJKL")
    initials = tuple("王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董")
    shown.show(WORKER, touch(TouchKind.TASK, Task.CERTIFY), NamesFound(NAMES, has_more=True, initials=initials))
    press("by_initial", "more_initials")
    shown.show(touch(TouchKind.CANCEL), COUNTS, touch(TouchKind.TASK, Task.STATUS), COUNTS)
    press("more_warnings")
    assert shown.page.locator("#page li").count() == len(StaffWarning) % 6
    assert not wrong, "\n".join(wrong)
