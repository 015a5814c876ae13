"""Reads what came of calls and visits back in: the proof of each step (feature 83)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from typing import Any

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.clock import day_of
from fleet.errors import ImportRefused, NotFound, Refused
from fleet.keys import FleetKeys
from fleet.reminders.composing import LANGUAGES, load_texts
from fleet.store import contacts, reminders
from fleet.store.contacts import NewContact, contact_field
from fleet.store.database import Database
from fleet.store.names import cleaned
from fleet.store.reminders import Came, Outcome
from fleet.tables.places import at_line, in_column
from fleet.tables.reading import Column, Shape, Source, TableRow, read_table, refuse
from fleet.tables.telephones import telephone_in
from fleet.tables.written_days import day_in
from protocol.errors import Problem

OUTCOMES: tuple[Came, ...] = ("reached", "not_reached", "not_possible")
_CODE = re.compile(r"^[0-9a-f]{8,32}$")


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One row that passed all checks by itself."""

    line: int
    code: str
    outcome: Came
    day: date
    worker: str = field(repr=False)
    new_phone: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Results:
    """What a file did; counts."""

    new: int
    unchanged: int
    empty: int
    """Rows without a result yet."""
    phones: int
    """New telephone numbers."""


def normal_phone(text: str) -> str:
    """Return a telephone number as digits, with a plus sign before a country's.

    Raises:
        Refused: if it is none; the message does not repeat it.
    """
    found = telephone_in(text)
    if found is None:
        raise Refused("a telephone number expected, with + before a country's", code="phone_unusable")
    return found


def read_results(path: Source, *, today: date) -> tuple[list[ResultRow], int]:
    """Read a list that was filled in; return its results and how many rows have none yet.

    Raises:
        ImportRefused: with every problem and its line; no message repeats a name or a number.
    """
    table = read_table(path, _columns())
    rows: list[ResultRow] = []
    problems = list(table.problems)
    empty = 0
    lines: dict[str, int] = {}
    for row in table.rows:
        if not row.cells["result"] and not row.faults:
            empty += 1
            continue
        found = None if row.faults else _row(row, today, problems)
        if found is None:
            continue
        if found.code in lines:
            before = at_line(lines[found.code])
            problems.append(Problem(f"same code as {before}", "same_code", other=before).within(at_line(row.line)))
        lines.setdefault(found.code, row.line)
        rows.append(found)
    if problems:
        refuse(path, problems)
    return rows, empty


def take_results(
    database: Database,
    keys: FleetKeys,
    path: Source,
    *,
    by: str,
    zone: tzinfo,
    now: datetime,
    areas: Sequence[str] | None = None,
) -> Results:
    """Store what came of calls and visits, all of the file or nothing; again without harm.

    Args:
        database: where.
        keys: the fleet's.
        path: CSV or XLSX, a list that was filled in.
        by: who brings it.
        zone: where a day ends.
        now: when.
        areas: only steps for people of these areas are known; None for all.

    Raises:
        ImportRefused: with every problem and its line.
        Refused: if nothing is left of the name of whoever brings it.
    """
    rows, empty = read_results(path, today=day_of(now, zone))
    counts = {"new": 0, "unchanged": 0, "phones": 0}
    with database.begin() as connection:
        steps = reminders.by_codes(connection, {row.code for row in rows}, areas)
        problems: list[Problem] = []
        for row in rows:
            step = _step_of(row, steps.get(row.code, []), zone, problems)
            if step is None:
                continue
            if step.outcome is not None:
                counts["unchanged"] += 1
                continue
            _store(connection, keys, row, step, now=now)
            counts["new"] += 1
            counts["phones"] += bool(row.new_phone)
        if problems:
            raise ImportRefused([problem.at(path) for problem in problems])
        note(
            connection,
            keys.cipher,
            actor=by,
            action="reminders.results",
            object_kind="reminders",
            object_id=str(day_of(now, zone)),
            detail=dict(counts),
            now=now,
        )
    return Results(counts["new"], counts["unchanged"], empty, counts["phones"])


