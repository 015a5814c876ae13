"""Tries a definition on a sample file: what each of its columns becomes, and what its rows would say. Nothing is stored."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date

from fleet.exchange.checking import Given, StatedRow, check_rows
from fleet.exchange.definitions import FeedDefinition
from fleet.exchange.delivery_csv import Place, columns_of, read_delivery
from fleet.tables.reading import Upload, read_table
from protocol.errors import Problem
from protocol.rules.days import first_of_month
from protocol.rules.life import LifeEventKind

_SHOWN = 20
"""Rows of which is told what they say."""


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """One column of the sample."""

    heading: str
    becomes: str | None
    """Our name of the column; None if it is left aside."""
    filled: int
    """Rows in which it says anything; 0 for a column that is left aside."""


@dataclass(frozen=True, slots=True)
class RowSaid:
    """What one row says, without whom it is about."""

    where: str
    kind: LifeEventKind
    since: date
    until: date | None
    reported_on: date | None
    code: str
    makes_event: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a sample."""

    encoding: str
    rows: int
    columns: tuple[ColumnUse, ...]
    lacking: tuple[str, ...]
    """Our names of columns that the sample could have and has not."""
    said: tuple[RowSaid, ...]
    """Of the first rows."""
    kinds: tuple[tuple[LifeEventKind, int], ...]
    codes: tuple[tuple[str, int], ...]
    repeated: int
    problems: tuple[Problem, ...]
    """Everything for which a delivery like this would be refused."""


def try_on(definition: FeedDefinition, sample: Upload, *, today: date) -> Trial:
    """Read a sample as a delivery of this month.

    Args:
        definition: how it is read.
        sample: CSV or XLSX.
        today: nothing that is reported happened later.

    Raises:
        ImportRefused: if no row of it can be read.
    """
    table = read_table(sample, columns_of(definition))
    period = first_of_month(today)
    read = read_delivery(sample, "sample", definition, Place(period, 1))
    given = [Given(where, row) for where, row in zip(read.places, read.delivery.rows, strict=True)]
    checked = check_rows(definition, given, period=period, today=today)
    filled = {name: sum(bool(row.cells[name]) for row in table.rows) for name in table.columns}
    return Trial(
        encoding=table.encoding,
        rows=len(table.rows),
        columns=tuple(
            ColumnUse(heading, name, 0 if name is None else filled[name]) for heading, name in table.headings
        ),
        lacking=tuple(name for name in columns_of(definition) if name not in table.columns),
        said=tuple(_said(row) for row in checked.rows[:_SHOWN]),
        kinds=tuple(Counter(row.kind for row in checked.rows).most_common()),
        codes=tuple(Counter(row.code for row in checked.rows if row.code).most_common()),
        repeated=checked.repeated,
        problems=(*read.problems, *checked.problems),
    )


def _said(row: StatedRow) -> RowSaid:
    return RowSaid(
        row.where.removeprefix("file: "), row.kind, row.since, row.until, row.reported_on, row.code, row.makes_event
    )
