"""The console as it is in service: the real server on the real database, a client or a real browser, somebody signed in."""

from __future__ import annotations

import html
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from fleet.accounts import registry
from fleet.accounts.naming import name_digest, seal_name
from fleet.accounts.roles import Grant, Role
from fleet.accounts.sessions import How, begin, resume
from fleet.accounts.visitor import Visitor
from fleet.app import account_rules
from fleet.service import WebServer, make_web
from fleet.store import accounts
from fleet.web import beside
from fleet.web.cookies import SESSION_COOKIE

PASSWORD = "seven grey herons"
SCREENSHOTS = os.environ.get("LIFECERT_SCREENSHOTS")


def open_session(office: Any, *grants: tuple[str, str | None], name: str) -> tuple[str, Visitor]:
    """Make an account and sign it in; return the cookie and who it is."""
    rules = account_rules(office.settings)
    with office.database.begin() as connection:
        account_id = f"a-{secrets.token_hex(6)}"
        digest = name_digest(office.keys.cipher, name)
        sealed = seal_name(office.keys.cipher, name, account_id=account_id)
        if not accounts.add_account(connection, account_id, name_hash=digest, name_sealed=sealed, now=office.now):
            known = accounts.find_by_name(connection, digest)
            assert known is not None
            account_id = known.account_id
        for role, area in set(grants) - set(accounts.grants_of(connection, [account_id])[account_id]):
            accounts.add_grant(connection, account_id, role, area, now=office.now)
        session = begin(connection, account_id, How.PASSKEY, must_set_up=False, address_hash=b"a" * 32, now=office.now)
        visitor = resume(connection, office.keys.cipher, session.cookie, now=office.now, rules=rules)
    assert visitor is not None
    return session.cookie, visitor


@pytest.fixture
def web(office: Any, open_web: Callable[..., httpx.Client]) -> httpx.Client:
    """The console of the fleet of `office`, asked by nobody in particular."""
    return open_web(office, as_partner=False)


@pytest.fixture(scope="module")
def module_web(module_agency: Any, free_ports: Callable[[], int]) -> Iterator[httpx.Client]:
    """The console of the made-up agency, one server for all tests of a module, which only look at it."""
    port = free_ports()
    app = make_web(module_agency.fleet, broker_state=lambda: "not run here", ingest_state=lambda: "not run here")
    server = WebServer(app, "127.0.0.1", port)
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
        yield client
    server.stop()


@pytest.fixture(scope="module")
def module_reader(module_agency: Any, module_web: httpx.Client) -> Iterator[httpx.Client]:
    """Somebody with every role at the console of the made-up agency, who reads Chinese."""
    cookie, _ = open_session(module_agency, *((role.value, None) for role in Role), name="reads")
    cookies = {SESSION_COOKIE: cookie}
    headers = {"Accept-Language": "zh"}
    with httpx.Client(
        base_url=module_web.base_url, trust_env=False, timeout=60, cookies=cookies, headers=headers
    ) as client:
        yield client


@pytest.fixture
def patient_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages wait for what they began however long it takes, so that what came of it is on the page that is answered."""
    monkeypatch.setattr(beside, "AT_ONCE_S", 60.0)


class Client(httpx.Client):
    """Somebody at the console, without a browser. Sends the form token by itself, as a page's form would, and means what they send."""

    form_token = ""

    def send_form(self, path: str, fields: dict[str, Any] | None = None, **options: Any) -> httpx.Response:
        """Send a form; the answer is not followed on."""
        return self.post(path, data={"form_token": self.form_token, "meant": "yes", **(fields or {})}, **options)

    def follow(self, begun: httpx.Response) -> httpx.Response:
        """Return the page of what a form began, once it has ended."""
        assert begun.status_code == 303, begun.text
        deadline = time.monotonic() + 60
        while "progress?poll=1" in (shown := self.get(begun.headers["location"])).text:
            assert time.monotonic() < deadline, shown.text
            time.sleep(0.05)
        assert shown.status_code == 200, shown.text
        return shown


@pytest.fixture
def sign_in(office: Any, web: httpx.Client) -> Iterator[Callable[..., Client]]:
    """Sign somebody in at the console of `office`: `sign_in("reviewer", area="east", name="甲")`, several roles by `*roles`."""
    made: list[Client] = []

    def enter(*roles: str, area: str | None = None, name: str = "", language: str = "en") -> Client:
        cookie, visitor = open_session(
            office, *((role, area) for role in roles), name=name or f"{roles[0]} {len(made)}"
        )
        client = Client(
            timeout=60,
            base_url=web.base_url,
            trust_env=False,
            cookies={SESSION_COOKIE: cookie},
            headers={"Accept-Language": language, "Sec-Fetch-Site": "same-origin"},
        )
        client.form_token = visitor.form_token
        made.append(client)
        return client

    yield enter
    for client in made:
        client.close()


