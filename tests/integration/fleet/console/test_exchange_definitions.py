"""Definitions of feeds in the browser: what is in force, a new one, tried on a sample file, put into force with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from fleet.exchange.cycles import parse_month
from fleet.exchange.definitions import catalogue
from fleet.store import feeds
from fleet.store.feeds import StoredFeed
from protocol.documents import check_digit

pytestmark = pytest.mark.integration
_NEW = "/exchange/new-definition"
TEXT = """title = { zh = "养老机构在住", en = "Residents of care homes" }
body = "civil_affairs"
kinds = ["hospital"]
confirms = false
since = ["入住日"]
until = ["退住日"]

[code]
name = "state"
headings = ["状态"]
words = { lives = ["在住"], asked = ["询问"] }
no_event = ["asked"]
"""


def number(serial: int) -> str:
    digits = f"99999919400101{serial:03d}"
    return digits + check_digit(digits)


SAMPLE = f"公民身份号码,姓名,入住日,退住日,状态,床位\n{number(1)},甲,2026-10-02,2026-11-03,在住,7\n{number(2)},乙,2026/10/05,,询问,8\n"


def send(client: Any, content: str, *, text: str = TEXT, **fields: str) -> httpx.Response:
    files = {"sample": ("样例.csv", content.encode("gb18030"), "text/csv")}
    return client.send_form(_NEW, {"do": "try", "text": text, **fields}, files=files)  # type: ignore[no-any-return]


def tried_of(page: httpx.Response) -> str:
    return re.findall(r'name="tried" value="([0-9a-f]+)"', page.text)[0]


def test_a_sample_shows_what_each_column_becomes_and_nothing_of_it_is_kept(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    page = send(sign_in("fleet_administrator", language="zh"), SAMPLE)
    assert page.status_code == 200
    told = re.sub(r"<[^>]+>", " ", page.text)
    told = re.sub(r"\s+", " ", told)
    for pair in (
        "公民身份号码 ✓ 证件号码 2",
        "入住日 ✓ 日期或开始日期 2",
        "退住日 ✓ 结束日期 1",
        "状态 ✓ 该数据的代码 2",
        "床位 · 不读取 –",
    ):
        assert pair in told
    assert "第 2 行 住院 2026-10-02 2026-11-03 – lives 是" in told
    assert "第 3 行 住院 2026-10-05 – – asked 否" in told
    assert "甲" not in told
    assert number(1) not in told
    assert office.rows("SELECT 1 FROM feeds") == []
    assert office.rows("SELECT 1 FROM feed_rows") == []


def test_a_definition_comes_into_force_with_who_and_why_and_reads_deliveries(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("fleet_administrator", name="王芳")
    tried = tried_of(send(client, SAMPLE))
    fields = {"do": "take", "text": TEXT, "tried": tried, "name": "care_homes", "first": "2026-10"}
    unsaid = client.send_form(_NEW, fields)
    assert unsaid.status_code == 422
    assert "Write down why" in unsaid.text
    assert 'value="care_homes"' in unsaid.text
    done = client.send_form(_NEW, {**fields, "reason": "agreement 2026-4"})
    assert done.headers["location"] == "/exchange/definitions/care_homes?done=definition_in_force"
    page = client.get("/exchange/definitions/care_homes").text
    assert "王芳" in page
    assert "agreement 2026-4" in page
    stored = office.rows("SELECT * FROM feed_changes")
    assert [row.action for row in stored] == ["added"]
    assert b"agreement" not in bytes(stored[0].reason_sealed)
    (entry,) = office.rows("SELECT detail FROM audit_log WHERE action = 'feed.added'")
    assert "agreement" not in str(entry.detail)
    delivered = client.send_form(
        "/exchange/feeds/care_homes/deliveries",
        {"period": "2026-11", "number": "1"},
        files={"file": ("x.csv", SAMPLE.encode(), "text/csv")},
    )
    assert delivered.status_code == 303
    changed = TEXT.replace("confirms = false", "confirms = true")
    again = {**fields, "text": changed, "tried": tried_of(send(client, SAMPLE, text=changed)), "reason": "letter 7"}
    assert client.send_form(_NEW, again).status_code == 303
    assert [row.action for row in office.rows("SELECT action FROM feed_changes ORDER BY change_id")] == [
        "added",
        "changed",
    ]
    assert "the agency’s own" in sign_in("reviewer", area="east").get("/exchange/definitions").text


def test_only_what_was_tried_as_it_is_comes_into_force(office: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator", language="zh")
    fields = {"do": "take", "name": "care_homes", "reason": "协议"}
    tried = tried_of(send(client, SAMPLE))
    other = client.send_form(_NEW, {**fields, "text": TEXT.replace("在住", "住着"), "tried": tried})
    assert other.status_code == 422
    assert "尚未试读" in other.text
    stranger = sign_in("fleet_administrator", name="another").send_form(_NEW, {**fields, "text": TEXT, "tried": tried})
    assert stranger.status_code == 422, "what one has tried another has not"
    bad = client.send_form(_NEW, {**fields, "text": TEXT, "tried": tried, "name": "Care Homes"})
    assert "名称应为小写字母" in bad.text
    assert office.rows("SELECT 1 FROM feeds") == []


def test_faults_are_told_by_line_and_key_and_a_bad_sample_by_its_lines(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("fleet_administrator", language="zh")
    wrong = TEXT.replace('body = "civil_affairs"', 'body = "moon"').replace("confirms = false", "confirm = false")
    page = send(client, SAMPLE, text=wrong.replace('["asked"]', '["gone"]'))
    assert page.status_code == 422
    for told in ("<code>body</code>", "<code>confirms</code>", "<code>confirm</code>", "confirms？"):
        assert told in page.text
    page = send(client, SAMPLE, text=TEXT.replace('["asked"]', '["gone"]'))
    assert "code.no_event 中有" in page.text
    assert "不是 TOML" in client.send_form(_NEW, {"text": "title = "}).text or "TOML" in page.text
    assert client.send_form(_NEW, {"text": " "}).status_code == 422
    unsampled = client.send_form(_NEW, {"do": "try", "text": TEXT})
    assert unsampled.status_code == 422
    assert "请选择样例文件" in unsampled.text
    bad = send(client, SAMPLE.replace("2026/10/05", "2027-10-05").replace("询问", "走了"))
    assert bad.status_code == 200
    assert "2 处问题" in bad.text
    assert 'name="tried"' not in bad.text
    assert client.send_form(_NEW, {"text": "x" * 20_000}).status_code == 422


def test_what_is_in_force_is_what_the_database_has(office: Any, sign_in: Callable[..., Any]) -> None:
    own = catalogue().feeds["deaths"].model_copy(update={"due_day": 3})
    with office.database.begin() as connection:
        stored = StoredFeed("deaths", own.model_dump(mode="json"), parse_month("2026-09"), office.now)
        feeds.save_feed(connection, stored)
    client = sign_in("auditor")
    page = client.get("/exchange/definitions/deaths").text
    assert "by day 3 of the next month" in page
    assert "No change was noted" in page
    assert "/exchange/new-definition" not in page
    assert "not in use" in client.get("/exchange/definitions/travel").text
    assert client.get("/exchange/definitions/nonsense").status_code == 404
    begun = sign_in("fleet_administrator").get(f"{_NEW}?like=deaths").text
    assert "due_day = 3" in begun


@pytest.mark.browser
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [1366, 390])
def test_definitions_in_a_browser(
    office: Any, browse: Callable[..., Any], tmp_path: Path, language: str, width: int
) -> None:
    seen = browse("fleet_administrator", language=language, width=width)
    name = f"{language}-{width}"
    page = seen.go("/exchange/definitions")
    seen.check(f"definitions-{name}")
    seen.go(_NEW)
    sample, own = tmp_path / "sample.csv", tmp_path / "own.toml"
    sample.write_text(SAMPLE, encoding="utf-8")
    own.write_text(TEXT, encoding="utf-8")
    page.set_input_files("#f-file", own)
    page.set_input_files("#f-sample", sample)
    page.locator("main button[value=try]").click()
    expect(page.locator("section h2")).to_be_focused()
    seen.check(f"definitions-trial-{name}")
    page.fill("#f-name", "care_homes")
    page.fill("#f-reason", "2026-4")
    page.locator("main button[value=take]").click()
    page.wait_for_url("**/exchange/definitions/care_homes*")
    seen.check(f"definitions-one-{name}")
