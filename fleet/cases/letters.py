"""The letter that tells a person the answer to their case in full (R6-3, R6-4), as an agency writes it: from heading to seal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from fleet.audit.log import note as note_audit
from fleet.cases import history
from fleet.cases.answers import Answer, answer_of
from fleet.cases.catalogue import LANGUAGES, texts
from fleet.cases.clocks import PackOfCase, pack_of_case
from fleet.cases.machine import State
from fleet.cases.opening import Registry
from fleet.clock import day_of
from fleet.errors import Refused
from fleet.store import subjects
from fleet.store.case_numbers import number_of
from fleet.tables.words import Words, written_day

_BLANK = "_" * 24
"""A line to write on."""


@dataclass(frozen=True, slots=True)
class Section:
    """One numbered part of a letter."""

    heading: str
    """With its number."""
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter as it stands on its page, from top to bottom."""

    agency: str
    title: str
    number: str
    greeting: str = field(repr=False)
    about: str
    sections: tuple[Section, ...]
    help: str
    seal: str
    signature: str
    day: str


def letter(
    connection: Connection,
    office: Registry,
    case_id: str,
    *,
    agency: Words | None,
    language: str,
    by: str,
    now: datetime,
) -> Letter:
    """Return the answer to the person, and write down that somebody has it.

    Args:
        connection: where to read.
        office: cipher and time zone.
        case_id: which case.
        agency: name of the agency; None leaves a line to write on.
        language: `zh` or `en`.
        by: who has it.
        now: when; the day of a letter about what is not decided.

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
    said = texts(language)
    words = said["letter"]
    answer = answer_of(case, office)
    pack = pack_of_case(connection, case.subject_id)
    name = office.cipher.decrypt(subject.name_sealed, subject_id=subject.subject_id, field_name="name")
    written = Letter(
        agency=_BLANK if agency is None else agency.told(language).text,
        title=said["letter_titles"][answer.state],
        number=words["number"].format(number=number_of(connection, case_id) or case_id),
        greeting=words["greeting"].format(name=name),
        about=words["about"].format(kind=said["kinds"][answer.kind], asked_on=written_day(answer.asked_on, words)),
        sections=_sections(answer, pack, language),
        help=words["help"].format(help_line=pack.help_line),
        seal=words["seal"],
        signature=words["signature"],
        day=written_day(answer.answered_on or day_of(now, office.zone), words),
    )
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


def as_text(written: Letter) -> str:
    """Return a letter as plain text."""
    parts = [written.agency, written.title, written.number, "", written.greeting, written.about, ""]
    for section in written.sections:
        parts += [section.heading, *section.lines, ""]
    parts += [written.help, "", written.agency, written.seal, f"{written.signature}{_BLANK}", written.day]
    return "\n".join(parts) + "\n"


def _sections(answer: Answer, pack: PackOfCase, language: str) -> tuple[Section, ...]:
    said = texts(language)
    words = said["letter"]
    parts = {"result": _result(answer, said)}
    if answer.answered_on is not None:
        title = pack.title.zh if language == "zh" else pack.title.en
        parts["ground"] = [words["ground"].format(title=title, pack=pack.pack_id, version=pack.version)]
    if answer.ways:
        ways = [said["ways"][way] for way in answer.ways]
        parts["next"] = [f"{mark}{way}" for mark, way in zip(words["way_marks"], ways, strict=False)]
    elif answer.state in (State.PASSED, State.CLOSED):
        parts["next"] = [words["nothing_next"]]
    if answer.state is State.REFUSED:
        parts["objection"] = [words["objection"]]
    marked = zip(words["marks"], parts.items(), strict=False)
    return tuple(Section(f"{mark}{said['letter_headings'][name]}", tuple(lines)) for mark, (name, lines) in marked)


def _result(answer: Answer, said: Mapping[str, Any]) -> list[str]:
    words = said["letter"]
    lines = [str(said["states"][answer.state])]
    if answer.reason is not None:
        reason = str(said["reasons"][answer.reason])
        # What is asked for is no reason of a decision.
        lines.append(reason if answer.state is State.MORE_EVIDENCE else words["reason"].format(reason=reason))
    if answer.answered_on is None and answer.state is not State.CLOSED:
        lines.append(words["waiting"].format(due_on=written_day(answer.due_on, words)))
    return lines
