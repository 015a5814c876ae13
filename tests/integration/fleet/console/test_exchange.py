"""The pages of exchange: feeds and deliveries, contradictions, lists, areas and partners."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from openpyxl import Workbook
from playwright.sync_api import expect
from sqlalchemy import text

from fleet.accounts import registry
from fleet.accounts.granting import Actor
from fleet.accounts.roles import Grant, Role
from fleet.exchange.cycles import parse_month
from fleet.exchange.definitions import catalogue
from fleet.partners.webhooks import make_webhook
from fleet.store import feeds, webhooks
from fleet.store.acts import NewAct, add_acts
from fleet.store.areas import Area, save_areas
from fleet.store.feeds import StoredFeed
from fleet.store.webhooks import News, WebhookEvent
from protocol.documents import check_digit
from protocol.rules.acts import ActKind, Channel

pytestmark = pytest.mark.integration
LIST = "text/csv"


def number(serial: int) -> str:
    digits = f"99999919400101{serial:03d}"
    return digits + check_digit(digits)


@dataclass
class World:
    """An office with two villages, three people in the first and two in the second, and feeds."""

    office: Any
    sign_in: Callable[..., Any]

    def deliver(self, client: Any, content: bytes | str, feed: str = "deaths", **fields: str) -> httpx.Response:
        raw = content.encode() if isinstance(content, str) else content
        answer = client.send_form(
            f"/exchange/feeds/{feed}/deliveries",
            {"period": "2026-10", "number": "1", **fields},
            files={"file": ("名单.csv", raw, LIST)},
        )
        assert isinstance(answer, httpx.Response)
        return answer

    def contradiction(self) -> str:
        """Have a death reported of somebody who certified after it; return the contradiction's id."""
        with self.office.database.begin() as connection:
            who = next(iter(self.office.people))
            act = NewAct(who, ActKind.SPECIAL, Channel.COUNTER, datetime(2026, 11, 2, 4, tzinfo=UTC), "case", "c-1")
            add_acts(connection, [act], now=self.office.now)
        answer = self.deliver(self.sign_in("fleet_administrator"), f"document_number,since\n{number(1)},2026-10-03\n")
        assert answer.status_code == 303
        page = self.sign_in("reviewer").get("/exchange/contradictions").text
        return re.findall(r"/exchange/contradictions/([0-9a-f]{32})", page)[0]


@pytest.fixture
def world(office: Any, sign_in: Callable[..., Any]) -> World:
    with office.database.begin() as connection:
        tree = (("13", None, 1, "北省"), ("1301", "13", 2, "北市"), ("130101", "1301", 3, "北县"))
        villages = (("13010101", "130101", 4, "北乡"), ("east", "13010101", 5, "东村"), ("west", "13010101", 5, "西村"))
        save_areas(connection, [Area(*each) for each in (*tree, *villages)])
        for name in ("deaths", "village_deaths", "travel"):
            definition = catalogue().feeds[name].model_dump(mode="json")
            feeds.save_feed(connection, StoredFeed(name, definition, parse_month("2026-09"), office.now))
    office.import_people(3)
    office.import_people(2, area="west", first=4, name="乙<script>")
    return World(office, sign_in)


def test_a_late_feed_stands_first_and_zero_is_a_report(world: World) -> None:
    client = world.sign_in("fleet_administrator")
    page = client.get("/exchange").text
    assert "late" in page
    assert "2026-09, 2026-10" in page
    for area in ("east", "west"):
        for period in ("2026-09", "2026-10"):
            done = client.send_form("/exchange/feeds/village_deaths/zero", {"period": period, "area": area})
            assert done.headers["location"] == "/exchange/feeds/village_deaths?done=zero_reported"
    again = client.send_form("/exchange/feeds/village_deaths/zero", {"period": "2026-10", "area": "east"})
    assert again.headers["location"].endswith("zero_repeated")
    page = client.get("/exchange/feeds/village_deaths").text
    assert ">in time<" in page.replace("</span> in time<", ">in time<")
    assert page.count("zero report") >= 4
    rows = client.get("/exchange").text.split("<tbody")[1]
    assert rows.index("Deaths</a>") < rows.index("towns and villages, with zero reports")


