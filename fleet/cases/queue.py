"""The queue of cases as one person has it: what waits for whom, what is theirs to do, and which comes next.

Who took a case in, or said their word on it, stands in its history under a name of that case alone: no list in the database can be asked
for it. Cases are therefore read in order, a few at a time, until there are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from fleet.cases import history
from fleet.cases.machine import Case, State
from fleet.cases.standing import Standing, Waits, standing_of, waits_for
from fleet.keys import FieldCipher
from fleet.store.case_queue import Asked, Place, QueueRow, page_of

_CHUNK = 200
_MOST = 25
"""Most chunks that are read for one page: five thousand open cases of one's areas are not a queue any more."""
READY = (State.EVIDENCE_COMPLETE.value, State.IN_REVIEW.value, State.DISAGREED.value)
"""States in which a reviewer can do something."""


@dataclass(frozen=True, slots=True)
class Line:
    """One case of the queue."""

    row: QueueRow
    case: Case
    waits: Waits
    standing: Standing


@dataclass(frozen=True, slots=True)
class _Must:
    """What the database can tell of cases that somebody looks for: no other is read."""

    states: tuple[str, ...]
    has_verdict: bool = False


def line_of(cipher: FieldCipher, row: QueueRow, name: str) -> Line:
    """Return a case as it is to a person."""
    case = history.of_events(row.case_id, row.events)
    return Line(row, case, waits_for(case), standing_of(case, history.person(cipher, name, row.case_id)))


def is_anything(_line: Line) -> bool:
    """Take every case."""
    return True


def is_mine(line: Line) -> bool:
    """Take what the person may decide now."""
    return line.standing is Standing.MAY_DECIDE


def is_begun(line: Line) -> bool:
    """Take what waits for a second or third person."""
    return line.waits in (Waits.SECOND, Waits.THIRD)


_MUST: Mapping[Callable[[Line], bool], _Must] = {
    is_mine: _Must(READY),
    is_begun: _Must(READY, has_verdict=True),
}


def lines_of(
    connection: Connection,
    cipher: FieldCipher,
    asked: Asked,
    name: str,
    takes: Callable[[Line], bool],
    *,
    behind: Place | None = None,
    ahead: Place | None = None,
    limit: int,
) -> list[Line]:
    """Return so many cases of the queue in its order, behind a place or the last ones before one.

    Args:
        connection: where.
        cipher: the fleet's.
        asked: which cases.
        name: whose queue.
        takes: which of them.
        behind: a place; None for the beginning.
        ahead: a place, in its stead.
        limit: most rows.
    """
    if takes in _MUST:
        must = _MUST[takes]
        states = tuple(state for state in asked.states or must.states if state in must.states)
        if not states:
            return []
        asked = replace(asked, states=states, has_verdict=must.has_verdict)
    found: list[Line] = []
    size = limit if takes is is_anything else max(limit, _CHUNK)
    for _ in range(_MOST):
        rows = page_of(connection, asked, behind=behind, ahead=ahead, limit=size)
        taken = [line for line in (line_of(cipher, row, name) for row in rows) if takes(line)]
        found = [*taken, *found] if ahead else [*found, *taken]
        if len(rows) < size or len(found) >= limit:
            break
        if ahead:
            ahead = (rows[0].due_on, rows[0].case_id)
        else:
            behind = (rows[-1].due_on, rows[-1].case_id)
    return found[-limit:] if ahead else found[:limit]


def next_for(
    connection: Connection, cipher: FieldCipher, asked: Asked, name: str, *, behind: Place | None
) -> str | None:
    """Return the case that a person decides next: the first behind a place, else the first of all; None if there is none."""
    ready = replace(asked, is_over=False, states=READY)
    for begin in (behind, None) if behind else (None,):
        found = lines_of(connection, cipher, ready, name, is_mine, behind=begin, limit=1)
        if found:
            return found[0].row.case_id
    return None
