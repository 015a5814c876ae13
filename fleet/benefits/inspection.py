"""One benefit as somebody sees it who works on its stop: the file, what happened with what was written, and which months are at stake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from fleet.audit.log import Question, newest, open_actor
from fleet.benefits.events import BY_HAND, LADDER, Approved, Event, Frozen, LadderStep, RestoreReason, event_from
from fleet.benefits.files import confirmed_losses, open_text
from fleet.benefits.machine import NEEDED_PERSONS, BenefitFile, Standing, replay
from fleet.benefits.months import Months, RepaidStop, arrears, repaid, unpaid_months
from fleet.keys import FieldCipher
from fleet.store import benefits
from fleet.store.approvals import Approval, approvals_of
from fleet.store.benefits import EventRow
from fleet.store.names import seal_approver
from fleet.store.timeline import approvals_about
from protocol.rules.days import first_of_month

STOP = "benefit_stop"
"""What approvals of stops are stored under."""
RESTORATION = "benefit_restoration"
"""And those of restorations that need two persons."""
_MOST_NOTES = 1_000
"""Most entries of the audit log about one person's benefits that are looked through: the steps of all their stops."""


def person_of(cipher: FieldCipher, name: str, stop_id: str) -> str:
    """Return what stands for a person in the events of one stop.

    Raises:
        Refused: if the name cannot be taken.
    """
    return seal_approver(cipher, name, of=f"{STOP}:{stop_id}").digest.hex()


@dataclass(frozen=True, slots=True)
class HalfRestored:
    """What one person has approved and a second must say as well: payment goes on for a reason from a month."""

    because: RestoreReason
    month: str
    """`2027-01`, or `next` for the one that is next when the second approves."""
    by: str


@dataclass(frozen=True, slots=True)
class Happened:
    """One event, with what was written about it."""

    number: int
    kind: str
    event: Event
    written: str
    by: str
    """Who did it; empty for what happened by itself, and where the audit log does not say."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """All of it."""

    file: BenefitFile
    happened: tuple[Happened, ...]
    """The first event first."""
    unpaid: tuple[date, ...]
    """Months of the present stop that are not paid, up to this one."""
    paid_back: tuple[date, ...]
    """Those of them that are paid back if payment goes on next month (R7-5, R7-6)."""
    repaid: tuple[RepaidStop, ...]
    """Stops after which payment went on."""
    half_restored: tuple[HalfRestored, ...]

    @property
    def version(self) -> int:
        """How many events there were: a form made of fewer is stale."""
        return self.file.events

    @property
    def next_step(self) -> LadderStep | None:
        """The step of the ladder that comes next; None if nothing is proposed, or all are done."""
        if self.file.proposal is None or len(self.file.proposal.steps) == len(LADDER):
            return None
        return LADDER[len(self.file.proposal.steps)]

    @property
    def is_ready(self) -> bool:
        """Whether somebody may approve it."""
        proposal = self.file.proposal
        if proposal is None or self.file.frozen_by or proposal.missing():
            return False
        has_sign = proposal.comparison is not None and proposal.comparison.is_sign_found
        return not has_sign and len(proposal.approvals) < NEEDED_PERSONS

    @property
    def is_approved(self) -> bool:
        """Whether two persons have, so that it may be carried out."""
        proposal = self.file.proposal
        return proposal is not None and not self.file.frozen_by and len(proposal.approvals) >= NEEDED_PERSONS

    @property
    def held_by_hand(self) -> tuple[str, ...]:
        """Cases by which a person has frozen it; a pass that contradicts a report is not among them."""
        by_hand = {
            each.event.case_id
            for each in self.happened
            if isinstance(each.event, Frozen) and each.event.because == BY_HAND
        }
        return tuple(case for case in self.file.frozen_by if case in by_hand)

    @property
    def may_be_restored(self) -> bool:
        """Whether payment has stopped and no other stop is proposed."""
        return self.file.standing is not Standing.PAYING and self.file.proposal is None


def inspect(connection: Connection, cipher: FieldCipher, subject_id: str, scheme: str, *, today: date) -> Inspected:
    """Return a benefit's file with its history, without locking anything.

    What the first of two persons wrote is not told before the second has approved: one word is not to follow the other.
    """
    rows = benefits.events_of(connection, [subject_id], scheme)
    events = [event_from(row.kind, row.day, row.body) for row in rows]
    file = replay(subject_id, scheme, events)
    happened = _happened(connection, cipher, rows, events)
    lost = confirmed_losses(connection, subject_id)
    unpaid: tuple[date, ...] = ()
    paid_back: tuple[date, ...] = ()
    if file.stopped_from is not None:
        month = max(first_of_month(today, 1), file.stopped_from)
        unpaid = tuple(unpaid_months([Months(file.stopped_from, month)], month))
        paid_back = arrears([Months(file.stopped_from, month)], month, lost)
    half = _half_restored(connection, cipher, file)
    return Inspected(file, happened, unpaid, paid_back, tuple(repaid(file.unpaid, lost)), half)


def _half_restored(connection: Connection, cipher: FieldCipher, file: BenefitFile) -> tuple[HalfRestored, ...]:
    if file.stopped_by is None:
        return ()
    found = []
    for row in approvals_about(connection, [file.stopped_by.stop_id]):
        if row.object_kind == RESTORATION:
            _, because, month = row.object_id.split("/")
            of = f"{row.object_kind}:{row.object_id}"
            name = cipher.decrypt(row.name_sealed, subject_id=of, field_name="approver")
            found.append(HalfRestored(RestoreReason(because), month, name))
    return tuple(found)


def _happened(
    connection: Connection, cipher: FieldCipher, rows: Sequence[EventRow], events: Sequence[Event]
) -> tuple[Happened, ...]:
    given: dict[str, dict[str, Approval]] = {}
    done = _done(connection, cipher, rows)
    found = []
    for row, event in zip(rows, events, strict=True):
        written = "" if row.text_sealed is None else open_text(cipher, row.subject_id, row.text_sealed)
        by = done.get((_NOTED.get(row.kind, ""), row.at), "")
        if isinstance(event, Approved):
            if event.stop_id not in given:
                words = approvals_of(connection, cipher, STOP, event.stop_id)
                given[event.stop_id] = {person_of(cipher, each.name, event.stop_id): each for each in words}
            # Of a word that was withdrawn or dropped, the event stays and the word is gone.
            approval = given[event.stop_id].get(event.person)
            if approval is not None:
                by = approval.name
                written = approval.reason if len(given[event.stop_id]) >= NEEDED_PERSONS else ""
        found.append(Happened(row.number, row.kind, event, written, by))
    return tuple(found)


_NOTED = {
    "stop_proposed": "benefit.stop_proposed",
    "step_taken": "benefit.step_recorded",
    "data_compared": "benefit.data_compared",
    "frozen": "benefit.frozen",
    "unfrozen": "benefit.unfrozen",
    "carried_out": "benefit.stopped",
    "withdrawn": "benefit.stop_withdrawn",
    "restored": "benefit.restored",
}
"""Under which action the audit log has who did it, by kind of event; an approval has its own record."""


def _done(connection: Connection, cipher: FieldCipher, rows: Sequence[EventRow]) -> dict[tuple[str, datetime], str]:
    """Return who did what to the person's benefits by hand, by action and moment: an event and its note are of one transaction."""
    if not rows:
        return {}
    asked = Question(action="benefit.", object_kind="subject", object_id=rows[0].subject_id, since=rows[0].at)
    found = newest(connection, cipher, asked, limit=_MOST_NOTES)
    return {(each.entry.action, each.entry.at): open_actor(cipher, each) for each in found}