def test_a_delivery_is_taken_in_and_its_rows_are_told(world: World) -> None:
    client = world.sign_in("fleet_administrator")
    content = (
        f"证件号码,姓名,死亡日期\n{number(1)},甲1,2026-10-03\n{number(2)},丙,2026-10-04\n{number(99)},丁,2026-10-05\n"
    )
    done = world.deliver(client, content.encode("gb18030"))
    assert done.headers["location"].endswith("?done=delivery_taken")
    page = client.get(done.headers["location"]).text
    assert "in effect" in page
    assert "another name, no effect" in page
    assert "about nobody here" in page
    assert number(1) not in page
    again = world.deliver(client, content.encode("gb18030"))
    assert again.headers["location"].endswith("?done=delivery_repeated")
    assert len(world.office.rows("SELECT 1 FROM feed_deliveries")) == 1


def test_a_village_reports_of_its_own_people_only(world: World) -> None:
    client = world.sign_in("area_administrator", area="east")
    head = "document_number,kind,since\n"
    told = []
    for delivery, serial in ((1, 4), (2, 77)):  # somebody of the west, and nobody at all
        rows = f"{head}{number(1)},死亡,2026-10-0{delivery}\n{number(serial)},死亡,2026-10-03\n"
        done = world.deliver(client, rows, "village_deaths", area="east", number=str(delivery))
        assert done.headers["location"].endswith("?done=delivery_taken")
        page = client.get(done.headers["location"]).text.partition("<tbody")[2].partition("</tbody>")[0]
        told.append(re.sub(r"<[^>]+>|\s", "", page))
    assert told[0] == told[1]
    assert "nobodyhere" in told[0]
    reported = "SELECT DISTINCT area FROM life_events JOIN subjects USING (subject_id)"
    assert [row.area for row in world.office.rows(reported)] == ["east"]
    # What another import settles brings it about no more than the delivery did; the people's own village may say it.
    world.office.import_people(1, area="west", first=60)
    assert [row.area for row in world.office.rows(reported)] == ["east"]
    west = world.sign_in("area_administrator", area="west")
    done = world.deliver(west, f"{head}{number(4)},死亡,2026-10-03\n", "village_deaths", area="west")
    assert "in effect" in west.get(done.headers["location"]).text
    assert {row.area for row in world.office.rows(reported)} == {"east", "west"}


def test_what_a_village_reports_meets_who_is_imported_there_later(world: World) -> None:
    client = world.sign_in("area_administrator", area="13010101")
    for delivery, (serial, area) in enumerate(((61, "east"), (62, "west")), start=1):
        rows = f"document_number,kind,since\n{number(serial)},死亡,2026-10-03\n"
        answer = world.deliver(client, rows, "village_deaths", area="east", number=str(delivery))
        assert answer.status_code == 303
        world.office.import_people(1, area=area, first=serial)
    reported = world.office.rows("SELECT area FROM life_events JOIN subjects USING (subject_id)")
    assert [row.area for row in reported] == ["east"]


def test_an_upload_in_xlsx_is_one(world: World) -> None:
    book = Workbook()
    book.active.append(["document_number", "since"])
    book.active.append([number(1), "2026-10-03"])
    content = io.BytesIO()
    book.save(content)
    assert world.deliver(world.sign_in("fleet_administrator"), content.getvalue()).status_code == 303


@pytest.mark.parametrize(
    ("content", "zh", "en"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "不是表格", "is no text"),
        (b"\xff\xfed\x00o\x00", "UTF-16", "UTF-16"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "旧版 Excel", "an old Excel workbook"),
        (b"PK\x03\x04 no workbook", "工作簿", "workbook"),
        (b"", "文件为空", "the file is empty"),
        (b"document_number,since\n", "没有数据；如当月无情况，请作零报告", "make a zero report"),
        (b"document_number\n1\n", "缺少“日期”一栏", "no column since"),
        ("姓名,死亡日期\n甲,2026-10-03\n".encode() + "乙\n".encode("gb18030"), "两种编码", "two encodings"),
    ],
)
def test_a_file_of_the_wrong_kind_is_refused_in_the_readers_language(
    world: World, content: bytes, zh: str, en: str
) -> None:
    for language, expected in (("zh", zh), ("en", en)):
        answer = world.deliver(world.sign_in("fleet_administrator", language=language), content)
        assert answer.status_code == 422
        assert expected in answer.text
        assert 'value="2026-10"' in answer.text
    assert world.office.rows("SELECT 1 FROM feed_deliveries") == []


