"""Brings what records are worth and the references they made in line with each other, for some subjects."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from fleet.exchange import effects
from fleet.references.made import References, settle
from fleet.status.judging import judge_subjects
from fleet.store import made
from fleet.store.terminals import find_terminals


@dataclass(frozen=True, slots=True)
class Settling:
    """How one fleet does it."""

    references: References
    accept_simulated: bool

    def settle(self, connection: Connection, subject_ids: Collection[str], *, now: datetime) -> None:
        """Judge all passes of these subjects, and store or take out of use what their enrolments made, until neither changes the other.

        What an enrolment is worth depends on earlier ones only, so that each round settles at least one of them for good. The caller has
        locked all terminals.
        """
        who = sorted(subject_ids)
        for _ in range(len(made.of_subjects(connection, who)) + 1):
            self._judge(connection, who)
            if not settle(connection, self.references, who, now=now):
                return

    def judge_anew(self, connection: Connection, subject_ids: Sequence[str], *, now: datetime) -> None:
        """Judge all passes and all silent acts of these subjects by what is known now: for a rebuild, or after a report of any source."""
        with_made = made.with_made(connection, subject_ids)
        if with_made:
            find_terminals(connection, lock=True)
            self.settle(connection, with_made, now=now)
        self._judge(connection, [subject for subject in subject_ids if subject not in with_made])
        # A death, whoever reports it, leaves nobody silently certified; one that was withdrawn lets the scenes count again.
        effects.settle(connection, subject_ids, zone=self.references.zone, now=now)

    def _judge(self, connection: Connection, subject_ids: Sequence[str]) -> None:
        judge_subjects(connection, subject_ids, zone=self.references.zone, accept_simulated=self.accept_simulated)
