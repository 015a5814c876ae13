"""The machine of one case."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.cases.machine import (
    DECIDED,
    ENDS_ROUND,
    OVER,
    REVIEWERS,
    Case,
    Event,
    Kind,
    NotAllowed,
    Source,
    State,
    Step,
    Verdict,
    advance,
    evidence_until,
    open_from,
    replay,
)

AT = datetime(2026, 11, 20, 9, tzinfo=UTC)
CASE = "c" * 32
PEOPLE = ("an", "bo", "chen", "ding")
NEEDS = ("identity_card", "with_newspaper")


def opening(*, needs: tuple[str, ...] = (), by: str = "", kind: Kind = Kind.APPEAL, record: str = "r1") -> Event:
    return Event(
        Step.OPENED, AT, by=by, kind=kind, subject_id="s", source=Source(AT, date(2026, 12, 4), record), needs=needs
    )


def up(who: str) -> Event:
    return Event(Step.TAKEN_UP, AT, by=who)


def says(who: str, verdict: Verdict, reason: str = "person_and_alive") -> Event:
    return Event(Step.VERDICT, AT + timedelta(hours=1), by=who, verdict=verdict, reason=reason)


def brings(role: str, by: str = "wu") -> Event:
    return Event(Step.EVIDENCE_ADDED, AT, by=by, role=role)


def case_of(*events: Event) -> Case:
    return replay(CASE, events)


def test_r6_2_two_reviewers_who_agree_decide() -> None:
    one = case_of(opening(), up("an"), says("an", Verdict.PASSED))
    assert one.state is State.IN_REVIEW, "one person's word is not enough"
    two = advance(advance(one, up("bo")), says("bo", Verdict.PASSED))
    assert (two.state, two.decided_at, two.reason) == (State.PASSED, AT + timedelta(hours=1), "person_and_alive")


def test_one_for_and_one_against_wait_for_a_third() -> None:
    split = case_of(
        opening(), up("an"), up("bo"), says("an", Verdict.PASSED), says("bo", Verdict.REFUSED, "other_person")
    )
    assert split.state is State.DISAGREED
    for verdict, state in ((Verdict.PASSED, State.PASSED), (Verdict.REFUSED, State.REFUSED)):
        third = advance(advance(split, up("chen")), says("chen", verdict, "x"))
        assert (third.state, third.reason) == (state, "x")
    for who in ("an", "bo"):
        with pytest.raises(NotAllowed, match="decided already"):
            advance(split, says(who, Verdict.PASSED))


def test_nobody_decides_twice_nor_without_having_looked() -> None:
    case = case_of(opening(), up("an"), says("an", Verdict.PASSED))
    with pytest.raises(NotAllowed, match="decided already"):
        advance(case, says("an", Verdict.PASSED))
    with pytest.raises(NotAllowed, match="has not looked"):
        advance(case, says("bo", Verdict.PASSED))
    with pytest.raises(NotAllowed, match="take it up first"):
        advance(case_of(opening()), says("an", Verdict.PASSED))


def test_who_took_it_in_may_not_review() -> None:
    case = case_of(opening(needs=NEEDS, by="wu"), brings(NEEDS[0], "xu"), brings(NEEDS[1], "wu"))
    for who in ("wu", "xu", ""):
        with pytest.raises(NotAllowed):
            advance(case, up(who))
    assert advance(case, up("an")).state is State.IN_REVIEW


def test_r1_18_nothing_is_reviewed_before_both_photographs_are_there() -> None:
    case = case_of(opening(needs=NEEDS, kind=Kind.SPECIAL), brings("identity_card"))
    assert case.state is State.OPENED
    with pytest.raises(NotAllowed, match="lacking: with_newspaper"):
        advance(case, up("an"))
    assert advance(case, brings("with_newspaper")).state is State.EVIDENCE_COMPLETE


def test_more_evidence_begins_a_new_round_in_which_nothing_said_before_counts() -> None:
    case = case_of(
        opening(), up("an"), up("bo"), says("an", Verdict.PASSED), says("bo", Verdict.MORE_EVIDENCE, "another_document")
    )
    assert (case.state, case.round_number, case.given, case.reason) == (State.MORE_EVIDENCE, 2, (), "another_document")
    with pytest.raises(NotAllowed, match="waits for the evidence"):
        advance(case, up("chen"))
    again = advance(case, brings("proof"))
    assert again.state is State.EVIDENCE_COMPLETE
    one = advance(advance(again, up("an")), says("an", Verdict.PASSED))
    assert one.state is State.IN_REVIEW, "what was said in the first round is not counted"
    assert advance(advance(one, up("bo")), says("bo", Verdict.PASSED)).state is State.PASSED


def test_evidence_does_not_change_under_the_eyes_of_reviewers() -> None:
    with pytest.raises(NotAllowed, match="in review"):
        advance(case_of(opening(), up("an")), brings("proof"))


def test_what_is_over_takes_nothing_but_its_closing_and_late_records() -> None:
    done = case_of(opening(), up("an"), up("bo"), says("an", Verdict.REFUSED, "x"), says("bo", Verdict.REFUSED, "x"))
    for event in (brings("proof"), up("chen"), says("chen", Verdict.PASSED), opening()):
        with pytest.raises(NotAllowed):
            advance(done, event)
    closed = advance(done, Event(Step.CLOSED, AT + timedelta(days=1), by="an", reason="finished"))
    assert (closed.state, closed.reason) == (State.CLOSED, "x"), "the reason of the decision stays"
    with pytest.raises(NotAllowed, match="closed already"):
        advance(closed, Event(Step.CLOSED, AT, by="an"))


def test_evidence_is_deleted_so_long_after_the_decision() -> None:
    case = case_of(opening(), up("an"), up("bo"), says("an", Verdict.REFUSED, "x"))
    assert evidence_until(case, timedelta(days=90)) is None
    done = advance(case, says("bo", Verdict.REFUSED, "x"))
    assert evidence_until(done, timedelta(days=90)) == AT + timedelta(hours=1, days=90)
    closed = advance(done, Event(Step.CLOSED, AT + timedelta(days=30), by="an", reason="finished"))
    assert closed.decided_at == done.decided_at


def test_records_of_one_session_make_the_same_case_in_whatever_order_they_come() -> None:
    sources = [Source(AT + timedelta(minutes=n), date(2026, 12, 4 + n), f"r{n}") for n in range(3)]
    firsts = set()
    for order in permutations(sources):
        first = open_from(CASE, replace(opening(), source=order[0]))
        for source in order[1:]:
            first = advance(first, Event(Step.JOINED, AT, source=source))
        firsts.add((first.first, first.sample_at))
        with pytest.raises(NotAllowed, match="belongs to it already"):
            advance(first, Event(Step.JOINED, AT, source=sources[0]))
    assert firsts == {(sources[0], AT)}


def test_what_somebody_said_does_not_count_once_it_is_known_that_they_took_it_in() -> None:
    split = case_of(opening(), up("an"), up("bo"), says("an", Verdict.PASSED), says("bo", Verdict.REFUSED, "x"))
    joined = advance(split, Event(Step.JOINED, AT, source=Source(AT, date(2026, 12, 4), "r2"), taken_in_by=("an",)))
    assert (joined.state, [each.by for each in joined.given]) == (State.IN_REVIEW, ["bo"])


def test_a_record_that_joins_a_review_ends_the_round() -> None:
    joins = Event(Step.JOINED, AT, source=Source(AT, date(2026, 12, 4), "r2"), facts={ENDS_ROUND: "yes"})
    case = advance(case_of(opening(), up("an"), up("bo"), says("an", Verdict.PASSED)), joins)
    assert (case.state, case.given, case.reviewing, case.round_number) == (
        State.EVIDENCE_COMPLETE,
        (),
        frozenset(),
        2,
    )
    with pytest.raises(NotAllowed, match="not in review"):
        advance(case, says("bo", Verdict.PASSED))
    one = advance(advance(case, up("bo")), says("bo", Verdict.PASSED))
    assert one.state is State.IN_REVIEW, "what was said before is not counted"
    decided = advance(advance(one, up("an")), says("an", Verdict.PASSED))
    late = advance(decided, replace(joins, source=Source(AT, date(2026, 12, 4), "r3")))
    assert (late.state, len(late.sources)) == (State.PASSED, 3), "what was decided stays decided"


def test_a_history_of_before_that_rule_is_read_as_it_was() -> None:
    joins = Event(Step.JOINED, AT, source=Source(AT, date(2026, 12, 4), "r2"))
    case = case_of(opening(), up("an"), up("bo"), says("an", Verdict.PASSED), joins, says("bo", Verdict.PASSED))
    assert case.state is State.PASSED


def test_a_history_begins_with_an_opening() -> None:
    with pytest.raises(NotAllowed, match="no events"):
        replay(CASE, [])
    with pytest.raises(NotAllowed, match="an opening"):
        replay(CASE, [up("an")])


_someone = st.sampled_from(("", *PEOPLE))
_events = st.one_of(
    st.builds(lambda who: up(who), _someone),
    st.builds(lambda who, verdict: says(who, verdict), _someone, st.sampled_from(Verdict)),
    st.builds(lambda who, role: brings(role, who), _someone, st.sampled_from((*NEEDS, "proof"))),
    st.builds(
        lambda who, n: Event(Step.JOINED, AT, source=Source(AT, date(2026, 12, 4), f"j{n}"), taken_in_by=(who,)),
        _someone,
        st.integers(0, 3),
    ),
    st.builds(lambda who: Event(Step.CLOSED, AT, by=who, reason="mistake"), st.just("an")),
    st.just(Event(Step.IDENTIFIED, AT, subject_id="s")),
    st.just(Event(Step.PLANNED, AT, by="an", day=date(2026, 12, 1), worker="w-1")),
    st.just(Event(Step.NOT_MET, AT, by="an", day=date(2026, 12, 1), worker="w-1")),
)


@given(
    needs=st.sampled_from(((), NEEDS)),
    by=_someone,
    kind=st.sampled_from(Kind),
    events=st.lists(_events, max_size=25),
)
def test_no_sequence_of_events_decides_a_case_without_two_different_reviewers(
    needs: tuple[str, ...], by: str, kind: Kind, events: list[Event]
) -> None:
    case = open_from(CASE, opening(needs=needs, by=by, kind=kind))
    took_in = {by}
    said: list[tuple[str, Verdict]] = []
    """Of this round, kept here without the machine's own books."""
    for event in events:
        try:
            after = advance(case, event)
        except NotAllowed:
            continue
        took_in |= {event.by} if event.step is Step.EVIDENCE_ADDED else set(event.taken_in_by)
        if event.step is Step.VERDICT and event.verdict is not None:
            said = [] if event.verdict is Verdict.MORE_EVIDENCE else [*said, (event.by, event.verdict)]
        if case.state not in OVER:
            said = [(who, verdict) for who, verdict in said if who not in took_in]
            if after.state in DECIDED:
                agreeing = {who for who, verdict in said if verdict.value == after.state.value}
                assert len(agreeing) >= REVIEWERS
                assert not agreeing & (took_in | {""})
                assert set(after.needs) <= set(after.roles)
        if case.state in DECIDED:
            assert after.state in {case.state, State.CLOSED}, "a decision is final"
        case = after


def test_a_case_of_somebody_who_was_erased_is_replayed_without_them() -> None:
    opened = replace(opening(), subject_id=None)
    assert case_of(opened, Event(Step.IDENTIFIED, AT, subject_id="s")).subject_id == "s"
    assert case_of(opened, Event(Step.IDENTIFIED, AT)).subject_id is None
    with pytest.raises(NotAllowed, match="known already"):
        case_of(opening(), Event(Step.IDENTIFIED, AT, subject_id="t"))
