"""References that terminals made: enrolments, refreshes and photographs, sealed in records and cases."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from device.runner.claims import choose_reference
from device.runner.making import MadeReference, seal_reference
from device.vision.features import FeatureVector
from fleet.ingest.messages import Inbound
from fleet.privacy.consent import withdraw
from fleet.privacy.erasure import Request, erase
from fleet.privacy.proof import Ground
from fleet.references import cards, enrol, refresh
from fleet.references.domains import rotate
from fleet.staff import registry
from fleet.store import erasure, lives, made
from fleet.store.lives import NetworkCount, references_by_network
from protocol.cases import CaseKind, CaseReason, OtherWay, Photo, PhotoRole
from protocol.documents import DocumentKind
from protocol.envelope import seal, unverified_payload
from protocol.events import EventKind, ProposedReference
from protocol.keys import PublicJwk
from protocol.outcomes import Outcome, Reason
from protocol.policy import PathName, default_policy
from protocol.records import Claim, Comparison, Decision, NetworkUse, Purpose, SealedReference
from protocol.references import CaptureKind, LegalBasis, Reference, protect
from protocol.roster import PAGE_ENTRIES
from protocol.staff import Role
from protocol.topics import Kind

pytestmark = pytest.mark.integration

ENROLLER = "w-1"


@dataclass(frozen=True)
class Person:
    subject_id: str
    token: str

    @property
    def claim(self) -> dict[str, str]:
        return {"subject_id": self.subject_id, "token": self.token}


@pytest.fixture
def person(office: Any) -> Person:
    office.import_people(1)
    return Person(*next(iter(office.people.items())))


@pytest.fixture
def enroller(office: Any) -> str:
    registry.add_operator(
        office.database,
        office.keys,
        "甲",
        roles=[Role.ENROLLER],
        area="east",
        valid_until=date(2027, 11, 20),
        now=office.now - timedelta(days=600),
        operator_id=ENROLLER,
    )
    return ENROLLER


def features(seed: int) -> bytes:
    vector = np.random.default_rng(seed).normal(size=128)
    return np.round(vector * (127 / np.abs(vector).max())).astype(np.int8).tobytes()


def sealed(
    office: Any, *, kind: Any = "enrolment", reader: PublicJwk | None = None, plain: bytes | None = None, **changes: Any
) -> SealedReference:
    """A reference as a terminal seals it; `changes` are of what is inside."""
    reference_id = changes.pop("outer_id", None) or f"{random.getrandbits(128):032x}"
    fields: dict[str, Any] = {
        "reference_id": reference_id,
        "features": base64.b64encode(changes.pop("features", features(1))).decode(),
        "model_sha256": "d" * 64,
        "runtime": "test",
        "key_domain": "d1",
        "quality": 90.0,
        "capture": CaptureKind.PHOTO if kind == "photo" else CaptureKind.LIVE,
        "legal_basis": LegalBasis.STATUTE,
        "captured_at": office.now,
        "valid_until": date(2036, 11, 20),
    }
    inside = Reference.model_validate({**fields, **changes}).model_dump_json().encode() if plain is None else plain
    return SealedReference(
        kind=kind,
        reference_id=reference_id,
        legal_basis=LegalBasis.STATUTE,
        sealed=seal(inside, reader=reader or office.keys.sealing_key().public()).decode(),
    )


def enrolment(office: Any, person: Person, **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        **person.claim,
        "purpose": Purpose.ENROLMENT,
        "operator": ENROLLER,
        "comparison": None,
        "reference": sealed(office),
        "at": office.now - timedelta(hours=1),
    }
    return {**fields, **changes}


def compared(reference_id: str, *, capture: CaptureKind = CaptureKind.LIVE, score: float = 0.9) -> Comparison:
    thresholds = next(iter(default_policy().comparison.values()))
    return Comparison(
        reference_id=reference_id,
        capture=capture,
        score=score,
        zone=thresholds.judge(score).zone,
        match_threshold=thresholds.match,
        grey_threshold=thresholds.grey,
        model_sha256="d" * 64,
        samples=5,
    )


def result(office: Any) -> tuple[list[Any], ...]:
    """Everything that follows from the links: worth, statuses, references, what waits."""
    return (
        office.rows("SELECT record_id, pass_at, flags FROM records ORDER BY record_id"),
        office.statuses(),
        office.rows(
            "SELECT reference_id, state, waits_for, captured_at, valid_until, withdrawn_at FROM references_"
            " ORDER BY reference_id"
        ),
        office.rows(
            "SELECT record_id, subject_id, problem, waits_for, features FROM made_references ORDER BY record_id"
        ),
    )


def flags(office: Any) -> list[list[str]]:
    return [row.flags for row in office.rows("SELECT flags FROM records ORDER BY received_at, counter")]


def waits(office: Any) -> list[tuple[str, str | None]]:
    """State of every stored reference, and why it waits."""
    return [
        (row.state, row.waits_for)
        for row in office.rows("SELECT state, waits_for FROM references_ ORDER BY captured_at, reference_id")
    ]


def test_an_enrolment_by_an_enroller_certifies_and_is_a_live_reference_at_once(
    office: Any, terminal: Any, person: Person, enroller: str
) -> None:
    office.assign_all("t-1")
    with office.database.begin() as connection:
        before = connection.execute(text("SELECT roster_version FROM terminals")).scalar_one()
    sent = enrolment(office, person)
    assert office.verdicts(office.send(terminal, terminal.next(**sent))) == [("stored", None)]
    assert flags(office) == [[]]
    assert str(office.statuses()[0].last_pass_day) == "2026-11-20"
    (row,) = office.rows("SELECT * FROM references_")
    assert (row.reference_id, row.subject_id) == (sent["reference"].reference_id, person.subject_id)
    assert (row.state, row.capture, row.legal_basis) == ("active", "live", "statute")
    assert bytes(row.features) == features(1)
    assert row.captured_at == office.rows("SELECT event_at FROM records")[0].event_at
    assert row.valid_until == date(2029, 11, 20)
    # Other terminals learn it with their next page.
    assert office.rows("SELECT roster_version FROM terminals")[0].roster_version == before + 1
    (answer,) = [a for a in office.handler.push_rosters() if a.topic.kind is Kind.ROSTER]
    page = office.page(answer.payload, terminal)
    assert [r.reference_id for e in page.entries for r in e.references] == [row.reference_id]
    assert page.enrolment_domain == "d1"
    assert len(page.entries) < PAGE_ENTRIES


def test_features_stand_in_one_place_of_the_database_beside_the_signed_bytes(
    office: Any, terminal: Any, person: Person, enroller: str
) -> None:
    office.send(terminal, terminal.next(**enrolment(office, person)))
    (record,) = office.rows("SELECT payload FROM records")
    assert record.payload["reference"]["sealed"] == ""
    assert office.rows("SELECT features FROM made_references") == [(None,)]


def on_consent(office: Any, seed: int) -> SealedReference:
    made_of = sealed(office, features=features(seed), legal_basis=LegalBasis.CONSENT)
    return made_of.model_copy(update={"legal_basis": LegalBasis.CONSENT})


def test_what_was_made_before_a_withdrawn_consent_and_comes_late_is_not_kept(
    office: Any, terminal: Any, person: Person, enroller: str
) -> None:
    first = enrolment(office, person, reference=on_consent(office, 1), at=office.now - timedelta(hours=3))
    office.send(terminal, terminal.next(**first))
    late = terminal.next(**enrolment(office, person, reference=on_consent(office, 2)))
    done = withdraw(
        office.database, office.keys, person.subject_id, other_way=OtherWay.COUNTER, by="Li", now=office.now
    )
    assert done.references == 1
    office.now += timedelta(minutes=5)
    assert office.verdicts(office.send(terminal, late)) == [("stored", None)]
    assert office.rows("SELECT 1 FROM references_ WHERE withdrawn_at IS NULL") == []
    assert office.rows("SELECT 1 FROM made_references WHERE features IS NOT NULL") == []
    (late_row,) = office.rows(
        "SELECT waits_for FROM made_references WHERE record_id NOT IN (SELECT made_by_record FROM references_)"
    )
    assert late_row.waits_for == "consent_withdrawn"
    # Who is enrolled after it has agreed anew.
    again = enrolment(office, person, reference=on_consent(office, 3), at=office.now + timedelta(minutes=1))
    office.now += timedelta(minutes=2)
    office.send(terminal, terminal.next(**again))
    assert office.rows("SELECT count(*) FROM references_ WHERE withdrawn_at IS NULL AND features <> ''::bytea") == [
        (1,)
    ]


def test_an_enrolment_twice_changes_nothing(office: Any, terminal: Any, person: Person, enroller: str) -> None:
    envelope = terminal.next(**enrolment(office, person))
    office.send(terminal, envelope)
    before = result(office)
    assert office.verdicts(office.send(terminal, envelope, envelope)) == [("repeated", None)] * 2
    assert result(office) == before
    office.rebuild()
    assert result(office) == before


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"operator": "w-9"}, "operator_unfit"),
        ({"evidence": ()}, "decision_unsupported"),
        ({"quality": {}}, "decision_unsupported"),
        ({"networks": ()}, "decision_unsupported"),
        ({"reference": None}, "reference_unreadable"),
    ],
)
def test_an_enrolment_that_lacks_something_waits_for_a_person(
    office: Any, terminal: Any, person: Person, enroller: str, changes: dict[str, Any], flag: str
) -> None:
    office.send(terminal, terminal.next(**enrolment(office, person, **changes)))
    assert flags(office) == [[flag]]
    assert office.statuses()[0].last_pass_day is None
    assert waits(office) == ([] if changes.get("reference", "") is None else [("proposed", flag)])
    with office.database.begin() as connection:
        assert lives.kept(connection, [person.subject_id], states=("active",)) == {}


@pytest.mark.parametrize("changes", [{"roles": [Role.WORKER]}, {"area": "west"}, {"valid_until": date(2026, 11, 19)}])
def test_only_a_valid_enroller_of_the_area_enrols(
    office: Any, terminal: Any, person: Person, changes: dict[str, Any]
) -> None:
    fields = {"roles": [Role.ENROLLER], "area": "east", "valid_until": date(2027, 1, 1), **changes}
    registry.add_operator(
        office.database, office.keys, "甲", **fields, now=office.now - timedelta(days=9), operator_id=ENROLLER
    )
    office.send(terminal, terminal.next(**enrolment(office, person)))
    assert flags(office) == [["operator_unfit"]]


def test_a_fleet_without_operators_enrols_nobody(office: Any, terminal: Any, person: Person) -> None:
    office.send(terminal, terminal.next(**enrolment(office, person)))
    assert flags(office) == [["operator_unfit"]]


def test_a_session_that_a_person_must_judge_leaves_a_candidate(
    office: Any, terminal: Any, person: Person, enroller: str
) -> None:
    policy = default_policy()
    decision = Decision(
        outcome=Outcome.REVIEW,
        reasons=(Reason.COMPARISON_GREY,),
        policy_version=policy.policy_version,
        path=PathName.STANDARD,
    )
    office.send(terminal, terminal.next(**enrolment(office, person, decision=decision)))
    assert waits(office) == [("proposed", "review")]


def sealed_wrongly(office: Any, other: PublicJwk) -> dict[str, SealedReference]:
    return {
        "unreadable": sealed(office, reader=other),
        "unreadable ": sealed(office, plain=b"{}"),
        "other_reference": sealed(office, outer_id="a" * 32, reference_id="b" * 32),
        "other_capture": sealed(office, capture=CaptureKind.PHOTO),
        "no_features": sealed(office, features=bytes(128)),
        "no_features ": sealed(office, features=b"\x01"),
        "unknown_domain": sealed(office, key_domain="d9"),
    }


@pytest.mark.parametrize(
    "problem",
    ["unreadable", "unreadable ", "other_reference", "other_capture", "no_features", "no_features ", "unknown_domain"],
)
def test_what_is_in_the_seal_must_be_a_reference_of_this_fleet(
    office: Any, terminal: Any, person: Person, enroller: str, problem: str
) -> None:
    reference = sealed_wrongly(office, terminal.sealing.public())[problem]
    assert office.verdicts(office.send(terminal, terminal.next(**enrolment(office, person, reference=reference)))) == [
        ("stored", None)
    ]
    assert flags(office) == [["reference_unreadable"]]
    assert office.rows("SELECT problem, waits_for FROM made_references") == [(problem.strip(), problem.strip())]
    assert waits(office) == []


def test_an_id_that_another_reference_has_is_not_taken(office: Any, terminal: Any, enroller: str) -> None:
    office.import_people(2)
    one, two = (Person(*item) for item in office.people.items())
    first = sealed(office, outer_id="a" * 32)
    office.send(terminal, terminal.next(**enrolment(office, one, reference=first)))
    office.send(terminal, terminal.next(**enrolment(office, two, reference=sealed(office, outer_id="a" * 32))))
    assert office.rows("SELECT subject_id FROM references_") == [(one.subject_id,)]
    assert [row.waits_for for row in office.rows("SELECT waits_for FROM made_references ORDER BY waits_for")] == [
        "reference_id_reused",
        None,
    ]


def test_a_person_the_fleet_does_not_know_leaves_a_candidate_for_a_time(
    office: Any, terminal: Any, enroller: str
) -> None:
    stranger = Person("5" * 32, "B" * 43)
    office.send(terminal, terminal.next(**enrolment(office, stranger)))
    assert office.statuses() == []
    assert waits(office) == []
    (row,) = office.rows("SELECT subject_id, waits_for, features FROM made_references")
    assert (row.subject_id, row.waits_for, bytes(row.features)) == (None, "subject_unknown", features(1))
    with office.database.begin() as connection:
        assert made.forget_unclaimed(connection, received_before=office.now) == 0
        assert made.forget_unclaimed(connection, received_before=office.now + timedelta(days=1)) == 1
    assert office.rows("SELECT features FROM made_references") == [(None,)]


def test_who_has_a_live_reference_must_match_it_to_get_another(
    office: Any, terminal: Any, person: Person, enroller: str
) -> None:
    first = enrolment(office, person, at=office.now - timedelta(hours=3))
    office.send(terminal, terminal.next(**first))
    office.send(terminal, terminal.next(**enrolment(office, person, at=office.now - timedelta(hours=2))))
    own = compared(first["reference"].reference_id)
    office.send(terminal, terminal.next(**enrolment(office, person, comparison=own)))
    assert flags(office) == [[], ["comparison_lacking"], []]
    assert waits(office) == [("active", None), ("proposed", "comparison_lacking"), ("active", None)]


def test_a_match_with_a_photograph_is_none_with_a_live_reference(
    office: Any, terminal: Any, person: Person, enroller: str
) -> None:
    with_photo = compared("e" * 32, capture=CaptureKind.PHOTO)
    office.send(
        terminal, terminal.next(**enrolment(office, person, comparison=with_photo, at=office.now - timedelta(hours=2)))
    )
    office.send(terminal, terminal.next(**enrolment(office, person, comparison=with_photo)))
    assert flags(office) == [[], ["comparison_lacking"]]


def test_another_face_than_on_the_photograph_enrols_nobody(
    office: Any, terminal: Any, person: Person, enroller: str
) -> None:
    other = compared("e" * 32, capture=CaptureKind.PHOTO, score=0.1)
    office.send(terminal, terminal.next(**enrolment(office, person, comparison=other)))
    assert flags(office) == [["decision_unsupported"]]


def test_the_earlier_of_two_enrolments_counts_in_whatever_order_they_arrive(
    office: Any, terminal: Any, make_fleet_terminal: Callable[..., Any], person: Person, enroller: str
) -> None:
    second = make_fleet_terminal(terminal_id="t-2")
    office.register(second)
    early = terminal.next(**enrolment(office, person, at=office.now - timedelta(days=2)))
    late = second.next(**enrolment(office, person))
    office.send(second, late)
    assert waits(office) == [("active", None)]
    office.send(terminal, early)
    assert waits(office) == [("active", None), ("proposed", "comparison_lacking")]
    assert str(office.statuses()[0].last_pass_day) == "2026-11-18"


def test_an_enrolment_in_a_broken_chain_is_taken_out_of_use(
    office: Any, terminal: Any, person: Person, enroller: str
) -> None:
    terminal.next_event()
    after = terminal.next(**enrolment(office, person))
    terminal.counter, terminal.previous = 0, None
    office.send(terminal, after)
    assert waits(office) == [("active", None)]
    office.send(terminal, terminal.next_event())
    assert waits(office) == [("proposed", "chain_broken")]
    assert office.statuses()[0].last_pass_day is None


def test_a_candidate_counts_once_the_fleet_knows_its_operator(office: Any, terminal: Any, person: Person) -> None:
    office.send(terminal, terminal.next(**enrolment(office, person)))
    assert waits(office) == [("proposed", "operator_unfit")]
    registry.add_operator(
        office.database,
        office.keys,
        "甲",
        roles=[Role.ENROLLER],
        area="",
        valid_until=date(2027, 1, 1),
        now=office.now - timedelta(days=2),
        operator_id=ENROLLER,
    )
    office.rebuild()
    assert waits(office) == [("active", None)]
    assert office.statuses()[0].last_pass_day is not None


def test_what_a_person_decided_is_not_undone(office: Any, terminal: Any, person: Person) -> None:
    sent = enrolment(office, person)
    office.send(terminal, terminal.next(**sent))
    refresh.approve(office.database, office.keys, sent["reference"].reference_id, by="Reviewer", most=3, now=office.now)
    office.rebuild()
    (row,) = office.rows("SELECT state FROM references_")
    assert row.state == "active"
    # The record itself stays what it was: no pass.
    assert office.statuses()[0].last_pass_day is None
    # And who is enrolled after that must match it.
    registry.add_operator(
        office.database, office.keys, "甲", roles=[Role.ENROLLER], area="", valid_until=date(2027, 1, 1),
        now=office.now, operator_id="w-2",
    )  # fmt: skip
    office.now += timedelta(hours=3)
    office.send(terminal, terminal.next(**enrolment(office, person, operator="w-2")))
    assert flags(office)[-1] == ["comparison_lacking"]


def test_a_withdrawn_reference_is_erased_wherever_it_was(
    office: Any, terminal: Any, person: Person, enroller: str
) -> None:
    sent = enrolment(office, person)
    office.send(terminal, terminal.next(**sent))
    enrol.withdraw(office.database, office.keys, sent["reference"].reference_id, now=office.now)
    assert office.rows("SELECT features FROM references_") == [(b"",)]
    assert office.rows("SELECT envelope FROM links") == [(b"",)]
    before = office.statuses()
    assert before[0].last_pass_day is not None
    office.rebuild()
    assert office.statuses() == before
    assert office.rows("SELECT features, withdrawn_at IS NULL FROM references_") == [(b"", False)]


def test_a_reference_that_moved_to_another_key_domain_stays_the_one_that_was_enrolled(
    office: Any, terminal: Any, person: Person, enroller: str
) -> None:
    office.send(terminal, terminal.next(**enrolment(office, person, at=office.now - timedelta(hours=2))))
    rotate(office.database, office.keys, "d1", now=office.now)
    office.rebuild()
    assert sorted(waits(office)) == [("active", None), ("replaced", None)]
    # One that was made under the old keys meanwhile is brought to the new ones.
    (now_known,) = office.rows("SELECT reference_id FROM references_ WHERE state = 'active'")
    own = compared(now_known.reference_id)
    office.send(terminal, terminal.next(**enrolment(office, person, comparison=own)))
    assert {row.key_domain for row in office.rows("SELECT key_domain FROM references_ WHERE state = 'active'")} == {
        "d1-r1"
    }


def test_a_refreshed_reference_of_a_pass_is_proposed(office: Any, terminal: Any, person: Person, enroller: str) -> None:
    first = enrolment(office, person, at=office.now - timedelta(days=400))
    office.send(terminal, terminal.next(**first))
    own = compared(first["reference"].reference_id)
    good, other = sealed(office, kind="refresh"), sealed(office, kind="refresh", features=features(2))
    office.send(terminal, terminal.next(**person.claim, comparison=own, reference=other))
    assert waits(office) == [("active", None)]
    office.send(terminal, terminal.next(**person.claim, comparison=own, reference=good))
    assert waits(office) == [("active", None), ("proposed", None)]
    reasons = office.rows("SELECT waits_for, features FROM made_references WHERE kind = 'refresh' ORDER BY waits_for")
    assert reasons == [("not_alike", None), (None, None)]


def test_a_refreshed_reference_of_what_is_no_pass_is_erased(
    office: Any, terminal: Any, person: Person, enroller: str
) -> None:
    reference = sealed(office, kind="refresh")
    office.send(terminal, terminal.next(**person.claim, comparison=compared("c" * 32), reference=reference))
    assert office.rows("SELECT waits_for, features FROM made_references") == [("not_counted", None)]
    assert waits(office) == []


def test_a_photograph_of_a_case_is_a_provisional_reference(
    office: Any, terminal: Any, person: Person, enroller: str
) -> None:
    claim = Claim(document=DocumentKind.RESIDENT_ID, token=person.token, subject_id=person.subject_id)
    face = Photo(role=PhotoRole.FACE, attachment="ab" * 32, width_px=640, height_px=640, image_bytes=9000)
    fields: dict[str, Any] = {
        "kind": CaseKind.PHOTO_ENROLMENT,
        "reason": CaseReason.NO_REFERENCE,
        "claim": claim,
        "photos": (face,),
        "newspaper_date": None,
        "newspaper_age_days": None,
    }
    good = sealed(office, kind="photo")
    office.send(terminal, terminal.next_case(**fields, operator=ENROLLER, reference=good))
    (row,) = office.rows("SELECT reference_id, capture, state FROM references_")
    assert (row.reference_id, row.capture, row.state) == (good.reference_id, "photo", "active")
    # It certifies nobody: a session compared with it goes to a person, and one that says otherwise does not count.
    own = compared(good.reference_id, capture=CaptureKind.PHOTO)
    office.send(terminal, terminal.next(**person.claim, comparison=own))
    assert flags(office) == [["decision_unsupported"]]
    office.send(terminal, terminal.next_case(**fields, operator="w-9", reference=sealed(office, kind="photo")))
    assert ("proposed", "operator_unfit") in waits(office)


_STORY = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 6),
        st.sampled_from(["alone", "compared", "nobody", "certify"]),
    ),
    min_size=2,
    max_size=6,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=_STORY, seed=st.integers(0, 2**16))
def test_what_enrolments_lead_to_is_blind_to_the_order_of_arrival(
    office: Any, make_fleet_terminal: Callable[..., Any], story: list[tuple[int, int, str]], seed: int
) -> None:
    with office.database.begin() as connection:
        connection.execute(text("TRUNCATE links, statuses, terminals, subjects, operators CASCADE"))
    office.people.clear()
    office.import_people(1)
    registry.add_operator(
        office.database, office.keys, "甲", roles=[Role.ENROLLER], area="", valid_until=date(2027, 11, 20),
        now=office.now - timedelta(days=600), operator_id=ENROLLER,
    )  # fmt: skip
    who = Person(*next(iter(office.people.items())))
    two = [make_fleet_terminal(terminal_id="t-1"), make_fleet_terminal(terminal_id="t-2")]
    for terminal in two:
        office.register(terminal)
    messages, ids = [], ["c" * 32]
    for which, days, what in story:
        at = office.now - timedelta(days=days, hours=1)
        sent = enrolment(office, who, at=at, operator="w-9" if what == "nobody" else ENROLLER)
        if what in ("compared", "certify"):
            sent["comparison"] = compared(ids[-1])
        if what == "certify":
            sent |= {"purpose": Purpose.CERTIFICATION, "reference": None}
        else:
            ids.append(sent["reference"].reference_id)
        messages.append(Inbound(str(two[which].topic(Kind.RECORD)), two[which].next(**sent), office.now))
    office.handler.handle(messages)
    expected = result(office)
    with office.database.begin() as connection:
        connection.execute(text("TRUNCATE links, statuses, references_ CASCADE"))
    chance = random.Random(seed)
    again = messages + chance.sample(messages, chance.randint(0, len(messages)))
    chance.shuffle(again)
    while again:
        size = chance.randint(1, 3)
        office.handler.handle(again[:size])
        again = again[size:]
    assert result(office) == expected
    office.rebuild()
    assert result(office) == expected


def test_what_a_terminals_own_program_seals_is_what_the_fleet_stores(
    office: Any, terminal: Any, person: Person, enroller: str
) -> None:
    unit = np.random.default_rng(4).normal(size=128).astype(np.float32)
    values = protect(unit / np.linalg.norm(unit), office.keys.feature_keys["d1"])
    turned = FeatureVector(values, "d" * 64, "d1")
    reference = seal_reference(
        MadeReference(turned, quality=88.0, samples=5),
        reader=office.keys.sealing_key().public(),
        reference_id="a" * 32,
        runtime="test",
        legal_basis=LegalBasis.CONSENT,
        captured_at=office.now,
    )
    office.send(terminal, terminal.next(**enrolment(office, person, reference=reference)))
    assert flags(office) == [[]]
    (row,) = office.rows("SELECT features, quality, legal_basis FROM references_")
    assert (bytes(row.features), row.quality, row.legal_basis) == (turned.values.tobytes(), 88.0, "consent")


NEW = NetworkUse(name="features_dlib", sha256="e" * 64, runtime="test")


def in_shadow(
    office: Any, session: bytes, *, seed: int = 5, network: NetworkUse = NEW, **changes: Any
) -> dict[str, Any]:
    """What an event brings that a network in the shadow made of a session's samples."""
    record_id = json.loads(unverified_payload(session))["record_id"]
    fields = {"kind": "refresh", "features": features(seed), "model_sha256": "e" * 64, **changes}
    proposal = ProposedReference(session_record=record_id, network=network, reference=sealed(office, **fields))
    return {"kind": EventKind.REFERENCE_PROPOSED, "detail": {}, "proposal": proposal}


