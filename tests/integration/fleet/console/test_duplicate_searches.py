"""Searches for duplicates begun in the browser: by face and by number, watched, stopped, cut off, and refused with a reason."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from fleet.accounts.visitor import Visitor
from fleet.audit.log import entries
from fleet.duplicates import benefits
from fleet.duplicates.matrix import Gallery
from fleet.store import page_runs
from fleet.store.names import AccountName
from fleet.store.page_runs import BY, REASON, PageRun
from fleet.web.beside import Asked, Runs
from protocol.policy import default_policy
from protocol.references import protect

pytestmark = pytest.mark.integration
SEARCH = "00112233aabbccdd"


def give(office: Any, subject_id: str, face: int) -> None:
    """Give a subject the reference of a face; the same number is the same face."""
    values = np.random.default_rng(face).normal(size=128)
    features = protect(np.asarray(values / np.linalg.norm(values), np.float32), office.keys.feature_keys["d1"])
    with office.database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO references_ (subject_id, reference_id, features, model_sha256, runtime, key_domain, quality,"
                " capture, legal_basis, captured_at, valid_until) VALUES (:subject, md5(:subject), :features,"
                " repeat('d', 64), 'test', 'd1', 80, 'live', 'consent', :at, '2029-11-20')"
            ),
            {"subject": subject_id, "features": features.tobytes(), "at": office.now - timedelta(days=9)},
        )


@pytest.fixture
def faces(office: Any) -> list[str]:
    """Four people, two of whom have one face."""
    office.publish(default_policy(), office.now)
    office.import_people(4)
    for subject_id, face in zip(office.people, (1, 2, 3, 1), strict=True):
        give(office, subject_id, face)
    return list(office.people)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Holds the first part of a search by number until it is let go."""
    gate, real = threading.Event(), benefits.check_lists

    def waits(*args: Any, **more: Any) -> Any:
        assert gate.wait(60)
        return real(*args, **more)

    monkeypatch.setattr(benefits, "check_lists", waits)
    yield gate
    gate.set()


def begin(client: Any, kind: str = "face", search_id: str = SEARCH, **more: str) -> Any:
    fields = {"search_id": search_id, "kind": kind, "reason": "once a quarter", **more}
    return client.send_form("/duplicates/searches", fields)


def ended(client: Any, search_id: str = SEARCH) -> str:
    deadline = time.monotonic() + 60
    while "progress?poll=1" in (shown := client.get(f"/duplicates/searches/{search_id}").text):
        assert time.monotonic() < deadline, shown
        time.sleep(0.05)
    return str(shown)


def test_a_search_by_face_leads_to_what_it_found(office: Any, faces: list[str], sign_in: Callable[..., Any]) -> None:
    client = sign_in("reviewer", name="Li")
    sent = begin(client, both_sexes="yes", all_ages="yes")
    assert (sent.status_code, sent.headers["location"]) == (303, f"/duplicates/searches/{SEARCH}")
    shown = ended(client)
    for sentence in ("The search is done", "New hits: 1", "Key domain d1", "once a quarter", "Li"):
        assert sentence in shown
    (hit,) = office.rows("SELECT hit_id, first_subject, second_subject FROM duplicate_hits")
    assert {hit.first_subject, hit.second_subject} == {faces[0], faces[3]}
    assert f'href="/duplicates/{hit.hit_id}"' in shown
    assert client.get(f"/duplicates/{hit.hit_id}").status_code == 200
    with office.database.begin() as connection:
        noted = [entry for entry in entries(connection) if entry.action == "duplicates.searched"]
    assert [entry.object_id for entry in noted] == [SEARCH]
    assert "quarter" not in str(noted[0].detail)
    # What was compared is not compared again.
    begin(client, search_id="ff" * 8, both_sexes="yes", all_ages="yes")
    assert "New hits: 0" in ended(client, "ff" * 8)


def test_a_search_by_number_says_what_each_part_found(office: Any, sign_in: Callable[..., Any]) -> None:
    office.import_people(3)
    client = sign_in("reviewer", language="zh")
    begin(client, "number")
    shown = ended(client)
    assert "同时领取的待遇" in shown
    assert "姓名和出生日期相同" in shown
    assert "没有新的疑点" in shown


def test_only_who_decides_duplicates_of_everybody_begins_one(office: Any, sign_in: Callable[..., Any]) -> None:
    assert begin(sign_in("reviewer", area="east")).status_code == 403
    assert sign_in("reviewer", area="east").get("/duplicates/searches").status_code == 403
    assert "/duplicates/searches" not in sign_in("reviewer", area="east").get("/duplicates").text
    assert "/duplicates/searches" in sign_in("reviewer").get("/duplicates").text
    auditor = sign_in("auditor")
    assert 'name="kind"' not in auditor.get("/duplicates/searches").text
    assert begin(auditor).status_code == 403
    assert sign_in("reviewer").get("/duplicates/searches/0123").status_code == 404


@pytest.mark.parametrize(
    "wrong", [{"kind": "other"}, {"kind": ""}, {"reason": " "}, {"reason": "x" * 201}, {"search_id": "../x"}]
)
def test_what_is_missing_is_asked_for_and_nothing_typed_is_lost(
    office: Any, sign_in: Callable[..., Any], wrong: dict[str, str]
) -> None:
    fields = {"search_id": SEARCH, "kind": "number", "reason": "once a quarter", **wrong}
    refused = sign_in("reviewer").send_form("/duplicates/searches", fields)
    assert refused.status_code == 422
    assert "reason" in wrong or "once a quarter" in refused.text
    assert office.rows("SELECT 1 FROM page_runs") == []


