"""The calendar of rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from fleet.store.areas import Area, save_areas
from protocol.shipped_packs import shipped_text

pytestmark = pytest.mark.integration


@pytest.fixture
def agency(office: Any) -> Any:
    """People of two areas with days in December, and a pack of the east."""
    with office.database.begin() as connection:
        save_areas(
            connection, [Area("top", None, 1, "省"), Area("east", "top", 2, "东区"), Area("west", "top", 2, "西区")]
        )
    office.import_people(5, area="east")
    office.import_people(2, area="west", first=20)
    written = shipped_text("SJZ-2017").replace('region = "1301"', 'region = "east"')
    written = re.sub(r"schemes = \[[^]]*\]", 'schemes = ["work"]', written, count=1)
    office.put_packs_in_force(written)
    with office.database.begin() as connection:
        connection.execute(
            text(
                "UPDATE statuses SET due = CASE WHEN s.area = 'east' THEN DATE '2026-12-10' ELSE DATE '2026-12-11' END,"
                " stop_from = DATE '2027-01-04' FROM subjects s WHERE s.subject_id = statuses.subject_id"
            )
        )
        connection.execute(
            text(
                "INSERT INTO reminders (reminder_id, subject_id, kind, occasion, step, state, priority, not_before, planned_at)"
                " SELECT subject_id, subject_id, 'due', DATE '2026-12-10', 'message', 'pending', 1, :now, :now FROM subjects"
            ),
            {"now": office.now},
        )
    return office


def test_a_month_shows_the_last_days_of_the_visitors_people_and_the_days_of_packs(
    agency: Any, sign_in: Callable[..., Any]
) -> None:
    page = sign_in("viewer", area="east").get("/rules/calendar?month=2026-12").text
    assert "last day of 5" in page
    assert "last day of 2" not in page
    assert "stops may be proposed" in page
    page = sign_in("viewer").get("/rules/calendar?month=2026-12").text
    assert "last day of 5" in page
    assert "last day of 2" in page
    assert "7 may be stopped" in sign_in("viewer").get("/rules/calendar?month=2027-01").text


def test_packs_of_other_areas_are_not_in_the_calendar(agency: Any, sign_in: Callable[..., Any]) -> None:
    assert "/rules/packs/SJZ-2017/1" in sign_in("viewer", area="east").get("/rules/calendar").text
    assert "/rules/packs/SJZ-2017/1" in sign_in("viewer", area="top").get("/rules/calendar").text
    assert "/rules/packs/SJZ-2017/1" not in sign_in("viewer", area="west").get("/rules/calendar").text


def test_the_weeks_ahead_and_what_waits_are_counted(agency: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in("viewer", area="east").get("/rules/calendar/ahead").text
    assert re.search(r'<th scope="row"[^>]*>12-07</th>\s*<td[^>]*>5</td><td[^>]*>0</td>', page)
    assert re.search(r'<th scope="row"[^>]*>01-04</th>\s*<td[^>]*>0</td><td[^>]*>5</td>', page)
    assert re.search(r'to come in this period</th><td[^>]*>message</td><td class="number"[^>]*>5</td>', page)


@pytest.mark.parametrize("written", ["", "soon", "9999-12", "2026-13", "0001-01"])
def test_what_is_no_month_or_too_far_away_is_the_present_one(
    agency: Any, sign_in: Callable[..., Any], written: str
) -> None:
    answer = sign_in("viewer").get("/rules/calendar", params={"month": written})
    assert answer.status_code == 200
    assert "Calendar of 2026-11" in answer.text


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_the_calendar_in_a_browser(agency: Any, browse: Callable[..., Any], language: str, width: int) -> None:
    seen = browse("viewer", area="east", language=language, width=width)
    page = seen.go("/rules/calendar")
    page.locator("nav.pager a[rel=next]").click()
    page.wait_for_url("**month=2026-12")
    expect(page.locator("figure.chart")).to_be_visible()
    seen.check(f"calendar-{language}-{width}")