@pytest.fixture
def enrolled(office: Any, terminal: Any, person: Person, enroller: str) -> Comparison:
    """A person with a live reference of the network in use, and a comparison that matches it."""
    office.assign_all("t-1")
    first = enrolment(office, person, at=office.now - timedelta(days=3))
    office.send(terminal, terminal.next(**first))
    return compared(first["reference"].reference_id)


def by_network(office: Any) -> list[tuple[str, str, str | None]]:
    return [
        (row.model_sha256[0], row.state, row.waits_for)
        for row in office.rows("SELECT * FROM references_ ORDER BY captured_at, model_sha256, reference_id")
    ]


def test_who_came_while_a_network_ran_in_the_shadow_has_a_reference_of_it_at_the_switch(
    office: Any, terminal: Any, person: Person, enrolled: Comparison
) -> None:
    session = terminal.next(**person.claim, comparison=enrolled)
    event = terminal.next_event(**in_shadow(office, session))
    assert office.verdicts(office.send(terminal, session, event)) == [("stored", None)] * 2
    assert by_network(office) == [("d", "active", None), ("e", "active", None)]
    (row,) = office.rows("SELECT * FROM references_ WHERE model_sha256 = :new", new="e" * 64)
    assert (row.capture, row.legal_basis, row.key_domain) == ("live", "statute", "d1")
    assert row.captured_at == office.rows("SELECT max(event_at) AS at FROM records")[0].at
    assert bytes(row.features) == features(5)
    # The terminal gets both: the one that decides and the one for later, and either way back needs no line.
    (answer,) = [a for a in office.handler.push_rosters() if a.topic.kind is Kind.ROSTER]
    (entry,) = office.page(answer.payload, terminal).entries
    assert {reference.model_sha256[0] for reference in entry.references} == {"d", "e"}
    for network in "de":
        chosen = choose_reference(entry.references, domains=["d1"], model_sha256=network * 64, today=office.now.date())
        assert chosen is not None
        assert chosen.model_sha256 == network * 64
    # Its features are in one place beside the signed bytes.
    assert office.rows("SELECT payload #>> '{proposal,reference,sealed}' FROM terminal_events") == [("",)]
    assert office.rows("SELECT 1 FROM made_references WHERE features IS NOT NULL") == []
    before = result(office)
    assert office.verdicts(office.send(terminal, event)) == [("repeated", None)]
    office.rebuild()
    assert result(office) == before


