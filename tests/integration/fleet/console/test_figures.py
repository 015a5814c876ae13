"""The pages of figures: the numbers of the functions, of the visitor's areas alone."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zipfile import ZipFile

import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from fleet.statistics import reading
from fleet.statistics.counts import Cut, Question, count
from fleet.statistics.snapshots import take_snapshot
from fleet.store.areas import Area, save_areas
from protocol.outcomes import Outcome

pytestmark = pytest.mark.integration
AREAS = [
    Area("1", None, 1, "北省"),
    Area("11", "1", 2, "中市"),
    Area("111", "11", 3, "东县"),
    Area("112", "11", 3, "西县"),
    Area("1111", "111", 4, "河镇"),
    Area("11111", "1111", 5, "柳村"),
    Area("11112", "1111", 5, "桥村"),
]


@pytest.fixture
def county(office: Any, terminal: Any) -> Any:
    """Nine people in a tree of areas; two of a village came, one of them twice."""
    with office.database.begin() as connection:
        save_areas(connection, AREAS)
    for number, area in enumerate(("11111", "11112", "112")):
        office.import_people(number + 2, area=area, first=100 * number + 1)
    office.list_since("2020-01-01")
    office.rebuild()
    office.hold_references()
    people = list(office.people)
    for day, person, outcome in ((1, 0, Outcome.CERTIFIED), (2, 2, Outcome.CERTIFIED), (3, 0, Outcome.POOR_SAMPLE)):
        at = datetime(2026, 11, 10 + day, 3, tzinfo=UTC)
        subject = people[person]
        office.send(terminal, terminal.next(subject_id=subject, token=office.people[subject], at=at, outcome=outcome))
    return office


def snap(office: Any, moment: datetime | None = None) -> None:
    at = moment or office.now
    assert take_snapshot(office.database, keep_days=400, zone=office.settings.zone(), now=at)


def table(page: str, number: int = 0) -> list[list[str]]:
    """Return the cells of a table of a page that is no chart's."""
    whole = re.sub(r"<figure.*?</figure>", "", page, flags=re.DOTALL)
    body = re.findall(r"<table\b[^>]*>(.*?)</table>", whole, flags=re.DOTALL)[number]
    return [
        [
            re.sub(r"<[^>]*>", "", cell).strip()
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.DOTALL)
        ]
        for row in re.findall(r"<tr\b[^>]*>(.*?)</tr>", body, flags=re.DOTALL)
    ]


def by_name(page: str) -> dict[str, dict[str, str]]:
    head, *rows = table(page)
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


@pytest.mark.parametrize("by", list(Cut))
def test_every_number_of_the_page_is_that_of_the_function(county: Any, sign_in: Callable[..., Any], by: Cut) -> None:
    day = date(2026, 11, 20)
    since = day - timedelta(days=29) if by in (Cut.DAY, Cut.DEVICE) else date(2026, 1, 1)
    with county.database.begin() as connection:
        answer = count(connection, Question(by, day, since, 3), zone=county.settings.zone())
    page = sign_in("viewer").get("/figures", params={"by": by.value, "level": "3"})
    assert page.status_code == 200
    shown = [list(row.values()) for row in by_name(page.text).values()]
    expected = []
    for line in answer.lines:
        numbers = [] if by is Cut.STATE else [str(line.counts.get(column, 0)) for column in answer.columns]
        asked = [] if line.asked is None else [str(line.asked), str(line.done), f"{100 * (line.coverage or 0):.1f} %"]
        expected.append([*numbers, str(line.total), *asked])
    assert shown == expected
    assert "Counted at" in page.text


