"""What cannot be taken back is asked about first, on a page that works without scripts and keeps all that was typed."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fleet.web
from fleet.accounts import registry
from fleet.web.texts import LANGUAGES, load_texts

pytestmark = pytest.mark.integration
PAGES = Path(fleet.web.__file__).parent / "pages"
BEFORE = {"meant": ""}
"""As a form sends it that was not asked about yet."""


@pytest.fixture(scope="module")
def office(module_agency: Any) -> Any:
    """The made-up agency; nothing here is carried out."""
    return module_agency


@pytest.fixture(scope="module")
def web(module_web: Any) -> Any:
    """Its console."""
    return module_web


def hidden(text: str) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text.partition("<main")[2])
    return {name: html.unescape(value) for name, value in found}


def account_of(office: Any, name: str) -> str:
    with office.database.begin() as connection:
        return registry.find(connection, office.keys.cipher, name)


def deeds(office: Any) -> dict[str, tuple[str, str, dict[str, str]]]:
    """By what is asked: the page with the form, its address, and what is typed beside what the page gives."""
    index = office.index
    terminal = index.terminals["dull"][0]
    partner = f"/exchange/partners/{index.others['partner']}"
    account = f"/accounts/{account_of(office, 'Xie Haiyun')}"
    typed = {"who": "nobody-of-this-id", "ground": "request", "reason": "asked <in> writing"}
    return {
        "retire": (
            f"/terminals/{terminal}",
            f"/terminals/{terminal}/retire",
            {"confirmation": terminal, "reason": "broken & gone"},
        ),
        "restart": (
            f"/terminals/{terminal}",
            f"/terminals/{terminal}/command",
            {"kind": "restart", "reason": "it hangs"},
        ),
        "revoke": (partner, f"{partner}/revoke", {}),
        "disable": (account, f"{account}/disable", {}),
        "reset": (account, f"{account}/reset", {}),
        "erase": ("/privacy/erasures", "/privacy/erasures", typed),
        "withdraw": ("/privacy/consents", "/privacy/withdrawals", {"who": "nobody-of-this-id", "other_way": "counter"}),
    }


def given(page: str, path: str) -> dict[str, str]:
    """What the form on a page sends by itself."""
    form = re.search(rf'<form[^>]*action="{re.escape(path)}(?:\?[^"]*)?".*?</form>', page, re.DOTALL)
    assert form is not None, path
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[0])
    return {name: html.unescape(value) for name, value in found if name != "form_token"}


def entries(office: Any) -> int:
    return int(
        office.rows("SELECT count(*) FROM audit_log WHERE action NOT LIKE '%viewed' AND action NOT LIKE '%listed'")[0][
            0
        ]
    )


DEEDS = ("retire", "restart", "revoke", "disable", "reset", "erase", "withdraw")


@pytest.mark.parametrize("language", list(LANGUAGES))
@pytest.mark.parametrize("deed", DEEDS)
def test_nothing_is_done_before_it_is_asked_and_all_that_was_typed_is_sent_on(
    office: Any, sign_in: Callable[..., Any], deed: str, language: str
) -> None:
    client = sign_in("fleet_administrator", name=f"{deed} {language}", language=language)
    page, path, typed = deeds(office)[deed]
    fields = {**given(client.get(page).text, path), **typed}
    before = entries(office)
    asked = client.send_form(path, {**fields, **BEFORE})
    assert (asked.status_code, asked.headers["hx-push-url"], asked.headers["hx-retarget"]) == (200, "false", "body")
    words = load_texts()[language]["sure"]
    assert f">{words[deed]['title']}</h1>" in asked.text
    assert f'<button class="danger" name="meant" value="yes">{words[deed]["do"]}</button>' in asked.text
    assert f'<form class="card narrow" method="post" action="{path}">' in asked.text
    assert hidden(asked.text) == {**fields, "form_token": client.form_token}
    for value in typed.values():
        if " " in value:
            assert f"<dd>{html.escape(value)}</dd>" in asked.text
    assert entries(office) == before


@pytest.mark.parametrize("deed", DEEDS)
def test_whoever_goes_back_finds_what_they_typed_and_nothing_done(
    office: Any, sign_in: Callable[..., Any], deed: str
) -> None:
    client = sign_in("fleet_administrator", name=f"{deed} back")
    page, path, typed = deeds(office)[deed]
    fields = {**given(client.get(page).text, path), **typed}
    before = entries(office)
    back = client.send_form(path, {**fields, "meant": "no"})
    assert back.status_code in (409, 422)
    assert "Nothing was done; what you typed is still here." in back.text
    for value in typed.values():
        if " " in value:
            assert html.escape(value) in back.text
    assert entries(office) == before


def test_a_form_of_nobody_and_one_that_was_overtaken_are_not_asked_about(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("fleet_administrator", name="stale")
    page, path, typed = deeds(office)["retire"]
    fields = {**given(client.get(page).text, path), **typed}
    assert client.post(path, data={**fields, "form_token": "guessed"}).status_code == 403
    assert (
        client.post(
            path, data={**fields, "form_token": client.form_token}, headers={"Sec-Fetch-Site": "cross-site"}
        ).status_code
        == 403
    )
    late = client.send_form(path, {**fields, "version": "99", **BEFORE})
    assert late.status_code == 409
    assert load_texts()["en"]["sure"]["retire"]["title"] not in re.findall(r"<h1[^>]*>(.*?)</h1>", late.text)
    wrong = client.send_form(path, {**fields, "confirmation": "another", **BEFORE})
    assert wrong.status_code == 422


def test_messages_are_not_sent_where_no_way_is_set_up_and_the_page_says_so(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("fleet_administrator", name="sends")
    text = client.get("/reminders").text
    # What may be sent from there has calls take the place of messages, and asks so.
    assert text.count('action="/reminders/send"') == text.count('name="calls"') == 1
    sentence = "No message can be sent: no channel is set up."
    assert sentence in text
    refused = client.send_form("/reminders/send", BEFORE)
    assert (refused.status_code, sentence in refused.text) == (409, True)
    asked = client.send_form("/reminders/send", {"calls": "yes", **BEFORE})
    assert load_texts()["en"]["sure"]["calls"]["title"] in asked.text


def test_every_question_is_asked_by_some_page_and_no_script_asks_any() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in PAGES.glob("*.py"))
    asked = set(re.findall(r'make_sure\(\s*"(\w+)"', sources)) | set(re.findall(r'\bsure="(\w+)"', sources))
    asked |= set(re.findall(r'"operator_unlinked", "(\w+)"', sources))
    questions = {code for code in load_texts()["en"]["sure"] if code != "back"}
    assert asked == questions
    scripts = "".join(path.read_text(encoding="utf-8") for path in (PAGES.parent / "static").glob("*.js"))
    assert not re.search(r"\b(?:confirm|alert|prompt)\(", scripts)


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 390), ("zh", 1366), ("en", 1366)])
def test_the_question_in_a_browser_with_and_without_scripts(
    office: Any, browse: Callable[..., Any], language: str, width: int
) -> None:
    terminal = office.index.terminals["dull"][0]
    words = load_texts()[language]["sure"]
    for has_scripts in (True, False):
        seen = browse(
            "fleet_administrator",
            name=f"asks {language} {width} {has_scripts}",
            language=language,
            width=width,
            java_script_enabled=has_scripts,
        )
        page = seen.go(f"/terminals/{terminal}")
        page.locator("details:has(form[action$='/retire']) summary").click()
        form = page.locator("form[action$='/retire']")
        form.locator("[name=confirmation]").fill(terminal)
        form.locator("[name=reason]").fill("坏了 <b>")
        form.locator("button").click()
        page.wait_for_selector("button[name=meant]")
        assert page.locator("h1").inner_text() == words["retire"]["title"]
        assert page.locator(".lines dd").inner_text() == "坏了 <b>"
        if has_scripts:
            seen.check(f"sure-{language}-{width}")
        page.locator("button[name=meant][value=no]").click()
        page.wait_for_selector("form[action$='/retire'] [name=reason]")
        assert page.locator("form[action$='/retire'] [name=reason]").input_value() == "坏了 <b>"
        assert page.locator("form[action$='/retire'] [name=reason]").is_visible()