def test_all_problems_of_a_file_are_told_and_nothing_is_half_done(world: World) -> None:
    wrong = number(1)[:-1] + ("0" if number(1)[-1] != "0" else "1")
    content = f"document_number,name,since\n{number(2)},甲2,2026-10-03\n{wrong},甲,2026-10-03\n{number(3)},,2026-12-03\n{number(3)},甲,x\n"
    answer = world.deliver(world.sign_in("fleet_administrator", language="zh"), content)
    assert answer.status_code == 422
    assert "第 3 行：“证件号码”：身份证号码校验位不符" in answer.text
    assert "第 4 行：“日期”：尚未到" in answer.text
    assert "第 5 行：“日期”：应为 2026-10-03 这样的日期" in answer.text
    assert "line" not in re.sub(r"<[^>]+>", "", answer.text)
    assert wrong not in answer.text
    assert world.office.rows("SELECT 1 FROM feed_rows") == []


def test_a_delivery_without_a_file_month_or_number_is_refused(world: World) -> None:
    client = world.sign_in("fleet_administrator")
    path = "/exchange/feeds/deaths/deliveries"
    assert "Choose a file" in client.send_form(path, {"period": "2026-10", "number": "1"}).text
    for fields in ({"period": "2026-10", "number": "0"}, {"period": "october", "number": "1"}, {"number": "1"}):
        answer = client.send_form(path, fields, files={"file": ("a.csv", b"document_number,since\n", LIST)})
        assert answer.status_code == 422
    assert world.deliver(client, "document_number,since\n1,2\n", period="2027-01").status_code == 422
    assert client.send_form("/exchange/feeds/nothing/deliveries").status_code == 404


def test_a_second_delivery_of_one_number_is_told_how_to_correct(world: World) -> None:
    client = world.sign_in("fleet_administrator", language="zh")
    world.deliver(client, f"document_number,since\n{number(1)},2026-10-03\n")
    other = f"document_number,since\n{number(2)},2026-10-03\n"
    assert "更正第 1 批" in world.deliver(client, other).text
    done = world.deliver(client, other, number="2", corrects="1")
    assert done.status_code == 303
    assert "已被第 2 批更正" in client.get("/exchange/feeds/deaths").text


def test_who_delivers_for_an_area_delivers_for_no_other(world: World) -> None:
    client = world.sign_in("area_administrator", area="east")
    page = client.get("/exchange/feeds/village_deaths").text
    assert "东村" in page
    assert "西村" not in page
    row = f"document_number,since\n{number(4)},2026-10-03\n"
    refused = world.deliver(client, row, "village_deaths", area="west")
    assert refused.status_code == 422
    unknown = world.deliver(client, row, "village_deaths", area="nowhere")
    assert refused.text.replace("west", "nowhere") == unknown.text
    assert world.deliver(client, row).status_code == 403
    row = f"document_number,kind,since\n{number(1)},死亡,2026-10-03\n"
    mine = world.deliver(client, row, "village_deaths", area="east")
    assert mine.status_code == 303
    path = mine.headers["location"]
    assert world.sign_in("area_administrator", area="west").get(path).status_code == 404
    assert world.sign_in("area_administrator", area="west").get("/exchange/deliveries/9999").status_code == 404
    assert world.sign_in("reviewer", area="east").send_form("/exchange/feeds/deaths/zero").status_code == 403


