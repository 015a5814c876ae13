"""Counts attempts to sign in by account and address, and says whether one is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from fleet.accounts.lockout import FREE_BY_ACCOUNT, FREE_BY_ADDRESS, counted, is_locked
from fleet.keys import FieldCipher
from fleet.store import sessions as store


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an attempt counts under."""

    account: bytes
    """Key of whom it is for, apart for an address that is theirs."""
    address: bytes | None
    """Key of where it is from; None from an address that is theirs."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt that was counted, or not."""

    is_heard: bool
    """False while one of its keys is locked: then nothing was counted."""
    locks: bool
    """Whether a lock begins with it, if it is wrong."""


def attempt_of(
    connection: Connection, cipher: FieldCipher, *, who: bytes, account_id: str | None, address: bytes, step: str
) -> Attempt:
    """Return what an attempt counts under.

    Args:
        connection: where.
        cipher: the fleet's.
        who: digest of the name, of an account or of nobody.
        account_id: whose it is, if it is anybody's.
        address: digest of the client's address.
        step: `password` or `code`: each is counted by itself, so that a known password gives no more guesses at codes.
    """
    is_theirs = account_id is not None and store.has_been_at(connection, account_id, address)
    where = address.hex() if is_theirs else ""
    account = cipher.digest(f"{step}:{who.hex()}:{where}", subject_id="accounts", field_name="attempt")
    by_address = cipher.digest(address.hex(), subject_id="accounts", field_name="attempt")
    return Attempt(account, None if is_theirs else by_address)


def begin_attempt(connection: Connection, attempt: Attempt, *, now: datetime) -> Begun:
    """Count an attempt as a failure before it is known to be one, so that many at once are counted one after another.

    Nothing is counted while a lock lasts: what is tried then is not looked at and makes it no longer.
    """
    limits = {attempt.account: FREE_BY_ACCOUNT}
    if attempt.address is not None:
        limits[attempt.address] = FREE_BY_ADDRESS
    known = store.lock_attempts(connection, list(limits), now=now)
    if any(is_locked(known[key].failures, known[key].last_at, now, free=free) for key, free in limits.items()):
        return Begun(is_heard=False, locks=False)
    locks = False
    for key in sorted(limits):
        failures = counted(known[key].failures, known[key].last_at, now) + 1
        store.set_attempts(connection, key, failures, now=now)
        locks |= key == attempt.account and failures > FREE_BY_ACCOUNT
    return Begun(is_heard=True, locks=locks)


def forgive(connection: Connection, attempt: Attempt) -> None:
    """Forget the failures of an account whose owner was right, and this one of the address: another's stay counted."""
    store.forget_attempts(connection, [attempt.account])
    if attempt.address is not None:
        store.forgive_attempt(connection, attempt.address)
