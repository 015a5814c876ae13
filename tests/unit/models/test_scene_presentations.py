"""Who is shown to the terminal, as what, beside whom."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from device.session.commands import Line
from device.simulated.actor import SwapActor
from device.simulated.performers import Answering
from device.simulated.scene import DARK
from device.vision.frame import Pixels
from models.tools.scene_actors import Cue, Mistaken
from models.tools.scene_presentations import (
    BONA_FIDE,
    LIVING,
    OUTSIDE_BAR,
    SPECIES,
    WITH_HELPER,
    People,
    Presentation,
    _Making,
    _swap,
    build,
    find_people,
    plan,
    session_nonce,
)
from protocol.challenge import draw_light_code
from protocol.policy import PathName, default_policy

PEOPLE = Path(__file__).resolve().parents[3] / "demo" / "people"
GROUPS = {"ash": "development", "elm": "development", "fir": "development", "oak": "held_out", "yew": "held_out"}
CAST = People(
    Path(),
    GROUPS,
    {(who, kind): f"{kind}_{who}" for who in ("ash", "oak") for kind in ("print_flat", "print_bent", "cut_out")},
    ("screen",),
    alike=frozenset({frozenset({"ash", "elm"})}),
)
CHANGES_PLACES = {"swap", "stand_in", "sheet_within_light"}


@pytest.fixture(scope="module")
def planned() -> tuple[Presentation, ...]:
    return plan(CAST, default_policy(), attacks=400, bona_fide=40, seed=1)


def test_every_species_is_played_and_those_outside_the_bar_come_on_top(planned: tuple[Presentation, ...]) -> None:
    species = [one.species for one in planned]
    assert set(species) == {BONA_FIDE, *SPECIES, *OUTSIDE_BAR}
    assert sum(one in SPECIES for one in species) == 400
    assert sum(one in OUTSIDE_BAR for one in species) == 20
    assert len(planned) == 460


@pytest.mark.parametrize("variant", SPECIES["swap"])
def test_two_people_have_changed_places_when_the_last_prompt_is_given(variant: str) -> None:
    policy = default_policy()
    one = Presentation(0, "swap", variant, "cedar", "maple", "development", PathName.STANDARD, 1)
    actor = _swap(_Making(one, find_people(PEOPLE), policy))
    assert isinstance(actor, SwapActor)
    heard = [
        actor.hear(action.value, 5.0 * number) or actor.is_swapped
        for number, action in enumerate(policy.challenge.actions)
    ]
    assert heard[policy.challenge.count - 1], "a session gives no more prompts, so nobody would have come"


def test_people_alike_change_places_outside_the_bar_alone(planned: tuple[Presentation, ...]) -> None:
    for one in planned:
        pair = frozenset({one.person, one.other})
        if one.species in CHANGES_PLACES:
            assert pair not in CAST.alike
        if one.species in OUTSIDE_BAR:
            assert pair in CAST.alike
        if one.other is not None:
            assert GROUPS[one.person] == GROUPS[one.other]


def test_whoever_stands_beside_somebody_may_be_anybody(planned: tuple[Presentation, ...]) -> None:
    helpers = {frozenset({one.person, one.other}) for one in planned if one.path is PathName.HELPER and one.other}
    assert helpers & CAST.alike


def test_sheets_and_screens_are_also_played_beside_somebody_living(planned: tuple[Presentation, ...]) -> None:
    beside = [one for one in planned if one.variant.endswith(WITH_HELPER)]
    assert {one.species for one in beside} >= {"print_flat", "print_bent", "cut_out", "screen_right_actions"}
    assert all(one.path is PathName.HELPER and one.other is not None for one in beside)


def test_living_people_answer_in_every_way_on_every_path() -> None:
    living = [one for one in plan(CAST, default_policy(), attacks=1, bona_fide=60, seed=1) if one.species == BONA_FIDE]
    assert {(one.path, one.variant) for one in living} == {(path, variant) for path in PathName for variant in LIVING}


def test_who_takes_left_for_right_does_so_once() -> None:
    people = find_people(PEOPLE)
    person = next(iter(people.group_of))
    clip = people.clip(person)
    wrong, right = Mistaken(clip.description), Answering(clip.description)
    for performer, lines in ((wrong, ("turn_left", "turn_left")), (right, ("turn_right", "turn_left"))):
        performer.hear(lines[0], 0.0)
        performer.hear(lines[1], 20.0)
    assert [wrong.index(step / 10) for step in range(300)] == [right.index(step / 10) for step in range(300)]


def test_pairs_are_counted_within_the_groups() -> None:
    assert CAST.pairs() == 3 + 1


def shown(species: str, variant: str, path: PathName = PathName.STANDARD) -> list[Pixels]:
    """The brightness below the room's light alone, ten times a second for eight seconds."""
    people = find_people(PEOPLE)
    person, other = [who for who, group in people.group_of.items() if (who, "print_flat") in people.sheets][:2]
    one = Presentation(0, species, variant, person, other, people.group_of[person], path, seed=5)
    actor = build(one, people, default_policy())
    actor.hear(Line.LIGHT, 1.0)
    return [actor.picture(step / 5).layers.ambient[::16, ::16] for step in range(40)]  # type: ignore[union-attr]  # a view


