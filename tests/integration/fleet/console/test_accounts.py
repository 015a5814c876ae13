"""The pages of accounts: who sees whom, who gives what, and why something is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from fleet.accounts.granting import Objection
from fleet.store.areas import Area, save_areas
from fleet.web.texts import load_texts

pytestmark = pytest.mark.integration
TREE = [
    Area("west", None, 1, "西省"),
    Area("east", None, 1, "东省"),
    Area("east-1", "east", 2, "东一市"),
    Area("east-2", "east", 2, "东二市"),
]


@pytest.fixture
def agency(office: Any) -> Any:
    """A fleet with a tree of areas."""
    with office.database.begin() as connection:
        save_areas(connection, TREE)
    return office


def id_of(office: Any, page: str, name: str) -> str:
    return re.findall(rf'/accounts/(a-[0-9a-f]+)">{re.escape(name)}<', page)[0]


def choices(page: str, name: str) -> list[str]:
    part = page.split(f'<select id="f-{name}"')[1].split("</select>")[0]
    return re.findall(r'<option value="([^"]+)"', part)


def test_every_objection_has_a_sentence() -> None:
    for texts in load_texts().values():
        assert set(texts["accounts"]["objections"]) == set(Objection)


def test_an_area_administrator_sees_and_manages_their_area_alone(agency: Any, sign_in: Callable[..., Any]) -> None:
    for name, role, area in [
        ("东经办", "operator", "east-1"),
        ("西经办", "operator", "west"),
        ("总管", "auditor", None),
    ]:
        sign_in(role, area=area, name=name)
    admin = sign_in("area_administrator", area="east", name="东管理")
    page = admin.get("/accounts").text
    assert "东经办" in page
    assert "西经办" not in page
    assert "总管" not in page
    whole = sign_in("fleet_administrator", name="系统").get("/accounts").text
    outside = id_of(agency, whole, "西经办")
    for path in ("", "/give", "/take", "/disable", "/enable", "/reset", "/link"):
        answer = (
            admin.get(f"/accounts/{outside}")
            if not path
            else admin.send_form(f"/accounts/{outside}{path}", {"role": "viewer", "area": "east"})
        )
        nobody = admin.get("/accounts/a-none") if not path else admin.send_form(f"/accounts/a-none{path}")
        assert (answer.status_code, nobody.status_code) == (404, 404)
        assert answer.text == nobody.text
    inside = id_of(agency, page, "东经办")
    one = admin.get(f"/accounts/{inside}").text
    assert choices(one, "role") == ["viewer", "operator"]
    assert choices(one, "area") == ["east", "east-1", "east-2"]


def test_roles_are_given_and_taken_and_every_refusal_says_why(agency: Any, sign_in: Callable[..., Any]) -> None:
    sign_in("operator", area="east-1", name="东经办")
    admin = sign_in("area_administrator", area="east", name="东管理")
    path = "/accounts/" + id_of(agency, admin.get("/accounts").text, "东经办")
    done = admin.send_form(f"{path}/give", {"role": "viewer", "area": "east-2"})
    assert done.headers["location"] == f"{path}?done=role_given"
    assert "东二市" in admin.get(path).text
    for fields, says in [
        ({"role": "reviewer", "area": "east"}, "must not be in one hand"),
        ({"role": "viewer", "area": "west"}, "not one of yours"),
        ({"role": "viewer", "area": "*"}, "not one of yours"),
        ({"role": "viewer", "area": "atlantis"}, "no such area"),
        ({"role": "auditor", "area": "east"}, "viewer, operator and reviewer only"),
        ({"role": "viewer", "area": "east-2"}, "this role there already"),
    ]:
        answer = admin.send_form(f"{path}/give", fields)
        assert (answer.status_code, says in answer.text) == (409, True), fields
    assert admin.send_form(f"{path}/give", {"role": "emperor"}).status_code == 422
    assert "does not have this role" in admin.send_form(f"{path}/take", {"role": "viewer", "area": "east"}).text
    assert admin.send_form(f"{path}/take", {"role": "viewer", "area": "east-2"}).status_code == 303
    assert "东二市" not in admin.get(path).text.split("f-role")[0]
    # With its last role here the account is out of sight.
    last = admin.send_form(f"{path}/take", {"role": "operator", "area": "east-1"})
    assert last.headers["location"] == "/accounts?done=role_taken"
    assert admin.get(path).status_code == 404


def test_nobody_changes_their_own_roles_and_the_last_administrator_stays(
    agency: Any, sign_in: Callable[..., Any]
) -> None:
    admin = sign_in("fleet_administrator", name="系统")
    path = "/accounts/" + id_of(agency, admin.get("/accounts").text, "系统")
    page = admin.get(path).text
    assert "another administrator must" in page
    assert f"{path}/give" not in page
    assert f"{path}/take" not in page
    assert f"{path}/disable" not in page
    refused = admin.send_form(f"{path}/disable")
    assert (refused.status_code, "last fleet administrator" in refused.text) == (409, True)
    # Nobody could let them in again.
    assert f"{path}/reset" not in page
    refused = admin.send_form(f"{path}/reset")
    assert (refused.status_code, "would lock you out" in refused.text) == (409, True)
    assert admin.get(path).status_code == 200
    refused = admin.send_form(f"{path}/take", {"role": "fleet_administrator"})
    assert "last fleet administrator" in refused.text


def test_an_account_is_added_gets_a_link_once_and_is_disabled(
    agency: Any, sign_in: Callable[..., Any], web: Any
) -> None:
    admin = sign_in("fleet_administrator", name="系统")
    sign_in("viewer", name="老人")
    assert choices(admin.get("/accounts/new").text, "area") == ["*", "east", "east-1", "east-2", "west"]
    for fields, status, says in [
        ({"name": " ", "role": "viewer"}, 422, "1 to 100 characters"),
        ({"name": "x" * 101, "role": "viewer"}, 422, "1 to 100 characters"),
        ({"name": "新人"}, 422, "choose a role"),
        ({"name": "系统", "role": "viewer", "area": "*"}, 422, "another administrator must"),
        ({"name": "老人", "role": "viewer", "area": "*"}, 409, "an account of this name"),
        ({"name": "老 人", "role": "viewer", "area": "*"}, 409, "an account of this name"),
        # All areas are nobody's by oversight.
        ({"name": "新人", "role": "viewer", "area": ""}, 422, "choose a role and an area"),
        ({"name": "新人", "role": "fleet_administrator", "area": "east"}, 422, "choose no area"),
    ]:
        answer = admin.send_form("/accounts/new", fields)
        assert (answer.status_code, says in answer.text) == (status, True), fields
        assert f'value="{fields["name"].strip()}"' in answer.text
    done = admin.send_form("/accounts/new", {"name": "新人", "role": "operator", "area": "east"})
    path = done.headers["location"].partition("?")[0]
    link = admin.send_form(f"{path}/link")
    url = re.findall(r'<code class="secret">([^<]+)</code>', link.text)[0]
    assert "data:image/svg+xml" in link.text
    arrived = web.post(url.partition("8080")[2], headers={"Authorization": "", "Sec-Fetch-Site": "same-origin"})
    assert arrived.headers["location"] == "/set-up"
    assert admin.send_form(f"{path}/disable").headers["location"] == f"{path}?done=account_disabled"
    cookie = {"Cookie": arrived.headers["set-cookie"].partition(";")[0], "Authorization": ""}
    assert web.get("/set-up", headers=cookie).headers["location"].startswith("/sign-in")
    refused = admin.send_form(f"{path}/link")
    assert (refused.status_code, "enable it first" in refused.text) == (409, True)
    assert admin.send_form(f"{path}/enable").status_code == 303
    assert admin.send_form(f"{path}/reset").headers["location"] == f"{path}?done=account_reset"


def test_the_list_is_narrowed_and_goes_on_over_pages(agency: Any, sign_in: Callable[..., Any]) -> None:
    for number in range(60):
        sign_in("viewer" if number % 2 else "operator", area="east", name=f"人员{number:02d}")
    admin = sign_in("fleet_administrator", name="系统")
    first = admin.get("/accounts").text
    seen = re.findall(r'/accounts/a-[0-9a-f]+">([^<]+)<', first)
    address = re.findall(r'href="([^"]+)" rel="next"', first)[0]
    rest = admin.get(address.replace("&amp;", "&")).text
    seen += re.findall(r'/accounts/a-[0-9a-f]+">([^<]+)<', rest)
    assert seen == sorted([*(f"人员{number:02d}" for number in range(60)), "系统"])
    back = re.findall(r'href="([^"]+)" rel="prev"', rest)[0]
    assert "人员00" in admin.get(back.replace("&amp;", "&")).text
    only = admin.get("/accounts", params={"name": "人员0", "role": "viewer"}).text
    assert re.findall(r'">(人员\d\d)<', only) == [f"人员0{number}" for number in (1, 3, 5, 7, 9)]
    assert "No accounts match" in admin.get("/accounts", params={"state": "disabled"}).text


def test_a_search_without_end_is_cut_and_says_so(agency: Any, sign_in: Callable[..., Any]) -> None:
    answer = sign_in("fleet_administrator").get("/accounts", params={"name": "甲" * 5000})
    assert answer.status_code == 200
    assert "only its beginning was used" in answer.text
    assert len(answer.content) < 20_000


def test_a_name_with_a_script_stays_text(agency: Any, sign_in: Callable[..., Any]) -> None:
    admin = sign_in("fleet_administrator", name="<script>alert(1)</script>")
    for path in ("/accounts", "/account", "/"):
        assert "<script>alert" not in admin.get(path).text


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_accounts_in_a_browser(agency: Any, browse: Callable[..., Any], language: str, width: int) -> None:
    seen = browse("fleet_administrator", name="系统管理", language=language, width=width)
    page = seen.go("/accounts")
    page.click("a[href='/accounts/new']")
    page.wait_for_url("**/new")
    expect(page.locator("h1")).to_be_focused()
    page.fill("#f-name", "钱芳")
    page.select_option("#f-role", "operator")
    page.select_option("#f-area", "east-1")
    seen.check(f"accounts-new-{language}-{width}")
    page.click("main form button")
    expect(page.locator("h1")).to_have_text("钱芳")
    expect(page.locator("[role=status]")).to_be_visible()
    seen.check(f"accounts-one-{language}-{width}")
    page.click("form[action$='/link'] button")
    expect(page.locator("img.qr")).to_be_visible()
    seen.check(f"accounts-link-{language}-{width}")
    # The address is still that of the account: a form's own cannot be opened.
    expect(page).to_have_url(re.compile(r"/accounts/a-[0-9a-f]+\?done=account_added$"))
    page.click("main .actions a")
    page.click("form[action$='/disable'] button")
    seen.mean_it(f"sure-disable-{language}-{width}")
    expect(page.locator("form[action$='/enable'] button")).to_be_visible()
