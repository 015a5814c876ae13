"""Cases that open by themselves, in the transaction that stores what they are about."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fleet.cases import history
from fleet.cases.machine import Kind, State
from fleet.cases.opening import NewCase, Registry, case_id_of, open_case, open_missing
from fleet.errors import Refused
from fleet.ingest.messages import Inbound
from fleet.store import case_events
from fleet.store.case_numbers import find_by_number, number_of, numbers_of
from protocol.cases import CaseKind, OtherWay, Photo, PhotoRole
from protocol.envelope import seal, sha256_of
from protocol.outcomes import Outcome
from protocol.topics import Kind as Topic
from protocol.visits import Visit, VisitReason

pytestmark = pytest.mark.integration

CLOCK = timedelta(seconds=1)
"""The uncertainty of the terminal's clock: what was recorded happened at the earliest so long before."""
JPEG = b"\xff\xd8\xff\xe0 a picture"


def desk(office: Any) -> Registry:
    return Registry(office.keys.cipher, office.settings.zone())


def cases(office: Any) -> list[Any]:
    return list(office.rows("SELECT * FROM cases ORDER BY kind, asked_at, case_id"))


def unnumbered(office: Any) -> list[Any]:
    """Return the cases without their numbers, which are given by when they are opened."""
    return list(office.rows("SELECT to_jsonb(c) - 'number' - 'serial' FROM cases c ORDER BY kind, asked_at, case_id"))


def opened(office: Any) -> int:
    return open_missing(office.database, desk(office), accept_simulated=False, clock=office.clock)


def events(office: Any) -> list[Any]:
    return [
        (row.case_id, row.number, row.step)
        for row in office.rows("SELECT case_id, number, step FROM case_events ORDER BY case_id, number")
    ]


@pytest.fixture
def person(office: Any) -> tuple[str, str]:
    """Subject and claim token."""
    office.import_people(1)
    return next(iter(office.people.items()))


def test_cases_are_numbered_by_year_in_the_order_of_opening(office: Any) -> None:
    office.import_people(4)
    ids = []
    for year, subject_id in zip((2026, 2026, 2027, 2027), office.people, strict=True):
        # New Year begins where the agency is: eight hours before UTC.
        office.now = datetime(2026, 12, 31, 16, tzinfo=UTC) - timedelta(minutes=1 if year == 2026 else 0)
        new = NewCase(Kind.WRONG_DATA, subject_id, office.now)
        with office.database.begin() as connection:
            ids.append(open_case(connection, desk(office), new, by="Wu", now=office.now))
            assert number_of(connection, ids[-1]) is None, "given at the end of the transaction"
    new = NewCase(Kind.APPEAL, None, office.now)
    with office.database.begin() as connection:
        open_case(connection, desk(office), new, by="Wu", now=office.now)
        connection.rollback()
    with office.database.begin() as connection:
        ids.append(open_case(connection, desk(office), new, by="Wu", now=office.now))
    with office.database.begin() as connection:
        numbers = numbers_of(connection, ids)
        assert find_by_number(connection, " 2027－2 ") == ids[3]
        assert (find_by_number(connection, "2027-9"), find_by_number(connection, "2027")) == (None, None)
    assert [numbers[case_id] for case_id in ids] == [
        *("2026-000001", "2026-000002", "2027-000001", "2027-000002"),
        "2027-000003",  # what was undone leaves no gap
    ]


def test_cases_opened_at_once_have_numbers_of_their_own(office: Any) -> None:
    office.import_people(8)

    def open_two(people: tuple[str, str]) -> None:
        with office.database.begin() as connection:
            for subject_id in people:
                new = NewCase(Kind.WRONG_DATA, subject_id, office.now)
                open_case(connection, desk(office), new, by=None, now=office.now)

    people = list(office.people)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(open_two, zip(people[::2], people[1::2], strict=True)))
    found = [row.number for row in office.rows("SELECT number FROM cases ORDER BY number")]
    assert found == [f"2026-{serial:06d}" for serial in range(1, 9)]


