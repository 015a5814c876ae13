"""Reading the CSV indexes of evaluation data: every bad row is reported, nothing is half read."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from device.vision.frame import Pixels
from models.errors import ModelsError

Row = TypeVar("Row")


class IndexInvalid(ModelsError):
    """An index that cannot be used; holds one line for each error found."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = tuple(errors)


class BadRow(ValueError):
    """One thing wrong with one row; raised by a row parser."""


def read_index(path: Path, columns: Sequence[str], parse: Callable[[Mapping[str, str], Path], Row]) -> list[Row]:
    """Read an index.

    Args:
        path: the CSV file (UTF-8, a header, commas). The paths in it are relative to the folder above the one it lies in.
        columns: those it must have; others are ignored.
        parse: makes a row from its cells and that folder, or raises `BadRow`.

    Raises:
        IndexInvalid: names every error with its line number.
    """
    root = path.resolve().parent.parent
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise IndexInvalid([f"{path.name}: cannot be read: {error}"]) from error
    reader = csv.DictReader(text.splitlines(), strict=True)
    rows: list[Row] = []
    errors: list[str] = []
    try:
        missing = [column for column in columns if column not in (reader.fieldnames or [])]
        if missing:
            raise IndexInvalid([f"{path.name}: line 1: columns missing: {', '.join(missing)}"])
        for cells in reader:
            try:
                rows.append(parse(_checked(cells, columns), root))
            except BadRow as error:
                errors.append(f"{path.name}: line {reader.line_num}: {error}")
    except csv.Error as error:
        errors.append(f"{path.name}: line {reader.line_num}: {error}")
    if not rows and not errors:
        errors.append(f"{path.name}: has no rows")
    if errors:
        raise IndexInvalid(errors)
    return rows


def existing_file(name: str, root: Path) -> Path:
    """Return the path of a file named in an index.

    Raises:
        BadRow: if the name leads outside the folder or there is no such file.
    """
    path = (root / name).resolve()
    if not name or not path.is_relative_to(root):
        raise BadRow(f"file {name!r} is not inside the data folder")
    if not path.is_file():
        raise BadRow(f"file {name!r} does not exist")
    return path


def whole_number(cells: Mapping[str, str], column: str) -> int:
    """Return a cell as an integer.

    Raises:
        BadRow: if it is none.
    """
    try:
        return int(cells[column])
    except ValueError as error:
        raise BadRow(f"{column} is {cells[column]!r}, expected a whole number") from error


def one_of(cells: Mapping[str, str], column: str, allowed: Sequence[str]) -> str:
    """Return a cell that must have one of some values.

    Raises:
        BadRow: if it has another.
    """
    if cells[column] not in allowed:
        raise BadRow(f"{column} is {cells[column]!r}, expected {' or '.join(allowed)}")
    return cells[column]


def read_picture(path: Path) -> Pixels | None:
    """Return a picture as uint8 (H, W, 3) RGB, or None where the file holds none: a failure to acquire, counted by the caller."""
    content = np.frombuffer(path.read_bytes(), np.uint8)
    if not content.size:
        return None
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR)
    return None if picture is None else np.ascontiguousarray(picture[:, :, ::-1])


def _checked(cells: Mapping[str | None, str | None], columns: Sequence[str]) -> Mapping[str, str]:
    if None in cells or None in cells.values():
        raise BadRow("has another number of cells than the header")
    return {column: str(cells[column]).strip() for column in columns}
