"""The queue of cases, on the made-up agency."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.integration
OPEN = "state NOT IN ('passed', 'refused', 'closed')"


@pytest.fixture
def office(agency: Any) -> Any:
    """The made-up agency in place of an empty fleet."""
    return agency


def all_ids(client: Any, address: str) -> list[str]:
    """Every case of a list, page by page."""
    found: list[str] = []
    while True:
        text = client.get(address).text
        found += re.findall(r'<th scope="row"><a href="/cases/([^"]+)"', text)
        if 'rel="next"' not in text:
            return found
        address = text.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")


def test_every_open_case_is_on_one_page_the_late_ones_first(office: Any, sign_in: Callable[..., Any]) -> None:
    wanted = [row.case_id for row in office.rows(f"SELECT case_id FROM cases WHERE {OPEN} ORDER BY due_on, case_id")]
    client = sign_in("auditor")
    assert all_ids(client, "/cases") == wanted
    over = office.rows(f"SELECT case_id FROM cases WHERE NOT {OPEN} ORDER BY due_on DESC, case_id DESC")
    assert all_ids(client, "/cases?show=over") == [row.case_id for row in over]
    late = office.rows(f"SELECT case_id FROM cases WHERE {OPEN} AND due_on < '2026-11-20'")
    assert set(all_ids(client, "/cases?clock=late")) == {row.case_id for row in late}
    assert late
    assert f'href="/cases?clock=late">{len(late):,}</a>' in client.get("/cases").text


def test_a_queue_has_people_of_the_visitors_areas_alone(office: Any, sign_in: Callable[..., Any]) -> None:
    (row,) = office.rows(
        f"SELECT a.area FROM cases c JOIN subject_areas a USING (subject_id) WHERE {OPEN} ORDER BY a.area LIMIT 1"
    )
    theirs = office.rows(
        f"SELECT DISTINCT case_id FROM cases c JOIN subject_areas a USING (subject_id) WHERE {OPEN} AND a.area = :area",
        area=row.area,
    )
    client = sign_in("reviewer", area=row.area)
    assert set(all_ids(client, "/cases")) == {each.case_id for each in theirs}
    assert client.get("/cases", params={"area": "nowhere"}).status_code == 404
    nobody = {each.case_id for each in office.rows(f"SELECT case_id FROM cases WHERE {OPEN} AND subject_id IS NULL")}
    assert nobody <= set(all_ids(sign_in("reviewer"), "/cases"))


def test_mine_are_those_that_a_reviewer_may_decide_now(office: Any, sign_in: Callable[..., Any]) -> None:
    ready = "('evidence_complete', 'in_review', 'disagreed')"
    wanted = {row.case_id for row in office.rows(f"SELECT case_id FROM cases WHERE state IN {ready}")}
    assert set(all_ids(sign_in("reviewer"), "/cases?show=mine")) == wanted
    assert all_ids(sign_in("auditor"), "/cases?show=mine") == []
    second = office.rows(
        "SELECT case_id FROM cases c WHERE state IN ('in_review', 'disagreed') AND EXISTS (SELECT 1 FROM case_events e"
        " WHERE e.case_id = c.case_id AND e.step = 'verdict')"
    )
    assert {row.case_id for row in second} >= set(all_ids(sign_in("reviewer"), "/cases?show=second"))
    assert office.index.cases["reviewed_once"] in all_ids(sign_in("reviewer"), "/cases?show=second")


@pytest.mark.browser
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [1366, 390])
def test_the_queue_in_a_browser(office: Any, browse: Callable[..., Any], language: str, width: int) -> None:
    seen = browse("reviewer", language=language, width=width)
    page = seen.go("/cases?clock=late")
    expect(page.locator("tbody .badge.bad").first).to_be_visible()
    seen.check(f"cases-{language}-{width}")
    assert len(page.content()) <= 300_000