def test_r6_1_r6_2_a_session_for_review_opens_an_appeal_that_is_answered_in_two_weeks(
    office: Any, terminal: Any, person: tuple[str, str]
) -> None:
    subject_id, token = person
    at = datetime(2026, 11, 19, 17, tzinfo=UTC)
    office.send(terminal, terminal.next(outcome=Outcome.REVIEW, subject_id=subject_id, token=token, at=at))
    (row,) = cases(office)
    assert (row.kind, row.state, row.subject_id) == ("appeal", "evidence_complete", subject_id)
    assert (row.asked_at, row.opened_at) == (at - CLOCK, office.now)
    # 17:00 UTC is already the 20th where the agency is.
    assert row.due_on == date(2026, 12, 4)


def test_a_record_twice_is_one_case_and_ingest_writes_no_audit(
    office: Any, terminal: Any, person: tuple[str, str]
) -> None:
    envelope = terminal.next(outcome=Outcome.REVIEW, subject_id=person[0], token=person[1])
    office.send(terminal, envelope)
    before = events(office)
    office.send(terminal, envelope, envelope)
    assert events(office) == before
    assert opened(office) == 0
    assert office.rows("SELECT 1 FROM audit_log") == []


def test_appeals_of_one_session_are_one_case_in_whatever_order_they_come(
    office: Any, make_fleet_terminal: Any, person: tuple[str, str]
) -> None:
    start = datetime(2026, 11, 19, 8, tzinfo=UTC)
    found = set()
    for number, order in enumerate(itertools.permutations(range(3))):
        terminal = make_fleet_terminal(terminal_id=f"t-{number}")
        office.register(terminal)
        session = f"{number:032x}"
        messages = [
            terminal.next(
                outcome=Outcome.REVIEW,
                subject_id=person[0],
                token=person[1],
                session_id=session,
                record_id=f"{number * 3 + each + 1:032x}",
                at=start + timedelta(days=each),
            )
            for each in range(3)
        ]
        for index in order:
            office.send(terminal, messages[index])
        with office.database.begin() as connection:
            case = history.read(connection, case_id_of(Kind.APPEAL, f"t-{number}:{session}"))
        found.add((case.first.asked_at, case.first.due_on, len(case.sources), case.state))
        assert case.first.record_id == f"{number * 3 + 1:032x}"
    assert found == {(start - CLOCK, date(2026, 12, 3), 3, State.EVIDENCE_COMPLETE)}
    assert len(cases(office)) == 6


def test_an_attack_raises_an_alarm_of_its_own(office: Any, terminal: Any, person: tuple[str, str]) -> None:
    for _ in range(2):
        office.send(terminal, terminal.next(outcome=Outcome.PRESENTATION_ATTACK, subject_id=person[0], token=person[1]))
    assert [(row.kind, row.state) for row in cases(office)] == [("attack_alarm", "evidence_complete")] * 2
    with office.database.begin() as connection:
        moments = case_events.alarm_moments(connection, since=office.now - timedelta(days=30))
    assert [terminal_id for terminal_id, _, _ in moments] == ["t-1", "t-1"]


@pytest.mark.parametrize("outcome", [o for o in Outcome if o not in (Outcome.REVIEW, Outcome.PRESENTATION_ATTACK)])
def test_r1_8_no_reference_and_not_certified_are_outcomes_of_their_own_and_open_nothing(
    office: Any, terminal: Any, person: tuple[str, str], outcome: Outcome
) -> None:
    office.send(terminal, terminal.next(outcome=outcome, subject_id=person[0], token=person[1]))
    assert cases(office) == []
    assert [row.outcome for row in office.rows("SELECT outcome FROM records")] == [outcome.value]


