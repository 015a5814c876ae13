"""Signing in, setting up and what goes wrong, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Page, expect

from fleet.accounts import registry
from fleet.accounts.roles import Grant, Role
from fleet.app import Fleet, account_rules
from fleet.service import WebServer, make_web

pytestmark = [pytest.mark.integration, pytest.mark.browser]
PASSWORD = "seven grey herons"


class Place:
    """A console at a port of its own under the name that passkeys are for; it can be stopped and started again."""

    def __init__(self, office: Any, port: int) -> None:
        self.office = office
        self.url = f"http://localhost:{port}"
        self._port = port
        self._server: WebServer | None = None

    def start(self) -> None:
        office = self.office
        whole = Fleet(office.settings, office.keys, office.database, office.clock)
        app = make_web(whole, broker_state=lambda: "connected", ingest_state=lambda: "ok")
        self._server = WebServer(app, "127.0.0.1", self._port)
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def link_for(self, name: str) -> str:
        """Add an account and return the path of a link for it."""
        office, cipher = self.office, self.office.keys.cipher
        with office.database.begin() as connection:
            actor = registry.at_keyboard(connection, cipher, "Zhao Min")
        grant = Grant(Role.FLEET_ADMINISTRATOR, None)
        account_id = registry.add_account(office.database, cipher, actor, name=name, grant=grant, now=office.now)
        rules = account_rules(office.settings)
        url = registry.make_link(office.database, cipher, actor, account_id, rules=rules, now=office.now)
        assert url.startswith(self.url)
        return url.removeprefix(self.url)

    def code(self, secret: str) -> str:
        # A code is good once, so each is of a later step.
        self.office.now += timedelta(minutes=1)
        return pyotp.TOTP(secret).at(self.office.now)


@pytest.fixture
def office(database: Any, make_office: Callable[..., Any], free_ports: Callable[[], int]) -> Any:
    """A fleet whose console is reached at a free port."""
    port = free_ports()
    made = make_office(database, accounts={"url": f"http://localhost:{port}"}, web={"port": port})
    made.port = port
    return made


@pytest.fixture
def place(office: Any) -> Iterator[Place]:
    made = Place(office, office.port)
    made.start()
    yield made
    made.stop()


def set_up(page: Page, place: Place) -> str:
    """Set up password and generator on the page for it; return the secret."""
    page.fill("#f-new", PASSWORD)
    page.fill("#f-again", PASSWORD)
    page.click("form[action='/account/password'] button")
    page.click("form[action='/account/generator'] button")
    secret = page.locator("code.secret").inner_text().replace(" ", "")
    page.fill("#f-code", place.code(secret))
    page.click("form[action='/account/generator/confirm'] button")
    expect(page.locator(".codes li")).to_have_count(8)
    return secret


def sign_in(page: Page, place: Place, name: str, secret: str) -> None:
    """Sign in on the page for it with the keyboard alone."""
    expect(page.locator("#f-name")).to_be_visible()
    page.locator("#f-name").focus()
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#f-code")
    page.locator("#f-code").focus()
    page.keyboard.type(place.code(secret))
    page.keyboard.press("Enter")
    page.wait_for_selector("form[action='/sign-out']")


def add_authenticator(page: Page) -> None:
    browser = page.context.new_cdp_session(page)
    browser.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    browser.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until something has the focus; each place on the way is to be seen."""
    for _ in range(40):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "getComputedStyle(document.activeElement).outlineStyle !== 'none' || document.activeElement === document.body"
        ), page.evaluate("document.activeElement.outerHTML")
        if page.evaluate("found => document.activeElement?.matches(found)", selector):
            return
    raise AssertionError(f"the keyboard does not come to {selector}")


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [1366, 390])
def test_every_page_of_signing_in(place: Place, browse: Callable[..., Any], language: str, width: int) -> None:
    seen = browse(language=language, width=width, url=place.url)
    tail = f"{language}-{width}"
    page = seen.go(place.link_for("王芳"))
    seen.check(f"link-{tail}")
    page.click("main button")
    expect(page.locator("#f-new")).to_be_visible()
    seen.check(f"set-up-{tail}")
    page.fill("#f-new", PASSWORD)
    page.fill("#f-again", PASSWORD)
    page.click("form[action='/account/password'] button")
    page.click("form[action='/account/generator'] button")
    expect(page.locator("img.qr")).to_be_visible()
    seen.check(f"generator-{tail}")
    secret = page.locator("code.secret").inner_text().replace(" ", "")
    page.fill("#f-code", "000000")
    page.click("form[action='/account/generator/confirm'] button")
    expect(page.locator("[role=alert][data-focus]")).to_be_focused()
    page.fill("#f-code", place.code(secret))
    page.click("form[action='/account/generator/confirm'] button")
    expect(page.locator(".codes li")).to_have_count(8)
    seen.check(f"codes-{tail}")
    page.emulate_media(media="print")
    expect(page.locator(".printed")).to_be_visible()
    expect(page.locator("[data-print]")).to_be_hidden()
    page.emulate_media(media="screen")
    page.click("main .actions a")
    page.wait_for_url("**/")
    seen.go("/account")
    seen.check(f"account-{tail}")
    page.click("form[action='/sign-out'] button")
    expect(page.locator("#f-password")).to_be_visible()
    seen.check(f"sign-in-{tail}")
    page.fill("#f-name", "王芳")
    page.fill("#f-password", PASSWORD)
    page.click("form[action='/sign-in'] .actions button")
    expect(page.locator("#f-code")).to_be_visible()
    seen.check(f"code-{tail}")