def test_one_of_a_kind_runs_and_whoever_asks_again_is_led_to_it(
    office: Any, held: threading.Event, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("reviewer")
    assert begin(client, "number").status_code == 303
    assert begin(client, "number").headers["location"] == f"/duplicates/searches/{SEARCH}"
    led = begin(sign_in("reviewer"), "number", "ff" * 8)
    assert led.headers["location"] == f"/duplicates/searches/{SEARCH}?done=run_goes_on"
    assert "0 of 2 parts" in client.get(f"/runs/{SEARCH}/progress?poll=1").text
    assert len(office.rows("SELECT 1 FROM page_runs")) == 1
    held.set()
    ended(client)
    gone = client.get(f"/runs/{SEARCH}/progress?poll=1")
    assert gone.headers["hx-redirect"] == f"/duplicates/searches/{SEARCH}"


def test_a_search_is_stopped(office: Any, held: threading.Event, sign_in: Callable[..., Any]) -> None:
    client = sign_in("reviewer")
    begin(client, "number")
    stop = f"/runs/{SEARCH}/stop"
    assert client.send_form(stop).headers["location"].endswith("done=run_stopping")
    held.set()
    assert "The search was stopped" in ended(client)
    assert client.send_form(stop).headers["location"].endswith("done=run_ended")


def test_a_search_by_face_that_was_stopped_goes_on_where_it_was(
    office: Any, faces: list[str], sign_in: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Gallery.search.__kwdefaults__ is not None
    monkeypatch.setitem(Gallery.search.__kwdefaults__, "rows", 1)
    real = page_runs.note_progress

    def pressed_meanwhile(connection: Any, search_id: str, done: int, in_all: int) -> bool:
        if done:
            page_runs.ask_to_stop(connection, search_id)
        return real(connection, search_id, done, in_all)

    client = sign_in("reviewer")
    with monkeypatch.context() as first:
        first.setattr(page_runs, "note_progress", pressed_meanwhile)
        begin(client, both_sexes="yes", all_ages="yes")
        assert "The search was stopped" in ended(client)
    (run,) = office.rows("SELECT done, in_all FROM page_runs")
    assert (run.done, run.in_all) == (1, 4)
    begin(client, search_id="ff" * 8, both_sexes="yes", all_ages="yes")
    assert "<dt>New references</dt><dd>3</dd>" in ended(client, "ff" * 8)
    assert len(office.rows("SELECT 1 FROM duplicate_hits")) == 1


def test_what_a_search_was_refused_for_is_said_in_the_readers_language(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("reviewer")
    begin(client)
    assert "There are no references to compare" in ended(client)
    chinese = sign_in("reviewer", language="zh").get(f"/duplicates/searches/{SEARCH}").text
    assert "没有可以比对的模板" in chinese


def test_a_search_of_before_a_restart_is_told_and_keeps_nobody_from_the_next(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    sealed = [office.keys.cipher.encrypt("Li", subject_id="of before", field_name=name) for name in (BY, REASON)]
    wide = {"both_sexes": False, "all_ages": False}
    run = PageRun("of before", "duplicates_number", "a", sealed[0], "worker", office.now, wide, sealed[1])
    with office.database.begin() as connection:
        assert page_runs.add_run(connection, run)
    client = sign_in("reviewer")
    assert begin(client, "number").headers["location"] == f"/duplicates/searches/{SEARCH}"
    ended(client)
    assert "the service was started anew" in client.get("/duplicates/searches/of before").text


def test_a_search_that_another_program_works_on_is_left_to_it(
    office: Any, held: threading.Event, sign_in: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    client = sign_in("reviewer")
    begin(client, "number")
    other = Runs(office.database, office.keys.cipher, clock=office.clock)
    visitor = Visitor("a-other", AccountName("Li", "a-other"), (), "", office.now)
    found = other.start(Asked("duplicates_number", visitor, "ff" * 8), lambda _job: {})
    assert found is not None
    assert found.run_id == SEARCH
    eventually(lambda: other.looked_at(found).state == "running", "its turn")
    held.set()
    ended(client)


@pytest.mark.browser
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [1366, 390])
def test_a_search_in_a_browser(
    office: Any, faces: list[str], held: threading.Event, browse: Callable[..., Any], language: str, width: int
) -> None:
    seen = browse("reviewer", language=language, width=width)
    page = seen.go("/duplicates/searches")
    seen.check(f"searches-{language}-{width}")
    page.select_option("#f-kind", "number")
    page.fill("#f-reason", "季度核查")
    page.click("main form button")
    expect(page.locator("progress")).to_be_visible()
    seen.check(f"searches-running-{language}-{width}")
    held.set()
    # Its page is loaded at the end of the search.
    expect(page.locator(".notice.good")).to_be_focused()
    page = seen.go("/duplicates/searches")
    page.select_option("#f-kind", "face")
    page.check("#f-both_sexes")
    page.fill("#f-reason", "季度核查")
    page.click("main form button")
    # Hits are shown before the search has ended, and at its end the page is loaded anew.
    expect(page.locator(".notice.good")).to_be_visible()
    expect(page.locator(".rows a")).to_have_count(1)
    seen.check(f"searches-done-{language}-{width}")