def test_whoever_did_not_come_has_none_and_is_counted(
    office: Any, terminal: Any, person: Person, enrolled: Comparison
) -> None:
    with office.database.begin() as connection:
        assert references_by_network(connection, today=office.now.date()) == [NetworkCount("d" * 64, None, 1, 0, 0)]
    session = terminal.next(**person.claim, comparison=enrolled)
    office.import_people(1, first=7)
    (other,) = [Person(*item) for item in office.people.items() if item[0] != person.subject_id]
    second = terminal.next(**enrolment(office, other, at=office.now - timedelta(minutes=50)))
    office.send(terminal, session, second, terminal.next_event(**in_shadow(office, session)))
    office.rows(
        "UPDATE terminals SET health = CAST(:health AS jsonb) RETURNING 1",
        health=json.dumps({"running": {"networks": [{"name": "features_old", "sha256": "d" * 64, "runtime": "x"}]}}),
    )
    with office.database.begin() as connection:
        found = references_by_network(connection, today=office.now.date())
    assert found == [NetworkCount("d" * 64, "features_old", 2, 0, 1), NetworkCount("e" * 64, "features_dlib", 1, 1, 0)]


@pytest.mark.parametrize(
    ("session", "event", "expected"),
    [
        ({"comparison": None}, {}, ("proposed", "decision_unsupported")),
        (
            {},
            {"network": NetworkUse(name="features_unheard", sha256="e" * 64, runtime="")},
            ("proposed", "no_thresholds"),
        ),
        ({}, {"network": NetworkUse(name="features_dlib", sha256="f" * 64, runtime="")}, None),
        ({}, {"capture": CaptureKind.PHOTO}, None),
        ({}, {"features": bytes(128)}, None),
    ],
)
def test_what_a_session_does_not_stand_for_is_not_in_use(
    office: Any, terminal: Any, person: Person, enrolled: Comparison, session: Any, event: Any, expected: Any
) -> None:
    sent = terminal.next(**{**person.claim, "comparison": enrolled, **session})
    office.send(terminal, sent, terminal.next_event(**in_shadow(office, sent, **event)))
    assert by_network(office)[1:] == ([] if expected is None else [("e", *expected)])
    office.rebuild()
    assert by_network(office)[1:] == ([] if expected is None else [("e", *expected)])