def test_an_area_leads_to_those_below_it_and_a_number_to_its_people(county: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("operator")
    page = client.get("/figures")
    assert list(by_name(page.text)) == ["东县", "西县"], "the highest level of which there are several areas"
    assert by_name(page.text)["东县"]["certified"] == "2"
    assert 'href="/people?area=111&amp;state=certified"' in page.text
    assert 'href="/people?area=112"' in page.text
    further = re.search(r'href="(/figures\?[^"]*area=111[^"]*)"', page.text)
    assert further is not None
    below = client.get(further[1].replace("&amp;", "&"))
    assert list(by_name(below.text)) == ["河镇"]
    assert 'aria-current="location">东县' in below.text
    villages = client.get("/figures?by=area&area=1111").text
    assert {name: row["People"] for name, row in by_name(villages).items()} == {"柳村": "2", "桥村": "3"}
    assert 'href="/people?' not in sign_in("viewer").get("/figures").text, "who may not see people is shown no list"


def test_a_visitor_counts_the_people_of_their_areas_alone(county: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("area_administrator", area="1111")
    assert {name: row["People"] for name, row in by_name(client.get("/figures").text).items()} == {
        "柳村": "2",
        "桥村": "3",
    }
    for by in Cut:
        page = client.get("/figures", params={"by": by.value, "level": "1", "live": "1"}).text
        total = sum(int(row.get("People", row.get("Sessions", "0"))) for row in by_name(page).values())
        assert total == (3 if by in (Cut.DAY, Cut.DEVICE) else 5)
        assert "西县" not in page
    for outside in ("112", "111", "nowhere"):
        answer = client.get("/figures", params={"area": outside})
        assert answer.status_code == 404
        assert answer.text == client.get("/figures", params={"area": "nowhere"}).text
    assert client.get("/figures/export/csv", params={"area": "112"}).status_code == 404
    snap(county)
    assert sum(int(row["People"]) for row in by_name(client.get("/figures?by=scheme").text).values()) == 5


def test_many_people_are_shown_from_the_snapshot_until_the_newest_count_is_asked_for(
    county: Any, sign_in: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "QUICK_PEOPLE", 3)
    snap(county)
    county.import_people(1, area="112", first=900)
    county.rebuild()
    client = sign_in("viewer")
    page = client.get("/figures").text
    assert "From the snapshot of 2026-11-20 17:00" in page
    assert by_name(page)["西县"]["People"] == "4"
    assert by_name(client.get("/figures?live=1").text)["西县"]["People"] == "5"
    assert "Counted at" in client.get("/figures?area=11111&level=5").text, "few are counted at once"
    waiting = client.get("/figures?by=age").text
    assert "Snapshots have no such counts" in waiting
    assert "<table" not in waiting
    assert sum(int(row["People"]) for row in by_name(client.get("/figures?by=age&live=1").text).values()) == 10
    assert "a long span" in client.get("/figures?by=day&since=2026-01-01").text
    assert "Counted at" in client.get("/figures?by=day&since=2026-01-01&live=1").text
    assert "still to come" in client.get("/figures?as_of=2027-01-01").text
    assert "no snapshot of this day" in client.get("/figures?as_of=2026-11-19&since=2026-11-01").text


def test_two_days_are_compared_by_their_snapshots(county: Any, sign_in: Callable[..., Any]) -> None:
    snap(county)
    county.import_people(2, area="112", first=900)
    county.rebuild()
    county.now += timedelta(days=1)
    snap(county)
    page = sign_in("viewer").get("/figures", params={"earlier": "2026-11-20"}).text
    assert "Changes since 2026-11-20" in page
    rows = {row[0]: row[1:] for row in table(page, 1)}
    assert rows["西县"][:2] == ["4", "6"]
    assert sum(int(change) for change in rows["西县"][2:]) == 2
    assert rows["东县"] == ["5", "5", "0", "0", "0", "0", "0"]
    assert "no snapshot to compare with" in sign_in("viewer").get("/figures?by=age&earlier=2026-11-20").text
    assert "no snapshot to compare with" in sign_in("viewer").get("/figures?earlier=2026-11-21").text


def test_a_file_has_the_numbers_of_the_page(county: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("viewer", area="111")
    answer = client.get("/figures/export/csv", params={"by": "area", "level": "5"})
    assert answer.headers["content-disposition"] == 'attachment; filename="figures-area-2026-11-20.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert {row["name"]: row["people"] for row in rows} == {"柳村": "2", "桥村": "3"}
    book = client.get("/figures/export/xlsx", params={"by": "state"})
    assert "xl/workbook.xml" in ZipFile(io.BytesIO(book.content)).namelist()
    assert client.get("/figures/export/pdf").status_code == 404
    wrong = client.get("/figures/export/csv", params={"by": "colour"})
    assert (wrong.status_code, wrong.headers["location"]) == (303, "/figures?by=colour")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"by": "colour"}, "no such kind of count"),
        ({"level": "6"}, "no such level"),
        ({"level": "²"}, "no such level"),
        ({"scheme": "<script>"}, "no such scheme"),
        ({"as_of": "20.11.2026"}, "year-month-day"),
        ({"since": "2026-12-01"}, "begins after"),
        ({"earlier": "yesterday"}, "year-month-day"),
    ],
)
def test_what_cannot_be_used_is_said_and_nothing_is_counted(
    county: Any, sign_in: Callable[..., Any], asked: dict[str, str], sentence: str
) -> None:
    answer = sign_in("viewer").get("/figures", params=asked)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert "<table" not in answer.text
    assert "<script>" not in answer.text.replace("<script src", "")


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_the_statistics_can_be_read_by_everybody(
    county: Any, browse: Callable[..., Any], language: str, width: int
) -> None:
    with county.database.begin() as connection:
        connection.execute(text("UPDATE subjects SET birth_date = DATE '1940-02-29'"))
    snap(county, county.now - timedelta(days=1))
    seen = browse("operator", language=language, width=width)
    page = seen.go("/figures?earlier=2026-11-19")
    expect(page.locator("figure img").first).to_be_visible()
    seen.check(f"figures-{language}-{width}")
    seen.unfold()
    page.get_by_role("combobox").first.select_option("day")
    expect(page.get_by_role("rowheader", name="2026-11-13").last).to_be_visible()
    expect(page).to_have_url(re.compile("by=day"))
    seen.check(f"figures-day-{language}-{width}")
    seen.unfold()
    page.get_by_role("combobox").first.select_option("age")
    expect(page.get_by_role("rowheader", name=re.compile("85–89")).last).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("CSV")).click()
    assert download.value.suggested_filename == "figures-age-2026-11-20.csv"
