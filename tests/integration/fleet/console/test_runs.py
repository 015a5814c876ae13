"""Work beside the pages: one of a kind, in its turn, as long as whoever asked for it may; stopped, cut off, and come back to."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from fleet.accounts import registry
from fleet.audit import log
from fleet.store import accounts, page_runs
from fleet.store.page_runs import BY, PageRun
from fleet.web import beside
from fleet.web.beside import KINDS
from fleet.web.pages import people_import

pytestmark = pytest.mark.integration
CONTACTS = b"document_number,phone\r\n110101195003072317,13800138000\r\n"


def write_entry(office: Any) -> None:
    """Write one entry into the log, so that there is something to check."""
    with office.database.begin() as connection:
        log.note(
            connection,
            office.keys.cipher,
            actor="Li",
            action="case.decided",
            object_kind="case",
            object_id="c-1",
            now=office.now,
        )


class Gate:
    """Holds whatever comes to it until it is let go."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._reached = threading.Semaphore(0)

    def holding(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that waits here before it does what it did."""

        def waits(*args: Any, **more: Any) -> Any:
            self._reached.release()
            assert self._open.wait(60)
            return real(*args, **more)

        return waits

    def reached(self) -> None:
        """Wait until something waits here."""
        assert self._reached.acquire(timeout=60)

    def let_go(self) -> None:
        """Let everything go on."""
        self._open.set()


@pytest.fixture
def checking(office: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Holds every check and export of the log at its first entry."""
    write_entry(office)
    gate = Gate()
    monkeypatch.setattr(log, "entries", gate.holding(log.entries))
    yield gate
    gate.let_go()


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Holds every list of people before it is read."""
    gate = Gate()
    monkeypatch.setattr(beside, "AT_ONCE_S", 0.0)
    monkeypatch.setattr(people_import, "read_people", gate.holding(people_import.read_people))
    yield gate
    gate.let_go()


def send_list(client: Any) -> Any:
    return client.send_form("/people/import", files={"file": ("x.csv", b"nothing of use", "text/csv")})


def states(office: Any) -> list[tuple[str, str]]:
    return [(row.kind, row.state) for row in office.rows("SELECT kind, state FROM page_runs ORDER BY asked_at, kind")]


def test_one_of_a_kind_goes_on_and_whoever_has_the_permission_comes_back_to_it(
    office: Any, checking: Gate, sign_in: Callable[..., Any]
) -> None:
    auditor, other = sign_in("auditor"), sign_in("fleet_administrator")
    made = auditor.send_form("/audit/verify").headers["location"]
    checking.reached()
    assert "progress?poll=1" in auditor.get(made).text
    assert f'href="{made}"' in other.get("/audit").text
    assert other.send_form("/audit/verify").headers["location"] == f"{made}?done=run_goes_on"
    assert states(office) == [("audit_check", "running")]
    assert other.get(f"{made}/progress?poll=1").status_code == 200
    assert sign_in("reviewer").get(made).status_code == 403
    assert sign_in("auditor", area="east").get(made).status_code == 404
    assert sign_in("operator").get(made).status_code == 404
    checking.let_go()
    while auditor.get(f"{made}/progress?poll=1").headers.get("hx-redirect") != made:
        pass
    assert "The log is whole" in other.get(made).text


def test_a_run_is_stopped_where_it_is(
    office: Any, checking: Gate, sign_in: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = sign_in("auditor")
    made = client.send_form("/audit/export").headers["location"]
    checking.reached()
    assert sign_in("operator").send_form(f"{made}/stop").status_code == 404
    assert client.send_form(f"{made}/stop").headers["location"] == f"{made}?done=run_stopping"
    checking.let_go()
    while "It was stopped" not in (shown := client.get(made).text):
        assert "It is stopping" in shown or "Nearly" in shown
    assert "/audit/exports" not in shown
    assert client.send_form(f"{made}/stop").headers["location"] == f"{made}?done=run_ended"
    assert [row.detail for row in office.rows("SELECT detail FROM audit_log WHERE action = 'run.stopped'")] == [
        {"kind": "audit_export"}
    ]
    assert office.rows("SELECT 1 FROM audit_log WHERE action = 'audit.exported'") == []


def test_a_run_of_before_a_restart_is_told_as_interrupted_and_keeps_nobody_from_the_next(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    write_entry(office)
    client = sign_in("auditor")
    sealed = office.keys.cipher.encrypt("Li", subject_id="of before", field_name=BY)
    with office.database.begin() as connection:
        assert page_runs.add_run(connection, PageRun("of before", "audit_check", "a", sealed, "worker", office.now))
    assert "The log is whole" in client.follow(client.send_form("/audit/verify")).text
    shown = client.get("/runs/of before").text
    assert "the service was started anew" in shown
    assert ">Li<" in shown


def test_a_list_that_waited_is_not_taken_in_for_somebody_who_may_not_any_more(
    office: Any, reading: Gate, sign_in: Callable[..., Any]
) -> None:
    first, second = sign_in("fleet_administrator"), sign_in("operator", area="east", name="Wu")
    assert send_list(first).status_code == 303
    reading.reached()
    with office.database.begin() as connection:
        account = registry.find(connection, office.keys.cipher, "Wu")
    sent = threading.Thread(
        target=second.send_form, args=("/reminders/contacts",), kwargs={"files": {"file": ("x.csv", CONTACTS)}}
    )
    sent.start()
    while ("contacts", "waiting") not in states(office):
        pass
    with office.database.begin() as connection:
        accounts.delete_grant(connection, account, "operator", "east")
        accounts.add_grant(connection, account, "operator", "west", now=office.now)
        accounts.set_disabled(connection, account, office.now)
    reading.let_go()
    sent.join(60)
    while ("contacts", "failed") not in states(office):
        pass
    with office.database.begin() as connection:
        accounts.set_disabled(connection, account, None)
    (run,) = office.rows("SELECT run_id FROM page_runs WHERE kind = 'contacts'")
    shown = sign_in("operator", area="west", name="Wu").get(f"/reminders/contacts/{run.run_id}").text
    assert "may not do so any more" in shown
    assert office.rows("SELECT 1 FROM contacts") == []


def test_so_many_lists_wait_and_the_next_one_is_told_so(
    office: Any, reading: Gate, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("fleet_administrator")
    most = KINDS["people_look"].most
    for _ in range(most):
        assert send_list(client).status_code == 303
    full = send_list(sign_in("fleet_administrator"))
    assert full.status_code == 409
    assert f"at most {most}" in full.text
    assert len(states(office)) == most
    reading.let_go()
    while {state for _, state in states(office)} != {"failed"}:
        pass
    assert send_list(client).status_code != 409


def test_only_whoever_sent_a_list_sees_its_run(office: Any, reading: Gate, sign_in: Callable[..., Any]) -> None:
    made = send_list(sign_in("fleet_administrator")).headers["location"]
    run_id = made.rpartition("/")[2]
    other = sign_in("fleet_administrator")
    for path in (made, f"/runs/{run_id}", f"/runs/{run_id}/progress?poll=1"):
        assert other.get(path).status_code == 404
    assert other.send_form(f"/runs/{run_id}/stop").status_code == 404


@pytest.mark.browser
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [1366, 390])
def test_a_run_in_a_browser(office: Any, checking: Gate, browse: Callable[..., Any], language: str, width: int) -> None:
    seen = browse("auditor", language=language, width=width)
    page = seen.go("/audit")
    page.click("form[action='/audit/export'] button")
    expect(page.locator("progress")).to_be_visible()
    seen.check(f"runs-running-{language}-{width}")
    address = page.url
    # Left, and come back to.
    seen.go("/audit")
    checking.let_go()
    page.click(f"a[href='{re.sub('^https?://[^/]*', '', address)}']")
    expect(page.locator(".notice.good")).to_be_visible()
    seen.check(f"runs-done-{language}-{width}")
    with page.expect_download() as given:
        page.click("a[href^='/audit/exports/']")
    assert given.value.suggested_filename.endswith(".jsonl")
