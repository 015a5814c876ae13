"""What all commands share: options, the opened fleet, and how results and errors are reported."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console as Terminal
from rich.table import Table

from fleet.app import Fleet, open_fleet
from fleet.errors import FleetError, ImportRefused, SettingsInvalid
from fleet.references.enrol import find_subject
from fleet.settings import load_settings
from protocol.errors import ProtocolError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_SETTINGS = 78
"""EX_CONFIG of sysexits.h."""

CONFIG = Path("fleet.toml")
Config = Annotated[Path, typer.Option("--config", help="Settings file.", show_default=True)]
SUBJECT_HELP = "Subject id or document number; - reads it from input."
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
stderr = Terminal(stderr=True, soft_wrap=True, highlight=False, markup=False)


@contextmanager
def opened(config: Path) -> Iterator[Fleet]:
    """Give the fleet of a settings file; errors end the program with one line each."""
    with reporting(), open_fleet(load_settings(config)) as fleet:
        yield fleet


@contextmanager
def reporting() -> Iterator[None]:
    """Turn errors of ours into one line each and the exit status that goes with them."""
    try:
        yield
    except SettingsInvalid as error:
        for problem in error.problems:
            say(problem)
        raise typer.Exit(EXIT_SETTINGS) from error
    except ImportRefused as error:
        for problem in error.problems:
            say(problem)
        raise typer.Exit(EXIT_FAILED) from error
    except (FleetError, ProtocolError) as error:
        fail(str(error), EXIT_FAILED)


def fail(message: str, status: int) -> NoReturn:
    """Say why, and end the program."""
    say(message)
    raise typer.Exit(status)


def say(message: str) -> None:
    """Tell the person at the keyboard; results go to the other stream."""
    stderr.print(message)


def print_json(found: dict[str, Any]) -> None:
    """Print a result for a program."""
    typer.echo(json.dumps(found))


def named(subject: str) -> str:
    """Return whom an argument or option names; a number given by input stands in no list of processes."""
    return sys.stdin.readline().strip() if subject == "-" else subject


def whom(fleet: Fleet, subject: str) -> str:
    """Return the id of somebody whom an argument or option names: by id, by document number, or by `-` and one of both on input.

    Raises:
        NotFound: if nobody here has either.
    """
    with fleet.database.begin() as connection:
        return find_subject(connection, named(subject), fleet.keys)


def table(*names: str) -> Table:
    """Return an empty table in which nothing is cut off: an id of which the end is missing helps nobody."""
    made = Table()
    for name in names:
        made.add_column(name, overflow="fold")
    return made
