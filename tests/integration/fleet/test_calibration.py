"""Thresholds from the fleet's own people: proposed, approved by two, signed into a policy."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from fleet.errors import NotFound, Refused
from fleet.store import calibrations, policies
from fleet.store.database import Database
from fleet.store.names import seal_approver
from fleet.updates import calibration
from fleet.updates.calibration import Proposal, Wanted
from protocol.envelope import verify
from protocol.policy import POLICY_TYP, ComparisonPolicy, NormalisedThresholds, Policy, default_policy
from protocol.references import protect

pytestmark = pytest.mark.integration
NETWORK = "features_mobilefacenet"
WANTED = Wanted(NETWORK, 1e-3, 1e-2)
SIZE = 128


def enrol(office: Any, count: int, *, seed: int = 0, model: str = "d", area: str | None = None) -> None:
    """Give so many people, in order of import, a reference of a face about a common direction."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=SIZE) * 0.35
    with office.database.begin() as connection:
        where = "" if area is None else "WHERE area = :area"
        everybody = connection.execute(
            text(f"SELECT subject_id FROM subjects {where} ORDER BY document_sealed"),
            {} if area is None else {"area": area},
        ).scalars()
        for subject_id in list(everybody)[:count]:
            values = rng.normal(size=SIZE) + common
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
                    "model": model * 64,
                    "at": office.now - timedelta(days=10),
                },
            )


def propose(office: Any, wanted: Wanted = WANTED, by: str = "Zhao") -> Proposal:
    return calibration.propose(office.database, office.keys, wanted, by=by, now=office.now, today=office.now.date())


def approve(office: Any, proposal: Proposal, by: str, *, later: timedelta = timedelta(hours=1)) -> Any:
    return calibration.approve(office.database, office.keys, proposal.calibration_id, by=by, now=office.now + later)


def in_force(office: Any) -> tuple[Policy, bytes]:
    with office.database.begin() as connection:
        found = policies.newest_policy(connection)
    assert found is not None
    return found.policy, found.envelope


def test_two_different_persons_put_a_proposal_in_force_with_its_source(office: Any) -> None:
    office.import_people(40)
    enrol(office, 40)
    proposal = propose(office)
    assert (proposal.people, proposal.pairs, proposal.population) == (40, 780, "fleet")
    assert proposal.raw.match_interval[0] < proposal.raw.match_estimate < proposal.raw.match
    assert proposal.normalised is None
    assert "202 needed" in (proposal.why_not_normalised or "")
    assert in_force(office)[0] == default_policy().model_copy(update={"issued_at": in_force(office)[0].issued_at})

    assert approve(office, proposal, "Qian").policy_version is None
    for again in ("Qian", "  qian ", "Ｑｉａｎ"):
        with pytest.raises(Refused, match="another one"):
            approve(office, proposal, again)
    done = approve(office, proposal, "Sun")

    policy, envelope = in_force(office)
    assert policy.policy_version == done.policy_version
    assert policy.policy_version.endswith(f".cal-{proposal.calibration_id[:8]}")
    thresholds = policy.comparison[NETWORK]
    assert thresholds == proposal.after()
    assert thresholds.source is not None
    assert (thresholds.source.fmr, thresholds.source.people) == (1e-3, 40)
    public = office.keys.signing.public()
    assert Policy.parse(verify(envelope, key_of=lambda _: public, typ=POLICY_TYP).payload) == policy
    untouched = {name: value for name, value in policy.comparison.items() if name != NETWORK}
    assert untouched == {k: v for k, v in default_policy().comparison.items() if k != NETWORK}
    with pytest.raises(Refused, match="is in force"):
        approve(office, proposal, "Li")


def test_with_enough_people_normalised_thresholds_are_proposed_too(office: Any) -> None:
    office.import_people(220)
    enrol(office, 220)
    proposal = propose(office)
    assert proposal.normalised is not None
    assert proposal.why_not_normalised is None
    found = proposal.after().normalised
    assert found is not None
    assert (found.least_people, found.source.people) == (200, 220)
    assert found.match < proposal.raw.match