def test_a_session_of_another_terminal_or_of_later_stands_for_nothing(
    office: Any, terminal: Any, make_fleet_terminal: Callable[..., Any], person: Person, enrolled: Comparison
) -> None:
    other = make_fleet_terminal(terminal_id="t-2")
    office.register(other)
    session = terminal.next(**person.claim, comparison=enrolled)
    office.send(terminal, session)
    office.send(other, other.next_event(**in_shadow(office, session)))
    later_id = "c" * 32
    proposal = in_shadow(office, session)["proposal"].model_copy(update={"session_record": later_id})
    early = terminal.next_event(kind=EventKind.REFERENCE_PROPOSED, detail={}, proposal=proposal)
    office.send(terminal, early, terminal.next(**person.claim, comparison=enrolled, record_id=later_id))
    assert by_network(office) == [("d", "active", None)]
    assert office.rows("SELECT waits_for FROM made_references WHERE kind = 'refresh'") == [("session_unknown",)] * 2


def test_a_reference_that_comes_before_the_record_of_its_session_waits_for_it(
    office: Any, terminal: Any, person: Person, enrolled: Comparison
) -> None:
    session = terminal.next(**person.claim, comparison=enrolled)
    office.send(terminal, terminal.next_event(**in_shadow(office, session)))
    assert by_network(office) == [("d", "active", None)]
    office.send(terminal, session)
    assert by_network(office) == [("d", "active", None), ("e", "active", None)]


