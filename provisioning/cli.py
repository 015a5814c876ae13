"""The command line `lifecert-provision`: parses, calls, prints. Exit 0 done, 1 failed, 2 usage, 78 settings of the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from protocol import commissioning as commissioning_words
from protocol.commissioning import Answer, CommissioningCheck, Question
from protocol.keys import short_key_id
from protocol.selftest import SelftestReport
from provisioning import identity as identities
from provisioning import joining, leaving, sheets
from provisioning.bundles import commands as bundles
from provisioning.cards.commands import add_commands
from provisioning.cards.settings import tried_part
from provisioning.claim_options import Code, Door, Root, the_claim
from provisioning.commissioning import keep, run_commissioning
from provisioning.errors import FleetWaits, ProvisioningError, SelftestFailed
from provisioning.paper import chinese_font
from provisioning.saying import Json, errors, now, say_fingerprint
from provisioning.selftest import run_selftest

app = typer.Typer(
    name="lifecert-provision",
    help="Sets up and checks Lifecert terminals.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

add_commands(app)
app.add_typer(bundles.app, name="bundle")

_CONFIG = Path("/etc/lifecert/terminal.toml")
_TRY_EVERY_S = 5.0
_SAID: Mapping[str, Answer] = {"yes": "yes", "no": "no", "skip": "skip"}
_COLOUR = {"passed": "green", "failed": "bold red", "skipped": "yellow"}

FontOption = Annotated[
    Path | None, typer.Option(help="Font file with Chinese characters; by default one of those that Debian installs.")
]


def main() -> None:
    """Run the program."""
    app()


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"lifecert-provision {package_version('lifecert')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Sets up and checks Lifecert terminals."""


@app.command()
def identity(
    fleet_id: Annotated[str, typer.Option(help="The fleet's name.")],
    terminal_id: Annotated[str, typer.Option(help="The terminal's name; unique in the fleet.")],
    out: Annotated[Path, typer.Option(help="Folder for keys and registration.")],
    as_json: Json = False,
) -> None:
    """Make a terminal's keys and the registration file for the fleet. Replaces nothing."""
    with errors():
        made = identities.make_identity(fleet_id, terminal_id, out, moment=now())
    path = out / identities.REGISTRATION
    if as_json:
        typer.echo(
            json.dumps({"terminal_id": terminal_id, "key_id": made.signing_key.key_id, "registration": str(path)})
        )
        return
    typer.echo(f"keys of terminal {terminal_id} are in {out}; they never leave it")
    typer.echo(f"fingerprint {made.signing_key.key_id}")
    typer.echo(f"short {short_key_id(made.signing_key.key_id)}")
    typer.echo(f"next: take {path} to the fleet, and bring its identity back for accept-fleet")


@app.command()
def accept_fleet(
    file: Annotated[Path, typer.Argument(help="The fleet's identity file.")],
    out: Annotated[Path, typer.Option(help="Folder of the terminal's keys.")],
    as_json: Json = False,
) -> None:
    """Put the fleet's identity beside the terminal's keys, after checking it."""
    with errors():
        found, is_new = identities.accept_fleet(file, out)
    if as_json:
        typer.echo(json.dumps({"fleet_id": found.fleet_id, "key_id": found.signing_key.key_id, "new": is_new}))
        return
    typer.echo(f"fleet {found.fleet_id} {'accepted' if is_new else 'was accepted before'}")
    typer.echo(f"fingerprint {found.signing_key.key_id}; compare it with the one that lifecert-fleet init shows")


