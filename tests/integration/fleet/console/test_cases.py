"""The pages of cases: the queue, a case decided by two people, its pictures, what is refused."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from sqlalchemy import text

from fleet.cases.catalogue import catalogue
from fleet.cases.desk import Request, open_request
from fleet.cases.files import Role, add_file, check_content, rules_of_case
from fleet.cases.machine import Kind
from fleet.cases.opening import Registry
from fleet.cases.scans import pages_of
from fleet.cases.visits import VisitRequest, request_visit
from fleet.cases.watermark import chinese_font, marked
from protocol.documents import check_digit
from protocol.envelope import seal
from protocol.outcomes import Outcome
from tests.pdfs import scan

pytestmark = pytest.mark.integration


def jpeg(seed: int, size: tuple[int, int] = (800, 600)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=60)
    return out.getvalue()


@pytest.fixture
def office(database: Any, make_office: Callable[..., Any], feature_program: tuple[str, ...]) -> Any:
    """A fleet whose program for faces is the one of the tests."""
    return make_office(database, references={"command": feature_program})


@pytest.fixture
def appeal(office: Any, terminal: Any) -> str:
    """An appeal of somebody in the east; its terminal is there, too."""
    office.import_people(1, name="甲<script>")
    ((subject_id, token),) = office.people.items()
    at = office.now - timedelta(days=2)
    office.send(terminal, terminal.next(outcome=Outcome.REVIEW, subject_id=subject_id, token=token, at=at))
    return str(office.rows("SELECT case_id FROM cases WHERE kind = 'appeal'")[0].case_id)


@pytest.fixture
def special(office: Any) -> str:
    """A special certification with both its photographs, taken in by Wu."""
    office.import_people(1)
    desk = Registry(office.keys.cipher, office.settings.zone())
    reason = catalogue().opened_for[Kind.SPECIAL][0]
    asked = Request(Kind.SPECIAL, next(iter(office.people)), reason, seen_on=office.now.date())
    with office.database.begin() as connection:
        case_id = open_request(connection, desk, asked, by="Wu", now=office.now)
    rules = rules_of_case(office.database, case_id)
    for seed, role in enumerate((Role.IDENTITY_CARD, Role.WITH_NEWSPAPER)):
        checked = check_content(role, jpeg(seed), role, rules, None)
        add_file(office.database, office.keys, desk, case_id, role, checked, by="Wu", now=office.now)
    return case_id


def version(page: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', page)
    assert found is not None
    return found[1]


def decide(client: Any, case_id: str, said: str = "passed:person_and_alive", **fields: str) -> Any:
    client.send_form(f"/cases/{case_id}/take-up")
    typed = {"said": said, "version": version(client.get(f"/cases/{case_id}").text), **fields}
    return client.send_form(f"/cases/{case_id}/decide", typed)


def test_two_reviewers_decide_and_neither_sees_the_other_before(
    office: Any, appeal: str, sign_in: Callable[..., Any]
) -> None:
    an, bo = sign_in("reviewer", area="east", name="An"), sign_in("reviewer", area="east", name="Bo")
    assert "a first reviewer" in an.get("/cases").text
    assert decide(an, appeal, note="a remark <script>").headers["location"].endswith("done=case_said")
    assert "a remark &lt;script&gt;" in an.get(f"/cases/{appeal}").text
    seen = bo.get(f"/cases/{appeal}").text
    assert "not shown before you gave your own word" in seen
    assert "a remark" not in seen
    assert "a second person" in bo.get("/cases", params={"duty": "begun"}).text
    assert f"/cases/{appeal}" not in an.get("/cases", params={"duty": "mine"}).text
    assert decide(bo, appeal).headers["location"].endswith("done=case_decided")
    assert office.rows("SELECT state FROM cases")[0].state == "passed"
    english, chinese = (bo.send_form(f"/cases/{appeal}/letter", {"language": code}).text for code in ("en", "zh"))
    assert "Two persons have looked at it" in english
    assert "经两名工作人员审核" in chinese
    for letter in (english, chinese):
        assert "2026-000001" in letter
        assert appeal not in letter.partition('<article class="letter"')[2]
    assert bo.send_form(f"/cases/{appeal}/close", {"closing": "finished", "version": "9"}).status_code == 409
    now = version(bo.get(f"/cases/{appeal}").text)
    assert bo.send_form(f"/cases/{appeal}/close", {"closing": "finished", "version": now}).status_code == 303
    assert office.rows("SELECT state FROM cases")[0].state == "closed"


def test_a_case_is_found_by_the_number_that_its_person_says(
    office: Any, appeal: str, sign_in: Callable[..., Any]
) -> None:
    an, west = sign_in("reviewer", area="east", name="An"), sign_in("reviewer", area="west")
    assert re.search(r'<td class="moment"[^>]*>2026-000001</td>', an.get("/cases").text)
    for typed in ("2026-000001", "2026-1", " 2026–01 "):
        found = an.get("/cases", params={"number": typed})
        assert (found.status_code, found.headers.get("location")) == (303, f"/cases/{appeal}"), typed
    for client, typed in ((west, "2026-000001"), (an, "2026-2"), (an, "<script>"), (an, "2026-" + "1" * 400)):
        found = client.get("/cases", params={"number": typed})
        assert (found.status_code, "No case in your areas has the number" in found.text) == (200, True), typed
    (subject_id,) = office.people
    assert "2026-000001" in sign_in("operator", area="east").get(f"/people/{subject_id}").text
    an.get(f"/cases/{appeal}")
    logged = sign_in("auditor").get("/audit", params={"object_id": "2026-1"}).text
    assert f'<a href="/cases/{appeal}">2026-000001</a>' in logged


def test_who_decides_sees_whom_it_is_about_and_that_nothing_was_handed_in(
    office: Any, appeal: str, sign_in: Callable[..., Any]
) -> None:
    whole, tail = NUMBER, NUMBER[-4:]
    page = sign_in("reviewer", area="east").get(f"/cases/{appeal}").text
    assert f"…{tail}" in page
    assert "1940-01-01" in page
    assert whole not in page
    assert "No photograph and no document was handed in." in page
    assert "1940-01-01" not in sign_in("operator", area="east").get(f"/cases/{appeal}").text


def test_a_record_that_joins_ends_what_was_said_and_is_shown(
    office: Any, terminal: Any, appeal: str, sign_in: Callable[..., Any]
) -> None:
    decide(sign_in("reviewer", area="east", name="An"), appeal)
    (row,) = office.rows("SELECT payload ->> 'session_id' AS session FROM records")
    ((subject_id, token),) = office.people.items()
    at = office.now - timedelta(days=1)
    office.send(
        terminal,
        terminal.next(outcome=Outcome.REVIEW, subject_id=subject_id, token=token, at=at, session_id=row.session),
    )
    bo = sign_in("reviewer", area="east", name="Bo")
    page = bo.get(f"/cases/{appeal}").text
    assert "2 records belong to this case" in page
    for (record_id,) in office.rows("SELECT record_id FROM records"):
        assert f"/people/{subject_id}/records/{record_id}" in page
    decide(bo, appeal)
    assert office.rows("SELECT state FROM cases")[0].state == "in_review"
    decide(sign_in("reviewer", area="east", name="An"), appeal)
    assert office.rows("SELECT state FROM cases")[0].state == "passed"


def close_as(client: Any, case_id: str, closing: str) -> Any:
    now = version(client.get(f"/cases/{case_id}").text)
    return client.send_form(f"/cases/{case_id}/close", {"closing": closing, "version": now})


def test_no_reviewer_alone_ends_a_case_that_was_not_decided(
    office: Any, appeal: str, sign_in: Callable[..., Any]
) -> None:
    an, bo = sign_in("reviewer", area="east", name="An"), sign_in("reviewer", area="east", name="Bo")
    refused = close_as(an, appeal, "finished")
    assert (refused.status_code, "is not decided" in refused.text) == (409, True)
    assert close_as(an, appeal, "withdrawn").headers["location"].endswith("done=case_closing_asked")
    again = close_as(an, appeal, "withdrawn")
    assert (again.status_code, "given your word already" in again.text) == (409, True)
    assert "An said so on" in bo.get(f"/cases/{appeal}").text
    # Another reason is another word, and so is one on a case that went on.
    assert close_as(bo, appeal, "mistake").headers["location"].endswith("done=case_closing_asked")
    assert office.rows("SELECT state FROM cases")[0].state == "evidence_complete"
    bo.send_form(f"/cases/{appeal}/take-up")
    assert close_as(bo, appeal, "withdrawn").headers["location"].endswith("done=case_closing_asked")
    assert close_as(an, appeal, "withdrawn").headers["location"].endswith("done=case_closed")
    assert office.rows("SELECT state, reason FROM cases")[0] == ("closed", "withdrawn")


def test_who_took_a_case_in_does_not_close_it(office: Any, special: str, sign_in: Callable[..., Any]) -> None:
    wu, an, bo = (sign_in("reviewer", area="east", name=name) for name in ("Wu", "An", "Bo"))
    assert "/close" not in wu.get(f"/cases/{special}").text
    count = len(office.rows("SELECT 1 FROM case_events"))
    refused = wu.send_form(f"/cases/{special}/close", {"closing": "withdrawn", "version": count})
    assert (refused.status_code, "You took this case in" in refused.text) == (409, True)
    for client in (an, bo):
        decide(client, special, "refused:cannot_be_told")
    count = len(office.rows("SELECT 1 FROM case_events"))
    refused = wu.send_form(f"/cases/{special}/close", {"closing": "finished", "version": count})
    assert (refused.status_code, "You took this case in" in refused.text) == (409, True)
    assert close_as(an, special, "finished").headers["location"].endswith("done=case_closed")


def test_a_third_decides_where_two_differ(office: Any, appeal: str, sign_in: Callable[..., Any]) -> None:
    an, bo, li = (sign_in("reviewer", name=name) for name in ("An", "Bo", "Li"))
    decide(an, appeal)
    decide(bo, appeal, "refused:other_person")
    assert "a third person" in li.get(f"/cases/{appeal}").text
    assert decide(li, appeal, "refused:cannot_be_told").status_code == 303
    assert office.rows("SELECT state FROM cases")[0].state == "refused"


def test_what_is_stale_or_without_a_reason_is_refused_and_what_was_typed_stays(
    office: Any, appeal: str, sign_in: Callable[..., Any]
) -> None:
    an, bo = sign_in("reviewer", name="An"), sign_in("reviewer", name="Bo", language="zh")
    for client in (an, bo):
        client.send_form(f"/cases/{appeal}/take-up")
    old = version(bo.get(f"/cases/{appeal}").text)
    decide(an, appeal)
    answer = bo.send_form(
        f"/cases/{appeal}/decide", {"said": "passed:person_and_alive", "version": old, "note": "我的备注"}
    )
    assert answer.status_code == 409
    assert "本个案已有变化" in answer.text
    assert "我的备注" in answer.text
    fresh = version(answer.text)
    assert bo.send_form(f"/cases/{appeal}/decide", {"said": "", "version": fresh}).status_code == 422
    wrong = bo.send_form(f"/cases/{appeal}/decide", {"said": "passed:same_person_twice", "version": fresh})
    assert (wrong.status_code, "请选择一项理由" in wrong.text) == (422, True)
    again = an.send_form(f"/cases/{appeal}/decide", {"said": "passed:person_and_alive", "version": fresh})
    assert (again.status_code, "another person is needed" in again.text) == (409, True)


def test_a_double_click_gives_one_word(office: Any, appeal: str, sign_in: Callable[..., Any]) -> None:
    an = sign_in("reviewer", name="An")
    an.send_form(f"/cases/{appeal}/take-up")
    typed = {"said": "passed:person_and_alive", "version": version(an.get(f"/cases/{appeal}").text)}
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: an.send_form(f"/cases/{appeal}/decide", typed).status_code, range(2)))
    assert sorted(done) == [303, 409]
    assert office.rows("SELECT count(*) AS n FROM case_events WHERE step = 'verdict'")[0].n == 1


def test_who_is_elsewhere_finds_nothing_and_who_may_not_decide_is_told_so(
    office: Any, appeal: str, sign_in: Callable[..., Any]
) -> None:
    west = sign_in("reviewer", area="west")
    assert west.get(f"/cases/{appeal}").status_code == 404
    for part in ("take-up", "decide", "close", "letter", "pictures/face"):
        assert west.send_form(f"/cases/{appeal}/{part}").status_code == 404
    assert appeal not in west.get("/cases").text
    assert west.get("/cases/next").headers["location"] == "/cases?done=cases_none_left"
    for role in ("operator", "auditor"):
        client = sign_in(role)
        assert client.get(f"/cases/{appeal}").status_code == 200
        assert client.send_form(f"/cases/{appeal}/take-up").status_code == 403
    assert sign_in("viewer").get("/cases").status_code == 403
    assert "甲<script>" not in sign_in("reviewer").get("/cases").text


def test_a_picture_is_in_the_ledger_before_it_is_shown_marked_and_kept_by_nobody(
    office: Any, special: str, sign_in: Callable[..., Any]
) -> None:
    an = sign_in("reviewer", area="east", name="An")
    place = f"/cases/{special}/pictures/identity_card"
    assert an.send_form(place, {"why": "other"}).status_code == 422
    assert office.rows("SELECT count(*) AS n FROM picture_views")[0].n == 0
    answer = an.send_form(place, {"why": "compare", "words": "<script>"})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    found = re.search(r"base64,([^\"]+)", answer.text)
    assert found is not None
    assert base64.b64decode(found[1]) == marked(jpeg(0), "An 2026-11-20 17:00", font=chinese_font())
    assert office.rows("SELECT count(*) AS n FROM picture_views")[0].n == 1
    page = an.get(f"/cases/{special}").text
    assert "to compare the face: &lt;script&gt;" in page
    assert "base64" not in page
    # Who took the case in neither opens a picture nor decides.
    wu = sign_in("reviewer", area="east", name="Wu")
    refused = wu.send_form(place, {"why": "compare"})
    assert (refused.status_code, "somebody else must review it" in refused.text) == (409, True)
    assert office.rows("SELECT count(*) AS n FROM picture_views")[0].n == 1
    assert wu.send_form(f"/cases/{special}/take-up").status_code == 409
    assert an.send_form(f"/cases/{special}/pictures/face", {"why": "compare"}).status_code == 409


def test_a_scan_is_shown_page_by_page_with_the_name_of_who_opens_it_and_the_file_is_given_to_nobody(
    office: Any, special: str, sign_in: Callable[..., Any]
) -> None:
    desk, rules = Registry(office.keys.cipher, office.settings.zone()), rules_of_case(office.database, special)
    for role, content in ((Role.FORM, scan(250, 120)), (Role.AUTHORITY, scan())):
        checked = check_content(role, content, role, rules, None)
        add_file(office.database, office.keys, desk, special, role, checked, by="Wu", now=office.now)
    an = sign_in("reviewer", area="east", name="An")
    answer = an.send_form(f"/cases/{special}/pictures/form", {"why": "compare"})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.headers["content-type"].startswith("text/html")
    shown = [base64.b64decode(found) for found in re.findall(r"base64,([^\"]+)", answer.text)]
    mark = {"words": "An 2026-11-20 17:00", "font": chinese_font()}
    assert shown == [marked(page, **mark) for page in pages_of(scan(250, 120))]
    assert "page 2 of 2" in answer.text
    assert office.rows("SELECT count(*) AS n FROM picture_views")[0].n == 1
    # One that was taken in before scans were looked into, and cannot be shown.
    with office.database.begin() as connection:
        sealed = seal(b"%PDF-1.7 nothing more", reader=office.keys.sealing_key().public())
        connection.execute(text("UPDATE case_files SET sealed = :sealed WHERE role = 'authority'"), {"sealed": sealed})
    refused = an.send_form(f"/cases/{special}/pictures/authority", {"why": "compare"})
    assert (refused.status_code, "no page that can be shown" in refused.text) == (422, True)
    assert office.rows("SELECT count(*) AS n FROM picture_views")[0].n == 2, "also who tried is written down"


@pytest.mark.parametrize("font", [None, chinese_font()])
def test_the_mark_is_all_over_a_picture(font: str | None) -> None:
    plain = io.BytesIO()
    Image.new("RGB", (800, 600), (128, 128, 128)).save(plain, "JPEG")
    shown = np.asarray(Image.open(io.BytesIO(marked(plain.getvalue(), "An 2026-11-20 17:00", font=font)))).astype(int)
    is_marked = (np.abs(shown - 128) > 30).any(axis=2)
    assert all(part.mean() > 0.01 for half in np.split(is_marked, 2) for part in np.split(half, 2, axis=1))


def test_next_leads_on_to_what_one_may_decide(office: Any, terminal: Any, sign_in: Callable[..., Any]) -> None:
    for day in (3, 2, 1):
        office.send(terminal, terminal.next(outcome=Outcome.REVIEW, at=office.now - timedelta(days=day)))
    ids = [row.case_id for row in office.rows("SELECT case_id FROM cases ORDER BY due_on, case_id")]
    an = sign_in("reviewer", name="An")
    due = str(office.rows("SELECT min(due_on) AS day FROM cases")[0].day)
    assert an.get("/cases/next").headers["location"] == f"/cases/{ids[0]}"
    assert an.get("/cases/next", params={"after": f"{due}|{ids[0]}"}).headers["location"] == f"/cases/{ids[1]}"
    decide(an, ids[0], "refused:cannot_be_told")
    assert an.get("/cases/next").headers["location"] == f"/cases/{ids[1]}"
    text = an.get("/cases").text
    assert text.index(ids[0]) < text.index(ids[1]) < text.index(ids[2])


@pytest.mark.parametrize(("days", "clock"), [(-3, "late"), (0, "today"), (1, "week"), (7, "week"), (8, "")])
def test_a_case_is_counted_once_by_its_clock(
    office: Any, appeal: str, sign_in: Callable[..., Any], days: int, clock: str
) -> None:
    today = office.now.astimezone(office.settings.zone()).date()
    with office.database.begin() as connection:
        connection.execute(
            text("UPDATE cases SET due_on = :day WHERE case_id = :id"),
            {"day": today + timedelta(days=days), "id": appeal},
        )
    client = sign_in("reviewer")
    page = client.get("/cases").text
    labels = {"late": "late", "today": "due today", "week": "due in the week from tomorrow"}
    counts = {each: int(re.findall(rf"(\d+) {label}<", page)[0]) for each, label in labels.items()}
    assert counts == {each: int(each == clock) for each in labels}
    for each in labels:
        assert (f'href="/cases/{appeal}"' in client.get("/cases", params={"clock": each}).text) == (each == clock)


@pytest.mark.browser
def test_n_leads_to_the_next_case_from_the_list(office: Any, appeal: str, browse: Callable[..., Any]) -> None:
    page = browse("reviewer").go("/cases")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("n")
    page.wait_for_url(f"**/cases/{appeal}")


def test_alarms_are_counted_by_terminal_and_day_of_ones_areas(
    office: Any, terminal: Any, sign_in: Callable[..., Any]
) -> None:
    for _ in range(3):
        office.send(terminal, terminal.next(outcome=Outcome.PRESENTATION_ATTACK))
    assert ">3</td>" in sign_in("reviewer", area="east").get("/cases/alarms").text
    assert "No alarms" in sign_in("reviewer", area="west").get("/cases/alarms").text


NUMBER = "99999919400101001" + check_digit("99999919400101001")


def test_a_case_is_opened_at_the_desk_and_its_files_are_taken_in(office: Any, sign_in: Callable[..., Any]) -> None:
    office.import_people(1)
    wu = sign_in("operator", area="east", name="Wu")
    assert wu.get("/cases/new").status_code == 200
    asked = {"who": NUMBER, "asked": "special:paralysed", "note": "<script>"}
    lacking = wu.send_form("/cases/new", asked)
    assert (lacking.status_code, "The day of the newspaper is needed" in lacking.text) == (422, True)
    assert NUMBER in lacking.text
    assert "&lt;script&gt;" in lacking.text
    opened = wu.send_form("/cases/new", {**asked, "seen_on": "2026-11-18"})
    assert opened.headers["location"].endswith("?done=case_opened")
    case_id = opened.headers["location"].split("/")[2].split("?")[0]
    twice = wu.send_form("/cases/new", {**asked, "seen_on": "2026-11-18"})
    assert (twice.status_code, "number 2026-000001" in twice.text) == (422, True)
    place = f"/cases/{case_id}/files"
    for content, sentence in (
        (b"GIF89a", "Neither a JPG nor a PDF"),
        (b"%PDF-1.7", "this must be a photograph"),
        (b"\xff\xd8\xff", "damaged"),
        (jpeg(1, (300, 200)), "The longer side has 300 pixels"),
    ):
        refused = wu.send_form(place, {"role": "with_newspaper"}, files={"file": ("a.jpg", content)})
        assert (refused.status_code, sentence in refused.text) == (422, True), sentence
    assert "Choose a file" in wu.send_form(place, {"role": "with_newspaper"}).text
    for seed, role in enumerate(("identity_card", "with_newspaper")):
        taken = wu.send_form(place, {"role": role}, files={"file": ("a.jpg", jpeg(seed))})
        assert taken.headers["location"].endswith("?done=case_file_added")
    page = wu.get(f"/cases/{case_id}").text
    assert "ready for review" in page
    assert "one face found" in page
    assert "You took it in" in page


def test_nobody_opens_a_case_of_somebody_elsewhere_or_without_the_right(
    office: Any, special: str, sign_in: Callable[..., Any]
) -> None:
    asked = {"who": NUMBER, "asked": "special:paralysed", "seen_on": "2026-11-18"}
    elsewhere = sign_in("operator", area="west").send_form("/cases/new", asked)
    unknown = sign_in("operator", area="west").send_form("/cases/new", {**asked, "who": "1" * 18})
    for answer in (elsewhere, unknown):
        assert (answer.status_code, "Nobody within your areas" in answer.text) == (422, True)
    assert sign_in("operator", area="west").send_form(f"/cases/{special}/files").status_code == 404
    reviewer = sign_in("reviewer")
    assert reviewer.get("/cases/new").status_code == 403
    assert reviewer.send_form("/cases/new", asked).status_code == 403
    assert reviewer.send_form(f"/cases/{special}/files").status_code == 403


def test_a_visit_is_planned_and_listed_for_who_makes_it(
    office: Any, terminal: Any, sign_in: Callable[..., Any]
) -> None:
    office.import_people(1)
    desk = Registry(office.keys.cipher, office.settings.zone())
    request = VisitRequest(next(iter(office.people)), "age", "3 Spring Lane <script>")
    with office.database.begin() as connection:
        case_id = request_visit(connection, desk, request, by="Wu", now=office.now)
    wu = sign_in("operator", area="east", name="Wu")
    place, planned = f"/cases/{case_id}/plan", {"worker": terminal.terminal_id, "day": "2026-11-23"}
    assert "in service" in wu.send_form(place, {**planned, "worker": "nobody"}).text
    assert "That day is past" in wu.send_form(place, {**planned, "day": "2026-11-01"}).text
    assert wu.send_form(place, {**planned, "day": "x"}).status_code == 422
    assert wu.send_form(place, planned).headers["location"].endswith("?done=visit_planned")
    listed = wu.send_form("/cases/visits", planned)
    assert "3 Spring Lane &lt;script&gt;" in listed.text
    west = sign_in("operator", area="west")
    assert "3 Spring Lane" not in west.send_form("/cases/visits", planned).text
    assert west.send_form(place, planned).status_code == 404
    assert sign_in("reviewer").send_form(place, planned).status_code == 403


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_the_desk_in_a_browser(
    office: Any, special: str, browse: Callable[..., Any], language: str, width: int
) -> None:
    seen = browse("operator", area="east", name="Sun", language=language, width=width)
    page = seen.go("/cases/new")
    seen.check(f"case-new-{language}-{width}")
    page.fill("#f-who", NUMBER)
    page.select_option("#f-asked", "special:paralysed")
    page.locator("form[action='/cases/new'] button").click()
    expect(page.locator("[role=alert] p").last).to_be_visible()
    expect(page.locator("#f-who")).to_have_value(NUMBER)
    seen.go(f"/cases/{special}")
    seen.check(f"case-operator-{language}-{width}")
    seen.go("/cases/visits")
    seen.check(f"case-visits-{language}-{width}")
    seen.go("/cases/alarms")
    seen.check(f"case-alarms-{language}-{width}")


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_two_people_decide_in_a_browser(
    office: Any, special: str, appeal: str, browse: Callable[..., Any], language: str, width: int
) -> None:
    for name in ("An", "Bo"):
        seen = browse("reviewer", area="east", name=name, language=language, width=width)
        page = seen.go("/cases")
        seen.check(f"cases-{language}-{width}")
        seen.go(f"/cases/{special}")
        # Nobody gives a reason without having chosen it.
        page.locator("form[action$=identity_card] button").click()
        expect(page.locator("#picture-identity_card .opened")).to_have_count(0)
        page.select_option("#why-identity_card", "document")
        page.locator("form[action$=identity_card] button").click()
        expect(page.locator("#picture-identity_card .opened img")).to_be_visible()
        seen.check(f"case-picture-{language}-{width}")
        wide = page.locator(".opened img").bounding_box()["width"]
        page.locator(".zooms input").nth(2).check()
        assert page.locator(".opened img").bounding_box()["width"] > 3 * wide
        seen.check(f"case-zoomed-{language}-{width}")
        page.locator("form[action$=take-up] button").click()
        page.wait_for_url("**done=case_taken_up")
        # The page puts the focus on its heading once it stands.
        expect(page.locator("h1")).to_be_focused()
        # Its keys work once their script is there.
        expect(page.locator("[data-prepared]").first).to_be_attached()
        page.locator("#said-person_and_alive").focus()
        page.keyboard.press("2")
        expect(page.locator("#decision input[data-number='2']")).to_be_checked()
        page.locator("#said-person_and_alive").check()
        seen.check(f"case-decide-{language}-{width}")
        page.locator("form[action$=decide] button").click()
        seen.mean_it()
        page.wait_for_url(re.compile("done=case_(said|decided)"))
    seen.check(f"case-decided-{language}-{width}")
    page.locator("form[action$=letter] button").click()
    expect(page.locator(f".letter[lang={language}]")).to_be_visible()
    seen.check(f"case-letter-{language}-{width}")
    other = "en" if language == "zh" else "zh"
    page.locator(f"form[action$=letter] button[lang={other}]").click()
    expect(page.locator(f".letter[lang={other}]")).to_be_visible()
    printed = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
    page.emulate_media(media="print")
    expect(page.locator(".top, .heading, .narrow .notice").filter(visible=True)).to_have_count(0)
    page.emulate_media(media="screen")
    seen.go(f"/cases/{appeal}")
    seen.check(f"case-appeal-{language}-{width}")
    seen.go(f"/cases/{special}")
    expect(page.locator("[data-prepared]").first).to_be_attached()
    page.keyboard.press("n")
    page.wait_for_url(f"**/cases/{appeal}")
