"""The pages of privacy."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from fleet.app import retention_rules
from fleet.privacy.proof import read_proof
from fleet.privacy.retention import clean
from protocol.documents import check_digit

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("patient_pages")]
PATHS = ("", "/register", "/consents", "/erasures", "/looks")


def number(serial: int) -> str:
    digits = f"99999919400101{serial:03d}"
    return digits + check_digit(digits)


@pytest.fixture
def people(office: Any) -> Any:
    """Three people with references that rest on consent, one with a script for a name."""
    office.import_people(2)
    office.import_people(1, first=3, name="乙<script>")
    office.hold_references()
    return office


def _consent(client: Any, **changed: str) -> Any:
    fields = {
        "who": number(1),
        "version": "2026-11",
        "language": "zh",
        "way": "paper",
        "given_on": "2026-11-19",
        "witness": "张三",
        "once": "a" * 32,
    }
    return client.send_form("/privacy/consents", {**fields, **changed})


def _erase(client: Any, **changed: str) -> Any:
    fields = {"who": number(1), "ground": "request", "reason": "Asked in writing", "although_entitled": "yes"}
    return client.send_form("/privacy/erasures", {**fields, **changed})


def test_a_consent_is_recorded_once_however_often_the_button_is_pressed(
    people: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("fleet_administrator")
    assert _consent(client).headers["location"].endswith("consent_recorded")
    assert _consent(client).status_code == 303
    assert len(people.rows("SELECT 1 FROM consents")) == 1
    page = client.get("/privacy/consents").text
    assert "甲1" in page
    assert "signed paper" in page
    assert number(1) not in page


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"who": number(77)}, "本系统中没有此人"),
        ({"who": "12"}, "本系统中没有此人"),
        ({"who": ""}, "本系统中没有此人"),
        ({"given_on": "2027-01-01"}, "同意的日期尚未到"),
        ({"given_on": "x"}, "请填写有效日期"),
        ({"way": "dream"}, "请选择表单中的选项"),
    ],
)
def test_a_consent_that_cannot_be_is_refused_and_nothing_typed_is_lost(
    people: Any, sign_in: Callable[..., Any], changed: dict[str, str], told: str
) -> None:
    answer = _consent(sign_in("fleet_administrator", language="zh"), **changed)
    assert answer.status_code == 422
    assert told in answer.text
    assert 'value="张三"' in answer.text
    assert people.rows("SELECT 1 FROM consents") == []


def test_a_withdrawal_erases_and_says_what_was_offered(people: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator")
    _consent(client)
    fields = {"who": number(1), "other_way": "home_visit"}
    done = client.send_form("/privacy/withdrawals", fields)
    assert done.headers["location"] == "/privacy/consents?show=withdrawals&done=consent_withdrawn"
    page = client.get("/privacy/consents?show=withdrawals").text
    assert "home visit" in page
    assert "甲1" in page
    assert "withdrawn" in client.get("/privacy/consents").text
    again = client.send_form("/privacy/withdrawals", fields)
    assert again.status_code == 422
    assert "nothing of this person rests on consent" in again.text
    assert client.send_form("/privacy/withdrawals", {**fields, "other_way": "x"}).status_code == 422
    assert len(people.rows("SELECT 1 FROM withdrawals")) == 1


def test_somebody_who_is_paid_is_not_erased_by_mistake(people: Any, sign_in: Callable[..., Any]) -> None:
    first = sign_in("fleet_administrator", name="陈一")
    refused = first.send_form("/privacy/erasures", {"who": number(1), "ground": "request", "reason": "x"})
    assert refused.status_code == 422
    assert "payments are proven elsewhere" in refused.text
    assert people.rows("SELECT 1 FROM approvals") == []


def test_an_erasure_waits_for_the_second_person(people: Any, sign_in: Callable[..., Any]) -> None:
    first = sign_in("fleet_administrator", name="陈一")
    assert _erase(first).headers["location"].endswith("erasure_asked")
    double = _erase(first)
    assert double.status_code == 422
    assert "second person" in double.text
    people.now += timedelta(days=4)
    second = sign_in("fleet_administrator", name="王二")
    page = second.get("/privacy").text
    assert re.search(r'<td class="number"[^>]*>2</td>', page)
    assert _erase(second).headers["location"].endswith("?done=erased")
    page = second.get("/privacy/erasures").text
    assert "signature holds" in page
    path = re.findall(r'href="(/privacy/erasures/[0-9a-f]{32})"', page)[0]
    token = sign_in("auditor").get(path)
    assert "attachment" in token.headers["content-disposition"]
    public = people.keys.signing.public()
    assert read_proof(token.content, lambda _: public).approvals == 2
    assert "甲1" not in page
    assert len(people.rows("SELECT 1 FROM subjects")) == 2
    assert second.get("/privacy/erasures/" + "0" * 32).status_code == 404
    late = _erase(sign_in("fleet_administrator", name="张三"))
    assert late.status_code == 422
    assert "somebody here" in late.text


def test_the_second_person_sees_on_what_ground_the_first_one_asked(people: Any, sign_in: Callable[..., Any]) -> None:
    first = sign_in("fleet_administrator", name="陈一")
    _erase(first)
    second = sign_in("fleet_administrator", name="王二")
    page = second.get("/privacy/erasures").text
    waits = page.split("<tbody")[1].split("</tbody>")[0]
    for seen in ("陈一", "the person asked", "still paid", "2026-12-20"):
        assert seen in waits, seen
    assert "/words/take-back" not in waits
    other = _erase(second, ground="unlawful")
    assert (other.status_code, "on another ground" in other.text) == (422, True)
    (object_id,) = re.findall(r'name="object_id" value="([^"]+)"', first.get("/privacy/erasures").text)
    fields = {"kind": "erasure", "object_id": object_id, "back": "/privacy/erasures"}
    assert first.send_form("/words/take-back", fields).headers["location"].endswith("done=word_taken_back")
    assert _erase(second, ground="unlawful").headers["location"].endswith("erasure_asked")
    people.now += timedelta(days=31)
    later = sign_in("fleet_administrator", name="陈一")
    assert "王二" not in later.get("/privacy/erasures").text
    assert len(people.rows("SELECT 1 FROM erasures")) == 0


def test_an_erasure_needs_a_ground_and_a_reason(people: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator", language="zh")
    assert "请选择表单中的选项" in _erase(client, ground="restored").text
    assert "请填写姓名或理由" in _erase(client, reason="").text
    assert people.rows("SELECT 1 FROM approvals") == []


def test_what_went_stands_with_its_day_and_the_filing_with_its_deadline(
    people: Any, sign_in: Callable[..., Any]
) -> None:
    with people.database.begin() as connection:
        connection.execute(text("UPDATE references_ SET reference_id = subject_id"))
        connection.execute(
            text("UPDATE references_ SET valid_until = '2026-01-01' WHERE subject_id = :id"),
            {"id": next(iter(people.people))},
        )
    clean(people.database, retention_rules(people.settings), zone=people.settings.zone(), now=people.now)
    client = sign_in("fleet_administrator")
    page = client.get("/privacy").text
    assert "references_: 1" in page
    assert "<dt>People with a stored face</dt><dd>2</dd>" in page
    assert "nothing to file" in page
    assert client.send_form("/privacy/filed", {"on": "2026-11-20"}).status_code == 409
    with people.database.begin() as connection:
        connection.execute(
            text("INSERT INTO filing_marks VALUES (80, '2026-10-01', 80000), (100, '2026-11-02', 100000)")
        )
    page = client.get("/privacy").text
    assert "to be filed" in page
    assert "<dt>To be filed by</dt><dd>2026-12-14</dd>" in page
    assert "<dt>Working days left</dt><dd>16</dd>" in page
    assert client.send_form("/privacy/filed", {"on": "2027-01-01"}).status_code == 422
    assert client.send_form("/privacy/filed", {"on": "2026-11-20"}).status_code == 303
    assert "filed" in client.get("/privacy").text
    counted = client.follow(client.send_form("/privacy/count")).text
    assert "Consent that nobody recorded: 2." in counted
    assert "references_: 1" in client.get("/privacy").text
    (noted,) = people.rows("SELECT detail FROM audit_log WHERE action = 'filing.counted'")
    assert noted.detail["persons"] > 0


def test_what_was_never_counted_is_no_reason_to_be_calm(people: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator")
    page = client.get("/privacy").text
    assert "not counted yet" in page
    assert "nothing to file" not in page
    assert "<dt>People with a stored face</dt><dd>unknown</dd>" in page
    assert "<dt>Counted</dt><dd>never</dd>" in page
    client.send_form("/privacy/count")
    counted = client.get("/privacy").text
    assert "nothing to file" in counted
    assert "not counted yet" not in counted
    assert re.search(r"<dt>People with a stored face</dt><dd>[1-9]", counted)


def test_the_register_is_shown_and_downloaded_in_both_languages(people: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("auditor", language="zh")
    assert "个人信息处理活动登记表" in client.get("/privacy/register").text
    answer = client.get("/privacy/register?form=html&lang=en")
    assert "attachment" in answer.headers["content-disposition"]
    assert "Register of processing" in answer.text


def test_who_looked_at_somebody_is_found_by_number_and_the_number_stands_nowhere(
    people: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("fleet_administrator", name="陈一")
    _consent(client, who=number(3))
    auditor = sign_in("auditor", name="王二")
    answer = auditor.send_form("/privacy/looks", {"who": number(3)})
    assert answer.status_code == 200
    assert "recorded a consent" in answer.text
    assert "陈一" in answer.text
    assert "乙&lt;script&gt;3" in answer.text
    assert number(3) not in answer.text
    who = list(people.people)[2]
    assert "asked who looked" in auditor.get(f"/privacy/looks?subject={who}").text
    assert auditor.get("/privacy/looks?subject=none").status_code == 404
    missing = auditor.send_form("/privacy/looks", {"who": number(88)})
    assert missing.status_code == 404
    assert "somebody here" in missing.text


@pytest.mark.parametrize(
    ("role", "area", "looks", "changes"),
    [
        ("auditor", None, 200, 403),
        ("auditor", "east", 403, 403),
        ("reviewer", None, 403, 403),
        ("operator", None, 403, 403),
    ],
)
def test_privacy_is_for_who_may_see_all_of_it(
    people: Any, sign_in: Callable[..., Any], role: str, area: str | None, looks: int, changes: int
) -> None:
    client = sign_in(role, area=area)
    for path in PATHS:
        page = client.get(f"/privacy{path}")
        assert page.status_code == looks
        assert "although_entitled" not in page.text
    for path in ("consents", "withdrawals", "erasures", "filed"):
        assert client.send_form(f"/privacy/{path}").status_code == changes
    assert people.rows("SELECT 1 FROM approvals") == []


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_privacy_in_a_browser(
    people: Any, sign_in: Callable[..., Any], browse: Callable[..., Any], language: str, width: int
) -> None:
    other = sign_in("fleet_administrator", name="陈一")
    _consent(other)
    _erase(other)
    _erase(sign_in("fleet_administrator", name="王二"))
    _erase(other, who=number(2))
    clean(people.database, retention_rules(people.settings), zone=people.settings.zone(), now=people.now)
    seen = browse("fleet_administrator", language=language, width=width, name="张三")
    page = seen.go("/privacy/looks")
    page.fill("#f-who", number(3))
    page.keyboard.press("Enter")
    expect(page.locator("h2 a")).to_have_text("乙<script>3")
    assert number(3) not in page.url
    page = seen.go("/privacy/erasures")
    page.fill("#f-who", number(2))
    page.fill("#f-reason", "本人书面申请")
    page.check("#f-although_entitled")
    page.locator("button.danger").click()
    expect(page.locator(".lines")).to_contain_text("本人书面申请")
    seen.mean_it(f"sure-erase-{language}-{width}")
    page.wait_for_url("**done=erased")
    expect(page.locator("tbody tr")).to_have_count(2)
