"""Who is shown to the terminal, as what, beside whom."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from device.vision.frame import Pixels
from models.tools.scene_presentations import (
    BONA_FIDE,
    OUTSIDE_BAR,
    SPECIES,
    WITH_HELPER,
    People,
    Presentation,
    build,
    find_people,
    plan,
)
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


def test_pairs_are_counted_within_the_groups() -> None:
    assert CAST.pairs() == 3 + 1


def shown(species: str, variant: str, path: PathName = PathName.STANDARD) -> list[Pixels]:
    """The brightness below the room's light alone, ten times a second for eight seconds."""
    people = find_people(PEOPLE)
    person, other = [who for who, group in people.group_of.items() if (who, "print_flat") in people.sheets][:2]
    one = Presentation(0, species, variant, person, other, people.group_of[person], path, seed=5)
    actor = build(one, people, default_policy())
    return [actor.picture(step / 5).layers.ambient[::16, ::16] for step in range(40)]  # type: ignore[union-attr]  # a view


def changes(pictures: list[Pixels]) -> int:
    return sum(float(np.abs(a.astype(int) - b).mean()) > 8 for a, b in pairwise(pictures))


@pytest.mark.parametrize("variant", SPECIES["sheet_within_light"])
def test_a_sheet_within_the_light_comes_and_goes(variant: str) -> None:
    assert changes(shown("sheet_within_light", variant)) == 2


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
    views = [actor.picture(step / 5) for step in range(40)]
    if variant == "tilted":
        widths = {view.glow.light.shape for view in views}  # type: ignore[union-attr]  # a view with a glow
        assert len(widths) == 2
    else:
        places = [view.tremor.right_px for view in views]  # type: ignore[union-attr]  # a view
        assert max(places) > 30 > min(places)