def test_feeds_are_taken_up_and_ended_for_the_whole_fleet(world: World) -> None:
    client = world.sign_in("fleet_administrator")
    done = client.send_form("/exchange/feeds", {"name": "cremations", "first": "2026-08", "due_day": "3"})
    assert done.headers["location"] == "/exchange/feeds/cremations?done=feed_taken_up"
    assert client.send_form("/exchange/feeds", {"name": "no_such"}).status_code == 422
    assert client.send_form("/exchange/feeds", {"name": "deaths", "first": "never"}).status_code == 422
    assert client.send_form("/exchange/feeds/cremations/end", {"last": "2026-07"}).status_code == 422
    assert client.send_form("/exchange/feeds/cremations/end", {"last": "2026-12"}).status_code == 303
    assert "last month 2026-12" in client.get("/exchange/feeds/cremations").text
    area = world.sign_in("area_administrator", area="east")
    assert area.send_form("/exchange/feeds", {"name": "burials"}).status_code == 403
    actions = [row.action for row in world.office.rows("SELECT action FROM audit_log WHERE object_id = 'cremations'")]
    assert actions == ["feed.added", "feed.ended"]


def test_a_contradiction_is_decided_by_two_and_each_says_so_once(world: World) -> None:
    path = f"/exchange/contradictions/{world.contradiction()}"
    first = world.sign_in("reviewer", name="陈一")
    page = first.get(path)
    assert "alive after a death" in page.text
    assert "甲1" in page.text
    said = {"keep": "second", "reason": "Seen at the counter", "version": "0"}
    done = first.send_form(path, said)
    assert done.headers["location"].endswith("contradiction_first_word")
    stale = world.sign_in("reviewer", name="王二").send_form(path, said)
    assert stale.status_code == 409
    assert "somebody has said something" in stale.text
    assert "Seen at the counter" in stale.text
    again = first.send_form(path, {**said, "version": "1"})
    assert again.status_code == 409
    assert "second person" in again.text
    seen = world.sign_in("reviewer").get(path).text
    assert "Somebody gave a word" in seen
    # Two persons are two opinions: nobody reads the first one before it is decided.
    assert [
        word for word in ("陈一", "Seen at the counter", "is kept") if word in seen.partition("<form class=")[0]
    ] == []
    assert "Seen at the counter" in first.get(path).text
    assert (
        world.sign_in("reviewer", name="王二")
        .send_form(path, {**said, "version": "1"})
        .headers["location"]
        .endswith("contradiction_resolved")
    )
    late = world.sign_in("reviewer", name="张三").send_form(path, {**said, "version": "2"})
    assert late.status_code == 409
    assert "陈一" in late.text
    assert "decided this meanwhile" in late.text
    assert world.office.rows("SELECT 1 FROM life_events WHERE withdrawn_at IS NULL") == []


def test_a_decision_needs_a_side_and_a_reason(world: World) -> None:
    path = f"/exchange/contradictions/{world.contradiction()}"
    client = world.sign_in("reviewer", language="zh")
    assert "请选择保留哪一方" in client.send_form(path, {"reason": "已核实", "version": "0"}).text
    empty = client.send_form(path, {"keep": "both", "reason": " ", "version": "0"})
    assert empty.status_code == 422
    assert "请填写姓名或理由" in empty.text
    assert world.office.rows("SELECT 1 FROM contradiction_resolutions") == []


def test_a_contradiction_elsewhere_does_not_exist(world: World) -> None:
    path = f"/exchange/contradictions/{world.contradiction()}"
    outside = world.sign_in("reviewer", area="west")
    assert outside.get(path).status_code == 404
    assert outside.get(path[:-4] + "0000").status_code == 404
    assert outside.get(path).text == outside.get(path[:-4] + "0000").text.replace(path[-4:], "0000")
    assert outside.send_form(path, {"keep": "both", "reason": "x", "version": "0"}).status_code == 404
    assert "甲1" not in outside.get("/exchange/contradictions").text
    assert world.sign_in("area_administrator", area="east").send_form(path, {"keep": "both"}).status_code == 403
    assert "甲1" in world.sign_in("reviewer", area="east").get("/exchange/contradictions").text


def test_whom_data_certified_stands_with_name_and_source(world: World) -> None:
    with world.office.database.begin() as connection:
        for place, who in enumerate(list(world.office.people)):
            at = world.office.now - timedelta(days=place)
            add_acts(
                connection,
                [NewAct(who, ActKind.SILENT, Channel.DATA, at, "feed:travel", f"t-{place}")],
                now=at,
            )
    page = world.sign_in("reviewer", area="west").get("/exchange/silent").text
    assert "乙&lt;script&gt;4" in page
    assert "<script>4" not in page
    assert "甲1" not in page
    assert world.sign_in("reviewer").get("/exchange/silent").text.count("feed Travel with the identity checked") == 5
    assert world.sign_in("operator").get("/exchange/silent").status_code == 403


