"""`lifecert-fleet photos`: photographs as files, taken in with a report for each."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console as Terminal
from rich.markup import escape
from rich.progress import Progress

from fleet.commands.shared import (
    CONFIG,
    EXIT_FAILED,
    EXIT_USAGE,
    AsJson,
    Config,
    fail,
    opened,
    print_json,
    say,
    stderr,
    table,
)
from fleet.errors import Refused
from fleet.intake.photo_checking import photo_program
from fleet.intake.photo_files import photo_files
from fleet.intake.photo_report import line_cells, report_csv, report_data
from fleet.intake.photos import Form, PhotoImport, PhotoIntake, Result, import_photos, rules_in_force
from fleet.store import photos
from protocol.references import LegalBasis

_MOST_LISTED = 1000

app = typer.Typer(help="Photographs as files: taken in, with a report for each.", no_args_is_help=True)


class Language(StrEnum):
    """Languages of a report."""

    ZH = "zh"
    EN = "en"


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(metavar="ZIP|FOLDER", help="JPG files named 姓名+身份证号.")],
    by: Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")],
    basis: Annotated[LegalBasis, typer.Option("--basis", help="Why references may be kept.")],
    unit: Annotated[str | None, typer.Option("--unit", help="Which unit handed them in.")] = None,
    form: Annotated[Form, typer.Option("--form", help="The modelling information form that came along.")] = Form.NONE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look and report; store nothing.")] = False,
    report: Annotated[Path | None, typer.Option("--report", help="Write the report here, as CSV.")] = None,
    language: Annotated[Language, typer.Option("--language", help="Of the report.")] = Language.ZH,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Take photographs in; each that is in order enrols its person provisionally. Exit 1 if any was refused."""
    if not source.exists():
        fail(f"{source}: no such file or folder", EXIT_USAGE)
    if report is not None and report.exists():
        fail(f"{report}: exists already; a report is never written over another file", EXIT_USAGE)
    intake = PhotoIntake(basis, by, unit, form, dry_run)
    with opened(config) as fleet:
        made = fleet.settings.references
        rules = rules_in_force(fleet.database, fleet.settings)
        program = photo_program(made.photo_command(), timeout_s=made.timeout_s)
        with photo_files(source) as files, program as looker, _bar() as bar:
            task = bar.add_task("photographs", total=None)
            done = import_photos(
                fleet.database,
                fleet.keys,
                files,
                looker,
                intake,
                rules,
                clock=fleet.clock,
                on_line=lambda _: bar.advance(task),
            )
        if report is not None:
            _write(report, report_csv(done, language))
    _print(done, language, is_dry=dry_run, as_json=as_json)
    if done.count(Result.REFUSED):
        raise typer.Exit(EXIT_FAILED)


@app.command("list")
def list_imports(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List imports with the forms that came along, the newest first."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            found = photos.imports(connection, limit=_MOST_LISTED)
        cipher = fleet.keys.cipher
        rows = [
            {
                "import_id": one.import_id,
                "taken_at": one.taken_at.isoformat(timespec="seconds"),
                "by": cipher.decrypt(one.taken_by_sealed, subject_id=one.import_id, field_name="taken_by"),
                "unit": one.unit,
                "form": one.form,
                "accepted": one.accepted,
                "refused": one.refused,
                "repeated": one.repeated,
            }
            for one in found
        ]
    if as_json:
        print_json({"imports": rows})
        return
    shown = table("import", "at", "by", "unit", "form", "accepted", "refused", "repeated")
    for row in rows:
        shown.add_row(*(escape("" if cell is None else str(cell)) for cell in row.values()))
    Terminal().print(shown)


def _bar() -> Progress:
    return Progress(console=stderr, transient=True, disable=not stderr.is_terminal)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise Refused(f"{path}: cannot be written: {error.strerror}") from error
    say(f"report written to {path}")


def _print(done: PhotoImport, language: Language, *, is_dry: bool, as_json: bool) -> None:
    if as_json:
        print_json(report_data(done, is_dry=is_dry))
        return
    shown = table("file", "ends", "result", "reasons")
    for line in done.lines:
        shown.add_row(*(escape(cell) for cell in line_cells(line, language)))
    Terminal().print(shown)
    counts = ", ".join(f"{done.count(result)} {result}" for result in Result)
    say(f"{len(done.lines)} files: {counts}" + ("; nothing was stored" if is_dry else f"; import {done.import_id}"))
