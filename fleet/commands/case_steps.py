"""`lifecert-fleet cases`: the steps of a case, from what is handed in to the answer."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal

from fleet.app import Fleet, picture_rules
from fleet.cases import deciding, desk, history
from fleet.cases import files as case_files
from fleet.cases.alarms import alarms_of
from fleet.cases.answers import answers_for
from fleet.cases.deciding import Said
from fleet.cases.desk import Request
from fleet.cases.files import FaceProgram, Role
from fleet.cases.letters import as_text, letter
from fleet.cases.machine import OVER, Case, Kind, Verdict
from fleet.cases.opening import Registry, open_missing
from fleet.cases.views import look_at
from fleet.commands.case_look import print_look
from fleet.commands.shared import CONFIG, SUBJECT_HELP, AsJson, Config, named, opened, print_json, say, table
from fleet.references.enrol import find_subject
from fleet.store.case_numbers import number_of, numbers_of

CaseId = Annotated[str, typer.Argument(metavar="CASE_ID", help="Id of the case.")]
By = Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")]
Person = Annotated[str, typer.Option("--person", help=SUBJECT_HELP)]
Day = Annotated[
    datetime | None,
    typer.Option("--on", formats=["%Y-%m-%d"], help="Day of the newspaper, the signature or the visit."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `cases`."""
    for name, command in (
        ("open", open_case),
        ("add", add_file),
        ("review", review),
        ("decide", decide),
        ("letter", write_letter),
        ("answers", answers),
        ("alarms", alarms),
        ("rebuild", rebuild),
    ):
        app.command(name)(command)


def open_case(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help=", ".join(desk.AT_THE_DESK))],
    person: Person,
    reason: Annotated[str, typer.Option("--reason", help="Why, a code; for wrong_data which field.")],
    by: By,
    on: Day = None,
    body: Annotated[str | None, typer.Option("--body", help="With remote_form: who helped.")] = None,
    note: Annotated[
        str | None, typer.Option("--note", help="Free text, kept encrypted; for a telephone number the number.")
    ] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Open the case of a request that came to the agency; add what was handed in with `cases add`."""
    with opened(config) as fleet:
        office = _office(fleet)
        with fleet.database.begin() as connection:
            subject_id = find_subject(connection, named(person), fleet.keys)
            asked = Request(kind, subject_id, reason, body, None if on is None else on.date(), note)
            case_id = desk.open_request(connection, office, asked, by=by, now=fleet.clock())
            case = history.read(connection, case_id)
        _tell(fleet, case, as_json=as_json)


def add_file(
    case_id: CaseId,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JPG, or PDF for a document.")],
    role: Annotated[Role, typer.Option("--role", help="What it shows.")],
    by: By,
    on: Day = None,
    is_quick: Annotated[bool, typer.Option("--no-face-check", help="Do not look for a face in it.")] = False,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Take in a file for a case: checked, sealed, and never written anywhere in the open."""
    with opened(config) as fleet:
        rules = case_files.rules_of_case(fleet.database, case_id)
        made = fleet.settings.references
        face = None if is_quick else FaceProgram(made.feature_command(), made.timeout_s)
        checked = case_files.read_file(file, role, rules, face)
        now = fleet.clock()
        case = case_files.add_file(
            fleet.database,
            fleet.keys,
            _office(fleet),
            case_id,
            role,
            checked,
            by=by,
            sampled_at=None if on is None else case_files.noon_of(on.date(), fleet.settings.zone(), now),
            now=now,
        )
        for check in checked.checks:
            if not check["passed"]:
                say(
                    f"{file}: {check['name']}: {check['found']:g}, {check['asked']:g} asked for; the reviewers are told"
                )
        _tell(fleet, case, as_json=as_json)


