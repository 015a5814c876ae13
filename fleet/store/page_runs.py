"""Work that pages began and that goes on beside them, as SQL: who asked for what, how far it is, and what came of it, sealed."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, text

RunState = Literal["waiting", "running", "done", "stopped", "interrupted", "failed"]
BY, REASON, RESULT = "run_by", "run_reason", "run_result"
"""Names of the sealed fields; each is sealed for its run."""


@dataclass(frozen=True, slots=True)
class PageRun:
    """One run."""

    run_id: str
    kind: str
    account_id: str
    """Of whoever asked for it."""
    by_sealed: bytes
    worker: str
    """Names the lock of whatever works on it; nobody holds it once that is gone."""
    asked_at: datetime
    asked: Mapping[str, Any] = field(default_factory=dict)
    """What exactly was asked for: codes and numbers, no name."""
    reason_sealed: bytes | None = None
    done: int = 0
    in_all: int = 0
    """Steps there are; 0 while that is not known."""
    stop_asked: bool = False
    state: RunState = "waiting"
    ended_at: datetime | None = None
    result_sealed: bytes | None = None

    @property
    def is_open(self) -> bool:
        """Whether it waits or is under way."""
        return self.ended_at is None


def lock_kinds(connection: Connection) -> None:
    """Keep everybody else from adding a run until the end of the transaction."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('page_runs', 0))"))


def add_run(connection: Connection, run: PageRun) -> bool:
    """Store a run that is asked for; return False if there is one of this id."""
    return (
        connection.execute(
            text(
                "INSERT INTO page_runs (run_id, kind, account_id, by_sealed, reason_sealed, asked, worker, asked_at)"
                " VALUES (:run_id, :kind, :account_id, :by_sealed, :reason_sealed, CAST(:asked AS jsonb), :worker, :asked_at)"
                " ON CONFLICT DO NOTHING RETURNING 1"
            ),
            {
                "run_id": run.run_id,
                "kind": run.kind,
                "account_id": run.account_id,
                "by_sealed": run.by_sealed,
                "reason_sealed": run.reason_sealed,
                "asked": json.dumps(dict(run.asked), ensure_ascii=False),
                "worker": run.worker,
                "asked_at": run.asked_at,
            },
        ).scalar_one_or_none()
        is not None
    )


def find_run(connection: Connection, run_id: str) -> PageRun | None:
    """Return one run."""
    row = connection.execute(text(f"{_SELECT} WHERE run_id = :id"), {"id": run_id}).one_or_none()
    return None if row is None else PageRun(*row)


def open_runs(connection: Connection, kinds: Collection[str]) -> list[PageRun]:
    """Return the runs of some kinds that have not ended, the oldest first."""
    rows = connection.execute(
        text(f"{_SELECT} WHERE kind = ANY(:kinds) AND ended_at IS NULL ORDER BY asked_at, run_id"),
        {"kinds": list(kinds)},
    )
    return [PageRun(*row) for row in rows]


def newest_runs(
    connection: Connection, kinds: Collection[str], *, account_id: str | None = None, limit: int
) -> list[PageRun]:
    """Return the last runs of some kinds, of an account or of everybody, the newest first."""
    rows = connection.execute(
        text(
            f"{_SELECT} WHERE kind = ANY(:kinds) AND (CAST(:account AS text) IS NULL OR account_id = :account)"
            " ORDER BY asked_at DESC, run_id LIMIT :limit"
        ),
        {"kinds": list(kinds), "account": account_id, "limit": limit},
    )
    return [PageRun(*row) for row in rows]


def begin_run(connection: Connection, run_id: str) -> None:
    """Store that its turn has come."""
    connection.execute(
        text("UPDATE page_runs SET state = 'running' WHERE run_id = :id AND state = 'waiting'"), {"id": run_id}
    )


def note_progress(connection: Connection, run_id: str, done: int, in_all: int) -> bool:
    """Store how far one is; return whether somebody asked it to stop."""
    found = connection.execute(
        text(
            "UPDATE page_runs SET done = :done, in_all = :all WHERE run_id = :id AND ended_at IS NULL RETURNING stop_asked"
        ),
        {"id": run_id, "done": done, "all": in_all},
    )
    return bool(found.scalar_one_or_none())


def ask_to_stop(connection: Connection, run_id: str) -> bool:
    """Ask one to stop; return False if it has ended."""
    return (
        connection.execute(
            text("UPDATE page_runs SET stop_asked = true WHERE run_id = :id AND ended_at IS NULL"), {"id": run_id}
        ).rowcount
        > 0
    )


def end_run(connection: Connection, run_id: str, state: RunState, result: bytes | None, *, now: datetime) -> bool:
    """Store how one ended and what came of it; return False if it had ended before."""
    return (
        connection.execute(
            text(
                "UPDATE page_runs SET state = :state, ended_at = :now, result_sealed = :result"
                " WHERE run_id = :id AND ended_at IS NULL"
            ),
            {"id": run_id, "state": state, "now": now, "result": result},
        ).rowcount
        > 0
    )


def forget_runs(connection: Connection, *, before: datetime) -> int:
    """Delete runs of before a moment with their lines; return how many."""
    return connection.execute(
        text("DELETE FROM page_runs WHERE asked_at < :before AND ended_at IS NOT NULL"), {"before": before}
    ).rowcount


_SELECT = (
    "SELECT run_id, kind, account_id, by_sealed, worker, asked_at, asked, reason_sealed, done, in_all, stop_asked, state, ended_at,"
    " result_sealed FROM page_runs"
)
