"""Where in a file, or in a message, something is wrong; for `protocol.errors.Problem.within`."""

from __future__ import annotations

from protocol.errors import Problem


def at_line(number: int) -> Problem:
    """Return a line of a file."""
    return Problem(f"line {number}", "line", line=number)


def at_row(number: int) -> Problem:
    """Return a row of a message."""
    return Problem(f"row {number}", "row", row=number)


def in_column(name: str) -> Problem:
    """Return a column, by our own name of it."""
    return Problem(name, "column", column=name)