_TOO_WIDE = """() => document.documentElement.scrollWidth <= window.innerWidth ? [] :
  [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > window.innerWidth
    && !each.closest(".table")).map((each) => each.outerHTML.slice(0, 100))"""
"""Elements that stick out of the window on the right, if the page can be moved sideways; tables have a frame of their own."""
_AXE = Axe().axe_script
_AXE_OPTIONS = {
    "resultTypes": ["violations"],
    "rules": {"color-contrast": {"enabled": False}},
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
}


_LOOKS = """(wanted) => {
  const grounds = new Map([[null, ""]]);
  const groundOf = (each) => {
    if (!grounds.has(each)) {
      const { backgroundColor, backgroundImage, opacity, position } = getComputedStyle(each);
      const own = [backgroundColor, backgroundImage, opacity, position].join(",");
      const isPlain = own === "rgba(0, 0, 0, 0),none,1,static";
      grounds.set(each, groundOf(each.parentElement) + (isPlain ? "" : ";" + own));
    }
    return grounds.get(each);
  };
  const found = new Map();
  for (const each of document.body.querySelectorAll("*")) {
    const hasText = [...each.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!(hasText || each.matches("input, select, textarea"))) continue;
    if (!each.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const { color, fontSize, fontWeight, textShadow } = getComputedStyle(each);
    const look = [each.tagName, each.className, color, fontSize, fontWeight, textShadow, groundOf(each)].join("|");
    found.set(look, [...(found.get(look) ?? []), each]);
  }
  if (wanted === null) return [...found.keys()];
  const include = wanted.flatMap((look) => (found.get(look) ?? []).slice(0, 3));
  return axe.run({ include }, { resultTypes: ["violations"], runOnly: ["color-contrast"] });
}"""
"""How texts look on a page, by all that their contrast depends on; or what is wrong with the contrast of the first three of each."""
_looks_seen: set[str] = set()
"""Those that were held against the least contrast by this process. That rule takes twice as long as all others together, so it is asked of
looks that are new only."""


