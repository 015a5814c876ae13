"""References that move to new keys and follow a person's ageing, on the real database."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from fleet.errors import NotFound, Refused
from fleet.references import domains, refresh
from fleet.references.enrol import Enrolment, enrol, withdraw
from fleet.references.refresh import RefreshRules
from fleet.store import lives
from fleet.store.terminals import find_terminals
from protocol.capture import FeatureReport
from protocol.references import MAX_REKEYS, CaptureKind, LegalBasis, Reference, encode_features, protect
from protocol.roster import RosterPage
from protocol.topics import Kind

pytestmark = pytest.mark.integration
LIVE = Enrolment(CaptureKind.LIVE, LegalBasis.CONSENT)
RULES = RefreshRules(least_likeness=0.6, least_anchor=0.45)
YEAR = timedelta(days=365)


def enrolled(office: Any, who: str, report: FeatureReport, what: Enrolment = LIVE) -> str:
    done = enrol(
        office.database,
        office.keys,
        who,
        report,
        what,
        key_domain="d1",
        validity_months=240,
        now=office.now,
        zone=office.settings.zone(),
    )
    return done.reference_id


def pushed(office: Any, terminal: Any) -> list[RosterPage]:
    return [
        office.page(answer.payload, terminal)
        for answer in office.handler.push_rosters()
        if answer.topic.kind is Kind.ROSTER
    ]


def cosine(one: Any, other: Any) -> float:
    a, b = np.asarray(one, float), np.asarray(other, float)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def secret(page: RosterPage, domain: str) -> bytes:
    return base64.urlsafe_b64decode(page.feature_keys[domain] + "=")


@pytest.fixture
def who(office: Any) -> str:
    return str(office.import_people(1).subject_ids[0])


# --- new keys -----------------------------------------------------------------------------------------------------------


def test_references_move_to_a_new_domain_and_terminals_get_them_instead_of_the_old_ones(
    office: Any, terminal: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    old = enrolled(office, who, feature_report(1))
    office.assign_all(terminal.terminal_id)
    (before,) = pushed(office, terminal)
    done = domains.rotate(office.database, office.keys, "d1", now=office.now)
    assert (done.domain, done.moved, done.left) == ("d1-r1", 1, 0)
    (after,) = pushed(office, terminal)
    assert after.after == before.upto, "a delta, not the whole roster"
    (entry,) = after.entries
    (reference,) = entry.references
    assert reference.reference_id != old
    assert reference.key_domain == "d1-r1"
    probe = protect(feature_report(1).vector(), secret(after, "d1-r1"))
    assert cosine(probe, reference.vector()) > 0.999
    assert abs(cosine(before.entries[0].references[0].vector(), reference.vector())) < 0.4, "cannot be linked"
    assert office.rows("SELECT features FROM references_ WHERE reference_id = :id", id=old) == [(b"",)]


def test_a_record_that_names_the_old_reference_stays_what_it_was(
    office: Any, terminal: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    old = enrolled(office, who, feature_report(1))
    compared = terminal.record().comparison.model_copy(update={"reference_id": old})
    domains.rotate(office.database, office.keys, "d1", now=office.now)
    # Decided offline before the delta came, and arriving after it.
    office.send(terminal, terminal.next(subject_id=who, token=office.people[who], comparison=compared))
    assert office.rows("SELECT flags FROM records") == [([],)]


@pytest.mark.parametrize("named", ["old", "new"])
def test_withdrawing_takes_the_whole_line_whichever_id_is_named(
    office: Any, terminal: Any, who: str, feature_report: Callable[[int], FeatureReport], named: str
) -> None:
    old = enrolled(office, who, feature_report(1))
    domains.rotate(office.database, office.keys, "d1", now=office.now)
    domains.rotate(office.database, office.keys, "d1-r1", now=office.now)
    (new,) = office.rows("SELECT reference_id FROM references_ WHERE state = 'active'")
    assert withdraw(office.database, office.keys, {"old": old, "new": new[0]}[named], now=office.now) == who
    rows = office.rows("SELECT withdrawn_at IS NOT NULL, features FROM references_")
    assert rows == [(True, b"")] * 3
    with pytest.raises(NotFound):
        withdraw(office.database, office.keys, old, now=office.now)


def test_new_references_are_made_in_the_domain_in_use(
    office: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    domains.rotate(office.database, office.keys, "d1", now=office.now)
    enrolled(office, who, feature_report(1))
    assert office.rows("SELECT key_domain FROM references_") == [("d1-r1",)]


def test_a_rotation_that_was_cut_off_goes_on_and_one_that_is_done_is_refused(
    office: Any, feature_report: Callable[[int], FeatureReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [str(found) for found in office.import_people(5).subject_ids]
    for seed, who in enumerate(people):
        enrolled(office, who, feature_report(seed))
    monkeypatch.setattr(domains, "CHUNK", 2)
    touch, calls = domains.rosters.touch, []

    def cut_off(connection: Any, subject_id: str) -> int:
        calls.append(subject_id)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return touch(connection, subject_id)

    monkeypatch.setattr(domains.rosters, "touch", cut_off)
    with pytest.raises(KeyboardInterrupt):
        domains.rotate(office.database, office.keys, "d1", now=office.now)
    assert office.rows("SELECT count(*) FROM references_ WHERE state = 'active' AND key_domain = 'd1-r1'") == [(2,)]
    done = domains.rotate(office.database, office.keys, "d1", now=office.now)
    assert (done.domain, done.moved, done.left) == ("d1-r1", 3, 0)
    with pytest.raises(Refused, match=r"was replaced by d1-r1; rotate that one"):
        domains.rotate(office.database, office.keys, "d1", now=office.now)
    with pytest.raises(NotFound, match="none of this name"):
        domains.rotate(office.database, office.keys, "d9", now=office.now)


def test_a_reference_moved_too_often_stays_and_is_counted(
    office: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    enrolled(office, who, feature_report(1))
    domain = "d1"
    for generation in range(1, MAX_REKEYS + 1):
        done = domains.rotate(office.database, office.keys, domain, now=office.now)
        assert (done.moved, done.left) == (1, 0)
        domain = done.domain
        assert domain == f"d1-r{generation}"
    last = domains.rotate(office.database, office.keys, domain, now=office.now)
    assert (last.moved, last.left) == (0, 1)
    with office.database.begin() as connection:
        (kept,) = lives.kept(connection, [who], states=("active",))[who]
        key = domains.feature_keys(connection, office.keys)[domain]
    assert cosine(protect(feature_report(1).vector(), key), kept.reference.vector()) > 0.999


# --- ageing -------------------------------------------------------------------------------------------------------------


def aged(report: FeatureReport, years: int) -> np.ndarray:
    """The features of somebody some years later: a little further away every year, in one direction."""
    drift = np.random.default_rng(99).normal(size=128)
    found = report.vector() + 0.25 * years * drift / np.linalg.norm(drift)
    return (found / np.linalg.norm(found)).astype(np.float32)


def probe(office: Any, vector: np.ndarray, number: int, **changes: Any) -> Reference:
    fields = {
        "reference_id": f"{number:032x}",
        "features": encode_features(protect(vector, office.keys.feature_keys["d1"])),
        "model_sha256": "d" * 64,
        "runtime": "test",
        "key_domain": "d1",
        "quality": 90.0,
        "capture": CaptureKind.LIVE,
        "legal_basis": LegalBasis.CONSENT,
        "captured_at": office.now,
        "valid_until": (office.now + 20 * YEAR).date(),
    }
    return Reference.model_validate({**fields, **changes})


def proposed(office: Any, who: str, reference: Reference, rules: RefreshRules = RULES) -> refresh.Proposed:
    with office.database.begin() as connection:
        find_terminals(connection, lock=True)
        return refresh.propose(connection, office.keys, who, reference, record_id="a" * 32, rules=rules, now=office.now)


def in_use(office: Any, who: str) -> list[str]:
    with office.database.begin() as connection:
        found = lives.kept(connection, [who], states=("active",)).get(who, ())
    return [kept.reference.reference_id for kept in found]


def approved(office: Any, reference_id: str) -> None:
    refresh.approve(office.database, office.keys, reference_id, by="Qian", most=RULES.most, now=office.now)


def test_a_proposal_waits_for_a_person_and_is_then_on_the_rosters(
    office: Any, terminal: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    office.assign_all(terminal.terminal_id)
    first = enrolled(office, who, feature_report(1))
    pushed(office, terminal)
    office.now += YEAR
    found = proposed(office, who, probe(office, aged(feature_report(1), 1), 1))
    assert not found.is_approved
    assert 0.9 < found.likeness < 1
    assert pushed(office, terminal) == []
    assert in_use(office, who) == [first]
    with office.database.begin() as connection:
        (waiting,) = lives.proposals(connection, limit=9)
    assert (waiting.subject_id, waiting.proposed_record) == (who, "a" * 32)
    approved(office, found.reference_id)
    (page,) = pushed(office, terminal)
    assert [reference.reference_id for reference in page.entries[0].references] == [found.reference_id, first]
    with pytest.raises(NotFound, match="does not wait"):
        approved(office, found.reference_id)


def test_the_anchor_and_the_newest_stay_in_use_and_the_way_back_is_kept(
    office: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    first = enrolled(office, who, feature_report(1))
    ids = [first]
    for year in (1, 2, 3):
        office.now += YEAR
        ids.append(proposed(office, who, probe(office, aged(feature_report(1), year), year)).reference_id)
        approved(office, ids[-1])
    assert in_use(office, who) == [ids[3], ids[2], first]
    assert office.rows("SELECT reference_id FROM references_ WHERE state = 'set_aside'") == [(ids[1],)]

    assert refresh.revert(office.database, office.keys, who, by="Sun", now=office.now) == (ids[3], ids[1])
    assert in_use(office, who) == [ids[2], ids[1], first]
    assert office.rows("SELECT features FROM references_ WHERE reference_id = :id", id=ids[3]) == [(b"",)]
    assert refresh.revert(office.database, office.keys, who, by="Sun", now=office.now)[1] is None
    refresh.revert(office.database, office.keys, who, by="Sun", now=office.now)
    assert in_use(office, who) == [first]
    with pytest.raises(NotFound, match="no refreshed reference"):
        refresh.revert(office.database, office.keys, who, by="Sun", now=office.now)


def test_a_rule_approves_what_is_alike_enough_and_nothing_else(
    office: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    enrolled(office, who, feature_report(1))
    rules = RefreshRules(least_likeness=0.6, least_anchor=0.45, approve_from=0.95)
    office.now += YEAR
    alike = proposed(office, who, probe(office, aged(feature_report(1), 1), 1), rules)
    assert alike.is_approved
    office.now += YEAR
    # Near the newest, further from the anchor.
    drifted = proposed(office, who, probe(office, aged(feature_report(1), 2), 2), rules)
    assert drifted.likeness > 0.95
    assert not drifted.is_approved


def test_small_steps_do_not_lead_from_one_person_to_another(
    office: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    enrolled(office, who, feature_report(1))
    rules = RefreshRules(least_likeness=0.6, least_anchor=0.6, approve_from=0.6)
    one, other = feature_report(1).vector(), feature_report(2).vector()
    taken = []
    for step in range(1, 11):
        office.now += YEAR
        mixed = one * (1 - step / 10) + other * step / 10
        vector = (mixed / np.linalg.norm(mixed)).astype(np.float32)
        try:
            proposed(office, who, probe(office, vector, step), rules)
            taken.append(step)
        except Refused:
            continue
    assert taken == [1, 2, 3, 4, 5, 6], "each is near the one before, but from there on too far from the anchor"


@pytest.mark.parametrize(
    ("changes", "after", "why"),
    [
        ({"capture": CaptureKind.PHOTO_CONFIRMED}, YEAR, "not_live"),
        ({"model_sha256": "e" * 64}, YEAR, "other_network"),
        ({}, timedelta(days=30), "too_soon"),
        ({"quality": 60.0}, YEAR, "poor"),
    ],
)
def test_what_no_reference_should_be_is_refused_with_its_reason(
    office: Any, who: str, feature_report: Callable[[int], FeatureReport], changes: Any, after: timedelta, why: str
) -> None:
    enrolled(office, who, feature_report(1))
    office.now += after
    with pytest.raises(Refused) as refused:
        proposed(office, who, probe(office, feature_report(1).vector(), 1, **changes))
    assert str(refused.value) == why
    assert office.rows("SELECT count(*) FROM references_") == [(1,)]


def test_somebody_elses_face_a_second_proposal_and_a_subject_without_an_anchor_are_refused(
    office: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    with pytest.raises(Refused, match="no_anchor"):
        proposed(office, who, probe(office, feature_report(1).vector(), 1))
    enrolled(office, who, feature_report(1))
    office.now += YEAR
    with pytest.raises(Refused, match="not_alike"):
        proposed(office, who, probe(office, feature_report(2).vector(), 1))
    waiting = probe(office, feature_report(1).vector(), 1)
    proposed(office, who, waiting)
    with pytest.raises(Refused, match="known"):
        proposed(office, who, waiting)
    with pytest.raises(Refused, match="waiting"):
        proposed(office, who, probe(office, feature_report(1).vector(), 2))


def test_a_rejected_proposal_keeps_no_features(
    office: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    first = enrolled(office, who, feature_report(1))
    office.now += YEAR
    found = proposed(office, who, probe(office, feature_report(1).vector(), 1))
    assert refresh.reject(office.database, office.keys, found.reference_id, by="Qian", now=office.now) == who
    assert office.rows("SELECT state, features FROM references_ WHERE reference_id <> :id", id=first) == [
        ("rejected", b"")
    ]
    assert in_use(office, who) == [first]


def test_a_probe_made_under_a_domain_since_replaced_is_brought_to_the_one_in_use(
    office: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    enrolled(office, who, feature_report(1))
    domains.rotate(office.database, office.keys, "d1", now=office.now)
    office.now += YEAR
    found = proposed(office, who, probe(office, feature_report(1).vector(), 1))
    assert found.likeness > 0.999
    assert office.rows("SELECT key_domain FROM references_ WHERE state = 'proposed'") == [("d1-r1",)]