def test_signing_in_by_the_keyboard_alone(place: Place, browse: Callable[..., Any]) -> None:
    seen = browse(url=place.url)
    page = seen.go(place.link_for("王芳"))
    page.click("main button")
    secret = set_up(page, place)
    page.context.clear_cookies()
    page = seen.go("/audit")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "#f-name")
    page.keyboard.type("王芳")
    tab_to(page, "#f-password")
    page.keyboard.type(PASSWORD)
    tab_to(page, "form .actions button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#f-code")
    tab_to(page, "#f-code")
    page.keyboard.type(place.code(secret))
    tab_to(page, "form .actions button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/audit")
    # A page put in place of another one is read from its heading on.
    tab_to(page, "a[href='/accounts']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/accounts")
    expect(page.locator("h1")).to_be_focused()


def test_single_keys_open_help_and_search_and_can_be_switched_off(place: Place, browse: Callable[..., Any]) -> None:
    seen = browse("fleet_administrator", url=place.url)
    page = seen.go("/audit")
    page.keyboard.press("?")
    expect(page.locator("details.help")).to_have_attribute("open", "")
    expect(page.locator("details.help")).to_contain_text("/ goes to the search")
    expect(page.locator("details.help summary")).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#f-who")).to_be_focused()
    page.keyboard.type("a?/")
    expect(page.locator("#f-who")).to_have_value("a?/")
    page = seen.go("/account")
    page.click("form[action='/account/shortcuts'] button")
    expect(page.locator("[role=status]")).to_be_visible()
    page = seen.go("/audit")
    page.keyboard.press("?")
    page.keyboard.press("/")
    assert page.locator("details.help").get_attribute("open") is None
    expect(page.locator("#f-who")).not_to_be_focused()
    expect(page.locator("details.help")).not_to_contain_text("goes to the search")


def test_whoever_is_quick_keeps_the_field_they_went_to(place: Place, browse: Callable[..., Any]) -> None:
    page = browse("fleet_administrator", url=place.url).go("/audit")
    # At the first moment at which the page that was put in place can be used.
    page.evaluate(
        """document.addEventListener("htmx:pushedIntoHistory",
            () => setTimeout(() => document.getElementById("f-who").focus()))"""
    )
    page.click("form.filters button")
    page.wait_for_url("**/audit?*")
    expect(page.locator("#f-who")).to_be_focused()
    page.wait_for_timeout(100)
    page.keyboard.type("Qian")
    page.keyboard.press("Enter")
    page.wait_for_url("**who=Qian*")


def test_a_passkey_is_set_up_and_signs_in(place: Place, browse: Callable[..., Any]) -> None:
    seen = browse(url=place.url)
    page = seen.go(place.link_for("王芳"))
    add_authenticator(page)
    page.click("main button")
    page.fill("#f-label", "desk <b>")
    page.click("[data-passkey=create]")
    expect(page.locator("[role=status]")).to_contain_text("set up")
    page.click("form[action='/sign-out'] button")
    expect(page.locator("#f-password")).to_be_visible()
    page = seen.go("/audit?action=account.signed_in")
    page.click("[data-passkey=get]")
    page.wait_for_url("**/audit?action=account.signed_in")
    expect(page.locator("tbody tr")).to_have_count(2)
    page = seen.go("/account")
    expect(page.locator("main")).to_contain_text("desk <b>")
    # The same device makes no second one, and the only way in stays.
    page.click("[data-passkey=create]")
    expect(page.locator("[data-passkey-says=known]")).to_be_visible()
    page.click("form[action$='/remove'] button")
    seen.mean_it()
    expect(page.locator("[role=alert][data-focus]")).to_contain_text("only way you can sign in")


def test_a_passkey_that_does_not_come_is_told(place: Place, browse: Callable[..., Any]) -> None:
    seen = browse(url=place.url.replace("localhost", "127.0.0.1"))
    page = seen.go("/sign-in")
    page.click("[data-passkey=get]")
    expect(page.locator("[data-passkey-says=address]")).to_contain_text(place.url)
    old = browse(url=place.url)
    old.page.add_init_script("delete window.PublicKeyCredential")
    page = old.go("/sign-in")
    expect(page.locator("[data-passkey-says=missing]")).to_be_visible()
    expect(page.locator("[data-passkey=get]")).to_be_hidden()


