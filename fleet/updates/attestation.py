"""The fleet's statements about its terminals' keys (`protocol.attestation`): which days they cover, and the message that brings one.

A statement is made anew with every month and covers the following `slips.statement_months`, so that one which could not be delivered for
a while still covers what a slip certifies. Nothing is stored: the same month gives the same days.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from fleet.keys import FleetKeys
from fleet.store.terminals import StoredTerminal
from protocol.attestation import KeyStatement, attest
from protocol.rules.days import add_months


def first_day(today: date) -> date:
    """Return the first day of the statements that are made on a day."""
    return today.replace(day=1)


def attestation(
    terminal: StoredTerminal, keys: FleetKeys, *, fleet_id: str, today: date, months: int, now: datetime
) -> bytes:
    """Return the signed message with the statement about a terminal's signing key.

    Args:
        terminal: whose key.
        keys: the fleet's.
        fleet_id: the fleet's name.
        today: the day in the agency's time zone.
        months: how many months from the first of this one are covered.
        now: when it is issued.
    """
    first = first_day(today)
    last = add_months(first, months) - timedelta(days=1)
    statement = KeyStatement(fleet_id, terminal.terminal_id, terminal.signing_key, first, last)
    return attest(statement, keys.signing, issued_at=now)
