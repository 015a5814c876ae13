"""The file of one benefit, and how events change it. Pure, and without any database.

A benefit is paid, paused or ended; beside that a stop may be proposed, and cases may hold every stop up. What can never happen:

- a pause or an end without all three steps of the ladder, each with its proof, and without two different persons;
- a stop that is carried out, or approved, while a case holds it up;
- a stop that cannot be undone: a proposal can be withdrawn, a pause and an end restored, with the months in between worked out.

`advance` returns the next file or raises `NotAllowed`, which says what is missing; the file itself never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any

from fleet.benefits.events import (
    LADDER,
    REASON_GONE,
    Approved,
    CarriedOut,
    DataCompared,
    Event,
    Frozen,
    RecoveryClosed,
    RecoveryOpened,
    Restored,
    StepTaken,
    StopEffect,
    StopProposed,
    Unfrozen,
    Withdrawn,
    WordDropped,
)
from fleet.benefits.months import Months
from fleet.errors import Refused

NEEDED_PERSONS = 2


class NotAllowed(Refused):
    """An event that a file in its state does not take; the message says why and what is missing."""


class Standing(StrEnum):
    """Whether money flows."""

    PAYING = "paying"
    PAUSED = "paused"
    ENDED = "ended"


class BenefitState(StrEnum):
    """What people are told of a benefit. Source: domain.md part 11, R7-19."""

    PAYING = "paying"
    PAUSE_PROPOSED = "pause_proposed"
    END_PROPOSED = "end_proposed"
    PAUSED = "paused"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A stop that was proposed, with all that was done about it."""

    stop: StopProposed
    steps: tuple[StepTaken, ...] = ()
    """One for each step of the ladder taken so far, in order."""
    comparison: DataCompared | None = None
    approvals: tuple[Approved, ...] = ()

    def missing(self) -> tuple[str, ...]:
        """Return what must still be done before anybody may approve; empty when it is complete."""
        steps = tuple(step.value for step in LADDER[len(self.steps) :])
        return ("comparison", *steps) if self.stop.needs_comparison and self.comparison is None else steps

    @property
    def prepared_by(self) -> frozenset[str]:
        """Who proposed it, tried to reach the person or compared the data: none of them approves it."""
        compared = "" if self.comparison is None else self.comparison.by
        return frozenset({self.stop.by, compared, *(step.by for step in self.steps)}) - {""}


@dataclass(frozen=True, slots=True)
class BenefitFile:
    """One benefit of one subject."""

    subject_id: str
    scheme: str
    standing: Standing = Standing.PAYING
    proposal: Proposal | None = None
    stopped_by: StopProposed | None = None
    """What the present pause or end came of."""
    stopped_from: date | None = None
    """The first month of the present pause or end."""
    frozen_by: tuple[str, ...] = ()
    """Cases that hold up every stop."""
    stops: tuple[Months, ...] = ()
    """Months of stops that are over, in order."""
    answered: tuple[str, ...] = ()
    """Bases of stops that people withdrew or restored: they are no reason for another."""
    recoveries: tuple[str, ...] = ()
    """All that were opened."""
    open_recoveries: tuple[str, ...] = ()
    """Those of them of which nothing has come yet."""
    events: int = 0
    """How many made it what it is."""

    @property
    def state(self) -> BenefitState:
        """What people are told."""
        if self.proposal is not None:
            is_pause = self.proposal.stop.effect is StopEffect.PAUSE
            return BenefitState.PAUSE_PROPOSED if is_pause else BenefitState.END_PROPOSED
        return BenefitState(self.standing.value)

    @property
    def unpaid(self) -> tuple[Months, ...]:
        """All spans of months that were not paid when they were due, in order; the last may have no end."""
        return self.stops if self.stopped_from is None else (*self.stops, Months(self.stopped_from, None))


def advance(file: BenefitFile, event: Event) -> BenefitFile:
    """Return the file after an event.

    Raises:
        NotAllowed: if the file does not take it; it says why.
    """
    return _TAKES[type(event)](file, event)


def replay(subject_id: str, scheme: str, events: Iterable[Event]) -> BenefitFile:
    """Return the file that all events of a benefit make, from the first one on; raises NotAllowed."""
    file = BenefitFile(subject_id, scheme)
    for event in events:
        file = advance(file, event)
    return file


def _proposed(file: BenefitFile, event: StopProposed) -> BenefitFile:
    _refuse_frozen(file, "a stop cannot be proposed")
    if file.proposal is not None:
        raise NotAllowed(
            f"stop {file.proposal.stop.stop_id} is proposed already: carry it out or withdraw it first",
            code="proposed_already",
        )
    if file.standing is Standing.ENDED:
        raise NotAllowed("the benefit has ended already", code="ended_already")
    if file.standing is Standing.PAUSED and event.effect is StopEffect.PAUSE:
        raise NotAllowed("the benefit is paused already; only an end can be proposed", code="paused_already")
    _first_day(event.from_month, "the first unpaid month")
    if not event.stop_id or not event.basis:
        raise NotAllowed("a stop needs an id and a basis: a pack, a life event or a written one", code="basis_missing")
    return replace(file, proposal=Proposal(event), events=file.events + 1)


