"""What the machine does by itself about benefits. It approves nothing and stops nothing.

It proposes stops that are due, takes back those whose reason is gone, and asks after people of whom there is no trace.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.benefits.events import (
    REASON_GONE,
    Event,
    RecoveryOpened,
    RecoveryReason,
    StopEffect,
    StopProposed,
    StopReason,
    Withdrawn,
)
from fleet.benefits.files import carry_on, file_of, files_of
from fleet.benefits.i_am_here import BY_REPORT, look_again
from fleet.benefits.machine import BenefitFile, BenefitState
from fleet.benefits.months import is_without_trace, month_of_stop
from fleet.clock import day_of
from fleet.keys import FieldCipher
from fleet.status.projection import Judging
from fleet.store import benefits
from fleet.store.benefits import DueStop, LossReport
from fleet.store.database import Database
from fleet.store.packs import shelf_of
from fleet.store.reminders import note_occasion
from protocol.rules.days import first_of_month
from protocol.rules.life import ENDING, SUSPENDING, LifeEventKind, first_unpaid_month
from protocol.rules.pack import Recovery
from protocol.rules.shelf import Shelf

ACTOR = "fleet"
_CHUNK = 500
"""Benefits in one transaction."""
_REASONS: Mapping[LifeEventKind, StopReason] = {
    **dict.fromkeys(ENDING, StopReason.DEATH),
    LifeEventKind.MISSING: StopReason.MISSING,
    LifeEventKind.SENTENCE: StopReason.SENTENCE,
    LifeEventKind.REGISTER_CANCELLED: StopReason.REGISTER_CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Proposed:
    """How many of each."""

    overdue: int
    """Stops proposed because nobody came (R7-1, R7-3, R7-4, R7-11)."""
    losses: int
    """Stops proposed by confirmed reports (R7-7, R7-9)."""
    withdrawn: int
    """Proposals taken back because their reason is gone."""
    recoveries: int
    """Recoveries opened because there is no trace (R7-14)."""
    cases: int = 0
    """Passes found that contradict a report, whose stops are now frozen."""


def propose_due_stops(
    database: Database, cipher: FieldCipher, *, judging: Judging, now: datetime, zone: tzinfo
) -> Proposed:
    """Propose every stop that is due today; run it once a day, as often as you like.

    Passes of people with a stop by a report are judged anew, so that none goes on against a pass whatever way and order the two came.

    Raises:
        DatabaseUnavailable: as any transaction; what was done stays, and the rest is done by the next run.
    """
    today = day_of(now, zone)
    counts = {"withdrawn": 0, "losses": 0, "overdue": 0, "recoveries": 0}
    works = {
        "withdrawn": _withdraw_baseless,
        "losses": _propose_losses,
        "overdue": _propose_overdue,
    }
    for name, work in works.items():
        while done := _in_one_transaction(database, cipher, name, work, today, now):
            counts[name] += done
    cases = _look_again(database, judging, now, zone)
    with database.begin() as connection:
        counts["recoveries"] = _open_without_trace(connection, today, now, zone)
        _note(connection, cipher, "recoveries", counts["recoveries"], now)
    return Proposed(**counts, cases=cases)


Work = Callable[[Connection, date, datetime], int]


def _in_one_transaction(
    database: Database, cipher: FieldCipher, name: str, work: Work, today: date, now: datetime
) -> int:
    with database.begin() as connection:
        done = work(connection, today, now)
        _note(connection, cipher, name, done, now)
    return done


def _withdraw_baseless(connection: Connection, today: date, now: datetime) -> int:
    found = benefits.baseless(connection, today=today, limit=_CHUNK)
    done = 0
    for row in found:
        file = file_of(connection, row.subject_id, row.scheme)
        # Another transaction may have got here first.
        if file.proposal is not None and file.proposal.stop.stop_id == row.stop_id:
            event = Withdrawn(file.proposal.stop.stop_id, REASON_GONE, today)
            carry_on(connection, file, [(event, None)], now=now)
            done += 1
    return done


def _propose_losses(connection: Connection, today: date, now: datetime) -> int:
    found = benefits.loss_reports(
        connection,
        ending=[kind.value for kind in ENDING],
        suspending=[kind.value for kind in SUSPENDING],
        today=today,
        limit=_CHUNK,
    )
    files = files_of(connection, sorted({row.subject_id for row in found}))
    done = 0
    for row in found:
        file = files.get((row.subject_id, row.scheme), BenefitFile(row.subject_id, row.scheme))
        events = _events_of_loss(file, row, today)
        if events:
            carry_on(connection, file, [(event, None) for event in events], now=now)
            done += 1
    return done


def _events_of_loss(file: BenefitFile, report: LossReport, today: date) -> list[Event]:
    """Return what a confirmed report does to a file; nothing if another transaction was first."""
    kind = LifeEventKind(report.kind)
    is_end = kind in ENDING
    may_follow = (
        {BenefitState.PAYING, BenefitState.PAUSED, BenefitState.PAUSE_PROPOSED} if is_end else {BenefitState.PAYING}
    )
    if file.frozen_by or file.state not in may_follow:
        return []
    stop = StopProposed(
        os.urandom(8).hex(),
        _REASONS[kind],
        StopEffect.END if is_end else StopEffect.PAUSE,
        first_unpaid_month(report.since),
        report.since,
        report.event_id,
        today,
    )
    # An end takes the place of a pause that was only proposed.
    taken_back = [] if file.proposal is None else [Withdrawn(file.proposal.stop.stop_id, "end_proposed", today)]
    return [*taken_back, stop]


def _propose_overdue(connection: Connection, today: date, now: datetime) -> int:
    found = benefits.due_stops(connection, today=today, limit=_CHUNK)
    files = files_of(connection, sorted({row.subject_id for row in found}))
    shelf = shelf_of(connection)
    done = 0
    for row in found:
        file = files.get((row.subject_id, row.scheme), BenefitFile(row.subject_id, row.scheme))
        if file.state is BenefitState.PAYING and not file.frozen_by:
            carry_on(connection, file, [(_overdue(row, shelf, today), None)], now=now)
            note_occasion(connection, row.subject_id, "stop_proposed", row.due, now=now)
            done += 1
    return done


def _overdue(row: DueStop, shelf: Shelf, today: date) -> StopProposed:
    pack = shelf.find(row.pack_id, row.pack_version)
    stop = (shelf.default if pack is None else pack).stop
    return StopProposed(
        os.urandom(8).hex(),
        StopReason.OVERDUE,
        StopEffect(stop.effect),
        month_of_stop(row.stop_from),
        # Where a stop may come before the last day of the period (R7-1), the person is called from the stop day on.
        min(row.due, row.stop_from),
        f"{row.pack_id}/{row.pack_version}/{row.stop_from}",
        today,
        needs_comparison=stop.after == "data_comparison",
    )


def _look_again(database: Database, judging: Judging, now: datetime, zone: tzinfo) -> int:
    reasons, after, opened = [reason.value for reason in BY_REPORT], "", 0
    while True:
        with database.begin() as connection:
            found = benefits.proposed_for(connection, reasons, after=after, limit=_CHUNK)
            if not found:
                return opened
            opened += len(look_again(connection, found, judging=judging, now=now, zone=zone))
        after = found[-1]


def _open_without_trace(connection: Connection, today: date, now: datetime, zone: tzinfo) -> int:
    shelf = shelf_of(connection)
    after, opened = ("", ""), 0
    while found := benefits.paused_before(connection, first_of_month(today), after=after, limit=_CHUNK):
        for row in found:
            after = (row.subject_id, row.scheme)
            heard = benefits.last_trace(connection, row.subject_id)
            last = None if heard is None else day_of(heard, zone)
            if row.stopped_from is None or not is_without_trace(
                row.stopped_from, last, today, _recovery(row.basis, shelf)
            ):
                continue
            file = file_of(connection, row.subject_id, row.scheme)
            event = RecoveryOpened(os.urandom(8).hex(), RecoveryReason.NO_TRACE, 0, today)
            carry_on(connection, file, [(event, None)], now=now)
            opened += 1
    return opened


def _recovery(basis: str | None, shelf: Shelf) -> Recovery:
    """Return what the pack of an overdue stop says; what the default one says where no pack was its reason."""
    pack_id, version, *_ = [*(basis or "").split("/"), "", ""]
    found = shelf.find(pack_id, int(version)) if version.isdecimal() else None
    return (found or shelf.default).recovery


def _note(connection: Connection, cipher: FieldCipher, what: str, count: int, now: datetime) -> None:
    if count:
        note(
            connection,
            cipher,
            actor=ACTOR,
            action="benefit.proposed_by_machine",
            object_kind="benefits",
            object_id=what,
            detail={"count": count},
            now=now,
        )