class Seen:
    """A page in the browser, with everything that the browser complained about."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.status = 0
        """What the console answered to `go`."""
        self._is_held_against_axe = False
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    def go(self, path: str) -> Page:
        """Open an address of the console and wait until it is whole."""
        self._is_held_against_axe = False
        answer = self.page.goto(self.url + path)
        self.status = answer.status if answer else 0
        self.wait_until_whole()
        return self.page

    def wait_until_whole(self) -> None:
        """Wait until everything that the page asks for by itself is in its place."""
        expect(self.page.locator(".htmx-request")).to_have_count(0, timeout=15_000)

    def unfold(self) -> None:
        """Open the form above a list, which is folded on a narrow screen."""
        summary = self.page.locator("main details.fold:not([open]) > summary")
        if summary.is_visible():
            summary.click()

    def mean_it(self, name: str = "") -> None:
        """Say that what was pressed is meant, on the page that asks."""
        expect(self.page.locator("main [role=alert][data-focus]")).to_be_focused()
        self.check(name)
        self.page.click("button[name=meant][value=yes]")

    def check(self, name: str = "") -> None:
        """Hold the page against WCAG 2.2 AA, see that it fits its window, and keep a picture of it if pictures are asked for."""
        assert self.serious() == []
        assert self.too_wide() == []
        if name and SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(SCREENSHOTS) / f"console-{name}.png", full_page=True)

    def serious(self) -> list[str]:
        """Return what of the page is a serious offence against WCAG 2.2 AA."""
        self.wait_until_whole()
        self._is_held_against_axe = True
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(_AXE)
        found = self.page.evaluate("options => axe.run(document, options)", _AXE_OPTIONS)["violations"]
        looks = set(self.page.evaluate(_LOOKS, None)) - _looks_seen
        if looks:
            found += self.page.evaluate(_LOOKS, list(looks))["violations"]
            _looks_seen.update(looks)
        return [
            f"{each['id']}: {each['help']}: {[node['html'][:120] for node in each['nodes'][:3]]}"
            for each in found
            if each["impact"] in ("serious", "critical")
        ]

    def too_wide(self) -> list[str]:
        """Return what sticks out of the window."""
        # A page that was just put in place is laid out in a moment; the page's policy lets no expression be waited for.
        deadline = time.monotonic() + 2
        while self.page.evaluate(_TOO_WIDE) and time.monotonic() < deadline:
            self.page.wait_for_timeout(50)
        return list(self.page.evaluate(_TOO_WIDE))

    def _note(self, message: ConsoleMessage) -> None:
        # The browser itself says so when the server is away or refuses; the page says it in its own words.
        if "net::ERR" in message.text or "Failed to load resource" in message.text:
            return
        # And so does htmx.
        if message.text.startswith(("htmx:sendError", "htmx:afterRequest")):
            return
        # Axe sets inline styles, which the page's policy refuses it.
        if self._is_held_against_axe and message.text.startswith("Applying inline style"):
            return
        self.complaints.append(message.text)


@pytest.fixture
def browse(office: Any, web: httpx.Client, chromium: Browser) -> Iterator[Callable[..., Seen]]:
    """Sign somebody in in the browser: `browse("reviewer", area=..., language="zh", width=1366, height=768)`; nobody without a role.

    A complaint of the browser, or a request to another host, fails the test.
    """
    contexts: list[BrowserContext] = []
    pages: list[Seen] = []

    def enter(
        *roles: str,
        area: str | None = None,
        name: str = "",
        language: str = "en",
        width: int = 1366,
        height: int = 768,
        url: str = "",
        **options: Any,
    ) -> Seen:
        address = url or str(web.base_url).rstrip("/")
        context = chromium.new_context(
            viewport={"width": width, "height": height}, locale={"en": "en-GB", "zh": "zh-CN"}[language], **options
        )
        context.set_default_timeout(60_000)
        if roles:
            cookie, _ = open_session(office, *((role, area) for role in roles), name=name or f"{roles[0]} {len(pages)}")
            context.add_cookies([{"name": SESSION_COOKIE, "value": cookie, "url": address}])
        contexts.append(context)
        pages.append(Seen(context.new_page(), address))
        return pages[-1]

    yield enter
    for context in contexts:
        context.close()
    for page in pages:
        assert page.complaints == []
        assert page.hosts <= {page.url.split("/")[2]}


@dataclass
class Person:
    """Somebody with an account and a browser that keeps cookies, who means what they send."""

    office: Any
    client: httpx.Client
    name: str
    account_id: str
    secret: str = ""
    codes: list[str] = field(default_factory=list)

    @staticmethod
    def fields_of(page: httpx.Response) -> dict[str, str]:
        """The hidden fields of a page."""
        found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
        return {name: html.unescape(value) for name, value in found}

    def send(self, path: str, page: httpx.Response | None = None, **fields: str) -> httpx.Response:
        """Send a form, with the hidden fields of the page it stands in."""
        return self.client.post(path, data={**(self.fields_of(page) if page else {}), "meant": "yes", **fields})

    def make_link(self) -> str:
        """Make a link at the server's keyboard; return its path."""
        database, cipher = self.office.database, self.office.keys.cipher
        with database.begin() as connection:
            actor = registry.at_keyboard(connection, cipher, "Zhao Min")
        rules = account_rules(self.office.settings)
        url = registry.make_link(database, cipher, actor, self.account_id, rules=rules, now=self.office.now)
        return "/sign-in/link/" + url.rpartition("/")[2]

    def code(self) -> str:
        """Return the generator's next code."""
        # A code is good once, so each is of a later step.
        self.office.now += timedelta(minutes=1)
        return pyotp.TOTP(self.secret).at(self.office.now)

    def set_up(self) -> None:
        """Come by a link and set up password and generator."""
        assert self.send(self.make_link()).headers["location"] == "/set-up"
        page = self.client.get("/set-up")
        assert (
            self.send("/account/password", page, new=PASSWORD, again=PASSWORD).headers["location"].startswith("/set-up")
        )
        page = self.send("/account/generator", self.client.get("/set-up"))
        self.secret = self.fields_of(page)["secret"]
        page = self.send("/account/generator/confirm", page, code=self.code())
        self.codes = re.findall(r"<code>([a-z0-9-]{19})</code>", page.text)

    def sign_in(self, page: httpx.Response | None = None, **fields: str) -> httpx.Response:
        """Sign in with password and code, from a page of signing in if there is one."""
        page = self.send("/sign-in", page or self.client.get("/sign-in"), name=self.name, password=PASSWORD, **fields)
        assert page.status_code == 200, page.text
        return self.send("/sign-in/code", page, code=self.code())


@pytest.fixture
def person(office: Any, web: httpx.Client) -> Iterator[Callable[..., Person]]:
    """Make somebody who has an account and nothing to sign in with: `person("王芳", Role.OPERATOR, "east")`."""
    made: list[httpx.Client] = []

    def make(name: str, role: Role = Role.FLEET_ADMINISTRATOR, area: str | None = None, **headers: str) -> Person:
        cipher = office.keys.cipher
        with office.database.begin() as connection:
            actor = registry.at_keyboard(connection, cipher, "Zhao Min")
        account_id = registry.add_account(
            office.database, cipher, actor, name=name, grant=Grant(role, area), now=office.now
        )
        client = httpx.Client(
            timeout=60,
            base_url=web.base_url,
            trust_env=False,
            headers={"Accept-Language": "en", "Sec-Fetch-Site": "same-origin", **headers},
        )
        made.append(client)
        return Person(office, client, name, account_id)

    yield make
    for client in made:
        client.close()