def test_a_second_one_is_compared_with_the_first_and_a_person_looks_where_they_differ(
    office: Any, terminal: Any, person: Person, enrolled: Comparison
) -> None:
    for hours, seed in ((3, 5), (2, 5), (1, 6)):
        at = office.now - timedelta(hours=hours)
        session = terminal.next(**person.claim, comparison=enrolled, at=at)
        office.send(terminal, session, terminal.next_event(**in_shadow(office, session, seed=seed)))
    expected = [("d", "active", None), ("e", "active", None), ("e", "proposed", "not_alike")]
    assert by_network(office) == expected
    assert office.rows("SELECT 1 FROM made_references WHERE features IS NOT NULL") == []
    office.rebuild()
    assert by_network(office) == expected
    (waiting,) = office.rows("SELECT reference_id FROM references_ WHERE state = 'proposed'")
    refresh.reject(office.database, office.keys, waiting.reference_id, by="Reviewer", now=office.now)
    office.rebuild()
    assert [state for _, state, _ in by_network(office)] == ["active", "active", "rejected"]


def test_a_reference_goes_with_the_chain_that_brought_it(
    office: Any, terminal: Any, person: Person, enrolled: Comparison
) -> None:
    session = terminal.next(**person.claim, comparison=enrolled)
    office.send(terminal, session)
    place = (terminal.counter, terminal.previous)
    terminal.next_event()
    event = terminal.next_event(**in_shadow(office, session))
    office.send(terminal, event)
    assert by_network(office)[1] == ("e", "active", None)
    terminal.counter, terminal.previous = place
    office.send(terminal, terminal.next_event())
    assert by_network(office) == [("d", "active", None), ("e", "proposed", "chain_broken")]


