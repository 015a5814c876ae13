"""The fleet's statements about its terminals' keys, on their way to the terminals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from fleet.store import terminals
from protocol.attestation import SignedStatement, read_attestation
from protocol.topics import Kind

pytestmark = pytest.mark.integration


def statements(office: Any, only: str | None = None) -> dict[str, SignedStatement]:
    public = office.keys.signing.public()
    found = {}
    for answer in office.handler.push_attestations(only):
        assert answer.topic.kind is Kind.ATTESTATION
        found[answer.topic.terminal_id] = read_attestation(answer.payload, public).opened(public)
    return found


def test_every_terminal_in_service_gets_a_statement_of_its_own_key(
    office: Any, terminal: Any, make_fleet_terminal: Callable[..., Any]
) -> None:
    second = make_fleet_terminal(terminal_id="t-2")
    office.register(second)
    found = statements(office)
    assert {name: signed.statement.key for name, signed in found.items()} == {
        "t-1": terminal.signing.public(),
        "t-2": second.signing.public(),
    }
    assert set(statements(office, "t-2")) == {"t-2"}
    assert statements(office, "t-9") == {}


def test_a_statement_covers_two_years_from_the_first_of_the_agencys_month(office: Any, terminal: Any) -> None:
    # Half past four in the afternoon of November 30 in UTC is December 1 in China.
    office.now = datetime(2026, 11, 30, 16, 30, tzinfo=UTC)
    statement = statements(office)["t-1"].statement
    assert (statement.valid_from, statement.valid_until) == (date(2026, 12, 1), date(2028, 11, 30))
    assert office.handler.attestations_from() == date(2026, 12, 1)


def test_a_retired_terminal_gets_no_further_statement(office: Any, terminal: Any) -> None:
    with office.database.begin() as connection:
        assert terminals.retire(connection, "t-1", now=office.now)
    assert statements(office) == {}
