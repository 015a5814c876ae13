"""What the person is told: the answers to their cases (R6-2, R9-4), and the letter that says them in full (R6-3, R6-4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from fleet.audit.log import note as note_audit
from fleet.cases import history
from fleet.cases.catalogue import LANGUAGES, texts
from fleet.cases.clocks import pack_of_case
from fleet.cases.machine import Case, Kind, State
from fleet.cases.opening import Registry
from fleet.clock import day_of
from fleet.errors import Refused
from fleet.store import case_events, subjects

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
        _answer(history.read(connection, row.case_id), office)
        for row in case_events.cases_of(connection, subject_id)
        if Kind(row.kind) in FOR_THE_PERSON
    ]
    return sorted(found, key=lambda answer: (answer.asked_on, answer.case_id), reverse=True)


def letter(connection: Connection, office: Registry, case_id: str, *, language: str, by: str, now: datetime) -> str:
    """Return the answer to the person as text, and write down that somebody has it.

    Raises:
        NotFound: if there is no such case.
        Refused: if the language is none of ours, or nobody known is to be written to.
    """
    if language not in LANGUAGES:
        raise Refused(f"language: one of {', '.join(LANGUAGES)} expected")
    case = history.read(connection, case_id)
    subject = None if case.subject_id is None else subjects.find_by_id(connection, case.subject_id)
    if subject is None:
        raise Refused(f"case {case_id}: nobody known here is meant, so there is nobody to write to")
    name = office.cipher.decrypt(subject.name_sealed, subject_id=subject.subject_id, field_name="name")
    written = _letter(_answer(case, office), language, name, pack_of_case(connection, case.subject_id).help_line)
    note_audit(
        connection,
        office.cipher,
        actor=by,
        action="case.letter",
        object_kind="case",
        object_id=case_id,
        detail={"language": language, "state": case.state.value},
        now=now,
    )
    return written


def _letter(answer: Answer, language: str, name: str, help_line: str) -> str:
    said = texts(language)
    words = said["letter"]
    lines = [
        words["greeting"].format(name=name),
        "",
        words["about"].format(kind=said["kinds"][answer.kind], asked_on=answer.asked_on.isoformat()),
        said["states"][answer.state],
    ]
    if answer.reason is not None:
        lines.append(said["reasons"][answer.reason])
    if answer.answered_on is None and answer.state is not State.CLOSED:
        lines.append(words["waiting"].format(due_on=answer.due_on.isoformat()))
    lines.append("")
    if answer.ways:
        lines += [words["next"], *(f"- {said['ways'][way]}" for way in answer.ways)]
    elif answer.state in (State.PASSED, State.CLOSED):
        lines.append(words["nothing_next"])
    if answer.answered_on is not None:
        lines += ["", words["answered"].format(answered_on=answer.answered_on.isoformat())]
    lines += [words["help"].format(help_line=help_line), words["number"].format(case_id=answer.case_id)]
    return "\n".join(lines) + "\n"


def _answer(case: Case, office: Registry) -> Answer:
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
