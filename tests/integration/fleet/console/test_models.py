"""The page of models and thresholds: what is in force, what terminals report, and what was measured."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from fleet.statistics.evaluated import evaluated
from fleet.web.labels import network_word
from protocol.policy import default_policy
from protocol.records import NetworkUse

pytestmark = pytest.mark.integration


@pytest.fixture
def reporting(office: Any, make_fleet_terminal: Callable[..., Any]) -> Any:
    """Two terminals in two areas: one decides with the networks as shipped, the other one with a file that nobody knows."""
    shipped = {each.name: each.sha256 for each in evaluated().networks}
    office.import_people(1)
    office.hold_references()
    (subject,) = office.people
    for place, (terminal_id, area) in enumerate((("t-east", "east"), ("t-west", "west"))):
        terminal = make_fleet_terminal("north", terminal_id)
        office.register(terminal, area=area)
        digests = {**shipped, **({"texture_recapture": "e" * 64} if place else {})}
        used = tuple(
            NetworkUse(name=name, sha256=digests[name], runtime="test")
            for name in ("features_mobilefacenet", "texture_recapture")
        )
        for number in range(3 - place):
            at = office.now - timedelta(days=number + 3 * place + 1)
            office.send(terminal, terminal.next(subject_id=subject, token=office.people[subject], at=at, networks=used))
    return office


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def test_thresholds_are_those_of_the_policy_in_force(office: Any, sign_in: Callable[..., Any]) -> None:
    policy = default_policy()
    page = words(sign_in("viewer").get("/figures/models").text)
    assert f"Policy {policy.policy_version}" in page
    for name, each in policy.comparison.items():
        assert f"{network_word(name, 'en')} raw {each.match} {each.grey} the default" in page
    assert f"Least similarity between phases – {policy.continuity.min_similarity}" in page
    changed = policy.comparison["features_mobilefacenet"].model_copy(update={"match": 0.6125})
    office.now += timedelta(days=1)
    comparison = {**policy.comparison, "features_mobilefacenet": changed}
    update = {"policy_version": "2027.1", "issued_at": office.now, "comparison": comparison}
    office.publish(policy.model_copy(update=update), office.now)
    page = words(sign_in("viewer").get("/figures/models").text)
    assert "Policy 2027.1" in page
    assert "face comparison (MobileFaceNet) raw 0.6125" in page
    assert "In force for raw scores of face comparison (MobileFaceNet): match 0.6125" in page


def test_what_terminals_report_is_held_against_what_they_are_shipped_with(
    reporting: Any, sign_in: Callable[..., Any]
) -> None:
    page = sign_in("viewer").get("/figures/models").text
    text = words(page)
    assert "texture of recaptures eeeeeeeeeeee : 2 sessions, at t-west" in text
    assert 'href="/terminals/t-west"' in page
    assert 'href="/terminals/t-east"' not in page
    shares = re.search(r"Which files the networks were.*?</figure>", page, re.DOTALL)
    assert shares is not None
    assert "features_mobilefacenet 100.0 0.0 texture_recapture 60.0 40.0" in words(shares[0])
    east = sign_in("viewer", area="east").get("/figures/models").text
    assert "eeeeeeeeeeee" not in east
    assert "t-west" not in east
    assert "texture_recapture 100.0" in words(east)
    assert "There are no new sessions" in sign_in("viewer", area="north").get("/figures/models").text


def test_every_network_has_its_digest_source_licence_and_the_reason_of_its_threshold(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    page = words(sign_in("viewer").get("/figures/models").text)
    for each in evaluated().networks:
        assert each.sha256 in page
        assert each.source in page
        assert each.licence.partition(" ")[0] in page
    assert "0.03: Lower of the 0.5% point" in page


def test_error_rates_are_shown_with_counts_and_intervals(office: Any, sign_in: Callable[..., Any]) -> None:
    page = words(sign_in("viewer").get("/figures/models").text)
    found = evaluated()
    assert found.comparison is not None
    assert found.sessions is not None
    assert "normalised 0.001 0.1275 76 of 4,414 1.7 % (1.0 % – 2.6 %)" in page
    assert "flat print 0 of 42 0.0 % (0.0 % – 8.4 %)" in page
    assert "another, very similar person part-way (in no total" in page
    assert "with a helper 2 of 51 3.9 % (0.5 % – 13.5 %)" in page
    assert "7,255,541 of two" in page
    curve = found.comparison.curves["all"]["raw"].det
    assert f"{100 * curve[0][0]} {100 * curve[0][1]} Everybody, raw" in page


def test_the_texts_know_everything_that_was_measured(office: Any, sign_in: Callable[..., Any]) -> None:
    for language in ("zh", "en"):
        assert sign_in("viewer", language=language).get("/figures/models").status_code == 200