def _step_taken(file: BenefitFile, event: StepTaken) -> BenefitFile:
    found = _of(file, event.stop_id)
    done = len(found.steps)
    if done == len(LADDER):
        raise NotAllowed("all steps of the ladder are recorded already", code="ladder_done")
    if event.step is not LADDER[done]:
        raise NotAllowed(
            f"the next step of the ladder is the {LADDER[done].value}, not the {event.step.value}",
            code="step_out_of_order",
            next=LADDER[done].value,
            given=event.step.value,
        )
    if not event.proof.strip():
        raise NotAllowed(
            f"the {event.step.value} needs its proof; one that was not possible a written reason", code="proof_missing"
        )
    earliest = found.steps[-1].day if found.steps else found.stop.since
    if event.day < earliest:
        raise NotAllowed(
            f"the {event.step.value} of {event.day} is too early: it counts from {earliest} on",
            code="too_early",
            earliest=earliest,
        )
    return _with(file, replace(found, steps=(*found.steps, event)))


def _compared(file: BenefitFile, event: DataCompared) -> BenefitFile:
    found = _of(file, event.stop_id)
    if not event.proof.strip():
        raise NotAllowed("the comparison needs its proof", code="proof_missing")
    if event.day < found.stop.since:
        raise NotAllowed(
            f"the comparison of {event.day} is too early: it counts from {found.stop.since} on",
            code="too_early",
            earliest=found.stop.since,
        )
    if event.by and any(event.by == each.person for each in found.approvals):
        raise NotAllowed("who approved it may not compare the data any more", code="approver_compares")
    if found.approvals and event.is_sign_found:
        # What was approved is no longer what is known.
        return _with(file, replace(found, comparison=event, approvals=()))
    return _with(file, replace(found, comparison=event))


def _approved(file: BenefitFile, event: Approved) -> BenefitFile:
    found = _of(file, event.stop_id)
    _refuse_frozen(file, "a stop cannot be approved")
    if missing := found.missing():
        raise NotAllowed(
            f"cannot be approved yet, still missing: {', '.join(missing)}", code="steps_missing", missing=missing
        )
    if found.comparison is not None and found.comparison.is_sign_found:
        raise NotAllowed("the data of other bodies show a sign of life: withdraw the stop", code="sign_of_life")
    if not event.person:
        raise NotAllowed("an approval needs a person", code="name_unusable")
    if event.person in found.prepared_by:
        raise NotAllowed("who proposed it or recorded its steps may not approve it", code="took_in")
    if any(event.person == each.person for each in found.approvals):
        raise NotAllowed("this person has approved it already; a second person is needed", code="same_person")
    if len(found.approvals) >= NEEDED_PERSONS:
        raise NotAllowed("two persons have approved it already", code="two_have_approved")
    return _with(file, replace(found, approvals=(*found.approvals, event)))


def _word_dropped(file: BenefitFile, event: WordDropped) -> BenefitFile:
    found = _of(file, event.stop_id)
    left = tuple(each for each in found.approvals if each.person != event.person)
    if len(left) == len(found.approvals) or len(found.approvals) >= NEEDED_PERSONS:
        raise NotAllowed("no word of this person waits for a second one", code="no_word")
    return _with(file, replace(found, approvals=left))


def _carried_out(file: BenefitFile, event: CarriedOut) -> BenefitFile:
    found = _of(file, event.stop_id)
    _refuse_frozen(file, "a stop cannot be carried out")
    # The ladder and any comparison are complete: else nobody could have approved.
    if len(found.approvals) < NEEDED_PERSONS:
        missing = ", ".join(found.missing()) or f"{NEEDED_PERSONS - len(found.approvals)} more person(s) who approve"
        raise NotAllowed(
            f"cannot be carried out yet, still missing: {missing}",
            code="steps_missing",
            missing=found.missing() or ("approval",) * (NEEDED_PERSONS - len(found.approvals)),
        )
    _first_day(event.first_unpaid_month, "the first unpaid month")
    if event.first_unpaid_month < found.stop.from_month:
        raise NotAllowed(
            f"nothing stops before {found.stop.from_month:%Y-%m}, the month that was proposed and approved",
            code="before_proposed_month",
            month=f"{found.stop.from_month:%Y-%m}",
        )
    is_end = found.stop.effect is StopEffect.END
    stopped_from = event.first_unpaid_month if file.stopped_from is None else file.stopped_from
    return replace(
        file,
        standing=Standing.ENDED if is_end else Standing.PAUSED,
        proposal=None,
        stopped_by=found.stop,
        stopped_from=stopped_from,
        events=file.events + 1,
    )


