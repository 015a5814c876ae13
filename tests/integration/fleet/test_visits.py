"""Visits at home: asked for, planned, listed, done; special persons."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fleet.audit import log
from fleet.cases import history, visits
from fleet.cases.deciding import Said, decide, take_up
from fleet.cases.files import Role, add_file, read_file, rules_of_case
from fleet.cases.machine import NotAllowed, State, Verdict
from fleet.cases.opening import Registry
from fleet.cases.visits import VisitRequest
from fleet.errors import FleetError, NotFound, Refused
from fleet.store import special_persons
from protocol.outcomes import Outcome
from protocol.visits import Visit, VisitReason
from tests.pdfs import scan

pytestmark = pytest.mark.integration


def desk(office: Any) -> Registry:
    return Registry(office.keys.cipher, office.settings.zone())


def request(office: Any, subject_id: str, reason: str = "bedridden", place: str = "Lane 3") -> str:
    with office.database.begin() as connection:
        asked = VisitRequest(subject_id, reason, place)
        return visits.request_visit(connection, desk(office), asked, by="Wu", now=office.now)


def plan(office: Any, case_id: str, day: date, worker: str = "t-1") -> None:
    visits.plan(office.database, desk(office), case_id, day=day, worker=worker, by="Wu", now=office.now)


def listed(office: Any, day: date, worker: str = "t-1") -> list[Any]:
    with office.database.begin() as connection:
        return visits.visits_of(connection, desk(office), worker=worker, day=day, by="Li", now=office.now)


def actions(office: Any) -> list[str]:
    with office.database.begin() as connection:
        return [entry.action for entry in log.entries(connection)]


DAY = date(2026, 11, 25)


@pytest.mark.parametrize("reason", ["age", "bedridden", "hospital"])
def test_r4_7_r4_14_who_cannot_come_may_ask_for_a_visit(office: Any, reason: str) -> None:
    office.import_people(1)
    (subject_id,) = office.people
    case_id = request(office, subject_id, reason)
    (row,) = office.rows("SELECT case_id, kind, due_on FROM cases")
    assert (row.case_id, row.kind, row.due_on) == (case_id, "home_visit", date(2026, 12, 4))
    with pytest.raises(Refused, match="asked for already"):
        request(office, subject_id, reason)
    with pytest.raises(Refused, match="reason: one of"):
        request(office, subject_id, "rain")
    (event,) = office.rows("SELECT data, note_sealed FROM case_events")
    assert "Lane" not in str(event.data)
    assert actions(office) == ["case.opened"]


def test_r6_7_visits_are_listed_by_area_for_who_makes_them_and_that_is_written_down(office: Any, terminal: Any) -> None:
    office.import_people(1, area="west", first=1)
    office.import_people(2, area="east", first=2)
    for number, subject_id in enumerate(office.people):
        plan(office, request(office, subject_id, place=f"Lane {number}"), DAY)
    found = listed(office, DAY)
    assert [(visit.area, visit.name, visit.place) for visit in found] == [
        ("east", "甲2", "Lane 1"),
        ("east", "甲3", "Lane 2"),
        ("west", "甲1", "Lane 0"),
    ]
    assert "甲" not in repr(found)
    assert listed(office, DAY + timedelta(days=1)) == []
    assert actions(office).count("visits.listed") == 2
    assert actions(office).count("visit.planned") == 3
    page = visits.as_html(found, "zh")
    assert ">甲2</td>" in page
    assert "长期卧床" in page


def test_a_list_has_nothing_in_it_that_a_browser_or_a_spreadsheet_would_run(office: Any, terminal: Any) -> None:
    office.import_people(1)
    (subject_id,) = office.people
    plan(office, request(office, subject_id, place="=1+<b>1"), DAY)
    found = listed(office, DAY)
    assert "\t=1+<b>1" in visits.as_csv(found, "en").decode("utf-8-sig")
    assert "=1+&lt;b&gt;1" in visits.as_html(found, "en")
    assert "No visits." in visits.as_html([], "en")
    with pytest.raises(Refused, match="language"):
        visits.as_csv(found, "fr")


def test_a_visit_is_planned_for_a_day_to_come_and_for_somebody_in_service(office: Any, terminal: Any) -> None:
    office.import_people(1)
    (subject_id,) = office.people
    case_id = request(office, subject_id)
    with pytest.raises(Refused, match="is past"):
        plan(office, case_id, date(2026, 11, 19))
    with pytest.raises(NotFound, match="nobody: no operator and no terminal"):
        plan(office, case_id, DAY, "nobody")
    plan(office, case_id, DAY)
    plan(office, case_id, DAY + timedelta(days=1))
    assert (listed(office, DAY), len(listed(office, DAY + timedelta(days=1)))) == ([], 1)


def test_r4_14_a_certified_session_on_the_visit_takes_it_off_the_list(office: Any, terminal: Any) -> None:
    office.import_people(1)
    office.hold_references()
    ((subject_id, token),) = office.people.items()
    case_id = request(office, subject_id)
    plan(office, case_id, DAY)
    at = office.now + timedelta(days=5)
    office.now = at + timedelta(hours=2)
    office.send(
        terminal,
        terminal.next(
            outcome=Outcome.CERTIFIED,
            subject_id=subject_id,
            token=token,
            operator="w-204",
            visit=Visit(worker="w-204", reason=VisitReason.BEDRIDDEN),
            at=at,
        ),
    )
    assert listed(office, DAY) == []
    with office.database.begin() as connection:
        assert history.read(connection, case_id).state is State.CLOSED
    with pytest.raises(NotAllowed):
        plan(office, case_id, DAY + timedelta(days=30))


def test_r6_7_a_visit_without_a_terminal_certifies_by_a_report_that_two_persons_pass(
    office: Any, tmp_path: Path
) -> None:
    office.import_people(1)
    (subject_id,) = office.people
    case_id = request(office, subject_id)
    path = tmp_path / "report.pdf"
    path.write_bytes(scan())
    office.now += timedelta(days=7)
    seen = datetime(2026, 11, 25, 4, tzinfo=UTC)
    checked = read_file(path, Role.FORM, rules_of_case(office.database, case_id), None)

    def hand_in(sampled_at: datetime | None) -> None:
        add_file(
            office.database,
            office.keys,
            desk(office),
            case_id,
            Role.FORM,
            checked,
            by="Wu",
            sampled_at=sampled_at,
            now=office.now,
        )

    with pytest.raises(Refused, match="still to come"):
        hand_in(office.now + timedelta(days=1))
    hand_in(seen)
    for name in ("An", "Bo"):
        take_up(office.database, desk(office), case_id, by=name, now=office.now)
        decide(office.database, desk(office), case_id, Said(Verdict.PASSED, "person_and_alive", name), now=office.now)
    (act,) = office.rows("SELECT kind, channel, acted_at FROM acts")
    assert tuple(act) == ("special", "home_visit", seen)


def test_r6_9_special_persons_are_in_a_file_with_reason_and_day_of_review(office: Any) -> None:
    office.import_people(3)
    first, second, _ = office.people

    def mark(subject_id: str, review_on: date, reason: str = "age") -> None:
        with office.database.begin() as connection:
            asked = VisitRequest(subject_id, reason, "Lane 3")
            visits.mark(connection, desk(office), asked, review_on=review_on, by="Wu", now=office.now)

    mark(first, date(2027, 6, 1))
    mark(second, date(2027, 3, 1), "mental_illness")
    with pytest.raises(Refused, match="a day to come"):
        mark(first, date(2026, 11, 20))
    with office.database.begin() as connection:
        found = special_persons.special_persons(connection)
        assert special_persons.special_persons(connection, areas=["west"]) == []
    assert [(each.subject_id, each.reason) for each in found] == [(second, "mental_illness"), (first, "age")]
    made = visits.request_round(
        office.database, desk(office), until=date(2030, 1, 1), areas=["east"], by="Wu", now=office.now
    )
    assert len(made) == 2
    with office.database.begin() as connection:
        opened = history.told(connection, office.keys.cipher, made[0])[0]
    assert (opened.note, opened.event.facts["reason"]) == ("Lane 3", "round")
    assert actions(office) == ["special_person.marked"] * 2 + ["case.opened"] * 2


def test_of_two_persons_who_decide_at_the_same_time_each_is_counted_once(office: Any, terminal: Any) -> None:
    office.import_people(1)
    ((subject_id, token),) = office.people.items()
    office.send(terminal, terminal.next(outcome=Outcome.REVIEW, subject_id=subject_id, token=token))
    (case_id,) = [row.case_id for row in office.rows("SELECT case_id FROM cases")]
    names = [f"R{number}" for number in range(6)]
    for name in names:
        take_up(office.database, desk(office), case_id, by=name, now=office.now)
    start, done, late = threading.Barrier(len(names)), [], []

    def work(name: str) -> None:
        start.wait(20)
        try:
            said = Said(Verdict.PASSED, "person_and_alive", name)
            done.append(decide(office.database, desk(office), case_id, said, now=office.now).state)
        except FleetError as error:
            late.append(type(error))

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done) == [State.IN_REVIEW, State.PASSED]
    assert late == [NotAllowed] * 4
    assert len(office.rows("SELECT 1 FROM acts")) == 1


def test_the_log_names_a_worker_by_an_id_that_is_known_and_no_other_word(office: Any, terminal: Any) -> None:
    office.import_people(1)
    (subject_id,) = office.people
    plan(office, request(office, subject_id), DAY)
    listed(office, DAY, worker="王秀英")
    listed(office, DAY, worker="t-1")
    written = office.rows("SELECT action, object_id, detail FROM audit_log WHERE action LIKE 'visit%' ORDER BY entry")
    assert "王秀英" not in str(written)
    _, typed, known = written
    assert len(typed.object_id) == 64
    assert known.object_id == "t-1"
