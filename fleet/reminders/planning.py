"""Who is told what, when, and by which step of the ladder. Pure: days in, steps out; the outbox keeps what comes of it.

A person is told of an occasion: their period (known by its due day), the answer to an appeal (by its day). Each kind of reminder has its
ladder: a message, then a call, then a visit. A step is taken once for an occasion; the next one only when what came of the one before is
known (its proof), and, where the person was reached, some days later. Of the kinds that are about the period only the most pressing one
goes on. Nobody is told anything while a report of their death stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from protocol.rules.days import FOREVER


class Kind(StrEnum):
    """What somebody is told."""

    NO_DATA = "no_data"
    """Nothing has certified them yet (R9-2)."""
    DUE = "due"
    """Their period has begun."""
    EXPIRING = "expiring"
    """The due day is near."""
    FAILED = "failed"
    """They tried and were not certified (R6-10); there are other ways (R6-4)."""
    APPEAL_ANSWERED = "appeal_answered"
    """A person has answered their appeal (R6-2)."""
    STOP_PROPOSED = "stop_proposed"
    """They are overdue and payment may be paused."""


class Step(StrEnum):
    """How they are told, in this order (feature 83)."""

    MESSAGE = "message"
    CALL = "call"
    VISIT = "visit"


class State(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    SENT = "sent"
    """A gateway has the message, or the step stands on a list; nobody knows yet what came of it."""
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """Nobody needed it any more before it was taken."""


LADDERS: dict[Kind, tuple[Step, ...]] = {
    Kind.NO_DATA: tuple(Step),
    Kind.DUE: (Step.MESSAGE,),
    Kind.EXPIRING: (Step.MESSAGE, Step.CALL),
    Kind.FAILED: (Step.MESSAGE, Step.CALL),
    Kind.APPEAL_ANSWERED: (Step.MESSAGE, Step.CALL),
    Kind.STOP_PROPOSED: tuple(Step),
}
"""How far each kind goes. Nobody is visited before anything is at stake; nobody loses a payment without all three (feature 83)."""
PRESSING = (Kind.STOP_PROPOSED, Kind.NO_DATA, Kind.FAILED, Kind.EXPIRING, Kind.DUE)
"""Kinds about the period, the most pressing first; the others wait behind it."""
PRIORITY = {
    kind: place
    for place, kind in enumerate(
        (Kind.NO_DATA, Kind.STOP_PROPOSED, Kind.FAILED, Kind.EXPIRING, Kind.APPEAL_ANSWERED, Kind.DUE)
    )
}
"""Who comes first where not all can be told at once: people with no data before all others (R9-2, R6-10)."""
_SETTLED = (State.DELIVERED, State.FAILED)


@dataclass(frozen=True, slots=True)
class PlanRules:
    """How long before and between. Days are calendar days."""

    lead_days: int
    """A due reminder comes so long before the person is asked to come."""
    early_days: int
    """And so long before to people with no data."""
    call_after_days: int
    """From a message that arrived until the call."""
    visit_after_days: int
    """From a call that reached somebody until the visit."""
    rest_days: int
    """Least days between two messages about one period."""
    failed_days: int
    """An attempt longer ago is no occasion any more."""


@dataclass(frozen=True, slots=True)
class Told:
    """One step that was planned before."""

    kind: Kind
    occasion: date
    step: Step
    state: State
    planned_on: date
    settled_on: date | None


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of somebody who may be told something."""

    subject_id: str
    has_data: bool
    """Whether anything has ever certified them."""
    opens: date
    asked: date
    expiring: date
    due: date
    overdue: date
    stop_from: date
    failed_on: date | None = None
    """Day of their last attempt, if it did not certify."""
    noted: tuple[tuple[Kind, date], ...] = ()
    """Occasions that others noted: answers to appeals, proposals of a stop."""
    is_reported_dead: bool = False
    """Whether an ending life event stands."""
    told: tuple[Told, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """One step to take."""

    subject_id: str
    kind: Kind
    occasion: date
    step: Step
    due: date

    @property
    def priority(self) -> int:
        """Its place among others: smaller first."""
        return PRIORITY[self.kind]


def plan(people: Iterable[Person], rules: PlanRules, today: date) -> list[Planned]:
    """Return the steps to take today, in the order in which they are to be taken."""
    found = [step for person in people for step in plan_for(person, rules, today)]
    return sorted(found, key=lambda step: (step.priority, step.due, step.subject_id, step.kind))


def plan_for(person: Person, rules: PlanRules, today: date) -> list[Planned]:
    """Return the steps to take for one person: at most one about their period, and one for each answer."""
    found: list[Planned] = []
    for kind, occasion in needs(person, rules, today):
        step = _next_step(person, kind, occasion, rules, today)
        if step is not None:
            found.append(Planned(person.subject_id, kind, occasion, step, person.due))
    return found


def needs(person: Person, rules: PlanRules, today: date) -> list[tuple[Kind, date]]:
    """Return what a person is to be told of today, whether they were or not: a kind and the day of its occasion."""
    if person.is_reported_dead:
        return []
    answers: list[tuple[Kind, date]] = [
        (kind, day)
        for kind, day in person.noted
        if kind is Kind.APPEAL_ANSWERED and timedelta(0) <= today - day <= timedelta(days=rules.failed_days)
    ]
    period = next((kind for kind in PRESSING if _holds(kind, person, rules, today)), None)
    return answers if period is None else [(period, person.due), *answers]


def not_before(moment: datetime, zone: tzinfo, *, quiet_from: time, quiet_until: time) -> datetime:
    """Return the first moment from one on that is not within the quiet hours.

    Args:
        moment: any, with a zone.
        zone: where the hours are local.
        quiet_from: when they begin; the same as `quiet_until` where there are none.
        quiet_until: when they end, on the next day if it is earlier than `quiet_from`.
    """
    local = moment.astimezone(zone)
    clock = local.timetz().replace(tzinfo=None)
    if quiet_from <= quiet_until:
        is_quiet, ends_on = quiet_from <= clock < quiet_until, local.date()
    else:
        is_quiet = clock >= quiet_from or clock < quiet_until
        ends_on = local.date() + timedelta(days=int(clock >= quiet_from))
    return datetime.combine(ends_on, quiet_until, zone).astimezone(moment.tzinfo) if is_quiet else moment


def _holds(kind: Kind, person: Person, rules: PlanRules, today: date) -> bool:
    if kind is Kind.STOP_PROPOSED:
        # Who has no data goes up the ladder as such; payment is spoken of once somebody has proposed to stop it.
        is_late = person.has_data and today >= person.overdue and person.stop_from != FOREVER
        return is_late or (kind, person.due) in person.noted
    if kind is Kind.NO_DATA:
        return not person.has_data and today >= _before(person.asked, rules.early_days)
    if kind is Kind.FAILED:
        tried = person.failed_on
        return tried is not None and tried >= person.opens and today - tried <= timedelta(days=rules.failed_days)
    if kind is Kind.EXPIRING:
        return today >= person.expiring
    return today >= _before(person.asked, rules.lead_days)


def _next_step(person: Person, kind: Kind, occasion: date, rules: PlanRules, today: date) -> Step | None:
    """Return the step that is to be taken now: the first that was not, if the one before it has come to an end long enough ago."""
    before: Told | None = None
    for step in LADDERS[kind]:
        taken = _taken(person, kind, occasion, step)
        if taken is None:
            return step if _is_time(step, before, person, kind, rules, today) else None
        if taken.state not in _SETTLED:
            return None
        before = taken
    return None


def _taken(person: Person, kind: Kind, occasion: date, step: Step) -> Told | None:
    """Return the step if it was taken; a call or visit about the same period counts whatever kind it was for."""
    found = [
        told
        for told in person.told
        if told.step is step
        and told.occasion == occasion
        and told.state is not State.CANCELLED
        and (told.kind is kind or (step is not Step.MESSAGE and told.kind in PRESSING and kind in PRESSING))
    ]
    return max(found, key=lambda told: (told.kind is kind, told.state in _SETTLED), default=None)


def _is_time(step: Step, before: Told | None, person: Person, kind: Kind, rules: PlanRules, today: date) -> bool:
    if before is None:
        lately = _before(today, rules.rest_days)
        return kind not in PRESSING or not any(
            told.step is Step.MESSAGE
            and told.kind in PRESSING
            and told.state is not State.CANCELLED
            and told.planned_on > lately
            for told in person.told
        )
    if before.state is State.FAILED:
        return True
    wait = rules.call_after_days if step is Step.CALL else rules.visit_after_days
    return before.settled_on is not None and today >= before.settled_on + timedelta(days=wait)


def _before(day: date, days: int) -> date:
    return day - timedelta(days=days)
