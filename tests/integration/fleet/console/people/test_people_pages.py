"""The pages of people: searching without names in addresses, lists by area, one person's page, and that whoever is elsewhere is nobody."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import expect

from fleet.accounts.roles import Permission
from fleet.audit.log import entries
from fleet.store.life_events import NewLifeEvent, add_life_events
from fleet.store.packs import put_in_force, save_proposal
from protocol.envelope import sha256_of
from protocol.records import CertificationRecord
from protocol.rules.life import LifeEventKind
from protocol.rules.pack import parse_pack
from protocol.shipped_packs import shipped_text
from protocol.slip_words import copy_line
from protocol.times import agency_day

pytestmark = pytest.mark.integration


def names(text: str) -> list[str]:
    """Whom a list shows."""
    return re.findall(r'<th scope="row"[^>]*><a href="/people/[0-9a-f]{32}">([^<]*)</a>', text)


def search(client: Any, fields: dict[str, str]) -> Any:
    """What somebody sees who sends a search: the answer sends them on."""
    return client.send_form("/people", fields, follow_redirects=True)


def test_a_search_stays_in_a_sealed_address_of_this_account(town: Any, sign_in: Callable[..., Any]) -> None:
    for name in ("李秀英", "王秀英", "龚𬭎"):
        town.add(name)
    client = sign_in("operator", area="east")
    sent = client.send_form("/people", {"typed": "秀英", "state": "never_certified"})
    assert sent.status_code == 303
    address = sent.headers["location"]
    assert "秀" not in unquote(address)
    for _again in range(2):
        text = client.get(address).text
        assert sorted(names(text)) == ["李秀英", "王秀英"]
        assert 'value="秀英"' in text
    other_language = re.findall(r'<a href="([^"]*lang=zh)"', text)[0].replace("&amp;", "&")
    assert sorted(names(client.get(other_language).text)) == ["李秀英", "王秀英"]
    other = sign_in("operator", area="east").get(address)
    assert (other.status_code, names(other.text)) == (422, [])
    assert "This search is over" in other.text
    assert 'value="秀英"' not in other.text


def test_a_name_is_searched_by_post_and_stands_in_no_address(town: Any, sign_in: Callable[..., Any]) -> None:
    for name in ("李秀英", "王㛃䶮", "龚𬭎", "王秀英"):
        town.add(name)
    client = sign_in("operator", area="east")
    found = search(client, {"typed": "秀英"})
    assert found.status_code == 200
    assert sorted(names(found.text)) == ["李秀英", "王秀英"]
    assert names(search(client, {"typed": "㛃䶮"}).text) == ["王㛃䶮"]
    assert names(search(client, {"typed": "王?英"}).text) == ["王秀英"]
    assert names(search(client, {"typed": town.number_of(1)}).text) == ["李秀英"]
    addresses = re.findall(r'(?:href|action|hx-get|hx-post)="([^"]*)"', found.text)
    assert not any("秀" in each or "%E7%A7%80" in each for each in addresses)
    assert "at least two characters" in search(client, {"typed": "王"}).text
    assert "Nobody matches" in search(client, {"typed": "王五"}).text


def test_a_search_goes_on_page_by_page(town: Any, sign_in: Callable[..., Any]) -> None:
    town.add_many(120)
    client = sign_in("operator", area="east")
    text = search(client, {"typed": "众5"}).text
    seen = names(text)
    while 'rel="next"' in text:
        address = re.findall(r'<a href="([^"]*)" rel="next"', text)[0].replace("&amp;", "&")
        assert "众" not in unquote(address)
        text = client.get(address).text
        assert 'value="众5"' in text
        seen += names(text)
    assert len(seen) == len(set(seen)) == 100
    assert all(each.startswith("众5") for each in seen)


def test_a_name_of_which_little_is_known_says_what_to_add(town: Any, sign_in: Callable[..., Any]) -> None:
    town.add("张㛃")
    whole = sign_in("fleet_administrator")
    vague = search(whole, {"typed": "张?"}).text
    assert "also choose an area" in vague
    assert "at least two characters" not in vague
    assert "Nobody matches" not in vague
    assert names(search(whole, {"typed": "张?", "area": "east"}).text) == ["张㛃"]
    assert names(search(whole, {"typed": "？㛃", "born": "1940"}).text) == ["张㛃"]
    assert names(search(sign_in("operator", area="east"), {"typed": "张?"}).text) == ["张㛃"]
    wrong = search(whole, {"typed": "张?", "born": "40"})
    assert (wrong.status_code, names(wrong.text)) == (422, [])
    assert "four digits" in wrong.text


def test_what_is_chosen_has_an_address_other_pages_can_link_to(town: Any, sign_in: Callable[..., Any]) -> None:
    town.add("甲子", "V1", unit="棉纺厂")
    town.add("乙丑", "V2", scheme="resident_pension")
    client = sign_in("operator", area="east")
    sent = client.send_form("/people", {"area": "V2", "scheme": "resident_pension", "state": "", "typed": " "})
    assert sent.status_code == 303
    assert sent.headers["location"] == "/people?area=V2&scheme=resident_pension"
    assert names(client.get(sent.headers["location"]).text) == ["乙丑"]
    assert names(client.get("/people", params={"unit": "棉纺厂"}).text) == ["甲子"]
    assert sorted(names(client.get("/people", params={"state": "never_certified"}).text)) == ["乙丑", "甲子"]
    assert names(client.get("/people", params={"state": "certified"}).text) == []
    wrong = client.get("/people", params={"state": "happy"})
    assert wrong.status_code == 422
    assert "a filter that there is not" in wrong.text
    assert names(wrong.text) == []
    assert client.get("/people", params={"at": "x"}).status_code == 422


def test_a_list_goes_on_by_links_to_its_end_and_back(town: Any, sign_in: Callable[..., Any]) -> None:
    town.add_many(120)
    client = sign_in("operator", area="east")
    first = client.get("/people", params={"area": "V1"})
    assert "120 people" in first.text
    assert len(first.content) < 300 * 1024
    seen, text = names(first.text), first.text
    while 'rel="next"' in text:
        text = client.get(re.findall(r'<a href="([^"]*)" rel="next"', text)[0].replace("&amp;", "&")).text
        seen += names(text)
    assert len(seen) == len(set(seen)) == 120
    back = client.get(re.findall(r'<a href="([^"]*)" rel="prev"', text)[0].replace("&amp;", "&")).text
    assert names(back) == seen[50:100]


def test_an_area_is_found_by_its_name_or_step_by_step_and_only_the_visitors(
    town: Any, sign_in: Callable[..., Any]
) -> None:
    town.add("甲子", "V1")
    east, whole = sign_in("operator", area="east"), sign_in("fleet_administrator")
    top = east.get("/people").text
    assert 'value="east">东县' in top
    assert "青山省" not in top
    assert "西县" not in top
    assert 'value="P">青山省' in whole.get("/people").text
    assert 'value="V1">东一村' in east.get("/people", params={"area": "T1"}).text
    found = east.get("/people/areas", params={"area_typed": "一村"}).text
    assert "东县 › 东镇 › 东一村" in found
    assert "西一村" not in found
    assert "青山省 › 河口市 › 西县 › 西镇 › 西一村" in whole.get("/people/areas", params={"area_typed": "一村"}).text
    one = search(east, {"area_typed": "东一"})
    assert one.status_code == 200
    assert names(one.text) == ["甲子"], "one area is called so: that is meant"
    assert "No area of this name" in east.get("/people/areas", params={"area_typed": "100%"}).text


def test_an_area_elsewhere_is_as_good_as_none(town: Any, sign_in: Callable[..., Any]) -> None:
    town.add("甲子", "V3")
    client = sign_in("operator", area="east")
    there = client.get("/people", params={"area": "V3"}).text
    nowhere = client.get("/people", params={"area": "V9"}).text
    assert there.replace("V3", "V9") == nowhere
    assert "西" not in there


def test_people_elsewhere_are_not_found_not_counted_and_answered_like_nobody(
    town: Any, sign_in: Callable[..., Any]
) -> None:
    town.add("王秀英", "V1")
    there = town.add("李秀英", "V3")
    event = town.report(there)
    client = sign_in("operator", "area_administrator", area="east")
    for fields in ({"typed": "秀英"}, {"typed": there}, {"typed": town.number_of(2)}):
        text = search(client, fields).text
        assert "李秀英" not in text
        assert there not in text.replace(f'value="{there}"', "")
    assert "1 person" in search(client, {"typed": "秀英"}).text
    nobody = "0" * 32
    paths = ("", "/older?before=x", "/records/r1", "/report", f"/reports/{event}", "/attempt", "/details")
    for path in paths:
        one, other = client.get(f"/people/{there}{path}"), client.get(f"/people/{nobody}{path}")
        assert one.status_code == other.status_code == 404, path
        assert one.text.replace(there, nobody) == other.text, path
        assert one.headers.keys() == other.headers.keys()
    for path in ("", "/report", f"/reports/{event}", "/attempt", "/details"):
        fields = {"reason": "compare_document", "version": "x", "what": "units", "told_by": "person"}
        one, other = (
            client.send_form(f"/people/{there}{path}", fields),
            client.send_form(f"/people/{nobody}{path}", fields),
        )
        assert one.status_code == other.status_code == 404, path
        assert one.text.replace(there, nobody) == other.text, path
    reviewer = sign_in("reviewer", area="east")
    assert reviewer.get(f"/people/{there}/here").text == reviewer.get(f"/people/{nobody}/here").text
    assert town.actions(there) == []


def test_a_huge_search_is_cut_and_told_so(town: Any, sign_in: Callable[..., Any]) -> None:
    town.add("王秀英")
    client = sign_in("operator", area="east")
    for typed in ("秀" * 5000, "1" * 5000, "?" * 5000, "<" * 5000):
        found = search(client, {"typed": typed})
        assert found.status_code == 200
        assert "search was too long" in found.text
        assert names(found.text) == []
    assert (
        client.get("/people", params={"area": "x" * 5000, "unit": "y" * 5000, "scheme": "z" * 500}).status_code == 200
    )
    assert client.get("/people/areas", params={"area_typed": "x" * 5000}).status_code == 200
    assert client.get("/people?area=%27&unit=%25&scheme=%5C").status_code == 200
    assert client.get("/people/areas?area_typed=%27&area=%25").status_code == 200


def test_an_empty_fleet_says_what_to_do(office: Any, sign_in: Callable[..., Any]) -> None:
    assert "There are no people yet" in sign_in("operator").get("/people").text


def test_a_list_and_a_page_are_looks_that_are_written_down(town: Any, sign_in: Callable[..., Any]) -> None:
    subject_id = town.add("王秀英")
    client = sign_in("operator", area="east")
    search(client, {"typed": "秀英"})
    with town.office.database.begin() as connection:
        last = [each for each in entries(connection) if each.action == "subjects.listed"][-1]
    assert last.detail == {"people": 1, "typed": True}
    assert client.get(f"/people/{subject_id}").status_code == 200
    assert town.actions(subject_id) == ["subject.viewed"]


def test_a_page_says_where_somebody_stands_and_why(town: Any, sign_in: Callable[..., Any]) -> None:
    subject_id = town.add("王秀英")
    text = sign_in("operator", area="east").get(f"/people/{subject_id}").text
    assert "never certified" in text
    assert "Not certified yet; to certify by" in text
    assert "enterprise pension" in text
    assert "东县" in text
    assert town.number_of(1) not in text
    assert town.number_of(1)[-4:] in text
    chinese = sign_in("operator", area="east", language="zh").get(f"/people/{subject_id}").text
    assert "尚未认证，请在" in chinese
    assert "企业职工基本养老保险" in chinese


def test_each_benefit_has_its_line_at_the_top(town: Any, sign_in: Callable[..., Any]) -> None:
    subject_id = town.add("王秀英")
    town.serial -= 1
    assert town.add("王秀英", scheme="resident_pension") == subject_id
    text = sign_in("operator", area="east").get(f"/people/{subject_id}").text
    top = re.findall(r'<p class="big">.*?</p>', text, re.S)
    assert len(top) == 2
    assert [re.findall("<strong>([^<]*)</strong>", each) for each in top] in (
        [["enterprise pension"], ["resident pension"]],
        [["resident pension"], ["enterprise pension"]],
    )


def test_a_whole_number_is_shown_for_a_reason_and_that_is_written_down(town: Any, sign_in: Callable[..., Any]) -> None:
    subject_id = town.add("王秀英")
    client = sign_in("operator", area="east")
    without = client.send_form(f"/people/{subject_id}", {"reason": ""})
    assert without.status_code == 422
    assert town.number_of(1) not in without.text
    shown = client.send_form(f"/people/{subject_id}", {"reason": "ask_authority"})
    assert town.number_of(1) in shown.text
    with town.office.database.begin() as connection:
        seen = list(entries(connection, object_kind="subject", object_id=subject_id))
    assert [each.detail for each in seen if each.action == "subject.document_viewed"] == [{"reason": "ask_authority"}]


def test_everything_that_happened_is_told_and_older_things_page_by_page(town: Any, sign_in: Callable[..., Any]) -> None:
    subject_id = town.add("王秀英")
    new = [
        NewLifeEvent(
            subject_id,
            LifeEventKind.HOSPITAL,
            date(2026, 11, 1) - timedelta(days=each),
            None,
            "unit",
            f"h{each}",
            False,
        )
        for each in range(70)
    ]
    with town.office.database.begin() as connection:
        add_life_events(connection, new, now=town.office.now)
    client = sign_in("operator", area="east")
    text = client.get(f"/people/{subject_id}").text
    assert text.count("unit reports: hospital") == 50
    address = re.findall(r'hx-get="(/people/[0-9a-f]+/older[^"]*)"', text)[0].replace("&amp;", "&")
    part = client.get(address, headers={"HX-Request": "true"}).text
    assert part.count("unit reports: hospital") == 20
    assert "<html" not in part
    assert "/older" not in part
    assert "<html" in client.get(address).text, "without scripts it is a page of its own"
    assert client.get(f"/people/{subject_id}/older", params={"before": "x"}).status_code == 404


def test_evidence_is_told_in_sentences_on_a_click(town: Any, terminal: Any, sign_in: Callable[..., Any]) -> None:
    subject_id = town.add("王秀英")
    other = town.add("李秀英")
    office = town.office
    token = office.rows("SELECT claim_token FROM subjects WHERE subject_id = :id", id=subject_id)[0].claim_token
    office.hold_references()
    office.send(terminal, terminal.next(subject_id=subject_id, token=token))
    record_id = office.rows("SELECT record_id FROM records")[0].record_id
    client = sign_in("reviewer", area="east")
    page = client.get(f"/people/{subject_id}").text
    assert f"/people/{subject_id}/records/{record_id}" in page
    part = client.get(f"/people/{subject_id}/records/{record_id}", headers={"HX-Request": "true"})
    assert part.status_code == 200
    assert "passed" in part.text
    assert "<html" not in part.text
    assert client.get(f"/people/{other}/records/{record_id}").status_code == 404, "somebody else's"
    assert "subject.record_viewed" in town.actions(subject_id)


def test_a_scheme_of_the_agency_is_called_as_its_rule_pack_says_in_the_reader_s_language(
    town: Any, sign_in: Callable[..., Any]
) -> None:
    subject_id, other = town.add("王秀英", scheme="自办补助"), town.add("李秀英", scheme="另一补助")
    written = shipped_text("SX-2018").replace("version = 1", "version = 2", 1)
    words = '\n[words]\n"自办补助" = { zh = "本地自办补助", en = "local allowance" }\n'
    client = sign_in("operator", area="east")
    address = f"/people/{subject_id}?lang=en"
    with town.office.database.begin() as connection:
        save_proposal(connection, parse_pack(written + words), written + words, "0" * 64, now=town.office.now)
    assert "local allowance" not in client.get(address).text, "nothing holds that is a proposal"
    with town.office.database.begin() as connection:
        put_in_force(connection, "SX-2018", 2, b"signed", now=town.office.now)
    assert "local allowance" in client.get(address).text
    assert "本地自办补助" in client.get(f"/people/{subject_id}?lang=zh").text
    found = client.get("/people?lang=en").text
    assert "local allowance" in found
    fallback = client.get(f"/people/{other}?lang=en").text
    assert '<span lang="zh">另一补助' in fallback, "as it is written, with its language"


def test_a_copy_of_a_slip_says_what_the_slip_said(town: Any, terminal: Any, sign_in: Callable[..., Any]) -> None:
    subject_id = town.add("王秀英")
    office = town.office
    token = office.rows("SELECT claim_token FROM subjects WHERE subject_id = :id", id=subject_id)[0].claim_token
    office.hold_references()
    envelope = terminal.next(subject_id=subject_id, token=token)
    office.send(terminal, envelope)
    (row,) = office.rows("SELECT record_id, payload FROM records")
    client = sign_in("operator", area="east")
    address = f"/people/{subject_id}/records/{row.record_id}"
    assert f"{address}/slip" in client.get(address).text
    page = client.get(f"{address}/slip").text
    record = CertificationRecord.model_validate(row.payload)
    for language in ("zh", "en"):
        assert copy_line(language) in page
    assert f"记录号：{sha256_of(envelope)[:32]}" in page
    assert f"Date: {agency_day(record.decided)}" in page
    assert "subject.slip_viewed" in town.actions(subject_id)
    assert client.get(f"/people/{town.add('李秀英')}/records/{row.record_id}/slip").status_code == 404
    assert sign_in("operator", area="west").get(f"{address}/slip").status_code == 404


def test_a_script_in_a_name_stays_text(town: Any, sign_in: Callable[..., Any]) -> None:
    subject_id = town.add("<script>甲")
    client = sign_in("operator", area="east")
    for text in (client.get("/people").text, client.get(f"/people/{subject_id}").text):
        assert "<script>甲" not in text
        assert "&lt;script&gt;甲" in text


@pytest.mark.parametrize("role", ["reviewer", "auditor"])
def test_whoever_only_looks_is_offered_no_change(town: Any, sign_in: Callable[..., Any], role: str) -> None:
    subject_id = town.add("王秀英")
    client = sign_in(role, area="east")
    text = client.get(f"/people/{subject_id}").text
    assert f"/people/{subject_id}/report" not in text
    assert client.get(f"/people/{subject_id}/report").status_code == 403
    assert Permission.PEOPLE_CHANGE.value not in text


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_people_in_a_browser(town: Any, terminal: Any, browse: Callable[..., Any], language: str, width: int) -> None:
    first = town.add("王㛃䶮", "V1", unit="棉纺厂")
    town.add("李秀英", "V2", scheme="resident_pension")
    town.add_many(60, "V1")
    token = town.office.rows("SELECT claim_token FROM subjects WHERE subject_id = :id", id=first)[0].claim_token
    town.office.hold_references()
    town.report(first, LifeEventKind.MISSING)
    town.office.send(terminal, terminal.next(subject_id=first, token=token))
    seen = browse("operator", area="C", language=language, width=width)
    page = seen.go("/people")
    seen.check(f"people-{language}-{width}")
    expect(page.locator("tbody tr")).to_have_count(50)
    page.click("[rel=next]")
    page.wait_for_url("**at=*")
    expect(page.locator("tbody tr")).to_have_count(12)
    # The tree: typed, then chosen by keys.
    seen.unfold()
    page.click("summary:has-text('地区')" if language == "zh" else "summary:has-text('Area')")
    page.fill("#f-area_typed", "东二")
    choice = page.locator("#area-choices button", has_text="东二村")
    expect(choice).to_be_visible()
    choice.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**area=V2*")
    expect(page.locator("tbody tr")).to_have_count(1)
    seen.check(f"people-area-{language}-{width}")
    # A name, which stays out of the address; the list of all areas again.
    page.goto(f"{seen.url}/people")
    page.fill("#f-typed", "㛃䶮")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    assert "䶮" not in unquote(page.url)
    page.click("tbody th a")
    page.wait_for_url(f"**/people/{first}")
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("#f-typed")).to_have_value("㛃䶮")
    page.click("tbody th a")
    page.wait_for_url(f"**/people/{first}")
    expect(page.locator("h1")).to_have_text("王㛃䶮")
    seen.check(f"person-{language}-{width}")
    evidence = page.locator(".history a[hx-get*='/records/']").first
    evidence.click()
    expect(page.locator(".history section li").first).to_be_visible()
    seen.check(f"person-evidence-{language}-{width}")


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_a_report_with_an_error_in_a_browser(town: Any, browse: Callable[..., Any], language: str, width: int) -> None:
    subject_id = town.add("王秀英")
    seen = browse("operator", area="east", language=language, width=width)
    page = seen.go(f"/people/{subject_id}/report")
    page.select_option("#f-kind", "missing")
    page.fill("#f-since", "2026-11-10")
    page.fill("#f-reported_on", "2026-11-05")
    page.select_option("#f-source", "village")
    page.fill("#f-paper", "A-7")
    page.click("main form:not([role]) button")
    expect(page.locator("[role=alert].notice.bad")).to_be_visible()
    expect(page.locator("#f-paper")).to_have_value("A-7")
    seen.check(f"person-report-{language}-{width}")
    page.fill("#f-reported_on", "2026-11-12")
    page.click("main form:not([role]) button")
    page.wait_for_url(f"**/people/{subject_id}?done=*")
    expect(page.locator("[role=status].notice.good")).to_be_visible()
    page.goto(f"{seen.url}/people/{subject_id}/details")
    seen.check(f"person-details-{language}-{width}")
    page.goto(f"{seen.url}/people/{subject_id}")
    page.click("table a[href*='/reports/']")
    page.wait_for_url("**/reports/*")
    seen.check(f"person-standing-report-{language}-{width}")
