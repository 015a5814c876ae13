"""Brings what reminders have proven to the ladder of a proposed stop: a message delivered, a call made, a visit paid."""

from __future__ import annotations

from datetime import datetime, tzinfo

from sqlalchemy import Connection

from fleet.benefits.events import LADDER, LadderStep, StepOutcome, StopReason
from fleet.benefits.files import files_of
from fleet.benefits.guard import StopGuard
from fleet.benefits.machine import BenefitFile
from fleet.keys import FieldCipher
from fleet.store.benefits import proposed_for
from fleet.store.database import Database
from fleet.store.reminders import steps_proven

_CHUNK = 200
_BY = "fleet"


def prove_steps(database: Database, cipher: FieldCipher, *, now: datetime, zone: tzinfo) -> int:
    """Record every next step of a proposed stop that a reminder has proven; return how many.

    Only stops of people who did not come: they are what reminders are about. What a person records by hand goes first or last as they like.

    Raises:
        DatabaseUnavailable: as any transaction; it can be done again.
    """
    recorded, after = 0, ""
    while True:
        with database.begin() as connection:
            found = proposed_for(connection, [StopReason.OVERDUE.value], after=after, limit=_CHUNK)
            if not found:
                return recorded
            guard = StopGuard(connection, cipher, now=now, zone=zone)
            for file in files_of(connection, found).values():
                recorded += _prove(connection, guard, file)
        after = found[-1]


def _prove(connection: Connection, guard: StopGuard, file: BenefitFile) -> int:
    proposal = file.proposal
    if proposal is None:
        return 0
    recorded, taken = 0, len(proposal.steps)
    since = proposal.steps[-1].day if proposal.steps else proposal.stop.since
    for proof in steps_proven(connection, file.subject_id, since):
        if taken == len(LADDER) or proof.step != LADDER[taken].value or proof.day < since:
            continue
        step, outcome = LadderStep(proof.step), StepOutcome(proof.outcome)
        guard.record_step(
            proposal.stop.stop_id, step, outcome, day=proof.day, by=_BY, proof=f"reminder {proof.proof_id}"
        )
        recorded, taken, since = recorded + 1, taken + 1, proof.day
    return recorded