def test_references_of_one_network_do_not_push_out_those_of_another_nor_stop_its_refreshes(
    office: Any, terminal: Any, person: Person, enroller: str
) -> None:
    first = enrolment(office, person, at=office.now - timedelta(days=400))
    office.send(terminal, terminal.next(**first))
    own = compared(first["reference"].reference_id)
    for days in (3, 2, 1):
        session = terminal.next(
            **enrolment(
                office,
                person,
                comparison=own,
                reference=sealed(office, features=features(1)),
                at=office.now - timedelta(days=days),
            )
        )
        office.send(terminal, session, terminal.next_event(**in_shadow(office, session)))
    assert by_network(office).count(("d", "active", None)) == refresh.MOST_IN_USE
    assert ("e", "active", None) in by_network(office)


def test_a_person_who_withdraws_or_is_erased_leaves_nothing_of_the_other_network(
    office: Any, terminal: Any, person: Person, enrolled: Comparison
) -> None:
    session = terminal.next(**person.claim, comparison=enrolled)
    office.send(terminal, session, terminal.next_event(**in_shadow(office, session)))
    (row,) = office.rows("SELECT reference_id FROM references_ WHERE model_sha256 = :new", new="e" * 64)
    enrol.withdraw(office.database, office.keys, row.reference_id, now=office.now)
    assert office.rows("SELECT envelope FROM links WHERE kind = 'event'") == [(b"",)]
    request = Request(ground=Ground.REQUEST, by="Li", because="asked", although_entitled=True)
    for by in ("Li", "Wang"):
        erase(
            office.database, office.keys, person.subject_id, replace(request, by=by), fleet_id="demo",
            zone=office.settings.zone(), word_kept=timedelta(days=1), now=office.now,
        )  # fmt: skip
    assert office.rows("SELECT 1 FROM references_") == []
    assert office.rows("SELECT payload -> 'proposal' FROM terminal_events") == [(None,)]


