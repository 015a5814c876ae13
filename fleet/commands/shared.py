"""What all commands share: options, the opened fleet, and how results and errors are reported."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console as Terminal
from rich.console import ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection

from fleet.app import Fleet, open_fleet
from fleet.audit.log import note
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
By = Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")]
"""Who does it, of commands that scripts give without a name: its default is `UNNAMED`."""
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


def noted(
    fleet: Fleet, connection: Connection, by: str, action: str, object_kind: str, object_id: str, **detail: Any
) -> None:
    """Write into the audit log what a command does in its own transaction; call it last there, see `fleet.audit.log.note`."""
    note(
        connection,
        fleet.keys.cipher,
        actor=by,
        action=action,
        object_kind=object_kind,
        object_id=object_id,
        detail=detail,
        now=fleet.clock(),
    )


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


class WholeIds(Table):
    """A table that cuts no id in two: where its columns have no room for that, each row is written as lines of `name: value`."""

    def __rich_console__(self, console: Terminal, options: ConsoleOptions) -> RenderResult:
        """Give the table, or its rows as lines."""
        columns = [[_plain(cell) for cell in column.cells] for column in self.columns]
        ids = [max((len(found) for cell in cells for found in _ID.findall(cell)), default=0) for cells in columns]
        others = (min(max(map(len, cells), default=0), _LEAST_WIDTH) for cells in columns)
        needed = sum(map(max, ids, others)) + 3 * len(columns) + 1
        if needed > options.max_width:
            yield from self._as_lines(columns)
            return
        for column, cells, width in zip(self.columns, columns, ids, strict=True):
            if width:
                column.min_width = width
                # A sentence with an id in it may be wrapped between its words.
                column.no_wrap = not any(" " in cell for cell in cells)
        yield from super().__rich_console__(console, options)

    def _as_lines(self, columns: list[list[str]]) -> RenderResult:
        names = [_plain(column.header) for column in self.columns]
        for row in zip(*columns, strict=True):
            for name, cell in zip(names, row, strict=True):
                if cell:
                    yield Text(f"{name}: {cell}", overflow="fold")
            yield Text("")


_ID = re.compile(r"\S*[0-9a-f]{12}\S*")
"""What stands in cells as one word to be copied: it has twelve hexadecimal digits in a row at least."""
_LEAST_WIDTH = 8
"""Characters to which a column of words may shrink."""


def _plain(cell: object) -> str:
    return Text.from_markup(cell).plain if isinstance(cell, str) else str(cell)


def table(*names: str) -> Table:
    """Return an empty table in which nothing is cut off: an id of which the end is missing helps nobody."""
    made = WholeIds()
    for name in names:
        made.add_column(name, overflow="fold")
    return made
