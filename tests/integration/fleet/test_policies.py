"""Which policy is in force, and what a version stands for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.errors import Refused
from fleet.store import policies
from protocol.policy import ComparisonPolicy, Policy, default_policy

pytestmark = pytest.mark.integration
NETWORK = "features_mobilefacenet"
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


def judging(match: float, grey: float, *, version: str = "other", network: str = NETWORK) -> Policy:
    """Return the shipped policy with other thresholds for a network; those shipped are .6 and .452."""
    comparison = {**default_policy().comparison, network: ComparisonPolicy(match=match, grey=grey)}
    return default_policy().model_copy(update={"policy_version": version, "comparison": comparison})


@pytest.mark.parametrize(
    ("match", "grey", "names"), [(0.55, 0.452, "match 0.55"), (0.6, 0.3, "grey 0.3"), (-1, -1, "match -1")]
)
def test_lower_thresholds_need_two_persons(office: Any, match: float, grey: float, names: str) -> None:
    lower = judging(match, grey)
    with pytest.raises(Refused, match=f"{NETWORK}.* {names} is lower than .* in force and .* shipped; .*--approved-by"):
        office.publish(lower, office.now)
    for persons in (("Qian",), ("Qian", " ｑｉａｎ"), ("Qian", "Sun", "Li")):
        with pytest.raises(Refused, match="two different persons"):
            office.publish(lower, office.now, persons)
    assert office.rows("SELECT 1 FROM policy_approvals") == []
    assert in_force(office).policy_version == default_policy().policy_version

    assert office.publish(lower, office.now, ("Qian", "Sun"))
    assert in_force(office).comparison[NETWORK].match == match
    rows = office.rows("SELECT policy_version, name_sealed, name_source FROM policy_approvals ORDER BY place")
    opened = [
        office.keys.cipher.decrypt(bytes(row.name_sealed), subject_id="other", field_name="approver") for row in rows
    ]
    assert opened == ["Qian", "Sun"]
    assert {(row.policy_version, row.name_source) for row in rows} == {("other", "as_given")}


def test_higher_thresholds_and_the_way_back_to_those_shipped_need_nobody(office: Any) -> None:
    assert office.publish(judging(0.7, 0.5, version="higher"), office.now)
    later = office.now + timedelta(days=1)
    assert office.publish(judging(0.6, 0.452, version="back"), later)
    assert office.publish(judging(0.5, 0.4, version="low"), later + timedelta(days=1), ("Qian", "Sun"))
    assert office.publish(judging(0.5, 0.45, version="still-low"), later + timedelta(days=2))


def test_a_network_without_thresholds_to_measure_by_needs_two_persons(office: Any) -> None:
    new = judging(0.9, 0.8, network="features_new")
    with pytest.raises(Refused, match=r"features_new.* no thresholds"):
        office.publish(new, office.now)
    assert office.publish(new, office.now, ("Qian", "Sun"))


def test_a_first_policy_is_measured_by_what_is_shipped(office: Any) -> None:
    office.rows("DELETE FROM policies RETURNING 1")
    with pytest.raises(Refused, match=r"match 0.2 is lower than 0.6 shipped"):
        office.publish(judging(0.2, 0.1), office.now)