def test_a_proposal_and_both_approvals_are_in_the_audit_log(office: Any) -> None:
    office.import_people(20)
    enrol(office, 20)
    proposal = propose(office, by="Zhao")
    approve(office, proposal, "Qian")
    with pytest.raises(Refused):
        approve(office, proposal, "Qian")
    done = approve(office, proposal, "Sun")
    found = office.rows("SELECT action, object_id, detail, actor_sealed FROM audit_log ORDER BY entry")
    assert [(row.action, row.detail) for row in found] == [
        ("calibration.proposed", {"people": 20}),
        ("calibration.approved", {"approvals": 1}),
        ("calibration.put_in_force", {"approvals": 2, "policy_version": done.policy_version}),
    ]
    assert {row.object_id for row in found} == {proposal.calibration_id}
    opened = [office.keys.cipher.decrypt(row.actor_sealed, subject_id="audit", field_name="actor") for row in found]
    assert opened == ["Zhao", "Qian", "Sun"]


def test_the_proposer_counts_only_when_approving(office: Any) -> None:
    office.import_people(20)
    enrol(office, 20)
    proposal = propose(office, by="Zhao")
    assert approve(office, proposal, "Qian").approvals == 1
    assert approve(office, proposal, "Zhao").policy_version is not None


def test_a_small_roster_keeps_the_thresholds_in_force_and_says_why(office: Any) -> None:
    office.import_people(14)
    with pytest.raises(Refused, match="nobody"):
        propose(office)
    enrol(office, 14)
    with pytest.raises(Refused, match=r"14 people, 15 needed .* stay \(match 0.6\)"):
        propose(office)
    assert office.rows("SELECT 1 FROM calibrations") == []
    assert in_force(office)[0].comparison == default_policy().comparison


def test_one_person_enrolled_many_times_raises_no_threshold_beyond_use(office: Any) -> None:
    office.import_people(20)
    enrol(office, 20)
    office.rows("UPDATE references_ SET features = (SELECT min(features) FROM references_) RETURNING 1")
    with pytest.raises(Refused, match="stay"):
        propose(office)


def test_two_references_alike_are_counted_for_a_look(office: Any) -> None:
    office.import_people(60)
    enrol(office, 60)
    office.rows(
        "UPDATE references_ SET features = (SELECT features FROM references_ ORDER BY reference_id LIMIT 1)"
        " WHERE reference_id IN (SELECT reference_id FROM references_ ORDER BY reference_id LIMIT 2) RETURNING 1"
    )
    assert propose(office).doubles == 1


def test_an_area_is_calibrated_alone(office: Any) -> None:
    office.import_people(20, area="east")
    office.import_people(18, area="west", first=101)
    enrol(office, 40)
    proposal = propose(office, Wanted(NETWORK, 1e-3, 1e-2, area="west"))
    assert (proposal.people, proposal.population) == (18, "area west")


def test_withdrawn_expired_and_foreign_references_are_not_compared(office: Any) -> None:
    office.import_people(30)
    enrol(office, 30)
    ids = [row.reference_id for row in office.rows("SELECT reference_id FROM references_ ORDER BY 1")]
    office.rows(
        "UPDATE references_ SET withdrawn_at = now(), features = '' WHERE reference_id = :r RETURNING 1", r=ids[0]
    )
    office.rows("UPDATE references_ SET valid_until = '2020-01-01' WHERE reference_id = :r RETURNING 1", r=ids[1])
    office.rows("UPDATE references_ SET key_domain = 'd0' WHERE reference_id = :r RETURNING 1", r=ids[2])
    proposal = propose(office)
    assert (proposal.people, proposal.people_left_out) == (27, 1)


def test_several_networks_need_a_choice(office: Any) -> None:
    office.import_people(20)
    enrol(office, 20)
    enrol(office, 16, seed=1, model="e")
    with pytest.raises(Refused, match="--model"):
        propose(office)
    assert propose(office, Wanted(NETWORK, 1e-3, 1e-2, model_sha256="ee")).people == 16


