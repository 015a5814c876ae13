"""Lists of people taken in by the browser: all or nothing, by line, in the reader's language, and only for the visitor's areas."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from playwright.sync_api import expect

from fleet.audit.log import entries
from fleet.clock import day_of
from fleet.status.projection import project
from fleet.store.subjects import Benefit, save_benefit
from fleet.web import beside

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("patient_pages")]
HEADING = "document_number,name,area,scheme,category,benefit_start"


def table(town: Any, *rows: tuple[int, str, str]) -> bytes:
    """A list: serial of the document, name, area."""
    lines = [
        f"{town.number_of(serial)},{name},{area},enterprise_pension,retired,2001-07-01" for serial, name, area in rows
    ]
    return "\r\n".join([HEADING, *lines]).encode()


def send(client: Any, content: bytes, name: str = "list.csv") -> Any:
    """Have a list looked at, and take it in if nothing is wrong with it."""
    looked = look(client, content, name)
    return confirm(client, looked.headers["location"], new_words="1") if looked.status_code == 303 else looked


def confirm(client: Any, address: str, **fields: str) -> Any:
    """Confirm what the page of a list shows."""
    shown = client.get(address).text
    while "progress?poll=1" in shown:
        shown = client.get(address).text
    (sha256,) = re.findall(r'name="sha256" value="([0-9a-f]{64})"', shown)
    return client.send_form(address, {"sha256": sha256, **fields})


def look(client: Any, content: bytes, name: str = "list.csv") -> Any:
    return client.send_form("/people/import", files={"file": (name, content, "text/csv")})


def people(town: Any) -> int:
    return int(town.office.rows("SELECT count(*) AS n FROM subjects")[0].n)


def test_a_list_is_taken_in_with_its_report(town: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("area_administrator", area="east")
    sent = send(client, table(town, (1, "王秀英", "V1"), (2, "李㛃", "东一村")))
    assert sent.status_code == 303
    shown = client.get(sent.headers["location"]).text
    assert "The list is taken in" in shown
    assert re.search(r"<dt>New</dt><dd>2</dd>", shown)
    assert people(town) == 2
    again = client.get(send(client, table(town, (1, "王秀英", "V1"), (2, "李㛃", "V2"))).headers["location"]).text
    assert re.search(r"<dt>Changed</dt><dd>1</dd>", again)
    assert re.search(r"<dt>Unchanged</dt><dd>1</dd>", again)
    with town.office.database.begin() as connection:
        assert [each.action for each in entries(connection)].count("subjects.imported") == 2


def test_a_list_is_shown_before_it_is_stored_and_only_what_was_shown_is_stored(
    town: Any, sign_in: Callable[..., Any]
) -> None:
    known, other = town.add("王秀英", "V1"), town.add("李㛃", "V1")
    client = sign_in("area_administrator", area="east", name="导入人")
    listed = table(town, (1, "王秀兰", "V1"), (2, "李㛃", "V2"), (3, "张三", "V1"))
    address = look(client, listed).headers["location"]
    shown = client.get(address).text
    told = dict(re.findall(r"<strong>([^<]*)</strong> \d+ <span class=\"hint\">(lines [^<]*)<", shown))
    assert told == {
        "new people": "lines 4",
        "another name": "lines 2",
        "another area": "lines 3",
        "other facts of a benefit": "lines 3",
    }
    assert "王秀" not in shown
    assert people(town) == 2, "nothing is stored"
    assert client.send_form(address, {"sha256": "0" * 64}).status_code == 409
    assert sign_in("fleet_administrator").send_form(address, {"sha256": "0" * 64}).status_code == 404
    assert people(town) == 2
    done = confirm(client, address)
    assert done.status_code == 303
    assert people(town) == 3
    again = client.send_form(address, {"sha256": "0" * 64})
    assert again.headers["location"] == done.headers["location"], "a second click does nothing more"
    for subject_id, what in ((known, "another name"), (other, "another area")):
        assert re.search(f"导入人 took in a list: [^<]*{what}", client.get(f"/people/{subject_id}").text)


def test_words_that_nobody_here_uses_are_no_mistakes_only_if_somebody_says_so(
    town: Any, sign_in: Callable[..., Any]
) -> None:
    subject_id = town.add("王秀英", "V1")
    client = sign_in("area_administrator", area="east")
    listed = table(town, (1, "王秀英", "V1")).replace(b"enterprise_pension", "企业养老".encode())
    address = look(client, listed).headers["location"]
    shown = client.get(address).text
    assert "There is no scheme “企业养老” here: lines 2" in shown
    assert "<strong>one more benefit</strong> 1" in shown
    refused = confirm(client, address)
    assert refused.status_code == 422
    assert "tick that they are new" in refused.text
    assert len(town.office.rows("SELECT scheme FROM benefits WHERE subject_id = :id", id=subject_id)) == 1
    chinese = table(town, (1, "王秀英", "V1")).replace(b"enterprise_pension", "企业职工基本养老保险".encode())
    same = client.get(look(client, chinese).headers["location"]).text
    assert "There is no" not in same
    assert re.search(r"<dt>Unchanged</dt><dd>1</dd>", same), "the Chinese name of a scheme is that scheme"
    assert client.send_form(address, {"sha256": "0" * 64, "new_words": "1"}).status_code == 409


def test_what_changed_between_the_look_and_the_word_is_not_overwritten(town: Any, sign_in: Callable[..., Any]) -> None:
    town.add("王秀英", "V1")
    client = sign_in("area_administrator", area="east")
    address = look(client, table(town, (1, "王秀英", "V1"))).headers["location"]
    town.serial = 0
    town.add("王秀兰", "V2")
    refused = confirm(client, address)
    assert refused.status_code == 422
    assert "Something changed since you looked" in refused.text
    assert town.office.rows("SELECT area FROM subjects")[0].area == "V2"


def test_every_problem_is_told_by_its_line_and_nothing_is_half_done(town: Any, sign_in: Callable[..., Any]) -> None:
    bad = table(town, (1, "王秀英", "V1"), (2, "", "V1"), (3, "李", "火星")).replace(b"2001-07-01", b"1900-07-01", 1)
    for language, sentences in (
        (
            "en",
            ("line 2: benefit start: a date like 2015-07-01 expected", "line 3: the name is missing", "line 4: area:"),
        ),
        ("zh", ("第 2 行", "第 3 行", "第 4 行")),
    ):
        sent = send(sign_in("fleet_administrator", language=language), bad)
        assert sent.status_code == 422
        for sentence in sentences:
            assert sentence in sent.text
        assert "王秀英" not in sent.text
        assert town.number_of(1) not in sent.text
    chinese = re.findall("<li>([^<]*)</li>", sent.text)
    assert not any("expected" in line or "empty" in line for line in chinese), chinese
    assert people(town) == 0


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\0\0", b"PK\x03\x04 no workbook", b"a,b\r\n1,2\r\n"])
def test_a_file_of_another_kind_is_refused(town: Any, sign_in: Callable[..., Any], content: bytes) -> None:
    sent = send(sign_in("fleet_administrator"), content)
    assert sent.status_code == 422
    assert "Nothing was taken in" in sent.text
    assert people(town) == 0


def test_no_file_is_asked_for(town: Any, sign_in: Callable[..., Any]) -> None:
    sent = sign_in("fleet_administrator").send_form("/people/import")
    assert sent.status_code == 422
    assert "Choose a file" in sent.text


def test_an_areas_administrator_brings_people_of_their_own_areas_only(town: Any, sign_in: Callable[..., Any]) -> None:
    there = town.add("张三", "V3")
    client = sign_in("area_administrator", area="east")
    sent = send(client, table(town, (5, "王秀英", "V1"), (6, "李秀英", "V3"), (1, "张三", "V1")))
    assert sent.status_code == 422
    assert "line 3: area: the area is none of yours" in sent.text
    assert "line 4" not in sent.text
    # Nobody is told by the faults of a list who is known elsewhere.
    unknown = send(client, table(town, (5, "王秀英", "V1"), (6, "李秀英", "V3"), (9, "张三", "V1")))
    problems = [re.findall("<li>(line[^<]*)</li>", each.text) for each in (sent, unknown)]
    assert problems[0] == problems[1] != []
    counted = send(client, table(town, (5, "王秀英", "V1"), (1, "张三", "V1")))
    assert counted.status_code == 422
    assert "People of this list who belong to other areas: 1." in counted.text
    assert "line 3" not in counted.text
    with town.office.database.begin() as connection:
        tried = [each.detail for each in entries(connection) if each.action == "subjects.import_refused"]
    assert [(each["problems"], each["people_elsewhere"]) for each in tried] == [(1, 1), (1, 0), (0, 1)]
    assert people(town) == 1
    assert town.office.rows("SELECT area FROM subjects WHERE subject_id = :id", id=there)[0].area == "V3"
    assert send(sign_in("fleet_administrator"), table(town, (1, "张三", "V1"))).status_code == 303
    assert town.office.rows("SELECT area FROM subjects WHERE subject_id = :id", id=there)[0].area == "V1"


def test_a_list_of_one_area_takes_nobody_away_from_another(town: Any, sign_in: Callable[..., Any]) -> None:
    # Lives in the west and is paid there, and has a second benefit in the east.
    who = town.add("张三", "V3")
    zone = town.office.settings.zone()
    with town.office.database.begin() as connection:
        save_benefit(connection, who, Benefit("injury", "V1", "injured", date(2001, 7, 1)))
        project(connection, [who], zone=zone, today=day_of(town.office.now, zone))
    client = sign_in("area_administrator", area="east")
    for name, column in (("张三", "area"), ("别名", "name")):
        sent = send(client, table(town, (1, name, "V1")))
        assert sent.status_code == 422
        assert f"line 2: {column}: is another than is stored" in sent.text
    assert town.office.rows("SELECT area FROM subjects WHERE subject_id = :id", id=who)[0].area == "V3"
    paid = town.office.rows("SELECT region FROM benefits WHERE subject_id = :id ORDER BY scheme", id=who)
    assert [row.region for row in paid] == ["V3", "V1"]
    assert sign_in("area_administrator", area="west").get(f"/people/{who}").status_code == 200
    # Who lives here and is paid elsewhere as well may have a benefit here changed.
    at_home = town.add("李四", "V2")
    with town.office.database.begin() as connection:
        save_benefit(connection, at_home, Benefit("injury", "V3", "injured", date(2001, 7, 1)))
        project(connection, [at_home], zone=zone, today=day_of(town.office.now, zone))
    assert send(client, table(town, (2, "李四", "V2")).replace(b"2001", b"2002")).status_code == 303
    assert send(client, table(town, (2, "李四", "V1"))).status_code == 422


def test_whoever_a_list_moves_or_renames_has_an_entry_of_their_own(town: Any, sign_in: Callable[..., Any]) -> None:
    moved, renamed, same = town.add("张三", "V1"), town.add("李四", "V1"), town.add("王五", "V1")
    client = sign_in("area_administrator", area="east")
    assert send(client, table(town, (1, "张三", "V2"), (2, "李肆", "V1"), (3, "王五", "V1"))).status_code == 303
    assert [town.actions(each).count("subject.imported") for each in (moved, renamed, same)] == [1, 1, 0]
    with town.office.database.begin() as connection:
        details = [next(entries(connection, object_kind="subject", object_id=each)).detail for each in (moved, renamed)]
    assert [each["what"] for each in details] == [["benefit_changed", "moved"], ["renamed"]]


def test_a_large_list_is_watched_by_whoever_sent_it_and_nobody_else(
    town: Any, sign_in: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "AT_ONCE_S", 0.0)
    client = sign_in("fleet_administrator")
    sent = send(client, table(town, *((serial, "王秀英", "V1") for serial in range(1, 600))))
    assert sent.status_code == 303
    address = sent.headers["location"]
    assert sign_in("fleet_administrator").get(address).status_code == 404
    text = client.get(address).text
    if "progress?poll=1" in text:
        assert client.get(f"/runs/{address.rpartition('/')[2]}/progress?poll=1").status_code == 200
    while "The list is taken in" not in (text := client.get(address).text):
        assert "progress?poll=1" in text
    ended = client.get(f"/runs/{address.rpartition('/')[2]}/progress?poll=1")
    assert ended.headers["hx-redirect"] == address
    assert people(town) == 599


def test_an_import_of_before_a_restart_is_told_to_be_gone(town: Any, sign_in: Callable[..., Any]) -> None:
    gone = sign_in("fleet_administrator").get("/people/import/" + "0" * 32)
    assert gone.status_code == 404
    assert "may have been started anew" in gone.text


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_an_import_in_a_browser(town: Any, browse: Callable[..., Any], language: str, width: int) -> None:
    seen = browse("fleet_administrator", language=language, width=width)
    page = seen.go("/people/import")
    bad = table(town, (1, "王秀英", "V9"), (2, "", "V1"))
    page.set_input_files("#f-file", {"name": "list.csv", "mimeType": "text/csv", "buffer": bad})
    page.click("main form button")
    expect(page.locator(".card > ul > li")).to_have_count(2)
    seen.check(f"people-import-refused-{language}-{width}")
    good = table(town, (1, "王秀英", "V1"), (2, "李秀英", "V1"))
    page.set_input_files("#f-file", {"name": "list.csv", "mimeType": "text/csv", "buffer": good})
    page.click("main form button")
    expect(page.locator("#preview")).to_be_focused()
    seen.check(f"people-import-preview-{language}-{width}")
    if page.locator("[name=new_words]").count():
        page.check("[name=new_words]")
    page.click("main section form button")
    expect(page.locator(".notice.good")).to_be_focused()
    seen.check(f"people-import-{language}-{width}")
    page.goto(f"{seen.url}/people")
    expect(page.locator("tbody tr")).to_have_count(2)
