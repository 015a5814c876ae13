"""Sessions of the console: begun, resumed on every request, renewed when rights rise, and ended.

A cookie's value is 256 random bits of which only the SHA-256 is stored. Roles are read anew at each request, so that what is taken from
somebody is gone at once; an account that is disabled has no session any more.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection

from fleet.accounts.hands import Hand, bound_to
from fleet.accounts.lockout import address_key
from fleet.accounts.naming import open_name
from fleet.accounts.roles import Grant, Role
from fleet.accounts.rules import AccountRules, is_over
from fleet.accounts.tokens import digest_of, make_secret
from fleet.accounts.visitor import Visitor
from fleet.keys import FieldCipher
from fleet.store import accounts
from fleet.store import sessions as store
from fleet.store.names import AccountName
from fleet.store.sessions import Resumed, StoredSession

_SEEN_EVERY = timedelta(minutes=1)
"""When a session was used last is written no more often."""


class How(StrEnum):
    """How somebody signed in."""

    CODE = "code"
    """By password and a code of their generator."""
    RECOVERY_CODE = "recovery_code"
    """By password and a recovery code."""
    PASSKEY = "passkey"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session whose cookie is to be set; the value is nowhere else."""

    cookie: str
    session_id: str
    form_token: str
    must_set_up: bool


@dataclass(frozen=True, slots=True)
class OwnSession:
    """One of somebody's sessions, as they see it."""

    session_id: str
    how: str
    signed_in_at: datetime
    last_seen_at: datetime
    is_this: bool
    """Whether it is the one that asks."""


def begin(
    connection: Connection, account_id: str, how: How, *, must_set_up: bool, address_hash: bytes, now: datetime
) -> NewSession:
    """Begin a session."""
    session = StoredSession(
        session_id=secrets.token_hex(8),
        account_id=account_id,
        form_token=make_secret(),
        how=how.value,
        must_set_up=must_set_up,
        address_hash=address_hash,
        signed_in_at=now,
        last_seen_at=now,
        ended_at=None,
    )
    return _store(connection, session)


def resume(
    connection: Connection,
    cipher: FieldCipher,
    cookie: str,
    *,
    now: datetime,
    rules: AccountRules,
    is_by_person: bool = True,
) -> Visitor | None:
    """Return who is signed in by a cookie, or None: one query, and once a minute a second one.

    Args:
        connection: where.
        cipher: the fleet's.
        cookie: its value, whatever was sent.
        now: the present moment.
        rules: with the limits of sessions.
        is_by_person: False for what a page asks by itself: it keeps no session alive.
    """
    found = find(connection, cookie, now=now, rules=rules)
    if found is None:
        return None
    session = found.session
    if is_by_person and now - session.last_seen_at >= _SEEN_EVERY:
        store.touch_session(connection, digest_of(cookie), now=now)
    return Visitor(
        account_id=session.account_id,
        name=AccountName(open_name(cipher, found.name_sealed, account_id=session.account_id), session.account_id),
        grants=grants_from(found.grants),
        form_token=session.form_token,
        signed_in_at=session.signed_in_at,
        must_set_up=session.must_set_up,
    )


def with_bounds(connection: Connection, visitor: Visitor, *, rules: AccountRules, now: datetime) -> Visitor:
    """Return a visitor whose name tells after whose first words they give no second one; for whoever sends a form."""
    hands = [Hand(*each) for each in accounts.hands_of(connection, visitor.account_id, since=now - rules.hands)]
    bound = bound_to(visitor.account_id, hands, term=rules.hands, now=now)
    return replace(visitor, name=AccountName(visitor.name, visitor.account_id, bound))


def find(connection: Connection, cookie: str, *, now: datetime, rules: AccountRules) -> Resumed | None:
    """Return a session that goes on, or None."""
    found = store.resume_session(connection, digest_of(cookie))
    if found is None or is_over(found.session.signed_in_at, found.session.last_seen_at, now, rules):
        return None
    return found


def account_of_form(connection: Connection, form_token: str) -> str | None:
    """Return in whose session a form was opened, over or not, so that what was typed can be kept for them; None if nobody's."""
    return store.account_of_form(connection, form_token)


def renew(connection: Connection, session: StoredSession, *, must_set_up: bool, now: datetime) -> NewSession:
    """End a session and begin its successor under another value; it is no younger, and forms that are open go on."""
    store.end_sessions(connection, session.account_id, now=now, only=session.session_id)
    return _store(
        connection,
        replace(session, session_id=secrets.token_hex(8), must_set_up=must_set_up, last_seen_at=now, ended_at=None),
    )


def sign_out(connection: Connection, cookie: str, *, now: datetime, rules: AccountRules) -> bool:
    """End the session of a cookie; return False if it was over."""
    found = find(connection, cookie, now=now, rules=rules)
    if found is None:
        return False
    store.end_sessions(connection, found.session.account_id, now=now, only=found.session.session_id)
    return True


def own_sessions(connection: Connection, cookie: str, *, now: datetime, rules: AccountRules) -> list[OwnSession]:
    """Return the sessions of whoever asks that go on, the newest first."""
    this = find(connection, cookie, now=now, rules=rules)
    if this is None:
        return []
    return [
        OwnSession(
            each.session_id,
            each.how,
            each.signed_in_at,
            each.last_seen_at,
            each.session_id == this.session.session_id,
        )
        for each in store.sessions_of(connection, this.session.account_id)
        if not is_over(each.signed_in_at, each.last_seen_at, now, rules)
    ]


def end_own(
    connection: Connection, cookie: str, *, now: datetime, rules: AccountRules, session_id: str | None = None
) -> int:
    """End one of the sessions of whoever asks, or all but this one; return how many."""
    this = find(connection, cookie, now=now, rules=rules)
    if this is None:
        return 0
    if session_id is not None:
        return store.end_sessions(connection, this.session.account_id, now=now, only=session_id)
    return store.end_sessions(connection, this.session.account_id, now=now, but=this.session.session_id)


def address_hash(cipher: FieldCipher, address: str) -> bytes:
    """Return what is stored of a client's address: enough to know it again."""
    return cipher.digest(address_key(address), subject_id="accounts", field_name="address")


def grants_from(stored: tuple[tuple[str, str | None], ...] | list[tuple[str, str | None]]) -> tuple[Grant, ...]:
    """Return grants as they are decided upon."""
    return tuple(Grant(Role(role), area) for role, area in stored)


def _store(connection: Connection, session: StoredSession) -> NewSession:
    cookie = make_secret()
    store.add_session(connection, digest_of(cookie), session)
    return NewSession(cookie, session.session_id, session.form_token, session.must_set_up)
