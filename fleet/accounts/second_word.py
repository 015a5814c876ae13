"""The second administrator's word on a change of an account: it takes effect, or it is dropped.

At the server's keyboard anybody is the second person, or a fleet with one administrator could never have another; the audit log says so.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from fleet.accounts import changes, granting
from fleet.accounts.changes import Action, Change
from fleet.accounts.granting import Actor, NotAllowed, Objection
from fleet.accounts.registry import surroundings
from fleet.accounts.roles import Grant
from fleet.accounts.sessions import grants_from
from fleet.errors import NotFound
from fleet.keys import FieldCipher
from fleet.store import account_changes as store
from fleet.store import accounts, sessions
from fleet.store.approvals import NEEDED, withdraw_approvals
from fleet.store.database import Database
from fleet.store.names import AccountName

KEYBOARD = "the server's keyboard"
"""Stands as the second person's name in the words of a change that was approved there; who it was is in the audit log."""


def approve(database: Database, cipher: FieldCipher, actor: Actor, change_id: str, *, now: datetime) -> Change:
    """Let a change take effect.

    Raises:
        NotFound: if none of this id waits.
        NotAllowed: if this person may not say so, or the change is not possible any more.
    """
    with database.begin() as connection:
        change = _found(connection, change_id)
        refuse(objections(connection, actor, change))
        name = KEYBOARD if actor.is_at_keyboard else actor.name
        if changes.say_yes(connection, cipher, change_id, name, change.action, now=now) < NEEDED:
            # Whoever asked has lost a role since, and their word with it.
            raise NotAllowed([Objection.FIRST_PERSON_GONE])
        _carry_out(connection, change, now=now)
        store.decide(connection, change_id, is_approved=True, now=now)
        changes.note_change(connection, cipher, actor, "account.change_approved", change, now=now, **_second(actor))
    return change


def drop(database: Database, cipher: FieldCipher, actor: Actor, change_id: str, *, now: datetime) -> Change:
    """Drop a change: whoever asked takes it back, another administrator refuses it.

    Raises:
        NotFound: if none of this id waits.
        NotAllowed: if this person may not say so.
    """
    with database.begin() as connection:
        change = _found(connection, change_id)
        is_own = actor.account_id == change.asked_by
        if not is_own:
            refuse(authority(connection, actor, change))
        withdraw_approvals(connection, store.OBJECT_KIND, change_id)
        store.decide(connection, change_id, is_approved=False, now=now)
        action = "account.change_taken_back" if is_own else "account.change_refused"
        changes.note_change(connection, cipher, actor, action, change, now=now, **_second(actor))
    return change


def objections(connection: Connection, actor: Actor, change: Change) -> list[Objection]:
    """Return all that speaks against this person's letting a change take effect now."""
    found = _possible(connection, actor, change)
    if not actor.is_at_keyboard and actor.account_id == change.asked_by:
        found.insert(0, Objection.SECOND_PERSON)
    if isinstance(actor.name, AccountName) and change.asked_by in actor.name.bound_to:
        found.append(Objection.IN_ONE_HAND)
    asker = accounts.find_account(connection, change.asked_by)
    first = Actor("", change.asked_by, _held(connection, change.asked_by))
    if asker is None or asker.disabled_at is not None or authority(connection, first, change):
        found.append(Objection.FIRST_PERSON_GONE)
    return found


def authority(connection: Connection, actor: Actor, change: Change) -> list[Objection]:
    """Return what speaks against this person's managing an account with the roles that it has and would have."""
    held = _held(connection, change.account_id)
    wanted = held if change.grant is None else (*held, change.grant)
    around = surroundings(connection, change.account_id, [grant.area for grant in wanted])
    return granting.objections_to_managing(actor, wanted, around)


def refuse(found: list[Objection]) -> None:
    """Refuse what something speaks against.

    Raises:
        NotAllowed: if anything does.
    """
    if found:
        raise NotAllowed(list(dict.fromkeys(found)))


def _possible(connection: Connection, actor: Actor, change: Change) -> list[Objection]:
    if change.grant is None:
        found = authority(connection, actor, change)
        return [Objection.OWN_ROLES, *found] if actor.account_id == change.account_id else found
    held = _held(connection, change.account_id)
    around = surroundings(connection, change.account_id, [grant.area for grant in (*held, change.grant)])
    is_self = actor.account_id == change.account_id
    return granting.objections_to_giving(actor, change.grant, held, around, is_self=is_self)


def _carry_out(connection: Connection, change: Change, *, now: datetime) -> None:
    if change.grant is not None:
        accounts.add_grant(connection, change.account_id, change.grant.role.value, change.grant.area, now=now)
    if change.action is Action.ADD:
        accounts.add_hand(connection, change.account_id, change.asked_by, "added", now)
    if change.action is Action.RESET:
        accounts.add_hand(connection, change.account_id, change.asked_by, "reset", now)
        accounts.forget_factors(connection, change.account_id)
        sessions.end_sessions(connection, change.account_id, now=now)
        sessions.delete_tokens(connection, change.account_id)


def _found(connection: Connection, change_id: str) -> Change:
    accounts.lock_accounts(connection)
    found = store.find_waiting(connection, change_id)
    if found is None:
        raise NotFound(f"change {change_id}: none of this id waits for a second person", code="change_decided")
    return changes.of_stored(found)


def _held(connection: Connection, account_id: str) -> tuple[Grant, ...]:
    return grants_from(accounts.grants_of(connection, [account_id])[account_id])


def _second(actor: Actor) -> dict[str, str]:
    return {"second": "keyboard"} if actor.is_at_keyboard else {}
