"""Trials of rule packs: who asked for one, how far it is, and what came of it; as SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Connection, text

KEPT = 20
"""Trials of a pack; each may have counts of some ten thousand areas."""
TrialState = Literal["waiting", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial of one text of a pack."""

    trial_id: str
    pack_id: str
    version: int
    sha256: str
    day: date
    """On which people are looked at."""
    by_sealed: bytes
    asked_at: datetime
    state: TrialState
    people_done: int
    people_in_all: int
    ended_at: datetime | None
    result: dict[str, Any] | None


def add_trial(connection: Connection, trial: Trial) -> bool:
    """Store one that is asked for; return False if one of this pack is not ended yet."""
    return (
        connection.execute(
            text(
                "INSERT INTO pack_trials (trial_id, pack_id, version, sha256, day, by_sealed, asked_at, state, people_in_all)"
                " VALUES (:trial_id, :pack_id, :version, :sha256, :day, :by_sealed, :asked_at, 'waiting', :people_in_all)"
                " ON CONFLICT DO NOTHING RETURNING 1"
            ),
            {
                "trial_id": trial.trial_id,
                "pack_id": trial.pack_id,
                "version": trial.version,
                "sha256": trial.sha256,
                "day": trial.day,
                "by_sealed": trial.by_sealed,
                "asked_at": trial.asked_at,
                "people_in_all": trial.people_in_all,
            },
        ).scalar_one_or_none()
        is not None
    )


def people_in_all(connection: Connection) -> int:
    """Return about how many people there are, as the database's own statistics have it, at no cost."""
    found = connection.execute(text("SELECT reltuples FROM pg_class WHERE oid = 'subjects'::regclass")).scalar_one()
    return max(int(found), 0)


def find_trial(connection: Connection, trial_id: str) -> Trial | None:
    """Return one trial."""
    row = connection.execute(text(f"{_SELECT} WHERE trial_id = :id"), {"id": trial_id}).one_or_none()
    return None if row is None else _trial(row)


def trials_of(connection: Connection, pack_id: str, version: int) -> list[Trial]:
    """Return the trials of a version, the last one first; of what came of each only how many people would change."""
    rows = connection.execute(
        text(
            f"{_SELECT.replace(', result', _ONLY_CHANGED)} WHERE pack_id = :pack AND version = :version"
            " ORDER BY asked_at DESC, trial_id LIMIT :limit"
        ),
        {"pack": pack_id, "version": version, "limit": KEPT},
    )
    return [_trial(row) for row in rows]


def drop_old_trials(connection: Connection, pack_id: str) -> None:
    """Forget the trials of a pack but for the last ones; the audit log keeps that they were."""
    connection.execute(
        text(
            "DELETE FROM pack_trials WHERE pack_id = :pack AND state <> 'waiting' AND trial_id NOT IN (SELECT trial_id"
            " FROM pack_trials WHERE pack_id = :pack ORDER BY asked_at DESC, trial_id LIMIT :limit)"
        ),
        {"pack": pack_id, "limit": KEPT},
    )


def waiting_trials(connection: Connection) -> list[str]:
    """Return the ids of those that are not ended, the first one first."""
    rows = connection.execute(
        text("SELECT trial_id FROM pack_trials WHERE state = 'waiting' ORDER BY asked_at, trial_id")
    )
    return [str(found) for found in rows.scalars()]


def note_progress(connection: Connection, trial_id: str, people: int) -> None:
    """Store how many people were looked at."""
    connection.execute(
        text("UPDATE pack_trials SET people_done = :people WHERE trial_id = :id AND state = 'waiting'"),
        {"id": trial_id, "people": people},
    )


def end_trial(connection: Connection, trial_id: str, result: Mapping[str, Any] | None, *, now: datetime) -> bool:
    """Store what came of one, None where it failed; return False if it was ended before."""
    return (
        connection.execute(
            text(
                "UPDATE pack_trials SET state = :state, ended_at = :now, result = CAST(:result AS jsonb)"
                " WHERE trial_id = :id AND state = 'waiting' RETURNING 1"
            ),
            {
                "id": trial_id,
                "state": "failed" if result is None else "done",
                "now": now,
                "result": None if result is None else json.dumps(result, ensure_ascii=False),
            },
        ).scalar_one_or_none()
        is not None
    )


def _trial(row: Any) -> Trial:
    return Trial(
        row.trial_id,
        row.pack_id,
        row.version,
        row.sha256,
        row.day,
        bytes(row.by_sealed),
        row.asked_at,
        row.state,
        row.people_done,
        row.people_in_all,
        row.ended_at,
        row.result,
    )


_ONLY_CHANGED = ", CASE WHEN result IS NOT NULL THEN jsonb_build_object('changed', result -> 'changed') END AS result"
_SELECT = (
    "SELECT trial_id, pack_id, version, sha256, day, by_sealed, asked_at, state, people_done, people_in_all, ended_at, result"
    " FROM pack_trials"
)
