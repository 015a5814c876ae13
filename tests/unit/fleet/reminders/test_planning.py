from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.reminders.planning import (
    LADDERS,
    Kind,
    Person,
    PlanRules,
    State,
    Step,
    Told,
    needs,
    not_before,
    plan,
    plan_for,
)
from protocol.rules.days import FOREVER

RULES = PlanRules(lead_days=7, early_days=30, call_after_days=7, visit_after_days=7, rest_days=3, failed_days=30)
# The window of Shijiazhuang (R2-6) and its stop (R7-3).
OPENS, DUE, STOP = date(2017, 8, 15), date(2017, 10, 31), date(2017, 12, 1)
WANG = Person(
    subject_id="w",
    has_data=True,
    opens=OPENS,
    asked=OPENS,
    expiring=date(2017, 10, 1),
    due=DUE,
    overdue=date(2017, 11, 1),
    stop_from=STOP,
)
NEW = replace(WANG, subject_id="n", has_data=False)
CN = timezone(timedelta(hours=8))


def told(kind: Kind, step: Step, state: State = State.DELIVERED, day: date = OPENS) -> Told:
    settled = day if state in (State.DELIVERED, State.FAILED) else None
    return Told(kind, DUE, step, state, day, settled)


def steps(person: Person, day: date) -> list[tuple[Kind, Step]]:
    return [(found.kind, found.step) for found in plan_for(person, RULES, day)]


def test_r9_1_everybody_is_told_a_week_before_the_period_begins_and_not_earlier() -> None:
    assert steps(WANG, date(2017, 8, 7)) == []
    assert steps(WANG, date(2017, 8, 8)) == [(Kind.DUE, Step.MESSAGE)]


def test_r9_2_people_with_no_data_are_told_a_month_before_and_first_of_all() -> None:
    assert steps(NEW, date(2017, 7, 15)) == []
    assert steps(NEW, date(2017, 7, 16)) == [(Kind.NO_DATA, Step.MESSAGE)]
    urgent = replace(WANG, subject_id="a", failed_on=date(2017, 10, 1))
    found = plan([WANG, urgent, NEW], RULES, date(2017, 10, 2))
    assert [step.kind for step in found] == [Kind.NO_DATA, Kind.FAILED, Kind.EXPIRING]


def test_r6_10_who_tried_and_was_not_certified_is_told_even_before_the_period_is_due() -> None:
    tried = replace(WANG, failed_on=date(2017, 8, 20))
    assert steps(tried, date(2017, 8, 21)) == [(Kind.FAILED, Step.MESSAGE)]
    assert steps(tried, date(2017, 9, 30)) == [(Kind.DUE, Step.MESSAGE)], "a month later it is no occasion any more"


def test_r6_10_an_attempt_before_the_act_that_counts_is_no_occasion() -> None:
    assert needs(replace(WANG, failed_on=date(2017, 8, 10)), RULES, date(2017, 8, 16)) == [(Kind.DUE, DUE)]


def test_feature_83_the_ladder_goes_from_message_to_call_to_visit_each_after_the_proof_of_the_one_before() -> None:
    day = date(2017, 11, 1)
    assert steps(WANG, day) == [(Kind.STOP_PROPOSED, Step.MESSAGE)]
    sent = replace(WANG, told=(told(Kind.STOP_PROPOSED, Step.MESSAGE, State.SENT, day),))
    assert steps(sent, day + timedelta(days=60)) == [], (
        "nothing follows a message of which nobody knows whether it came"
    )
    arrived = replace(WANG, told=(told(Kind.STOP_PROPOSED, Step.MESSAGE, day=day),))
    assert steps(arrived, day + timedelta(days=6)) == []
    assert steps(arrived, day + timedelta(days=7)) == [(Kind.STOP_PROPOSED, Step.CALL)]
    listed = replace(arrived, told=(*arrived.told, told(Kind.STOP_PROPOSED, Step.CALL, State.SENT, day)))
    assert steps(listed, day + timedelta(days=60)) == [], "a call on a list is no proof"
    called = replace(arrived, told=(*arrived.told, told(Kind.STOP_PROPOSED, Step.CALL, day=day + timedelta(days=8))))
    assert steps(called, day + timedelta(days=14)) == []
    assert steps(called, day + timedelta(days=15)) == [(Kind.STOP_PROPOSED, Step.VISIT)]
    visited = replace(called, told=(*called.told, told(Kind.STOP_PROPOSED, Step.VISIT, day=day + timedelta(days=16))))
    assert steps(visited, day + timedelta(days=365)) == []


@pytest.mark.parametrize("kind", list(LADDERS))
def test_feature_83_no_ladder_leaves_a_step_out(kind: Kind) -> None:
    assert LADDERS[kind] == tuple(Step)[: len(LADDERS[kind])]
    assert len(LADDERS[Kind.STOP_PROPOSED]) == 3


