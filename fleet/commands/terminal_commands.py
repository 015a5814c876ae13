"""`lifecert-fleet terminals`: ask a terminal to do something or to be set otherwise, and see what came of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from fleet.admission.convergence import Wanted, bundle_line, setting_lines
from fleet.commands.shared import (
    CONFIG,
    EXIT_USAGE,
    AsJson,
    Config,
    Yes,
    fail,
    make_sure,
    opened,
    print_json,
    say,
)
from fleet.errors import NotFound
from fleet.store import desired, terminals
from fleet.store.terminal_settings import Scope, Target
from fleet.terminals.commanding import commands_of, give_command, withdraw_command
from fleet.updates.desired import door_of
from fleet.updates.terminal_settings import (
    differences,
    parsed,
    set_for_terminal,
    settings_of,
    text_of,
    texts_of,
)
from protocol.commands import CommandKind

app = typer.Typer(help="Commands to terminals and their answers, and settings from afar.", no_args_is_help=True)
Terminal = Annotated[str, typer.Argument(help="Id of the terminal.")]


@app.command("command")
def command(
    terminal: Terminal,
    kind: Annotated[CommandKind, typer.Argument(help="What it is to do.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; stands with the command.")],
    by: Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")],
    yes: Yes = False,
    config: Config = CONFIG,
) -> None:
    """Ask a terminal to do one of these; it obeys between sessions, once. Before `decommission` you are asked."""
    if kind is CommandKind.DECOMMISSION:
        make_sure(f"Terminal {terminal} erases its roster, records and keys for ever, and certifies nobody.", yes=yes)
    with opened(config) as fleet:
        hours = fleet.settings.terminals.command_hours
        with fleet.database.begin() as connection:
            command_id = give_command(
                connection,
                fleet.keys.cipher,
                terminal,
                kind,
                by=by,
                reason=reason,
                valid=timedelta(hours=hours),
                now=fleet.clock(),
            )
        say(f"terminal {terminal} is asked to {kind.replace('_', ' ')}; the command holds for {hours} hours")
        typer.echo(command_id)


@app.command("withdraw")
def withdraw(
    terminal: Terminal,
    number: Annotated[int, typer.Argument(min=1, max=10**9, help="Of the command, as `terminals commands` shows it.")],
    by: Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")],
    config: Config = CONFIG,
) -> None:
    """Take back a command that has no answer; the terminal says whether it was carried out before."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            withdraw_command(connection, fleet.keys.cipher, terminal, number, by=by, now=fleet.clock())
        say(
            f"terminal {terminal}: command {number} is taken back; `terminals commands` shows whether that came in time"
        )


@app.command("settings")
def settings(
    terminal: Terminal,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A setting as NAME=VALUE; with no VALUE it is as for the terminal's area. Several times."
        ),
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, 1 to 100 characters; to change any.")] = None,
    by: Annotated[str | None, typer.Option("--by", help="Your name, recorded as you give it; to change any.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show what a terminal is asked for and what it says that it has; with --set change settings of its own."""
    with opened(config) as fleet:
        target = Target(Scope.TERMINAL, terminal)
        if setting:
            with fleet.database.begin() as connection:
                own = texts_of(settings_of(connection, target))
            wanted = parsed({**own, **dict(each.partition("=")[::2] for each in setting)})
            for each in differences(parsed(own), wanted):
                say(f"{each.name}: {text_of(each.before) or 'not set'} -> {text_of(each.after) or 'not set'}")
            if dry_run:
                return
            if by is None or reason is None:
                fail("give --by and --reason to change settings", EXIT_USAGE)
            with fleet.database.begin() as connection:
                set_for_terminal(
                    connection,
                    fleet.keys.cipher,
                    terminal,
                    wanted,
                    by=by,
                    reason=reason,
                    door=door_of(fleet.settings.provisioning),
                    now=fleet.clock(),
                )
        with fleet.database.begin() as connection:
            known = desired.find_reported(connection, terminal)
            if known is None:
                raise NotFound(f"terminal {terminal}: not registered")
            asked = desired.find_desired(connection, [terminal]).get(terminal)
    wished = Wanted() if asked is None else asked.wanted
    if as_json:
        print_json(
            {
                "number": 0 if asked is None else asked.number,
                "wanted": wished.model_dump(mode="json"),
                "reported": None if known.state is None else known.state.model_dump(mode="json"),
                "behind_since": None if known.behind_since is None else known.behind_since.isoformat(),
            }
        )
        return
    for bundle in (bundle_line(each, known.state) for each in wished.bundles):
        percent = "" if bundle.percent is None else f" {bundle.percent} %"
        runs = "" if bundle.running is None else f", runs {bundle.running.number}"
        typer.echo(f"{bundle.wanted.kind} {bundle.wanted.number}: {bundle.match}{percent}{runs}")
    for line in setting_lines(wished.settings, known.state):
        typer.echo(f"{line.name} {text_of(line.wanted)}: {line.match}, has {text_of(line.reported) or 'not said'}")
    if wished.is_nothing:
        typer.echo("nothing is asked of it")


@app.command("commands")
def commands(terminal: Terminal, config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Show a terminal's commands, the newest first, with what came of them."""
    with opened(config) as fleet:
        now = fleet.clock()
        with fleet.database.begin() as connection:
            if terminal not in terminals.find_terminals(connection, [terminal]):
                raise NotFound(f"terminal {terminal}: not registered")
            found = commands_of(connection, fleet.keys.cipher, terminal)
    if as_json:
        rows = [
            {
                "command_id": given.command_id,
                "number": given.number,
                "kind": given.kind.value,
                "asked_by": given.asked_by,
                "reason": given.reason,
                "asked_at": given.asked_at.isoformat(),
                "state": given.state_at(now),
                "withdrawn_by": given.withdrawn_by,
                "withdrawn_at": None if given.withdrawn_at is None else given.withdrawn_at.isoformat(),
                "result": None if given.result is None else given.result.model_dump(mode="json"),
            }
            for given in found
        ]
        print_json({"commands": rows})
        return
    for given in found:
        typer.echo(
            f"{given.number} {given.kind} {given.state_at(now)} asked {given.asked_at:%Y-%m-%d %H:%M} UTC by {given.asked_by}"
        )
        typer.echo(f"  {given.reason}")
        if given.withdrawn_at is not None:
            late = ", after it was carried out" if given.was_done_before else ""
            typer.echo(f"  taken back {given.withdrawn_at:%Y-%m-%d %H:%M} UTC by {given.withdrawn_by}{late}")
        if given.result is not None and given.result.report is not None:
            for check in given.result.report.checks:
                typer.echo(f"  {check.status} {check.name}: {check.detail}")
        for line in () if given.result is None else given.result.log or ():
            typer.echo(f"  {line}")
