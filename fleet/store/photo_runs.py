"""What became of every file of a run of photographs (`fleet.store.page_runs`), as SQL. No picture and no name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class RunLine:
    """One file of a run."""

    file: int
    ends: str
    result: str
    faults: tuple[tuple[str, str, str], ...]
    """Reason, what was found, what is asked for."""
    subject_id: str | None
    reference_id: str | None


def add_line(connection: Connection, run_id: str, line: RunLine) -> None:
    """Store what became of a file."""
    connection.execute(
        text(
            "INSERT INTO photo_run_lines (run_id, file, ends, result, faults, subject_id, reference_id)"
            " VALUES (:run, :file, :ends, :result, CAST(:faults AS jsonb), :subject, :reference)"
        ),
        {
            "run": run_id,
            "file": line.file,
            "ends": line.ends,
            "result": line.result,
            "faults": json.dumps(line.faults, ensure_ascii=False),
            "subject": line.subject_id,
            "reference": line.reference_id,
        },
    )


def lines_of(
    connection: Connection, run_id: str, *, result: str = "", behind: int = 0, ahead: int | None = None, limit: int
) -> list[RunLine]:
    """Return lines of a run in their order.

    Args:
        connection: where.
        run_id: of which.
        result: only those that came to it; empty for all.
        behind: only files with a larger number.
        ahead: the last ones with a smaller number, in place of the first ones of all.
        limit: so many at most.
    """
    rows = connection.execute(
        text(
            "SELECT file, ends, result, faults, subject_id, reference_id FROM photo_run_lines WHERE run_id = :run"
            " AND (:result = '' OR result = :result) AND file > :behind AND (CAST(:ahead AS integer) IS NULL OR file < :ahead)"
            " ORDER BY CASE WHEN CAST(:ahead AS integer) IS NULL THEN file ELSE -file END LIMIT :limit"
        ),
        {"run": run_id, "result": result, "behind": behind, "ahead": ahead, "limit": limit},
    )
    found = [_line(row) for row in rows]
    return found if ahead is None else found[::-1]


def find_line(connection: Connection, run_id: str, file: int) -> RunLine | None:
    """Return one file of a run."""
    found = lines_of(connection, run_id, behind=file - 1, limit=1)
    return found[0] if found and found[0].file == file else None


def counts_of(connection: Connection, run_ids: Sequence[str]) -> dict[str, Mapping[str, int]]:
    """Return how many files of each run came to which result."""
    rows = connection.execute(
        text(
            "SELECT run_id, result, count(*) FROM photo_run_lines WHERE run_id = ANY(:runs) GROUP BY run_id, result ORDER BY 1, 2"
        ),
        {"runs": list(run_ids)},
    )
    found: dict[str, dict[str, int]] = {run_id: {} for run_id in run_ids}
    for run_id, result, count in rows:
        found[run_id][result] = count
    return dict(found)


def _line(row: Any) -> RunLine:
    faults = tuple((reason, found, asked) for reason, found, asked in row.faults)
    return RunLine(row.file, row.ends, row.result, faults, row.subject_id, row.reference_id)
