"""Signing in by pages: by link, password and code; where it leads; and what is wrong."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from fleet.accounts import passwords, registry
from fleet.accounts.roles import Grant, Role
from fleet.app import account_rules
from fleet.web.arrivals import own_path
from fleet.web.cookies import SESSION_COOKIE

pytestmark = pytest.mark.integration
PASSWORD = "seven grey herons"


def test_a_link_leads_to_setting_up_and_no_other_page_until_that_is_done(person: Callable[..., Any]) -> None:
    wang = person("王芳")
    link = wang.make_link()
    for _ in range(2):
        # A preview of the address uses nothing up.
        assert 'method="post"' in wang.client.get(link).text
    assert wang.send(link).headers["location"] == "/set-up"
    for path in ("/", "/audit", "/account", "/accounts"):
        assert wang.client.get(path).headers["location"] == "/set-up"
    page = wang.client.get("/set-up")
    assert "/audit" not in page.text
    assert wang.send("/account/recovery-codes", page).headers["location"] == "/set-up"

    wrong = wang.send("/account/password", page, new="short", again="short")
    assert (wrong.status_code, "12 characters at least" in wrong.text) == (422, True)
    wrong = wang.send("/account/password", page, new=PASSWORD, again="other")
    assert "are not the same" in wrong.text
    wang.send("/account/password", page, new=PASSWORD, again=PASSWORD)
    page = wang.send("/account/generator", wang.client.get("/set-up"))
    secret = wang.fields_of(page)["secret"]
    assert " ".join(secret[at : at + 4] for at in range(0, 32, 4)) in page.text
    assert "data:image/svg+xml" in page.text
    wrong = wang.send("/account/generator/confirm", page, code="000000")
    assert wrong.status_code == 422
    assert wang.fields_of(wrong)["secret"] == secret
    wang.secret = secret
    done = wang.send("/account/generator/confirm", wrong, code=wang.code())
    assert len(re.findall(r"<code>[a-z0-9-]{19}</code>", done.text)) == 8
    assert wang.client.get("/audit").status_code == 200
    assert wang.client.get("/set-up").headers["location"] == "/account"
    used = person("李娜", Role.OPERATOR, "east").send(link)
    assert (used.status_code, "was used already" in used.text) == (401, True)


def test_password_and_code_lead_to_the_page_that_was_wanted(person: Callable[..., Any]) -> None:
    wang = person("王芳")
    wang.set_up()
    assert wang.send("/sign-out").headers["location"] == "/sign-in?done=signed_out"
    assert "You are signed out" in wang.client.get("/sign-in?done=signed_out").text
    sent_on = wang.client.get("/audit?action=case&kind=")
    assert sent_on.status_code == 303
    page = wang.client.get(sent_on.headers["location"])
    done = wang.sign_in(page)
    assert (done.status_code, done.headers["location"]) == (303, "/audit?action=case&kind=")
    cookie = done.headers["set-cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Max-Age" not in cookie
    assert wang.client.get("/sign-in?next=/audit").headers["location"] == "/audit"
    assert "Sign in" in wang.client.get("/sign-in?again=1&next=/account").text


def test_a_recovery_code_takes_the_place_of_a_telephone_once(person: Callable[..., Any]) -> None:
    wang = person("王芳")
    wang.set_up()
    wang.send("/sign-out")
    answers = []
    for _ in range(2):
        page = wang.send("/sign-in", name=wang.name, password=PASSWORD)
        answers.append(wang.send("/sign-in/code", page, code=wang.codes[0].upper()))
    assert [answer.status_code for answer in answers] == [303, 401]
    assert "You used a recovery code" in wang.client.get(answers[0].headers["location"]).text
    assert "7 recovery codes are left" in wang.client.get("/account").text


def test_the_words_for_what_is_wrong_never_tell_whether_a_name_exists(person: Callable[..., Any]) -> None:
    wang = person("王芳")
    wang.set_up()
    person("李娜", Role.OPERATOR, "east")
    wang.send("/sign-out")
    answers = [
        wang.send("/sign-in", name=name, password=password)
        for name, password in [("王芳", "wrong"), ("nobody", "wrong"), ("李娜", "wrong"), ("", "")]
    ]
    assert {answer.status_code for answer in answers} == {401}
    shown = {re.sub(r'id="f-name" name="name" type="text" value="[^"]*"', "", answer.text) for answer in answers}
    assert len(shown) == 1
    # A lock says the same and holds up what is right as well.
    for _ in range(6):
        wang.send("/sign-in", name="王芳", password="wrong")
    locked = wang.send("/sign-in", name="王芳", password=PASSWORD)
    assert locked.status_code == 401
    assert re.sub(r'type="text" value="[^"]*"', "", locked.text) == re.sub(
        r'type="text" value="[^"]*"', "", answers[0].text
    )


def test_a_name_that_was_typed_is_shown_again_as_text(person: Callable[..., Any]) -> None:
    answer = person("王芳").send("/sign-in", name='"><script>alert(1)</script>', password="x")
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;" in answer.text


def test_a_second_click_of_the_last_step_leads_on(person: Callable[..., Any]) -> None:
    wang = person("王芳")
    wang.set_up()
    wang.send("/sign-out")
    page = wang.send("/sign-in", wang.client.get("/sign-in?next=/audit"), name=wang.name, password=PASSWORD)
    code = wang.code()
    assert wang.send("/sign-in/code", page, code=code).headers["location"] == "/audit"
    assert wang.send("/sign-in/code", page, code=code).headers["location"] == "/audit"
    wang.send("/sign-out")
    again = wang.send("/sign-in/code", page, code=code)
    assert (again.status_code, "begin again" in again.text) == (401, True)


def test_another_sites_form_is_refused_before_anything_is_looked_at(person: Callable[..., Any]) -> None:
    wang = person("王芳")
    link = wang.make_link()
    host = {"Sec-Fetch-Site": ""}
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {**host, "Origin": "https://evil.example"},
        {**host, "Origin": "null"},
    ):
        wang.client.headers.pop("Sec-Fetch-Site", None)
        sent = {name: value for name, value in headers.items() if value}
        for path in (link, "/sign-in", "/sign-in/code", "/sign-in/passkey", "/sign-out"):
            assert wang.client.post(path, data={"name": "王芳"}, headers=sent).status_code == 403, (path, headers)
    own = {"Origin": str(wang.client.base_url).rstrip("/")}
    assert wang.client.post(link, headers=own).status_code == 303


def test_by_tls_the_cookie_is_for_this_host_alone(
    database: Any, make_office: Callable[..., Any], open_web: Callable[..., httpx.Client]
) -> None:
    office = make_office(database, accounts={"url": "https://console.example.org"})
    web = open_web(office)
    with database.begin() as connection:
        actor = registry.at_keyboard(connection, office.keys.cipher, "Zhao Min")
    grant = Grant(Role.FLEET_ADMINISTRATOR, None)
    who = registry.add_account(database, office.keys.cipher, actor, name="王芳", grant=grant, now=office.now)
    rules = account_rules(office.settings)
    url = registry.make_link(database, office.keys.cipher, actor, who, rules=rules, now=office.now)
    headers = {"Host": "console.example.org", "Sec-Fetch-Site": "same-origin"}
    done = web.post(url.removeprefix("https://console.example.org"), headers=headers)
    assert done.status_code == 303
    assert done.headers["strict-transport-security"] == "max-age=31536000"
    name, *rest = done.headers["set-cookie"].split("; ")
    assert name.startswith(f"__Host-{SESSION_COOKIE}=")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(rest)
    kept = {**headers, "Cookie": name}
    assert web.get("/set-up", headers=kept).status_code == 200
    # Under the other name, which another host of the domain could set, it is nobody's.
    plain = {**headers, "Cookie": name.removeprefix("__Host-")}
    assert web.get("/set-up", headers=plain).headers["location"].startswith("/sign-in")


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/a\r\nSet-Cookie: x=y",
        "evil.example",
        "",
        "/" + "a" * 5000,
        "/sign-in?next=/sign-in",
        "/sign-out",
    ],
)
def test_nobody_is_led_to_another_host(wanted: str) -> None:
    assert own_path(wanted) == "/"


@pytest.mark.parametrize("wanted", ["/audit", "/people/s-1?tab=a&b=%2F%2Fx", "/accounts", "/sign-ins"])
def test_pages_of_ours_are_led_to(wanted: str) -> None:
    assert own_path(wanted) == wanted


def test_what_is_no_form_or_too_large_has_a_page_that_says_so(person: Callable[..., Any]) -> None:
    wang = person("王芳")
    wang.set_up()
    for path in ("/sign-in", "/account/password"):
        large = wang.client.post(path, data={"name": "甲" * 3_000_000})
        assert (large.status_code, "too large" in large.text) == (413, True)
        wrong = wang.client.post(path, json={"name": "甲"})
        assert (wrong.status_code, "from a page of this system" in wrong.text) == (415, True)
        many = wang.client.post(path, data={f"f{number}": "1" for number in range(1000)})
        assert many.status_code == 400
        broken = wang.client.post(
            path, content=b"name=%ff", headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert broken.status_code == 400
    length = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": "9" * 12}
    connection = HTTPConnection(wang.client.base_url.host, wang.client.base_url.port or 80)
    connection.request("POST", "/sign-in", headers=length)
    assert connection.getresponse().status == 415
    connection.close()


def test_a_flood_of_passwords_is_told_to_come_back_and_leaves_other_pages_alone(
    web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "WAITING", 1)
    monkeypatch.setattr(passwords, "WAIT_S", 60.0)
    gate, real = threading.Event(), PasswordHasher.verify

    def held(*arguments: Any) -> bool:
        assert gate.wait(60)
        return real(*arguments)

    monkeypatch.setattr(PasswordHasher, "verify", held)

    def sign_in(number: int) -> httpx.Response:
        heads = {"Sec-Fetch-Site": "same-origin", "Accept-Language": "en"}
        with httpx.Client(base_url=web.base_url, trust_env=False, timeout=120, headers=heads) as client:
            return client.post("/sign-in", data={"name": f"x{number}", "password": PASSWORD})

    with ThreadPoolExecutor(9) as threads:
        sent = [threads.submit(sign_in, number) for number in range(9)]
        # Two are looked at and one waits, whichever these are; all others are answered, and so are other pages.
        first = [each.result() for each in itertools.islice(as_completed(sent, timeout=60), 6)]
        assert web.get("/sign-in").status_code == 200
        gate.set()
        answered = [each.result() for each in sent]
    assert {each.status_code for each in first} == {503}
    assert {each.headers["retry-after"] for each in first} == {"10"}
    assert all("Too many sign in at once" in each.text for each in first)
    assert sum(each.status_code == 503 for each in answered) == 6


def test_an_own_session_is_ended_and_others_stay(person: Callable[..., Any], office: Any) -> None:
    wang = person("王芳")
    wang.set_up()
    here = wang.client.cookies[SESSION_COOKIE]
    wang.client.cookies.clear()
    assert wang.sign_in().status_code == 303
    page = wang.client.get("/account")
    assert page.text.count('/end"') == 1
    session = re.findall(r"/account/sessions/([0-9a-f]+)/end", page.text)[0]
    assert wang.send(f"/account/sessions/{session}/end", page).headers["location"] == "/account?done=session_ended"
    assert "this one" in wang.client.get("/account").text
    wang.client.cookies.clear()
    there = wang.client.get("/account", headers={"Cookie": f"{SESSION_COOKIE}={here}"})
    assert there.headers["location"] == "/sign-in?next=%2Faccount"


def test_what_is_signed_in_with_changes_only_soon_after_signing_in(person: Callable[..., Any], office: Any) -> None:
    wang = person("王芳")
    wang.set_up()
    page = wang.client.get("/account")
    wrong = wang.send("/account/password", page, new="eight white storks", again="eight white storks", current="no")
    assert wrong.status_code == 303, "who came by a link names no present password"
    wang.client.cookies.clear()
    page = wang.send("/sign-in", name=wang.name, password="eight white storks")
    assert wang.send("/sign-in/code", page, code=wang.code()).status_code == 303
    page = wang.client.get("/account")
    wrong = wang.send("/account/password", page, new=PASSWORD, again=PASSWORD, current="no")
    assert (wrong.status_code, "present password is not right" in wrong.text) == (422, True)
    office.now += timedelta(minutes=20)
    late = wang.client.get("/account")
    assert "/sign-in?again=1" in late.text
    assert 'action="/account/password"' not in late.text
    for path in ("password", "generator", "recovery-codes"):
        refused = wang.send(f"/account/{path}", late, new=PASSWORD, again=PASSWORD, current="eight white storks")
        assert (refused.status_code, "too long ago" in refused.text) == (422, True), path
    refused = wang.send("/account/passkeys/options", late)
    assert "too long ago" in refused.json()["problem"]
