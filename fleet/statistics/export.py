"""Writes tables as CSV, XLSX or JSON, by the ending of the file's name."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import Refused
from fleet.tables.writing import to_csv, to_xlsx

ENDINGS = (".csv", ".xlsx", ".json")


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table."""

    title: str
    heading: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


def export(path: Path, sheets: Sequence[Sheet]) -> None:
    """Write tables to a file, in place of an earlier one; a file is whole or not there.

    CSV is UTF-8 with a byte order mark, which spreadsheets need to read Chinese; several tables follow each other with an empty line
    between.

    Raises:
        Refused: if its name has another ending, or it cannot be written.
    """
    if path.suffix.lower() not in ENDINGS:
        raise Refused(f"{path.name}: a name that ends in {', '.join(ENDINGS)} expected")
    try:
        handle, name = tempfile.mkstemp(prefix=".lifecert-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise Refused(f"{path}: cannot be written: {error.strerror}") from error
    made = Path(name)
    try:
        made.write_bytes(content(sheets, path.suffix.lower()))
        made.replace(path)
    except OSError as error:
        raise Refused(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        made.unlink(missing_ok=True)


def as_json(sheets: Iterable[Sheet]) -> dict[str, list[dict[str, object]]]:
    """Return tables for JSON, by title."""
    return {sheet.title: [dict(zip(sheet.heading, row, strict=True)) for row in sheet.rows] for sheet in sheets}


def content(sheets: Sequence[Sheet], ending: str) -> bytes:
    """Return what a file with one of `ENDINGS` holds."""
    if ending == ".json":
        return json.dumps(as_json(sheets), ensure_ascii=False, indent=1).encode()
    if ending == ".csv":
        return to_csv(*((sheet.heading, sheet.rows) for sheet in sheets))
    return to_xlsx((sheet.title, sheet.heading, sheet.rows) for sheet in sheets)
