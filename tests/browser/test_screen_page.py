"""The page in a real browser: what it shows of a session, what a touch says, and that nothing about anybody stays."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Error, Page, Route, expect

from device.desk.commands import AskMyStatus, BeginByCode, KeepPhoto, PressButton, SignIn
from device.desk.events import (
    AnswerRefused,
    MyStatusFound,
    NamesFound,
    OptionsFound,
    PersonFound,
    PhotoTaken,
    ResultCame,
    Service,
    ServiceMoved,
    SignedIn,
    SignInRefused,
    StandingCame,
    Touched,
)
from device.desk.state import Desk, view_of
from device.desk.tasks import Task
from device.desk.view import (
    CountsView,
    MyStatusView,
    NameRow,
    Option,
    PackView,
    PhotoCheckView,
    ResultView,
    StaffWarning,
    Touch,
    TouchKind,
)
from device.screen import server
from device.session.commands import Line
from device.vision.frame import Frame
from protocol.cases import PhotoRole
from protocol.documents import check_digit
from protocol.outcomes import Outcome
from protocol.shipped_packs import shipped_pack
from protocol.staff import Role

pytestmark = pytest.mark.browser

UNTIL = date(2027, 11, 28)
FREE = ServiceMoved(Service.FREE, line="welcome")
WORKER = SignedIn("w-1", "Wang", tuple(Role))
NUMBER = "99999919410305001"
NUMBER += check_digit(NUMBER)
PIN = "918273"
NAME = "Featherstone"
RESTLESS_FINGER = """async ([x, y]) => {
  const comesDown = () => document.elementFromPoint(x, y).click();
  const isNext = () => document.querySelector("[data-key=counter]") !== null;
  for (let times = 0; times < 3; times += 1) comesDown();
  await new Promise((go, fail) => {
    setTimeout(() => fail(new Error("no next question")), 15_000);
    const seen = new MutationObserver(() => isNext() && (seen.disconnect(), go()));
    seen.observe(document.body, { childList: true, subtree: true });
  });
  comesDown();
}"""
"""Comes down three times at once, and again at the moment at which the next question stands: however long the computer takes for it."""
SAID = {
    "zh": {
        "welcome": "您好，请刷身份证或输入身份证号码。",
        "look_here": "请看着摄像头。",
        "turn_left": "请慢慢向左转头。",
        "certified": "认证成功",
        "until": "认证有效至2027年11月28日",
        "next": "不用再办什么，谢谢您。",
    },
    "en": {
        "welcome": "Hello. Please present your identity card or enter its number.",
        "look_here": "Please look at the camera.",
        "turn_left": "Please turn your head slowly to your left.",
        "certified": "You are certified",
        "until": "Certified until 28\u00a0November\u00a02027",
        "next": "There is nothing more to do. Thank you.",
    },
}


def busy(line: str, action: str | None = None, *, is_seen: bool = True) -> ServiceMoved:
    return ServiceMoved(Service.BUSY, line=line, action=action, is_seen=is_seen)


def result(outcome: Outcome, until: date | None = None) -> tuple[Any, ...]:
    return (
        FREE,
        busy("one_moment", is_seen=False),
        ResultCame(ResultView(outcome.value, until, "LCS1:0123456789")),
        ServiceMoved(Service.REPORTING, line=outcome.value),
    )


def task(of: Task) -> Touched:
    return Touched(Touch(TouchKind.TASK, of))


def is_frame_drawn(terminal: Any, page: Page) -> bool:
    # A browser draws a frame when the next one begins.
    terminal.finder.show(Frame(np.full((480, 640, 3), 90, np.uint8), 1, 1))
    return bool(page.evaluate("document.querySelector('.picture img').naturalWidth > 0"))


def type_in(shown: Any, text: str) -> None:
    for character in text:
        shown.press(character)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_session_is_shown_from_the_first_touch_to_the_idle_page(
    language: str, terminal: Any, watch: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    words = SAID[language]
    terminal.feed(FREE)
    shown = watch()
    page = shown.page
    if language == "en":
        shown.press("language")
    expect(page.locator("h1")).to_have_text(words["welcome"])
    shown.press("begin")
    type_in(shown, NUMBER)
    expect(page.locator(".typed")).to_have_text(f"{NUMBER[:6]} {NUMBER[6:14]} {NUMBER[14:]}")
    shown.press("ok")
    expect(page.locator("#page.of-working")).to_be_visible()
    assert BeginByCode(NUMBER) in terminal.commands
    terminal.feed(busy("look_here"))
    expect(page.locator("h1")).to_have_text(words["look_here"])
    expect(page.locator("#said")).to_have_text(words["look_here"])
    expect(page.locator(".picture.oval img")).to_be_visible()
    eventually(lambda: terminal.finder.is_watched, "the live picture to be asked for")
    eventually(lambda: is_frame_drawn(terminal, page), "a frame")
    terminal.feed(busy("turn_left", "turn_left"))
    expect(page.locator("h1")).to_have_text(words["turn_left"])
    expect(page.locator(".action img")).to_have_attribute("src", "/static/turn_left.svg")
    shown.press("repeat")
    eventually(lambda: PressButton("repeat") in terminal.commands, "the repeat button")
    terminal.feed(
        ResultCame(ResultView("certified", UNTIL, "LCS1:0123456789")),
        ServiceMoved(Service.REPORTING, line="certified"),
    )
    expect(page.locator(".result.green h1")).to_have_text(words["certified"])
    expect(page.locator(".until")).to_have_text(words["until"])
    expect(page.locator(".next")).to_have_text(words["next"])
    expect(page.locator("#said")).to_contain_text(words["until"])
    page.wait_for_function("() => document.querySelector('.slip img').naturalWidth > 0")
    eventually(lambda: not terminal.finder.is_watched, "the live picture to be let go")
    terminal.feed(FREE)
    expect(page.locator("#page.of-idle")).to_be_visible()
    left = shown.everything()
    assert NUMBER not in left
    assert NUMBER[6:14] not in left
    assert "2027" not in left
    assert words["certified"] not in left


def test_a_session_is_cancelled_by_touch_and_by_escape(
    terminal: Any, watch: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    terminal.feed(FREE, busy("look_here"))
    shown = watch()
    shown.press("cancel")
    eventually(lambda: terminal.commands.count(PressButton("cancel")) == 1, "the touch")
    # Sooner it would be the same finger.
    now = shown.page.evaluate("performance.now()")
    shown.page.wait_for_function("at => performance.now() > at", arg=now + 400)
    shown.page.keyboard.press("Escape")
    eventually(lambda: terminal.commands.count(PressButton("cancel")) == 2, "the key")


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_its_colour_and_its_symbol(
    outcome: Outcome, terminal: Any, watch: Callable[..., Any]
) -> None:
    colours = {"certified": "green", "review": "blue", "time_uncertain": "blue", "cancelled": "grey"}
    colour = colours.get(outcome, "amber")
    terminal.feed(*result(outcome))
    shown = watch()
    expect(shown.page.locator(f".result.{colour} .symbol")).to_have_attribute("src", f"/static/{colour}.svg")


def test_an_attack_looks_and_sounds_like_any_other_that_was_not_certified(
    terminal: Any, watch: Callable[..., Any]
) -> None:
    pages = []
    for outcome in (Outcome.NOT_CERTIFIED, Outcome.PRESENTATION_ATTACK):
        terminal.desk = Desk()
        terminal.feed(*result(outcome))
        pages.append(re.sub(r"\?n=\d+", "", watch().page.inner_html("body")))
    assert pages[0] == pages[1]


def test_a_result_goes_after_ten_seconds_though_the_terminal_says_nothing(
    terminal: Any, watch: Callable[..., Any]
) -> None:
    terminal.feed(*result(Outcome.CERTIFIED, UNTIL))
    shown = watch(clock=True)
    expect(shown.page.locator(".result")).to_be_visible()
    # As far as goes without a heartbeat: the rest is waited for.
    shown.page.clock.fast_forward(6_000)
    expect(shown.page.locator(".result")).to_be_visible()
    expect(shown.page.locator("#page.of-covered")).to_be_visible(timeout=6_000)
    assert "2027" not in shown.everything()
    assert "认证成功" not in shown.everything()
    # The same told again, with another lamp, is no news.
    shown.show(ServiceMoved(Service.REPORTING, lamp="attention"))
    expect(shown.page.locator("#page.of-covered")).to_be_visible()
    terminal.feed(FREE)
    expect(shown.page.locator("#page.of-idle")).to_be_visible()
    terminal.feed(*result(Outcome.REVIEW))
    expect(shown.page.locator(".result.blue")).to_be_visible()


def test_a_terminal_that_goes_away_leaves_nothing_on_the_screen_and_is_found_again(
    terminal: Any, watch: Callable[..., Any]
) -> None:
    terminal.feed(FREE, WORKER, task(Task.CERTIFY), NamesFound((NameRow(0, NAME, 1930, None),), has_more=False))
    shown = watch()
    shown.page.fill("input", NAME[:4])
    expect(shown.page.locator(".name")).to_contain_text(NAME)
    terminal.screen.stop()
    expect(shown.page.locator("#page.of-covered")).to_be_visible()
    left = shown.everything()
    assert NAME[:4] not in left
    assert "Wang" not in left
    assert shown.page.locator("button").count() == 0
    terminal.restart()
    terminal.feed(FREE)
    expect(shown.page.locator("#page.of-idle")).to_be_visible()


def test_a_terminal_that_hangs_is_taken_for_one_that_went_away(
    terminal: Any, watch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_HEARTBEAT_S", 600.0)
    terminal.feed(FREE, WORKER)
    shown = watch(clock=True)
    expect(shown.page.locator("#page.of-menu")).to_be_visible()
    shown.page.evaluate(
        """() => {
          window.wasCovered = false;
          const note = () => { window.wasCovered ||= document.getElementById("page").className === "of-covered"; };
          new MutationObserver(note).observe(document.body, { subtree: true, childList: true, attributes: true });
        }"""
    )
    shown.page.clock.fast_forward(10_100)
    shown.page.wait_for_function("() => window.wasCovered")
    expect(shown.page.locator("#page.of-menu")).to_be_visible()


def test_a_page_that_hangs_is_missed_and_heard_of_again(
    terminal: Any, watch: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    terminal.feed(FREE)
    shown = watch()
    eventually(lambda: terminal.screen.is_watched, "the page")
    shown.page.evaluate(
        "setTimeout(() => { for (const end = performance.now() + 4000; performance.now() < end; ); }, 0)"
    )
    # Twelve seconds on, for whoever waits: only what the page says from now on counts.
    terminal.screen._now_s = lambda: time.monotonic() + 12.0
    assert not terminal.screen.is_watched
    eventually(lambda: terminal.screen.is_watched, "the page, once it hangs no longer")


def test_a_page_that_crashes_is_missed_and_a_new_one_shows_where_the_terminal_is(
    terminal: Any, watch: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    terminal.feed(FREE, busy("look_here"))
    shown = watch()
    eventually(lambda: terminal.screen.is_watched, "the page")
    with shown.page.expect_event("crash"), contextlib.suppress(Error):
        shown.page.goto("chrome://crash", timeout=5_000)
    eventually(lambda: not terminal.screen.is_watched, "the page to be missed")
    eventually(lambda: not terminal.finder.is_watched, "the picture to be let go")
    terminal.feed(busy("look_up", "look_up"))
    again = watch()
    expect(again.page.locator("h1")).to_have_text("请慢慢抬头。")
    eventually(lambda: terminal.screen.is_watched, "the new page")


def test_a_page_that_is_loaded_anew_shows_where_the_terminal_is(terminal: Any, watch: Callable[..., Any]) -> None:
    terminal.feed(FREE, busy("look_up", "look_up"))
    shown = watch()
    shown.page.reload()
    expect(shown.page.locator("h1")).to_have_text("请慢慢抬头。")
    expect(shown.page.locator(".picture.oval")).to_be_visible()
    expect(shown.page.locator(".action")).to_be_visible()


def test_a_page_of_an_older_program_loads_the_new_one(terminal: Any, watch: Callable[..., Any]) -> None:
    terminal.feed(FREE)
    shown = watch()
    shown.page.evaluate("window.isOld = true")

    def newer(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text() + "\n/* newer */")

    shown.page.route("**/static/style.css", newer)
    terminal.restart()
    terminal.feed(FREE)
    shown.page.wait_for_function("() => window.isOld === undefined")
    expect(shown.page.locator("#page.of-idle")).to_be_visible()


@pytest.mark.parametrize(
    ("kind", "typed", "sent"),
    [
        (None, ["1", "1", "X"], "11X"),
        ("taiwan_permit", ["0", "1"], "taiwan_permit:01"),
        ("hk_macao_permit", ["letters", "H", "digits", "0", "7"], "hk_macao_permit:H07"),
        ("residence_permit", ["8", "X"], "residence_permit:8X"),
        ("passport", ["G", "B", "R", "5", "letters", "A", "delete", "Z"], "passport:GBR:5Z"),
        ("foreign_permanent_residence", ["9", "letters", "X"], "foreign_permanent_residence:9X"),
    ],
)
def test_numbers_of_every_kind_of_document_are_typed(
    kind: str | None,
    typed: list[str],
    sent: str,
    terminal: Any,
    watch: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    terminal.feed(FREE, Touched(Touch(TouchKind.BEGIN)))
    shown = watch()
    if kind is not None:
        shown.press("kind")
        shown.press(kind)
    for key in typed:
        shown.press(key)
    shown.press("ok")
    eventually(lambda: terminal.touched("number") == [sent], "the number")


def test_a_number_that_could_not_be_read_can_be_put_right_and_is_gone_when_somebody_leaves(
    terminal: Any, watch: Callable[..., Any]
) -> None:
    terminal.feed(FREE, Touched(Touch(TouchKind.BEGIN)))
    shown = watch()
    type_in(shown, NUMBER[:-1] + ("0" if NUMBER[-1] != "0" else "1"))
    shown.press("ok")
    expect(shown.page.locator("#page.of-working")).to_be_visible()
    assert NUMBER[6:14] not in shown.everything()
    terminal.feed(ServiceMoved(Service.FREE, line="claim_unreadable"))
    expect(shown.page.locator(".problem")).to_have_text("号码没有读清楚，请您再试一次。")
    expect(shown.page.locator(".typed")).to_contain_text(NUMBER[6:14])
    shown.press("delete")
    expect(shown.page.locator(".problem")).to_have_count(0)
    shown.press("cancel")
    expect(shown.page.locator("#page.of-idle")).to_be_visible()
    assert NUMBER[6:14] not in shown.everything()
    shown.press("begin")
    expect(shown.page.locator(".typed")).to_have_text("")


def test_a_number_that_nobody_touches_any_more_is_covered_and_comes_back_whole(
    terminal: Any, watch: Callable[..., Any]
) -> None:
    terminal.feed(FREE, Touched(Touch(TouchKind.BEGIN)))
    shown = watch(clock=True)
    type_in(shown, NUMBER[:10])
    typed = shown.page.locator(".typed")
    expect(typed).to_have_text(f"{NUMBER[:6]} {NUMBER[6:10]}")
    # In steps that no heartbeat is missed in.
    shown.page.clock.fast_forward(4_000)
    expect(typed).to_have_text(f"{NUMBER[:6]} {NUMBER[6:10]}")
    expect(typed).to_have_text("****** ****", timeout=12_000)
    expect(shown.page.locator("[data-key='fields']")).to_contain_text("点一下显示")
    assert NUMBER[:6] not in shown.everything()
    shown.page.mouse.click(5, 5)
    expect(typed).to_have_text(f"{NUMBER[:6]} {NUMBER[6:10]}")
    shown.page.clock.fast_forward(4_000)
    expect(typed).to_have_text("****** ****", timeout=12_000)
    # Who only thought about the next digit goes on.
    shown.press(NUMBER[10])
    expect(typed).to_have_text(f"{NUMBER[:6]} {NUMBER[6:11]}")


def test_what_an_idle_terminal_said_to_somebody_is_gone_for_the_next(terminal: Any, watch: Callable[..., Any]) -> None:
    terminal.feed(FREE, ServiceMoved(Service.FREE, line="card_revoked"))
    shown = watch(clock=True)
    expect(shown.page.locator("h1")).to_contain_text("停用")
    shown.page.clock.fast_forward(6_000)
    expect(shown.page.locator("h1")).to_have_text(SAID["zh"]["welcome"], timeout=8_000)


@pytest.mark.parametrize(("service", "selector"), [(Service.FREE, "#page.of-idle"), (Service.OUT_OF_ORDER, "#page")])
def test_the_terminal_that_the_office_means_says_so_and_then_welcomes_people_again(
    service: Service, selector: str, terminal: Any, watch: Callable[..., Any]
) -> None:
    terminal.feed(ServiceMoved(service))
    shown = watch()
    before = shown.page.locator(selector).inner_text()
    terminal.screen.show(replace(view_of(terminal.desk), is_identifying=True))
    expect(shown.page.locator(selector)).to_contain_text("要找的就是这台终端")
    expect(shown.page.locator("#said")).to_contain_text("要找的就是这台终端")
    terminal.screen.show(view_of(terminal.desk))
    expect(shown.page.locator(selector)).not_to_contain_text("要找的就是这台终端")
    assert shown.page.locator(selector).inner_text() == before


@pytest.mark.parametrize("language", ["zh", "en"])
def test_r9_4_whoever_asks_sees_how_they_stand_and_nothing_of_it_stays(
    language: str, terminal: Any, watch: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    pack = shipped_pack("LZ-2019")
    view = PackView(pack.title.zh, pack.title.en, "due", UNTIL, "half_years", (("gap", 3),))
    status = MyStatusView("due", UNTIL, None, date(2026, 11, 28), (view,), "400-900-4889")
    texts = {
        "zh": (
            "现在可以认证了",
            "请不要晚于2027年11月28日",
            "每半年一次，两次至少隔3个月",
            "截至2026年11月28日的记录",
            pack.title.zh,
        ),
        "en": (
            "You can certify now",
            "Come by 28 November 2027",
            "once each half-year",
            "As known on 28 November 2026",
            pack.title.en,
        ),
    }[language]
    terminal.feed(FREE)
    shown = watch()
    if language == "en":
        shown.press("language")
    shown.press("ask")
    type_in(shown, NUMBER)
    shown.press("ok")
    eventually(lambda: AskMyStatus(NUMBER) in terminal.commands, "the question")
    assert not any(isinstance(command, BeginByCode) for command in terminal.commands)
    shown.show(MyStatusFound(status, Line.STATUS_DUE))
    for text in (*texts, "400-900-4889"):
        expect(shown.page.locator("#page")).to_contain_text(text)
        expect(shown.page.locator("#said")).to_contain_text(text)
    assert NUMBER not in shown.everything()
    shown.press("finish")
    expect(shown.page.locator(".idle")).to_be_visible()
    assert "2027" not in shown.everything()
    terminal.feed(Touched(Touch(TouchKind.ASK)), MyStatusFound(status, Line.STATUS_DUE))
    shown.press("certify")
    expect(shown.page.locator("#page.of-number")).to_be_visible()
    assert "2027" not in shown.everything()


def test_r2_3_an_early_pass_is_green_and_says_from_when_and_by_when_the_next_one_counts(
    terminal: Any, watch: Callable[..., Any]
) -> None:
    terminal.feed(FREE)
    shown = watch()
    early = ResultView("certified", UNTIL, None, next_from=date(2027, 9, 15), is_early=True)
    shown.show(FREE, busy("one_moment"), ResultCame(early), ServiceMoved(Service.REPORTING, line="certified_early"))
    expect(shown.page.locator(".result.green .until")).to_have_text(
        ["下一次从2027年9月15日起算", "请不要晚于2027年11月28日"]
    )
    assert "认证有效至" not in shown.text()


def test_an_outcome_is_no_greeting(terminal: Any, watch: Callable[..., Any]) -> None:
    terminal.feed(*result(Outcome.CERTIFIED, UNTIL), ServiceMoved(Service.FREE, line="certified"))
    shown = watch()
    expect(shown.page.locator("h1")).to_have_text(SAID["zh"]["welcome"])


def test_an_operator_signs_in_and_the_pin_is_nowhere_to_be_read(
    terminal: Any, watch: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    terminal.feed(FREE)
    shown = watch()
    shown.press("staff")
    type_in(shown, "17")
    shown.press("ok")
    type_in(shown, PIN)
    expect(shown.page.locator(".field").nth(1)).to_contain_text("●" * len(PIN))
    assert PIN not in shown.everything()
    shown.press("ok")
    eventually(lambda: SignIn("17", PIN) in terminal.commands, "the sign-in")
    expect(shown.page.locator("#page.of-working")).to_be_visible()
    terminal.feed(WORKER, StandingCame(CountsView(47, 31), ()))
    expect(shown.page.locator("#page.of-menu")).to_be_visible()
    expect(shown.page.locator(".middle")).to_contain_text("已存 47 · 已确认 31")
    assert "●" not in shown.everything()
    shown.press("sign_out")
    expect(shown.page.locator("#page.of-idle")).to_be_visible()
    assert "Wang" not in shown.everything()


def test_a_refused_pin_is_told_every_time_though_the_answer_comes_at_once(
    terminal: Any, watch: Callable[..., Any]
) -> None:
    terminal.feed(FREE)
    shown = watch()
    shown.press("staff")
    for problem, told in (
        ("pin_wrong", "工号或密码不对，请再试一次。"),
        ("operator_expired", "您的登录期限已过，请联系管理员。"),
    ):
        terminal.answers[TouchKind.PIN] = SignInRefused(problem)
        type_in(shown, "17")
        shown.press("ok")
        type_in(shown, PIN)
        expect(shown.page.locator(".problem")).to_have_count(0)
        shown.press("ok")
        expect(shown.page.locator(".problem")).to_have_text(told)
        expect(shown.page.locator("#said")).to_have_text(told)
        assert PIN not in shown.everything()
        assert "●" not in shown.everything()


def test_the_page_about_this_terminal_counts_pictures_apart_from_records_and_only_where_there_are_some(
    terminal: Any, watch: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    terminal.feed(FREE, WORKER, StandingCame(CountsView(47, 31), ()))
    shown = watch()
    shown.press("status")
    expect(shown.page.locator(".status")).to_contain_text("已存 47 · 已确认 31")
    expect(shown.page.locator(".middle")).not_to_contain_text("照片")
    counts = CountsView(47, 31, pictures_waiting=2, pictures_refused=1)
    terminal.feed(StandingCame(counts, (StaffWarning.RECORDS_REFUSED,)))
    expect(shown.page.locator(".middle")).to_have_text("照片待传 2 张照片被拒 1 张")
    expect(shown.page.locator(".status li")).to_have_text("有记录或照片没有被接收：请联系机构")


def test_an_operator_leads_a_visit_with_a_dozen_touches(
    terminal: Any, watch: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    rows = tuple(NameRow(place, f"{NAME} {place}", 1930 + place, None) for place in range(8))
    terminal.feed(FREE, WORKER)
    shown = watch()
    page = shown.page
    shown.press("visit")
    expect(page.locator(".digits")).to_be_visible()
    terminal.feed(NamesFound(rows, has_more=True))
    shown.press("more")
    eventually(lambda: terminal.touched("more") == [""], "the next page")
    terminal.feed(NamesFound(rows[:2], has_more=False))
    expect(page.locator(".name")).to_have_count(2)
    terminal.feed(NamesFound(rows, has_more=True, initials=("王", "李", "F")))
    shown.press("by_initial")
    expect(page.locator(".initials button")).to_have_text(["王", "李", "F"])
    shown.press("initial 李")
    eventually(lambda: terminal.touched("search") == ["李"], "those of that name")
    terminal.feed(NamesFound(rows[:2], has_more=False))
    expect(page.locator(".name")).to_have_count(2)
    page.fill("input", "fea")
    page.press("input", "Enter")
    eventually(lambda: terminal.touched("search") == ["李", "fea"], "the search")
    terminal.feed(NamesFound(rows, has_more=False))
    shown.press("name 3")
    eventually(lambda: terminal.touched("person") == ["3"], "the person")
    terminal.feed(PersonFound(f"{NAME} 3"))
    expect(page.locator(".middle")).to_contain_text(f"{NAME} 3")
    shown.press("bedridden")
    expect(page.locator("h1")).to_have_text("现在在哪里？")
    places = tuple(Option(f"p{number}", f"village {number}") for number in range(20))
    terminal.feed(OptionsFound(places))
    shown.press("more")
    shown.press("p9")
    expect(page.locator("[data-key='nobody']")).to_be_visible()
    type_in(shown, "18")
    shown.press("ok")
    type_in(shown, PIN)
    assert PIN not in shown.everything()
    shown.press("ok")
    eventually(lambda: f"18/{PIN}" in terminal.touched("choose"), "the witness")
    terminal.feed(AnswerRefused("witness_unknown"))
    expect(page.locator(".problem")).to_be_visible()
    shown.press("nobody")
    shown.press("no_movement")
    eventually(
        lambda: terminal.touched("choose") == ["bedridden", "p9", f"18/{PIN}", "none", "no_movement"], "all answers"
    )
    terminal.feed(busy("look_here"))
    expect(page.locator("#page.of-session")).to_be_visible()
    assert NAME not in shown.everything()


def test_the_pin_of_a_witness_is_not_in_the_page_s_memory(
    terminal: Any, watch: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    terminal.feed(FREE, WORKER, task(Task.SPECIAL), PersonFound(NAME))
    shown = watch()
    shown.press("bedridden")
    expect(shown.page.locator("h1")).to_have_text("现在在哪里？")
    terminal.feed(OptionsFound((Option("p1", "village 1"),)))
    shown.press("p1")
    type_in(shown, "18")
    shown.press("ok")
    type_in(shown, PIN)
    shown.press("ok")
    eventually(lambda: f"18/{PIN}" in terminal.touched("choose"), "the witness")
    devtools = shown.page.context.new_cdp_session(shown.page)
    heap: list[str] = []
    devtools.on("HeapProfiler.addHeapSnapshotChunk", lambda found: heap.append(found["chunk"]))
    devtools.send("HeapProfiler.enable")

    def is_gone() -> bool:
        heap.clear()
        devtools.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
        # What is used no more may take a moment to be collected.
        return PIN not in "".join(heap)

    eventually(is_gone, "a memory without the PIN")
    assert "Wang" in "".join(heap)


def test_an_operator_takes_a_picture_looks_at_it_and_keeps_it(
    terminal: Any, watch: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    picture = cv2.imencode(".jpg", np.zeros((6, 8, 3), np.uint8))[1].tobytes()
    terminal.feed(FREE, WORKER, task(Task.SPECIAL), PersonFound(NAME))
    shown = watch()
    shown.press("bedridden")
    expect(shown.page.locator("h1")).to_have_text("现在在哪里？")
    terminal.feed(OptionsFound((Option("receiver"), Option("p1", "village 1"))))
    shown.press("p1")
    expect(shown.page.locator("h1")).to_have_text("见证人是谁？")
    terminal.feed(AnswerRefused("witness_is_worker"))
    expect(shown.page.locator(".problem")).to_be_visible()
    shown.press("nobody")
    expect(shown.page.locator(".picture.whole img")).to_have_attribute("src", re.compile("picture.mjpg"))
    terminal.screen.show_photo(picture)
    shown.press("take")
    expect(shown.page.locator("[data-key='take']")).to_be_disabled()
    checks = (PhotoCheckView("resolution", passed=True), PhotoCheckView("one_face", passed=False))
    terminal.feed(PhotoTaken(PhotoRole.IDENTITY_CARD, checks))
    shown.page.wait_for_function("() => document.querySelector('[data-key=taken] img')?.naturalWidth === 8")
    expect(shown.page.locator(".doubtful")).to_contain_text("只有一个人")
    shown.press("keep")
    eventually(lambda: KeepPhoto(PhotoRole.IDENTITY_CARD) in terminal.commands, "the picture to be kept")
    expect(shown.page.locator("[data-key='taken']")).to_have_count(0)


def test_a_finger_that_comes_down_twice_answers_one_question(
    terminal: Any, watch: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    terminal.feed(FREE, WORKER, task(Task.EXCEPTION), PersonFound(NAME))
    shown = watch()
    box = shown.page.locator("[data-key='bedridden']").bounding_box()
    shown.page.wait_for_function("() => !document.body.classList.contains('settling')")
    shown.page.evaluate(RESTLESS_FINGER, [box["x"] + 20, box["y"] + 20])
    shown.press("language")
    eventually(lambda: terminal.touched("language") == ["en"], "a touch that is meant")
    assert terminal.touched("choose") == ["bedridden"]


def test_everything_goes_by_keys_as_well(
    terminal: Any, watch: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    terminal.feed(FREE)
    shown = watch()
    keyboard = shown.page.keyboard
    expect(shown.page.locator("[data-key='begin']")).to_be_focused()
    keyboard.press("Enter")
    expect(shown.page.locator(".field")).to_be_focused()
    keyboard.type("1234x")
    keyboard.press("Backspace")
    keyboard.press("Enter")
    eventually(lambda: terminal.touched("number") == ["1234"], "the number")
    terminal.feed(ServiceMoved(Service.FREE, line="claim_unreadable"))
    expect(shown.page.locator(".problem")).to_be_visible()
    keyboard.press("Escape")
    expect(shown.page.locator("#page.of-idle")).to_be_visible()
    keyboard.press("ArrowDown")
    keyboard.press("ArrowLeft")
    keyboard.press("ArrowLeft")
    keyboard.press("ArrowLeft")
    expect(shown.page.locator("[data-key='language']")).to_be_focused()
    keyboard.press("Enter")
    eventually(lambda: terminal.touched("language") == ["en"], "the language")


def test_language_and_speed_are_changed_on_any_page_without_losing_what_was_typed(
    terminal: Any, watch: Callable[..., Any]
) -> None:
    terminal.feed(FREE, Touched(Touch(TouchKind.BEGIN)))
    shown = watch()
    type_in(shown, "110")
    shown.press("language")
    expect(shown.page.locator("h1")).to_have_text("Your number")
    assert shown.page.evaluate("document.documentElement.lang") == "en-GB"
    shown.press("slow")
    expect(shown.page.locator("[data-key='slow']")).to_have_attribute("aria-pressed", "true")
    expect(shown.page.locator(".typed")).to_have_text("110")


def test_a_name_is_text_and_nothing_else(terminal: Any, watch: Callable[..., Any]) -> None:
    name = "<img src=/x onerror=alert(1)>"
    terminal.feed(FREE, WORKER, task(Task.CERTIFY), NamesFound((NameRow(0, name, None, None),), has_more=False))
    shown = watch()
    expect(shown.page.locator(".name b")).to_have_text(name)


def test_who_wants_no_motion_sees_a_still_picture_of_the_action(terminal: Any, watch: Callable[..., Any]) -> None:
    terminal.feed(FREE, busy("blink", "blink"))
    shown = watch(reduced_motion="reduce")
    shown.page.wait_for_function("() => document.querySelector('.action img')?.currentSrc.endsWith('/blink_still.svg')")


@pytest.mark.parametrize(("action", "side"), [("turn_left", -1), ("turn_right", 1)])
def test_the_drawn_person_turns_to_the_side_the_viewer_is_to_turn_to(
    action: str, side: int, terminal: Any, watch: Callable[..., Any]
) -> None:
    terminal.feed(FREE, busy(action, action))
    shown = watch(reduced_motion="reduce")
    shown.page.wait_for_function("() => document.querySelector('.action img')?.complete")
    # Eyes and arrow are the only things drawn in these two inks; where they lie against the middle says where the face looks.
    middles = shown.page.evaluate(
        """() => {
          const image = document.querySelector(".action img");
          const canvas = new OffscreenCanvas(200, 200);
          const context = canvas.getContext("2d", { willReadFrequently: true });
          context.drawImage(image, 0, 0, 200, 200);
          const middle = (top, bottom, [r, g, b]) => {
            const { data } = context.getImageData(0, top, 200, bottom - top);
            let sum = 0, count = 0;
            for (let at = 0; at < data.length; at += 4) {
              const isIt = Math.abs(data[at] - r) + Math.abs(data[at + 1] - g) + Math.abs(data[at + 2] - b) < 12 && data[at + 3] > 250;
              if (isIt) { sum += (at / 4) % 200; count += 1; }
            }
            return sum / count - 100;
          };
          return [middle(84, 97, [15, 27, 45]), middle(0, 62, [10, 63, 122])];
        }"""
    )
    assert all(side * middle > 5 for middle in middles), middles
