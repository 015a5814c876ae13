"""Runs of photographs that pages sent, as SQL: how far each is, and what became of every file. No picture and no name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, text

RunState = Literal["running", "done", "stopped", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class PhotoRun:
    """One run."""

    run_id: str
    account_id: str
    """Of whoever sent it."""
    by_sealed: bytes
    unit: str | None
    form: str
    legal_basis: str
    is_dry: bool
    files: int
    """That were sent."""
    worker: str
    """Names the lock of whatever works on it; nobody holds it once that is gone."""
    started_at: datetime
    stop_asked: bool = False
    state: RunState = "running"
    ended_at: datetime | None = None


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


def add_run(connection: Connection, run: PhotoRun) -> bool:
    """Store a run that begins; return False if there is one of this id."""
    return (
        connection.execute(
            text(
                "INSERT INTO photo_runs (run_id, account_id, by_sealed, unit, form, legal_basis, is_dry, files, worker, started_at)"
                " VALUES (:run_id, :account_id, :by_sealed, :unit, :form, :legal_basis, :is_dry, :files, :worker, :started_at)"
                " ON CONFLICT DO NOTHING RETURNING 1"
            ),
            {
                "run_id": run.run_id,
                "account_id": run.account_id,
                "by_sealed": run.by_sealed,
                "unit": run.unit,
                "form": run.form,
                "legal_basis": run.legal_basis,
                "is_dry": run.is_dry,
                "files": run.files,
                "worker": run.worker,
                "started_at": run.started_at,
            },
        ).scalar_one_or_none()
        is not None
    )


def find_run(connection: Connection, run_id: str) -> PhotoRun | None:
    """Return one run."""
    row = connection.execute(text(f"{_SELECT} WHERE run_id = :id"), {"id": run_id}).one_or_none()
    return None if row is None else PhotoRun(*row)


def newest_runs(connection: Connection, *, account_id: str | None, limit: int) -> list[PhotoRun]:
    """Return the last runs of an account, or of everybody, the newest first."""
    where = "" if account_id is None else " WHERE account_id = :account"
    rows = connection.execute(
        text(f"{_SELECT}{where} ORDER BY started_at DESC, run_id LIMIT :limit"),
        {"limit": limit} if account_id is None else {"account": account_id, "limit": limit},
    )
    return [PhotoRun(*row) for row in rows]


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


def ask_to_stop(connection: Connection, run_id: str) -> bool:
    """Ask a run to stop behind the file that it is at; return False if it has ended."""
    return (
        connection.execute(
            text("UPDATE photo_runs SET stop_asked = true WHERE run_id = :id AND state = 'running'"), {"id": run_id}
        ).rowcount
        > 0
    )


def is_stop_asked(connection: Connection, run_id: str) -> bool:
    """Return whether somebody asked a run to stop."""
    found = connection.execute(text("SELECT stop_asked FROM photo_runs WHERE run_id = :id"), {"id": run_id})
    return bool(found.scalar_one_or_none())


def end_run(connection: Connection, run_id: str, state: RunState, *, now: datetime) -> bool:
    """Store how a run ended; return False if it had ended before."""
    return (
        connection.execute(
            text("UPDATE photo_runs SET state = :state, ended_at = :now WHERE run_id = :id AND state = 'running'"),
            {"id": run_id, "state": state, "now": now},
        ).rowcount
        > 0
    )


def forget_runs(connection: Connection, *, before: datetime) -> int:
    """Delete runs of before a moment with their lines; return how many."""
    return connection.execute(
        text("DELETE FROM photo_runs WHERE started_at < :before AND state <> 'running'"), {"before": before}
    ).rowcount


def _line(row: Any) -> RunLine:
    faults = tuple((reason, found, asked) for reason, found, asked in row.faults)
    return RunLine(row.file, row.ends, row.result, faults, row.subject_id, row.reference_id)


_SELECT = (
    "SELECT run_id, account_id, by_sealed, unit, form, legal_basis, is_dry, files, worker, started_at, stop_asked, state, ended_at"
    " FROM photo_runs"
)
