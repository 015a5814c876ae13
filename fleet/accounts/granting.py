"""PURE. Who may give and take which roles, and manage which accounts; the one place where that is decided.

Whoever works at the server's keyboard has the server, so the command line may manage every account; what keeps two duties in two hands
holds there as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from fleet.accounts.roles import (
    FLEET_WIDE_ROLES,
    GIVEN_BY_AREA,
    Grant,
    Permission,
    Role,
    areas_for,
    conflicts_of,
)
from fleet.errors import Refused


class Objection(StrEnum):
    """Why an account is not changed as somebody wants it."""

    NOT_ALLOWED = "not_allowed"
    OWN_ROLES = "own_roles"
    ROLE_NOT_YOURS = "role_not_yours"
    AREA_NOT_YOURS = "area_not_yours"
    AREA_UNKNOWN = "area_unknown"
    ONLY_FLEET_WIDE = "only_fleet_wide"
    CONFLICT = "conflict"
    HELD_ALREADY = "held_already"
    NOT_HELD = "not_held"
    FIRST_ADMINISTERS = "first_administers"
    LAST_ADMINISTRATOR = "last_administrator"
    SIGNS_IN_ALREADY = "signs_in_already"
    OWN_WAYS = "own_ways"
    WAITS_ALREADY = "waits_already"
    SECOND_PERSON = "second_person"
    FIRST_PERSON_GONE = "first_person_gone"
    IN_ONE_HAND = "in_one_hand"


MESSAGES: Mapping[Objection, str] = MappingProxyType(
    {
        Objection.NOT_ALLOWED: "managing accounts needs the role of an administrator",
        Objection.OWN_ROLES: "nobody changes their own roles; another administrator must",
        Objection.ROLE_NOT_YOURS: "an area administrator gives and takes viewer, operator and reviewer only",
        Objection.AREA_NOT_YOURS: "the area is not within your own areas",
        Objection.AREA_UNKNOWN: "the area is not in the tree of areas",
        Objection.ONLY_FLEET_WIDE: "this role exists in the whole fleet only; leave the area out",
        Objection.CONFLICT: "these roles must not be in one hand",
        Objection.HELD_ALREADY: "the account has this role there already",
        Objection.NOT_HELD: "the account does not have this role there",
        Objection.FIRST_ADMINISTERS: "the first account must be a fleet administrator",
        Objection.LAST_ADMINISTRATOR: "the last fleet administrator in service stays one",
        Objection.OWN_WAYS: "what one signs in with oneself is changed on the page of one's own account",
        Objection.SIGNS_IN_ALREADY: "somebody who can sign in by themselves gets a link from the server's keyboard only",
        Objection.WAITS_ALREADY: "the same waits for a second administrator already",
        Objection.SECOND_PERSON: "who asked for it is not the second person; another administrator must agree",
        Objection.IN_ONE_HAND: "one of the two accounts made, reset or linked the other lately; another administrator must agree",
        Objection.FIRST_PERSON_GONE: "who asked for it may not do so any more; ask anew",
    }
)
"""What each means, in English."""


class NotAllowed(Refused):
    """An account must not be changed so; every reason stands in `objections`."""

    def __init__(self, objections: Collection[Objection]) -> None:
        super().__init__("; ".join(f"account: {MESSAGES[objection]}" for objection in objections))
        self.objections = tuple(objections)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes an account."""

    name: str
    """Goes into the audit log."""
    account_id: str | None
    """Whose account that is, if it is anybody's."""
    grants: tuple[Grant, ...] | None
    """Their roles; None at the server's keyboard."""

    @property
    def is_at_keyboard(self) -> bool:
        """Whether they have the server itself."""
        return self.grants is None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What must be known of the fleet to decide."""

    above: Mapping[str, str | None]
    """The area above each area; whatever is not in it is not in the tree."""
    has_tree: bool
    """Whether there is a tree at all; without one areas are named freely."""
    is_first: bool
    """Whether there is no account yet."""
    other_administrators: int
    """Other accounts in service that are fleet administrators."""


def own_areas(actor: Actor) -> frozenset[str] | None:
    """Return within which areas somebody manages accounts; None for the whole fleet."""
    return None if actor.grants is None else areas_for(actor.grants, Permission.ACCOUNTS)


def is_within(area: str | None, own: Collection[str] | None, above: Mapping[str, str | None]) -> bool:
    """Return whether an area is one of some areas or below one; None is the whole fleet, on both sides."""
    if own is None:
        return True
    step, seen = area, set[str]()
    while step is not None and step not in seen:
        if step in own:
            return True
        seen.add(step)
        step = above.get(step)
    return False


def objections_to_giving(
    actor: Actor, wanted: Grant, held: Iterable[Grant], around: Surroundings, *, is_self: bool
) -> list[Objection]:
    """Return all that speaks against giving an account a role.

    Args:
        actor: who gives it.
        wanted: the role and its area.
        held: what the account has.
        around: what else matters.
        is_self: whether the account is the actor's own.
    """
    before = list(held)
    found = _authority(actor, [wanted], around, is_self=is_self and not around.is_first)
    if wanted.role in FLEET_WIDE_ROLES and wanted.area is not None:
        found.append(Objection.ONLY_FLEET_WIDE)
    if wanted.area is not None and around.has_tree and wanted.area not in around.above:
        found.append(Objection.AREA_UNKNOWN)
    if wanted in before:
        found.append(Objection.HELD_ALREADY)
    if conflicts_of([wanted.role, *(grant.role for grant in before)]):
        found.append(Objection.CONFLICT)
    if around.is_first and wanted.role is not Role.FLEET_ADMINISTRATOR:
        found.append(Objection.FIRST_ADMINISTERS)
    return found


def objections_to_taking(
    actor: Actor,
    given: Grant,
    held: Iterable[Grant],
    around: Surroundings,
    *,
    is_self: bool,
    is_in_service: bool,
) -> list[Objection]:
    """Return all that speaks against taking a role from an account; arguments as above."""
    before = list(held)
    found = _authority(actor, [given], around, is_self=is_self)
    if given not in before:
        found.append(Objection.NOT_HELD)
    elif is_in_service and _is_last(given.role, around):
        found.append(Objection.LAST_ADMINISTRATOR)
    return found


def objections_to_managing(actor: Actor, held: Iterable[Grant], around: Surroundings) -> list[Objection]:
    """Return all that speaks against this actor's disabling, enabling or resetting an account with these roles.

    It takes what giving all of the account's roles takes, or an administrator of one area could take over one of the fleet.
    """
    return _authority(actor, list(held), around, is_self=False)


def objections_to_disabling(actor: Actor, held: Iterable[Grant], around: Surroundings) -> list[Objection]:
    """Return all that speaks against taking an account in service out of it."""
    before = list(held)
    found = objections_to_managing(actor, before, around)
    if any(_is_last(grant.role, around) for grant in before):
        found.append(Objection.LAST_ADMINISTRATOR)
    return found


def objections_to_reset(actor: Actor, held: Iterable[Grant], around: Surroundings, *, is_self: bool) -> list[Objection]:
    """Return all that speaks against forgetting what an account signs in with.

    Afterwards a link must let them in, which somebody else makes: nobody does it to themself, and of the last fleet administrator only
    who has the server's keyboard, and can make that link, may do it.
    """
    before = list(held)
    found = objections_to_managing(actor, before, around)
    if is_self:
        found.append(Objection.OWN_WAYS)
    if not actor.is_at_keyboard and any(_is_last(grant.role, around) for grant in before):
        found.append(Objection.LAST_ADMINISTRATOR)
    return found


def objections_to_link(
    actor: Actor, held: Iterable[Grant], around: Surroundings, *, is_set_up: bool
) -> list[Objection]:
    """Return all that speaks against making a link for an account.

    A link signs in as somebody else. Where no factors are yet, whoever administers the account hands it over; where there are, only who
    has the server's keyboard may make one.
    """
    found = objections_to_managing(actor, held, around)
    if is_set_up and not actor.is_at_keyboard:
        found.append(Objection.SIGNS_IN_ALREADY)
    return found


def _is_last(role: Role, around: Surroundings) -> bool:
    return role is Role.FLEET_ADMINISTRATOR and around.other_administrators == 0


def _authority(actor: Actor, grants: Collection[Grant], around: Surroundings, *, is_self: bool) -> list[Objection]:
    found = [Objection.OWN_ROLES] if is_self else []
    if actor.grants is None:
        return found
    if any(grant.role is Role.FLEET_ADMINISTRATOR for grant in actor.grants):
        return found
    own = areas_for(actor.grants, Permission.ACCOUNTS)
    if own is not None and not own:
        return [*found, Objection.NOT_ALLOWED]
    if any(grant.role not in GIVEN_BY_AREA for grant in grants):
        found.append(Objection.ROLE_NOT_YOURS)
    if not all(is_within(grant.area, own, around.above) for grant in grants):
        found.append(Objection.AREA_NOT_YOURS)
    return found
