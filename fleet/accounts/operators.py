"""Which operators of terminals are whose account: whoever certified somebody at a terminal does not review it at the console.

The two were told to be one person by their names alone before; a link says so whatever they are called.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from fleet.accounts import granting
from fleet.accounts.granting import Actor, NotAllowed, Objection
from fleet.accounts.registry import surroundings
from fleet.accounts.sessions import grants_from
from fleet.audit.log import note
from fleet.errors import NotFound
from fleet.keys import FieldCipher
from fleet.store import accounts, areas, operators
from fleet.store.database import Database


def link(
    database: Database, cipher: FieldCipher, actor: Actor, account_id: str, operator_id: str, *, now: datetime
) -> None:
    """Say that an operator is the person of an account; a link to another account is replaced.

    Raises:
        NotFound: if there is no such account or operator.
        NotAllowed: if the actor manages not both.
    """
    _set(database, cipher, actor, account_id, operator_id, is_linked=True, now=now)


def unlink(
    database: Database, cipher: FieldCipher, actor: Actor, account_id: str, operator_id: str, *, now: datetime
) -> None:
    """Say that an operator is not the person of an account; as `link`."""
    _set(database, cipher, actor, account_id, operator_id, is_linked=False, now=now)


def linked(connection: Connection, account_id: str) -> list[str]:
    """Return the ids of the operators that an account's person is, or was."""
    return operators.of_account(connection, account_id)


def _set(
    database: Database,
    cipher: FieldCipher,
    actor: Actor,
    account_id: str,
    operator_id: str,
    *,
    is_linked: bool,
    now: datetime,
) -> None:
    with database.begin() as connection:
        _demand_managing(connection, actor, account_id)
        area = operators.area_of(connection, operator_id)
        if area is None or (not is_linked and operator_id not in linked(connection, account_id)):
            raise NotFound(f"operator {operator_id}: there is none of this id", code="operator_unknown")
        if not _is_within(connection, actor, area or None):
            raise NotAllowed([Objection.AREA_NOT_YOURS])
        operators.set_account(connection, operator_id, account_id if is_linked else None)
        note(
            connection,
            cipher,
            actor=actor.name,
            action="account.operator_linked" if is_linked else "account.operator_unlinked",
            object_kind="account",
            object_id=account_id,
            detail={"operator": operator_id},
            now=now,
        )


def _demand_managing(connection: Connection, actor: Actor, account_id: str) -> None:
    accounts.lock_accounts(connection)
    if accounts.find_account(connection, account_id, lock=True) is None:
        raise NotFound("account: there is none of this id or name")
    held = grants_from(accounts.grants_of(connection, [account_id])[account_id])
    around = surroundings(connection, account_id, [grant.area for grant in held])
    if found := granting.objections_to_managing(actor, held, around):
        raise NotAllowed(found)


def _is_within(connection: Connection, actor: Actor, area: str | None) -> bool:
    own = granting.own_areas(actor)
    return granting.is_within(area, own, areas.parents_above(connection, set() if area is None else {area}))
