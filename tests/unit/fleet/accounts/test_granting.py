from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from fleet.accounts.granting import (
    MESSAGES,
    Actor,
    NotAllowed,
    Objection,
    Surroundings,
    is_within,
    objections_to_disabling,
    objections_to_giving,
    objections_to_link,
    objections_to_managing,
    objections_to_reset,
    objections_to_taking,
)
from fleet.accounts.roles import CONFLICTS, GIVEN_BY_AREA, Grant, Role

ABOVE = {"62": None, "6201": "62", "620102": "6201", "63": None}
AROUND = Surroundings(ABOVE, has_tree=True, is_first=False, other_administrators=1)
KEYBOARD = Actor("Li Na", None, None)
ADMINISTRATOR = Actor("Wang", "a-1", (Grant(Role.FLEET_ADMINISTRATOR, None),))
OF_AREA = Actor("Sun", "a-2", (Grant(Role.AREA_ADMINISTRATOR, "6201"),))


def giving(
    actor: Actor, role: Role, area: str | None, *held: Grant, around: Surroundings = AROUND, is_self: bool = False
) -> list[Objection]:
    return objections_to_giving(actor, Grant(role, area), held, around, is_self=is_self)


def taking(
    actor: Actor, grant: Grant, *held: Grant, around: Surroundings = AROUND, is_self: bool = False, serves: bool = True
) -> list[Objection]:
    return objections_to_taking(actor, grant, held, around, is_self=is_self, is_in_service=serves)


def test_an_area_is_within_itself_and_what_is_above_it() -> None:
    assert is_within("620102", {"620102"}, ABOVE)
    assert is_within("620102", {"62"}, ABOVE)
    assert not is_within("62", {"620102"}, ABOVE)
    assert not is_within("63", {"62"}, ABOVE)
    assert not is_within(None, {"62"}, ABOVE)
    assert is_within(None, None, ABOVE)
    assert not is_within("x", {"62"}, {"x": "y", "y": "x"})


@pytest.mark.parametrize(("role", "area"), list(product(Role, ["6201", "620102", "62", "63", None])))
def test_an_area_administrator_gives_three_roles_at_or_below_their_areas_and_no_other(
    role: Role, area: str | None
) -> None:
    found = giving(OF_AREA, role, area)
    allowed = role in GIVEN_BY_AREA and area in ("6201", "620102")
    assert (not found) == allowed
    assert taking(OF_AREA, Grant(role, area), Grant(role, area)) == [
        each for each in found if each in (Objection.ROLE_NOT_YOURS, Objection.AREA_NOT_YOURS)
    ]


@pytest.mark.parametrize("role", [role for role in Role if "administrator" not in role])
def test_nobody_else_gives_roles(role: Role) -> None:
    assert giving(Actor("x", "a-3", (Grant(role, None),)), Role.VIEWER, "6201") == [Objection.NOT_ALLOWED]


@pytest.mark.parametrize("actor", [KEYBOARD, ADMINISTRATOR, OF_AREA])
def test_nobody_changes_their_own_roles_not_even_at_the_keyboard(actor: Actor) -> None:
    assert giving(actor, Role.VIEWER, "6201", is_self=True) == [Objection.OWN_ROLES]
    held = Grant(Role.VIEWER, "6201")
    assert taking(actor, held, held, is_self=True) == [Objection.OWN_ROLES]


@pytest.mark.parametrize("pair", sorted(CONFLICTS, key=sorted))
def test_roles_that_conflict_are_not_held_at_once_whatever_the_areas(pair: frozenset[Role]) -> None:
    one, other = sorted(pair)
    for wanted, held in ((one, other), (other, one)):
        area = None if wanted is Role.FLEET_ADMINISTRATOR else "63"
        assert giving(KEYBOARD, wanted, area, Grant(held, "62")) == [Objection.CONFLICT]


def test_a_fleet_administrator_is_one_in_the_whole_fleet_only() -> None:
    assert giving(ADMINISTRATOR, Role.FLEET_ADMINISTRATOR, "62") == [Objection.ONLY_FLEET_WIDE]
    assert not giving(ADMINISTRATOR, Role.FLEET_ADMINISTRATOR, None)


