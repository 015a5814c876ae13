"""Accounts come, get and lose roles, and go; command line and pages both do it here, under the rules of `granting`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from fleet.accounts import granting
from fleet.accounts.changes import Action, ask, grants_waiting, takes_two, use_link_word
from fleet.accounts.changes import waiting as waiting_changes
from fleet.accounts.granting import Actor, NotAllowed, Objection, Surroundings
from fleet.accounts.naming import name_digest, open_name, seal_name
from fleet.accounts.roles import DECISIVE_ROLES, Grant, Permission, Role, areas_for
from fleet.accounts.rules import AccountRules
from fleet.accounts.sessions import grants_from
from fleet.accounts.tokens import make_token
from fleet.accounts.visitor import Visitor
from fleet.audit.log import note
from fleet.errors import NotFound, Refused
from fleet.keys import FieldCipher
from fleet.store import accounts as store
from fleet.store import areas, sessions
from fleet.store.accounts import StoredAccount
from fleet.store.database import Database
from fleet.store.names import cleaned
from fleet.store.sessions import TokenKind

_OBJECT = "account"


class NameTaken(Refused):
    """There is an account of this name."""


class OutOfService(Refused):
    """The account is disabled."""


class TakesTwo(Refused):
    """No second administrator has agreed to a link for this account yet."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account as those see it who manage it."""

    account_id: str
    name: str
    grants: tuple[Grant, ...]
    is_set_up: bool
    """Whether they can sign in without a link."""
    added_at: datetime
    disabled_at: datetime | None
    waiting: tuple[Grant, ...] = ()
    """Roles that wait for a second administrator."""


def at_keyboard(connection: Connection, cipher: FieldCipher, name: str) -> Actor:
    """Return somebody at the server's keyboard, who may have an account under the name they give.

    Raises:
        Refused: if nothing is left of the name, or it is too long.
    """
    found = store.find_by_name(connection, name_digest(cipher, cleaned(name)))
    return Actor(name, None if found is None else found.account_id, None)


def signed_in(visitor: Visitor) -> Actor:
    """Return somebody who is signed in."""
    return Actor(visitor.name, visitor.account_id, visitor.grants)


def find(connection: Connection, cipher: FieldCipher, named: str) -> str:
    """Return the id of the account with this id or name.

    Raises:
        NotFound: if there is none.
    """
    found = store.find_account(connection, named) or store.find_by_name(connection, name_digest(cipher, named))
    if found is None:
        raise NotFound("account: there is none of this id or name")
    return found.account_id


def name_of(connection: Connection, cipher: FieldCipher, account_id: str) -> str:
    """Return an account's name; empty if there is none."""
    found = store.find_account(connection, account_id)
    return "" if found is None else open_name(cipher, found.name_sealed, account_id=account_id)


def grants_in_service(connection: Connection, account_id: str) -> tuple[Grant, ...]:
    """Return the roles of an account as they are now; none where it is out of service or there is none."""
    found = store.find_account(connection, account_id)
    if found is None or found.disabled_at is not None:
        return ()
    return grants_from(store.grants_of(connection, [account_id])[account_id])


def accounts_for(connection: Connection, cipher: FieldCipher, actor: Actor) -> list[Account]:
    """Return the accounts that somebody may know of: those with a role within their areas; all at the keyboard, or for the whole fleet."""
    stored = store.all_accounts(connection)
    ids = [each.account_id for each in stored]
    grants, waiting = store.grants_of(connection, ids), grants_waiting(connection, ids)
    found = [
        Account(
            each.account_id,
            open_name(cipher, each.name_sealed, account_id=each.account_id),
            grants_from(grants[each.account_id]),
            each.is_set_up,
            each.added_at,
            each.disabled_at,
            waiting.get(each.account_id, ()),
        )
        for each in stored
    ]
    own = None if actor.grants is None else areas_for(actor.grants, Permission.ACCOUNTS)
    if own is None:
        return found
    above = areas.parents_above(
        connection,
        {grant.area for each in found for grant in (*each.grants, *each.waiting) if grant.area is not None},
    )
    return [
        each
        for each in found
        if any(granting.is_within(grant.area, own, above) for grant in (*each.grants, *each.waiting))
    ]


def add_account(
    database: Database, cipher: FieldCipher, actor: Actor, *, name: str, grant: Grant, now: datetime
) -> str:
    """Add an account with its first role; return its id. A role that decides waits for a second administrator.

    Raises:
        NameTaken: if the name is another's.
        Refused: if it is none.
        NotAllowed: if the role must not be given so.
    """
    account_id = f"a-{secrets.token_hex(6)}"
    digest = name_digest(cipher, cleaned(name))
    with database.begin() as connection:
        store.lock_accounts(connection)
        around = surroundings(connection, account_id, [grant.area])
        is_self = digest == name_digest(cipher, actor.name)
        _refuse(granting.objections_to_giving(actor, grant, (), around, is_self=is_self))
        sealed = seal_name(cipher, name, account_id=account_id)
        if not store.add_account(connection, account_id, name_hash=digest, name_sealed=sealed, now=now):
            raise NameTaken(
                "account: there is one of this name; a name stands for one person, so give this one another"
            )
        if takes_two(actor, [grant]):
            ask(connection, cipher, actor, account_id, Action.ADD, grant, now=now)
        else:
            store.add_grant(connection, account_id, grant.role.value, grant.area, now=now)
            _in_hand(connection, actor, account_id, "added", now)
            _note(connection, cipher, actor, "account.added", account_id, now, **_detail(actor, grant))
    return account_id


