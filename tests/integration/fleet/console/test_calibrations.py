"""The page of calibrations: proposals of thresholds with what they rest on, and how the scores of sessions lie."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from fleet.store.session_figures import comparison_scores
from fleet.updates import calibration
from fleet.updates.calibration import Proposal, Wanted
from protocol.references import protect

pytestmark = pytest.mark.integration
NETWORK = "features_mobilefacenet"
SIZE = 128


def enrol(office: Any) -> None:
    """Give everybody a reference of a face about a common direction."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=SIZE) * 0.35
    with office.database.begin() as connection:
        for subject_id in office.people:
            values = rng.normal(size=SIZE) + common
            features = protect(np.asarray(values / np.linalg.norm(values), np.float32), office.keys.feature_keys["d1"])
            connection.execute(
                text(
                    "INSERT INTO references_ (subject_id, reference_id, features, model_sha256, runtime, key_domain,"
                    " quality, capture, legal_basis, captured_at, valid_until) VALUES (:subject, :reference, :features,"
                    " repeat('d', 64), 'test', 'd1', 80, 'live', 'consent', :at, '2029-11-20')"
                ),
                {
                    "subject": subject_id,
                    "reference": rng.bytes(16).hex(),
                    "features": features.tobytes(),
                    "at": office.now - timedelta(days=10),
                },
            )


def propose(office: Any, area: str | None = None) -> Proposal:
    wanted = Wanted(NETWORK, 1e-3, 1e-2, area=area)
    return calibration.propose(office.database, office.keys, wanted, by="甲", now=office.now, today=office.now.date())


@pytest.fixture
def calibrated(office: Any) -> tuple[Any, Proposal]:
    office.import_people(40)
    enrol(office)
    return office, propose(office)


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def test_a_proposal_is_shown_with_its_intervals_people_and_approvals(
    calibrated: tuple[Any, Proposal], sign_in: Callable[..., Any]
) -> None:
    office, proposal = calibrated
    page = words(sign_in("viewer").get("/figures/calibrations").text)
    low, high = proposal.raw.match_interval
    assert f"raw {proposal.raw.match} {proposal.raw.match_estimate} ({low} – {high}) 0.001 {proposal.raw.grey}" in page
    assert f"before {proposal.before.match}" in page
    assert "People compared 40 of 40" in page
    assert "Pairs 780" in page
    assert "waits: 0 of 2 approvals" in page
    assert "too few people for the cohort" in page
    assert f" {round(proposal.raw.tail.start, 4)} 10.0 raw" in page, (
        "a tenth of the pairs lies above where the tail begins"
    )
    for place, name in enumerate(("乙", "丙")):
        calibration.approve(
            office.database,
            office.keys,
            proposal.calibration_id,
            by=name,
            now=office.now + timedelta(minutes=place + 1),
        )
    page = sign_in("viewer").get("/figures/calibrations").text
    assert "in force" in words(page)
    models = sign_in("viewer").get("/figures/models").text
    assert "calibrated on 40 of your own people, 780 pairs" in models
    anchor = f"c-{proposal.calibration_id}"
    assert f'href="/figures/calibrations#{anchor}"' in models
    assert f'id="{anchor}"' in page


def test_a_proposal_of_an_area_is_for_whoever_may_look_there(office: Any, sign_in: Callable[..., Any]) -> None:
    office.import_people(40, area="east")
    enrol(office)
    proposal = propose(office, "east")
    for area, is_seen in ((None, True), ("east", True), ("west", False)):
        page = sign_in("viewer", area=area).get("/figures/calibrations").text
        assert (proposal.calibration_id[:8] in page) is is_seen
    assert "no calibration yet" in sign_in("viewer", area="west").get("/figures/calibrations").text


def test_scores_of_sessions_are_counted_by_zone_and_few_are_not_shown(
    office: Any, terminal: Any, sign_in: Callable[..., Any]
) -> None:
    office.import_people(1)
    office.hold_references()
    (subject,) = office.people
    base = terminal.record(subject_id=subject, token=office.people[subject]).comparison
    scores = [0.61, 0.62, 0.64, 0.66, 0.7, 0.71, 0.72, 0.74, 0.8]
    for place, score in enumerate([*scores, -0.02]):
        zone = "match" if score > 0 else "non_match"
        comparison = base.model_copy(update={"score": score, "zone": zone})
        if place == len(scores):
            assert "fewer than 10" in sign_in("viewer").get("/figures/calibrations").text
        at = office.now - timedelta(days=place)
        office.send(
            terminal, terminal.next(subject_id=subject, token=office.people[subject], at=at, comparison=comparison)
        )
    with office.database.begin() as connection:
        found = {(each.zone, each.low): each.sessions for each in comparison_scores(connection, None)}
        assert comparison_scores(connection, ["west"]) == []
    assert found == {
        ("match", 0.6): 3, ("match", 0.65): 1, ("match", 0.7): 4, ("match", 0.8): 1, ("non_match", -0.05): 1,
    }  # fmt: skip
    page = words(sign_in("viewer").get("/figures/calibrations").text)
    assert "-0.05 0 0 1 " in page
    assert " 0.60 3 0 0 " in page
    assert " 0.75 0 0 0 " in page