def review(case_id: CaseId, by: By, config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Take a case up for review and show all of it; what other reviewers said is not shown."""
    with opened(config) as fleet:
        office, now = _office(fleet), fleet.clock()
        deciding.take_up(fleet.database, office, case_id, by=by, now=now)
        with fleet.database.begin() as connection:
            found = look_at(connection, office, case_id, by=by, kept=picture_rules(fleet.settings).kept, now=now)
    if as_json:
        print_json({**found.facts, "pictures": found.pictures, "views": found.views, "history": found.history})
    else:
        print_look(found)


def decide(
    case_id: CaseId,
    verdict: Annotated[Verdict, typer.Argument(metavar="VERDICT", help=", ".join(Verdict))],
    by: By,
    reason: Annotated[str, typer.Option("--reason", help="A code; a wrong one names those that fit.")],
    note: Annotated[str | None, typer.Option("--note", help="Free text, kept encrypted.")] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Give your verdict on a case that you took up; two different persons who agree decide it."""
    with opened(config) as fleet:
        said = Said(verdict, reason, by, note)
        case = deciding.decide(fleet.database, _office(fleet), case_id, said, now=fleet.clock())
        _tell(fleet, case, as_json=as_json)


def write_letter(
    case_id: CaseId,
    by: By,
    language: Annotated[str, typer.Option("--language", help="zh or en.")] = "zh",
    config: Config = CONFIG,
) -> None:
    """Print the answer to the person: what was decided, why, what next, and whom to call."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            written = letter(
                connection,
                _office(fleet),
                case_id,
                agency=fleet.settings.agency.words,
                language=language,
                by=by,
                now=fleet.clock(),
            )
        typer.echo(as_text(written), nl=False)


def answers(person: Person, config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Show what somebody may know of their cases (R6-2): state, day of the answer, reason."""
    with opened(config) as fleet, fleet.database.begin() as connection:
        subject_id = find_subject(connection, named(person), fleet.keys)
        found = answers_for(connection, _office(fleet), subject_id)
        numbers = numbers_of(connection, [answer.case_id for answer in found])
    rows = [
        {
            "number": numbers.get(answer.case_id),
            "case_id": answer.case_id,
            "kind": answer.kind.value,
            "state": answer.state.value,
            "asked_on": answer.asked_on.isoformat(),
            "due_on": answer.due_on.isoformat(),
            "answered_on": None if answer.answered_on is None else answer.answered_on.isoformat(),
            "reason": answer.reason,
            "ways": list(answer.ways),
        }
        for answer in found
    ]
    _rows("answers", rows, as_json=as_json)


def alarms(
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="So many days back.")] = 30,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Count the attack alarms of each terminal and day, the newest day first."""
    with opened(config) as fleet:
        zone, since = fleet.settings.zone(), fleet.clock() - timedelta(days=days)
        with fleet.database.begin() as connection:
            found = alarms_of(connection, since=since, areas=None, zone=zone)
    rows = [
        {"day": each.day.isoformat(), "terminal_id": each.terminal_id, "alarms": each.total, "open": each.not_over}
        for each in found
    ]
    _rows("alarms", rows, as_json=as_json)


def rebuild(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Open cases that records ask for and nobody opened, and make the list of cases anew from their histories."""
    with opened(config) as fleet:
        missing = open_missing(
            fleet.database, _office(fleet), accept_simulated=fleet.settings.accept_simulated, clock=fleet.clock
        )
        with fleet.database.begin() as connection:
            cases, wrong = history.reproject(connection)
    if as_json:
        print_json({"cases": cases, "put_in_order": missing, "corrected": wrong})
    else:
        say(f"{cases} cases; {missing} put in order, {wrong} lines of the list corrected")


def _office(fleet: Fleet) -> Registry:
    return Registry(fleet.keys.cipher, fleet.settings.zone())


def _tell(fleet: Fleet, case: Case, *, as_json: bool) -> None:
    with fleet.database.begin() as connection:
        number = number_of(connection, case.case_id)
    if as_json:
        told = {"number": number, "case_id": case.case_id, "state": case.state.value, "lacking": sorted(case.lacking)}
        print_json(told)
        return
    typer.echo(case.case_id)
    lacking = f"; still needed: {', '.join(sorted(case.lacking))}" if case.lacking and case.state not in OVER else ""
    say(f"case {number}: {case.state}{lacking}")


def _rows(name: str, rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({name: rows})
        return
    shown = table(*(rows[0] if rows else (name,)))
    for row in rows:
        shown.add_row(
            *(", ".join(cell) if isinstance(cell, list) else str("" if cell is None else cell) for cell in row.values())
        )
    Terminal().print(shown)