def _papers(**changed: str) -> dict[str, str]:
    papers = {
        "body": "village",
        "unit": "east",
        "evidence": "list",
        "verified_on": "2026-11-19",
        "handler": "张主任",
        "handler_document": number(900),
        "copies": "3",
        "sealed": "yes",
        "originals": "yes",
    }
    return {**papers, **changed}


def _hand_in(client: Any, content: str, **changed: str) -> httpx.Response:
    answer = client.send_form("/exchange/lists", _papers(**changed), files={"file": ("x.csv", content.encode(), LIST)})
    assert isinstance(answer, httpx.Response)
    return answer


def test_a_list_of_a_village_certifies_once_two_have_approved_it(world: World) -> None:
    taker = world.sign_in("area_administrator", area="east")
    done = _hand_in(taker, f"证件号码,姓名\n{number(1)},甲1\n{number(2)},甲2\n")
    assert done.headers["location"].endswith("?done=list_taken")
    path = done.headers["location"].partition("?")[0]
    assert taker.send_form(path, {"reason": "x"}).status_code == 403
    assert "waits for approval (0 of 2)" in taker.get("/exchange/lists").text
    first = world.sign_in("reviewer", area="east", name="陈一")
    assert "甲1" in first.get(path).text
    assert first.send_form(path, {"reason": ""}).status_code == 422
    assert first.send_form(path, {"reason": "Papers are right"}).headers["location"].endswith("list_approved")
    double = first.send_form(path, {"reason": "Papers are right"})
    assert double.status_code == 409
    assert "second person" in double.text
    second = world.sign_in("reviewer", area="east", name="王二")
    assert second.send_form(path, {"reason": "Same"}).headers["location"].endswith("list_certifies")
    assert len(world.office.rows("SELECT 1 FROM acts WHERE source = 'unit_list'")) == 2
    outside = world.sign_in("reviewer", area="west")
    assert outside.get(path).status_code == 404
    assert outside.send_form(path, {"reason": "x"}).status_code == 404
    assert "东村" not in outside.get("/exchange/lists").text


def test_a_list_is_refused_with_all_its_problems(world: World) -> None:
    client = world.sign_in("area_administrator", area="east", language="zh")
    content = f"证件号码,姓名\n{number(1)},丙\n{number(4)},乙<script>4\n{number(77)},甲\n"
    answer = _hand_in(client, content, copies="1")
    assert answer.status_code == 422
    assert "第 2 行：此证件号码在册的姓名不同" in answer.text
    # Somebody of another area is nobody, exactly as somebody who is not there.
    assert "第 3 行：没有此证件号码的人员" in answer.text
    assert "第 4 行：没有此证件号码的人员" in answer.text
    assert 'value="张主任"' in answer.text
    assert "请填写：经办人姓名" in _hand_in(client, content, handler="").text
    assert world.office.rows("SELECT 1 FROM unit_lists") == []
    whole = f"证件号码,姓名\n{number(1)},甲1\n"
    assert _hand_in(client, whole).status_code == 303
    assert "以前已作为名单" in _hand_in(client, whole).text


def test_whoever_took_a_list_in_does_not_approve_it_with_another_role(world: World) -> None:
    office = world.office
    taker = world.sign_in("area_administrator", area="east", name="Taker")
    path = _hand_in(taker, f"证件号码,姓名\n{number(1)},甲1\n").headers["location"].partition("?")[0]
    keyboard, cipher = Actor("Boss", None, None), office.keys.cipher
    with office.database.begin() as connection:
        account_id = registry.find(connection, cipher, "Taker")
    registry.take(office.database, cipher, keyboard, account_id, Grant(Role.AREA_ADMINISTRATOR, "east"), now=office.now)
    registry.give(office.database, cipher, keyboard, account_id, Grant(Role.REVIEWER, "east"), now=office.now)
    assert "others approve it" in taker.get(path).text
    refused = taker.send_form(path, {"reason": "mine"})
    assert (refused.status_code, "You took it in" in refused.text) == (409, True)
    for name in ("陈一", "王二"):
        assert world.sign_in("reviewer", area="east", name=name).send_form(path, {"reason": "x"}).status_code == 303
    assert len(office.rows("SELECT 1 FROM acts WHERE source = 'unit_list'")) == 1


