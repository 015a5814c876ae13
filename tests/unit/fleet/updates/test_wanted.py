"""What is wanted of a terminal, and whether it is what it was asked to be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.admission.convergence import (
    Match,
    Wanted,
    bundle_line,
    is_converged,
    setting_lines,
    shadow_line,
    with_ending,
)
from fleet.errors import Refused
from fleet.store.terminal_settings import Scope, Target
from fleet.updates.rollout import SHADOW, State
from fleet.updates.terminal_settings import differences, parsed, schema, text_of, texts_of
from fleet.updates.wanted import InEffect, Place, chain_of, wanted_of
from protocol.bundle import BundleKind
from protocol.desired import (
    ComingBundle,
    DesiredBundle,
    EndedTrial,
    ReportedState,
    RunningBundle,
    SettingValues,
)

CHAIN = ("east-1", "east", "all")


def bundle(number: int, kind: BundleKind = BundleKind.NETWORKS) -> DesiredBundle:
    return DesiredBundle(kind=kind, bundle_id=f"{number:064x}", number=number, label=f"n{number}", size=1000)


def rollout(number: int, state: State = State.DONE, phase: int = 2, **changes: object) -> InEffect:
    given: dict[str, object] = {"areas": None, "places": {}, "bundle": bundle(number), **changes}
    return InEffect(state, phase, **given)  # type: ignore[arg-type]


def wanted(*rollouts: InEffect, settings: dict[Target, SettingValues] | None = None, terminal: str = "t-1") -> Wanted:
    return wanted_of(terminal, CHAIN, rollouts, settings or {}, door="https://fleet:8444")


def numbers(found: Wanted) -> list[int]:
    return [each.number for each in found.bundles]


def test_the_newest_roll_out_that_has_come_holds() -> None:
    running = rollout(8, State.RUNNING, 1, places={"t-1": Place(1), "t-2": Place(2)})
    older = rollout(7)
    assert numbers(wanted(running, older)) == [8]
    assert numbers(wanted(running, older, terminal="t-2")) == [7]
    # Turned back, it is as if it had never been: it is not among those in effect.
    assert numbers(wanted(older)) == [7]
    left = rollout(8, State.RUNNING, 2, places={"t-1": Place(1, is_left_out=True)})
    assert numbers(wanted(left, older)) == [7]
    assert wanted().is_nothing
    assert wanted().door is None
    assert wanted(older).door == "https://fleet:8444"


def test_who_comes_after_the_end_is_asked_where_it_stands() -> None:
    assert numbers(wanted(rollout(7, areas=frozenset({"east"})))) == [7]
    assert numbers(wanted(rollout(7, areas=frozenset({"west"})))) == []
    # Somebody that moved away keeps what it was asked for.
    assert numbers(wanted(rollout(7, areas=frozenset({"west"}), places={"t-1": Place(1)}))) == [7]
    assert numbers(wanted(rollout(7, State.PAUSED, areas=frozenset({"east"})))) == []


def test_kinds_do_not_know_each_other() -> None:
    found = wanted(rollout(9, bundle=bundle(9, BundleKind.VOICES)), rollout(7), rollout(6))
    assert [(each.kind, each.number) for each in found.bundles] == [(BundleKind.NETWORKS, 7), (BundleKind.VOICES, 9)]


def test_the_canary_group_alone_runs_in_shadow() -> None:
    shadowing = rollout(8, State.RUNNING, SHADOW, places={"t-1": Place(0), "t-2": Place(1)})
    found = wanted(shadowing, rollout(7))
    assert (numbers(found), found.shadow) == ([7], bundle(8))
    assert wanted(shadowing, rollout(7), terminal="t-2").shadow is None


def test_the_most_particular_settings_win_one_by_one() -> None:
    settings = {
        Target(Scope.FLEET): SettingValues(voice_volume=0.5, uplink_window=10, voice_slow=True),
        Target(Scope.AREA, "all"): SettingValues(uplink_window=20),
        Target(Scope.AREA, "east-1"): SettingValues(uplink_window=30, voice_slow=False),
        Target(Scope.AREA, "west"): SettingValues(uplink_window=99),
        Target(Scope.TERMINAL, "t-1"): SettingValues(voice_volume=1.0),
    }
    found = wanted(settings=settings).settings
    assert found == SettingValues(voice_volume=1.0, uplink_window=30, voice_slow=False)
    changing = InEffect(
        State.RUNNING,
        0,
        None,
        {"t-1": Place(0), "t-2": Place(1)},
        target=Target(Scope.AREA, "east-1"),
        settings=SettingValues(uplink_window=40),
    )
    assert wanted(changing, settings=settings).settings == SettingValues(
        voice_volume=1.0, uplink_window=40, voice_slow=True
    )
    assert wanted(changing, settings=settings, terminal="t-2").settings.uplink_window == 30


def test_a_chain_ends_in_a_tree_that_is_none() -> None:
    assert chain_of("a", {"a": "b", "b": "a"}) == ("a", "b")
    assert chain_of("nowhere", {}) == ("nowhere",)


def reported(**changes: object) -> ReportedState:
    running = (RunningBundle(kind=BundleKind.NETWORKS, bundle_id=bundle(6).bundle_id, number=6, label="n6"),)
    return ReportedState(**{"desired_number": 1, "running": running, **changes})  # type: ignore[arg-type]


def coming(state: str, received: int = 400, why: str | None = None) -> dict[str, object]:
    found = ComingBundle(
        kind=BundleKind.NETWORKS,
        bundle_id=bundle(7).bundle_id,
        received=received,
        state=state,  # type: ignore[arg-type]
        why=why,
    )
    return {"coming": (found,)}


def ended(*, is_kept: bool) -> dict[str, object]:
    found = EndedTrial(
        kind=BundleKind.NETWORKS,
        bundle_id=bundle(7).bundle_id,
        is_kept=is_kept,
        why="proven" if is_kept else "unhealthy",
    )
    return {"ended": (found,)}


def running(number: int, *, is_on_trial: bool = False) -> dict[str, object]:
    found = RunningBundle(
        kind=BundleKind.NETWORKS,
        bundle_id=bundle(number).bundle_id,
        number=number,
        label=f"n{number}",
        is_on_trial=is_on_trial,
    )
    return {"running": (found,)}


@pytest.mark.parametrize(
    ("said", "match", "percent", "why"),
    [
        (None, Match.UNKNOWN, None, None),
        (reported(), Match.BEHIND, None, None),
        (reported(**coming("fetching")), Match.COMING, 40, None),
        (reported(**coming("waiting", 0, "room")), Match.COMING, 0, "room"),
        (reported(**coming("ready", 5000)), Match.COMING, 100, None),
        (reported(**coming("refused", why="other_machine")), Match.REFUSED, 40, "other_machine"),
        (reported(**running(7, is_on_trial=True)), Match.ON_TRIAL, None, None),
        (reported(**running(7)), Match.SAME, None, None),
        (reported(**ended(is_kept=False)), Match.WENT_BACK, None, "unhealthy"),
        (reported(**ended(is_kept=False), **coming("fetching")), Match.COMING, 40, None),
        (reported(**ended(is_kept=False), **coming("refused", why="tried")), Match.WENT_BACK, 40, "unhealthy"),
    ],
)
def test_a_bundle_beside_what_a_terminal_says(
    said: ReportedState | None, match: Match, percent: int | None, why: str | None
) -> None:
    line = bundle_line(bundle(7), said)
    assert (line.match, line.percent, line.why) == (match, percent, why)
    assert is_converged(Wanted(bundles=(bundle(7),)), said) == (match is Match.SAME)


@pytest.mark.parametrize("ending", [ended(is_kept=False), coming("refused", why="expired")])
def test_a_bad_end_of_an_earlier_wish_says_nothing_of_this_one(ending: dict[str, object]) -> None:
    anew = bundle(7).model_copy(update={"since": 5})
    line = bundle_line(anew, reported(desired_number=4, **ending))
    assert (line.match, line.why) == (Match.BEHIND, None)
    assert bundle_line(anew, reported(desired_number=5, **ending)).match in (Match.WENT_BACK, Match.REFUSED)
    # What runs, runs, whoever asked for it.
    assert bundle_line(anew, reported(desired_number=4, **running(7))).match is Match.SAME


def test_a_shadow_is_there_once_it_is_ready() -> None:
    wish = Wanted(shadow=bundle(7))
    assert not is_converged(wish, reported())
    assert shadow_line(bundle(7), reported(**coming("fetching"))).percent == 40
    assert is_converged(wish, reported(**coming("ready")))


def test_settings_beside_those_in_force() -> None:
    wish = SettingValues(voice_volume=0.5, uplink_window=20)
    said = reported(settings=SettingValues(voice_volume=0.5, uplink_window=10, voice_slow=True))
    assert [(each.name, each.match) for each in setting_lines(wish, said)] == [
        ("voice_volume", Match.SAME),
        ("uplink_window", Match.BEHIND),
    ]
    assert not is_converged(Wanted(settings=wish), said)
    assert not is_converged(Wanted(settings=wish), None)
    assert is_converged(Wanted(), None)


def test_the_chain_adds_to_what_was_said_before() -> None:
    before = reported(**coming("ready"))
    kept = with_ending(before, bundle(7), is_kept=True, why="proven")
    assert bundle_line(bundle(7), kept).match is Match.SAME
    back = with_ending(before, bundle(7), is_kept=False, why="crash_loop")
    assert bundle_line(bundle(7), back).match is Match.WENT_BACK
    assert [each.number for each in back.running] == [6]
    anew = bundle(7).model_copy(update={"since": 5})
    assert bundle_line(anew, back).match is Match.BEHIND
    answer = with_ending(before, anew, is_kept=False, why="crash_loop", heard=5)
    assert bundle_line(anew, answer).match is Match.WENT_BACK
    assert with_ending(reported(desired_number=9), anew, is_kept=False, why="x", heard=5).desired_number == 9
    with pytest.raises(ValueError, match="why"):
        with_ending(before, bundle(7), is_kept=False, why="Not A Code")


def test_settings_are_read_as_they_are_typed() -> None:
    typed = {"voice_volume": "0.5", "voice_slow": "True", "updates_bytes_per_s": "2000000", "uplink_window": " "}
    found = parsed(typed)
    assert found == SettingValues(voice_volume=0.5, voice_slow=True, updates_bytes_per_s=2_000_000)
    assert parsed(texts_of(found)) == found
    assert [each.name for each in differences(SettingValues(), found)] == [
        "voice_volume",
        "voice_slow",
        "updates_bytes_per_s",
    ]
    assert {each.name for each in schema()} == set(SettingValues.model_fields)
    assert text_of(None) == ""


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ({"voice_volume": "1.1"}, "setting_bounds"),
        ({"voice_volume": "nan"}, "setting_bounds"),
        ({"uplink_window": "ten"}, "setting_bounds"),
        ({"uplink_window": "1.5"}, "setting_bounds"),
        ({"voice_slow": "maybe"}, "setting_switch"),
        ({"updates_from_hour": "3"}, "setting_hours"),
        ({"decision_threshold": "0"}, "setting_unknown"),
    ],
)
def test_settings_that_cannot_be_taken_are_refused(typed: dict[str, str], code: str) -> None:
    with pytest.raises(Refused) as refused:
        parsed(typed)
    assert refused.value.code == code


def test_a_place_says_nothing_of_others() -> None:
    state = replace(rollout(8, State.RUNNING, 0), places={"t-9": Place(0)})
    assert wanted(state).is_nothing


def test_a_bundle_is_wanted_since_a_roll_out_says_so_and_nothing_else_makes_that_later() -> None:
    first = wanted(rollout(7, rollout_id="r-1")).dated(None, 1)
    assert since(first) == {7: 1}
    quieter = {Target(Scope.FLEET): SettingValues(voice_volume=0.5)}
    settings = wanted(rollout(7, rollout_id="r-1"), settings=quieter).dated(first, 2)
    assert settings != first
    assert since(settings) == {7: 1}, "another setting does not try again what failed"
    voices = rollout(3, rollout_id="r-2", bundle=bundle(3, BundleKind.VOICES))
    both = wanted(voices, rollout(7, rollout_id="r-1")).dated(settings, 3)
    assert since(both) == {7: 1, 3: 3}
    again = wanted(rollout(7, rollout_id="r-3"), rollout(7, rollout_id="r-1"), voices).dated(both, 4)
    assert since(again) == {7: 4, 3: 3}, "another roll-out of the same says it anew"
    nothing = wanted().dated(again, 5)
    assert since(wanted(rollout(7, rollout_id="r-1")).dated(nothing, 6)) == {7: 6}


def test_networks_that_leave_the_shadow_are_wanted_anew() -> None:
    canary = {"t-1": Place(0)}
    beside = wanted(rollout(8, State.RUNNING, SHADOW, places=canary, rollout_id="r-1")).dated(None, 1)
    assert beside.shadow is not None
    assert beside.shadow.since == 1
    on_trial = wanted(rollout(8, State.RUNNING, 0, places=canary, rollout_id="r-1")).dated(beside, 2)
    assert on_trial.shadow is None
    assert since(on_trial) == {8: 2}


def since(found: Wanted) -> dict[int, int]:
    return {each.number: each.since for each in found.bundles}