def test_a_step_that_failed_is_followed_by_the_next_at_once() -> None:
    day = date(2017, 11, 1)
    failed = replace(WANG, told=(told(Kind.STOP_PROPOSED, Step.MESSAGE, State.FAILED, day),))
    assert steps(failed, day) == [(Kind.STOP_PROPOSED, Step.CALL)]


def test_a_call_about_the_same_period_is_not_made_twice() -> None:
    day = date(2017, 11, 1)
    person = replace(
        WANG,
        told=(
            told(Kind.EXPIRING, Step.MESSAGE, day=date(2017, 10, 1)),
            told(Kind.EXPIRING, Step.CALL, day=date(2017, 10, 8)),
            told(Kind.STOP_PROPOSED, Step.MESSAGE, day=day),
        ),
    )
    assert steps(person, day + timedelta(days=7)) == [(Kind.STOP_PROPOSED, Step.VISIT)]


def test_two_messages_about_one_period_lie_some_days_apart() -> None:
    person = replace(WANG, told=(told(Kind.DUE, Step.MESSAGE, day=date(2017, 9, 30)),))
    assert steps(person, date(2017, 10, 2)) == []
    assert steps(person, date(2017, 10, 3)) == [(Kind.EXPIRING, Step.MESSAGE)]


def test_nobody_reminds_the_family_of_somebody_reported_dead() -> None:
    person = replace(NEW, is_reported_dead=True, noted=((Kind.APPEAL_ANSWERED, OPENS),))
    assert plan_for(person, RULES, OPENS) == []
    assert needs(person, RULES, OPENS) == []


def test_the_answer_to_an_appeal_is_told_beside_the_period() -> None:
    person = replace(WANG, noted=((Kind.APPEAL_ANSWERED, date(2017, 8, 20)),))
    assert steps(person, date(2017, 8, 20)) == [(Kind.DUE, Step.MESSAGE), (Kind.APPEAL_ANSWERED, Step.MESSAGE)]


def test_a_stop_is_announced_only_where_a_pack_stops_anybody() -> None:
    late = date(2017, 11, 2)
    assert needs(replace(WANG, stop_from=FOREVER), RULES, late) == [(Kind.EXPIRING, DUE)]
    noted = replace(WANG, stop_from=FOREVER, noted=((Kind.STOP_PROPOSED, DUE),))
    assert needs(noted, RULES, late) == [(Kind.STOP_PROPOSED, DUE)]


def test_what_was_cancelled_may_be_planned_again() -> None:
    person = replace(WANG, told=(told(Kind.DUE, Step.MESSAGE, State.CANCELLED, date(2017, 8, 8)),))
    assert steps(person, date(2017, 8, 9)) == [(Kind.DUE, Step.MESSAGE)]


@given(st.integers(0, 400), st.integers(0, 400), st.booleans(), st.booleans())
def test_no_step_is_planned_twice_whatever_the_days(first: int, later: int, has_data: bool, has_failed: bool) -> None:
    day = date(2017, 6, 1) + timedelta(days=first)
    person = replace(WANG, has_data=has_data, failed_on=OPENS if has_failed else None)
    taken = tuple(
        Told(found.kind, found.occasion, found.step, State.DELIVERED, day, day)
        for found in plan_for(person, RULES, day)
    )
    again = plan_for(replace(person, told=taken), RULES, day + timedelta(days=later))
    assert not {(t.kind, t.occasion, t.step) for t in taken} & {(p.kind, p.occasion, p.step) for p in again}


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ((7, 59), (20, 8, 0)),
        ((8, 0), (20, 8, 0)),
        ((19, 59), (20, 19, 59)),
        ((20, 0), (21, 8, 0)),
        ((23, 30), (21, 8, 0)),
        ((0, 0), (20, 8, 0)),
    ],
)
def test_quiet_hours_are_local_and_go_over_midnight(clock: tuple[int, int], expected: tuple[int, int, int]) -> None:
    moment = datetime(2026, 11, 20, *clock, tzinfo=CN).astimezone(UTC)
    found = not_before(moment, CN, quiet_from=time(20), quiet_until=time(8))
    assert found == datetime(2026, 11, *expected, tzinfo=CN)
    assert found.tzinfo is UTC


def test_quiet_hours_at_noon_and_none_at_all() -> None:
    noon = datetime(2026, 11, 20, 12, 30, tzinfo=CN)
    assert not_before(noon, CN, quiet_from=time(12), quiet_until=time(14)) == noon.replace(hour=14, minute=0)
    assert not_before(noon, CN, quiet_from=time(8), quiet_until=time(8)) == noon