def test_r1_8_an_exception_of_a_terminal_is_a_case_with_the_way_that_was_offered(office: Any, terminal: Any) -> None:
    record_id = "e" * 32
    office.send(
        terminal,
        terminal.next_case(
            record_id=record_id, kind=CaseKind.EXCEPTION, photos=(), newspaper_date=None, newspaper_age_days=None,
            reason="no_reference", other_way=OtherWay.COUNTER,
        ),
    )  # fmt: skip
    (row,) = cases(office)
    assert (row.case_id, row.kind, row.state) == (record_id, "exception", "evidence_complete")


def test_r1_18_a_terminals_special_case_is_complete_when_both_pictures_are_here(office: Any, terminal: Any) -> None:
    key = office.keys.sealing_key().public()
    sealed = [seal(JPEG + bytes([n]), reader=key) for n in range(2)]
    roles = (PhotoRole.IDENTITY_CARD, PhotoRole.WITH_NEWSPAPER)
    photos = tuple(
        Photo(role=role, attachment=sha256_of(each), width_px=1280, height_px=960, image_bytes=100)
        for role, each in zip(roles, sealed, strict=True)
    )
    for number, order in enumerate(itertools.permutations(range(3))):
        record_id = f"{number + 1:032x}"
        other = [seal(JPEG + bytes([n]), reader=key) for n in range(2)]
        named = tuple(
            photo.model_copy(update={"attachment": sha256_of(each)}) for photo, each in zip(photos, other, strict=True)
        )
        messages = [
            (Topic.RECORD, terminal.next_case(record_id=record_id, photos=named)),
            (Topic.ATTACHMENT, other[0]),
            (Topic.ATTACHMENT, other[1]),
        ]
        states = []
        for index in order:
            kind, payload = messages[index]
            office.handler.handle([Inbound(str(terminal.topic(kind)), payload, office.now)])
            states.append([row.state for row in cases(office) if row.case_id == record_id])
        assert states[-1] == ["evidence_complete"]
        assert ["evidence_complete"] not in states[:-1]


def test_somebody_the_fleet_does_not_know_has_a_case_and_is_named_in_it_later(office: Any, terminal: Any) -> None:
    office.import_people(1)
    (token,) = office.people.values()
    with office.database.begin() as connection:
        connection.execute(text("UPDATE subjects SET claim_token = 'elsewhere'"))
    office.send(terminal, terminal.next(outcome=Outcome.REVIEW, token=token))
    assert [row.subject_id for row in cases(office)] == [None]
    assert opened(office) == 0
    with office.database.begin() as connection:
        connection.execute(text("UPDATE subjects SET claim_token = :token"), {"token": token})
    assert opened(office) == 1
    assert [row.subject_id for row in cases(office)] == list(office.people)
    assert opened(office) == 0


def test_the_same_records_give_the_same_cases_when_they_are_opened_afterwards(
    office: Any, terminal: Any, person: tuple[str, str]
) -> None:
    named = {"subject_id": person[0], "token": person[1]}
    office.send(
        terminal,
        terminal.next(outcome=Outcome.REVIEW, **named),
        terminal.next(outcome=Outcome.PRESENTATION_ATTACK, **named),
        terminal.next(outcome=Outcome.CERTIFIED, **named),
        terminal.next_case(),
    )
    before = unnumbered(office)
    assert len(before) == 3
    with office.database.begin() as connection:
        connection.execute(text("DELETE FROM cases"))
    assert events(office) == []
    assert opened(office) == 3
    assert unnumbered(office) == before
    office.handler.clean()
    assert unnumbered(office) == before


def test_records_of_no_camera_open_nothing_where_they_do_not_count(office: Any, terminal: Any) -> None:
    office.send(terminal, terminal.next(outcome=Outcome.REVIEW, simulated=True))
    assert cases(office) == []
    assert open_missing(office.database, desk(office), accept_simulated=True, clock=office.clock) == 1


