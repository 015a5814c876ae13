"""`lifecert-fleet courier`: a stick carries records here, and receipts, rosters and policy back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from fleet.app import Fleet, make_handler
from fleet.commands.shared import CONFIG, EXIT_FAILED, AsJson, Config, opened, print_json, say, stderr
from fleet.ingest.courier import FleetCourier
from fleet.updates.bundles import bundle_folder
from protocol.courier_files import ProblemKind

app = typer.Typer(help="Carry data on a stick to and from terminals.", no_args_is_help=True)
Stick = Annotated[Path, typer.Argument(metavar="DIR", help="Where the stick is mounted.")]
_PROBLEMS = {
    ProblemKind.DAMAGED: "damaged; left out, its records are still on the terminal and come with the next stick",
    ProblemKind.FOREIGN: "sealed to another fleet's key, or from another folder; left out",
    ProblemKind.FORGED: "not signed by this terminal; left out",
    ProblemKind.UNSUPPORTED: "of a newer version; update the fleet and import the stick again",
    ProblemKind.INVALID: "carries what is not for the fleet; left out",
    ProblemKind.MISSING: "listed and not there, taken in before or lost; what was lost is still on the terminal",
    ProblemKind.UNFINISHED: "the stick was pulled out of the terminal too early; what is whole counts, the rest comes with the next stick",
}


@app.command("import")
def import_stick(stick: Stick, config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Take in what terminals put onto a stick, and write receipts, rosters and policy for them onto it."""
    with opened(config) as fleet, _courier(fleet) as (work, bar):
        done = work.take_in(stick, on_progress=bar)
    if as_json:
        print_json({"terminals": [asdict(taken) for taken in done]})
    for taken in done:
        name = f"terminal {taken.terminal_id}"
        if not as_json:
            records = f"{_counted(taken.stored, 'record')} stored, {taken.repeated} were here, {taken.refused} refused"
            updates = f" and {_counted(taken.bundles, 'bundle')}" if taken.bundles else ""
            say(f"{name}: {records}; {_counted(taken.pages, 'roster page')}{updates} written")
        if taken.set_aside:
            say(
                f"{name}: {_counted(taken.set_aside, 'message')} set aside in quarantine: the fleet's own programs fail on them"
            )
        for failure in taken.failures:
            say(f"{name}: {failure}")
        for problem in taken.problems:
            say(f"{name}: {problem.name}: {_PROBLEMS[problem.kind]}")
    if not all(taken.is_in_order for taken in done):
        raise typer.Exit(EXIT_FAILED)


@app.command("export")
def export_stick(
    stick: Stick,
    terminal: Annotated[str, typer.Option("--terminal", help="For whom.")],
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Write a terminal's whole roster, the policy in force and the bundles it is asked for onto a stick."""
    with opened(config) as fleet, _courier(fleet) as (work, _):
        pages, bundles = work.hand_out(stick, terminal)
    if as_json:
        print_json({"terminal_id": terminal, "pages": pages, "bundles": bundles})
        return
    say(f"terminal {terminal}: {_counted(pages, 'roster page')} and the policy are on the stick")
    if bundles:
        say(f"terminal {terminal}: {_counted(bundles, 'bundle')} of updates on the stick")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


@contextmanager
def _courier(fleet: Fleet) -> Iterator[tuple[FleetCourier, Callable[[str, int, int], None]]]:
    """Give a courier and what shows its progress; on no terminal the bar is not drawn."""
    work = FleetCourier(
        fleet.database,
        fleet.keys,
        make_handler(fleet),
        fleet_id=fleet.settings.fleet_id,
        clock=fleet.clock,
        batch_messages=fleet.settings.broker.batch_messages,
        bundles=bundle_folder(fleet.settings.data_dir),
    )
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        bars: dict[str, TaskID] = {}

        def show(terminal_id: str, done: int, total: int) -> None:
            if terminal_id not in bars:
                bars[terminal_id] = progress.add_task(terminal_id)
            progress.update(bars[terminal_id], completed=done, total=total)

        yield work, show
