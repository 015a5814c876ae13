"""What the person is told: the answers to their cases (R6-2, R9-4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from fleet.cases import history
from fleet.cases.machine import Case, Kind, State
from fleet.cases.opening import Registry
from fleet.clock import day_of
from fleet.store import case_events

FOR_THE_PERSON = frozenset(Kind) - {Kind.DUPLICATE, Kind.ATTACK_ALARM, Kind.RECOVERY}
"""Kinds that are answered to the person on asking; in the others the agency asks, and writes when it knows."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One case as the person may know it."""

    case_id: str
    kind: Kind
    state: State
    asked_on: date
    due_on: date
    """By when there is an answer."""
    answered_on: date | None
    reason: str | None
    """A code of the catalogue; None while nothing was decided or asked."""
    ways: tuple[str, ...]
    """Codes of what is open to the person now."""


def answers_for(connection: Connection, office: Registry, subject_id: str) -> list[Answer]:
    """Return what somebody may know of their cases, the latest first (R6-2, R9-4).

    Which reviewers said what is not told, nor that they did not agree.
    """
    found = [
        answer_of(history.read(connection, row.case_id), office)
        for row in case_events.cases_of(connection, subject_id)
        if Kind(row.kind) in FOR_THE_PERSON
    ]
    return sorted(found, key=lambda answer: (answer.asked_on, answer.case_id), reverse=True)


def answer_of(case: Case, office: Registry) -> Answer:
    """Return a case as the person may know it."""
    # That two reviewers did not agree is nobody's business but the agency's.
    state: State = State.IN_REVIEW if case.state is State.DISAGREED else case.state
    if case.state is State.CLOSED and case.decided_at is not None:
        state = State(case.given[-1].verdict)
    is_told = state in (State.PASSED, State.REFUSED, State.MORE_EVIDENCE, State.CLOSED)
    return Answer(
        case_id=case.case_id,
        kind=case.kind,
        state=state,
        asked_on=day_of(case.first.asked_at, office.zone),
        due_on=case.first.due_on,
        answered_on=None if case.decided_at is None else day_of(case.decided_at, office.zone),
        reason=case.reason if is_told else None,
        ways=case.ways if is_told else (),
    )
