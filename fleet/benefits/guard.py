"""The stop guard: what people do about a benefit, each step checked by the file's own rules and written down.

The machine only ever proposes (`fleet.benefits.due`). A stop is carried out after the ladder, by two persons, if its reason still holds; it
can always be undone. Every method locks the subject and writes its audit note last, so that it is to be called once in a transaction.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, tzinfo

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.benefits.events import (
    BY_HAND,
    Approved,
    CarriedOut,
    DataCompared,
    Event,
    Frozen,
    LadderStep,
    Restored,
    RestoreReason,
    StepOutcome,
    StepTaken,
    StopEffect,
    StopProposed,
    StopReason,
    Unfrozen,
    Withdrawn,
    WordDropped,
)
from fleet.benefits.files import carry_on, confirmed_losses, file_of, seal_text
from fleet.benefits.inspection import RESTORATION, STOP, person_of
from fleet.benefits.machine import NEEDED_PERSONS, BenefitFile, NotAllowed, advance
from fleet.benefits.months import Months, arrears
from fleet.clock import day_of
from fleet.errors import NotFound, Refused
from fleet.keys import FieldCipher
from fleet.store import benefits
from fleet.store.approvals import approve, drop_void, take_back, withdraw_approvals
from fleet.store.i_am_here import open_case_of
from protocol.rules.days import first_of_month

MOST_AHEAD = 12
"""Months ahead in which a stop may begin. Source: R2-5."""


@dataclass(frozen=True, slots=True)
class Restoration:
    """What a restoration comes to."""

    file: BenefitFile
    paid_back: tuple[date, ...]
    """The months that are to be paid back, each by its first day."""
    approvals_missing: int = 0
    """So many persons must still approve before it takes effect."""


class StopGuard:
    """One transaction's work on benefits."""

    def __init__(self, connection: Connection, cipher: FieldCipher, *, now: datetime, zone: tzinfo) -> None:
        self._connection = connection
        self._cipher = cipher
        self._now = now
        self._today = day_of(now, zone)

    def propose(
        self,
        subject_id: str,
        scheme: str,
        *,
        reason: StopReason,
        effect: StopEffect,
        from_month: date,
        by: str,
        why: str,
    ) -> str:
        """Propose a stop for a reason that no pack and no confirmed report gives (R7-7, R7-17); return its id.

        Raises:
            NotFound: if the subject has no such benefit.
            Refused: if the file does not take it.
        """
        if scheme not in benefits.schemes_of(self._connection, subject_id):
            raise NotFound(f"subject {subject_id}: no benefit of scheme {scheme!r}", code="benefit_unknown")
        if reason is StopReason.OVERDUE:
            raise Refused(
                "reason overdue: only rule packs say so; run `benefits propose` without a subject",
                code="overdue_by_packs_only",
            )
        stop_id = os.urandom(8).hex()
        file = file_of(self._connection, subject_id, scheme)
        stop = StopProposed(stop_id, reason, effect, from_month, self._today, f"written:{file.events + 1}", self._today)
        stop = replace(stop, by=self._person(by, stop_id))
        self._carry_on(file, stop, why)
        self._note(by, "benefit.stop_proposed", subject_id, {"scheme": scheme, "stop": stop_id, "reason": reason.value})
        return stop_id

    def record_step(
        self, stop_id: str, step: LadderStep, outcome: StepOutcome, *, day: date, by: str, proof: str
    ) -> BenefitFile:
        """Record a step of the ladder with its proof, or why it was not possible.

        Raises:
            NotFound: if no stop of this id is proposed.
            Refused: if it is not the next step, too early, in the future, or without a proof.
        """
        self._refuse_future(day)
        file = self._file(stop_id)
        event = StepTaken(stop_id, step, outcome, f"written:{file.events + 1}", day, by=self._person(by, stop_id))
        file = self._carry_on(file, event, proof)
        detail = {"stop": stop_id, "step": step.value, "outcome": outcome.value}
        self._note(by, "benefit.step_recorded", file.subject_id, detail)
        return file

    def record_comparison(self, stop_id: str, *, is_sign_found: bool, day: date, by: str, proof: str) -> BenefitFile:
        """Record that the data of other bodies were compared, and whether they show a sign of life (R7-11).

        Raises:
            NotFound: if no stop of this id is proposed.
            Refused: if it is too early, in the future, or without a proof.
        """
        self._refuse_future(day)
        file = self._file(stop_id)
        had = file.proposal is not None and file.proposal.approvals
        event = DataCompared(stop_id, is_sign_found, f"written:{file.events + 1}", day, by=self._person(by, stop_id))
        file = self._carry_on(file, event, proof)
        if had and file.proposal is not None and not file.proposal.approvals:
            withdraw_approvals(self._connection, STOP, stop_id)
        self._note(by, "benefit.data_compared", file.subject_id, {"stop": stop_id, "sign_found": is_sign_found})
        return file

    def approve(self, stop_id: str, *, by: str, why: str) -> int:
        """Write down that a person approves the stop as it stands; return how many have.

        Raises:
            NotFound: if no stop of this id is proposed.
            Refused: if something is missing, a case holds it up, its reason no longer holds, or this person prepared it or has approved
                already.
        """
        file = self._without_void(self._file(stop_id), stop_id)
        self._refuse_baseless(file)
        event = Approved(stop_id, self._person(by, stop_id), self._today)
        # Asked first: the file says more clearly what is missing.
        advance(file, event)
        approve(self._connection, self._cipher, STOP, stop_id, name=by, reason=why, now=self._now)
        file = self._carry_on(file, event)
        place = 0 if file.proposal is None else len(file.proposal.approvals)
        self._note(by, "benefit.stop_approved", file.subject_id, {"stop": stop_id, "place": place})
        return place

    def take_back(self, stop_id: str, *, by: str) -> BenefitFile:
        """Take a person's approval back, as long as it waits for a second one.

        Raises:
            NotFound: if no stop of this id is proposed.
            Refused: if they gave none, or two have approved.
        """
        file = self._file(stop_id)
        file = self._carry_on(file, WordDropped(stop_id, self._person(by, stop_id), self._today))
        take_back(self._connection, self._cipher, STOP, stop_id, name=by)
        self._note(by, "benefit.approval_taken_back", file.subject_id, {"stop": stop_id})
        return file

    def drop_void(self, stop_id: str, *, by: str) -> bool:
        """Drop an approval that waits for a second one and counts no more; return whether there was one.

        Args:
            stop_id: of a stop that may be proposed no more.
            by: who put its giver out of service, or took the role.
        """
        try:
            before = self._file(stop_id)
        except NotFound:
            return False
        after = self._without_void(before, stop_id)
        if after is not before:
            self._note(by, "benefit.approval_dropped", after.subject_id, {"stop": stop_id})
        return after is not before

    def carry_out(self, stop_id: str, *, by: str, from_month: date | None = None) -> BenefitFile:
        """Stop the payment, paused or ended as was proposed.

        Args:
            stop_id: which.
            by: who carries it out; the two who approve need not be asked again.
            from_month: first unpaid month; without it the one that was proposed, or the present one where that is later.

        Raises:
            NotFound: if no stop of this id is proposed.
            Refused: if something is missing, a case holds it up, its reason no longer holds, or the month is past or too far ahead.
        """
        file = self._file(stop_id)
        self._refuse_baseless(file)
        proposed = self._today if file.proposal is None else file.proposal.stop.from_month
        month = from_month or max(proposed, first_of_month(self._today))
        self._demand_near(month)
        file = self._carry_on(file, CarriedOut(stop_id, month, self._today))
        detail = {"stop": stop_id, "state": file.state.value, "first_unpaid_month": month.isoformat()}
        self._note(by, "benefit.stopped", file.subject_id, detail)
        return file

    def withdraw(self, stop_id: str, *, by: str, why: str) -> BenefitFile:
        """Take a proposal back; the same stop day or report is no reason for another.

        Raises:
            NotFound: if no stop of this id is proposed.
            Refused: without a reason.
        """
        file = self._file(stop_id)
        file = self._carry_on(file, Withdrawn(stop_id, f"written:{file.events + 1}", self._today), why)
        self._note(by, "benefit.stop_withdrawn", file.subject_id, {"stop": stop_id})
        return file

    def restore(
        self,
        subject_id: str,
        scheme: str,
        *,
        because: RestoreReason,
        by: str,
        why: str,
        first_paid_month: date | None = None,
    ) -> Restoration:
        """Let payment go on, with the months that are paid back (R7-5, R7-6).

        One person's word is enough if the act that certified again is here; anything else needs two.

        Args:
            subject_id: whose.
            scheme: of the benefit.
            because: why.
            by: who restores it.
            why: what the unit or the person explained (R7-6).
            first_paid_month: the first month that is paid when it is due; without it the next one.

        Raises:
            Refused: if nothing is stopped, the reason does not hold, or this person has approved it already.
        """
        file = file_of(self._connection, subject_id, scheme)
        if file.stopped_by is None or file.stopped_from is None:
            raise NotAllowed(
                f"subject {subject_id}, scheme {scheme!r}: nothing is paused or ended", code="nothing_stopped"
            )
        basis = self._basis(file, file.stopped_by, because)
        month = first_paid_month or max(first_of_month(self._today, 1), file.stopped_from)
        event = Restored(because, basis or f"written:{file.events + 1}", month, self._today)
        after = advance(file, event)
        lost = confirmed_losses(self._connection, subject_id)
        paid_back = arrears([Months(file.stopped_from, month)], month, lost)
        if basis is None:
            # Two persons must mean the same month; without one named, the one that is next when the second approves.
            named = "next" if first_paid_month is None else f"{first_paid_month:%Y-%m}"
            object_id = f"{file.stopped_by.stop_id}/{because.value}/{named}"
            given = approve(self._connection, self._cipher, RESTORATION, object_id, name=by, reason=why, now=self._now)
            if given < NEEDED_PERSONS:
                self._note(by, "benefit.restoration_approved", subject_id, {"scheme": scheme, "place": given})
                return Restoration(file, paid_back, NEEDED_PERSONS - given)
        self._carry_on(file, event, why)
        detail = {
            "scheme": scheme,
            "because": because.value,
            "first_paid_month": month.isoformat(),
            "months_paid_back": len(paid_back),
        }
        self._note(by, "benefit.restored", subject_id, detail)
        return Restoration(after, paid_back)

    def freeze(self, subject_id: str, scheme: str, case_id: str, *, by: str, why: str) -> BenefitFile:
        """Let a case hold up every stop of a benefit.

        Raises:
            NotFound: if the subject has no such benefit.
            Refused: if it does so already, or without a reason.
        """
        if scheme not in benefits.schemes_of(self._connection, subject_id):
            raise NotFound(f"subject {subject_id}: no benefit of scheme {scheme!r}", code="benefit_unknown")
        file = self._carry_on(file_of(self._connection, subject_id, scheme), Frozen(case_id, BY_HAND, self._today), why)
        self._note(by, "benefit.frozen", subject_id, {"scheme": scheme, "case": case_id})
        return file

    def unfreeze(self, subject_id: str, scheme: str, case_id: str, *, by: str, why: str) -> BenefitFile:
        """Say that a case no longer holds up the stops of a benefit.

        Raises:
            Refused: if it does not, without a reason, or if it is a pass that contradicts a report: two persons decide that.
        """
        contradiction = open_case_of(self._connection, subject_id)
        if contradiction is not None and contradiction.case_id == case_id:
            raise NotAllowed(
                "a live pass contradicts a report; decide with `benefits i-am-here`", code="held_by_contradiction"
            )
        file = self._carry_on(file_of(self._connection, subject_id, scheme), Unfrozen(case_id, self._today), why)
        self._note(by, "benefit.unfrozen", subject_id, {"scheme": scheme, "case": case_id})
        return file

    def _without_void(self, file: BenefitFile, stop_id: str) -> BenefitFile:
        """Return the file without an approval whose giver is out of service, or lost the role, since."""
        if file.proposal is None or not drop_void(self._connection, STOP, stop_id):
            return file
        (word,) = file.proposal.approvals
        return self._carry_on(file, WordDropped(stop_id, word.person, self._today))

    def _person(self, name: str, stop_id: str) -> str:
        return person_of(self._cipher, name, stop_id)

    def _file(self, stop_id: str) -> BenefitFile:
        found = benefits.find_file(self._connection, stop_id)
        if found is None:
            raise NotFound(f"stop {stop_id}: none of this id is proposed or carried out", code="not_proposed")
        file = file_of(self._connection, found.subject_id, found.scheme)
        if file.proposal is None or file.proposal.stop.stop_id != stop_id:
            raise NotFound(
                f"stop {stop_id}: it is no longer proposed; the benefit is {file.state.value}", code="not_proposed"
            )
        return file

    def _carry_on(self, file: BenefitFile, event: Event, written: str | None = None) -> BenefitFile:
        sealed = None if written is None else seal_text(self._cipher, file.subject_id, written)
        return carry_on(self._connection, file, [(event, sealed)], now=self._now)

    def _refuse_future(self, day: date) -> None:
        if day > self._today:
            raise Refused(f"{day} is still to come; what has not been done yet proves nothing", code="day_to_come")

    def _demand_near(self, month: date) -> None:
        """See that a month may be the first unpaid one.

        What was paid before comes back by a recovery (R7-9, R7-10); a month called unpaid that was paid would be missed by it, and paid a
        second time after a restoration. A year ahead everybody has been asked again (R2-5: 12 months at most), so no reason of today holds.
        """
        first, last = first_of_month(self._today), first_of_month(self._today, MOST_AHEAD)
        if month < first:
            raise Refused(
                f"{month:%Y-%m} is past: what was paid is claimed back; stop from {first:%Y-%m} on at the earliest",
                code="month_past",
                month=f"{first:%Y-%m}",
            )
        if month > last:
            raise Refused(
                f"{month:%Y-%m} is too far ahead: {last:%Y-%m} at the latest", code="month_far", month=f"{last:%Y-%m}"
            )

    def _refuse_baseless(self, file: BenefitFile) -> None:
        """Refuse to go on with a stop whose reason is gone: the person came, the report was withdrawn or is over."""
        if file.proposal is None:
            return
        stop = file.proposal.stop
        if stop.reason is StopReason.OVERDUE and not benefits.is_stop_due(
            self._connection, file.subject_id, file.scheme, today=self._today
        ):
            raise NotAllowed(
                f"stop {stop.stop_id}: the person has certified since; withdraw it", code="certified_since"
            )
        if benefits.report_holds(self._connection, stop.basis, today=self._today) is False:
            raise NotAllowed(
                f"stop {stop.stop_id}: the report it came of was withdrawn or is over; withdraw it", code="report_gone"
            )

    def _basis(self, file: BenefitFile, stop: StopProposed, because: RestoreReason) -> str | None:
        """Return the act or the report by which a stop is undone on one person's word; None where two must answer for it."""
        if because is RestoreReason.CERTIFIED:
            if stop.reason is not StopReason.OVERDUE:
                raise NotAllowed(
                    f"the stop came of {stop.reason.value}: certifying alone does not undo it; decide the report (`benefits i-am-here`,"
                    " `life withdraw` or `life over`), then restore because alive or loss_over",
                    code="certifying_is_not_enough",
                    reason=stop.reason.value,
                )
            act = benefits.last_act(self._connection, file.subject_id, file.scheme)
            if act is None or benefits.is_stop_due(self._connection, file.subject_id, file.scheme, today=self._today):
                raise NotAllowed(
                    "the person has not certified again, or not for every pack", code="not_certified_again"
                )
            return act[0]
        if because in (RestoreReason.ALIVE, RestoreReason.LOSS_OVER) and benefits.report_holds(
            self._connection, stop.basis, today=self._today
        ):
            raise NotAllowed(
                "the report of the loss still stands: withdraw it, or say until when it was so, first",
                code="report_stands",
            )
        return None

    def _note(self, by: str, action: str, subject_id: str, detail: Mapping[str, str | int | bool]) -> None:
        note(
            self._connection,
            self._cipher,
            actor=by,
            action=action,
            object_kind="subject",
            object_id=subject_id,
            detail=detail,
            now=self._now,
        )