def test_a_proposal_that_others_overtook_or_that_is_old_is_refused(office: Any) -> None:
    office.import_people(20)
    enrol(office, 20)
    first, second = propose(office), propose(office)
    for name in ("Qian", "Sun"):
        approve(office, first, name)
    approve(office, second, "Qian")
    with pytest.raises(Refused, match="changed since"):
        approve(office, second, "Sun", later=timedelta(hours=2))
    assert in_force(office)[0].policy_version.endswith(first.calibration_id[:8])
    with pytest.raises(Refused, match="older than"):
        approve(office, second, "Li", later=timedelta(days=91))
    again = propose(office)
    for name in ("Qian", "Sun"):
        approve(office, again, name, later=timedelta(hours=3))
    assert in_force(office)[0].policy_version == f"{default_policy().policy_version}.cal-{again.calibration_id[:8]}"


def test_what_does_not_exist_is_named(office: Any) -> None:
    with pytest.raises(NotFound):
        calibration.approve(office.database, office.keys, "0123", by="Qian", now=office.now)
    with pytest.raises(Refused, match="no thresholds for network other"):
        propose(office, Wanted("other", 1e-3, 1e-2))
    with pytest.raises(Refused, match="rates"):
        Wanted(NETWORK, 1e-2, 1e-3)
    with pytest.raises(Refused, match="name"):
        propose(office, by="  ")


def test_names_are_stored_sealed_and_marked(office: Any) -> None:
    office.import_people(20)
    enrol(office, 20)
    proposal = propose(office, by="Zhao")
    approve(office, proposal, "Qian")
    (row,) = office.rows("SELECT name_sealed, name_source FROM calibration_approvals")
    assert row.name_source == "as_given"
    assert b"Qian" not in bytes(row.name_sealed)
    (stored,) = office.rows("SELECT proposal, proposer_sealed FROM calibrations")
    assert "Zhao" not in json.dumps(stored.proposal)
    opened = office.keys.cipher.decrypt(
        bytes(stored.proposer_sealed), subject_id=proposal.calibration_id, field_name="proposer"
    )
    assert opened == "Zhao"
    assert base64.b64encode(b"Zhao") not in bytes(stored.proposer_sealed)


def test_old_policies_with_thresholds_of_their_own_stay_readable(office: Any) -> None:
    stored = in_force(office)[0].comparison[NETWORK]
    assert stored == ComparisonPolicy(match=0.6, grey=0.452)


@pytest.fixture
def approve_at_once(
    office: Any, database_url: str, eventually: Callable[..., None]
) -> Callable[[Proposal, tuple[str, ...]], list[str]]:
    """Have several persons approve at the same time, each over a connection of their own; return how it went, sorted.

    All of them stand in the middle of their transaction, waiting for the proposal's row, before the first may go on.
    """

    def attempt(proposal: Proposal, name: str) -> str:
        own = Database(database_url)
        try:
            done = calibration.approve(own, office.keys, proposal.calibration_id, by=name, now=office.now)
        except Refused as error:
            return f"refused: {error}"
        finally:
            own.close()
        return "in force" if done.policy_version else "first"

    def waiting() -> int:
        with office.database.begin() as watching:
            found = watching.execute(
                text(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE'"
                )
            )
            return int(found.scalar_one())

    def run(proposal: Proposal, names: tuple[str, ...]) -> list[str]:
        with ThreadPoolExecutor(len(names)) as pool:
            with office.database.begin() as holding:
                calibrations.lock_calibrations(holding, proposal.calibration_id)
                asked = [pool.submit(attempt, proposal, name) for name in names]
                eventually(lambda: waiting() == len(names), "all of them wait")
            return sorted(one.result() for one in asked)

    return run


def test_one_person_approving_twice_at_once_counts_once(office: Any, approve_at_once: Any) -> None:
    office.import_people(20)
    enrol(office, 20)
    proposal = propose(office)
    first, refused = approve_at_once(proposal, ("Qian", " QIAN"))
    assert first == "first"
    assert "another one must" in refused
    assert len(office.rows("SELECT 1 FROM calibration_approvals")) == 1
    assert in_force(office)[0].comparison == default_policy().comparison