def test_areas_are_those_of_the_tree_where_there_is_one() -> None:
    assert giving(ADMINISTRATOR, Role.OPERATOR, "nowhere") == [Objection.AREA_UNKNOWN]
    assert not giving(ADMINISTRATOR, Role.OPERATOR, "nowhere", around=replace(AROUND, above={}, has_tree=False))


def test_a_role_is_held_once_and_taken_from_who_has_it() -> None:
    held = Grant(Role.OPERATOR, "62")
    assert giving(ADMINISTRATOR, Role.OPERATOR, "62", held) == [Objection.HELD_ALREADY]
    assert not giving(ADMINISTRATOR, Role.OPERATOR, "6201", held)
    assert taking(ADMINISTRATOR, Grant(Role.OPERATOR, "6201"), held) == [Objection.NOT_HELD]


def test_the_first_account_administers_the_fleet_and_may_name_itself() -> None:
    first = replace(AROUND, is_first=True, other_administrators=0)
    assert giving(KEYBOARD, Role.VIEWER, None, around=first) == [Objection.FIRST_ADMINISTERS]
    assert not giving(KEYBOARD, Role.FLEET_ADMINISTRATOR, None, around=first, is_self=True)


def test_the_last_fleet_administrator_stays_one() -> None:
    last, held = replace(AROUND, other_administrators=0), Grant(Role.FLEET_ADMINISTRATOR, None)
    assert taking(KEYBOARD, held, held, around=last) == [Objection.LAST_ADMINISTRATOR]
    assert objections_to_disabling(KEYBOARD, [held], last) == [Objection.LAST_ADMINISTRATOR]
    assert not taking(KEYBOARD, held, held)
    assert not objections_to_disabling(KEYBOARD, [held], AROUND)
    # One out of service is not the last one in service.
    assert not taking(KEYBOARD, held, held, around=last, serves=False)


def test_an_area_administrator_manages_no_account_with_more_than_they_may_give() -> None:
    assert not objections_to_managing(OF_AREA, [Grant(Role.REVIEWER, "620102")], AROUND)
    more = [Grant(Role.REVIEWER, "620102"), Grant(Role.VIEWER, "63")]
    assert objections_to_managing(OF_AREA, more, AROUND) == [Objection.AREA_NOT_YOURS]
    above = [Grant(Role.FLEET_ADMINISTRATOR, None)]
    assert objections_to_managing(OF_AREA, above, AROUND) == [Objection.ROLE_NOT_YOURS, Objection.AREA_NOT_YOURS]


def test_a_link_for_somebody_who_signs_in_by_themselves_comes_from_the_keyboard_only() -> None:
    held = [Grant(Role.REVIEWER, "620102")]
    assert objections_to_link(ADMINISTRATOR, held, AROUND, is_set_up=True) == [Objection.SIGNS_IN_ALREADY]
    assert not objections_to_link(ADMINISTRATOR, held, AROUND, is_set_up=False)
    assert not objections_to_link(KEYBOARD, held, AROUND, is_set_up=True)


def test_nobody_forgets_their_own_ways_in_nor_those_of_the_last_administrator() -> None:
    last, held = replace(AROUND, other_administrators=0), [Grant(Role.FLEET_ADMINISTRATOR, None)]
    assert objections_to_reset(ADMINISTRATOR, held, AROUND, is_self=True) == [Objection.OWN_WAYS]
    both = [Objection.OWN_WAYS, Objection.LAST_ADMINISTRATOR]
    assert objections_to_reset(ADMINISTRATOR, held, last, is_self=True) == both
    assert not objections_to_reset(ADMINISTRATOR, held, AROUND, is_self=False)
    # Who has the keyboard makes the link that lets them in again.
    assert not objections_to_reset(KEYBOARD, held, last, is_self=False)


def test_every_objection_says_what_it_means() -> None:
    assert set(MESSAGES) == set(Objection)
    assert str(NotAllowed([Objection.CONFLICT])) == "account: these roles must not be in one hand"