def take_result(
    connection: Connection,
    keys: FleetKeys,
    subject_id: str,
    reminder_id: str,
    outcome: Came,
    *,
    day: date,
    worker: str,
    by: str,
    zone: tzinfo,
    now: datetime,
) -> None:
    """Store what came of one call or visit, as somebody at the agency writes it down.

    Args:
        connection: a transaction.
        keys: the fleet's.
        subject_id: whom it was to reach.
        reminder_id: which step.
        outcome: what came of it.
        day: when it was done.
        worker: who did it, which is kept encrypted as its proof.
        by: who writes it down.
        zone: where a day ends.
        now: when.

    Raises:
        NotFound: if no such step of this person waits for a result.
        Refused: if the day cannot be, or the name cannot be taken.
    """
    step = next(iter(reminders.by_codes(connection, [reminder_id]).get(reminder_id, [])), None)
    if step is None or step.subject_id != subject_id or step.state not in ("pending", "sent"):
        raise NotFound("step: none of this id waits for a result", code="no_step")
    if not day_of(step.planned_at, zone) <= day <= day_of(now, zone):
        raise Refused(
            "day: not before the step was asked for, and not after today",
            code="step_day_unusable",
            day=day_of(step.planned_at, zone),
        )
    row = ResultRow(0, reminder_id, outcome, day, cleaned(worker), "")
    _store(connection, keys, row, step, code="console", now=now)
    note(
        connection,
        keys.cipher,
        actor=by,
        action="reminders.result",
        object_kind="subject",
        object_id=subject_id,
        detail={"reminder": reminder_id, "outcome": outcome, "day": day.isoformat()},
        now=now,
    )


def _store(
    connection: Connection, keys: FleetKeys, row: ResultRow, step: Any, *, now: datetime, code: str = "list"
) -> None:
    sealed = keys.cipher.encrypt(row.worker, subject_id=step.reminder_id, field_name="reminder_worker")
    found = Outcome(row.outcome, code, row.day, sealed)
    reminders.settle(connection, step.reminder_id, found, now=now)
    if row.new_phone:
        address = keys.cipher.encrypt(row.new_phone, subject_id=step.subject_id, field_name=contact_field("sms"))
        new = NewContact(step.subject_id, "sms", address, None)
        contacts.save_contacts(connection, [new], source="list", now=now)


def _step_of(row: ResultRow, found: list[Any], zone: tzinfo, problems: list[Problem]) -> Any | None:
    where = at_line(row.line), in_column("code")
    if not found:
        unknown = Problem("no call or visit has it; take the code from the list", "step_unknown")
        problems.append(unknown.within(*where))
        return None
    if len(found) > 1:
        several = Problem("more than one begins with it; write more of its characters", "two_steps")
        problems.append(several.within(*where))
        return None
    step = found[0]
    if step.outcome is not None and (step.outcome, step.proof_day) != (row.outcome, row.day):
        other = Problem("has another result or day already, which is not changed", "other_result")
        problems.append(other.within(*where))
        return None
    if row.day < day_of(step.planned_at, zone):
        asked = day_of(step.planned_at, zone)
        early = Problem(f"before the step was asked for, {asked}", "before_asked", day=asked)
        problems.append(early.within(at_line(row.line), in_column("day")))
        return None
    return step


def _row(row: TableRow, today: date, problems: list[Problem]) -> ResultRow | None:
    wrong: list[Problem] = []
    code = row.cells["code"].lower()
    if not _CODE.match(code):
        expected = Problem("the first 8 or more characters of the code on the list expected", "step_code_form")
        wrong.append(expected.within(in_column("code")))
    outcome = _words().get(row.cells["result"].lower())
    if outcome is None:
        words = ", ".join(_words())
        expected = Problem(f"one of {words} expected", "one_expected", expected=list(_words()))
        wrong.append(expected.within(in_column("result")))
    day = day_in(row.cells["day"])
    if day is None or day > today:
        expected = Problem(f"a date like 2026-11-20 expected, not after {today}", "date_until", last=today)
        wrong.append(expected.within(in_column("day")))
    worker, phone = "", ""
    try:
        worker = cleaned(row.cells["worker"])
    except Refused:
        nameless = Problem("the name of whoever did it expected", "worker_expected")
        wrong.append(nameless.within(in_column("worker")))
    if written := row.cells.get("new_phone"):
        try:
            phone = normal_phone(written)
        except Refused as error:
            wrong.append(error.problem.within(in_column("new_phone")))
    problems += [problem.within(at_line(row.line)) for problem in wrong]
    if wrong or day is None or outcome is None:
        return None
    return ResultRow(row.line, code, outcome, day, worker, phone)


def _columns() -> Mapping[str, Column]:
    """Return the columns with their headings in every language."""
    shapes = {
        "code": Shape.WORDS,
        "result": Shape.WORDS,
        "worker": Shape.WORDS,
        "day": Shape.DATE,
        "new_phone": Shape.NUMBER,
    }
    return {
        name: Column(
            tuple(load_texts(language)["list"][name] for language in LANGUAGES), shape, is_required=name != "new_phone"
        )
        for name, shape in shapes.items()
    }


def _words() -> dict[str, Came]:
    """Return what may be written for each outcome, in every language: our own words, those of the list, and what people write instead."""
    found: dict[str, Came] = {name: name for name in OUTCOMES}
    for texts in map(load_texts, LANGUAGES):
        for name in OUTCOMES:
            said = (texts["list"][name], *texts["results"][name])
            found.update({word.lower(): name for word in said})
    return found
