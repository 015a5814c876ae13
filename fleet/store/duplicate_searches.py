"""Searches for duplicates that pages began, as SQL: how far each is, and what came of it, as counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, text

SearchKind = Literal["face", "number"]
SearchState = Literal["running", "done", "stopped", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class SearchRun:
    """One search."""

    search_id: str
    kind: SearchKind
    both_sexes: bool
    all_ages: bool
    by_sealed: bytes
    reason_sealed: bytes
    worker: str
    """Names the lock of whatever works on it; nobody holds it once that is gone."""
    started_at: datetime
    done: int = 0
    in_all: int = 0
    """Steps there are; 0 while that is not known."""
    stop_asked: bool = False
    state: SearchState = "running"
    ended_at: datetime | None = None
    result: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class FoundHit:
    """A hit that was found while a search ran."""

    hit_id: str
    kind: str
    state: str
    score: float | None


def add_search(connection: Connection, run: SearchRun) -> bool:
    """Store one that begins; return False if there is one of this id, or one of its kind is running."""
    return (
        connection.execute(
            text(
                "INSERT INTO duplicate_searches (search_id, kind, both_sexes, all_ages, by_sealed, reason_sealed, worker, started_at)"
                " VALUES (:search_id, :kind, :both_sexes, :all_ages, :by_sealed, :reason_sealed, :worker, :started_at)"
                " ON CONFLICT DO NOTHING RETURNING 1"
            ),
            {
                "search_id": run.search_id,
                "kind": run.kind,
                "both_sexes": run.both_sexes,
                "all_ages": run.all_ages,
                "by_sealed": run.by_sealed,
                "reason_sealed": run.reason_sealed,
                "worker": run.worker,
                "started_at": run.started_at,
            },
        ).scalar_one_or_none()
        is not None
    )


def find_search(connection: Connection, search_id: str) -> SearchRun | None:
    """Return one search."""
    row = connection.execute(text(f"{_SELECT} WHERE search_id = :id"), {"id": search_id}).one_or_none()
    return None if row is None else SearchRun(*row)


def running_search(connection: Connection, kind: SearchKind) -> SearchRun | None:
    """Return the search of a kind that has not ended."""
    row = connection.execute(text(f"{_SELECT} WHERE kind = :kind AND state = 'running'"), {"kind": kind}).one_or_none()
    return None if row is None else SearchRun(*row)


def newest_searches(connection: Connection, *, limit: int) -> list[SearchRun]:
    """Return the last searches, the newest first."""
    rows = connection.execute(text(f"{_SELECT} ORDER BY started_at DESC, search_id LIMIT :limit"), {"limit": limit})
    return [SearchRun(*row) for row in rows]


def note_search(connection: Connection, search_id: str, done: int, in_all: int) -> bool:
    """Store how far one is; return whether somebody asked it to stop."""
    found = connection.execute(
        text(
            "UPDATE duplicate_searches SET done = :done, in_all = :all WHERE search_id = :id AND state = 'running'"
            " RETURNING stop_asked"
        ),
        {"id": search_id, "done": done, "all": in_all},
    )
    return bool(found.scalar_one_or_none())


def ask_to_stop(connection: Connection, search_id: str) -> bool:
    """Ask one to stop; return False if it has ended."""
    return (
        connection.execute(
            text("UPDATE duplicate_searches SET stop_asked = true WHERE search_id = :id AND state = 'running'"),
            {"id": search_id},
        ).rowcount
        > 0
    )


def end_search(
    connection: Connection, search_id: str, state: SearchState, result: Mapping[str, Any] | None, *, now: datetime
) -> bool:
    """Store how one ended and what came of it; return False if it had ended before."""
    return (
        connection.execute(
            text(
                "UPDATE duplicate_searches SET state = :state, ended_at = :now, result = CAST(:result AS jsonb)"
                " WHERE search_id = :id AND state = 'running'"
            ),
            {
                "id": search_id,
                "state": state,
                "now": now,
                "result": None if result is None else json.dumps(result, ensure_ascii=False),
            },
        ).rowcount
        > 0
    )


def hits_found(connection: Connection, run: SearchRun, *, now: datetime, limit: int) -> list[FoundHit]:
    """Return hits that were found while a search ran, the most alike first."""
    rows = connection.execute(
        text(
            "SELECT hit_id, kind, state, score FROM duplicate_hits WHERE found_at BETWEEN :start AND :end"
            " AND (kind = 'same_face') = :is_face ORDER BY coalesce(score, -2) DESC, hit_id LIMIT :limit"
        ),
        {"start": run.started_at, "end": run.ended_at or now, "is_face": run.kind == "face", "limit": limit},
    )
    return [FoundHit(*row) for row in rows]


_SELECT = (
    "SELECT search_id, kind, both_sexes, all_ages, by_sealed, reason_sealed, worker, started_at, done, in_all, stop_asked, state,"
    " ended_at, result FROM duplicate_searches"
)