def test_a_list_that_goes_out_has_only_people_of_the_visitors_areas(world: World) -> None:
    world.office.list_since("2020-01-01")
    world.office.rebuild()
    client = world.sign_in("area_administrator", area="east", language="zh")
    path = "/exchange/lists-out"
    answer = client.send_form(path, {"scope": "area", "whose": "13", "format": "csv"})
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert "甲1" in answer.text
    assert "乙" not in answer.text
    assert client.send_form(path, {"scope": "area", "whose": "west", "format": "xlsx"}).status_code == 422
    assert "没有此编号或名称的地区" in client.send_form(path, {"scope": "area", "whose": "南村", "format": "csv"}).text
    assert client.send_form(path, {"scope": "area", "whose": "", "format": "csv"}).status_code == 422
    assert [row.action for row in world.office.rows("SELECT action FROM audit_log WHERE action = 'list.made'")]
    page = world.sign_in("fleet_administrator").send_form(path, {"scope": "area", "whose": "13", "format": "html"})
    assert number(1) not in page.text


def test_key_lists_are_kept_and_compared(world: World) -> None:
    client = world.sign_in("fleet_administrator")
    heading = "document_number,name,area,scheme,category,benefit_start"
    row = "{0},{1},east,pension,retired,2001-07-01\n"

    def take(name: str, *serials: int, **fields: str) -> httpx.Response:
        content = heading + "\n" + "".join(row.format(number(each), f"甲{each}") for each in serials)
        answer = client.send_form(
            "/exchange/key-lists",
            {"name": name, "as_of": "2026-10-01", **fields},
            files={"file": ("x.csv", content.encode(), LIST)},
        )
        assert isinstance(answer, httpx.Response)
        return answer

    assert "The list is imported: 2 rows" in client.follow(take("October", 1, 2)).text
    assert take("November", 2, 3, as_of="2026-11-01").status_code == 303
    assert "another content" in client.follow(take("October", 1)).text
    assert "a day to come" in client.follow(take("December", 1, as_of="2027-01-01")).text
    assert take("", 1).status_code == 422
    assert take("x", 1, as_of="yesterday").status_code == 422
    ids = {row.name: row.list_id for row in world.office.rows("SELECT name, list_id FROM lists")}
    page = client.get("/exchange/key-lists", params={"earlier": ids["October"], "later": ids["November"]}).text
    facts = dict(re.findall(r"<dt>(\w[\w ]*)</dt><dd>(\d+)</dd>", page))
    assert facts == {"Joined": "1", "Left": "1", "Changed": "0", "The same": "1"}
    assert client.get("/exchange/key-lists?earlier=no&later=no").status_code == 404
    for role in ("area_administrator", "reviewer"):
        assert world.sign_in(role, area="east").get("/exchange/key-lists").status_code == 403
    assert world.sign_in("auditor").get("/exchange/key-lists").status_code == 200
    assert world.sign_in("auditor").send_form("/exchange/key-lists").status_code == 403


def test_results_go_out_and_who_takes_them_is_written_down(world: World) -> None:
    client = world.sign_in("fleet_administrator")
    answer = client.send_form("/exchange/results", {"period": "2026-10"})
    assert answer.status_code == 200
    assert answer.text.lstrip("\ufeff").startswith("document_kind,document_number")
    assert client.send_form("/exchange/results", {"period": "x"}).status_code == 422
    assert world.sign_in("area_administrator", area="east").send_form("/exchange/results").status_code == 403
    assert len(world.office.rows("SELECT 1 FROM audit_log WHERE action = 'results.exported'")) == 1


