"""Visits at home from the browser: asked for, planned several at once, made or not; the file of special persons and its round."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from fleet.audit.log import entries
from fleet.cases.opening import Registry
from fleet.cases.visits import VisitRequest, mark, plan, request_visit
from fleet.web.pages import cases_special

pytestmark = pytest.mark.integration
DAY = "2026-11-23"


def desk(office: Any) -> Registry:
    return Registry(office.keys.cipher, office.settings.zone())


def asked(office: Any, subject_id: str, place: str = "3 Spring Lane") -> str:
    with office.database.begin() as connection:
        request = VisitRequest(subject_id, "bedridden", place)
        return request_visit(connection, desk(office), request, by="Wu", now=office.now)


def put_in(office: Any, subject_id: str) -> None:
    with office.database.begin() as connection:
        request = VisitRequest(subject_id, "bedridden", "3 Spring Lane")
        mark(connection, desk(office), request, review_on=date(2027, 5, 1), by="Wu", now=office.now)


def visits(office: Any) -> list[Any]:
    return list(office.rows("SELECT case_id, subject_id, planned_on, planned_for, state FROM cases ORDER BY case_id"))


def actions(office: Any) -> list[str]:
    with office.database.begin() as connection:
        return [entry.action for entry in entries(connection)]


def test_r4_14_a_visit_is_asked_for_once_and_only_for_somebody_of_ones_areas(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    office.import_people(1)
    (subject_id,) = office.people
    form = {"who": subject_id, "reason": "bedridden", "place": "3 Spring Lane"}
    wu = sign_in("operator", area="east", name="Wu")
    for wrong, sentence in (
        ({"reason": "rain"}, "Choose a reason"),
        ({"place": " "}, "1 to 2000 characters"),
        ({"place": "x" * 5000}, "1 to 2000 characters"),
        ({"who": "nobody"}, "Nobody within your areas"),
    ):
        refused = wu.send_form("/cases/visits/new", {**form, **wrong})
        assert (refused.status_code, sentence in refused.text) == (422, True), wrong
    assert visits(office) == []
    elsewhere = sign_in("operator", area="west").send_form("/cases/visits/new", form)
    assert (elsewhere.status_code, "Nobody within your areas" in elsewhere.text) == (422, True)
    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(lambda _: wu.send_form("/cases/visits/new", form), range(2)))
    assert sorted(each.status_code for each in answers) == [303, 409]
    (case,) = visits(office)
    assert case.subject_id == subject_id
    again = next(each for each in answers if each.status_code == 409)
    assert "(case 2026-000001)" in again.text
    assert "3 Spring Lane" in again.text


def test_visits_are_listed_by_area_and_planned_all_at_once_or_none(
    office: Any, terminal: Any, sign_in: Callable[..., Any]
) -> None:
    office.import_people(2)
    office.import_people(1, area="west", first=7)
    *east, west = (asked(office, subject_id) for subject_id in office.people)
    wu = sign_in("operator", area="east", name="Wu")
    shown = wu.get("/cases/visits").text
    assert (shown.count('name="case"'), "甲7" in shown) == (2, False)
    assert wu.get("/cases/visits?area=west").status_code == 404
    form = {"case": east, "worker": terminal.terminal_id, "day": DAY}
    for wrong, status in (
        ({"worker": "nobody"}, 422),
        ({"day": "2026-11-01"}, 422),
        ({"day": "x"}, 422),
        ({"case": []}, 422),
        ({"case": [*east, west]}, 404),
        ({"case": [*east, "nobody"]}, 404),
    ):
        assert wu.send_form("/cases/visits/plan", {**form, **wrong}).status_code == status, wrong
    kept = wu.send_form("/cases/visits/plan", {**form, "worker": "nobody"}).text
    assert kept.count("checked") == 2
    assert 'value="nobody"' in kept
    assert [each.planned_on for each in visits(office)] == [None] * 3
    assert wu.send_form("/cases/visits/plan", form).headers["location"].endswith("done=visits_planned")
    assert {each.case_id for each in visits(office) if each.planned_on == date(2026, 11, 23)} == set(east)
    assert wu.get("/cases/visits?planned=no").text.count('name="case"') == 0
    assert wu.get("/cases/visits?planned=yes").text.count('name="case"') == 2
    sheet = wu.send_form("/cases/visits", {"worker": terminal.terminal_id, "day": DAY}).text
    assert (sheet.count("3 Spring Lane"), sheet.count("2026-00000")) == (2, 2)
    assert {"visits.looked_at", "visits.listed", "visit.planned"} <= set(actions(office))


def test_nobody_met_is_written_down_once_and_the_visit_waits_for_another_day(
    office: Any, terminal: Any, sign_in: Callable[..., Any]
) -> None:
    office.import_people(1)
    case_id = asked(office, next(iter(office.people)))
    day = date(2026, 11, 23)
    plan(office.database, desk(office), case_id, day=day, worker=terminal.terminal_id, by="Wu", now=office.now)
    path, form = f"/cases/visits/{case_id}/not-met", {"planned_on": DAY, "note": "the door was locked"}
    early = sign_in("operator", area="east").send_form(path, form)
    assert (early.status_code, "still to come" in early.text) == (422, True)
    office.now += timedelta(days=3)
    wu = sign_in("operator", area="east", name="Wu")
    assert "Nobody met" in wu.get("/cases/visits").text
    assert wu.send_form(path, {**form, "note": " "}).status_code == 422
    assert wu.send_form(path, {**form, "planned_on": "x"}).status_code == 422
    assert sign_in("operator", area="west").send_form(path, form).status_code == 404
    assert wu.send_form(path, form).headers["location"].endswith("done=visit_not_met")
    again = wu.send_form(path, form)
    assert (again.status_code, "written down already" in again.text) == (409, True)
    (case,) = visits(office)
    assert (case.planned_on, case.planned_for, case.state) == (None, None, "opened")
    assert "1 time nobody was met" in wu.get("/cases/visits").text
    history = wu.get(f"/cases/{case_id}").text
    assert "nobody was met at a visit" in history
    assert "the door was locked" in history
    assert actions(office).count("visit.not_met") == 1


def test_r6_9_special_persons_are_put_in_looked_at_and_taken_out(office: Any, sign_in: Callable[..., Any]) -> None:
    office.import_people(1)
    (subject_id,) = office.people
    wu = sign_in("operator", area="east", name="Wu")
    form = {"who": subject_id, "reason": "bedridden", "place": "3 Spring Lane", "review_on": "2027-05-01"}
    for wrong, sentence in (
        ({"review_on": "2026-11-20"}, "A day after today"),
        ({"review_on": "x"}, "A day after today"),
        ({"reason": ""}, "Choose a reason"),
        ({"place": ""}, "1 to 2000 characters"),
        ({"who": "nobody"}, "Nobody within your areas"),
    ):
        refused = wu.send_form("/cases/visits/special", {**form, **wrong})
        assert (refused.status_code, sentence in refused.text) == (422, True), wrong
    west = sign_in("operator", area="west")
    assert "Nobody within your areas" in west.send_form("/cases/visits/special", form).text
    for _ in range(2):
        assert wu.send_form("/cases/visits/special", form).status_code == 303
    assert "甲1" in wu.get("/cases/visits/special").text
    assert "3 Spring Lane" not in wu.get("/cases/visits/special").text
    assert "甲1" not in west.get("/cases/visits/special").text
    remove = f"/cases/visits/special/{subject_id}/remove"
    assert west.send_form(remove).status_code == 404
    assert wu.send_form(remove).headers["location"].endswith("done=special_unmarked")
    assert wu.send_form(remove).status_code == 409
    assert "Nobody here is in the file" in wu.get("/cases/visits/special").text


def test_r6_9_a_round_asks_for_a_visit_to_whoever_is_to_certify_and_has_none(
    office: Any, sign_in: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases_special, "MOST_AT_ONCE", 2)
    office.list_since("2025-01-01")
    office.import_people(3)
    office.import_people(1, area="west", first=7)
    office.list_since("2025-01-01")
    office.rebuild()
    for subject_id in office.people:
        put_in(office, subject_id)
    wu = sign_in("operator", area="east", name="Wu")
    assert wu.send_form("/cases/visits/round", {"until": ""}).status_code == 422
    assert wu.send_form("/cases/visits/round", {"until": "2030-01-01", "area": "west"}).status_code == 404
    with ThreadPoolExecutor(2) as both:
        form = {"until": "2030-01-01", "area": "east"}
        answers = list(both.map(lambda _: wu.send_form("/cases/visits/round", form), range(2)))
    assert [each.status_code for each in answers] == [303, 303]
    wu.send_form("/cases/visits/round", form)
    assert wu.send_form("/cases/visits/round", form).headers["location"].endswith("done=round_none")
    wanted = set(list(office.people)[:3])
    assert sorted(each.subject_id for each in visits(office)) == sorted(wanted)
    assert wu.get("/cases/visits/special").text.count("asked for") >= 3


def test_an_asked_visit_is_kept_over_a_session_that_was_over(office: Any, person: Callable[..., Any]) -> None:
    office.import_people(1)
    wang = person("王芳")
    wang.set_up()
    page = wang.client.get("/cases/visits/new")
    office.now += timedelta(hours=9)
    typed = {"who": next(iter(office.people)), "reason": "bedridden", "place": "3 Spring Lane"}
    shown = wang.sign_in(wang.send("/cases/visits/new", page, **typed))
    assert re.search(r"<dt>Where to go</dt><dd>3 Spring Lane</dd>", shown.text)
    assert wang.send("/cases/visits/new", shown).headers["location"].endswith("done=visit_asked")


@pytest.mark.browser
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [1366, 390])
def test_visits_in_a_browser(office: Any, terminal: Any, browse: Callable[..., Any], language: str, width: int) -> None:
    office.import_people(3)
    first, second, third = office.people
    plan(
        office.database,
        desk(office),
        asked(office, first),
        day=office.now.date(),
        worker=terminal.terminal_id,
        by="Wu",
        now=office.now,
    )
    asked(office, second)
    put_in(office, third)
    seen = browse("operator", area="east", language=language, width=width)
    page = seen.go("/cases/visits")
    seen.check(f"visits-{language}-{width}")
    page.check("tbody input[type=checkbox] >> nth=0")
    page.check("tbody input[type=checkbox] >> nth=1")
    page.fill("#f-plan-worker", terminal.terminal_id)
    page.fill("#f-plan-day", DAY)
    page.click("#f-plan button")
    expect(page.locator(".notice.good")).to_be_visible()
    page.fill("#f-sheet-worker", terminal.terminal_id)
    page.fill("#f-sheet-day", DAY)
    page.click("form[action='/cases/visits'][method=post] button")
    expect(page.locator("h1")).to_contain_text(DAY)
    expect(page.locator("tbody tr")).to_have_count(2)
    seen.check(f"visits-sheet-{language}-{width}")
    page.emulate_media(media="print")
    expect(page.locator(".top")).to_be_hidden()
    page.emulate_media(media="screen")
    seen.go("/cases/visits/new")
    seen.check(f"visits-new-{language}-{width}")
    seen.go("/cases/visits/special")
    seen.check(f"visits-special-{language}-{width}")