def changes(pictures: list[Pixels]) -> int:
    return sum(float(np.abs(a.astype(int) - b).mean()) > 8 for a, b in pairwise(pictures))


@pytest.mark.parametrize("variant", SPECIES["sheet_within_light"])
def test_within_the_light_somebody_living_comes_and_a_sheet_for_a_part_of_it(variant: str) -> None:
    # Film, living, sheet, living, film.
    assert changes(shown("sheet_within_light", variant)) == 4


def test_a_cue_knows_the_light_from_the_watching() -> None:
    cue = Cue()
    heard = []
    for at_s, line in enumerate((Line.LOOK_HERE, Line.LIGHT, Line.AGAIN, Line.WATCH, Line.AGAIN)):
        cue.hear(line, float(at_s))
        heard.append((cue.attempt, cue.since_s(at_s + 0.5)))
    assert heard == [(-1, None), (0, 0.5), (1, 0.5), (2, None), (3, None)]


def test_a_recorded_light_begins_when_the_terminals_does_and_the_watched_one_is_the_terminals_own() -> None:
    people, policy = find_people(PEOPLE), default_policy()
    person = next(iter(people.group_of))
    one = Presentation(0, "screen_pushed_aside", "pushed", person, None, "held_out", PathName.STANDARD, seed=5)
    making = _Making(one, people, policy)
    own, earlier = making.own_code(), making.earlier_code()
    assert {own(step / 5) for step in range(40)} == {DARK}
    rules = policy.light[PathName.STANDARD]
    for begins_s in (1.05, 7.0):
        making.cue.hear(Line.LIGHT if begins_s < 2 else Line.AGAIN, begins_s)
        at_s = [begins_s + (step + 0.5) * rules.chip_s for step in range(rules.chips)]
        asked = draw_light_code(session_nonce(5), rules, attempt=making.cue.attempt)
        assert [(own(moment).left, own(moment).right) for moment in at_s] == [(c.left, c.right) for c in asked]
        assert [earlier(moment) for moment in at_s] != [own(moment) for moment in at_s]


def test_somebody_stands_beside_a_sheet_where_the_variant_says_so() -> None:
    alone, beside = (shown("print_flat", f"heedless{suffix}", PathName.HELPER)[0] for suffix in ("", WITH_HELPER))
    is_changed = np.abs(alone.astype(int) - beside).sum(axis=2) > 10
    columns = np.flatnonzero(is_changed.any(axis=0))
    assert columns.min() > 0.7 * is_changed.shape[1]


@pytest.mark.parametrize("variant", SPECIES["screen_pushed_aside"])
def test_a_screen_is_pushed_aside_while_its_light_disagrees(variant: str) -> None:
    people = find_people(PEOPLE)
    person = next(iter(people.group_of))
    one = Presentation(0, "screen_pushed_aside", variant, person, None, "held_out", PathName.STANDARD, seed=5)
    actor = build(one, people, default_policy())
    actor.hear(Line.LIGHT, 1.0)
    views = [actor.picture(step / 5) for step in range(40)]
    if variant == "tilted":
        widths = {view.glow.light.shape for view in views}  # type: ignore[union-attr]  # a view with a glow
        assert len(widths) == 2
    else:
        places = [view.tremor.right_px for view in views]  # type: ignore[union-attr]  # a view
        assert max(places) > 30 > min(places)
