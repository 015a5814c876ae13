"""The pages of reminders, with a gateway for short messages that is a real server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from fleet.store.reminders import NewReminder, add_reminders, mark_sent
from fleet.store.subjects import PHONE_FIELD, save_phone

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("patient_pages")]


@pytest.fixture
def gateway() -> Iterator[str]:
    """A gateway that takes everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/send"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def office(
    database: Any, make_office: Callable[..., Any], tmp_path: Path, gateway: str, request: pytest.FixtureRequest
) -> Any:
    """Three people in the east, of whom the first has a telephone, and one in the west; all are asked to come."""
    (tmp_path / "key").write_bytes(b"a secret of the gateway")
    settings = getattr(request, "param", {"sms": {"url": gateway, "key_file": tmp_path / "key"}})
    made = make_office(database, **settings)
    made.import_people(3)
    made.import_people(1, area="west", first=4, name="乙<script>")
    made.list_since("2020-01-01")
    made.rebuild()
    who = next(iter(made.people))
    with database.begin() as connection:
        save_phone(connection, who, made.keys.cipher.encrypt("13800000001", subject_id=who, field_name=PHONE_FIELD))
    return made


@pytest.fixture
def calls(office: Any) -> dict[str, str]:
    """A call for everybody, on no list yet: subject -> code."""
    with office.database.begin() as connection:
        day = (office.now + timedelta(days=20)).date()
        steps = [NewReminder(who, "no_data", day, "call", 0, office.now) for who in office.people]
        connection.execute(text("UPDATE statuses SET due = :day"), {"day": day})
        add_reminders(connection, steps, now=office.now - timedelta(days=2))
    return {row.subject_id: row.reminder_id for row in office.rows("SELECT subject_id, reminder_id FROM reminders")}


