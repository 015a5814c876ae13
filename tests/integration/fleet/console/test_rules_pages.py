"""The pages of rule packs: the list, one pack in words, versions, proposing, what it would change, and the two approvals."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from fleet.audit.log import entries
from fleet.status.trials import Trials, ask_for_trial
from fleet.store.areas import Area, save_areas
from fleet.store.trials import find_trial
from protocol.shipped_packs import shipped_text

pytestmark = pytest.mark.integration


def pack(pack_id: str = "SJZ-2017", **changed: str) -> str:
    """A shipped pack, for the people of these tests."""
    written = shipped_text(pack_id)
    for pattern, value in (
        (r"region = .*", 'region = "east"'),
        (r"schemes = \[[^]]*\]", 'schemes = ["pension"]'),
        (r"categories = \[[^]]*\]\n", ""),
    ):
        written = re.sub(pattern, value, written, count=1)
    for key, value in changed.items():
        written, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", written, count=1)
        assert count == 1, key
    return written


@pytest.fixture
def agency(office: Any) -> Any:
    """A fleet with two areas and some people in each."""
    with office.database.begin() as connection:
        save_areas(
            connection,
            [
                Area("east", None, 1, "东区"),
                Area("east-1", "east", 2, "一街道"),
                Area("east-2", "east", 2, "二街道"),
                Area("west", None, 1, "西区"),
            ],
        )
    office.import_people(4, area="east-1")
    office.import_people(3, area="east-2", first=10)
    office.import_people(2, area="west", first=20)
    office.list_since("2001-07-01")
    return office


def propose(client: Any, written: str, **fields: str) -> Any:
    return client.send_form("/rules/propose", {"text": written, **fields})


def trial_of(client: Any, name: str = "SJZ-2017/1", day: str = "") -> str:
    """Start a trial and wait until it is done; return its address."""
    answer = client.send_form(f"/rules/packs/{name}/what-if", {"day": day})
    assert answer.status_code == 303, answer.text
    address = str(answer.headers["location"])
    deadline = time.monotonic() + 30
    while "HX-Redirect" not in client.get(f"{address}/progress").headers:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return address


def approve(client: Any, address: str, name: str = "SJZ-2017/1", **fields: str) -> Any:
    given = {"trial_id": address.rsplit("/", 1)[1], "reason": "by the notice", **fields}
    return client.send_form(f"/rules/packs/{name}/approve", given)


def in_force(office: Any) -> list[Any]:
    return office.rows("SELECT pack_id, version FROM rule_packs WHERE in_force_at IS NOT NULL")  # type: ignore[no-any-return]


def test_a_pack_goes_from_a_pasted_text_over_its_trial_and_two_persons_into_force(
    agency: Any, sign_in: Callable[..., Any]
) -> None:
    first, second = (sign_in("fleet_administrator", name=name) for name in ("Zhao", "Qian"))
    assert propose(first, pack()).headers["location"] == "/rules/packs/SJZ-2017/1?done=pack_proposed"
    assert 'href="/rules/packs/SJZ-2017/1"' in first.get("/rules").text
    address = trial_of(first)
    page = first.get(address).text
    assert "It holds for" in page
    for name in ("一街道", "二街道"):
        assert name in page
    assert approve(first, address).headers["location"].endswith("done=pack_approved")
    same = approve(first, address)
    assert same.status_code == 409
    assert "another person must" in same.text
    assert in_force(agency) == []
    assert "You have approved it" in first.get(address).text
    assert approve(second, address, reason=" ").status_code == 422
    assert approve(second, address).headers["location"].endswith("done=pack_in_force")
    assert in_force(agency) == [("SJZ-2017", 1)]
    deadline = time.monotonic() + 30
    while agency.rows("SELECT 1 FROM obligations WHERE pack_id = 'SJZ-2017'") == []:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    late = approve(second, address)
    assert late.status_code == 409
    assert "is in force since" in late.text


def test_r2_6_r2_9_r7_3_every_rule_of_a_pack_is_told_in_both_languages_with_its_source(
    agency: Any, sign_in: Callable[..., Any]
) -> None:
    agency.put_packs_in_force(pack())
    english, chinese = (sign_in("viewer", language=language) for language in ("en", "zh"))
    page = english.get("/rules/packs/SJZ-2017/1").text
    told = {
        "R2-6": ("Once a year, from 08-15 to 10-31.", "每年认证一次，在 08-15 至 10-31 之间。"),
        "R2-9": ("Only people on the pay list of 06-30 are asked.", "只要求在 06-30 发放名册上的人认证。"),
        "R7-3": ("a stop may be proposed from 12-01 on", "从 12-01 起可以建议停发"),
        "R1-14": ("640×480 pixels", "640×480 像素"),
    }
    for source, sentences in told.items():
        row = next(each for each in page.split("<tr ") if sentences[0] in each)
        assert sentences[1] in row
        assert source in row
    assert "cycle" not in page.split("<main")[1]
    assert "窗口期" not in page
    assert "从 12-01 起可以建议停发" in chinese.get("/rules/packs/SJZ-2017/1").text
    answer = english.get("/rules/packs/SJZ-2017/1/text")
    assert answer.text == pack()
    assert "SJZ-2017-1.toml" in answer.headers["content-disposition"]
    assert english.get("/rules/packs/SJZ-2017/2").status_code == 404
    assert english.get("/rules/packs/SJZ-2017/x").status_code == 404


SHORT = "2018-01-01\nvalid_until = 2020-01-01"


def test_packs_are_listed_by_where_they_stand(agency: Any, sign_in: Callable[..., Any]) -> None:
    coming = pack(version="2", valid_from="2027-01-01")
    agency.put_packs_in_force(
        pack(),
        coming,
        pack("GZ-2018").replace('"pension"', '"work"').replace("2018-01-01", SHORT),
    )
    client = sign_in("fleet_administrator")
    assert propose(client, pack("LZ-2019").replace('"pension"', '"injury"')).status_code == 303
    page = client.get("/rules").text
    parts = re.split(r"<h2>(In force|Coming|Proposed|Past|People)</h2>", page)
    shown = {parts[at]: parts[at + 1] for at in range(1, len(parts), 2)}
    for group, name in (
        ("In force", "SJZ-2017/1"),
        ("Coming", "SJZ-2017/2"),
        ("Proposed", "LZ-2019/1"),
        ("Past", "GZ-2018/1"),
    ):
        assert f'/rules/packs/{name}"' in shown[group]
        assert sum(f'/rules/packs/{name}"' in each for each in shown.values()) == 1


def test_people_of_each_pack_are_counted_in_the_visitors_areas(agency: Any, sign_in: Callable[..., Any]) -> None:
    agency.put_packs_in_force(pack())
    agency.rebuild()
    whole = sign_in("auditor").get("/rules/people").text
    assert re.search(r'SJZ-2017/1</th>.*?<td class="number"[^>]*>7</td>', whole, re.DOTALL)
    assert re.search(r'SX-2018/1</th>.*?<td class="number"[^>]*>2</td>', whole, re.DOTALL)
    part = sign_in("viewer", area="east-1").get("/rules/people").text
    assert re.search(r'SJZ-2017/1</th>.*?<td class="number"[^>]*>4</td>', part, re.DOTALL)
    assert "SX-2018" not in part


def test_two_versions_are_compared_in_words_and_lines(agency: Any, sign_in: Callable[..., Any]) -> None:
    agency.put_packs_in_force(pack(), pack(version="2", valid_from="2027-01-01", closes='"11-30"'))
    client = sign_in("viewer")
    page = client.get("/rules/packs/SJZ-2017/2/changes?since=1").text
    assert "Once a year, from 08-15 to 10-31." in page
    assert "Once a year, from 08-15 to 11-30." in page
    assert "pay list" not in page.split("Lines that change")[0]
    assert "closes = &#34;11-30&#34;" in page
    assert client.get("/rules/packs/SJZ-2017/2/changes?since=9").status_code == 404
    assert client.get("/rules/packs/SJZ-2017/2/changes").status_code == 404


@pytest.mark.parametrize("language", ["en", "zh"])
def test_all_faults_of_a_text_are_told_at_once_by_line_and_nothing_is_stored(
    agency: Any, sign_in: Callable[..., Any], language: str
) -> None:
    client = sign_in("fleet_administrator", language=language)
    wrong = pack(version='"first"', valid_from='"soon"').replace('opens = "08-15"', 'opns = "08-15"')
    answer = propose(client, wrong)
    assert answer.status_code == 422
    rows = re.findall(r'<th scope="row" class="number"[^>]*>(\S+)</th><td[^>]*><code>(\S+)</code>', answer.text)
    lines = wrong.splitlines()
    found = {key: lines[int(line) - 1] for line, key in rows if key != "cycle.opens"}
    assert found["version"] == 'version = "first"'
    assert found["valid_from"] == 'valid_from = "soon"'
    assert found["cycle.opns"] == 'opns = "08-15"'
    assert ("cycle.opens" in {key for _, key in rows}) is True
    said = {
        "en": ("4 things are to be put right", "did you mean opens?"),
        "zh": ("有 4 处需要更正", "是否应为 opens？"),
    }
    for sentence in said[language]:
        assert sentence in answer.text
    assert "version = &#34;first&#34;" in answer.text, "what was typed is kept"
    assert agency.rows("SELECT 1 FROM rule_packs") == []


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", "Nothing came"),
        ("pack_id = \n", "near line 1"),
        ("#" * 70_000, "at most 65536 are taken"),
        ("eyJhbGciOiJFZERTQSJ9.eyJhbGciOiJFZERTQSJ9.eyJhbGciOiJFZERTQSJ9", "signed by another fleet"),
        (pack().replace('counts = ["live"', 'counts = ["seen"'), "One of these is expected"),
        (pack().replace('from_day = "12-01"', 'from_day = "02-30"'), "one that exists"),
        (pack().replace('from_day = "12-01"\n', ""), "Exactly one of from_day"),
        (pack().replace("valid_from", "valid_until = 2010-01-01\nvalid_from"), "before valid_from"),
        (pack().replace("no_trace_months = 3", "no_trace_months = 99"), "Not above 24"),
        (pack().replace('"R1-11"', '"x"'), "source rule like R2-5"),
        (pack().replace('schemes = ["pension"]', "schemes = []"), "At least one"),
        (pack().replace('kind = "annual_window"', 'kind = "weekly"'), "kind is one of"),
        (
            pack(version="0").replace('zh = "', 'zh = "<script>alert(1)</script>'),
            "Not below 1",
        ),
    ],
)
def test_a_text_that_is_no_pack_is_refused_with_what_to_do(
    agency: Any, sign_in: Callable[..., Any], written: str, told: str
) -> None:
    answer = propose(sign_in("fleet_administrator"), written)
    assert answer.status_code == 422
    assert told in answer.text
    assert "<script>alert" not in answer.text
    assert agency.rows("SELECT 1 FROM rule_packs") == []


def test_a_file_of_the_wrong_kind_is_refused(agency: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator")
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    answer = client.send_form("/rules/propose", {"text": ""}, files={"file": ("pack.png", picture, "image/png")})
    assert answer.status_code == 422
    assert "no UTF-8" in answer.text
    good = client.send_form("/rules/propose", {"text": "x"}, files={"file": ("p.toml", pack().encode(), "text/plain")})
    assert good.status_code == 303


def test_what_does_not_fit_the_packs_in_force_is_told_in_the_readers_language(
    agency: Any, sign_in: Callable[..., Any]
) -> None:
    agency.put_packs_in_force(pack())
    english, chinese = (sign_in("fleet_administrator", language=language) for language in ("en", "zh"))
    assert "the next one is 2" in propose(english, pack(version="5", valid_from="2027-01-01")).text
    assert "下一版应为第 2 版" in propose(chinese, pack(version="5", valid_from="2027-01-01")).text
    assert "永远不会适用" in propose(chinese, pack(version="2")).text
    assert "已有同类规定" in propose(chinese, pack("GZ-2018")).text


def test_another_text_of_the_same_version_takes_the_place_only_if_that_is_said(
    agency: Any, sign_in: Callable[..., Any]
) -> None:
    first, second = (sign_in("fleet_administrator", name=name) for name in ("Zhao", "Qian"))
    propose(first, pack())
    address = trial_of(first)
    approve(first, address)
    other = pack(closes='"11-30"')
    answer = propose(second, other)
    assert answer.status_code == 409
    assert "is proposed with another text" in answer.text
    digest = re.search(r'name="replaces" value="([0-9a-f]{64})"', answer.text)
    assert digest is not None
    assert propose(second, other, replaces=digest[1]).status_code == 303
    # Approvals were of the other text, and so was the trial.
    stale = approve(second, address)
    assert stale.status_code == 409
    assert "You looked at an earlier text" in stale.text
    assert agency.rows("SELECT 1 FROM approvals") == []
    assert "This trial is of an earlier text" in first.get(address).text


def test_nobody_approves_what_was_not_tried(agency: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator")
    propose(client, pack())
    assert approve(client, "/rules/trials/none").status_code == 404
    propose(client, pack("GZ-2018").replace('"pension"', '"work"'))
    other = trial_of(client, "GZ-2018/1")
    answer = approve(client, other)
    assert answer.status_code == 409
    assert "start a trial" in answer.text


def test_a_pack_for_nobody_needs_a_word_that_it_is_meant(agency: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator", language="zh")
    propose(client, pack().replace('"pension"', '"work"'))
    address = trial_of(client)
    page = client.get(address).text
    assert "此规则包对任何人都不适用：" in page
    assert "地区 east 的名单中写的是：pension retired" in page
    refused = approve(client, address)
    assert refused.status_code == 409
    assert "请勾选“仍然批准”" in refused.text
    assert "by the notice" in refused.text
    assert approve(client, address, although_nobody="yes").status_code == 303


def test_of_two_persons_who_approve_at_once_both_count(agency: Any, sign_in: Callable[..., Any]) -> None:
    clients = [sign_in("fleet_administrator", name=name) for name in ("Zhao", "Qian", "Zhao")]
    propose(clients[0], pack())
    address = trial_of(clients[0])
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda client: approve(client, address).status_code, clients))
    assert sorted(answers) == [303, 303, 409]
    assert in_force(agency) == [("SJZ-2017", 1)]
    sources = agency.rows(
        "SELECT name_source FROM approvals WHERE object_kind = 'rule_pack' AND object_id LIKE 'SJZ-2017%'"
    )
    assert [row.name_source for row in sources] == ["account", "account"]


def test_one_trial_of_a_pack_at_a_time(agency: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator")
    propose(client, pack())
    with agency.database.begin() as connection:
        running = ask_for_trial(
            connection, agency.keys.cipher, "SJZ-2017", 1, on=agency.now.date(), by="Zhao", now=agency.now
        )
    # Whoever works on trials is busy elsewhere.
    with agency.database.alone("pack trials") as is_alone:
        assert is_alone
        again = client.send_form("/rules/packs/SJZ-2017/1/what-if", {"day": ""})
        assert (again.status_code, again.headers["location"]) == (303, f"/rules/trials/{running}")
        with agency.database.begin() as connection:
            connection.execute(text("UPDATE pack_trials SET sha256 = 'of another text'"))
        answer = client.send_form("/rules/packs/SJZ-2017/1/what-if", {"day": ""})
        assert answer.status_code == 409
        assert "still at work" in answer.text
    wrong = client.send_form("/rules/packs/SJZ-2017/1/what-if", {"day": "soon"})
    assert wrong.status_code == 422


def test_a_trial_that_a_server_left_is_begun_anew_by_whoever_looks(agency: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator")
    propose(client, pack())
    # What a server leaves that was killed: a trial that waits, and nobody at work.
    with agency.database.begin() as connection:
        trial_id = ask_for_trial(
            connection, agency.keys.cipher, "SJZ-2017", 1, on=agency.now.date(), by="Zhao", now=agency.now
        )
        connection.execute(text("UPDATE pack_trials SET people_done = 5"))
    deadline = time.monotonic() + 30
    while "HX-Redirect" not in client.get(f"/rules/trials/{trial_id}/progress").headers:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with agency.database.begin() as connection:
        found = find_trial(connection, trial_id)
        tried = [each for each in entries(connection) if each.action == "rule_pack.what_if"]
    assert found is not None
    assert found.result is not None
    assert (found.result["people"], found.result["covered"]) == (9, 7)
    states = found.result["states"]
    assert {cut: sum(row[3] for row in rows) for cut, rows in states.items()} == {"area": 9, "scheme": 9, "age": 9}
    assert {row[0] for row in states["scheme"]} == {"pension"}
    assert {row[0] for row in states["age"]} == {"85-89"}, "born in 1940"
    # The default pack lets stops be proposed since 2019; by the new one nobody was ever on a pay list of its key date.
    assert sorted(map(tuple, found.result["stoppable"]["area"])) == [("east-1", 4, 4), ("east-2", 3, 3), ("west", 2, 2)]
    assert len(tried) == 1


def test_old_trials_of_a_pack_go_and_their_entries_in_the_log_stay(agency: Any) -> None:
    agency.put_packs_in_force(pack())
    server = Trials(agency.database, agency.keys.cipher, zone=agency.settings.zone(), clock=agency.clock)
    for _ in range(22):
        with agency.database.begin() as connection:
            ask_for_trial(
                connection, agency.keys.cipher, "SJZ-2017", 1, on=agency.now.date(), by="Zhao", now=agency.now
            )
            connection.execute(
                text(
                    "UPDATE pack_trials SET state = 'failed', ended_at = :now, asked_at = asked_at - interval '1 day'"
                ),
                {"now": agency.now},
            )
    with agency.database.begin() as connection:
        last = ask_for_trial(
            connection, agency.keys.cipher, "SJZ-2017", 1, on=agency.now.date(), by="Zhao", now=agency.now
        )
    server.go_on()
    server.wait(30)
    assert agency.rows("SELECT count(*) FROM pack_trials")[0][0] == 21
    assert agency.rows("SELECT state FROM pack_trials WHERE trial_id = :id", id=last)[0][0] == "done"


def test_two_servers_do_not_work_on_one_trial(agency: Any) -> None:
    agency.put_packs_in_force(pack())
    with agency.database.begin() as connection:
        ask_for_trial(connection, agency.keys.cipher, "SJZ-2017", 1, on=agency.now.date(), by="Zhao", now=agency.now)
    servers = [
        Trials(agency.database, agency.keys.cipher, zone=agency.settings.zone(), clock=agency.clock) for _ in range(3)
    ]
    for server in servers:
        server.go_on()
    for server in servers:
        server.wait(30)
    with agency.database.begin() as connection:
        assert [each.action for each in entries(connection)].count("rule_pack.what_if") == 1


def test_what_came_of_a_trial_is_exported_without_any_person(agency: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator")
    propose(client, pack())
    address = trial_of(client)
    answer = client.get(f"{address}/counts.csv")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert lines[0] == "cut,key,from,to,people"
    areas = [line.split(",") for line in lines if line.startswith("area,east-1,never")]
    assert sum(int(each[4]) for each in areas) == 4
    assert not any(person in answer.text for person in agency.people)


@pytest.mark.parametrize(
    ("role", "area", "status"),
    [
        ("viewer", None, 200),
        ("viewer", "east", 200),
        ("reviewer", "east", 200),
        ("auditor", None, 200),
    ],
)
def test_everybody_with_a_role_sees_the_packs(
    agency: Any, sign_in: Callable[..., Any], role: str, area: str | None, status: int
) -> None:
    agency.put_packs_in_force(pack())
    client = sign_in(role, area=area)
    for path in ("/rules", "/rules/packs/SJZ-2017/1", "/rules/people"):
        assert client.get(path).status_code == status


def test_only_who_may_proposes_tries_and_approves_and_a_trial_is_of_the_whole_fleet(
    agency: Any, sign_in: Callable[..., Any]
) -> None:
    boss = sign_in("fleet_administrator")
    propose(boss, pack())
    address = trial_of(boss)
    for client in (
        sign_in("auditor"),
        sign_in("reviewer"),
        sign_in("area_administrator", area="east"),
        sign_in("viewer"),
    ):
        assert client.get("/rules/propose").status_code == 403
        assert propose(client, pack()).status_code == 403
        assert client.send_form("/rules/packs/SJZ-2017/1/what-if").status_code == 403
        assert approve(client, address).status_code == 403
    assert sign_in("auditor").get(address).status_code == 200
    assert sign_in("viewer", area="east").get(address).status_code == 403
    assert boss.get("/rules/trials/0123456789abcdef").status_code == 404


def test_terminals_not_heard_of_since_a_pack_came_into_force_are_named(
    agency: Any, terminal: Any, sign_in: Callable[..., Any]
) -> None:
    agency.put_packs_in_force(pack())
    client = sign_in("viewer", area="east")
    assert f"/terminals/{terminal.terminal_id}" in client.get("/rules/packs/SJZ-2017/1").text
    assert terminal.terminal_id not in sign_in("viewer", area="west").get("/rules/packs/SJZ-2017/1").text
    with agency.database.begin() as connection:
        connection.execute(text("UPDATE terminals SET presence_received_at = :now"), {"now": agency.now})
    assert "All terminals of your areas were heard of" in client.get("/rules/packs/SJZ-2017/1").text


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_packs_in_a_browser(agency: Any, browse: Callable[..., Any], tmp_path: Path, language: str, width: int) -> None:
    agency.put_packs_in_force(pack())
    agency.rebuild()
    seen = browse("fleet_administrator", name="Zhao", language=language, width=width)
    page = seen.go("/rules")
    expect(page.locator("main td.number").first).to_be_visible()
    seen.check(f"rules-{language}-{width}")
    page.locator("a[href='/rules/propose']").click()
    page.wait_for_url("**/rules/propose")
    wrong = pack(version='"first"', valid_from='"soon"')
    page.fill("#f-text", wrong)
    page.locator("main form button").click()
    expect(page.locator("main [role=alert]")).to_be_visible()
    expect(page.locator("#f-text")).to_have_value(wrong)
    seen.check(f"rules-faults-{language}-{width}")
    file = tmp_path / "pack.toml"
    file.write_text(pack(version="2", valid_from="2026-11-01", closes='"11-30"'), encoding="utf-8")
    page.set_input_files("#f-file", file)
    page.locator("main form button").click()
    page.wait_for_url("**done=pack_proposed*")
    seen.check(f"rules-pack-{language}-{width}")
    page.locator("a[href$='what-if']").click()
    page.wait_for_url("**/what-if")
    seen.check(f"rules-asking-{language}-{width}")
    page.locator("main form button").click()
    page.wait_for_url("**/rules/trials/*")
    expect(page.locator("figure.chart").first).to_be_visible(timeout=30_000)
    seen.check(f"rules-trial-{language}-{width}")
    page.fill("#f-reason", "按通知")
    page.locator("form[action$=approve] button").click()
    page.wait_for_url("**done=pack_approved*")
    seen.go("/rules/packs/SJZ-2017/2/changes?since=1")
    seen.check(f"rules-changes-{language}-{width}")