def test_signing_in_works_without_scripts(place: Place, browse: Callable[..., Any]) -> None:
    seen = browse(url=place.url, java_script_enabled=False)
    page = seen.go(place.link_for("王芳"))
    page.click("main button")
    secret = set_up(page, place)
    page.click("form[action='/sign-out'] button")
    expect(page.locator("#f-password")).to_be_visible()
    seen.go("/audit")
    page.fill("#f-name", "王芳")
    page.fill("#f-password", PASSWORD)
    page.click("form[action='/sign-in'] .actions button")
    page.fill("#f-code", place.code(secret))
    page.click("form[action='/sign-in/code'] .actions button")
    page.wait_for_url("**/audit")


def test_a_session_that_ends_in_the_middle_of_a_form_loses_nothing(place: Place, browse: Callable[..., Any]) -> None:
    seen = browse(url=place.url)
    page = seen.go(place.link_for("王芳"))
    page.click("main button")
    secret = set_up(page, place)
    page = seen.go("/accounts/new")
    page.fill("#f-name", '钱 "芳" & 李')
    page.select_option("#f-role", "operator")
    page.fill("#f-area", "east")
    place.office.now += timedelta(hours=9)
    page.click("main form button")
    expect(page.locator("[role=alert]").filter(has_text="not lost")).to_be_focused()
    expect(page).to_have_url(f"{place.url}/accounts/new")
    seen.check("ended-en-1366")
    sign_in(page, place, "王芳", secret)
    expect(page.locator("dl.lines")).to_contain_text('钱 "芳" & 李')
    expect(page.locator("dl.lines")).to_contain_text("east")
    seen.check("kept-en-1366")
    page.click("main form button")
    expect(page.locator("h1")).to_have_text('钱 "芳" & 李')
    expect(page).to_have_url(re.compile("done=account_added"))


def test_a_page_that_asks_by_itself_says_when_nobody_is_signed_in(place: Place, browse: Callable[..., Any]) -> None:
    seen = browse("fleet_administrator", url=place.url)
    page = seen.go("/accounts/new")
    page.fill("#f-name", "钱芳")
    place.office.now += timedelta(hours=9)
    page.evaluate("htmx.ajax('GET', '/audit?poll=1', {source: 'main', target: 'main', swap: 'innerHTML'})")
    expect(page.locator("#ended")).to_be_visible()
    expect(page.locator("#f-name")).to_have_value("钱芳")
    seen.check()


def test_a_server_that_restarts_while_a_page_is_open_loses_nothing(place: Place, browse: Callable[..., Any]) -> None:
    seen = browse("fleet_administrator", url=place.url)
    page = seen.go("/accounts/new")
    page.fill("#f-name", "钱芳")
    page.select_option("#f-role", "operator")
    page.fill("#f-area", "east")
    place.stop()
    page.click("main form button")
    expect(page.locator("#lost")).to_be_visible()
    expect(page.locator("#f-name")).to_have_value("钱芳")
    expect(page.locator("#f-area")).to_have_value("east")
    place.start()
    page.click("main form button")
    expect(page.locator("h1")).to_have_text("钱芳")
    expect(page.locator("#lost")).to_be_hidden()


@pytest.mark.parametrize("days", [-1, 1])
def test_a_browser_whose_clock_is_a_day_off_does_everything(
    place: Place, browse: Callable[..., Any], days: int
) -> None:
    seen = browse(url=place.url)
    seen.page.clock.set_system_time(place.office.now + timedelta(days=days))
    page = seen.go(place.link_for("王芳"))
    add_authenticator(page)
    page.click("main button")
    secret = set_up(page, place)
    page.click("form[action='/sign-out'] button")
    sign_in(page, place, "王芳", secret)
    page = seen.go("/account")
    page.click("[data-passkey=create]")
    expect(page.locator("[role=status]")).to_be_visible()
    page.click("form[action='/sign-out'] button")
    page.click("[data-passkey=get]")
    page.wait_for_selector("form[action='/sign-out']")
    page = seen.go("/accounts/new")
    page.fill("#f-name", "钱芳")
    page.select_option("#f-role", "operator")
    page.fill("#f-area", "*")
    page.click("main form button")
    expect(page.locator("h1")).to_have_text("钱芳")


def test_a_double_click_sends_once(place: Place, browse: Callable[..., Any]) -> None:
    seen = browse("fleet_administrator", url=place.url)
    sent: list[str] = []
    seen.page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page = seen.go("/accounts/new")
    page.fill("#f-name", "钱芳")
    page.select_option("#f-role", "operator")
    page.fill("#f-area", "*")
    page.dblclick("main form button")
    expect(page.locator("h1")).to_have_text("钱芳")
    assert len(sent) == 1
    # And a form that the browser itself sends.
    page.context.clear_cookies()
    page = seen.go("/sign-in")
    page.fill("#f-name", "钱芳")
    page.fill("#f-password", "wrong")
    page.dblclick("form[action='/sign-in'] .actions button")
    expect(page.locator("[role=alert]").filter(has_text="not right")).to_be_visible()
    assert len(sent) == 2
