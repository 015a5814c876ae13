"""Writes failed attempts to sign in into the audit log: one entry for each account, or address, and quarter of an hour.

An entry for every attempt would let whoever guesses fill the log, and would take longer for a name that exists. So attempts are counted
as they come, the same way for every name, and stand in the log once their quarter of an hour is over. What was typed stands nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.keys import FieldCipher
from fleet.store.database import Database
from fleet.store.sign_in_failures import Failures, add_failure, take_failures

QUARTER = timedelta(minutes=15)
"""Of so long one entry is written. Chosen: the console's busiest guessing is seen the same hour, and a day has 96 entries at most."""
MOST_ADDRESSES = 20
"""Entries of one quarter about names that nobody has; addresses beyond them share one. Chosen: whoever has many addresses fills no log."""
ACTION = "account.sign_in_failed"
OTHERS = "others"
"""Id of the entry that several addresses share."""
_ADDRESS_DIGITS = 16
"""Of the keyed digest: enough to tell two addresses apart."""


def quarter_of(now: datetime) -> datetime:
    """Return when the quarter of an hour of a moment began."""
    return now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)


def count_failure(
    connection: Connection,
    *,
    who: bytes,
    account_id: str | None,
    address: bytes,
    step: str,
    is_heard: bool,
    now: datetime,
) -> None:
    """Count one failure, for the entry of its quarter of an hour; arguments as of `add_failure`."""
    add_failure(
        connection,
        quarter=quarter_of(now),
        who=who,
        account_id=account_id,
        address=address,
        step=step,
        is_heard=is_heard,
    )


def note_failures(database: Database, cipher: FieldCipher, *, now: datetime) -> int:
    """Write the entries of all quarters that are over; return how many there are.

    Raises:
        DatabaseUnavailable: nothing was written; it can be done again.
    """
    with database.begin() as connection:
        found = take_failures(connection, before=quarter_of(now))
        for quarter in sorted({each.quarter for each in found}):
            _note_quarter(connection, cipher, [each for each in found if each.quarter == quarter], now)
    return len(found)


def _note_quarter(connection: Connection, cipher: FieldCipher, found: Sequence[Failures], now: datetime) -> None:
    nobody = [each for each in found if each.account_id is None]
    for each in found:
        if each.account_id is not None:
            _note(connection, cipher, "account", each.account_id, [each], now)
    for each in nobody[:MOST_ADDRESSES]:
        _note(connection, cipher, "address", (each.address or b"").hex()[:_ADDRESS_DIGITS], [each], now)
    if len(nobody) > MOST_ADDRESSES:
        _note(connection, cipher, "address", OTHERS, nobody[MOST_ADDRESSES:], now)


def _note(
    connection: Connection, cipher: FieldCipher, kind: str, object_id: str, found: Sequence[Failures], now: datetime
) -> None:
    detail = {
        "since": found[0].quarter.isoformat(),
        "password": sum(each.password for each in found),
        "code": sum(each.code for each in found),
        "unheard": sum(each.unheard for each in found),
        **({"addresses": len(found)} if len(found) > 1 else {}),
    }
    note(
        connection,
        cipher,
        actor="fleet",
        action=ACTION,
        object_kind=kind,
        object_id=object_id,
        detail=detail,
        now=now,
    )
