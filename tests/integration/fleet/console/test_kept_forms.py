"""A session that is over in the middle of a form: what was typed is there after signing in, for the same person and nobody else."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest

from fleet.accounts.roles import Role
from fleet.web.kept import MOST

pytestmark = pytest.mark.integration
TYPED = {"name": '钱 "芳" <b>', "role": "operator", "area": "east"}


def accounts(office: Any) -> int:
    return int(office.rows("SELECT count(*) FROM accounts")[0][0])


def lines(page: httpx.Response) -> list[tuple[str, str]]:
    """What a page says that will be sent."""
    found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.text, re.DOTALL)
    return [(html.unescape(label), html.unescape(value)) for label, value in found]


@pytest.fixture
def wang(person: Callable[..., Any]) -> Any:
    """Somebody who is signed in by password and code."""
    made = person("王芳")
    made.set_up()
    return made


def test_what_was_typed_is_sent_once_the_same_person_has_signed_in_again(wang: Any, office: Any) -> None:
    page = wang.client.get("/accounts/new")
    office.now += timedelta(hours=9)
    before = accounts(office)
    ended = wang.send("/accounts/new", page, **TYPED)
    assert (ended.status_code, ended.headers["hx-push-url"], ended.headers["hx-retarget"]) == (401, "false", "body")
    assert "What you typed is not lost" in ended.text
    sealed = wang.fields_of(ended)["kept"]
    assert "芳" not in sealed
    # Through both steps, and past a password that is wrong.
    wrong = wang.send("/sign-in", ended, name="王芳", password="wrong")
    assert wang.fields_of(wrong)["kept"] == sealed
    shown = wang.sign_in(wrong)
    assert shown.status_code == 200
    assert wang.client.cookies
    assert "<h2>Accounts</h2>" in shown.text
    assert lines(shown) == [("Name", TYPED["name"]), ("Role", "operator"), ("Area", "east")]
    assert accounts(office) == before
    done = wang.send("/accounts/new", shown)
    assert done.headers["location"].endswith("done=account_added")
    assert accounts(office) == before + 1
    assert html.escape(TYPED["name"]).replace("&quot;", "&#34;") in wang.client.get("/accounts").text


def test_another_person_gets_nothing_of_it_and_is_told_so(wang: Any, office: Any, person: Callable[..., Any]) -> None:
    other = person("李娜")
    other.set_up()
    page = wang.client.get("/accounts/new")
    office.now += timedelta(hours=9)
    ended = wang.send("/accounts/new", page, **TYPED)
    wang.name, wang.secret = other.name, other.secret
    shown = wang.sign_in(ended)
    assert shown.status_code == 409
    assert "is another person" in shown.text
    assert "钱" not in shown.text
    assert accounts(office) == 2


def test_what_is_older_than_a_day_or_altered_is_dropped(wang: Any, office: Any) -> None:
    page = wang.client.get("/accounts/new")
    office.now += timedelta(hours=9)
    ended = wang.send("/accounts/new", page, **TYPED)
    sealed = wang.fields_of(ended)["kept"]
    for kept in (sealed[:-4] + "AAAA", "not sealed", "A" * 2000):
        assert wang.sign_in(kept=kept).status_code == 409
    office.now += timedelta(hours=25)
    assert wang.sign_in(ended).status_code == 409


def test_a_form_of_an_earlier_session_is_shown_before_it_is_sent(wang: Any, office: Any) -> None:
    page = wang.client.get("/accounts/new")
    wang.send("/sign-out")
    assert wang.sign_in().status_code == 303
    before = accounts(office)
    shown = wang.send("/accounts/new", page, **TYPED)
    assert (shown.status_code, shown.headers["hx-retarget"]) == (409, "body")
    assert ("Name", TYPED["name"]) in lines(shown)
    assert accounts(office) == before
    assert wang.send("/accounts/new", shown).status_code == 303
    assert accounts(office) == before + 1


def test_two_people_in_two_tabs_send_nothing_in_each_others_name(
    wang: Any, office: Any, person: Callable[..., Any]
) -> None:
    other = person("李娜")
    other.set_up()
    page = wang.client.get("/accounts/new")
    wang.client.cookies = other.client.cookies
    before = accounts(office)
    answer = wang.send("/accounts/new", page, **TYPED)
    assert (answer.status_code, "Somebody else opened this page" in answer.text) == (409, True)
    assert "钱" not in answer.text
    assert accounts(office) == before


def test_a_form_that_nobody_opened_is_refused_and_not_kept(wang: Any, office: Any) -> None:
    for token in ("", "guessed", "甲"):
        answer = wang.send("/accounts/new", form_token=token, **TYPED)
        assert answer.status_code == 403
    office.now += timedelta(hours=9)
    ended = wang.send("/accounts/new", form_token="guessed", **TYPED)
    assert ended.status_code == 401
    assert "kept" not in wang.fields_of(ended)


def test_passwords_and_codes_are_never_kept(wang: Any, office: Any) -> None:
    page = wang.client.get("/account")
    office.now += timedelta(hours=9)
    for path in ("password", "generator/confirm", "passkeys"):
        ended = wang.send(f"/account/{path}", page, new="eight white storks", code="123456", label="desk")
        assert ended.status_code == 401
        assert "kept" not in wang.fields_of(ended)
        assert "storks" not in ended.text


def test_files_are_to_be_chosen_again_and_are_named(wang: Any, office: Any) -> None:
    token = wang.fields_of(wang.client.get("/accounts/new"))["form_token"]
    office.now += timedelta(hours=9)
    ended = wang.client.post(
        "/reminders/contacts", data={"form_token": token, **TYPED}, files={"list": ("名单.csv", b"x" * 5000)}
    )
    assert ended.status_code == 401
    assert "名单.csv" in ended.text
    shown = wang.sign_in(ended)
    assert 'enctype="multipart/form-data"' in shown.text
    assert re.search(r'type="file" name="list"', shown.text)
    assert "名单.csv" in shown.text


def test_nobody_sends_files_without_end(web: httpx.Client, wang: Any) -> None:
    head = {"Content-Type": "multipart/form-data; boundary=x", "Sec-Fetch-Site": "same-origin"}
    for own, length, expected in ((False, 67 * 1024**2, 413), (True, 1027 * 1024**2, 413), (False, None, 411)):
        connection = HTTPConnection(web.base_url.host, web.base_url.port or 80)
        cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in wang.client.cookies.items())} if own else {}
        connection.putrequest("POST", "/people/photos")
        size = {"Content-Length": str(length)} if length else {"Transfer-Encoding": "chunked"}
        for name, value in {**head, **cookies, **size}.items():
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.getresponse().status == expected
        connection.close()


def test_nothing_is_read_of_whoever_may_not_send_it(web: httpx.Client, sign_in: Callable[..., Any]) -> None:
    """Nothing comes after the heads: an answer before that has read none of it."""
    viewer, administrator = sign_in("viewer"), sign_in("fleet_administrator")
    head = {"Content-Type": "multipart/form-data; boundary=x", "Sec-Fetch-Site": "same-origin"}
    for client, path, expected, said in (
        (viewer, "/people/photos", 403, "Your role"),
        (viewer, "/people/import", 403, "Your role"),
        (administrator, "/accounts/new", 415, "cannot be read"),
        (administrator, "/people/import", 413, "64 MB"),
    ):
        connection = HTTPConnection(web.base_url.host, web.base_url.port or 80)
        connection.putrequest("POST", path)
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        heads = {**head, "Cookie": cookies, "Content-Length": str(900 * 1024**2), "Accept-Language": "en"}
        for name, value in heads.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, said in answer.read().decode()) == (expected, True), path
        connection.close()


def test_what_is_too_long_to_be_kept_is_told(wang: Any, office: Any) -> None:
    page = wang.client.get("/accounts/new")
    office.now += timedelta(hours=9)
    ended = wang.send("/accounts/new", page, name="x" * (MOST + 1))
    assert ended.status_code == 401
    assert "too long to be kept" in ended.text
    assert "kept" not in wang.fields_of(ended)
    assert len(ended.content) < 300_000
    # What just fits is a page of the usual size.
    fits = wang.send("/accounts/new", page, name="x" * (MOST - 1000))
    assert wang.fields_of(fits)["kept"]
    assert len(fits.content) < 300_000


def test_nothing_that_was_typed_stands_in_an_address(wang: Any, office: Any) -> None:
    page = wang.client.get("/accounts/new")
    office.now += timedelta(hours=9)
    ended = wang.send("/accounts/new?from=list", page, **TYPED)
    assert not [address for address in re.findall(r'(?:href|action)="([^"]*)"', ended.text) if "kept" in address]
    shown = wang.sign_in(ended)
    assert 'action="/accounts/new?from=list"' in shown.text


def test_a_live_part_leaves_its_page_alone_and_tells_it(wang: Any, office: Any) -> None:
    office.now += timedelta(hours=9)
    live = wang.client.get("/audit?poll=1", headers={"HX-Request": "true"})
    assert (live.status_code, live.headers["hx-reswap"], live.headers["hx-trigger"]) == (401, "none", "signed-out")
    part = wang.client.get("/audit?kind=case", headers={"HX-Request": "true"})
    assert part.headers["hx-redirect"] == "/sign-in?next=%2Faudit%3Fkind%3Dcase"
    boosted = wang.client.get("/audit", headers={"HX-Request": "true", "HX-Boosted": "true"})
    assert (boosted.status_code, boosted.headers["location"]) == (303, "/sign-in?next=%2Faudit")


def test_who_lost_a_role_meanwhile_sends_nothing_by_it(wang: Any, office: Any, person: Callable[..., Any]) -> None:
    li = person("李娜", Role.AREA_ADMINISTRATOR, "east")
    li.set_up()
    page = li.client.get("/accounts/new")
    office.now += timedelta(hours=9)
    ended = li.send("/accounts/new", page, **TYPED)
    with office.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM account_grants WHERE role = 'area_administrator'")
    shown = li.sign_in(ended)
    assert li.send("/accounts/new", shown).status_code == 403


def test_what_gives_power_takes_a_sign_in_of_some_minutes_ago_and_loses_nothing(wang: Any, office: Any) -> None:
    page = wang.client.get("/accounts/new")
    before = accounts(office)
    # Used all the time, so that the session goes on.
    office.now += timedelta(minutes=14)
    assert wang.client.get("/accounts").status_code == 200
    office.now += timedelta(minutes=2)
    stale = wang.send("/accounts/new", page, **TYPED)
    assert (stale.status_code, "sign-in of the last 15 minutes" in stale.text) == (401, True)
    assert accounts(office) == before
    # The session is no worse for it.
    assert wang.client.get("/accounts").status_code == 200
    shown = wang.sign_in(stale)
    assert lines(shown) == [("Name", TYPED["name"]), ("Role", "operator"), ("Area", "east")]
    done = wang.send("/accounts/new", shown)
    assert done.headers["location"].endswith("done=account_added")
    path = done.headers["location"].partition("?")[0]
    office.now += timedelta(minutes=16)
    page = wang.client.get(path)
    for what in ("give", "reset", "link", "enable"):
        assert wang.send(f"{path}/{what}", page, role="viewer", area="east").status_code == 401, what
    for address in ("/rules/packs/LZ-2019/1/approve", "/rules/calibrations/1/approve", "/privacy/erasures"):
        assert wang.send(address, page).status_code == 401, address
    # Taking something away must be quick.
    assert wang.send(f"{path}/disable", page).headers["location"].endswith("done=account_disabled")
