"""The first page, on the made-up agency."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from fleet.store.areas import area_names
from protocol.rules.obligations import CertificationState

pytestmark = pytest.mark.integration


@pytest.fixture
def office(agency: Any) -> Any:
    """The made-up agency in place of an empty fleet."""
    return agency


def figures(text: str) -> list[int]:
    return [int(found.replace(",", "")) for found in re.findall(r'<dd class="big">(?:<a[^>]*>)?([\d,]+)', text)]


def test_figures_are_those_of_the_database(office: Any, sign_in: Callable[..., Any]) -> None:
    text = sign_in("auditor").get("/").text
    certified, sessions, asked, cases, *_ = figures(text)
    (today,) = office.rows(
        "SELECT count(*) FILTER (WHERE outcome = 'certified') AS certified, count(*) AS sessions FROM records"
        " WHERE event_at >= date_trunc('day', timestamptz '2026-11-20 17:00+08' AT TIME ZONE 'Asia/Shanghai')"
        " AT TIME ZONE 'Asia/Shanghai'"
    )
    assert (certified, sessions) == (today.certified, today.sessions)
    assert sessions > 0
    (people,) = office.rows(
        "SELECT sum(people) AS asked FROM statistics_snapshot_rows WHERE scheme IS NULL"
        " AND day = (SELECT max(day) FROM statistics_snapshots) AND state <> 'certified'"
    )
    assert asked == people.asked
    (open_cases,) = office.rows("SELECT count(*) FROM cases WHERE state NOT IN ('passed', 'refused', 'closed')")
    assert cases == open_cases.count


def _by_state(text: str, address: str) -> Counter[str]:
    """Return the numbers that lead to a list of people, by its state."""
    found: Counter[str] = Counter()
    for state, shown in re.findall(rf'href="/people\?{address}state=(\w+)">(.*?)</a>', text, re.DOTALL):
        found[state] += int(re.findall(r"[\d,]+", re.sub(r"<[^>]+>", "", shown))[-1].replace(",", ""))
    return found


def test_the_areas_add_up_to_the_whole_and_the_states_to_who_is_to_come(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    text = sign_in("auditor").get("/").text
    whole, areas = _by_state(text, ""), _by_state(text, "area=[^&]+&amp;")
    assert whole == areas
    assert set(whole) == set(CertificationState)
    assert figures(text)[2] == whole.total() - whole["certified"]
    (late,) = office.rows("SELECT count(*) FROM statuses WHERE overdue <= '2026-11-20'")
    assert whole["overdue"] == late.count


def test_stops_are_counted_as_their_list_counts_them(office: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("reviewer")
    text = client.get("/").text
    frozen = re.findall(r'href="/stops\?stage=frozen">(.*?)</a>', text, re.DOTALL)
    assert len(frozen) == 1
    number = int(re.findall(r"\d+", re.sub(r"<[^>]+>", "", frozen[0]))[-1])
    listed = client.get("/stops?stage=frozen").text
    assert number == listed.partition("<tbody")[2].count("<tr") > 0
    assert "counted by benefit" in text


def test_somebody_of_one_area_sees_that_area_alone(office: Any, sign_in: Callable[..., Any]) -> None:
    (county,) = office.rows("SELECT code, name FROM areas WHERE level = 3 ORDER BY code LIMIT 1")
    (other,) = office.rows("SELECT code, name FROM areas WHERE level = 3 ORDER BY code DESC LIMIT 1")
    client = sign_in("viewer", area=county.code)
    text = client.get("/").text
    assert county.name in text
    assert other.name not in text
    assert sum(figures(text)[:2]) < sum(figures(sign_in("viewer").get("/").text)[:2])
    inside, outside = client.get(f"/?area={county.code}"), client.get(f"/?area={other.code}")
    assert (inside.status_code, outside.status_code) == (200, 404)
    assert outside.text.replace(other.code, "") == client.get("/?area=no-such-area").text.replace("no-such-area", "")
    assert client.get(f"/overview/areas/{other.code}").status_code == 404
    villages = client.get(f"/overview/areas/{county.code}").text
    assert villages.count("<li>") >= 1


def test_the_live_part_says_nothing_as_long_as_nothing_happened(office: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("auditor")
    seen = re.search(r"seen=(\w+)", client.get("/").text)
    assert seen is not None
    same = client.get(f"/overview/live?poll=1&seen={seen.group(1)}")
    assert (same.status_code, same.text) == (204, "")
    assert re.fullmatch(r"\d\d:\d\d:\d\d", same.headers["lifecert-time"])
    with office.database.begin() as connection:
        connection.exec_driver_sql("UPDATE cases SET due_on = '2020-01-01' WHERE state = 'opened'")
    assert client.get(f"/overview/live?poll=1&seen={seen.group(1)}").status_code == 200


def test_numbers_of_an_area_lead_to_the_lists_of_that_area(office: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("reviewer", name="counts")
    of_whole = client.get("/").text.partition('id="areas"')[0]
    (area,) = office.rows("SELECT code FROM areas WHERE level = 2 ORDER BY code LIMIT 1")
    text = client.get(f"/?area={area.code}").text.partition('id="areas"')[0]
    kinds = ("/people?", "/cases", "/stops", "/terminals")

    def links(page: str) -> list[str]:
        live = page.partition('id="live"')[2]
        return [html.unescape(link) for link in re.findall(r'href="([^"]+)"', live) if link.startswith(kinds)]

    pages = [{link.partition("?")[0] for link in links(page)} for page in (text, of_whole)]
    assert pages == [{"/people", "/cases", "/stops", "/terminals"}] * 2
    assert [link for link in links(text) if f"area={area.code}" not in link] == []
    assert [link for link in links(of_whole) if "area=" in link] == []
    counted = dict(re.findall(r'<a href="([^"]+)">(?:<span class="badge \w+"><span[^>]*>.</span> )?(\d+)', text))
    lists = {html.unescape(link): int(number) for link, number in counted.items()}
    asked = [
        f"/cases?area={area.code}",
        *(f"/cases?{each}&area={area.code}" for each in ("clock=late", "clock=soon", "kind=attack_alarm")),
        *(f"/stops?stage={each}&area={area.code}" for each in ("frozen", "to_carry_out")),
    ]
    for link in asked:
        rows = client.get(link).text.partition("<tbody")[2].count("<tr ")
        assert rows == lists[link] < 50, link
    assert lists[f"/cases?area={area.code}"] > 0
    assert lists[f"/stops?stage=frozen&area={area.code}"] > 0


def test_areas_of_one_name_are_told_apart_by_what_they_lie_in(office: Any, sign_in: Callable[..., Any]) -> None:
    rows = office.rows(
        "SELECT a.code, p.code AS above, p.name, g.name AS top FROM areas a JOIN areas p ON p.code = a.parent"
        " JOIN areas g ON g.code = p.parent WHERE a.level = 5 AND a.code IN (SELECT area FROM terminals) ORDER BY a.code"
    )
    one = rows[0]
    other = next(each for each in rows if each.top != one.top)
    with office.database.begin() as connection:
        rename = text("UPDATE areas SET name = :name WHERE code = :code")
        for code in (one.code, other.code):
            connection.execute(rename, {"code": code, "name": "王庄"})
        names = area_names(connection, [one.code, other.code])
        assert names == {one.code: f"{one.name} › 王庄", other.code: f"{other.name} › 王庄"}
        # What they lie in has one name, too, as every county has a town at its gate.
        for code in (one.above, other.above):
            connection.execute(rename, {"code": code, "name": "城关镇"})
        names = area_names(connection, [one.code, other.code, "no such"])
        assert names == {one.code: f"{one.top} › 城关镇 › 王庄", other.code: f"{other.top} › 城关镇 › 王庄"}
    for code, name in names.items():
        assert f">{name}<" in sign_in("viewer", name=f"reads {code}").get(f"/terminals?area={code}").text
        assert f">{name}<" in sign_in("operator", name=f"asks {code}").get(f"/people?area={code}").text
    figures_of = sign_in("viewer", name="figures").get("/figures?level=5").text
    assert all(name in figures_of for name in names.values())


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_the_overview_in_a_browser(office: Any, browse: Callable[..., Any], language: str, width: int) -> None:
    seen = browse("auditor", language=language, width=width)
    page = seen.go("/")
    for _ in range(3):
        page.locator(".tree details:not([open]) > summary").first.click()
        expect(page.locator(".tree details[open]").last.locator(".tree li").first).to_be_visible()
    seen.check()
    assert len(page.content()) <= 300_000
    page.locator(".tree .tree a[href^='/?area=']").first.click()
    expect(page.locator("nav[aria-label] >> text=›").first).to_be_visible()
    # A page takes the place of the page, not of the part that its link stood in.
    expect(page.locator("#live")).to_have_count(1)
    seen.check()
