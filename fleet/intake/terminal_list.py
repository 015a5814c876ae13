"""Reads a list of terminals to come, for which claims are made: all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from fleet.tables.places import at_line, in_column
from fleet.tables.reading import Column, Source, read_table, refuse
from protocol.errors import Problem
from protocol.ids import TerminalId

_COLUMNS = {"terminal_id": Column(("终端", "终端编号")), "area": Column(("地区", "区划代码"))}
_ID: TypeAdapter[str] = TypeAdapter(TerminalId)


@dataclass(frozen=True, slots=True)
class ListedTerminal:
    """One terminal to come."""

    terminal_id: str
    area: str


def read_terminal_list(
    path: Source,
    *,
    registered: Collection[str],
    is_area: Callable[[str], bool],
    claimed: Callable[[str], Problem | None] = lambda _: None,
) -> list[ListedTerminal]:
    """Read and check a whole list; columns beside `terminal_id` and `area` are left to `lifecert-provision card`.

    Args:
        path: CSV or XLSX.
        registered: terminals that are there already.
        is_area: whether there is an area of this code.
        claimed: says why a claim that is there keeps a terminal from having another one; None where it does not.

    Raises:
        ImportRefused: with every problem and its line.
    """
    table = read_table(path, _COLUMNS)
    problems = list(table.problems)
    found: list[ListedTerminal] = []
    lines: dict[str, int] = {}
    for row in table.rows:
        each = ListedTerminal(row.cells["terminal_id"], row.cells["area"])
        if not row.faults:
            problems += [problem.within(at_line(row.line)) for problem in _wrong(each, registered, is_area, claimed)]
        if lines.setdefault(each.terminal_id, row.line) != row.line:
            first = at_line(lines[each.terminal_id])
            problems.append(
                Problem(f"same terminal as {first}", "same_terminal", other=first).within(at_line(row.line))
            )
        found.append(each)
    if problems:
        refuse(path, problems)
    return found


def _wrong(
    each: ListedTerminal,
    registered: Collection[str],
    is_area: Callable[[str], bool],
    claimed: Callable[[str], Problem | None],
) -> list[Problem]:
    wrong: list[Problem] = []
    try:
        _ID.validate_python(each.terminal_id)
    except ValidationError:
        sentence = "small letters, digits and dashes expected, 63 at most"
        wrong.append(Problem(sentence, "terminal_form").within(in_column("terminal_id")))
    if each.terminal_id in registered:
        sentence = (
            f"terminal {each.terminal_id}: is registered already; leave the line out, or swap it (`terminals swap`)"
        )
        wrong.append(Problem(sentence, "claim_known", terminal=each.terminal_id))
    if (problem := claimed(each.terminal_id)) is not None:
        wrong.append(problem)
    if not each.area or not is_area(each.area):
        wrong.append(Problem("there is no area of this code", "listed_area").within(in_column("area")))
    return wrong
