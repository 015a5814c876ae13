"""The machine of roll-outs: nobody is asked before its phase, nothing goes on over silence or failure, and anybody may take a turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.updates import rollout as machine
from fleet.updates.rollout import CANARY, SHADOW, Facts, NotPossible, Plan, Rollout, Standing, State, Verdict, Why

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
PLAN = Plan(shares=(10, 100), soak=timedelta(hours=24), least_counted=3, abort_percent=20)
RUNNING = Rollout(State.RUNNING, CANARY, NOW)
ENDED = [each for each in Standing if each not in (Standing.AHEAD, Standing.WORKING)]


def turned(
    rollout: Rollout, standings: list[tuple[int, Standing]], hours: float = 24, hour: int = 3, plan: Plan = PLAN
) -> Rollout:
    members = {f"t-{place}": each for place, each in enumerate(standings)}
    return machine.turn(rollout, plan, members, hour=hour, now=NOW + timedelta(hours=hours))


names = st.sets(st.integers(0, 400).map("t-{:03d}".format), min_size=1, max_size=120)
plans = st.builds(
    Plan,
    shares=st.sets(st.integers(1, 99), max_size=4).map(lambda found: (*sorted(found), 100)),
    soak=st.integers(0, 72).map(lambda hours: timedelta(hours=hours)),
    abort_percent=st.integers(0, 100),
    least_counted=st.integers(1, 6),
)


@given(names, plans, st.integers(1, 10), st.text(max_size=8))
def test_everybody_has_one_phase_and_shares_are_never_exceeded(
    terminals: set[str], plan: Plan, count: int, seed: str
) -> None:
    found = machine.placed(terminals, plan, canary=(), canary_count=count, seed=seed)
    assert set(found) == terminals
    canary = sum(phase == CANARY for phase in found.values())
    assert canary == min(count, len(terminals))
    for phase, share in enumerate(plan.shares, start=1):
        asked = sum(each <= phase for each in found.values())
        assert asked == max(canary, -(-len(terminals) * share // 100))
    assert found == machine.placed(sorted(terminals), plan, canary=(), canary_count=count, seed=seed)


@given(names, st.data())
def test_who_is_named_is_the_canary_group_and_nobody_else(terminals: set[str], data: st.DataObject) -> None:
    named = data.draw(st.sets(st.sampled_from(sorted(terminals)), min_size=1))
    found = machine.placed(terminals, PLAN, canary=[*named, "stranger"], canary_count=1, seed="s")
    assert {each for each, phase in found.items() if phase == CANARY} == named


members = st.lists(st.tuples(st.integers(CANARY, 5), st.sampled_from(list(Standing))), max_size=30)


@given(plans, members, st.integers(CANARY, 5), st.integers(0, 100), st.integers(0, 23))
def test_a_turn_goes_on_by_one_phase_over_whatever_ended_and_never_over_what_did_not(
    plan: Plan, standings: list[tuple[int, Standing]], phase: int, hours: int, hour: int
) -> None:
    before = Rollout(State.RUNNING, min(phase, plan.last), NOW)
    after = turned(before, standings, hours, hour, plan)
    asked = [standing for place, standing in standings if place <= before.phase]
    failed = sum(each in machine.FAILED for each in asked)
    counted = failed + asked.count(Standing.KEPT)
    is_bad = counted >= plan.least_counted and failed * 100 > plan.abort_percent * counted
    is_bad = is_bad or {standing for _, standing in standings} == {Standing.LEFT_OUT}
    assert (after.state is State.ABORTED) == is_bad
    assert after.state in (State.RUNNING, State.DONE, State.ABORTED)
    if after.phase != before.phase or after.state is State.DONE:
        assert not {Standing.AHEAD, Standing.WORKING} & set(asked)
        assert timedelta(hours=hours) >= plan.soak
        assert after.state is State.DONE or after.phase > before.phase
    if after.phase > before.phase:
        here = [standing for place, standing in standings if place == before.phase]
        assert Standing.KEPT in here or not here or (set(here) == {Standing.LEFT_OUT} and Standing.KEPT in asked)
        skipped = set(range(before.phase + 1, after.phase))
        assert not skipped & {place for place, _ in standings}
        assert after.phase_since == NOW + timedelta(hours=hours)
    # Whoever takes the same turn a second time, in this process or another, finds nothing left to do.
    # But for those who are asked from now on and had failed before: they count from the next turn on.
    fresh = {standing for place, standing in standings if before.phase < place <= after.phase}
    if (after.state is not State.RUNNING or plan.soak) and not any(each in machine.FAILED for each in fresh):
        again = machine.turn(
            after,
            plan,
            {f"t-{place}": each for place, each in enumerate(standings)},
            hour=hour,
            now=NOW + timedelta(hours=hours),
        )
        assert again == after


@given(
    st.sampled_from(list(State)),
    st.lists(st.sampled_from(["start", "drop", "pause", "resume", "abort", "turn"]), max_size=12),
    st.lists(st.tuples(st.integers(CANARY, 2), st.sampled_from(ENDED)), min_size=1, max_size=9),
)
def test_what_is_over_stays_over_and_nothing_runs_unless_it_was_started(
    state: State, steps: list[str], standings: list[tuple[int, Standing]]
) -> None:
    now = Rollout(state, CANARY, NOW if state is not State.WAITING else None)
    for place, step in enumerate(steps):
        was = now
        try:
            if step == "turn":
                now = turned(now, standings, hours=24 * (place + 1))
            elif step == "start":
                now = machine.start(now, PLAN, NOW)
            else:
                now = getattr(machine, step)(now)
        except NotPossible:
            assert now is was
        if was.is_over:
            assert now == was
        if was.state is State.WAITING:
            assert now.state in (State.WAITING, State.DROPPED) or step == "start"
        if was.state is State.PAUSED:
            assert now.phase == was.phase


def test_a_phase_waits_for_its_time_its_terminals_and_the_window() -> None:
    kept = [(0, Standing.KEPT), (0, Standing.KEPT), (1, Standing.AHEAD), (2, Standing.AHEAD)]
    assert turned(RUNNING, kept, hours=23) == RUNNING
    assert turned(RUNNING, kept).phase == 1
    assert turned(RUNNING, [(0, Standing.KEPT), (0, Standing.WORKING)]) == RUNNING
    night = replace(PLAN, from_hour=22, until_hour=5)
    assert turned(RUNNING, kept, hour=12, plan=night) == RUNNING
    for hour in (22, 23, 0, 4):
        assert turned(RUNNING, kept, hour=hour, plan=night).phase == 1
    last = replace(RUNNING, phase=2)
    assert turned(last, [(2, Standing.KEPT)], hour=12, plan=night).state is State.DONE


def test_out_of_reach_holds_nobody_up_but_proves_nothing() -> None:
    away = [(0, Standing.UNREACHABLE), (0, Standing.UNREACHABLE), (1, Standing.AHEAD)]
    assert turned(RUNNING, away) == RUNNING
    assert machine.is_held(RUNNING.phase, away)
    assert turned(RUNNING, [(0, Standing.UNREACHABLE), (0, Standing.KEPT), (1, Standing.AHEAD)]).phase == 1
    assert turned(replace(RUNNING, phase=2), away[:2]).state is State.DONE


def test_a_roll_out_without_anybody_ends_and_a_phase_without_anybody_proves_nothing() -> None:
    ended = turned(RUNNING, [(0, Standing.LEFT_OUT), (1, Standing.LEFT_OUT)], hours=0)
    assert (ended.state, ended.why) == (State.ABORTED, Why.LEFT_OUT)
    canary = [(0, Standing.LEFT_OUT), (1, Standing.AHEAD)]
    assert turned(RUNNING, canary, hours=99) == RUNNING
    assert machine.is_held(RUNNING.phase, canary)
    second = [(0, Standing.KEPT), (1, Standing.LEFT_OUT), (2, Standing.AHEAD)]
    assert turned(replace(RUNNING, phase=1), second, plan=replace(PLAN, shares=(10, 50, 100))).phase == 2


@pytest.mark.parametrize(
    ("standings", "why"),
    [
        ([Standing.WENT_BACK, Standing.KEPT, Standing.KEPT], Why.WENT_BACK),
        ([Standing.LOST, Standing.KEPT, Standing.KEPT], Why.LOST),
        # Before the others have ended.
        ([Standing.LOST, Standing.LOST, Standing.LOST, Standing.WORKING], Why.LOST),
        ([Standing.WENT_BACK, Standing.KEPT], None),
        ([Standing.WENT_BACK, *[Standing.KEPT] * 4], None),
        ([Standing.WENT_BACK, *[Standing.KEPT] * 3], Why.WENT_BACK),
        # Another board says nothing of these.
        ([*[Standing.REFUSED] * 9, Standing.KEPT], None),
    ],
)
def test_it_turns_back_at_the_threshold_and_not_before_enough_have_ended(
    standings: list[Standing], why: Why | None
) -> None:
    after = turned(RUNNING, [(0, each) for each in standings], hours=1)
    assert (after.state is State.ABORTED, after.why) == (why is not None, why)


def test_networks_run_in_shadow_first() -> None:
    plan = replace(PLAN, shadow=timedelta(hours=48))
    begun = machine.start(Rollout(phase=plan.first), plan, NOW)
    assert begun.phase == SHADOW
    ahead = [(0, Standing.AHEAD), (1, Standing.AHEAD)]
    assert turned(begun, ahead, hours=47, plan=plan) == begun
    assert turned(begun, ahead, hours=48, plan=plan).phase == CANARY


@pytest.mark.parametrize(
    ("verdict", "word_h", "now_h", "expected"),
    [
        (Verdict.OPEN, None, 47, Standing.WORKING),
        (Verdict.OPEN, None, 48, Standing.UNREACHABLE),
        (Verdict.OPEN, -1, 48, Standing.UNREACHABLE),
        (Verdict.OPEN, 1, 48, Standing.WORKING),
        (Verdict.OPEN, 1, 49, Standing.LOST),
        (Verdict.KEPT, 1, 490, Standing.KEPT),
        (Verdict.KEPT, None, 490, Standing.KEPT),
        (Verdict.WENT_BACK, 1, 1, Standing.WENT_BACK),
        (Verdict.REFUSED, 1, 490, Standing.REFUSED),
    ],
)
def test_a_terminal_s_own_word_counts_before_its_silence(
    verdict: Verdict, word_h: int | None, now_h: int, expected: Standing
) -> None:
    word = None if word_h is None else NOW + timedelta(hours=word_h)
    facts = Facts(verdict, NOW, word)
    now = NOW + timedelta(hours=now_h)
    assert machine.standing_of(facts, PLAN, now) is expected
    assert machine.standing_of(replace(facts, is_left_out=True), PLAN, now) is Standing.LEFT_OUT
    assert machine.standing_of(replace(facts, released_at=None), PLAN, now) is Standing.AHEAD


@pytest.mark.parametrize(
    "wrong",
    [
        {"shares": ()},
        {"shares": (5, 50)},
        {"shares": (50, 5, 100)},
        {"shares": (0, 100)},
        {"soak": timedelta(hours=-1)},
        {"lost_after": timedelta()},
        {"from_hour": 3},
        {"from_hour": 3, "until_hour": 24},
        {"abort_percent": 101},
        {"least_counted": 0},
    ],
)
def test_a_plan_that_is_none_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"shares|times|hours|thresholds"):
        Plan(**wrong)  # type: ignore[arg-type]
