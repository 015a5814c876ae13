"""The page of policy and thresholds, and the two approvals of thresholds."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from fleet.store.policies import newest_policy
from fleet.updates.policy_parts import parts_of
from fleet.web.texts import load_texts
from protocol.policy import default_policy
from protocol.references import protect

pytestmark = pytest.mark.integration
NETWORK = "features_mobilefacenet"
WANTED = {"network": NETWORK, "fmr": "0.001", "grey_fmr": "0.01", "area": "", "model": ""}


@pytest.fixture
def agency(office: Any) -> Any:
    """A fleet of forty people with a reference each."""
    office.import_people(40)
    rng = np.random.default_rng(0)
    common = rng.normal(size=128) * 0.35
    with office.database.begin() as connection:
        for subject_id in office.people:
            values = rng.normal(size=128) + common
            features = protect(np.asarray(values / np.linalg.norm(values), np.float32), office.keys.feature_keys["d1"])
            connection.execute(
                text(
                    "INSERT INTO references_ (subject_id, reference_id, features, model_sha256, runtime, key_domain,"
                    " quality, capture, legal_basis, captured_at, valid_until) VALUES (:subject, :reference, :features,"
                    " :model, 'test', 'd1', 80, 'live', 'consent', :at, '2029-11-20')"
                ),
                {
                    "subject": subject_id,
                    "reference": rng.bytes(16).hex(),
                    "features": features.tobytes(),
                    "model": "d" * 64,
                    "at": office.now - timedelta(days=10),
                },
            )
    return office


def propose(client: Any, **changed: str) -> Any:
    return client.send_form("/rules/calibrations", {**WANTED, **changed})


def proposed(client: Any) -> str:
    """Propose thresholds and return the address of the proposal."""
    answer = propose(client)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"]).partition("?")[0]


def in_force(office: Any) -> Any:
    with office.database.begin() as connection:
        found = newest_policy(connection)
    assert found is not None
    return found.policy


@pytest.mark.parametrize("language", ["zh", "en"])
def test_everything_that_a_policy_says_has_a_name_in_every_language(language: str) -> None:
    words = load_texts()[language]["rules"]["policy"]
    for part in parts_of(default_policy()):
        assert part.section in words["sections"]
        assert not part.name or part.name in words["names"]
        for field, value in part.values.items():
            assert field in words["fields"][part.section], (part.section, field)
            if isinstance(value, tuple):
                assert all(each in words["names"] for each in value if isinstance(each, str))


def test_the_policy_in_force_is_shown_with_who_has_it(agency: Any, terminal: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("viewer", area="east", language="zh")
    page = client.get("/rules/policy").text
    for shown in (in_force(agency).policy_version, "匹配阈值", "0.6", "动作配合、立体", "向左转头", "不便活动者"):
        assert shown in page
    assert f"/terminals/{terminal.terminal_id}" in page
    assert terminal.terminal_id not in sign_in("viewer", area="west").get("/rules/policy").text
    with agency.database.begin() as connection:
        connection.execute(text("UPDATE terminals SET policy_version = :v"), {"v": in_force(agency).policy_version})
    assert "都已采用现行策略" in client.get("/rules/policy").text


def test_thresholds_are_proposed_and_come_into_force_by_two_persons(agency: Any, sign_in: Callable[..., Any]) -> None:
    first, second = (sign_in("fleet_administrator", name=name) for name in ("Zhao", "Qian"))
    before = in_force(agency)
    address = proposed(first)
    page = first.get(address).text
    assert ">780</dd>" in page
    assert "Zhao" in page
    assert first.send_form(f"{address}/approve").headers["location"].endswith("done=calibration_approved")
    same = first.send_form(f"{address}/approve")
    assert same.status_code == 409
    assert "another person must" in same.text
    assert in_force(agency) == before
    assert second.send_form(f"{address}/approve").headers["location"].endswith("done=calibration_in_force")
    policy = in_force(agency)
    assert policy.comparison[NETWORK].source is not None
    assert policy.policy_version in first.get("/rules/policy").text
    late = second.send_form(f"{address}/approve")
    assert late.status_code == 409
    assert "is in force as policy" in late.text


def test_of_two_persons_who_approve_thresholds_at_once_both_count(agency: Any, sign_in: Callable[..., Any]) -> None:
    clients = [sign_in("fleet_administrator", name=name) for name in ("Zhao", "Qian", "Qian")]
    address = proposed(clients[0])
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda client: client.send_form(f"{address}/approve").status_code, clients))
    assert sorted(answers) == [303, 303, 409]
    assert in_force(agency).comparison[NETWORK].source is not None


@pytest.mark.parametrize(
    ("changed", "status", "told"),
    [
        ({"fmr": "much"}, 422, "误识率应满足"),
        ({"fmr": "0.5", "grey_fmr": "0.9"}, 422, "误识率应满足"),
        ({"fmr": "nan"}, 422, "误识率应满足"),
        ({"network": "<script>"}, 409, "没有网络 &lt;script&gt; 的阈值"),
        ({"area": "nowhere"}, 409, "没有人有此网络的可用模板"),
        ({"fmr": "0.0000001"}, 409, "求不出阈值"),
    ],
)
def test_what_thresholds_cannot_be_found_for_is_said_and_kept(
    agency: Any, sign_in: Callable[..., Any], changed: dict[str, str], status: int, told: str
) -> None:
    answer = propose(sign_in("fleet_administrator", language="zh"), **changed)
    assert answer.status_code == status
    assert told in answer.text
    assert agency.rows("SELECT 1 FROM calibrations") == []


def test_only_who_may_proposes_and_approves_thresholds(agency: Any, sign_in: Callable[..., Any]) -> None:
    boss = sign_in("fleet_administrator")
    address = proposed(boss)
    for client in (sign_in("auditor"), sign_in("reviewer"), sign_in("area_administrator", area="east")):
        assert propose(client).status_code == 403
        assert client.send_form(f"{address}/approve").status_code == 403
    assert sign_in("auditor").get(address).status_code == 200
    assert sign_in("viewer", area="east").get(address).status_code == 403
    assert boss.get(address[:-4]).status_code == 404
    assert boss.send_form(f"{address[:-4]}/approve").status_code == 404


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_policy_and_thresholds_in_a_browser(
    agency: Any, terminal: Any, browse: Callable[..., Any], language: str, width: int
) -> None:
    seen = browse("fleet_administrator", name="Zhao", language=language, width=width)
    page = seen.go("/rules/policy")
    seen.check(f"policy-{language}-{width}")
    page.locator("main details.card summary").click()
    page.locator("main details.card button").click()
    page.wait_for_url("**done=calibration_proposed*")
    seen.check(f"calibration-{language}-{width}")
    page.locator("form[action$=approve] button").click()
    page.wait_for_url("**done=calibration_approved*")