def test_of_three_persons_approving_at_once_two_put_it_in_force_once(office: Any, approve_at_once: Any) -> None:
    office.import_people(20)
    enrol(office, 20)
    proposal = propose(office)
    first, second, refused = approve_at_once(proposal, ("Qian", "Sun", "Li"))
    assert (first, second) == ("first", "in force")
    assert "is in force as policy" in refused
    assert [row.place for row in office.rows("SELECT place FROM calibration_approvals ORDER BY 1")] == [1, 2]
    assert in_force(office)[0].comparison[NETWORK] == proposal.after()
    assert len(office.rows("SELECT 1 FROM policies")) == 2


def test_the_database_itself_wants_two_different_persons(office: Any) -> None:
    office.import_people(20)
    enrol(office, 20)
    calibration_id = propose(office).calibration_id
    version = default_policy().policy_version

    def add(place: int, name: str) -> None:
        with office.database.begin() as connection:
            sealed = seal_approver(office.keys.cipher, name, of=calibration_id)
            calibrations.add_approval(connection, calibration_id, place=place, name=sealed, now=office.now)

    def put_in_force() -> None:
        with office.database.begin() as connection:
            calibrations.set_policy(connection, calibration_id, version)

    with pytest.raises(IntegrityError, match="foreign key"):
        put_in_force()
    add(1, "Qian")
    with pytest.raises(IntegrityError, match="unique"):
        add(2, "ｑｉａｎ ")
    with pytest.raises(IntegrityError, match="check"):
        add(3, "Sun")
    with pytest.raises(IntegrityError, match="foreign key"):
        put_in_force()
    add(2, "Sun")
    put_in_force()
    with pytest.raises(IntegrityError, match="foreign key"):
        office.rows("DELETE FROM calibration_approvals WHERE place = 1 RETURNING 1")
    office.rows("DELETE FROM calibrations RETURNING 1")
    assert office.rows("SELECT 1 FROM calibration_approvals") == []


def with_thresholds(version: str, limits: ComparisonPolicy, network: str = NETWORK) -> Policy:
    shipped = default_policy()
    return shipped.model_copy(update={"policy_version": version, "comparison": {**shipped.comparison, network: limits}})


def test_approved_thresholds_can_be_published_again_beside_other_changes(office: Any) -> None:
    office.import_people(20)
    enrol(office, 20)
    proposal = propose(office)
    for name in ("Qian", "Sun"):
        approve(office, proposal, name)
    later = office.now + timedelta(hours=2)
    office.publish(default_policy().model_copy(update={"policy_version": "shipped-values"}), later)
    assert office.publish(with_thresholds("calibrated-again", proposal.after()), later + timedelta(hours=1))
    assert in_force(office)[0].comparison[NETWORK] == proposal.after()


def test_thresholds_that_name_a_calibration_must_be_those_that_two_persons_approved(office: Any) -> None:
    office.import_people(20)
    enrol(office, 20)
    proposal = propose(office)
    found = proposal.after()
    assert found.source is not None
    later = office.now + timedelta(hours=2)

    def refused(limits: ComparisonPolicy, network: str = NETWORK) -> None:
        for names in ((), ("Li", "Wu")):
            with pytest.raises(Refused, match=f"{network}.* names calibration .*approve-calibration"):
                office.publish(with_thresholds("forged", limits, network), later, names)

    refused(found)
    approve(office, proposal, "Qian")
    refused(found)
    approve(office, proposal, "Sun")
    refused(found.model_copy(update={"match": found.match - 0.001}))
    refused(found.model_copy(update={"source": found.source.model_copy(update={"people": 5000})}))
    refused(found.model_copy(update={"source": found.source.model_copy(update={"calibration_id": "0" * 32})}))
    refused(found.model_copy(update={"normalised": invented_normalised(found)}))
    refused(found.model_copy(update={"source": None, "normalised": invented_normalised(found)}))
    refused(found, "features_dlib")
    assert in_force(office)[0].policy_version.endswith(f".cal-{proposal.calibration_id[:8]}")


def invented_normalised(found: ComparisonPolicy) -> NormalisedThresholds:
    assert found.source is not None
    return NormalisedThresholds(match=-2, grey=-2, nearest_share=0.04, least_people=1, source=found.source)
