"""What somebody may do with an account, so that a page offers nothing that would be refused; decided by `granting`, as the doing itself."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from fleet.accounts import granting
from fleet.accounts.granting import Actor, Objection
from fleet.accounts.registry import Account, surroundings
from fleet.accounts.roles import GIVEN_BY_AREA, Grant, Permission, Role, areas_for, conflicts_of
from fleet.store.areas import Area, areas_of, codes_below

OFFERED_AREAS = 300
"""So many areas are offered to choose from; more are named by their code."""


@dataclass(frozen=True, slots=True)
class Possible:
    """What somebody may do with an account."""

    roles: tuple[Role, ...]
    """Which may be given somewhere."""
    takes: tuple[Grant, ...]
    """Which may be taken."""
    keeps: tuple[tuple[Grant, tuple[Objection, ...]], ...]
    """Which may not, and why."""
    to_disable: tuple[Objection, ...]
    to_enable: tuple[Objection, ...]
    to_reset: tuple[Objection, ...]
    to_link: tuple[Objection, ...]
    """What speaks against each; nothing where it may be done."""


def possible(connection: Connection, actor: Actor, account: Account) -> Possible:
    """Return what somebody who is signed in may do with an account now."""
    held = account.grants
    around = surroundings(connection, account.account_id, [grant.area for grant in held] + _tops(actor))
    is_self = actor.account_id == account.account_id
    judged = [
        (
            grant,
            tuple(
                granting.objections_to_taking(
                    actor, grant, held, around, is_self=is_self, is_in_service=account.disabled_at is None
                )
            ),
        )
        for grant in held
    ]
    managing = tuple(granting.objections_to_managing(actor, held, around))
    return Possible(
        roles=() if is_self else _roles(actor, held),
        takes=tuple(grant for grant, against in judged if not against),
        keeps=tuple((grant, against) for grant, against in judged if against),
        to_disable=tuple(granting.objections_to_disabling(actor, held, around)),
        to_enable=managing,
        to_reset=tuple(granting.objections_to_reset(actor, held, around, is_self=is_self)),
        to_link=tuple(granting.objections_to_link(actor, held, around, is_set_up=account.is_set_up)),
    )


def roles_for_new(actor: Actor) -> tuple[Role, ...]:
    """Return the roles with which somebody may add an account."""
    return _roles(actor, ())


def areas_offered(connection: Connection, actor: Actor) -> list[Area] | None:
    """Return the areas within which somebody may give roles, in order of their codes; None if they are too many to choose from."""
    known = areas_of(connection)
    own = None if actor.grants is None else areas_for(actor.grants, Permission.ACCOUNTS)
    codes = set(known) if own is None else {code for top in own for code in codes_below(connection, top)}
    if len(codes) > OFFERED_AREAS:
        return None
    return [known.get(code) or Area(code, None, 1, code) for code in sorted(codes)]


def is_fleet_wide(actor: Actor) -> bool:
    """Return whether somebody may give roles in the whole fleet."""
    return actor.grants is None or areas_for(actor.grants, Permission.ACCOUNTS) is None


def _tops(actor: Actor) -> list[str | None]:
    own = () if actor.grants is None else areas_for(actor.grants, Permission.ACCOUNTS) or ()
    return list(own)


def _roles(actor: Actor, held: tuple[Grant, ...]) -> tuple[Role, ...]:
    """Return the roles that may be given at the top of somebody's areas: below it no more are possible."""
    is_administrator = actor.grants is None or any(grant.role is Role.FLEET_ADMINISTRATOR for grant in actor.grants)
    own = {grant.role for grant in held}
    return tuple(
        role for role in Role if (is_administrator or role in GIVEN_BY_AREA) and not conflicts_of([role, *own])
    )