def give(
    database: Database, cipher: FieldCipher, actor: Actor, account_id: str, grant: Grant, *, now: datetime
) -> bool:
    """Give an account a role, from its next request on; return False if it waits for a second administrator.

    Raises:
        NotFound: if there is no such account.
        NotAllowed: if the role must not be given so.
    """
    with database.begin() as connection:
        account, held, around = _begin(connection, account_id, [grant.area])
        is_self = actor.account_id == account.account_id
        _refuse(granting.objections_to_giving(actor, grant, held, around, is_self=is_self))
        if takes_two(actor, [grant]):
            ask(connection, cipher, actor, account_id, Action.GIVE, grant, now=now)
            return False
        store.add_grant(connection, account_id, grant.role.value, grant.area, now=now)
        _note(connection, cipher, actor, "account.role_given", account_id, now, **_detail(actor, grant))
    return True


def take(
    database: Database, cipher: FieldCipher, actor: Actor, account_id: str, grant: Grant, *, now: datetime
) -> None:
    """Take a role from an account, from its next request on.

    Raises:
        NotFound: if there is no such account.
        NotAllowed: if the role must not be taken so.
    """
    with database.begin() as connection:
        account, held, around = _begin(connection, account_id, [grant.area])
        _refuse(
            granting.objections_to_taking(
                actor,
                grant,
                held,
                around,
                is_self=actor.account_id == account.account_id,
                is_in_service=account.disabled_at is None,
            )
        )
        store.delete_grant(connection, account_id, grant.role.value, grant.area)
        _note(connection, cipher, actor, "account.role_taken", account_id, now, **_detail(actor, grant))


def disable(database: Database, cipher: FieldCipher, actor: Actor, account_id: str, *, now: datetime) -> None:
    """Take an account out of service: its sessions, links and sign-ins under way end at once.

    Raises:
        NotFound: if there is no such account.
        NotAllowed: if the actor may not, or it is the last fleet administrator's.
    """

    def change(connection: Connection, account: StoredAccount) -> str | None:
        if account.disabled_at is not None:
            return None
        store.set_disabled(connection, account_id, now)
        _end_all(connection, account_id, now)
        return "account.disabled"

    _manage(database, cipher, actor, account_id, change, granting.objections_to_disabling, now=now)


def enable(database: Database, cipher: FieldCipher, actor: Actor, account_id: str, *, now: datetime) -> None:
    """Take an account back into service, with the roles and factors it had.

    Raises:
        NotFound: if there is no such account.
        NotAllowed: if the actor may not.
    """

    def change(connection: Connection, account: StoredAccount) -> str | None:
        if account.disabled_at is None:
            return None
        store.set_disabled(connection, account_id, None)
        return "account.enabled"

    _manage(database, cipher, actor, account_id, change, granting.objections_to_managing, now=now)


def reset(database: Database, cipher: FieldCipher, actor: Actor, account_id: str, *, now: datetime) -> bool:
    """Forget password, generator, passkeys and recovery codes of an account and end its sessions; a link lets it set up anew.

    Of an account with a role that decides it waits for a second administrator; then False is returned.

    Raises:
        NotFound: if there is no such account.
        NotAllowed: if the actor may not, it is their own, or the last fleet administrator's.
    """
    with database.begin() as connection:
        account, held, around = _begin(connection, account_id, [])
        _refuse(granting.objections_to_reset(actor, held, around, is_self=actor.account_id == account_id))
        if takes_two(actor, (*held, *_waiting(connection, account_id))):
            ask(connection, cipher, actor, account_id, Action.RESET, now=now)
            return False
        store.forget_factors(connection, account.account_id)
        _end_all(connection, account_id, now)
        _in_hand(connection, actor, account_id, "reset", now)
        _note(connection, cipher, actor, "account.reset", account_id, now, **_second(actor, held))
    return True


def make_link(
    database: Database, cipher: FieldCipher, actor: Actor, account_id: str, *, rules: AccountRules, now: datetime
) -> str:
    """Return the address of a link that signs in as an account, once and soon; links made before are good no more.

    Raises:
        NotFound: if there is no such account.
        OutOfService: if it is disabled.
        NotAllowed: if the actor may not.
        TakesTwo: if the account has a role that decides, and no second administrator has agreed; see `ask_link`.
    """
    with database.begin() as connection:
        account, held = _linkable(connection, actor, account_id)
        if takes_two(actor, held) and not use_link_word(connection, account_id, now=now):
            raise TakesTwo("account: a link for it takes a second administrator's word", code="takes_two")
        sessions.delete_tokens(connection, account_id)
        token = make_token(connection, TokenKind.LINK, account_id, lifetime=rules.link, now=now)
        _in_hand(connection, actor, account_id, "linked", now)
        detail = {"is_set_up": account.is_set_up, **_second(actor, held)}
        _note(connection, cipher, actor, "account.link_made", account_id, now, **detail)
    return rules.link_url(token)


