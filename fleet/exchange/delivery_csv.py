"""Reads a file as a delivery of a feed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from fleet.exchange.cycles import month_text
from fleet.exchange.definitions import FeedDefinition, catalogue
from fleet.exchange.messages import DeliveredRow, Delivery
from fleet.tables.reading import Column, Shape, Source, read_table, refuse

_OPTIONAL = ("row_id", "document_kind", "document_issuer", "name")
_NO_ROWS = "a heading and no rows; if nothing happened, say so with `feeds zero-report`"


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
    places: tuple[str, ...]
    """Where each row stands, for messages."""
    problems: tuple[str, ...]
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
    places: list[str] = []
    problems = list(table.problems)
    for row in table.rows:
        where = f"line {row.line}"
        too_long = sorted(name for name, cell in row.cells.items() if len(cell) > _MOST_CHARACTERS)
        if too_long:
            problems.append(f"{where}: more than {_MOST_CHARACTERS} characters in {', '.join(too_long)}")
        elif not row.faults and not row.cells["document_number"]:
            problems.append(f"{where}: document_number: empty")
        elif not row.faults:
            rows.append(DeliveredRow(**row.cells))
            places.append(f"{path}: {where}")
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
    return FileDelivery(delivery, tuple(places), tuple(f"{path}: {problem}" for problem in problems))


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
