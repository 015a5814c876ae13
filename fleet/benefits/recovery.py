"""Claims back: what was paid and should not have been, and why it is claimed. Source: R7-10, R7-12, R7-15 to R7-18.

Money itself is the paying system's; the fleet says which months, and in which range a fine lies.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.benefits.events import RecoveryClosed, RecoveryOpened, RecoveryOutcome, RecoveryReason
from fleet.benefits.files import carry_on, confirmed_losses, file_of, seal_text
from fleet.benefits.machine import BenefitFile
from fleet.benefits.months import mismatches, overpaid_months
from fleet.clock import day_of
from fleet.errors import NotFound, Refused
from fleet.keys import FieldCipher
from fleet.store import benefits
from protocol.rules.days import first_of_month


@dataclass(frozen=True, slots=True)
class Recovery:
    """A recovery that was opened."""

    recovery_id: str
    overpaid: tuple[date, ...]
    """Months that were paid without entitlement, each by its first day."""
    disagreeing: tuple[str, ...]
    """Fields in which what was declared and what the lists say disagree."""


def open_recovery(
    connection: Connection,
    cipher: FieldCipher,
    subject_id: str,
    scheme: str,
    *,
    reason: RecoveryReason,
    by: str,
    why: str,
    declared: Mapping[str, str],
    now: datetime,
    zone: tzinfo,
) -> Recovery:
    """Open a recovery and say which months are claimed back. Call it once in a transaction.

    Args:
        connection: a transaction.
        cipher: the fleet's.
        subject_id: about whom.
        scheme: of the benefit.
        reason: why.
        by: who opens it.
        why: in words.
        declared: with `mismatch`, what a certification's papers say, by field: birth_date, sex, area, region, category, started.
        now: when.
        zone: where a day ends.

    Raises:
        NotFound: if the subject has no such benefit.
        Refused: if the facts do not bear the reason out, or nothing is written.
    """
    facts = benefits.listed_facts(connection, subject_id, scheme)
    if facts is None:
        raise NotFound(f"subject {subject_id}: no benefit of scheme {scheme!r}")
    if unknown := sorted(declared.keys() - facts.keys()):
        raise Refused(f"unknown fields: {', '.join(unknown)}; known are {', '.join(sorted(facts))}")
    disagreeing = mismatches(dict(declared), facts)
    if reason is RecoveryReason.MISMATCH and not disagreeing:
        raise Refused("what was declared agrees with what the lists say: nothing to claim back")
    today = day_of(now, zone)
    file = file_of(connection, subject_id, scheme)
    overpaid = _overpaid(connection, file, facts["started"], today)
    if reason is RecoveryReason.OVERPAID and not overpaid:
        raise Refused("no month was paid after a confirmed loss: nothing to claim back")
    event = RecoveryOpened(os.urandom(8).hex(), reason, len(overpaid), today)
    carry_on(connection, file, [(event, seal_text(cipher, subject_id, why))], now=now)
    note(
        connection,
        cipher,
        actor=by,
        action="benefit.recovery_opened",
        object_kind="subject",
        object_id=subject_id,
        detail={"scheme": scheme, "reason": reason.value, "months": len(overpaid), "fields": list(disagreeing)},
        now=now,
    )
    return Recovery(event.recovery_id, overpaid, disagreeing)


def close_recovery(
    connection: Connection,
    cipher: FieldCipher,
    recovery_id: str,
    *,
    outcome: RecoveryOutcome,
    by: str,
    why: str,
    now: datetime,
    zone: tzinfo,
) -> None:
    """Say what came of a recovery: returned, taken to court, or dropped. Call it once in a transaction.

    Raises:
        NotFound: if none of this id is open.
        Refused: if nothing is written.
    """
    found = benefits.find_recovery(connection, recovery_id)
    if found is None:
        raise NotFound(f"recovery {recovery_id}: none of this id is open")
    file = file_of(connection, found.subject_id, found.scheme)
    event = RecoveryClosed(recovery_id, outcome, day_of(now, zone))
    carry_on(connection, file, [(event, seal_text(cipher, file.subject_id, why))], now=now)
    note(
        connection,
        cipher,
        actor=by,
        action="benefit.recovery_closed",
        object_kind="subject",
        object_id=file.subject_id,
        detail={"scheme": file.scheme, "recovery": recovery_id, "outcome": outcome.value},
        now=now,
    )


def _overpaid(connection: Connection, file: BenefitFile, started: str | None, today: date) -> tuple[date, ...]:
    """Return the months paid without entitlement, the present one with them."""
    if started is None:
        return ()
    lost = confirmed_losses(connection, file.subject_id)
    return overpaid_months(date.fromisoformat(started), first_of_month(today, 1), file.unpaid, lost)
