"""Whoever was at the terminal does not review it, whatever they are called there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from fleet.accounts import registry
from fleet.staff.registry import add_operator
from protocol.outcomes import Outcome
from protocol.staff import Role as StaffRole
from tests.integration.fleet.console.test_cases import decide

pytestmark = pytest.mark.integration


@pytest.fixture
def operated(office: Any, terminal: Any) -> Callable[..., str]:
    """Open an appeal of a session that the operator w-7k2p9m was at; she is called Wang there."""
    office.import_people(1)
    ((subject_id, token),) = office.people.items()
    add_operator(
        office.database,
        office.keys,
        "Wang",
        roles=[StaffRole.WORKER],
        area="east",
        valid_until=date(2027, 1, 1),
        now=office.now,
        operator_id="w-7k2p9m",
    )

    def open_case() -> str:
        at = office.now - timedelta(days=2)
        given = {"subject_id": subject_id, "token": token, "at": at, "operator": "w-7k2p9m"}
        office.send(terminal, terminal.next(outcome=Outcome.REVIEW, **given))
        return str(office.rows("SELECT case_id FROM cases")[0].case_id)

    return open_case


def account_of(office: Any, name: str) -> str:
    with office.database.begin() as connection:
        return registry.find(connection, office.keys.cipher, name)


@pytest.mark.parametrize("is_before", [True, False], ids=["linked-before", "linked-after"])
def test_an_operator_does_not_review_her_own_session_under_another_name(
    office: Any, operated: Callable[..., str], sign_in: Callable[..., Any], is_before: bool
) -> None:
    admin = sign_in("area_administrator", area="east", name="Admin")
    her = sign_in("reviewer", area="east", name="Wang (review desk)")
    path = "/accounts/" + account_of(office, "Wang (review desk)")
    case_id = "" if is_before else operated()
    done = admin.send_form(f"{path}/operators", {"operator_id": "w-7k2p9m"})
    assert done.headers["location"] == f"{path}?done=operator_linked"
    assert "w-7k2p9m" in admin.get(path).text
    case_id = case_id or operated()
    assert "You took it in" in her.get(f"/cases/{case_id}").text
    refused = her.send_form(f"/cases/{case_id}/take-up")
    assert (refused.status_code, "You took this case in" in refused.text) == (409, True)
    version = len(office.rows("SELECT 1 FROM case_events"))
    refused = her.send_form(f"/cases/{case_id}/close", {"closing": "withdrawn", "version": version})
    assert refused.status_code == 409
    for name in ("An", "Bo"):
        assert decide(sign_in("reviewer", area="east", name=name), case_id).status_code == 303
    assert office.rows("SELECT state FROM cases")[0].state == "passed"


def test_a_link_is_undone_and_is_within_ones_areas(
    office: Any, operated: Callable[..., str], sign_in: Callable[..., Any]
) -> None:
    case_id = operated()
    her = sign_in("reviewer", area="east", name="Wang (review desk)")
    path = "/accounts/" + account_of(office, "Wang (review desk)")
    admin = sign_in("area_administrator", area="east", name="Admin")
    unknown = admin.send_form(f"{path}/operators", {"operator_id": "w-none"})
    assert (unknown.status_code, "no operator of this number" in unknown.text) == (422, True)
    assert admin.send_form(f"{path}/operators", {"operator_id": "w-7k2p9m"}).status_code == 303
    assert her.send_form(f"/cases/{case_id}/take-up").status_code == 409
    gone = admin.send_form(f"{path}/operators", {"operator_id": "w-7k2p9m", "gone": "yes"})
    assert gone.headers["location"] == f"{path}?done=operator_unlinked"
    assert her.send_form(f"/cases/{case_id}/take-up").status_code == 303
    with office.database.begin() as connection:
        connection.exec_driver_sql("UPDATE operators SET area = 'west'")
    refused = admin.send_form(f"{path}/operators", {"operator_id": "w-7k2p9m"})
    assert (refused.status_code, "not one of yours" in refused.text) == (409, True)
    actions = office.rows("SELECT action FROM audit_log WHERE action LIKE 'account.operator%' ORDER BY entry")
    assert [row.action for row in actions] == ["account.operator_linked", "account.operator_unlinked"]