def test_a_case_that_was_closed_before_there_were_histories_stays_closed(office: Any, terminal: Any) -> None:
    office.send(terminal, terminal.next_case(record_id="e" * 32))
    with office.database.begin() as connection:
        connection.execute(text("DELETE FROM cases"))
        connection.execute(text("UPDATE case_records SET closed_at = :at"), {"at": office.now - timedelta(days=1)})
    opened(office)
    (row,) = cases(office)
    assert (row.state, row.closed_at) == ("closed", office.now - timedelta(days=1))


def test_events_are_only_added_and_the_projection_is_made_of_them(
    office: Any, terminal: Any, person: tuple[str, str]
) -> None:
    office.send(
        terminal, terminal.next(outcome=Outcome.REVIEW, subject_id=person[0], token=person[1]), terminal.next_case()
    )
    before = cases(office)
    with office.database.begin() as connection:
        connection.execute(text("UPDATE cases SET state = 'passed', subject_id = NULL, due_on = '2000-01-01'"))
    with office.database.begin() as connection:
        assert history.reproject(connection) == (2, 2)
        assert history.reproject(connection) == (2, 0)
    assert cases(office) == before
    for statement in ("UPDATE case_events SET step = 'closed'", "DELETE FROM case_events"):
        with pytest.raises(DBAPIError, match="never changed"), office.database.begin() as connection:
            connection.execute(text(statement))
    with office.database.begin() as connection:
        connection.execute(text("DELETE FROM subjects"))
    left = office.rows("SELECT subject_id FROM cases")
    assert [row.subject_id for row in left] == [None, None], "what was decided outlives the person"


def test_r6_7_a_visit_on_which_the_person_was_certified_closes_the_request(
    office: Any, terminal: Any, person: tuple[str, str]
) -> None:
    office.hold_references()
    subject_id, token = person
    with office.database.begin() as connection:
        new = NewCase(Kind.HOME_VISIT, subject_id, office.now, facts={"reason": "bedridden"}, needs=("form",))
        case_id = open_case(connection, desk(office), new, by="Wu", note="Lane 3", now=office.now)
    visit = Visit(worker="w-204", reason=VisitReason.BEDRIDDEN)
    named: dict[str, Any] = {"subject_id": subject_id, "token": token, "operator": "w-204"}
    before = office.now - timedelta(hours=1)
    office.send(terminal, terminal.next(visit=visit, at=before, **named))
    assert [row.state for row in cases(office)] == ["opened"], "a visit of before is not the one asked for"
    later = office.now + timedelta(days=1)
    office.now = later + timedelta(hours=1)
    office.send(terminal, terminal.next(at=later, **named))
    assert [row.state for row in cases(office)] == ["opened"], "a session at the terminal is no visit"
    office.send(terminal, terminal.next(visit=visit, at=later, outcome=Outcome.NOT_CERTIFIED, **named))
    assert [row.state for row in cases(office)] == ["opened"], "who was not certified was not visited for good"
    office.send(terminal, terminal.next(visit=visit, at=later, **named))
    (row,) = cases(office)
    assert (row.case_id, row.state, row.reason) == (case_id, "closed", "visited")
    assert office.rows("SELECT 1 FROM acts") == [], "the record certifies, and is counted once"


def test_a_program_opens_one_case_for_one_source(office: Any, person: tuple[str, str]) -> None:
    new = NewCase(
        Kind.DUPLICATE, person[0], office.now, source="duplicate:a:b", facts={"left": "a", "right": "b", "why": "face"}
    )
    with office.database.begin() as connection:
        first = open_case(connection, desk(office), new, by=None, now=office.now)
    with office.database.begin() as connection:
        assert open_case(connection, desk(office), new, by=None, now=office.now) == first
        assert dict(history.read(connection, first).facts) == dict(new.facts)
    coming = NewCase(Kind.RECOVERY, person[0], office.now + timedelta(days=1))
    with pytest.raises(Refused, match="to come"), office.database.begin() as connection:
        open_case(connection, desk(office), coming, by=None, now=office.now)
    assert len(cases(office)) == 1
