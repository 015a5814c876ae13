"""Reads a file as a delivery of a feed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from fleet.exchange.cycles import month_text
from fleet.exchange.definitions import FeedDefinition, catalogue
from fleet.exchange.messages import DeliveredRow, Delivery
from fleet.tables.places import at_line, in_column
from fleet.tables.reading import Column, Shape, Source, read_table, refuse
from protocol.errors import Problem

_OPTIONAL = ("row_id", "document_kind", "document_issuer", "name")
_NO_ROWS = Problem("a heading and no rows; if nothing happened, say so with `feeds zero-report`", "no_rows_of_feed")


@dataclass(frozen=True, slots=True)
class Place:
    """Which delivery a file is."""

    period: date
    """First day of the month."""
    number: int
    corrects: int | None = None
    area: str = ""


@dataclass(frozen=True, slots=True)
class FileDelivery:
    """A file as a delivery, as far as it could be read."""

    delivery: Delivery
    places: tuple[Problem, ...]
    """Where each row stands, for messages."""
    problems: tuple[Problem, ...]
    """What is wrong with other lines; with one of these nothing is taken in."""


def read_delivery(path: Source, feed: str, definition: FeedDefinition, place: Place) -> FileDelivery:
    """Read a file as a delivery.

    Args:
        path: CSV or XLSX with a heading line.
        feed: the feed's name.
        definition: how its columns are called.
        place: which delivery it is.

    Raises:
        ImportRefused: if no row of it can be read.
    """
    table = read_table(path, columns_of(definition), no_rows=_NO_ROWS)
    rows: list[DeliveredRow] = []
    places: list[Problem] = []
    problems = list(table.problems)
    for row in table.rows:
        where = at_line(row.line)
        too_long = sorted(name for name, cell in row.cells.items() if len(cell) > _MOST_CHARACTERS)
        if too_long:
            sentence = f"more than {_MOST_CHARACTERS} characters in {', '.join(too_long)}"
            problems.append(
                Problem(
                    sentence, "long_cells", most=_MOST_CHARACTERS, columns=[in_column(name) for name in too_long]
                ).within(where)
            )
        elif not row.faults and not row.cells["document_number"]:
            problems.append(Problem("empty", "cell_empty").within(where, in_column("document_number")))
        elif not row.faults:
            rows.append(DeliveredRow(**row.cells))
            places.append(where.at(path))
    if not rows:
        refuse(path, problems)
    delivery = Delivery(
        feed=feed,
        period=month_text(place.period),
        number=place.number,
        corrects=place.corrects,
        area=place.area,
        rows=tuple(rows),
    )
    return FileDelivery(delivery, tuple(places), tuple(problem.at(path) for problem in problems))


_MOST_CHARACTERS = 200
"""Source: `fleet.exchange.messages.DeliveredRow`."""


def columns_of(definition: FeedDefinition) -> dict[str, Column]:
    """Return what is looked for in files of a feed."""
    known = catalogue().columns
    columns = {name: Column(known[name], is_required=False) for name in _OPTIONAL}
    columns["document_number"] = Column(known["document_number"], Shape.NUMBER)
    columns["kind"] = Column(known["kind"], is_required=len(definition.kinds) > 1)
    columns["since"] = Column((*known["since"], *definition.since), Shape.DATE)
    columns["until"] = Column((*known["until"], *definition.until), Shape.DATE, is_required=False)
    columns["reported_on"] = Column(known["reported_on"], Shape.DATE, is_required=False)
    if definition.code is not None:
        columns["code"] = Column((definition.code.name, *definition.code.headings))
    return columns
