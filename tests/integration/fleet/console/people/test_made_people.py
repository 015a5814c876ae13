"""The pages of people on the made-up agency: somebody of every kind, and lists that other pages link to."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from fleet.people.finding import Search, count_people
from fleet.store.people import StopState
from protocol.rules.obligations import CertificationState

pytestmark = pytest.mark.integration
_UNSAID = re.compile(r">\s*(?:[a-z]+_[a-z_]+|benefit\.\w+|case\.\w+|reminder\.\w+|approval[.\w]*|None|–（–）)\s*<")
"""A code that no text says."""


@pytest.fixture(scope="module")
def office(module_agency: Any) -> Any:
    """The made-up agency in place of an empty fleet; tests here only look at it."""
    return module_agency


@pytest.fixture(scope="module")
def web(module_web: httpx.Client) -> httpx.Client:
    """Its console."""
    return module_web


def test_the_page_of_somebody_of_every_kind_is_made_and_says_no_code(office: Any, sign_in: Callable[..., Any]) -> None:
    # As lists write them: an agency's own words.
    own = {f">{row.category}<" for row in office.rows("SELECT DISTINCT category FROM benefits")}
    for language in ("zh", "en"):
        client = sign_in("reviewer", language=language)
        for what, subject_id in office.index.people.items():
            answer = client.get(f"/people/{subject_id}")
            assert answer.status_code == 200, what
            assert len(answer.content) < 300 * 1024, what
            assert set(_UNSAID.findall(answer.text)) <= own, (what, language)
            text = answer.text
            while address := re.findall(r'hx-get="(/people/[0-9a-f]+/older[^"]*)"', text):
                text = client.get(address[0].replace("&amp;", "&"), headers={"HX-Request": "true"}).text
                assert set(_UNSAID.findall(text)) <= own, (what, language)


def test_stops_stand_with_their_months_and_their_page(office: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("reviewer")
    paused = client.get(f"/people/{office.index.people['paused']}").text
    assert re.search(r'href="/stops/[0-9a-f]{32}\?scheme=', paused)
    assert "paused" in paused
    assert "paid back" in client.get(f"/people/{office.index.people['restored']}").text
    assert "stops held by a case" in client.get(f"/people/{office.index.people['frozen']}").text


@pytest.mark.parametrize("state", list(CertificationState))
def test_a_list_of_a_state_has_nobody_of_another(
    office: Any, sign_in: Callable[..., Any], state: CertificationState
) -> None:
    text = sign_in("auditor").get("/people", params={"state": state.value}).text
    rows = re.findall(r"<tr[^>]*>\s*<th scope=\"row\"[^>]*>.*?</tr>", text, re.DOTALL)
    assert rows
    word = {"never_certified": "never certified", "due": "to come in this period", "expiring": "runs out soon"}
    assert all(word.get(state, state.value) in row for row in rows)


@pytest.mark.parametrize("stop", list(StopState))
def test_people_with_stops_are_listed_and_counted(office: Any, sign_in: Callable[..., Any], stop: StopState) -> None:
    text = sign_in("auditor").get("/people", params={"stop": stop.value}).text
    with office.database.begin() as connection:
        today = office.now.astimezone(office.settings.zone()).date()
        count = count_people(connection, office.keys, Search(stop=stop), tops=None, today=today)
    assert f"{count.people:,} people" in text
    assert count.people > 0


def test_more_people_than_are_counted_are_told_so(office: Any, sign_in: Callable[..., Any]) -> None:
    assert "more than 1,000 people" in sign_in("auditor").get("/people").text


def test_an_area_sees_its_own_people_only(office: Any, sign_in: Callable[..., Any]) -> None:
    area = office.index.others["area"]
    client = sign_in("operator", area=area)
    listed = set(re.findall(r'href="/people/([0-9a-f]{32})"', client.get("/people").text))
    assert listed
    belonging = {
        row.subject_id for row in office.rows("SELECT subject_id FROM subject_areas WHERE area = :area", area=area)
    }
    assert listed <= belonging
    elsewhere = office.rows("SELECT subject_id FROM subject_areas WHERE area <> :area ORDER BY 1 LIMIT 20", area=area)
    for row in elsewhere:
        expected = 200 if row.subject_id in belonging else 404
        assert client.get(f"/people/{row.subject_id}").status_code == expected
