"""Policies from a file in the browser: differences in words, approvals where a threshold becomes lower, publishing."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fleet.store.policies import newest_policy
from fleet.tables.toml import written
from protocol.policy import ComparisonPolicy, Policy, default_policy

pytestmark = pytest.mark.integration
NETWORK = "features_mobilefacenet"


@pytest.fixture
def office(database: Any, make_office: Callable[..., Any]) -> Any:
    made = make_office(database)
    made.now += timedelta(hours=1)
    return made


def judging(match: float, grey: float, version: str) -> str:
    comparison = {**default_policy().comparison, NETWORK: ComparisonPolicy(match=match, grey=grey)}
    made = default_policy().model_copy(update={"policy_version": version, "comparison": comparison})
    return written(made.model_dump(mode="json"))


def propose(client: Any, text: str, reason: str = "trial in the east") -> Any:
    return client.send_form("/rules/new-policy", {"text": text, "reason": reason})


def in_force(office: Any) -> Policy:
    with office.database.begin() as connection:
        newest = newest_policy(connection)
    assert newest is not None
    return newest.policy


def against(client: Any, path: str) -> str:
    return re.findall(r'name="against" value="([^"]*)"', client.get(path).text)[0]


def test_a_policy_that_lowers_nothing_is_looked_at_and_published_by_one(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("fleet_administrator", name="王芳")
    assert in_force(office).policy_version in client.get("/rules/new-policy").text
    answer = propose(client, judging(0.7, 0.452, "higher"))
    path = answer.headers["location"].partition("?")[0]
    page = client.get(path).text
    told = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "Match from 0.6 0.7 higher" in told
    assert "Grey from" not in told, "what stays is not listed"
    assert "trial in the east" in told
    assert in_force(office).policy_version != "higher", "a proposal holds for nobody"
    stale = client.send_form(f"{path}/publish", {"against": "another"})
    assert stale.status_code == 409
    assert "Another policy came into force" in stale.text
    assert client.send_form(f"{path}/approve", {"against": against(client, path), "reason": "x"}).status_code == 409
    done = client.send_form(f"{path}/publish", {"against": against(client, path)})
    assert done.status_code == 303
    assert in_force(office).comparison[NETWORK].match == 0.7
    assert client.send_form(f"{path}/publish", {"against": "higher"}).status_code == 409, "pressed twice"
    assert "It is in force" in client.get(path).text
    actions = [row.action for row in office.rows("SELECT action FROM audit_log WHERE object_kind = 'policy'")]
    assert actions[-2:] == ["policy.proposed", "policy.published"]
    assert "trial" not in str(office.rows("SELECT detail FROM audit_log"))


def test_a_lower_threshold_takes_two_persons(office: Any, sign_in: Callable[..., Any]) -> None:
    first, second = sign_in("fleet_administrator", name="王芳"), sign_in("fleet_administrator", name="李强")
    path = propose(first, judging(0.5, 0.4, "low")).headers["location"].partition("?")[0]
    version = in_force(office).policy_version
    fields = {"against": version, "reason": "glasses"}
    refused = first.send_form(f"{path}/publish", fields)
    assert refused.status_code == 409
    assert "two persons must approve" in refused.text
    assert first.send_form(f"{path}/approve", {**fields, "reason": ""}).status_code == 422
    assert first.send_form(f"{path}/approve", fields).status_code == 303
    again = first.send_form(f"{path}/approve", fields)
    assert again.status_code == 409
    assert "another person must" in again.text
    page = second.get(path).text
    assert "Approved by 1 of 2" in page
    assert "glasses" not in page, "the second does not see what the first one wrote"
    assert in_force(office).policy_version == version
    assert second.send_form(f"{path}/approve", {**fields, "reason": "seen"}).headers["location"].endswith("in_force")
    assert in_force(office).comparison[NETWORK].match == 0.5
    rows = office.rows("SELECT name_source FROM policy_approvals WHERE policy_version = 'low' ORDER BY place")
    assert [row.name_source for row in rows] == ["account", "account"]
    assert "glasses" in second.get(path).text


def test_what_is_wrong_with_a_file_is_told_by_line_and_nothing_is_stored(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("fleet_administrator", language="zh")
    wrong = judging(0.7, 0.5, "odd").replace("max_clock_uncertainty_s = ", "max_clock = ")
    wrong = wrong.replace("match = 0.7", "match = 0.4")
    page = propose(client, wrong)
    assert page.status_code == 422
    assert "灰区阈值高于匹配阈值" in page.text
    assert "<code>max_clock</code>" in page.text
    assert propose(client, "a = ").status_code == 422
    assert propose(client, " ").status_code == 422
    same = propose(client, judging(0.7, 0.5, in_force(office).policy_version))
    assert same.status_code == 422
    assert "已签发过" in same.text
    unsaid = propose(client, judging(0.7, 0.5, "new"), reason=" ")
    assert unsaid.status_code == 422
    assert "请写明理由" in unsaid.text
    assert "policy_version = &#34;new&#34;" in unsaid.text
    assert office.rows("SELECT 1 FROM policy_proposals") == []


def test_a_proposal_is_dropped_and_stays_to_be_seen(office: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator")
    path = propose(client, judging(0.7, 0.5, "dropped-one")).headers["location"].partition("?")[0]
    assert client.send_form(f"{path}/drop").status_code == 303
    assert client.send_form(f"{path}/drop").status_code == 409
    assert client.send_form(f"{path}/publish", {"against": in_force(office).policy_version}).status_code == 409
    assert "dropped-one" in sign_in("auditor").get("/rules/policies").text
    assert client.get("/rules/policies/pp-none").status_code == 404
    assert client.send_form("/rules/policies/pp-none/drop").status_code == 404
    assert "/rules/policies" not in sign_in("viewer", area="east").get("/rules/policy").text


@pytest.mark.browser
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [1366, 390])
def test_policies_in_a_browser(
    office: Any, browse: Callable[..., Any], tmp_path: Path, language: str, width: int
) -> None:
    seen = browse("fleet_administrator", language=language, width=width)
    name = f"{language}-{width}"
    page = seen.go("/rules/new-policy")
    seen.check(f"policies-new-{name}")
    own = tmp_path / "own.toml"
    own.write_text(judging(0.5, 0.45, "2026.12"), encoding="utf-8")
    page.set_input_files("#f-file", own)
    page.fill("#f-reason", "试点" if language == "zh" else "trial")
    page.locator("main form button").click()
    page.wait_for_url("**/rules/policies/pp-*")
    seen.check(f"policies-one-{name}")
    seen.go("/rules/policies")
    seen.check(f"policies-{name}")