def test_areas_are_imported_or_refused_as_a_whole(world: World) -> None:
    client = world.sign_in("fleet_administrator", language="zh")

    def take(content: str) -> httpx.Response:
        answer = client.send_form("/exchange/areas", files={"file": ("a.csv", content.encode(), LIST)})
        assert isinstance(answer, httpx.Response)
        return answer

    assert take("代码,名称,级别,上级\nsouth,南村,村,13010101\n").headers["location"].endswith("areas_taken")
    assert "北省/北市/北县/北乡/南村" in client.get("/exchange/areas").text
    wrong = take("代码,名称,级别,上级\na,甲村,村,none\nb,乙村,九,13010101\n")
    assert wrong.status_code == 422
    assert "第 3 行：“级别”" in wrong.text or "第 3 行：级别应为" in wrong.text
    assert len(world.office.rows("SELECT 1 FROM areas")) == 7
    assert "请选择文件" in client.send_form("/exchange/areas").text


def _add_partner(client: Any, **changed: Any) -> httpx.Response:
    fields = {
        "partner_id": "city-b",
        "name": "乙市",
        "kind": "city",
        "scope": ["status:read", "webhooks:manage"],
        "all_areas": "yes",
        "per_minute": "60",
        "valid_until": "2027-06-30",
    }
    answer = client.send_form("/exchange/partners", {**fields, **changed})
    assert isinstance(answer, httpx.Response)
    return answer


def test_a_partner_is_added_and_its_key_is_shown_once(world: World) -> None:
    client = world.sign_in("fleet_administrator")
    added = _add_partner(client)
    assert added.status_code == 200
    assert "shown this once" in added.text
    assert "shown this once" not in client.get("/exchange/partners/city-b").text
    for changed in (
        {},
        {"partner_id": "A"},
        {"partner_id": "x-y", "scope": []},
        {"partner_id": "x-y", "per_minute": "0"},
    ):
        assert _add_partner(client, **changed).status_code == 422
    unknown = {"partner_id": "x-y", "areas": "nowhere", "all_areas": "yes"}
    del unknown["all_areas"]
    fields = {"partner_id": "x-y", "scope": ["status:read"], "areas": "nowhere", "per_minute": "5"}
    assert "not in the tree of areas" in client.send_form("/exchange/partners", fields).text
    assert len(world.office.rows("SELECT 1 FROM partners WHERE partner_id <> 'own-tool'")) == 1


def test_a_partner_gets_other_rights_a_new_key_and_is_revoked(world: World) -> None:
    client = world.sign_in("fleet_administrator")
    _add_partner(client)
    path = "/exchange/partners/city-b"
    version = re.findall(r'name="version" value="([^"]+)"', client.get(path).text)[0]
    rights = {"scope": ["records:read"], "areas": "east", "per_minute": "9", "valid_until": "2027-01-31"}
    assert client.send_form(f"{path}/rights", {**rights, "version": version}).status_code == 303
    stale = client.send_form(f"{path}/rights", {**rights, "version": version})
    assert stale.status_code == 409
    assert "changed since you opened" in stale.text
    version = re.findall(r'name="version" value="([^"]+)"', client.get(path).text)[0]
    rolled = client.send_form(f"{path}/key", {"hours": "1", "version": version})
    assert "shown this once" in rolled.text
    assert client.send_form(f"{path}/key", {"hours": "1", "version": version}).status_code == 409
    assert len(world.office.rows("SELECT 1 FROM partner_keys WHERE partner_id = 'city-b'")) == 2
    version = re.findall(r'name="version" value="([^"]+)"', client.get(path).text)[0]
    assert client.send_form(f"{path}/revoke", {"version": version}).status_code == 303
    page = client.get(path).text
    assert "revoked" in page
    assert "/revoke" not in page
    assert client.get("/exchange/partners/none").status_code == 404
    area = world.sign_in("area_administrator", area="east")
    assert area.get("/exchange/partners").status_code == 403
    assert area.send_form(f"{path}/revoke").status_code == 403
    assert world.sign_in("auditor").send_form(f"{path}/revoke").status_code == 403


def test_four_clicks_at_once_make_one_key(world: World) -> None:
    client = world.sign_in("fleet_administrator")
    _add_partner(client)
    path = "/exchange/partners/city-b"
    version = re.findall(r'name="version" value="([^"]+)"', client.get(path).text)[0]
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(client.send_form, f"{path}/key", {"hours": "1", "version": version}) for _ in range(4)]
    assert sorted(each.result().status_code for each in sent) == [200, 409, 409, 409]
    assert len(world.office.rows("SELECT 1 FROM partner_keys WHERE partner_id = 'city-b'")) == 2