@app.command()
def join(
    out: Annotated[Path, typer.Option(help="Folder for the terminal's keys and certificates.")],
    claim: Annotated[
        Path | None,
        typer.Argument(help="The claim the technician brought: its file, or a file with the text of its QR code."),
    ] = None,
    code: Code = None,
    door: Door = None,
    root: Root = None,
    terminal: Annotated[
        str | None, typer.Option(help="The terminal's name; a claim that names another one is refused.")
    ] = None,
    wait_s: Annotated[
        float, typer.Option(help="Seconds to go on trying while the fleet is away or a person is to approve.")
    ] = 600,
    terminal_file: Annotated[
        Path | None, typer.Option(help="A file with the terminal's name, where --terminal says none.")
    ] = None,
    settings_part: Annotated[
        Path | None, typer.Option(help="Make terminal.toml in the folder, from this part and what the fleet told.")
    ] = None,
    status: Annotated[
        Path | None,
        typer.Option(help="Add to this file what failed, and the key's fingerprint, for a technician to read."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make this terminal's keys and get its certificate from the fleet. Can be cut off and run again at any time."""
    with errors(status):
        if settings_part is not None and joining.has_settings(out):
            if status is not None:
                # The power may have gone before it was said.
                say_fingerprint(status, joining.fingerprint_in(out))
            other = joining.keeps_other_settings(settings_part, out)
            kept = f"; {joining.SETTINGS} stays as it is, change it there" if other else ""
            typer.echo(f"has joined before{kept}", err=True)
            return
        if settings_part is not None and not (out / joining.SETTINGS).exists():
            # A claim is good once: whoever joined with it and cannot start needs another one.
            _try_part(settings_part)
        found = the_claim(claim, code, door, root)
        name = terminal or (joining.read_text(terminal_file).strip() if terminal_file else None)
        outcome = joining.wait_and_join(
            lambda: joining.join(found(), out, terminal_id=name, board_serial=joining.board_serial(), now=now()),
            every_s=_TRY_EVERY_S,
            most_s=wait_s,
            sleep=time.sleep,
            clock=time.monotonic,
        )
        if not outcome.is_joined and not as_json:
            raise FleetWaits(
                f"terminal {outcome.terminal_id} waits for somebody at the fleet to let it in; run this again"
            )
        if settings_part is not None and outcome.is_joined:
            joining.write_settings(settings_part, out, found().fleet_id, outcome)
        if status is not None and outcome.is_joined:
            say_fingerprint(status, outcome.fingerprint)
    if as_json:
        typer.echo(json.dumps(asdict(outcome)))
    else:
        typer.echo(
            f"terminal {outcome.terminal_id} has joined fleet {found().fleet_id}; its keys are in {out} and never leave it"
        )
        typer.echo(f"broker {outcome.broker_host}:{outcome.broker_port}")
        typer.echo(f"fingerprint {outcome.fingerprint}")
    raise typer.Exit(0 if outcome.is_joined else 1)


def _try_part(part: Path) -> None:
    try:
        tried_part(part)
    except SelftestFailed as error:
        # Keys may be made on a computer that is no terminal.
        typer.echo(f"{error}; the settings go unchecked", err=True)


@app.command()
def renew(
    out: Annotated[Path, typer.Option(help="Folder of the terminal's keys and certificates.")],
    if_due: Annotated[bool, typer.Option("--if-due", help="Do nothing before half of its time is over.")] = False,
) -> None:
    """Get this terminal's next certificate; systemd/lifecert-renew.timer asks every few hours whether it is time."""
    with errors():
        if if_due and not joining.is_due(out, now=now()):
            return
        until = joining.renew(out, now=now())
    typer.echo(f"good until {until:%Y-%m-%d}")


@app.command()
def check(
    config: Annotated[Path | None, typer.Option(help="The terminal's settings file.")] = None,
    program: Annotated[
        Path | None, typer.Option(help="The terminal program, if it is not installed beside this one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the terminal's self test and say what to do about what failed. Exit code 1 if anything failed."""
    with errors():
        report = run_selftest(config, program=program)
    if as_json:
        typer.echo(report.to_bytes().decode())
    else:
        _print(report)
    raise typer.Exit(0 if report.passed else 1)


@app.command()
def target(
    out: Annotated[Path, typer.Argument(help="File to write: .svg or .pdf, A4.")],
    font: FontOption = None,
) -> None:
    """Write the target that the commissioning looks at to see whether the camera is in focus; print it at 100 %."""
    if out.suffix not in {".svg", ".pdf"}:
        typer.echo(f"{out}: a name that ends with .svg or .pdf expected", err=True)
        raise typer.Exit(2)
    with errors():
        content = sheets.target_svg().encode() if out.suffix == ".svg" else sheets.target_pdf(_font(font))
        sheets.write(out, content)
    typer.echo(f"{out}: print at 100 % on white paper")


@app.command()
def commission(
    config: Annotated[Path | None, typer.Option(help="The terminal's settings file.")] = None,
    program: Annotated[
        Path | None, typer.Option(help="The terminal program, if it is not installed beside this one.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to keep the report in too: JSON, as signed, and PDF of one page.")
    ] = None,
    language: Annotated[str, typer.Option(help="zh or en.")] = "zh",
    font: FontOption = None,
    answer: Annotated[
        list[str] | None,
        typer.Option(help="Answer beforehand, for programs: QUESTION=yes|no|skip, e.g. heard=yes. May be given again."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Try everything on the spot before a terminal serves people; the signed report goes to the fleet. Exit code 1 unless it passed.

    Stop the terminal's service first: it has the camera. Bring the printed target (`lifecert-provision target`); somebody must sit down.
    """
    if language not in commissioning_words.LANGUAGES:
        typer.echo(f"--language {language}: one of {', '.join(commissioning_words.LANGUAGES)} expected", err=True)
        raise typer.Exit(2)
    asker = _Asker(language, _answers(answer or []), Console(stderr=as_json))
    with errors():
        found = run_commissioning(config, program=program, ask=asker.ask, tell=asker.tell, show=asker.show)
        paths = keep(found, out, language=language, font=_font(font)) if out is not None else ()
    report = found.report
    if as_json:
        typer.echo(report.to_bytes().decode())
    else:
        asker.console.print(escape(commissioning_words.label("passed" if report.passed else "not_passed", language)))
        for path in paths:
            asker.console.print(escape(str(path)))
    raise typer.Exit(0 if report.passed else 1)


class _Asker:
    """The person before the technician's screen."""

    def __init__(self, language: str, answers: Mapping[Question, Answer], console: Console) -> None:
        self._language = language
        self._answers = answers
        self.console = console

    def ask(self, question: Question) -> Answer | None:
        self.tell(question)
        if question in self._answers:
            return self._answers[question]
        while True:
            try:
                typed = self.console.input("y / n / s > ").strip().lower()
            except EOFError:
                return None
            for known in ("yes", "no", "skip"):
                if typed and known.startswith(typed):
                    return known

    def tell(self, question: Question) -> None:
        self.console.print(f"[bold]{escape(commissioning_words.question_text(question, self._language))}[/]")

    def show(self, check: CommissioningCheck) -> None:
        status = commissioning_words.status_name(check.status, self._language)
        name = commissioning_words.part_name(check.part, self._language)
        said = commissioning_words.sentence(check, self._language)
        self.console.print(f"[{_COLOUR[check.status]}]{escape(status)}[/] {escape(name)}: {escape(said)}")


def _answers(given: list[str]) -> dict[Question, Answer]:
    answers: dict[Question, Answer] = {}
    for each in given:
        name, _, said = each.partition("=")
        if name not in set(Question) or said not in _SAID:
            questions = ", ".join(question for question in Question if not question.startswith("press_"))
            typer.echo(f"--answer {each}: one of {questions}, = and yes, no or skip expected", err=True)
            raise typer.Exit(2)
        answers[Question(name)] = _SAID[said]
    return answers


def _font(given: Path | None) -> Path | None:
    return given or chinese_font()


@app.command()
def decommission(
    out: Annotated[Path, typer.Option(help="Write the signed statement here.")],
    config: Annotated[Path, typer.Option(help="The terminal's settings file.")] = _CONFIG,
    keys: Annotated[
        Path | None,
        typer.Option(help="Folder with root certificate and door of the fleet; that of the settings without."),
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="First put what the fleet has not confirmed onto the stick mounted here.")
    ] = None,
    lose_records: Annotated[
        int, typer.Option(min=0, help="Give up exactly so many records and pictures for ever.")
    ] = 0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    is_asked: Annotated[
        bool, typer.Option("--if-asked", help="Begin only if the fleet's signed command for it has come.")
    ] = False,
    program: Annotated[
        Path | None, typer.Option(help="The terminal program, if it is not installed beside this one.")
    ] = None,
) -> None:
    """Erase this terminal and destroy its keys for ever; the statement that proves it goes to the fleet. Can be run again at any time."""
    with errors():
        wanted = ["decommission", "--config", str(config), "--out", str(out), "--lose-records", str(lose_records)]
        # What becomes of the statement is said below.
        wanted.append("--taken-there")
        wanted += [*(("--export", str(export)) if export else ()), *(("--yes",) if yes else ())]
        if is_asked:
            # Nobody who is being served is sent away for a wish that is none.
            leaving.run_terminal(["decommission-asked", "--config", str(config)], program=program)
            wanted.append("--if-asked")
        with leaving.services_stopped():
            leaving.run_terminal(wanted, program=program)
        leaving.sweep_beneath(out)
        try:
            leaving.tell_fleet(out.read_bytes(), keys or config.parent, now=now())
        except ProvisioningError as error:
            typer.echo(f"the fleet does not know yet: {error}", err=True)
            typer.echo(f"take {out} there, or run this again", err=True)
            raise typer.Exit(1) from error
        leaving.run_terminal(["decommission-told", "--config", str(config)], program=program)
    typer.echo("the fleet has the statement; the device can go")


@app.command()
def logs(
    out: Annotated[Path, typer.Option(help="ZIP archive to write.")],
    config: Annotated[Path, typer.Option(help="The terminal's settings file.")] = _CONFIG,
    log: Annotated[
        list[Path] | None, typer.Option(help="A log file in place of the system's journal; may be repeated.")
    ] = None,
    program: Annotated[
        Path | None, typer.Option(help="The terminal program, if it is not installed beside this one.")
    ] = None,
) -> None:
    """Pack this terminal's log, versions, condition and settings into one file for the office: no face, no number, no name, no key."""
    with errors():
        named = [part for path in log or () for part in ("--log", str(path))]
        leaving.run_terminal(["logs", "--config", str(config), "--out", str(out), *named], program=program)


def _print(report: SelftestReport) -> None:
    table = Table(title=escape(f"{report.software} on {report.machine}, Python {report.python}"), title_justify="left")
    for heading in ("check", "result", "found, and what to do"):
        table.add_column(heading, overflow="fold")
    table.add_column("seconds", justify="right")
    for found in report.checks:
        result = f"[{_COLOUR[found.status]}]{found.status}[/]"
        table.add_row(escape(found.name), result, escape(found.detail), f"{found.seconds:.1f}")
    console = Console()
    console.print(table)
    failed = sum(found.status == "failed" for found in report.checks)
    console.print(f"{failed} of {len(report.checks)} checks failed" if failed else "this terminal is in order")
