"""Two accounts of which one made, reset or linked the other do not decide together, for a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from fleet.accounts import registry
from fleet.store import accounts
from tests.integration.fleet.console.test_cases import appeal, decide
from tests.integration.fleet.console.test_cases import office as office

pytestmark = pytest.mark.integration
__all__ = ("appeal",)
SAID = "made, reset or linked the other lately"


def account_of(office: Any, name: str) -> str:
    with office.database.begin() as connection:
        return registry.find(connection, office.keys.cipher, name)


def ask(client: Any, name: str) -> str:
    """Ask for a new reviewer, which takes a second administrator; return the id of the change."""
    path = client.send_form("/accounts/new", {"name": name, "role": "reviewer", "area": "east"}).headers["location"]
    (change,) = re.findall(r"/accounts/changes/(ac-[0-9a-f]+)/drop", client.get(path.partition("?")[0]).text)
    return str(change)


def approve(client: Any, change: str) -> Any:
    return client.send_form(f"/accounts/changes/{change}/approve")


def test_whoever_made_an_account_is_no_second_person_with_it_for_thirty_days(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    maker, other = (sign_in("fleet_administrator", name=name) for name in ("Maker", "Other"))
    fields = {"name": "Puppet", "role": "fleet_administrator"}
    path = maker.send_form("/accounts/new", fields).headers["location"].partition("?")[0]
    (change,) = re.findall(r"/accounts/changes/(ac-[0-9a-f]+)/drop", maker.get(path).text)
    assert approve(other, change).status_code == 303
    puppet = sign_in("fleet_administrator", name="Puppet")
    # In either order.
    first, second = ask(maker, "One"), ask(puppet, "Two")
    for client, asked in ((puppet, first), (maker, second)):
        refused = approve(client, asked)
        assert (refused.status_code, SAID in refused.text) == (409, True)
    # Whoever gave the second word to its making has it not in hand.
    assert approve(other, second).status_code == 303
    office.now += timedelta(days=31)
    assert approve(sign_in("fleet_administrator", name="Puppet"), first).status_code == 303


def test_a_link_counts_from_when_it_was_made(office: Any, sign_in: Callable[..., Any]) -> None:
    maker = sign_in("fleet_administrator", name="Maker")
    path = (
        maker.send_form("/accounts/new", {"name": "Linked", "role": "viewer", "area": "east"})
        .headers["location"]
        .partition("?")[0]
    )
    office.now += timedelta(days=40)
    maker = sign_in("fleet_administrator", name="Maker")
    assert "/sign-in/link/" in maker.send_form(f"{path}/link").text
    assert [row.how for row in office.rows("SELECT how FROM account_hands ORDER BY at")] == ["added", "linked"]
    asked = ask(maker, "One")
    linked = sign_in("fleet_administrator", name="Linked")
    assert SAID in approve(linked, asked).text


def test_what_was_done_at_the_servers_keyboard_counts_for_nobody(office: Any, sign_in: Callable[..., Any]) -> None:
    sign_in("fleet_administrator", name="Maker")
    linked = sign_in("fleet_administrator", name="Linked")
    with office.database.begin() as connection:
        keyboard = registry.at_keyboard(connection, office.keys.cipher, "Maker")
    assert keyboard.account_id == account_of(office, "Maker")
    registry.reset(office.database, office.keys.cipher, keyboard, account_of(office, "Linked"), now=office.now)
    assert office.rows("SELECT 1 FROM account_hands") == []
    assert linked.get("/").status_code == 303


def test_verdicts_on_a_case_are_of_two_hands(office: Any, appeal: str, sign_in: Callable[..., Any]) -> None:
    an, bo = sign_in("reviewer", area="east", name="An"), sign_in("reviewer", area="east", name="Bo")
    with office.database.begin() as connection:
        accounts.add_hand(connection, account_of(office, "Bo"), account_of(office, "An"), "reset", office.now)
    assert decide(an, appeal).headers["location"].endswith("done=case_said")
    refused = decide(bo, appeal)
    assert (refused.status_code in (409, 422), SAID in refused.text) == (True, True)
    assert office.rows("SELECT state FROM cases")[0].state == "in_review"
    assert decide(sign_in("reviewer", area="east", name="Li"), appeal).headers["location"].endswith("case_decided")