def test_a_card_is_of_the_network_that_the_person_meets(
    office: Any, terminal: Any, person: Person, enrolled: Comparison
) -> None:
    session = terminal.next(**person.claim, comparison=enrolled)
    office.send(terminal, session, terminal.next_event(**in_shadow(office, session)))
    cards.rotate_key(office.database, office.keys, now=office.now)
    of_whom = {"fleet_id": "north", "forget": False, "now": office.now, "zone": office.settings.zone()}
    issued = cards.issue_from_store(office.database, office.keys, person.subject_id, **of_whom)
    assert issued.card.reference.model_sha256 == "d" * 64


def test_an_old_session_that_no_longer_leads_to_anybody_takes_what_it_brought_along(
    office: Any, terminal: Any, person: Person, enrolled: Comparison
) -> None:
    session = terminal.next(**person.claim, comparison=enrolled)
    office.send(terminal, session, terminal.next_event(**in_shadow(office, session)))
    record_id = json.loads(unverified_payload(session))["record_id"]
    with office.database.begin() as connection:
        erasure.pseudonymise_records(connection, [record_id], now=office.now)
    assert office.rows(
        "SELECT envelope, payload ->> 'proposal' AS said FROM links JOIN terminal_events USING (record_id)"
    ) == [(b"", None)]
    office.rebuild()
    assert by_network(office) == [("d", "active", None), ("e", "active", None)]
