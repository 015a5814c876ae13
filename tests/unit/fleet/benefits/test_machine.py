"""The file of a benefit: no sequence of events stops it without ladder and two persons."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.benefits.events import (
    KINDS,
    LADDER,
    REASON_GONE,
    Approved,
    CarriedOut,
    DataCompared,
    Event,
    Frozen,
    LadderStep,
    RecoveryClosed,
    RecoveryOpened,
    RecoveryOutcome,
    RecoveryReason,
    Restored,
    RestoreReason,
    StepOutcome,
    StepTaken,
    StopEffect,
    StopProposed,
    StopReason,
    Unfrozen,
    Withdrawn,
    body_of,
    event_from,
    kind_of,
)
from fleet.benefits.machine import BenefitFile, BenefitState, NotAllowed, Standing, advance, replay
from fleet.benefits.months import Months

DAY = date(2018, 12, 21)
MONTH = date(2019, 1, 1)
EMPTY = BenefitFile("s", "pension")


def proposed(stop_id: str = "a", **changes: Any) -> StopProposed:
    said: dict[str, Any] = {
        "reason": StopReason.OVERDUE,
        "effect": StopEffect.PAUSE,
        "from_month": MONTH,
        "since": DAY,
        "basis": f"LZ-2019/1/{stop_id}",
        "day": DAY,
    }
    return StopProposed(stop_id, **{**said, **changes})


def ladder(stop_id: str = "a", day: date = DAY) -> list[Event]:
    return [StepTaken(stop_id, step, StepOutcome.NOT_REACHED, f"proof of the {step}", day) for step in LADDER]


def approvals(stop_id: str = "a") -> list[Event]:
    return [Approved(stop_id, person, DAY) for person in ("one", "two")]


def carried_out(stop_id: str = "a", month: date = MONTH) -> CarriedOut:
    return CarriedOut(stop_id, month, month)


def stopped(**changes: Any) -> BenefitFile:
    return replay("s", "pension", [proposed(**changes), *ladder(), *approvals(), carried_out()])


def refusal(file: BenefitFile, event: Event) -> str:
    with pytest.raises(NotAllowed) as found:
        advance(file, event)
    return str(found.value)


def test_r7_3_the_ladder_two_persons_and_a_month_lead_to_a_pause() -> None:
    states = []
    file = EMPTY
    for event in [proposed(), *ladder(), *approvals(), carried_out()]:
        file = advance(file, event)
        states.append(file.state)
    assert states == [BenefitState.PAUSE_PROPOSED] * 6 + [BenefitState.PAUSED]
    assert (file.standing, file.stopped_from, file.events) == (Standing.PAUSED, MONTH, 7)
    assert file.unpaid == (Months(MONTH, None),)


def test_r7_19_pausing_and_ending_are_two_states() -> None:
    assert stopped().state is BenefitState.PAUSED
    assert advance(EMPTY, proposed(effect=StopEffect.END)).state is BenefitState.END_PROPOSED
    assert stopped(effect=StopEffect.END, reason=StopReason.DEATH).state is BenefitState.ENDED


def test_who_prepared_a_stop_is_none_of_the_two_who_approve_it() -> None:
    events: list[Event] = [replace(proposed(needs_comparison=True), by="one")]
    events.append(DataCompared("a", is_sign_found=False, proof="p", day=DAY, by="two"))
    events += [replace(each, by="three") for each in ladder() if isinstance(each, StepTaken)]
    file = replay("s", "pension", events)
    for person in ("one", "two", "three"):
        assert "who proposed it or recorded its steps" in refusal(file, Approved("a", person, DAY))
    file = advance(advance(file, Approved("a", "four", DAY)), Approved("a", "five", DAY))
    assert "who approved it" in refusal(file, DataCompared("a", is_sign_found=False, proof="p", day=DAY, by="four"))
    assert advance(file, carried_out()).state is BenefitState.PAUSED


def test_what_was_stored_before_names_were_kept_is_read_and_refuses_nobody() -> None:
    for event in (proposed(), *ladder(), DataCompared("a", is_sign_found=False, proof="p", day=DAY)):
        body = {name: value for name, value in body_of(event).items() if name != "by"}
        assert event_from(kind_of(event), event.day, body) == event
    assert advance(replay("s", "pension", [proposed(), *ladder()]), approvals()[0])


@pytest.mark.parametrize("left_out", range(1, 6))
def test_nothing_stops_while_a_step_or_a_person_is_missing(left_out: int) -> None:
    events = [proposed(), *ladder(), *approvals()]
    taken = EMPTY
    for number, event in enumerate(events):
        if number == left_out:
            continue
        try:
            taken = advance(taken, event)
        except NotAllowed:
            continue
    assert "still missing" in refusal(taken, carried_out())


def test_steps_go_in_order_each_once_with_proof_and_not_before_the_reason() -> None:
    file = advance(EMPTY, proposed())
    message, call, visit = ladder()
    assert refusal(file, call) == "the next step of the ladder is the message, not the call"
    for outcome in StepOutcome:
        assert "needs its proof" in refusal(file, StepTaken("a", LadderStep.MESSAGE, outcome, " ", DAY))
    early = StepTaken("a", LadderStep.MESSAGE, StepOutcome.REACHED, "p", DAY - timedelta(days=1))
    assert "too early" in refusal(file, early)
    file = advance(file, message)
    assert "the next step of the ladder is the call" in refusal(file, message)
    file = advance(advance(file, call), visit)
    assert "already" in refusal(file, visit)


def test_the_same_person_counts_once_and_a_third_is_too_many() -> None:
    file = replay("s", "pension", [proposed(), *ladder(), approvals()[0]])
    assert "second person" in refusal(file, Approved("a", "one", DAY))
    assert "1 more person" in refusal(file, carried_out())
    assert "needs a person" in refusal(file, Approved("a", "", DAY))
    file = advance(file, approvals()[1])
    assert "two persons" in refusal(file, Approved("a", "three", DAY))


def test_r7_11_data_of_other_bodies_are_compared_before_anybody_approves() -> None:
    file = replay("s", "pension", [proposed(needs_comparison=True), *ladder()])
    assert refusal(file, approvals()[0]) == "cannot be approved yet, still missing: comparison"
    assert "needs its proof" in refusal(file, DataCompared("a", is_sign_found=False, proof="", day=DAY))
    alive = advance(file, DataCompared("a", is_sign_found=True, proof="travel data", day=DAY))
    assert "sign of life" in refusal(alive, approvals()[0])
    silent = advance(file, DataCompared("a", is_sign_found=False, proof="asked five bodies", day=DAY))
    assert replay_on(silent, [*approvals(), carried_out()]).state is BenefitState.PAUSED


def test_r7_11_a_sign_of_life_that_is_found_later_takes_the_approvals_with_it() -> None:
    file = replay("s", "pension", [proposed(), *ladder(), *approvals()])
    file = advance(file, DataCompared("a", is_sign_found=True, proof="hospital", day=DAY))
    assert "still missing: 2 more person" in refusal(file, carried_out())


def test_a_case_holds_up_what_is_proposed_and_what_would_be() -> None:
    file = replay("s", "pension", [proposed(), *ladder(), *approvals(), Frozen("case", "i_am_here", DAY)])
    assert "holds every stop up" in refusal(file, carried_out())
    assert "already" in refusal(file, Frozen("case", "again", DAY))
    free = advance(file, Unfrozen("case", DAY))
    assert advance(free, carried_out()).state is BenefitState.PAUSED
    assert "does not hold" in refusal(free, Unfrozen("case", DAY))
    held = advance(EMPTY, Frozen("case", "i_am_here", DAY))
    assert "cannot be proposed" in refusal(held, proposed())
    gathered = replay("s", "pension", [proposed(), *ladder(), Frozen("case", "i_am_here", DAY)])
    assert "cannot be approved" in refusal(gathered, approvals()[0])


def test_two_cases_hold_it_up_until_both_are_decided() -> None:
    events = [proposed(), *ladder(), *approvals(), Frozen("x", "", DAY), Frozen("y", "", DAY), Unfrozen("x", DAY)]
    assert "case y" in refusal(replay("s", "pension", events), carried_out())


def test_r7_5_every_stop_has_a_way_back_with_the_months_between() -> None:
    for effect in StopEffect:
        file = stopped(effect=effect)
        restored = advance(file, Restored(RestoreReason.CERTIFIED, "act", date(2019, 4, 1), date(2019, 3, 20)))
        assert restored.state is BenefitState.PAYING
        assert restored.stops == (Months(MONTH, date(2019, 4, 1)),)
        assert restored.answered == ("LZ-2019/1/a",)
    withdrawn = advance(advance(EMPTY, proposed()), Withdrawn("a", "came", DAY))
    assert (withdrawn.state, withdrawn.answered, withdrawn.stops) == (BenefitState.PAYING, ("LZ-2019/1/a",), ())
    by_machine = advance(advance(EMPTY, proposed()), Withdrawn("a", REASON_GONE, DAY))
    assert (by_machine.state, by_machine.answered) == (BenefitState.PAYING, ())


def test_a_restoration_can_happen_while_a_case_is_open() -> None:
    file = advance(stopped(), Frozen("case", "i_am_here", DAY))
    found = advance(file, Restored(RestoreReason.ALIVE, "case", date(2019, 2, 1), date(2019, 1, 20)))
    assert (found.state, found.frozen_by) == (BenefitState.PAYING, ("case",))


@pytest.mark.parametrize(
    ("file", "event", "says"),
    [
        (EMPTY, carried_out(), "is not proposed"),
        (EMPTY, Withdrawn("a", "why", DAY), "is not proposed"),
        (EMPTY, Restored(RestoreReason.MISTAKE, "why", MONTH, DAY), "nothing to restore"),
        (EMPTY, proposed(from_month=date(2019, 1, 2)), "first day of a month"),
        (EMPTY, proposed(basis=""), "an id and a basis"),
        (EMPTY, Frozen("", "why", DAY), "only a case"),
        (EMPTY, RecoveryOpened("", RecoveryReason.OVERPAID, 1, DAY), "an id of its own"),
        (EMPTY, RecoveryOpened("r", RecoveryReason.OVERPAID, -1, DAY), "0 or more"),
        (EMPTY, RecoveryClosed("r", RecoveryOutcome.RETURNED, DAY), "none of this id is open"),
        (advance(EMPTY, proposed()), proposed("b"), "proposed already"),
        (advance(EMPTY, proposed()), Withdrawn("a", " ", DAY), "needs its reason"),
        (advance(EMPTY, proposed()), DataCompared("a", False, "p", DAY - timedelta(days=1)), "too early"),
        (stopped(), proposed("b"), "paused already"),
        (stopped(effect=StopEffect.END), proposed("b", effect=StopEffect.END), "ended already"),
        (stopped(), Restored(RestoreReason.MISTAKE, "", MONTH, DAY), "needs its basis"),
        (stopped(), Restored(RestoreReason.MISTAKE, "w", date(2018, 12, 1), DAY), "cannot be restored for an earlier"),
        (
            replay("s", "p", [proposed(), *ladder(), *approvals()]),
            carried_out(month=date(2018, 12, 1)),
            "nothing stops",
        ),
    ],
)
def test_what_is_not_allowed_says_why_and_changes_nothing(file: BenefitFile, event: Event, says: str) -> None:
    before = repr(file)
    assert says in refusal(file, event)
    assert repr(file) == before


def test_r7_7_a_paused_benefit_can_end_and_keeps_its_first_unpaid_month() -> None:
    end = proposed("b", effect=StopEffect.END, reason=StopReason.DEATH, from_month=date(2019, 3, 1))
    file = replay_on(stopped(), [end, *ladder("b"), *approvals("b"), carried_out("b", date(2019, 3, 1))])
    assert (file.state, file.stopped_from) == (BenefitState.ENDED, MONTH)
    held = advance(stopped(), end)
    assert held.state is BenefitState.END_PROPOSED
    assert held.standing is Standing.PAUSED
    back = Restored(RestoreReason.CERTIFIED, "act", date(2019, 4, 1), DAY)
    assert "withdraw it before" in refusal(held, back)


@pytest.mark.parametrize("outcome", RecoveryOutcome)
def test_r7_10_r7_16_a_claim_is_paid_back_in_full_or_goes_to_court(outcome: RecoveryOutcome) -> None:
    opened = advance(EMPTY, RecoveryOpened("r", RecoveryReason.OVERPAID, 2, DAY))
    assert opened.open_recoveries == ("r",)
    closed = advance(opened, RecoveryClosed("r", outcome, DAY))
    assert (closed.open_recoveries, closed.recoveries) == ((), ("r",))
    assert "an id of its own" in refusal(closed, RecoveryOpened("r", RecoveryReason.OVERPAID, 2, DAY))
    assert "none of this id is open" in refusal(closed, RecoveryClosed("r", outcome, DAY))


def replay_on(file: BenefitFile, events: list[Event]) -> BenefitFile:
    for event in events:
        file = advance(file, event)
    return file


IDS = st.sampled_from(["a", "b"])
DAYS = st.integers(0, 90).map(lambda days: DAY + timedelta(days=days))
FIRSTS = st.integers(0, 14).map(lambda months: date(2018 + (11 + months) // 12, (11 + months) % 12 + 1, 1))
PROOFS = st.sampled_from(["", "proof"])
EVENTS = st.one_of(
    st.builds(
        StopProposed,
        IDS,
        st.sampled_from(StopReason),
        st.sampled_from(StopEffect),
        FIRSTS,
        DAYS,
        IDS,
        DAYS,
        st.booleans(),
    ),
    st.builds(StepTaken, IDS, st.sampled_from(LADDER), st.sampled_from(StepOutcome), PROOFS, DAYS),
    st.builds(DataCompared, IDS, st.booleans(), PROOFS, DAYS),
    st.builds(Approved, IDS, st.sampled_from(["one", "two"]), DAYS),
    st.builds(CarriedOut, IDS, FIRSTS, DAYS),
    st.builds(Withdrawn, IDS, PROOFS, DAYS),
    st.builds(Restored, st.sampled_from(RestoreReason), PROOFS, FIRSTS, DAYS),
    st.builds(Frozen, IDS, PROOFS, DAYS),
    st.builds(Unfrozen, IDS, DAYS),
    st.builds(RecoveryClosed, IDS, st.sampled_from(RecoveryOutcome), DAYS),
    st.builds(RecoveryOpened, IDS, st.sampled_from(RecoveryReason), st.integers(-1, 12), DAYS),
)
# Mostly what leads on, so that stops do happen; anything may come in between.
FORWARD = st.sampled_from(
    [
        [proposed(since=DAY), *ladder(), *approvals(), carried_out()],
        [proposed(effect=StopEffect.END), *ladder(), *approvals(), carried_out()],
        [proposed(needs_comparison=True), DataCompared("a", is_sign_found=False, proof="p", day=DAY), *ladder()],
        [*approvals(), carried_out()],
    ]
)


@given(st.lists(st.one_of(EVENTS.map(lambda event: [event]), FORWARD), max_size=14))
@settings(max_examples=400, deadline=None)
def test_no_sequence_of_events_stops_a_benefit_without_ladder_proofs_and_two_persons(groups: list[list[Event]]) -> None:
    file, taken = EMPTY, list[Event]()
    for event in (event for group in groups for event in group):
        before = file
        try:
            file = advance(file, event)
        except NotAllowed:
            assert file is before
            continue
        taken.append(event)
        if before.standing is not file.standing and file.standing is not Standing.PAYING:
            assert isinstance(event, CarriedOut)
            _check_stop(event, taken, before)
    assert replay("s", "pension", taken) == file
    assert file.events == len(taken)


def _check_stop(event: CarriedOut, taken: list[Event], before: BenefitFile) -> None:
    """Look at the events themselves, not at what the file kept of them."""
    begun = max(n for n, e in enumerate(taken) if isinstance(e, StopProposed) and e.stop_id == event.stop_id)
    since = taken[begun:]
    steps = [e for e in since if isinstance(e, StepTaken)]
    assert [e.step for e in steps] == list(LADDER)
    assert all(e.proof for e in steps)
    assert len({e.person for e in since if isinstance(e, Approved)}) == 2
    stop = taken[begun]
    assert isinstance(stop, StopProposed)
    assert event.first_unpaid_month >= stop.from_month
    if stop.needs_comparison:
        assert any(isinstance(e, DataCompared) and not e.is_sign_found for e in since)
    holding = {e.case_id for e in taken if isinstance(e, Frozen)}
    assert not before.frozen_by or not holding
    assert not before.frozen_by


@given(EVENTS)
def test_what_is_stored_is_what_happened(event: Event) -> None:
    assert event_from(kind_of(event), event.day, body_of(event)) == event
    assert kind_of(event) in KINDS
