"""Which policy is in force, and what a version stands for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.errors import Refused
from fleet.store import policies
from protocol.policy import Policy, default_policy

pytestmark = pytest.mark.integration
LATER = default_policy().model_copy(update={"policy_version": "later"})


def in_force(office: Any) -> Policy:
    with office.database.begin() as connection:
        found = policies.newest_policy(connection)
    assert found is not None
    return found.policy


def test_the_fleet_dates_a_policy_when_it_signs(office: Any) -> None:
    far = LATER.model_copy(update={"issued_at": datetime(2999, 1, 1, tzinfo=UTC)})
    assert office.publish(far, office.now)
    assert in_force(office).issued_at == office.now


def test_the_policy_in_force_can_be_sent_again_and_stays_what_it_is(office: Any) -> None:
    before = in_force(office)
    assert not office.publish(default_policy(), office.now)
    assert in_force(office) == before


def test_a_version_is_never_issued_with_other_contents(office: Any) -> None:
    other = default_policy().model_copy(update={"max_clock_uncertainty_s": 1.0})
    with pytest.raises(Refused, match="other contents"):
        office.publish(other, office.now)


def test_a_replaced_policy_needs_a_new_version_to_come_back(office: Any) -> None:
    office.publish(LATER, office.now)
    with pytest.raises(Refused, match="replaced"):
        office.publish(default_policy(), office.now + timedelta(days=1))
    assert in_force(office).policy_version == "later"


def test_a_clock_before_the_last_issue_issues_nothing(office: Any) -> None:
    with pytest.raises(Refused, match="clock"):
        office.publish(LATER, office.now - timedelta(days=2))
