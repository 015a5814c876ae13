"""What of accounts is not one administrator's word: it is asked for here, and waits (`fleet.accounts.second_word` decides it).

Whoever gives somebody a role that decides, or hands out the way into an account that has one, could be both persons of every decision.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection

from fleet.accounts.granting import Actor, NotAllowed, Objection
from fleet.accounts.roles import DECISIVE_ROLES, Grant, Role
from fleet.audit.log import note
from fleet.keys import FieldCipher
from fleet.store import account_changes as store
from fleet.store.account_changes import OBJECT_KIND, StoredChange
from fleet.store.approvals import approve
from fleet.store.names import AccountName

LINK_WORD_KEPT = timedelta(days=7)
"""So long after the second word the link for which it stands may be made: by then whoever asked is back at their desk."""


class Action(StrEnum):
    """What waits for a second person."""

    ADD = "add"
    """A new account with its first role, and one link for its owner."""
    GIVE = "give"
    RESET = "reset"
    """Forget what an account signs in with, and one link for its owner."""
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Change:
    """A change that waits."""

    change_id: str
    account_id: str
    action: Action
    grant: Grant | None
    asked_by: str
    asked_at: datetime


def takes_two(actor: Actor, grants: Iterable[Grant]) -> bool:
    """Return whether giving these roles, or the way into an account with them, takes a second person.

    Whoever has the server is the second person: it takes the host, which no role of the console gives.
    """
    return not actor.is_at_keyboard and any(grant.role in DECISIVE_ROLES for grant in grants)


def ask(
    connection: Connection,
    cipher: FieldCipher,
    actor: Actor,
    account_id: str,
    action: Action,
    grant: Grant | None = None,
    *,
    now: datetime,
) -> None:
    """Let a change wait for a second person, with the first one's word; written into the audit log, so last in its transaction.

    Raises:
        NotAllowed: if the same is waiting already.
    """
    if actor.account_id is None:
        raise NotAllowed([Objection.NOT_ALLOWED])
    change = StoredChange(
        f"ac-{secrets.token_hex(6)}",
        account_id,
        action.value,
        None if grant is None else grant.role.value,
        None if grant is None else grant.area,
        actor.account_id,
        now,
    )
    if not store.add_change(connection, change):
        raise NotAllowed([Objection.WAITS_ALREADY])
    say_yes(connection, cipher, change.change_id, AccountName(actor.name, actor.account_id), action, now=now)
    note_change(connection, cipher, actor, "account.change_asked", of_stored(change), now=now)


def say_yes(
    connection: Connection, cipher: FieldCipher, change_id: str, name: str, action: Action, *, now: datetime
) -> int:
    """Write one person's word for a change down; return how many there are.

    Raises:
        Refused: if it is the same person's.
    """
    return approve(connection, cipher, OBJECT_KIND, change_id, name=name, reason=action.value, now=now)


def waiting(connection: Connection, account_ids: Collection[str]) -> list[Change]:
    """Return what waits about these accounts, the oldest first."""
    return [of_stored(each) for each in store.waiting(connection, account_ids)]


def grants_waiting(connection: Connection, account_ids: Collection[str]) -> dict[str, tuple[Grant, ...]]:
    """Return which roles wait to be given to each of these accounts."""
    found: dict[str, tuple[Grant, ...]] = {}
    for each in waiting(connection, account_ids):
        if each.grant is not None:
            found[each.account_id] = (*found.get(each.account_id, ()), each.grant)
    return found


def use_link_word(connection: Connection, account_id: str, *, now: datetime) -> bool:
    """Use up the word of a second person for one link; return False if there is none."""
    return store.use_link_word(connection, account_id, not_before=now - LINK_WORD_KEPT, now=now)


def of_stored(stored: StoredChange) -> Change:
    """Return a change as it is stored."""
    grant = None if stored.role is None else Grant(Role(stored.role), stored.area)
    return Change(stored.change_id, stored.account_id, Action(stored.action), grant, stored.asked_by, stored.asked_at)


def note_change(
    connection: Connection,
    cipher: FieldCipher,
    actor: Actor,
    action: str,
    change: Change,
    *,
    now: datetime,
    **detail: str,
) -> None:
    """Write into the audit log what became of a change; last in its transaction."""
    granted = {} if change.grant is None else {"role": change.grant.role.value, "area": change.grant.area}
    note(
        connection,
        cipher,
        actor=actor.name,
        action=action,
        object_kind="account",
        object_id=change.account_id,
        detail={"change": change.change_id, "what": change.action.value, **granted, **detail},
        now=now,
    )