def test_a_plan_is_made_and_messages_are_sent(office: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator")
    planned = client.follow(client.send_form("/reminders/plan"))
    assert "4 steps planned" in planned.text
    assert "0 steps planned" in client.follow(client.send_form("/reminders/plan")).text
    assert "first certification" in client.get("/reminders").text
    assert "no channel is set up" not in planned.text
    asked = client.send_form("/reminders/send", {"meant": ""}).text
    assert "to 4 people: 4 messages are due. Ways: short messages." in asked
    assert office.rows("SELECT 1 FROM reminder_deliveries") == []
    sent = client.follow(client.send_form("/reminders/send"))
    assert "1 handed over, 3 failed" in sent.text
    assert "0 handed over, 0 failed" in client.follow(client.send_form("/reminders/send")).text
    page = client.get("/reminders").text
    assert "accepted" in page
    assert "/reminders/sent" in page
    lately = client.get("/reminders/sent").text
    assert "short messages: the last 30 days" in lately
    assert "data:image/svg+xml" in lately
    assert "<dt>Without an address</dt><dd>3</dd>" in client.get("/reminders/reach").text
    actions = [
        row.action for row in office.rows("SELECT action FROM audit_log WHERE object_kind = 'reminders' ORDER BY entry")
    ]
    assert actions == ["reminders.planned", "reminders.planned", "reminders.sent", "reminders.sent"]


def test_a_list_of_a_unit_leaves_no_name_in_the_log(
    office: Any, calls: dict[str, str], sign_in: Callable[..., Any]
) -> None:
    with office.database.begin() as connection:
        connection.execute(text("UPDATE benefits SET unit = '张三五金店'"))
    made = sign_in("fleet_administrator").send_form("/reminders/lists", {"unit": "张三五金店", "format": "csv"})
    assert made.status_code == 200
    (entry,) = office.rows("SELECT object_id, detail FROM audit_log WHERE action = 'reminders.listed'")
    assert entry.detail["people"] == len(calls)
    assert len(entry.detail["unit"]) == 32
    assert "张三" not in f"{entry.object_id} {entry.detail}"


@pytest.mark.parametrize("office", [{"reminders": {"channels": ["sms", "email"]}}], indirect=True)
def test_without_a_channel_the_page_says_which_settings_are_missing_and_calls_can_take_the_place_of_messages(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("fleet_administrator")
    sentence = "must set one of sms.url, email.host"
    assert sentence in client.get("/reminders").text
    assert "4 steps planned" in client.follow(client.send_form("/reminders/plan")).text
    refused = client.send_form("/reminders/send")
    assert (refused.status_code, refused.text.count(sentence)) == (409, 1)
    assert {row.state for row in office.rows("SELECT state FROM reminders")} == {"pending"}
    assert "4 failed" in client.follow(client.send_form("/reminders/send", {"calls": "yes"})).text
    client.follow(client.send_form("/reminders/plan"))
    assert [row.step for row in office.rows("SELECT step FROM reminders WHERE state = 'pending'")] == ["call"] * 4


def test_in_the_quiet_hours_nothing_is_sent(office: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator")
    client.send_form("/reminders/plan")
    office.now += timedelta(hours=4)
    client = sign_in("fleet_administrator")
    assert "quiet hours" in client.follow(client.send_form("/reminders/send")).text
    assert office.rows("SELECT 1 FROM reminder_deliveries") == []


def test_who_is_not_of_the_whole_fleet_neither_plans_nor_sends(office: Any, sign_in: Callable[..., Any]) -> None:
    for client in (sign_in("operator", area="east"), sign_in("auditor"), sign_in("reviewer")):
        assert client.send_form("/reminders/plan").status_code == 403
        assert client.send_form("/reminders/send").status_code == 403
    page = sign_in("operator", area="east").get("/reminders").text
    assert "/reminders/send" not in page
    assert "/reminders/reach" not in page
    assert sign_in("viewer").get("/reminders").status_code == 403
    assert sign_in("auditor").get("/reminders/lists").status_code == 403


def test_what_failed_is_told_with_its_reason_in_own_areas(office: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator")
    client.send_form("/reminders/plan")
    client.send_form("/reminders/send")
    page = client.get("/reminders/failed").text
    assert page.count("no address") == 3
    assert "乙&lt;script&gt;4" in page
    assert "<script>4" not in page
    own = sign_in("operator", area="west").get("/reminders/failed?step=message").text
    assert "乙" in own
    assert "甲" not in own
    assert "No step failed" in client.get("/reminders/failed?step=visit").text
    assert client.get("/reminders/failed?step=x&after=y").status_code == 200


def test_a_message_is_shown_in_both_languages_to_nobody(office: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("auditor")
    page = client.get("/reminders/preview?kind=stop_proposed").text
    assert "王建国您好" in page
    assert "Wang Jianguo" in page
    assert "待遇可能暂停发放" in page
    assert "2 short messages" in page
    assert client.get("/reminders/preview?kind=nonsense").status_code == 200


def test_a_list_has_only_people_of_own_areas_and_is_written_down(
    office: Any, calls: dict[str, str], sign_in: Callable[..., Any]
) -> None:
    client = sign_in("operator", area="east", language="zh")
    answer = client.send_form("/reminders/lists", {"format": "csv"})
    assert answer.status_code == 200
    assert "甲1" in answer.text
    assert "13800000001" in answer.text
    assert "乙" not in answer.text
    empty = client.send_form("/reminders/lists", {"format": "csv"})
    assert empty.status_code == 422
    assert "目前没有需要电话联系" in empty.text
    outside = client.send_form("/reminders/lists", {"format": "csv", "area": "west"})
    assert outside.status_code == 422
    again = client.send_form("/reminders/lists", {"format": "html", "again": "yes"})
    assert "甲3" in again.text
    assert len(office.rows("SELECT 1 FROM audit_log WHERE action = 'reminders.listed'")) == 2
    assert sign_in("auditor").send_form("/reminders/lists").status_code == 403
    assert "甲1" in client.get("/reminders/lists").text


def test_results_are_typed_in_or_uploaded(office: Any, calls: dict[str, str], sign_in: Callable[..., Any]) -> None:
    client = sign_in("operator", area="east")
    client.send_form("/reminders/lists", {"format": "csv"})
    who = list(office.people)
    typed = {"code": calls[who[0]][:8], "result": "reached", "worker": "李四", "day": "2026-11-20", "new_phone": ""}
    assert "1 new result," in client.send_form("/reminders/results", typed).text
    assert "0 new results, 1 known" in client.send_form("/reminders/results", typed).text
    other = client.send_form("/reminders/results", {**typed, "result": "not_reached"})
    assert other.status_code == 422
    assert "has another result" in other.text
    assert 'value="李四"' in other.text
    content = f"编号,结果,经办人,日期,新电话\n{calls[who[1]]},未联系上,李四,2026-11-20,\n{calls[who[2]]},,,,\n"
    files = {"file": ("结果.csv", content.encode("gb18030"), "text/csv")}
    assert "1 new result, 0 known, 1 row without" in client.send_form("/reminders/results", files=files).text
    assert [
        row.outcome for row in office.rows("SELECT outcome FROM reminders WHERE outcome IS NOT NULL ORDER BY 1")
    ] == [
        "not_reached",
        "reached",
    ]


def test_a_wrong_result_is_refused_with_every_reason_and_outside_codes_are_none(
    office: Any, calls: dict[str, str], sign_in: Callable[..., Any]
) -> None:
    client = sign_in("operator", area="east", language="zh")
    with office.database.begin() as connection:
        mark_sent(connection, list(calls.values()), list_id="x", now=office.now)
    wrong = client.send_form(
        "/reminders/results", {"code": "zz", "result": "maybe", "worker": "", "day": "2027-01-01", "new_phone": "12"}
    )
    assert wrong.status_code == 422
    for told in ("编号的前 8 位", "应为以下之一", "不晚于 2026-11-20", "请填写经办人姓名", "电话号码不正确"):
        assert told in wrong.text
    west = next(code for who, code in calls.items() if who == list(office.people)[3])
    typed = {"result": "reached", "worker": "李四", "day": "2026-11-20", "new_phone": ""}
    outside = client.send_form("/reminders/results", {"code": west, **typed})
    unknown = client.send_form("/reminders/results", {"code": "0" * 32, **typed})
    assert outside.status_code == unknown.status_code == 422
    assert outside.text.replace(west, "0" * 32) == unknown.text
    assert "没有填写结果" in client.send_form("/reminders/results", {"code": west, **typed, "result": ""}).text
    files = {"file": ("x.png", b"\x89PNG\0", "image/png")}
    assert "不是表格" in client.send_form("/reminders/results", files=files).text
    assert office.rows("SELECT 1 FROM reminders WHERE outcome IS NOT NULL") == []


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_reminders_in_a_browser(
    office: Any, calls: dict[str, str], browse: Callable[..., Any], language: str, width: int
) -> None:
    seen = browse("fleet_administrator", language=language, width=width)
    page = seen.go("/reminders")
    page.locator("form[action$=plan] button").click()
    expect(page.locator(".notice.good")).to_be_focused()
    # As where it took long.
    page.reload()
    expect(page.locator(".notice.good")).to_be_focused()
    page = seen.go("/reminders")
    page.locator("form[action$=send] button").click()
    seen.mean_it(f"sure-send-{language}-{width}")
    expect(page.locator(".notice.good")).to_be_focused()
    page = seen.go("/reminders")
    expect(page.locator("figure")).to_have_count(1)
    seen.check(f"reminders-{language}-{width}")
    with office.database.begin() as connection:
        mark_sent(connection, list(calls.values()), list_id="x", now=office.now)
    seen.go("/reminders/lists")
    page.locator("tbody a").first.click()
    page.wait_for_url("**code=*")
    page.select_option("#f-result", "reached")
    page.fill("#f-worker", "李四")
    page.locator("form[action$=results] button").first.click()
    expect(page.locator(".notice.good")).to_be_visible()
