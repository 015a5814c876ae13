"""The page of the audit log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from fleet.audit.log import note, verify_lines

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("patient_pages")]


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
    text = client.get("/audit", params={"who": " 甲", "action": "picture."}).text
    assert ">c-117<" in text
    assert "乙" not in text
    assert 'title="case.decided"' not in text
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


def test_the_log_is_checked_and_exported_as_the_command_does(written: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("auditor")
    entries = len(written.rows("SELECT 1 FROM audit_log"))
    whole = client.follow(client.send_form("/audit/verify"))
    assert f"The log is whole: {entries} entries" in whole.text
    made = client.send_form("/audit/export").headers["location"]
    assert "audit/exports" in client.get(made).text
    other = sign_in("auditor").get(made.replace("/runs/", "/audit/exports/"))
    assert other.headers["location"].endswith("done=file_gone")
    answer = client.get(made.replace("/runs/", "/audit/exports/"))
    assert answer.status_code == 200
    count, last = verify_lines(answer.text.splitlines())
    assert count == entries
    assert last in whole.text
    assert f"audit-{count}-{last[:16]}.jsonl" in answer.headers["content-disposition"]
    assert "甲" not in answer.text
    assert 'title="audit.exported"' in client.get("/audit").text
    assert sign_in("auditor", area="east").send_form("/audit/export").status_code == 403
    assert sign_in("reviewer").send_form("/audit/verify").status_code == 403


def test_a_log_that_was_changed_is_told_and_not_exported(written: Any, sign_in: Callable[..., Any]) -> None:
    with written.database.begin() as connection:
        connection.execute(text("ALTER TABLE audit_log DISABLE TRIGGER ALL"))
        connection.execute(text("UPDATE audit_log SET object_id = 'c-x' WHERE entry = 7"))
    client = sign_in("auditor", language="zh")
    for path in ("verify", "export"):
        answer = client.follow(client.send_form(f"/audit/{path}"))
        assert "日志校验未通过" in answer.text
        assert "第 7 行：写入后被更改" in answer.text


@pytest.mark.parametrize("detail", [{"a": "x" * 501}, {"a": ["b", "x" * 501]}, {"a": {"b": "x" * 501}}])
def test_no_entry_takes_a_long_text_and_none_is_cut_short(office: Any, detail: dict[str, Any]) -> None:
    def write(**more: Any) -> None:
        fields = {"action": "case.decided", "object_kind": "case", "object_id": "c-1", **more}
        with office.database.begin() as connection:
            note(connection, office.keys.cipher, actor="甲", now=office.now, **fields)

    for wrong in ({"detail": detail}, {"object_id": "x" * 501}):
        with pytest.raises(ValueError, match="500 at most"):
            write(**wrong)
    write(detail={"a": "x" * 500})
    assert [row.detail for row in office.rows("SELECT detail FROM audit_log")] == [{"a": "x" * 500}]


def test_failed_sign_ins_are_told_in_words_in_both_languages(
    office: Any, web: Any, sign_in: Callable[..., Any]
) -> None:
    sign_in("viewer", name="李芳")
    headers = {"Authorization": "", "Sec-Fetch-Site": "same-origin"}
    for _ in range(2):
        assert web.post("/sign-in", data={"name": "李芳", "password": "wrong one"}, headers=headers).status_code == 401
    office.now += timedelta(minutes=16)
    page = sign_in("auditor", language="zh").get("/audit").text
    assert "登录失败" in page
    assert "密码错误 2 次" in page
    assert "wrong password 2 times" in sign_in("auditor").get("/audit").text
    assert "wrong one" not in page


@pytest.mark.parametrize(
    ("kind", "object_id", "link"),
    [
        ("feed", "deaths", "/exchange/feeds/deaths"),
        ("duplicate_hit", "queue", "/duplicates"),
        ("unit_list", "a1", "/exchange/lists/a1"),
        ("erasure", "b2", "/privacy/erasures"),
        ("partner", "x/../y", "/exchange/partners/x%2F..%2Fy"),
    ],
)
def test_what_has_a_page_is_linked(
    office: Any, sign_in: Callable[..., Any], kind: str, object_id: str, link: str
) -> None:
    with office.database.begin() as connection:
        note(
            connection,
            office.keys.cipher,
            actor="甲",
            action="x.y",
            object_kind=kind,
            object_id=object_id,
            now=office.now,
        )
    assert f'<a href="{link}">' in sign_in("auditor").get("/audit").text


def test_the_log_is_told_and_asked_in_words(written: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("auditor", language="zh")
    text = client.get("/audit", params={"action": "picture.viewed"}).text
    assert '<td title="picture.viewed" role="cell" data-label="操作">查看照片或材料</td>' in text
    assert '<td title="case.decided"' not in text
    assert '<option value="picture.viewed" selected>查看照片或材料</option>' in text
    assert '<option value="case.">个案（全部）</option>' in text
    assert "第几人" in text
    # The whole action is meant: another that begins alike is another.
    assert "没有符合条件的记录" in client.get("/audit", params={"action": "picture.view"}).text


def test_days_the_wrong_way_round_are_told(written: Any, sign_in: Callable[..., Any]) -> None:
    answer = sign_in("auditor", language="zh").get("/audit", params={"since": "2026-11-20", "until": "2026-11-19"})
    assert answer.status_code == 422
    assert "截止日期早于起始日期" in answer.text


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_the_log_in_a_browser(written: Any, browse: Callable[..., Any], language: str, width: int) -> None:
    seen = browse("auditor", language=language, width=width)
    page = seen.go("/audit")
    page.click("[rel=next]")
    page.wait_for_url("**after=*")
    expect(page.locator("tbody tr")).to_have_count(50)
    seen.unfold()
    page.fill("#f-object_id", "c-7")
    page.keyboard.press("Enter")
    page.wait_for_url("**object_id=c-7*")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.go_back()
    page.wait_for_url("**after=*")
    expect(page.locator("tbody tr")).to_have_count(50)
    # htmx keeps the address it is at; nothing else stays.
    assert page.evaluate("Object.keys({...localStorage, ...sessionStorage})") == ["htmx-current-path-for-history"]