def ask_link(database: Database, cipher: FieldCipher, actor: Actor, account_id: str, *, now: datetime) -> None:
    """Ask a second administrator for a link to an account that has a role that decides.

    Raises:
        NotFound: if there is no such account.
        OutOfService: if it is disabled.
        NotAllowed: if the actor may not, or it was asked for already.
    """
    with database.begin() as connection:
        _linkable(connection, actor, account_id)
        if any(each.action in (Action.ADD, Action.RESET) for each in waiting_changes(connection, [account_id])):
            raise NotAllowed([Objection.WAITS_ALREADY])
        ask(connection, cipher, actor, account_id, Action.LINK, now=now)


def _linkable(connection: Connection, actor: Actor, account_id: str) -> tuple[StoredAccount, tuple[Grant, ...]]:
    """Return an account of which this actor may make a link, and the roles that it has or waits for."""
    waiting = _waiting(connection, account_id)
    account, held, around = _begin(connection, account_id, [grant.area for grant in waiting])
    held = (*held, *waiting)
    _refuse(granting.objections_to_link(actor, held, around, is_set_up=account.is_set_up))
    if account.disabled_at is not None:
        raise OutOfService("account: is out of service; `lifecert-fleet accounts enable` first")
    return account, held


def _waiting(connection: Connection, account_id: str) -> tuple[Grant, ...]:
    return grants_waiting(connection, [account_id]).get(account_id, ())


def surroundings(connection: Connection, account_id: str, named: Collection[str | None]) -> Surroundings:
    """Return what must be known of the fleet to decide about an account.

    Args:
        connection: where.
        account_id: of the account.
        named: areas that matter.
    """
    return Surroundings(
        above=areas.parents_above(connection, {area for area in named if area is not None}),
        has_tree=areas.has_areas(connection),
        is_first=not store.has_accounts(connection),
        other_administrators=store.others_with(connection, Role.FLEET_ADMINISTRATOR.value, account_id),
    )


def _manage(
    database: Database,
    cipher: FieldCipher,
    actor: Actor,
    account_id: str,
    change: Callable[[Connection, StoredAccount], str | None],
    judge: Callable[[Actor, Collection[Grant], Surroundings], list[Objection]],
    *,
    now: datetime,
) -> None:
    with database.begin() as connection:
        account, held, around = _begin(connection, account_id, [])
        _refuse(judge(actor, held, around))
        done = change(connection, account)
        if done is not None:
            _note(connection, cipher, actor, done, account_id, now)


def _begin(
    connection: Connection, account_id: str, named: Collection[str | None]
) -> tuple[StoredAccount, tuple[Grant, ...], Surroundings]:
    store.lock_accounts(connection)
    account = store.find_account(connection, account_id, lock=True)
    if account is None:
        raise NotFound("account: there is none of this id or name")
    held = grants_from(store.grants_of(connection, [account_id])[account_id])
    return account, held, surroundings(connection, account_id, [*named, *(grant.area for grant in held)])


def _end_all(connection: Connection, account_id: str, now: datetime) -> None:
    sessions.end_sessions(connection, account_id, now=now)
    sessions.delete_tokens(connection, account_id)


def _refuse(objections: list[Objection]) -> None:
    if objections:
        raise NotAllowed(objections)


def _in_hand(
    connection: Connection, actor: Actor, account_id: str, how: Literal["added", "reset", "linked"], now: datetime
) -> None:
    """Store who has an account in hand, but for the server's keyboard, which stands as a second person."""
    if actor.account_id is not None and not actor.is_at_keyboard:
        store.add_hand(connection, account_id, actor.account_id, how, now)


def _detail(actor: Actor, grant: Grant) -> dict[str, str | None]:
    return {"role": grant.role.value, "area": grant.area, **_second(actor, [grant])}


def _second(actor: Actor, grants: Collection[Grant]) -> dict[str, str | None]:
    """Say that it took no second administrator where the server's keyboard stood for one."""
    decides = any(grant.role in DECISIVE_ROLES for grant in grants)
    return {"second": "keyboard"} if actor.is_at_keyboard and decides else {}


def _note(
    connection: Connection,
    cipher: FieldCipher,
    actor: Actor,
    action: str,
    account_id: str,
    now: datetime,
    **detail: object,
) -> None:
    note(
        connection,
        cipher,
        actor=actor.name,
        action=action,
        object_kind=_OBJECT,
        object_id=account_id,
        detail=detail,
        now=now,
    )
