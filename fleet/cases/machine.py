"""One case as a machine: events in, the case out. Pure; knows neither names nor the database.

    opened -> evidence_complete -> in_review -> passed | refused -> closed
                     ^                 |
                     |             disagreed -> passed | refused
                     |                 |
                     +-- more_evidence <

`opened` waits for evidence; what bounds every state is the day on which the answer is due. A review is a round: each reviewer takes
the case up, then says one verdict. Two who agree decide; one for and one against wait for a third. Asking for more ends the round, and so
does another record that joins, because what was said was said of other evidence. Who took a case in never reviews it. Persons are opaque
strings; the fleet itself is `FLEET`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from fleet.errors import Refused

DROPPED = "dropped"
"""Fact of a dropped word: whose it was, where the fleet itself drops it."""
ENDS_ROUND = "ends_round"
"""Fact of a record that joins: a review under way begins anew. What joined before that was a rule went on in the same round."""
FLEET = ""
"""Stands for a person in what happens by itself."""
REVIEWERS = 2
"""So many different persons must agree (R6-2: a manual check; the project's rule is two persons for what certifies or refuses)."""


class NotAllowed(Refused):
    """A step that a case cannot take in its state, or that this person may not take; the case is unchanged."""


class Kind(StrEnum):
    """What is asked. Source: domain rules R1-18, R4-8, R4-14, R4-19, R6-1, R6-5, R7-14, R7-15."""

    APPEAL = "appeal"
    """A session that ended for a person to decide (R6-1)."""
    SPECIAL = "special"
    REMOTE_FORM = "remote_form"
    HOME_VISIT = "home_visit"
    PROXY = "proxy"
    EXCEPTION = "exception"
    PHOTO_ENROLMENT = "photo_enrolment"
    DUPLICATE = "duplicate"
    ATTACK_ALARM = "attack_alarm"
    WRONG_DATA = "wrong_data"
    RECOVERY = "recovery"


class State(StrEnum):
    """Where a case stands. Source: domain.md part 11."""

    OPENED = "opened"
    EVIDENCE_COMPLETE = "evidence_complete"
    IN_REVIEW = "in_review"
    DISAGREED = "disagreed"
    """One reviewer for, one against; a third decides."""
    MORE_EVIDENCE = "more_evidence"
    PASSED = "passed"
    REFUSED = "refused"
    CLOSED = "closed"


DECIDED = frozenset({State.PASSED, State.REFUSED})
UNDER_REVIEW = frozenset({State.IN_REVIEW, State.DISAGREED})
OVER = DECIDED | {State.CLOSED}


class Verdict(StrEnum):
    """What one reviewer says."""

    PASSED = "passed"
    REFUSED = "refused"
    MORE_EVIDENCE = "more_evidence"


class Step(StrEnum):
    """What can happen to a case."""

    OPENED = "opened"
    JOINED = "joined"
    """Another record of the same matter came."""
    IDENTIFIED = "identified"
    """The person became known after the case was opened."""
    EVIDENCE_ADDED = "evidence_added"
    TAKEN_UP = "taken_up"
    """A reviewer looks at the case."""
    VERDICT = "verdict"
    WORD_DROPPED = "word_dropped"
    """A reviewer takes their verdict back, or it counts no more: they are out of service, or lost the role."""
    PLANNED = "planned"
    """A day and a worker for a home visit."""
    NOT_MET = "not_met"
    """Somebody went, and met nobody: another day is to be found."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Source:
    """What a case is about, from one record or one form."""

    asked_at: datetime
    """When the person was there, or the form was signed."""
    due_on: date
    """The last day of the review clock."""
    record_id: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One step; which fields have a value follows from the step."""

    step: Step
    at: datetime
    by: str = FLEET
    kind: Kind | None = None
    subject_id: str | None = None
    source: Source | None = None
    taken_in_by: tuple[str, ...] = ()
    """Who may not review, beside `by`."""
    needs: tuple[str, ...] = ()
    """Roles of evidence without which there is nothing to review."""
    role: str | None = None
    sampled_at: datetime | None = None
    """When the person was seen or photographed."""
    verdict: Verdict | None = None
    reason: str | None = None
    ways: tuple[str, ...] = ()
    """Other ways that are open to the person (R6-3, R6-4)."""
    day: date | None = None
    worker: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    """What else is known: codes, ids and days; no name, no number."""


@dataclass(frozen=True, slots=True)
class Given:
    """One reviewer's verdict."""

    by: str
    verdict: Verdict
    reason: str
    """One of the closed list: the file of a case keeps one reason, on which the answer rests and which its letter says; what else speaks
    for the verdict stands in the note."""
    ways: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """A case after some events."""

    case_id: str
    kind: Kind
    state: State
    opened_at: datetime
    sources: tuple[Source, ...]
    subject_id: str | None
    taken_in_by: frozenset[str]
    needs: frozenset[str]
    facts: Mapping[str, str]
    roles: frozenset[str] = frozenset()
    sampled_at: datetime | None = None
    round_number: int = 1
    reviewing: frozenset[str] = frozenset()
    given: tuple[Given, ...] = ()
    """Verdicts of this round."""
    decided_at: datetime | None = None
    reason: str | None = None
    ways: tuple[str, ...] = ()
    planned_on: date | None = None
    planned_for: str | None = None
    closed_at: datetime | None = None

    @property
    def first(self) -> Source:
        """Its earliest source, whichever arrived first."""
        return min(self.sources, key=lambda source: (source.asked_at, source.record_id or ""))

    @property
    def sample_at(self) -> datetime:
        """The moment for which it can certify: that of the sample, never that of the decision."""
        return self.sampled_at or self.first.asked_at

    @property
    def over_at(self) -> datetime | None:
        """Since when nobody needs its evidence any more but to answer for the decision."""
        return self.decided_at if self.state in DECIDED else self.closed_at

    @property
    def lacking(self) -> frozenset[str]:
        """Roles of evidence that are still asked for."""
        return self.needs - self.roles


def open_from(case_id: str, event: Event) -> Case:
    """Return the case that an opening event makes.

    Raises:
        NotAllowed: if it is none, or lacks what a case begins with.
    """
    if event.step is not Step.OPENED or event.kind is None or event.source is None:
        raise NotAllowed(f"case {case_id}: begins with {event.step}, an opening with kind and source expected")
    needs = frozenset(event.needs)
    return Case(
        case_id=case_id,
        kind=event.kind,
        state=State.OPENED if needs else State.EVIDENCE_COMPLETE,
        opened_at=event.at,
        sources=(event.source,),
        subject_id=event.subject_id,
        taken_in_by=frozenset({event.by, *event.taken_in_by}) - {FLEET},
        needs=needs,
        facts=dict(event.facts),
        sampled_at=event.sampled_at,
    )


def advance(case: Case, event: Event) -> Case:
    """Return the case after one more event.

    Raises:
        NotAllowed: if the case cannot take the step, or this person may not.
    """
    step = _STEPS.get(event.step)
    if step is None:
        raise NotAllowed(f"case {case.case_id}: is open already")
    return step(case, event)


def replay(case_id: str, events: Iterable[Event]) -> Case:
    """Return the case that all its events make, in order.

    Raises:
        NotAllowed: if they are no history of a case.
    """
    rest = iter(events)
    first = next(rest, None)
    if first is None:
        raise NotAllowed(f"case {case_id}: has no events")
    case = open_from(case_id, first)
    for event in rest:
        case = advance(case, event)
    return case


def evidence_until(case: Case, kept: timedelta) -> datetime | None:
    """Return when its evidence is deleted; None while it is needed."""
    return None if case.over_at is None else case.over_at + kept


def demand_other(case: Case, by: str) -> None:
    """See that somebody who is to review a case is a person other than those who took it in.

    Raises:
        NotAllowed: if not.
    """
    if by == FLEET:
        raise NotAllowed(f"case {case.case_id}: only a person reviews")
    if by in case.taken_in_by:
        raise NotAllowed(f"case {case.case_id}: who took it in may not review it", code="took_in")


def demand_closable(case: Case, by: str) -> bool:
    """See that a person may close a case now; return whether their word alone is enough: it was decided, by two.

    One that was not decided takes the words of two, or one reviewer ends what two would have to refuse. The fleet itself asks nobody: it
    closes what came about by itself. Histories of before this rule stand as they are, so it is asked where somebody closes.

    Raises:
        NotAllowed: if this person took it in, or it is closed.
    """
    if case.state is State.CLOSED:
        raise NotAllowed(f"case {case.case_id}: is closed already", code="over")
    demand_other(case, by)
    return case.state in DECIDED


def _joined(case: Case, event: Event) -> Case:
    if event.source is None or event.source.record_id in {source.record_id for source in case.sources}:
        raise NotAllowed(f"case {case.case_id}: this record belongs to it already")
    if case.state in UNDER_REVIEW and ENDS_ROUND in event.facts:
        # What was said was said of other evidence; as where more was asked for, everybody looks again.
        return replace(
            case,
            sources=(*case.sources, event.source),
            taken_in_by=case.taken_in_by | (set(event.taken_in_by) - {FLEET}),
            state=State.EVIDENCE_COMPLETE,
            round_number=case.round_number + 1,
            reviewing=frozenset(),
            given=(),
        )
    # Who took the later record in is no reviewer either, and what they said so far does not count.
    taken = case.taken_in_by | (set(event.taken_in_by) - {FLEET})
    found = replace(case, sources=(*case.sources, event.source), taken_in_by=taken)
    if case.state not in UNDER_REVIEW:
        return found
    given = tuple(each for each in case.given if each.by not in taken)
    return replace(found, given=given, state=State.DISAGREED if len(given) > 1 else State.IN_REVIEW)


def _identified(case: Case, event: Event) -> Case:
    if case.subject_id is not None:
        raise NotAllowed(f"case {case.case_id}: it is known already whom it is about")
    # The event of somebody who was erased does not say any more who it was.
    return replace(case, subject_id=event.subject_id)


def _evidence_added(case: Case, event: Event) -> Case:
    if case.state in OVER:
        raise NotAllowed(
            f"case {case.case_id}: is {case.state}; nothing more is taken in. Open a new case", code="over"
        )
    if case.state in UNDER_REVIEW:
        raise NotAllowed(
            f"case {case.case_id}: is in review; a reviewer asks for more evidence first (decide)", code="under_review"
        )
    if event.role is None:
        raise NotAllowed(f"case {case.case_id}: evidence without a role")
    taken = case.taken_in_by | ({event.by} - {FLEET})
    found = replace(
        case, roles=case.roles | {event.role}, taken_in_by=taken, sampled_at=event.sampled_at or case.sampled_at
    )
    return found if found.lacking else replace(found, state=State.EVIDENCE_COMPLETE)


def _taken_up(case: Case, event: Event) -> Case:
    demand_other(case, event.by)
    if case.state is State.OPENED:
        raise NotAllowed(
            f"case {case.case_id}: evidence is lacking: {', '.join(sorted(case.lacking))}",
            code="lacking",
            roles=sorted(case.lacking),
        )
    if case.state is State.MORE_EVIDENCE:
        raise NotAllowed(f"case {case.case_id}: waits for the evidence that was asked for", code="waits_for_evidence")
    if case.state in OVER:
        raise NotAllowed(f"case {case.case_id}: is {case.state}; a review is over", code="over")
    state = State.IN_REVIEW if case.state is State.EVIDENCE_COMPLETE else case.state
    return replace(case, state=state, reviewing=case.reviewing | {event.by})


def _verdict(case: Case, event: Event) -> Case:
    demand_other(case, event.by)
    if case.state not in UNDER_REVIEW:
        raise NotAllowed(
            f"case {case.case_id}: is {case.state}, not in review; take it up first (review)",
            code="over" if case.state in OVER else "not_in_review",
        )
    if event.by not in case.reviewing:
        raise NotAllowed(
            f"case {case.case_id}: this person has not looked at it; take it up first (review)", code="not_taken_up"
        )
    if event.verdict is None or not event.reason:
        raise NotAllowed(f"case {case.case_id}: a verdict and a reason are needed", code="no_reason")
    if any(each.by == event.by for each in case.given):
        raise NotAllowed(
            f"case {case.case_id}: this person has decided already; another one is needed", code="said_already"
        )
    given = (*case.given, Given(event.by, event.verdict, event.reason, event.ways))
    if event.verdict is Verdict.MORE_EVIDENCE:
        return replace(
            case,
            state=State.MORE_EVIDENCE,
            round_number=case.round_number + 1,
            reviewing=frozenset(),
            given=(),
            reason=event.reason,
            ways=event.ways,
        )
    if len({each.by for each in given if each.verdict is event.verdict}) >= REVIEWERS:
        return replace(
            case, state=State(event.verdict), given=given, decided_at=event.at, reason=event.reason, ways=event.ways
        )
    return replace(case, state=State.DISAGREED if len(given) > 1 else State.IN_REVIEW, given=given)


def _word_dropped(case: Case, event: Event) -> Case:
    if case.state not in UNDER_REVIEW:
        raise NotAllowed(
            f"case {case.case_id}: is {case.state}; no word can be taken back",
            code="over" if case.state in OVER else "no_word",
        )
    of = event.facts.get(DROPPED, event.by)
    given = tuple(each for each in case.given if each.by != of)
    if len(given) == len(case.given):
        raise NotAllowed(f"case {case.case_id}: no word of this person waits for another one", code="no_word")
    return replace(case, given=given, state=State.DISAGREED if len(given) > 1 else State.IN_REVIEW)


def _planned(case: Case, event: Event) -> Case:
    if case.kind is not Kind.HOME_VISIT or case.state in OVER:
        raise NotAllowed(f"case {case.case_id}: no home visit to plan", code="no_visit")
    if event.day is None or not event.worker:
        raise NotAllowed(
            f"case {case.case_id}: a visit is planned for a day and a worker or terminal", code="plan_incomplete"
        )
    return replace(case, planned_on=event.day, planned_for=event.worker)


def _not_met(case: Case, event: Event) -> Case:
    if case.kind is not Kind.HOME_VISIT or case.state in OVER:
        raise NotAllowed(f"case {case.case_id}: no home visit to make", code="no_visit")
    if case.planned_on is None or case.planned_on != event.day:
        raise NotAllowed(f"case {case.case_id}: no visit is planned for that day", code="not_planned")
    return replace(case, planned_on=None, planned_for=None)


def _closed(case: Case, event: Event) -> Case:
    if case.state is State.CLOSED:
        raise NotAllowed(f"case {case.case_id}: is closed already", code="over")
    return replace(
        case,
        state=State.CLOSED,
        closed_at=event.at,
        reason=case.reason if case.decided_at else event.reason,
    )


_STEPS: dict[Step, Callable[[Case, Event], Case]] = {
    Step.JOINED: _joined,
    Step.IDENTIFIED: _identified,
    Step.EVIDENCE_ADDED: _evidence_added,
    Step.TAKEN_UP: _taken_up,
    Step.VERDICT: _verdict,
    Step.WORD_DROPPED: _word_dropped,
    Step.PLANNED: _planned,
    Step.NOT_MET: _not_met,
    Step.CLOSED: _closed,
}
