"""Roles that decide, and the way into accounts that have one, take two administrators."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from fleet.accounts import registry, second_word
from fleet.accounts.roles import Grant, Role

pytestmark = pytest.mark.integration


def account_of(office: Any, name: str) -> str:
    with office.database.begin() as connection:
        return registry.find(connection, office.keys.cipher, name)


def changes(page: str, what: str = "approve") -> list[str]:
    return re.findall(rf"/accounts/changes/(ac-[0-9a-f]+)/{what}", page)


def grants(office: Any, account_id: str) -> list[str]:
    rows = office.rows("SELECT role FROM account_grants WHERE account_id = :id ORDER BY role", id=account_id)
    return [row.role for row in rows]


def test_one_administrator_alone_makes_no_reviewer(office: Any, sign_in: Callable[..., Any], web: httpx.Client) -> None:
    admin = sign_in("area_administrator", area="east", name="Admin")
    added = admin.send_form("/accounts/new", {"name": "Ghost", "role": "reviewer", "area": "east"})
    path = added.headers["location"].partition("?")[0]
    assert added.headers["location"].endswith("done=account_waits")
    account_id = path.rpartition("/")[2]
    assert grants(office, account_id) == []
    # Nor may they go into the account meanwhile, and have the role come to it later.
    assert admin.send_form(f"{path}/link").status_code == 409
    page = admin.get("/accounts").text
    assert "Ghost" in page
    assert changes(page) == []
    (asked,) = changes(page, "drop")
    refused = admin.send_form(f"/accounts/changes/{asked}/approve")
    assert (refused.status_code, "another administrator must agree" in refused.text) == (409, True)
    assert grants(office, account_id) == []
    second = sign_in("area_administrator", area="east", name="Second")
    assert changes(second.get(path).text) == [asked]
    done = second.send_form(f"/accounts/changes/{asked}/approve")
    assert done.headers["location"] == f"{path}?done=change_approved"
    assert grants(office, account_id) == ["reviewer"]
    assert second.send_form(f"/accounts/changes/{asked}/approve").status_code == 404
    # With the second word goes one link.
    link = re.findall(r"/sign-in/link/[\w-]+", admin.send_form(f"{path}/link").text)[0]
    again = admin.send_form(f"{path}/link")
    assert again.headers["location"] == f"{path}?done=link_waits"
    headers = {"Accept-Language": "en", "Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=web.base_url, trust_env=False, headers=headers, timeout=60) as client:
        client.post(link)
        assert client.get("/set-up").status_code == 200
    actions = [row.action for row in office.rows("SELECT action FROM audit_log ORDER BY entry")]
    assert actions[:3] == ["account.change_asked", "account.change_approved", "account.link_made"]


def test_a_reviewers_account_is_not_taken_over(office: Any, sign_in: Callable[..., Any], web: httpx.Client) -> None:
    admin = sign_in("area_administrator", area="east", name="Admin")
    reviewer = sign_in("reviewer", area="east", name="Rev")
    path = "/accounts/" + account_of(office, "Rev")
    assert admin.send_form(f"{path}/reset").headers["location"] == f"{path}?done=change_waits"
    assert reviewer.get("/cases").status_code == 200
    assert "/sign-in/link/" not in admin.send_form(f"{path}/link").text
    asked = admin.send_form(f"{path}/reset")
    assert (asked.status_code, "waits for a second administrator" in asked.text) == (409, True)
    (change,) = changes(sign_in("fleet_administrator", name="Boss").get(path).text)
    # Another area's administrator does not know of it.
    west = sign_in("area_administrator", area="west", name="West")
    assert west.send_form(f"/accounts/changes/{change}/approve").status_code == 404
    boss = sign_in("fleet_administrator", name="Boss")
    assert boss.send_form(f"/accounts/changes/{change}/drop").headers["location"] == f"{path}?done=change_dropped"
    assert reviewer.get("/cases").status_code == 200
    assert admin.send_form(f"{path}/reset").status_code == 303
    (change,) = changes(boss.get(path).text)
    assert boss.send_form(f"/accounts/changes/{change}/approve").status_code == 303
    assert reviewer.get("/cases").status_code == 303
    assert "/sign-in/link/" in admin.send_form(f"{path}/link").text


def test_a_role_that_decides_nothing_is_given_at_once(office: Any, sign_in: Callable[..., Any]) -> None:
    admin = sign_in("fleet_administrator", name="Boss")
    sign_in("viewer", name="Li")
    path = "/accounts/" + account_of(office, "Li")
    assert (
        admin.send_form(f"{path}/give", {"role": "auditor", "area": "*"}).headers["location"]
        == f"{path}?done=role_given"
    )
    sign_in("viewer", name="Wu")
    path = "/accounts/" + account_of(office, "Wu")
    for role in ("reviewer", "fleet_administrator"):
        done = admin.send_form(f"{path}/give", {"role": role, "area": "*"})
        assert done.headers["location"] == f"{path}?done=change_waits", role
    assert grants(office, path.rpartition("/")[2]) == ["viewer"]
    # What was possible when it was asked for need not be so any more: these two are never in one hand.
    second = sign_in("fleet_administrator", name="Second")
    first, other = changes(second.get(path).text)
    assert second.send_form(f"/accounts/changes/{first}/approve").status_code == 303
    refused = second.send_form(f"/accounts/changes/{other}/approve")
    assert (refused.status_code, "must not be in one hand" in refused.text) == (409, True)


def test_who_asked_and_is_out_of_service_is_no_first_person(office: Any, sign_in: Callable[..., Any]) -> None:
    admin = sign_in("area_administrator", area="east", name="Admin")
    added = admin.send_form("/accounts/new", {"name": "Ghost", "role": "reviewer", "area": "east"})
    path = added.headers["location"].partition("?")[0]
    boss = sign_in("fleet_administrator", name="Boss")
    (change,) = changes(boss.get(path).text)
    assert boss.send_form(f"/accounts/{account_of(office, 'Admin')}/disable").status_code == 303
    refused = boss.send_form(f"/accounts/changes/{change}/approve")
    assert (refused.status_code, "may not do so any more" in refused.text) == (409, True)
    assert changes(boss.get(path).text) == []


def test_who_asked_and_lost_a_role_since_asks_anew(office: Any, sign_in: Callable[..., Any]) -> None:
    admin = sign_in("area_administrator", "operator", area="east", name="Admin")
    added = admin.send_form("/accounts/new", {"name": "An", "role": "reviewer", "area": "east"})
    path = added.headers["location"].partition("?")[0]
    account_id = path.rpartition("/")[2]
    boss = sign_in("fleet_administrator", name="Boss")
    gone = {"role": "operator", "area": "east"}
    assert boss.send_form(f"/accounts/{account_of(office, 'Admin')}/take", gone).status_code == 303
    (change,) = changes(boss.get(path).text)
    refused = boss.send_form(f"/accounts/changes/{change}/approve")
    assert (refused.status_code, "may not do so any more" in refused.text) == (409, True)
    assert boss.send_form(f"/accounts/changes/{change}/drop").status_code == 303
    assert boss.send_form(f"{path}/give", {"role": "reviewer", "area": "east"}).status_code == 303
    (change,) = changes(admin.get(path).text)
    assert admin.send_form(f"/accounts/changes/{change}/approve").status_code == 303
    assert grants(office, account_id) == ["reviewer"]


def test_whoever_has_the_server_is_the_second_person_of_a_single_administrator(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    admin = sign_in("fleet_administrator", name="Only")
    added = admin.send_form("/accounts/new", {"name": "An", "role": "reviewer", "area": "east"})
    account_id = added.headers["location"].partition("?")[0].rpartition("/")[2]
    (change,) = changes(admin.get("/accounts").text, "drop")
    cipher = office.keys.cipher
    with office.database.begin() as connection:
        keyboard = registry.at_keyboard(connection, cipher, "Only")
    second_word.approve(office.database, cipher, keyboard, change, now=office.now)
    assert grants(office, account_id) == ["reviewer"]
    bo = registry.add_account(
        office.database, cipher, keyboard, name="Bo", grant=Grant(Role.REVIEWER, "east"), now=office.now
    )
    assert grants(office, bo) == ["reviewer"]
    details = office.rows("SELECT action, detail ->> 'second' AS second FROM audit_log ORDER BY entry")
    assert [tuple(row) for row in details] == [
        ("account.change_asked", None),
        ("account.change_approved", "keyboard"),
        ("account.added", "keyboard"),
    ]


@pytest.mark.browser
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [1366, 390])
def test_what_waits_in_a_browser(
    office: Any, sign_in: Callable[..., Any], browse: Callable[..., Any], language: str, width: int
) -> None:
    sign_in("area_administrator", area="east", name="东管理").send_form(
        "/accounts/new", {"name": "钱芳", "role": "reviewer", "area": "east"}
    )
    seen = browse("fleet_administrator", name="系统管理", language=language, width=width)
    page = seen.go("/accounts")
    seen.check(f"accounts-waiting-{language}-{width}")
    page.click("#waiting button >> nth=0")
    seen.mean_it()
    expect(page.locator("h1")).to_have_text("钱芳")
    expect(page.locator("#waiting")).to_have_count(0)
    seen.check(f"accounts-waited-{language}-{width}")
