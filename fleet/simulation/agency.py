"""The agency's work on one person, day by day: what arrives, what is proposed, who is visited, what is paid.

It decides by the fleet's own rules (`protocol.rules`, `fleet.benefits`) and knows only what has arrived. What it adds is what machines do
not do: people who write, call and visit, two who approve, and a payment run on the first of every month.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from fleet.benefits.events import (
    LADDER,
    Approved,
    CarriedOut,
    DataCompared,
    Event,
    Frozen,
    LadderStep,
    RecoveryOpened,
    RecoveryReason,
    Restored,
    RestoreReason,
    StepOutcome,
    StepTaken,
    StopEffect,
    StopProposed,
    StopReason,
    Unfrozen,
    Withdrawn,
)
from fleet.benefits.machine import BenefitFile, Standing, advance
from fleet.benefits.months import arrears, losses, month_of_stop, overpaid_months
from fleet.simulation.world import Person
from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.days import first_of_month
from protocol.rules.life import ENDING, LifeEvent, LifeEventKind, first_unpaid_month
from protocol.rules.obligations import Obligation, obligation

_STEP_AFTER = {LadderStep.MESSAGE: 3, LadderStep.CALL: 10, LadderStep.VISIT: 21}
"""Days after the proposal."""
_APPROVED_AFTER = 25
_CASE_DAYS = 10
"""How long an "I am here" case takes."""
_OF_LOSS = {
    LifeEventKind.DEATH: StopReason.DEATH,
    LifeEventKind.SENTENCE: StopReason.SENTENCE,
    LifeEventKind.MISSING: StopReason.MISSING,
}


@dataclass(slots=True)
class Books:
    """What is kept about one person in one run: known facts, events, and what was really paid."""

    acts: dict[str, Act] = field(default_factory=dict)
    arrivals: int = 0
    """Records that arrived, those that came twice with them."""
    reports: dict[str, LifeEvent] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    paid: list[date] = field(default_factory=list)
    """Months that were paid when they were due."""
    paid_back: list[date] = field(default_factory=list)
    appeals: int = 0
    longest_appeal_days: int = 0


class Agency:
    """Works on one person."""

    def __init__(self, person: Person, draw: Random, begin: date, end: date) -> None:
        self.books = Books()
        self.file = BenefitFile(str(person.number), "benefit")
        self.obligation = obligation(person.pack_on(begin), person.entitled(), ())
        self._person = person
        self._draw = draw
        self._begin = begin
        self._end = end
        self._agenda: list[tuple[date, int, Callable[[date], None]]] = []
        self._order = 0
        self._stops = 0

    def at(self, day: date, what: Callable[[date], None]) -> None:
        """Put something on the agenda; what lies after the end of the run is never reached."""
        if day < self._end:
            self._order += 1
            heapq.heappush(self._agenda, (max(day, self._begin), self._order, what))

    def run(self) -> None:
        """Work off the agenda, with a payment run on the first of each month before anything else of that day."""
        month = first_of_month(max(self._begin, self._person.started))
        self._look_again(self._begin)
        while self._agenda:
            day, _, what = heapq.heappop(self._agenda)
            while month <= day:
                self._pay(month)
                month = first_of_month(month, 1)
            what(day)
        while month < self._end:
            self._pay(month)
            month = first_of_month(month, 1)

    def arrives(self, act: Act) -> Callable[[date], None]:
        """Return the arrival of an act; the same one may arrive again."""

        def take(day: date) -> None:
            self.books.arrivals += 1
            if act.act_id in self.books.acts:
                return
            self.books.acts[act.act_id] = act
            self._i_am_here(act, day)
            self._look_again(day)

        return take

    def reported(self, report_id: str, event: LifeEvent) -> Callable[[date], None]:
        """Return the arrival of a report; a later one under the same id says when it ended."""

        def take(day: date) -> None:
            self.books.reports[report_id] = event
            if event.until is None:
                self._propose(
                    _OF_LOSS[event.kind],
                    StopEffect.END if event.kind in ENDING else StopEffect.PAUSE,
                    first_unpaid_month(event.since),
                    report_id,
                    day,
                )
            else:
                self._loss_is_over(report_id, day)
                self._settle()

        return take

    def moved(self, day: date) -> None:
        """Take over the rules of the region to which the person moved."""
        self._look_again(day)

    def _look_again(self, day: date) -> None:
        """Work out what is asked, act on it, and come back when a stop could be proposed."""
        self.obligation = obligation(self._person.pack_on(day), self._person.entitled(), self.books.acts.values())
        found = self.obligation
        if found.stop_from > day:
            proposal = self.file.proposal
            if proposal is not None and proposal.stop.reason is StopReason.OVERDUE:
                self._do(Withdrawn(proposal.stop.stop_id, "certified", day))
            stopped = self.file.stopped_by
            if stopped is not None and stopped.reason is StopReason.OVERDUE and self.file.proposal is None:
                self._restore(RestoreReason.CERTIFIED, found.last.act_id if found.last else "listed", day)
            self.at(found.stop_from, self._check(found))
        else:
            self._check(found)(day)

    def _check(self, found: Obligation) -> Callable[[date], None]:
        def check(day: date) -> None:
            if self.obligation is not found and self.obligation.stop_from > day:
                return
            pack = self._person.pack_on(day)
            basis = f"{found.pack_id}/{found.pack_version}/{found.stop_from}"
            self._propose(StopReason.OVERDUE, StopEffect(pack.stop.effect), month_of_stop(found.stop_from), basis, day)

        return check

    def _propose(self, reason: StopReason, effect: StopEffect, month: date, basis: str, day: date) -> None:
        file = self.file
        if file.frozen_by or file.standing is Standing.ENDED:
            return
        if file.proposal is not None:
            if effect is StopEffect.PAUSE or file.proposal.stop.effect is StopEffect.END:
                return
            self._do(Withdrawn(file.proposal.stop.stop_id, "a loss was reported", day))
        if file.standing is Standing.PAUSED and effect is StopEffect.PAUSE:
            return
        self._stops += 1
        stop_id = f"stop-{self._stops}"
        needs_comparison = reason is StopReason.OVERDUE and self._person.pack_on(day).stop.after == "data_comparison"
        self._do(StopProposed(stop_id, reason, effect, month, day, basis, day, needs_comparison))
        if needs_comparison:
            self.at(day + timedelta(days=2), lambda then: self._compare(stop_id, then))
        for step in LADDER:
            self.at(day + timedelta(days=_STEP_AFTER[step]), self._step(stop_id, step))
        self.at(day + timedelta(days=_APPROVED_AFTER), lambda then: self._decide(stop_id, then))

    def _compare(self, stop_id: str, day: date) -> None:
        if self._is_open(stop_id):
            self._do(DataCompared(stop_id, is_sign_found=False, proof="comparison", day=day))

    def _step(self, stop_id: str, step: LadderStep) -> Callable[[date], None]:
        def take(day: date) -> None:
            if not self._is_open(stop_id):
                return
            person = self._person
            is_found = person.can_come(day) and self._draw.random() < person.habits.opens_the_door
            outcome = StepOutcome.REACHED if is_found else StepOutcome.NOT_REACHED
            self._do(StepTaken(stop_id, step, outcome, f"proof-{stop_id}-{step}", day))
            if step is LadderStep.VISIT and is_found:
                # Whoever is found at home is certified there.
                act = Act(f"visit-{stop_id}", day, ActKind.LIVE, Channel.HOME_VISIT)
                self.arrives(act)(day)

        return take

    def _decide(self, stop_id: str, day: date) -> None:
        if not self._is_open(stop_id) or self.file.frozen_by:
            return
        for name in ("first", "second"):
            self._do(Approved(stop_id, name, day))
        proposal = self.file.proposal
        if proposal is None:
            return
        month = max(proposal.stop.from_month, first_of_month(day, 1))
        self._do(CarriedOut(stop_id, month, day))
        lost = losses(self.books.reports.values())
        over = overpaid_months(max(self._begin, self._person.started), month, self.file.unpaid, lost)
        if over:
            self._do(RecoveryOpened(f"recovery-{stop_id}", RecoveryReason.OVERPAID, len(over), day))

    def _i_am_here(self, act: Act, day: date) -> None:
        """Hold every stop up if somebody certified live after the day on which they are said to be dead or missing."""
        if act.kind is not ActKind.LIVE:
            return
        against = [
            name
            for name, event in self.books.reports.items()
            if event.kind in (LifeEventKind.DEATH, LifeEventKind.MISSING)
            and event.until is None
            and event.since <= act.day
        ]
        if against and not self.file.frozen_by:
            case_id = f"i-am-here-{act.act_id}"
            self._do(Frozen(case_id, against[0], day))
            self.at(day + timedelta(days=_CASE_DAYS), lambda then: self._resolve(case_id, against, then))

    def _resolve(self, case_id: str, against: list[str], day: date) -> None:
        self._do(Unfrozen(case_id, day))
        for name in against:
            self.books.reports.pop(name, None)
        self._settle()
        proposal = self.file.proposal
        if proposal is not None and proposal.stop.basis in against:
            self._do(Withdrawn(proposal.stop.stop_id, "alive", day))
        if self.file.stopped_by is not None and self.file.stopped_by.basis in against and self.file.proposal is None:
            self._restore(RestoreReason.ALIVE, case_id, day)
        self._look_again(day)

    def _loss_is_over(self, report_id: str, day: date) -> None:
        proposal = self.file.proposal
        if proposal is not None and proposal.stop.basis == report_id:
            self._do(Withdrawn(proposal.stop.stop_id, "the loss is over", day))
        if self.file.stopped_by is not None and self.file.stopped_by.basis == report_id and self.file.proposal is None:
            self._restore(RestoreReason.LOSS_OVER, report_id, day)
        self._look_again(day)

    def _restore(self, because: RestoreReason, basis: str, day: date) -> None:
        month = first_of_month(day, 1)
        stopped_from = self.file.stopped_from
        if stopped_from is None or self.file.frozen_by:
            return
        self._do(Restored(because, basis, max(month, stopped_from), day))
        self._settle()
        self._losses_again(day)

    def _settle(self) -> None:
        """Pay back what stops withheld that are over, as far as it is known now; what is learnt later is settled then."""
        known = losses(self.books.reports.values())
        due = [month for span in self.file.stops if span.until for month in arrears((span,), span.until, known)]
        paid = {*self.books.paid, *self.books.paid_back}
        self.books.paid_back += [month for month in due if month not in paid]

    def _losses_again(self, day: date) -> None:
        """Propose a stop for a loss that still stands: somebody was restored for another reason."""
        for report_id, event in self.books.reports.items():
            if event.until is None:
                self.reported(report_id, event)(day)

    def _is_open(self, stop_id: str) -> bool:
        return self.file.proposal is not None and self.file.proposal.stop.stop_id == stop_id

    def _do(self, event: Event) -> None:
        self.file = advance(self.file, event)
        self.books.events.append(event)

    def _pay(self, month: date) -> None:
        if not any(span.has(month) for span in self.file.unpaid):
            self.books.paid.append(month)
