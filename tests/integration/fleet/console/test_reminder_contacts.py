"""Import of ways to people in the browser: all of a file or nothing, by line, within one's own areas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from fleet.store.contacts import contact_field, doubt
from protocol.documents import check_digit

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("patient_pages")]
_PATH = "/reminders/contacts"


@pytest.fixture
def office(database: Any, make_office: Callable[..., Any]) -> Any:
    """Three people in the east and one in the west."""
    made = make_office(database)
    made.import_people(3)
    made.import_people(1, area="west", first=4, name="乙")
    return made


def number_of(serial: int) -> str:
    digits = f"99999919400101{serial:03d}"
    return digits + check_digit(digits)


def send(client: Any, *lines: str, encoding: str = "utf-8", follow: bool = True) -> httpx.Response:
    files = {"file": ("c.csv", "\n".join(lines).encode(encoding), "text/csv")}
    return client.send_form(_PATH, files=files, follow_redirects=follow)  # type: ignore[no-any-return]


def test_r8_14_contacts_come_from_a_file_and_again_without_harm(office: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("operator", area="east", language="zh")
    lines = [
        "身份证号,手机号,微信,邮箱,不接收,备注",
        f"{number_of(1)},138-0000-0001,,,,x",
        f"{number_of(2)},,wx_open_id,a@example.org,短信,",
    ]
    done = send(client, *lines, encoding="gb18030")
    assert done.status_code == 200
    assert "联系方式已导入" in done.text
    assert "<dt>新增</dt><dd>2</dd>" in done.text
    assert "备注" in done.text, "a column that is not known is told"
    again = send(client, *lines, encoding="gb18030")
    assert "<dt>新增</dt><dd>0</dd>" in again.text
    assert "<dt>无变化</dt><dd>2</dd>" in again.text
    changed = send(client, "身份证号,手机号", f"{number_of(1)},13800000009", f"{number_of(3)},13800000003")
    assert "<dt>新增</dt><dd>1</dd>" in changed.text
    assert "<dt>有变化</dt><dd>1</dd>" in changed.text
    first = next(iter(office.people))
    (row,) = office.rows("SELECT * FROM contacts WHERE subject_id = :id", id=first)
    opened = office.keys.cipher.decrypt(bytes(row.address_sealed), subject_id=first, field_name=contact_field("sms"))
    assert opened == "13800000009"
    notes = office.rows("SELECT detail FROM audit_log WHERE action = 'contacts.imported' ORDER BY entry")
    assert len(notes) == 3
    assert "1380000" not in str(office.rows("SELECT * FROM audit_log"))


def test_an_address_that_was_doubted_is_believed_when_it_is_said_again(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("operator")
    lines = ["document_number,phone,opt_out", f"{number_of(1)},13800000001,sms"]
    send(client, *lines)
    first = next(iter(office.people))
    with office.database.begin() as connection:
        doubt(connection, first, "sms", now=office.now)
    assert "<dt>Changed</dt><dd>1</dd>" in send(client, *lines).text
    (row,) = office.rows("SELECT * FROM contacts WHERE subject_id = :id AND channel = 'sms'", id=first)
    assert row.doubtful_at is None
    assert row.opted_out_at is not None
    assert "<dt>Changed</dt><dd>1</dd>" in send(client, "document_number,opt_out", f"{number_of(1)},-").text
    (row,) = office.rows("SELECT * FROM contacts WHERE subject_id = :id AND channel = 'sms'", id=first)
    assert row.opted_out_at is None
    assert row.address_sealed is not None


def test_everything_that_is_wrong_is_told_by_line_and_nothing_is_taken_in(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    lines = [
        "document_number,phone,wechat,email,opt_out",
        f"{number_of(1)},call me,a b,nobody,letters",
        f"{number_of(2)},,,,",
        f"{number_of(3)},13800000001,,,",
        f"{number_of(3)},13800000001,,,",
    ]
    chinese = send(sign_in("operator", language="zh"), *lines)
    assert chinese.status_code == 422
    told = (
        "第 2 行：“电话”：电话号码不正确", "第 2 行：“微信”：微信号须为", "第 2 行：“电子邮箱”：电子邮箱格式如",
        "第 2 行：“拒收”：应为以下各项，或“无”：", "第 3 行：既没有联系方式",
        "第 5 行：证件号码与第 4 行相同", "共 6 处问题",
    )  # fmt: skip
    for sentence in told:
        assert sentence in chinese.text
    english = send(sign_in("operator"), *lines)
    for sentence in (
        "line 2: phone: This is no telephone number",
        "line 5: same document number as line 4",
        "6 problems",
    ):
        assert sentence in english.text
    for page in (chinese, english):
        assert "call me" not in page.text
        assert number_of(3) not in page.text
    assert office.rows("SELECT 1 FROM contacts") == []
    empty = sign_in("operator").send_form(_PATH)
    assert empty.status_code == 422
    assert "Choose a file" in empty.text


def test_people_of_other_areas_are_answered_like_nobody(office: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("operator", area="east")
    outside = send(client, "document_number,phone", f"{number_of(1)},13800000001", f"{number_of(4)},13800000004")
    unknown = send(client, "document_number,phone", f"{number_of(1)},13800000001", f"{number_of(9)},13800000004")
    assert outside.status_code == unknown.status_code == 422
    assert outside.text == unknown.text
    assert "line 3: nobody of your areas" in outside.text
    assert office.rows("SELECT 1 FROM contacts") == []
    assert send(sign_in("auditor"), "document_number,phone").status_code == 403
    made = send(client, "document_number,phone", f"{number_of(1)},13800000001", follow=False).headers["location"]
    assert client.get(made).status_code == 200
    assert client.get(f"/runs/{made.rpartition('/')[2]}/progress?poll=1").headers["HX-Redirect"] == made
    other = sign_in("operator", name="another")
    assert other.get(made).status_code == 404, "only who sent a list sees what came of it"


@pytest.mark.browser
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [1366, 390])
def test_contacts_in_a_browser(
    office: Any, browse: Callable[..., Any], tmp_path: Path, language: str, width: int
) -> None:
    seen = browse("operator", language=language, width=width)
    page = seen.go("/reminders/contacts")
    seen.check(f"contacts-{language}-{width}")
    bad = tmp_path / "bad.csv"
    bad.write_text(f"document_number,phone\n{number_of(1)},1\n{number_of(2)},\n")
    page.set_input_files("#f-file", bad)
    page.locator("main form button").click()
    expect(page.locator(".notice.bad")).to_be_focused()
    seen.check(f"contacts-bad-{language}-{width}")
    good = tmp_path / "good.csv"
    good.write_text(f"document_number,phone\n{number_of(1)},13800000001\n")
    page.set_input_files("#f-file", good)
    page.locator("main form button").click()
    expect(page.locator(".notice.good")).to_be_visible()
    seen.check(f"contacts-done-{language}-{width}")