def _withdrawn(file: BenefitFile, event: Withdrawn) -> BenefitFile:
    found = _of(file, event.stop_id)
    if not event.reason.strip():
        raise NotAllowed("a withdrawal needs its reason", code="reason_missing")
    answered = file.answered if event.reason == REASON_GONE else (*file.answered, found.stop.basis)
    return replace(file, proposal=None, answered=answered, events=file.events + 1)


def _restored(file: BenefitFile, event: Restored) -> BenefitFile:
    if file.stopped_from is None or file.stopped_by is None:
        raise NotAllowed("nothing is paused or ended, so there is nothing to restore", code="nothing_stopped")
    if file.proposal is not None:
        raise NotAllowed(
            f"stop {file.proposal.stop.stop_id} is proposed: withdraw it before the benefit is restored",
            code="withdraw_first",
        )
    _first_day(event.first_paid_month, "the first month that is paid again")
    if event.first_paid_month < file.stopped_from:
        raise NotAllowed(
            f"payment stopped with {file.stopped_from:%Y-%m}; it cannot be restored for an earlier month",
            code="before_stopped_month",
            month=f"{file.stopped_from:%Y-%m}",
        )
    if not event.basis.strip():
        raise NotAllowed(
            "a restoration needs its basis: an act, a life event or a written reason", code="basis_missing"
        )
    return replace(
        file,
        standing=Standing.PAYING,
        stopped_by=None,
        stopped_from=None,
        stops=(*file.stops, Months(file.stopped_from, event.first_paid_month)),
        answered=(*file.answered, file.stopped_by.basis),
        events=file.events + 1,
    )


def _frozen(file: BenefitFile, event: Frozen) -> BenefitFile:
    if not event.case_id:
        raise NotAllowed("only a case can hold a benefit's stops up", code="case_missing")
    if event.case_id in file.frozen_by:
        raise NotAllowed("this case holds the benefit's stops up already", code="held_already")
    return replace(file, frozen_by=(*file.frozen_by, event.case_id), events=file.events + 1)


def _unfrozen(file: BenefitFile, event: Unfrozen) -> BenefitFile:
    if event.case_id not in file.frozen_by:
        raise NotAllowed("this case does not hold the benefit's stops up", code="not_held")
    left = tuple(case for case in file.frozen_by if case != event.case_id)
    return replace(file, frozen_by=left, events=file.events + 1)


def _recovery_opened(file: BenefitFile, event: RecoveryOpened) -> BenefitFile:
    if not event.recovery_id or event.recovery_id in file.recoveries:
        raise NotAllowed("a recovery needs an id of its own", code="recovery_unknown")
    if event.months < 0:
        raise NotAllowed("months to recover: 0 or more expected", code="months_unusable")
    return replace(
        file,
        recoveries=(*file.recoveries, event.recovery_id),
        open_recoveries=(*file.open_recoveries, event.recovery_id),
        events=file.events + 1,
    )


def _recovery_closed(file: BenefitFile, event: RecoveryClosed) -> BenefitFile:
    if event.recovery_id not in file.open_recoveries:
        raise NotAllowed(
            f"recovery {event.recovery_id}: none of this id is open for this benefit", code="recovery_unknown"
        )
    left = tuple(each for each in file.open_recoveries if each != event.recovery_id)
    return replace(file, open_recoveries=left, events=file.events + 1)


_TAKES: dict[type[Event], Callable[[BenefitFile, Any], BenefitFile]] = {
    StopProposed: _proposed,
    StepTaken: _step_taken,
    DataCompared: _compared,
    Approved: _approved,
    WordDropped: _word_dropped,
    CarriedOut: _carried_out,
    Withdrawn: _withdrawn,
    Restored: _restored,
    Frozen: _frozen,
    Unfrozen: _unfrozen,
    RecoveryOpened: _recovery_opened,
    RecoveryClosed: _recovery_closed,
}


def _of(file: BenefitFile, stop_id: str) -> Proposal:
    if file.proposal is None or file.proposal.stop.stop_id != stop_id:
        raise NotAllowed(f"stop {stop_id} is not proposed for this benefit", code="not_proposed")
    return file.proposal


def _with(file: BenefitFile, proposal: Proposal) -> BenefitFile:
    return replace(file, proposal=proposal, events=file.events + 1)


def _refuse_frozen(file: BenefitFile, what: str) -> None:
    if file.frozen_by:
        raise NotAllowed(f"{what}: case {file.frozen_by[0]} holds every stop up until it is decided", code="frozen")


def _first_day(month: date, what: str) -> None:
    if month.day != 1:
        raise NotAllowed(f"{what}: the first day of a month expected, {month} found", code="no_month")
