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
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
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
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
"""Of commands that cannot be taken back."""
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


def make_sure(question: str, *, yes: bool) -> None:
    """Ask before what cannot be taken back; end the program as one that failed unless somebody says yes, or did before.

    Args:
        question: what would happen; "Go on?" follows.
        yes: whether the command was told not to ask.
    """
    if yes:
        return
    try:
        may_go_on = typer.confirm(f"{question} Go on?", err=True)
    except typer.Abort:
        say("\nnobody answered, nothing was done; --yes does it without asking")
        raise
    if not may_go_on:
        raise typer.Abort


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


class WholeWords(Table):
    """A table that cuts no word in two, so no id either: where there is no room for that, each row is written as lines of `name: value`."""

    def __rich_console__(self, console: Terminal, options: ConsoleOptions) -> RenderResult:
        """Give the table, or its rows as lines."""
        columns = [[_plain(cell) for cell in column.cells] for column in self.columns]
        shown = [[_plain(column.header), *cells] for column, cells in zip(self.columns, columns, strict=True)]
        widths = _widths(shown, room=options.max_width - _BETWEEN * len(shown) + 1)
        if widths is None:
            yield from self._as_lines(columns)
            return
        for column, width in zip(self.columns, widths, strict=True):
            column.width = width
        yield from super().__rich_console__(console, options)

    def _as_lines(self, columns: list[list[str]]) -> RenderResult:
        names = [_plain(column.header) for column in self.columns]
        for row in zip(*columns, strict=True):
            for name, cell in zip(names, row, strict=True):
                if cell:
                    yield Text(f"{name}: {cell}", overflow="fold")
            yield Text("")


_BETWEEN = 2
"""Characters between two columns."""
_WORD = re.compile(r"[!-~]+")
"""What is read as one: an id, a day, a code, a word with the mark behind it. Chinese may be wrapped anywhere."""
_LEAST_WIDTH = 8
"""Characters to which cells of several words may shrink."""


def _widths(columns: list[list[str]], *, room: int) -> list[int] | None:
    """Return how wide columns are, given their cells; None where their words have no room.

    Args:
        columns: of each its name, then its cells.
        room: characters for all of them together.
    """
    whole = [max(map(_length, cells)) for cells in columns]
    words = [max((len(found) for cell in cells for found in _WORD.findall(cell)), default=0) for cells in columns]
    # A name of several words may stand in as many lines, which is read once; cells are read one by one.
    least = [min(max(map(_length, cells[1:]), default=0), _LEAST_WIDTH) for cells in columns]
    widths = list(map(max, words, least))
    left = room - sum(widths)
    if left < 0:
        return None
    # Whoever lacks least has all of it first, the others share what is left then.
    lacking = sorted(range(len(columns)), key=lambda place: whole[place] - widths[place])
    for number, place in enumerate(lacking):
        more = min(whole[place] - widths[place], left // (len(lacking) - number))
        widths[place] += more
        left -= more
    return widths


def _length(cell: str) -> int:
    return max(map(cell_len, cell.split("\n")))


def _plain(cell: object) -> str:
    return Text.from_markup(cell).plain if isinstance(cell, str) else str(cell)


def table(*names: str) -> Table:
    """Return an empty table, as narrow as one can be, in which nothing is cut off: an id of which the end is missing helps nobody."""
    made = WholeWords(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _BETWEEN - 1, 0, 0))
    for name in names:
        made.add_column(name, overflow="fold")
    return made
