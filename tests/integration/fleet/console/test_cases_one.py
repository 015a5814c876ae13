"""The page of one case, and how two persons decide it."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.integration
PASS = "passed.person_and_alive"
REFUSE = "refused.cannot_be_told"


@pytest.fixture
def office(agency: Any) -> Any:
    """The made-up agency in place of an empty fleet."""
    return agency


@pytest.fixture
def case_id(office: Any) -> str:
    """An appeal that nobody has looked at; its chain is whole."""
    (row,) = office.rows(
        "SELECT case_id FROM cases c JOIN links l USING (record_id) WHERE c.kind = 'appeal' AND c.state = 'evidence_complete'"
        " AND l.chain <> 'broken' AND c.subject_id IS NOT NULL ORDER BY case_id LIMIT 1"
    )
    return str(row.case_id)


def version(client: Any, case_id: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', client.get(f"/cases/{case_id}").text)
    assert found is not None
    return found.group(1)


def say(client: Any, case_id: str, word: str, seen: str, note: str = "") -> Any:
    return client.send_form(f"/cases/{case_id}/decision", {"word": word, "version": seen, "note": note})


def state(office: Any, case_id: str) -> str:
    (row,) = office.rows("SELECT state FROM cases WHERE case_id = :id", id=case_id)
    return str(row.state)


def words(office: Any, case_id: str) -> int:
    (row,) = office.rows("SELECT count(*) FROM case_events WHERE case_id = :id AND step = 'verdict'", id=case_id)
    return int(row.count)


def test_a_page_has_what_the_machine_found_and_a_look_is_written_down(
    office: Any, sign_in: Callable[..., Any], case_id: str
) -> None:
    for language, sentence in (("en", "Repeated by the fleet"), ("zh", "服务器已复算")):
        text = sign_in("reviewer", language=language).get(f"/cases/{case_id}").text
        assert sentence in text
        assert "<svg" not in text
    (seen,) = office.rows(
        "SELECT count(*) FROM audit_log WHERE action = 'case.viewed' AND object_id = :id AND at = :now",
        id=case_id,
        now=office.now,
    )
    assert seen.count == 2


def test_every_kind_and_state_of_case_has_a_page_and_a_letter(office: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("auditor")
    for name, each in office.index.cases.items():
        assert client.get(f"/cases/{each}").status_code == 200, name
        letter = client.get(f"/cases/{each}/letter")
        assert letter.status_code == 200, name
        assert ('lang="zh"' in letter.text and 'lang="en"' in letter.text) or "nobody to write to" in letter.text
        assert 'name="word"' not in client.get(f"/cases/{each}").text


def test_a_case_of_another_area_is_answered_as_one_that_does_not_exist(
    office: Any, sign_in: Callable[..., Any], case_id: str
) -> None:
    (elsewhere,) = office.rows(
        "SELECT code FROM areas WHERE level = 5 AND code NOT IN (SELECT area FROM subject_areas JOIN cases USING (subject_id)"
        " WHERE case_id = :id) ORDER BY code LIMIT 1",
        id=case_id,
    )
    client = sign_in("reviewer", area=elsewhere.code)
    for rest in ("", "/letter"):
        outside, nothing = client.get(f"/cases/{case_id}{rest}"), client.get(f"/cases/{'0' * len(case_id)}{rest}")
        assert (outside.status_code, nothing.status_code) == (404, 404)
        assert outside.text.replace(case_id, "") == nothing.text.replace("0" * len(case_id), "")
    assert say(client, case_id, PASS, "1").status_code == 404
    assert words(office, case_id) == 0


def test_two_persons_decide_and_one_person_twice_does_not(
    office: Any, sign_in: Callable[..., Any], case_id: str
) -> None:
    first, second = sign_in("reviewer"), sign_in("reviewer")
    seen = version(first, case_id)
    assert say(first, case_id, PASS, seen, "<script>alert(1)</script>").status_code == 303
    # A double click, and then one who thinks it over.
    assert say(first, case_id, PASS, seen).status_code == 303
    assert (words(office, case_id), state(office, case_id)) == (1, "in_review")
    text = first.get(f"/cases/{case_id}").text
    assert "&lt;script&gt;" in text
    assert "<script>alert" not in text
    assert 'name="word"' not in text
    again = say(first, case_id, PASS, str(int(seen) + 2))
    assert again.status_code == 409
    assert "You have given your word on this case already" in again.text
    hidden = second.get(f"/cases/{case_id}").text
    assert "alert(1)" not in hidden
    assert "after you have given your own word" in hidden
    assert say(second, case_id, PASS, version(second, case_id)).status_code == 303
    assert (words(office, case_id), state(office, case_id)) == (2, "passed")
    assert len(office.rows("SELECT 1 FROM acts WHERE source = 'case' AND source_id = :id", id=case_id)) == 1


def test_a_third_person_decides_where_two_differ(office: Any, sign_in: Callable[..., Any], case_id: str) -> None:
    for word, after in ((PASS, "in_review"), (REFUSE, "disagreed"), (REFUSE, "refused")):
        client = sign_in("reviewer")
        assert say(client, case_id, word, version(client, case_id)).status_code == 303
        assert state(office, case_id) == after
    assert office.rows("SELECT 1 FROM acts WHERE source = 'case' AND source_id = :id", id=case_id) == []


def test_who_saw_an_older_state_is_told_what_happened_and_keeps_what_was_typed(
    office: Any, sign_in: Callable[..., Any], case_id: str
) -> None:
    first, second = sign_in("reviewer", name="甲某"), sign_in("reviewer", language="zh")
    seen = version(second, case_id)
    assert say(first, case_id, REFUSE, seen, "not for others yet").status_code == 303
    answer = say(second, case_id, PASS, seen, "写了很久的话")
    assert answer.status_code == 409
    assert "您打开页面后，该案件有了新情况" in answer.text
    assert "甲某" in answer.text
    assert "写了很久的话" in answer.text
    assert "not for others yet" not in answer.text
    assert re.search(rf'value="{PASS}" required checked', answer.text)
    assert words(office, case_id) == 1
    assert say(second, case_id, PASS, version(second, case_id)).status_code == 303
    assert state(office, case_id) == "disagreed"


def test_of_two_reviewers_at_once_one_is_told_of_the_other(
    office: Any, sign_in: Callable[..., Any], case_id: str
) -> None:
    clients = [sign_in("reviewer"), sign_in("reviewer")]
    seen = version(clients[0], case_id)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda client: say(client, case_id, PASS, seen).status_code, clients))
    assert sorted(answers) == [303, 409]
    assert words(office, case_id) == 1


def test_a_word_without_a_fitting_reason_changes_nothing(
    office: Any, sign_in: Callable[..., Any], case_id: str
) -> None:
    client = sign_in("reviewer")
    seen = version(client, case_id)
    for word in ("", "passed", "passed.data_confirmed", "closed.finished"):
        assert say(client, case_id, word, seen).status_code in (409, 422), word
    assert say(client, case_id, PASS, seen, "x" * 2001).status_code == 409
    assert words(office, case_id) == 0
    assert say(sign_in("auditor"), case_id, PASS, seen).status_code == 403
    assert say(sign_in("operator"), case_id, PASS, seen).status_code == 403


def test_the_next_case_is_one_that_this_person_may_decide(
    office: Any, sign_in: Callable[..., Any], case_id: str
) -> None:
    client = sign_in("reviewer")
    at, visited = case_id, []
    for _ in range(4):
        found = re.search(r'href="/cases/([^"]+)" data-next', client.get(f"/cases/{at}").text)
        assert found is not None
        at = found.group(1)
        assert 'name="word"' in client.get(f"/cases/{at}").text
        visited.append(at)
    assert len(set(visited)) == 4


@pytest.mark.browser
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [1366, 390])
def test_two_people_decide_in_a_browser(
    office: Any, browse: Callable[..., Any], case_id: str, language: str, width: int
) -> None:
    for number in (1, 2):
        seen = browse("reviewer", language=language, width=width)
        page = seen.go(f"/cases/{case_id}")
        if number == 1:
            seen.check(f"case-{language}-{width}")
            assert len(page.content()) <= 300_000
            page.locator("h1").focus()
            page.keyboard.press("n")
            expect(page).not_to_have_url(re.compile(case_id))
            seen.go(f"/cases/{case_id}/letter")
            seen.check(f"case-letter-{language}-{width}")
            seen.go(f"/cases/{case_id}")
        page.locator(f'input[value="{PASS}"]').check()
        page.locator("#decision button").click()
        expect(page.locator(".notice.good")).to_be_visible()
    seen.check(f"case-decided-{language}-{width}")
    assert state(office, case_id) == "passed"
