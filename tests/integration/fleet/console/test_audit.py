"""The page of the audit log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from fleet.audit.log import note

pytestmark = pytest.mark.integration


@pytest.fixture
def written(office: Any) -> Any:
    """A fleet of which 120 things are in the log, one a minute."""
    with office.database.begin() as connection:
        for number in range(120):
            note(
                connection,
                office.keys.cipher,
                actor="甲" if number % 2 else "乙<script>",
                action="case.decided" if number % 3 else "picture.viewed",
                object_kind="case",
                object_id=f"c-{number}",
                detail={"place": number},
                now=office.now + timedelta(minutes=number),
            )
    return office


def test_the_newest_entries_come_first_and_every_entry_is_on_one_page(
    written: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("auditor")
    seen: list[str] = []
    address = "/audit"
    while True:
        answer = client.get(address)
        assert answer.status_code == 200
        seen += [f"c-{number}" for number in range(120) if f">c-{number}<" in answer.text]
        if 'rel="next"' not in answer.text:
            break
        address = answer.text.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
    assert sorted(seen) == sorted(f"c-{number}" for number in range(120))
    first = client.get("/audit").text
    assert first.index(">c-119<") < first.index(">c-100<")
    assert ">c-60<" not in first
    back = client.get(address).text.split('rel="prev"')[0].rsplit('href="', 1)[1].split('"')[0]
    assert ">c-69<" in client.get(back.replace("&amp;", "&")).text


def test_entries_are_found_by_who_what_and_which(written: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("auditor")
    text = client.get("/audit", params={"who": " 甲", "action": "picture"}).text
    assert ">c-117<" in text
    assert "乙" not in text
    assert "case.decided" not in text
    text = client.get("/audit", params={"object_id": "c-7", "kind": "case"}).text
    assert ">c-7<" in text
    assert ">c-77<" not in text
    assert "No entries match" in client.get("/audit", params={"until": "2026-11-19"}).text
    assert ">c-119<" in client.get("/audit", params={"since": "2026-11-20", "until": "2026-11-21"}).text


def test_a_script_in_a_name_stays_text(written: Any, sign_in: Callable[..., Any]) -> None:
    text = sign_in("auditor").get("/audit").text
    assert "<script>&" not in text
    assert "乙&lt;script&gt;" in text


@pytest.mark.parametrize(
    ("role", "area", "status"), [("auditor", None, 200), ("auditor", "east", 403), ("reviewer", None, 403)]
)
def test_the_log_is_for_who_may_see_all_of_it(
    written: Any, sign_in: Callable[..., Any], role: str, area: str | None, status: int
) -> None:
    assert sign_in(role, area=area).get("/audit").status_code == status


@pytest.mark.browser
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [1366, 390])
def test_the_log_in_a_browser(written: Any, browse: Callable[..., Any], language: str, width: int) -> None:
    seen = browse("auditor", language=language, width=width)
    page = seen.go("/audit")
    seen.check(f"audit-{language}-{width}")
    page.click("[rel=next]")
    page.wait_for_url("**after=*")
    expect(page.locator("tbody tr")).to_have_count(50)
    page.fill("#f-object_id", "c-7")
    page.keyboard.press("Enter")
    page.wait_for_url("**object_id=c-7*")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.go_back()
    page.wait_for_url("**after=*")
    expect(page.locator("tbody tr")).to_have_count(50)
    # htmx keeps the address it is at; nothing else stays.
    assert page.evaluate("Object.keys({...localStorage, ...sessionStorage})") == ["htmx-current-path-for-history"]
