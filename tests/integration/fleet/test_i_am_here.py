"""A live pass against a report: the pass is held, every stop frozen, and two persons decide which of the two is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from fleet.benefits.due import propose_due_stops
from fleet.benefits.events import LADDER, StepOutcome
from fleet.benefits.files import file_of
from fleet.benefits.guard import StopGuard
from fleet.benefits.i_am_here import Resolved, look_again, resolve
from fleet.benefits.machine import BenefitState, NotAllowed
from fleet.errors import NotFound, Refused
from fleet.store.life_events import NewLifeEvent, add_life_events
from protocol.rules.life import LifeEventKind
from protocol.times import ClockSource, DeviceTime

pytestmark = pytest.mark.integration


@pytest.fixture
def person(office: Any) -> dict[str, str]:
    """The claim of one imported person."""
    office.import_people(1)
    office.hold_references()
    subject_id, token = next(iter(office.people.items()))
    return {"subject_id": subject_id, "token": token}


def report(
    office: Any,
    subject_id: str,
    kind: LifeEventKind = LifeEventKind.DEATH,
    since: date = date(2026, 11, 1),
    until: date | None = None,
    *,
    source: str = "feed:civil-affairs",
    confirmed: bool = True,
) -> None:
    """Take in a report as feeds do."""
    with office.database.begin() as connection:
        said = NewLifeEvent(subject_id, kind, since, until, source, f"{kind}-{since}", confirmed)
        add_life_events(connection, [said], now=office.now)
        look_again(connection, [subject_id], judging=judging(office), now=office.now, zone=office.settings.zone())


@contextmanager
def guard(office: Any) -> Iterator[StopGuard]:
    with office.database.begin() as connection:
        yield StopGuard(connection, office.keys.cipher, now=office.now, zone=office.settings.zone())


def judging(office: Any) -> Any:
    return lambda connection, who: office.settling.judge_anew(connection, who, now=office.now)


def decide(office: Any, subject_id: str, resolution: Any, by: str) -> Resolved:
    with office.database.begin() as connection:
        return resolve(
            connection,
            office.keys.cipher,
            subject_id,
            resolution,
            by=by,
            why="seen at the counter",
            judging=judging(office),
            now=office.now,
            zone=office.settings.zone(),
        )


def both(office: Any, subject_id: str, resolution: Any) -> Resolved:
    assert decide(office, subject_id, resolution, "Li Na").approvals_missing == 1
    return decide(office, subject_id, resolution, "Wang Fang")


def passes(office: Any) -> list[tuple[bool, list[str]]]:
    rows = office.rows("SELECT pass_at IS NOT NULL AS counts, flags FROM records ORDER BY terminal_id, counter")
    return [(row.counts, row.flags) for row in rows]


def file(office: Any, subject_id: str) -> Any:
    with office.database.begin() as connection:
        return file_of(connection, subject_id, "pension")


def cases(office: Any) -> list[Any]:
    return list(office.rows("SELECT * FROM i_am_here ORDER BY opened_at, case_id"))


def propose(office: Any) -> None:
    propose_due_stops(
        office.database,
        office.keys.cipher,
        judging=judging(office),
        now=office.now,
        zone=office.settings.zone(),
    )


def test_r7_9_a_pass_of_somebody_reported_dead_is_held_and_freezes_the_stop_at_once(
    office: Any, terminal: Any, person: dict[str, str]
) -> None:
    subject_id = person["subject_id"]
    report(office, subject_id)
    propose(office)
    assert file(office, subject_id).state is BenefitState.END_PROPOSED
    assert cases(office) == []

    assert office.verdicts(office.send(terminal, terminal.next(**person))) == [("stored", None)]
    assert passes(office) == [(False, ["life_event"])]
    (case,) = cases(office)
    found = file(office, subject_id)
    assert found.frozen_by == (case.case_id,)
    assert (case.subject_id, case.resolution, len(case.event_ids)) == (subject_id, None, 1)
    assert found.state is BenefitState.END_PROPOSED
    with office.database.begin() as connection:
        guard = StopGuard(connection, office.keys.cipher, now=office.now, zone=office.settings.zone())
        with pytest.raises(NotAllowed, match="holds every stop up"):
            guard.carry_out(found.proposal.stop.stop_id, by="Li Na")


def test_of_two_decisions_at_once_one_takes_effect(office: Any, terminal: Any, person: dict[str, str]) -> None:
    subject_id = person["subject_id"]
    report(office, subject_id)
    office.send(terminal, terminal.next(**person))
    decide(office, subject_id, "report_stands", "Li Na")
    decide(office, subject_id, "alive", "Zhao Min")
    with ThreadPoolExecutor(1) as pool:
        with office.database.begin() as connection:
            resolve(
                connection,
                office.keys.cipher,
                subject_id,
                "report_stands",
                by="Wang Fang",
                why="asked the register",
                judging=judging(office),
                now=office.now,
                zone=office.settings.zone(),
            )
            other = pool.submit(decide, office, subject_id, "alive", "Qian Wei")
            office.wait_for_somebody_waiting()
        with pytest.raises(NotFound, match="waits for a decision"):
            other.result()
    assert [case.resolution for case in cases(office)] == ["report_stands"]
    assert office.rows("SELECT 1 FROM life_events WHERE withdrawn_at IS NOT NULL") == []


def test_alive_by_two_persons_makes_the_pass_count_and_takes_the_stop_back(
    office: Any, terminal: Any, person: dict[str, str]
) -> None:
    subject_id = person["subject_id"]
    report(office, subject_id)
    propose(office)
    office.send(terminal, terminal.next(**person))

    assert decide(office, subject_id, "alive", "Li Na") == Resolved(cases(office)[0].case_id, 1, 0)
    assert passes(office) == [(False, ["life_event"])]
    with pytest.raises(Refused, match="second person"):
        decide(office, subject_id, "alive", " li na ")
    assert decide(office, subject_id, "alive", "Wang Fang").withdrawn == 1

    assert passes(office) == [(True, [])]
    (status,) = office.statuses()
    assert str(status.last_pass_day) == "2026-11-20"
    found = file(office, subject_id)
    assert (found.state, found.frozen_by) == (BenefitState.PAYING, ())
    assert cases(office)[0].resolution == "alive"
    propose(office)
    assert file(office, subject_id).state is BenefitState.PAYING
    with pytest.raises(NotFound, match="waits for a decision"):
        decide(office, subject_id, "alive", "Li Na")


def test_r7_5_a_benefit_that_ended_by_a_wrong_report_is_restored_with_its_months(
    office: Any, terminal: Any, person: dict[str, str]
) -> None:
    subject_id = person["subject_id"]
    report(office, subject_id, since=date(2026, 8, 10))
    propose(office)
    stop_id = file(office, subject_id).proposal.stop.stop_id
    today = date(2026, 11, 20)
    for step in LADDER:
        with guard(office) as at_work:
            at_work.record_step(stop_id, step, StepOutcome.NOT_REACHED, day=today, by="Zhao Min", proof="note")
    for name in ("Li Na", "Wang Fang"):
        with guard(office) as at_work:
            at_work.approve(stop_id, by=name, why="dead by the register")
    with guard(office) as at_work:
        # The report says since September: what was paid until now is claimed back, not called unpaid.
        with pytest.raises(Refused, match="2026-09 is past"):
            at_work.carry_out(stop_id, by="Li Na", from_month=date(2026, 9, 1))
        assert at_work.carry_out(stop_id, by="Li Na").state is BenefitState.ENDED
    office.send(terminal, terminal.next(**person))
    assert file(office, subject_id).state is BenefitState.ENDED
    found = both(office, subject_id, "alive")
    assert found.paid_back == {"pension": (date(2026, 11, 1),)}
    assert file(office, subject_id).state is BenefitState.PAYING


def test_a_report_that_stands_lets_the_stop_go_on_and_the_pass_counts_for_nothing(
    office: Any, terminal: Any, person: dict[str, str]
) -> None:
    subject_id = person["subject_id"]
    report(office, subject_id)
    propose(office)
    office.send(terminal, terminal.next(**person), terminal.next(**person))
    both(office, subject_id, "report_stands")
    found = file(office, subject_id)
    assert (found.state, found.frozen_by) == (BenefitState.END_PROPOSED, ())
    # The second pass was here when they decided: it opens nothing.
    assert [case.resolution for case in cases(office)] == ["report_stands"]
    assert passes(office) == [(False, ["life_event"])] * 2
    assert office.statuses()[0].last_pass_day is None

    office.now += timedelta(days=1)
    office.send(terminal, terminal.next(**person, at=office.now))
    assert [case.resolution for case in cases(office)] == ["report_stands", None]


def test_the_order_of_arrival_does_not_matter(office: Any, terminal: Any, person: dict[str, str]) -> None:
    office.send(terminal, terminal.next(**person))
    assert passes(office) == [(True, [])]
    report(office, person["subject_id"])
    assert passes(office) == [(False, ["life_event"])]
    assert office.statuses()[0].last_pass_day is None
    assert len(cases(office)) == 1
    before = office.statuses()
    office.rebuild()
    assert office.statuses() == before
    assert passes(office) == [(False, ["life_event"])]


@pytest.mark.parametrize(
    ("kind", "since", "until", "is_held"),
    [
        (LifeEventKind.MISSING, date(2026, 11, 1), None, True),
        (LifeEventKind.DECLARED_DEAD, date(2026, 11, 1), None, True),
        (LifeEventKind.CREMATION, date(2026, 11, 1), None, True),
        (LifeEventKind.BURIAL, date(2026, 11, 1), None, True),
        (LifeEventKind.SENTENCE, date(2026, 11, 1), None, True),
        (LifeEventKind.SENTENCE, date(2026, 11, 1), date(2026, 11, 19), False),
        (LifeEventKind.REGISTER_CANCELLED, date(2026, 11, 1), None, False),
        (LifeEventKind.DEATH, date(2026, 11, 21), None, False),
        (LifeEventKind.HOSPITAL, date(2026, 11, 1), None, False),
    ],
)
def test_r7_7_only_what_a_live_pass_contradicts_holds_it(
    office: Any,
    terminal: Any,
    person: dict[str, str],
    kind: LifeEventKind,
    since: date,
    until: date | None,
    is_held: bool,
) -> None:
    report(office, person["subject_id"], kind, since, until)
    office.send(terminal, terminal.next(**person))
    assert passes(office) == [(not is_held, ["life_event"] if is_held else [])]
    assert len(cases(office)) == is_held


def test_a_word_of_the_family_alone_holds_a_pass_too(office: Any, terminal: Any, person: dict[str, str]) -> None:
    report(office, person["subject_id"], source="family", confirmed=False)
    office.send(terminal, terminal.next(**person))
    assert len(cases(office)) == 1


def test_what_is_no_pass_for_another_reason_opens_nothing(office: Any, terminal: Any, person: dict[str, str]) -> None:
    report(office, person["subject_id"])
    office.send(terminal, terminal.next(**person, simulated=True))
    assert passes(office) == [(False, ["simulated"])]
    assert cases(office) == []


def test_a_moment_that_is_known_too_roughly_holds_the_pass(office: Any, terminal: Any, person: dict[str, str]) -> None:
    report(office, person["subject_id"], since=date(2026, 11, 20))
    loose = DeviceTime(
        boot_id="b" * 32,
        monotonic_ns=1,
        wall_clock=datetime(2026, 11, 20, 8, tzinfo=UTC),
        source=ClockSource.NETWORK,
        uncertainty_s=60 * 60 * 24.0,
    )
    office.send(terminal, terminal.next(**person, decided=loose))
    assert passes(office) == [(False, ["life_event"])]


def test_r7_7_a_prison_term_ends_on_the_day_of_the_pass_and_its_months_stay_unpaid(
    office: Any, terminal: Any, person: dict[str, str]
) -> None:
    subject_id = person["subject_id"]
    report(office, subject_id, LifeEventKind.SENTENCE, date(2026, 8, 10))
    office.send(terminal, terminal.next(**person))
    both(office, subject_id, "alive")
    rows = office.rows("SELECT since, until, source FROM life_events WHERE withdrawn_at IS NULL")
    assert [(row.since, row.until, row.source) for row in rows] == [
        (date(2026, 8, 10), date(2026, 11, 20), "i_am_here")
    ]
    assert passes(office) == [(True, [])]


def test_no_stop_is_proposed_while_a_case_is_open(office: Any, terminal: Any, person: dict[str, str]) -> None:
    office.send(terminal, terminal.next(**person))
    report(office, person["subject_id"])
    propose(office)
    found = file(office, person["subject_id"])
    assert (found.state, len(found.frozen_by)) == (BenefitState.PAYING, 1)


def test_a_new_report_after_the_decision_is_looked_at_anew(office: Any, terminal: Any, person: dict[str, str]) -> None:
    subject_id = person["subject_id"]
    report(office, subject_id)
    office.send(terminal, terminal.next(**person))
    both(office, subject_id, "alive")
    office.now += timedelta(hours=1)
    report(office, subject_id, LifeEventKind.CREMATION, date(2026, 11, 3))
    assert passes(office) == [(False, ["life_event"])]
    assert [case.resolution for case in cases(office)] == ["alive", None]
