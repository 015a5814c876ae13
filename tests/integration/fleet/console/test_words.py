"""A word counts as long as whoever gave it is in office; until a second one it can be taken back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from playwright.sync_api import expect

from fleet.accounts import registry
from fleet.accounts.granting import Actor
from fleet.accounts.roles import Grant, Role
from fleet.benefits.events import LADDER, StepOutcome, StopEffect, StopReason
from fleet.benefits.files import file_of
from fleet.benefits.guard import StopGuard
from fleet.cases import open_words
from fleet.store import approvals
from fleet.store.names import AccountName
from tests.integration.fleet.console.test_cases import appeal, decide
from tests.integration.fleet.console.test_cases import office as office

pytestmark = pytest.mark.integration
KEYBOARD = Actor("Boss", None, None)
__all__ = ("appeal",)


def account_of(office: Any, name: str) -> str:
    with office.database.begin() as connection:
        return registry.find(connection, office.keys.cipher, name)


def steps(office: Any) -> list[str]:
    return [row.step for row in office.rows("SELECT step FROM case_events ORDER BY number")]


def state(office: Any) -> str:
    return str(office.rows("SELECT state FROM cases")[0].state)


def test_the_word_of_somebody_out_of_service_decides_nothing(
    office: Any, appeal: str, sign_in: Callable[..., Any]
) -> None:
    an, bo = sign_in("reviewer", area="east", name="An"), sign_in("reviewer", area="east", name="Bo")
    decide(an, appeal)
    # Not even where nobody dropped it when the account was disabled.
    registry.disable(office.database, office.keys.cipher, KEYBOARD, account_of(office, "An"), now=office.now)
    decide(bo, appeal)
    assert (state(office), steps(office)[-2:]) == ("in_review", ["word_dropped", "verdict"])
    decide(sign_in("reviewer", area="east", name="Li"), appeal)
    assert state(office) == "passed"


def test_disabling_an_account_drops_its_open_words_and_says_so(
    office: Any, appeal: str, sign_in: Callable[..., Any]
) -> None:
    decide(sign_in("reviewer", area="east", name="An"), appeal)
    admin = sign_in("area_administrator", area="east", name="Admin")
    assert admin.send_form(f"/accounts/{account_of(office, 'An')}/disable").status_code == 303
    assert steps(office)[-1] == "word_dropped"
    bo = sign_in("reviewer", area="east", name="Bo")
    assert "a first reviewer" in bo.get("/cases").text
    assert office.rows("SELECT count(*) FROM audit_log WHERE action = 'word.dropped'")[0][0] == 1
    # The history of the case is whole after it.
    assert bo.get(f"/cases/{appeal}").status_code == 200


def test_a_word_is_void_with_the_role_and_not_with_another_one(office: Any, sign_in: Callable[..., Any]) -> None:
    sign_in("reviewer", "viewer", area="east", name="An")
    account_id, cipher = account_of(office, "An"), office.keys.cipher

    def said(object_id: str, name: str) -> int:
        with office.database.begin() as connection:
            return approvals.approve(
                connection, cipher, "unit_list", object_id, name=name, reason="seen", now=office.now
            )

    an = AccountName("An", account_id)
    assert said("1", an) == 1
    assert said("2", an) == 1
    registry.give(office.database, cipher, KEYBOARD, account_id, Grant(Role.VIEWER, "west"), now=office.now)
    assert said("1", "Bo") == 2
    registry.take(office.database, cipher, KEYBOARD, account_id, Grant(Role.REVIEWER, "east"), now=office.now)
    assert said("2", "Bo") == 1
    assert said("2", "Li") == 2
    # Whoever gave a word on the command line has no account: it counts as it did.
    assert said("3", "Wu") == 1
    assert said("3", "Bo") == 2


def test_taking_a_role_drops_first_words_of_stops_and_lists(office: Any, sign_in: Callable[..., Any]) -> None:
    office.import_people(1)
    subject_id, cipher = next(iter(office.people)), office.keys.cipher
    sign_in("reviewer", area="east", name="An")
    account_id = account_of(office, "An")
    an, zone = AccountName("An", account_id), office.settings.zone()

    def guard(work: Callable[[StopGuard], Any]) -> Any:
        with office.database.begin() as connection:
            return work(StopGuard(connection, cipher, now=office.now, zone=zone))

    stop_id = guard(
        lambda at: at.propose(
            subject_id,
            "pension",
            reason=StopReason.OTHER_BY_LAW,
            effect=StopEffect.PAUSE,
            from_month=date(2026, 12, 1),
            by="Zhao",
            why="law",
        )
    )
    for step in LADDER:
        guard(
            lambda at, step=step: at.record_step(
                stop_id, step, StepOutcome.NOT_REACHED, day=office.now.date(), by="Zhao", proof="note"
            )
        )
    assert guard(lambda at: at.approve(stop_id, by=an, why="by the file")) == 1
    with office.database.begin() as connection:
        approvals.approve(connection, cipher, "unit_list", "1", name=an, reason="seen", now=office.now)
    registry.take(office.database, cipher, KEYBOARD, account_id, Grant(Role.REVIEWER, "east"), now=office.now)
    assert open_words.drop_of(office.database, cipher, account_id, by="Boss", now=office.now, zone=zone) == 2
    assert open_words.drop_of(office.database, cipher, account_id, by="Boss", now=office.now, zone=zone) == 0
    assert office.rows("SELECT 1 FROM approvals") == []
    with office.database.begin() as connection:
        file = file_of(connection, subject_id, "pension")
    assert file.proposal.approvals == ()
    # It takes two again.
    assert [guard(lambda at, name=name: at.approve(stop_id, by=name, why="x")) for name in ("Bo", "Li")] == [1, 2]
    client = sign_in("reviewer", area="east", name="Li")
    page = client.get(f"/stops/{subject_id}", params={"scheme": "pension"}).text
    assert "counts no more" in page


def test_a_first_word_is_taken_back_by_whoever_gave_it_alone(
    office: Any, appeal: str, sign_in: Callable[..., Any]
) -> None:
    an, bo = sign_in("reviewer", area="east", name="An"), sign_in("reviewer", area="east", name="Bo")
    decide(an, appeal)
    fields = {"kind": "case", "object_id": appeal, "back": f"/cases/{appeal}"}
    assert 'action="/words/take-back"' in an.get(f"/cases/{appeal}").text
    assert 'action="/words/take-back"' not in bo.get(f"/cases/{appeal}").text
    assert bo.send_form("/words/take-back", fields).headers["location"] == f"/cases/{appeal}?done=word_gone"
    assert an.send_form("/words/take-back", fields).headers["location"] == f"/cases/{appeal}?done=word_taken_back"
    assert steps(office)[-1] == "word_dropped"
    # They may say another thing then, and two must say the same as ever.
    assert decide(an, appeal, "refused:other_person").status_code == 303
    decide(bo, appeal, "refused:other_person")
    assert state(office) == "refused"
    assert an.send_form("/words/take-back", fields).headers["location"].endswith("word_gone")
    away = an.send_form("/words/take-back", {**fields, "back": "//other.example/"})
    assert away.headers["location"] == "/?done=word_gone"
    assert an.send_form("/words/take-back", {**fields, "kind": "account_change"}).status_code == 404


def test_a_first_word_on_closing_is_taken_back(office: Any, appeal: str, sign_in: Callable[..., Any]) -> None:
    an, bo = sign_in("reviewer", area="east", name="An"), sign_in("reviewer", area="east", name="Bo")
    closing = {"closing": "withdrawn", "version": "1"}
    assert an.send_form(f"/cases/{appeal}/close", closing).headers["location"].endswith("case_closing_asked")
    fields = {"kind": "case_closing", "object_id": f"{appeal}/withdrawn/1", "back": f"/cases/{appeal}"}
    assert fields["object_id"] in an.get(f"/cases/{appeal}").text
    assert an.send_form("/words/take-back", fields).headers["location"].endswith("word_taken_back")
    assert bo.send_form(f"/cases/{appeal}/close", closing).headers["location"].endswith("case_closing_asked")


@pytest.mark.browser
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_word_is_taken_back_in_a_browser(
    office: Any, appeal: str, sign_in: Callable[..., Any], browse: Callable[..., Any], language: str
) -> None:
    decide(sign_in("reviewer", area="east", name="An"), appeal)
    seen = browse("reviewer", area="east", name="An", language=language, width=390)
    page = seen.go(f"/cases/{appeal}")
    seen.check(f"words-{language}-390")
    page.click("form[action='/words/take-back'] button")
    expect(page.locator("[role=status]").first).to_be_visible()
    expect(page.locator("form[action='/words/take-back']")).to_have_count(0)