def _webhook(world: World) -> str:
    office = world.office
    with office.database.begin() as connection:
        events = (WebhookEvent.STATUS_CHANGED,)
        webhook, _ = make_webhook(office.keys.cipher, "city-b", "https://city.example/news", events, now=office.now)
        webhooks.add_webhook(connection, webhook)
        webhooks.tell(connection, [News(WebhookEvent.STATUS_CHANGED, next(iter(office.people)), {"state": "due"})])
        connection.execute(
            text("UPDATE webhook_messages SET dead_at = :now, tries = 12, last_result = '500'"), {"now": office.now}
        )
    return str(webhook.webhook_id)


def test_messages_that_were_given_up_are_sent_again(world: World) -> None:
    client = world.sign_in("fleet_administrator")
    _add_partner(client)
    hook = _webhook(world)
    page = client.get("/exchange/partners/city-b").text
    assert "https://city.example/news" in page
    assert ">500<" in page
    path = f"/exchange/partners/city-b/webhooks/{hook}/resend"
    assert client.send_form(path).headers["location"].endswith("webhook_resent")
    assert client.send_form(path).status_code == 409
    assert world.office.rows("SELECT 1 FROM webhook_messages WHERE dead_at IS NOT NULL") == []


def test_what_needs_a_role_is_refused_to_others(world: World) -> None:
    for role in ("viewer", "operator"):
        assert world.sign_in(role).get("/exchange").status_code == 403
    auditor = world.sign_in("auditor")
    for path in ("/exchange", "/exchange/feeds/deaths", "/exchange/lists", "/exchange/areas", "/exchange/partners"):
        page = auditor.get(path)
        assert page.status_code == 200
        assert 'method="post"' not in page.text.replace('method="post" action="/sign-out"', "")
    assert auditor.send_form("/exchange/areas").status_code == 403


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_exchange_in_a_browser(world: World, browse: Callable[..., Any], language: str, width: int) -> None:
    contradiction = world.contradiction()
    administrator = world.sign_in("fleet_administrator")
    _add_partner(administrator)
    _webhook(world)
    _hand_in(administrator, f"证件号码,姓名\n{number(1)},甲1\n{number(2)},甲2\n")
    seen = browse("fleet_administrator", language=language, width=width)
    name = f"{language}-{width}"
    seen.go("/exchange/partners/city-b")
    seen.check(f"exchange-partners-city-b-{name}")
    page = seen.go("/exchange/feeds/deaths")
    page.fill("#f-period", "2026-10")
    page.fill("#f-number", "7")
    page.set_input_files(
        "#f-file", {"name": "x.csv", "mimeType": "text/csv", "buffer": b"document_number,since\n1,2\n"}
    )
    page.locator("form[action$=deliveries] button").click()
    expect(page.locator(".notice.bad")).to_be_focused()
    expect(page.locator("#f-number")).to_have_value("7")
    seen.check(f"exchange-refused-{name}")
    content = f"document_number,since\n{number(3)},2026-10-09\n".encode()
    page.set_input_files("#f-file", {"name": "x.csv", "mimeType": "text/csv", "buffer": content})
    page.locator("form[action$=deliveries] button").click()
    page.wait_for_url("**/exchange/deliveries/*")
    seen.check(f"exchange-delivery-{name}")
    seen = browse("reviewer", language=language, width=width)
    page = seen.go("/exchange/contradictions")
    seen.check(f"exchange-contradictions-{name}")
    page.click(f"a[href$='{contradiction}']")
    page.wait_for_url(f"**/{contradiction}")
    seen.check(f"exchange-contradiction-{name}")
    page.check("#keep-both")
    page.fill("#f-reason", "已核实")
    page.locator("form.card button").click()
    page.wait_for_url("**done=contradiction_resolved")
    page = seen.go("/exchange/lists")
    page.locator("tbody a").first.click()
    page.wait_for_url("**/exchange/lists/*")
    seen.check(f"exchange-list-{name}")
