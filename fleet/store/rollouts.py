"""Roll-outs and their terminals, as SQL."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from fleet.store.database import notify
from fleet.store.terminal_settings import Scope, Target
from protocol.desired import SettingValues

ROLLOUT_CHANNEL = "lifecert_rollouts"
"""Notified when a person has changed a roll-out."""


@dataclass(frozen=True, slots=True)
class StoredRollout:
    """A roll-out as it is stored; what its state and plan mean is `fleet.updates.rollout`'s."""

    rollout_id: str
    place: int
    """One that was made later has a larger one."""
    bundle_id: str | None
    settings: SettingValues | None
    target: Target | None
    """Whose settings."""
    areas: tuple[str, ...] | None
    """None for the whole fleet; else with all areas below."""
    plan: dict[str, Any]
    state: str
    phase: int
    phase_since: datetime | None
    why: str | None
    version: int
    made_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    made_by_sealed: bytes = field(repr=False)
    reason_sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredMember:
    """One terminal of a roll-out."""

    terminal_id: str
    phase: int
    released_at: datetime | None
    is_left_out: bool
    standing: str
    why: str | None
    """The code that it gave when it went back or refused; it stays when the terminal says something else later."""


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """One terminal of a roll-out with what is known of it."""

    member: StoredMember
    last_word_at: datetime | None
    is_out: bool
    """Retired, or suspended: it is asked for nothing, and its silence says nothing of what is rolled out."""
    reported: Any
    """JSON of its own word; None if it never said."""
    number: int
    """Of what it is asked to be; 0 for nothing."""
    wanted: Any
    """JSON of that; None for nothing."""


def lock_making(connection: Connection) -> None:
    """Make and start roll-outs one at a time: two at once would not see each other."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('roll-outs made', 0))"))


def add_rollout(connection: Connection, rollout: StoredRollout, members: Mapping[str, int]) -> None:
    """Store a roll-out with the phase of each of its terminals."""
    target = rollout.target
    connection.execute(
        text(
            "INSERT INTO rollouts (rollout_id, bundle_id, settings, scope, target, areas, plan, state, phase, made_at,"
            " made_by_sealed, reason_sealed) VALUES (:id, :bundle, CAST(:settings AS jsonb), :scope, :target, :areas,"
            " CAST(:plan AS jsonb), :state, :phase, :at, :by, :reason)"
        ),
        {
            "id": rollout.rollout_id,
            "bundle": rollout.bundle_id,
            "settings": None if rollout.settings is None else rollout.settings.model_dump_json(exclude_none=True),
            "scope": None if target is None else target.scope.value,
            "target": None if target is None else target.name,
            "areas": None if rollout.areas is None else list(rollout.areas),
            "plan": json.dumps(rollout.plan),
            "state": rollout.state,
            "phase": rollout.phase,
            "at": rollout.made_at,
            "by": rollout.made_by_sealed,
            "reason": rollout.reason_sealed,
        },
    )
    if members:
        connection.execute(
            text("INSERT INTO rollout_members (rollout_id, terminal_id, phase) VALUES (:rollout, :terminal, :phase)"),
            [
                {"rollout": rollout.rollout_id, "terminal": terminal, "phase": phase}
                for terminal, phase in sorted(members.items())
            ],
        )


def find_rollout(connection: Connection, rollout_id: str, *, lock: bool = False) -> StoredRollout | None:
    """Return a roll-out; with a lock, nobody else changes it meanwhile."""
    tail = " FOR UPDATE" if lock else ""
    row = connection.execute(text(f"{_SELECT} WHERE rollout_id = :id{tail}"), {"id": rollout_id}).one_or_none()
    return None if row is None else _rollout(row)


def newest_rollouts(
    connection: Connection, *, limit: int, below: int | None = None, above: int | None = None
) -> list[StoredRollout]:
    """Return roll-outs, the newest first, from below a place on, or the last ones above one."""
    order = "ASC" if above is not None else "DESC"
    rows = connection.execute(
        text(
            f"{_SELECT} WHERE (CAST(:below AS bigint) IS NULL OR place < :below)"
            f" AND (CAST(:above AS bigint) IS NULL OR place > :above) ORDER BY place {order} LIMIT :limit"
        ),
        {"limit": limit, "below": below, "above": above},
    )
    found = [_rollout(row) for row in rows]
    return found[::-1] if above is not None else found


def rollouts_in(connection: Connection, states: Collection[str]) -> list[StoredRollout]:
    """Return all roll-outs in some of the states, the newest first."""
    rows = connection.execute(
        text(f"{_SELECT} WHERE state = ANY(:states) ORDER BY place DESC"), {"states": sorted(states)}
    )
    return [_rollout(row) for row in rows]


def save_state(
    connection: Connection,
    rollout_id: str,
    *,
    state: str,
    phase: int,
    phase_since: datetime | None,
    why: str | None,
    is_over: bool,
    now: datetime,
) -> None:
    """Store where a roll-out stands; one that runs for the first time has started."""
    connection.execute(
        text(
            "UPDATE rollouts SET state = :state, phase = :phase, phase_since = :since, why = :why, version = version + 1,"
            " started_at = CASE WHEN :state = 'running' THEN coalesce(started_at, :now) ELSE started_at END,"
            " ended_at = CASE WHEN :over THEN CAST(:now AS timestamptz) END WHERE rollout_id = :id"
        ),
        {
            "id": rollout_id,
            "state": state,
            "phase": phase,
            "since": phase_since,
            "why": why,
            "over": is_over,
            "now": now,
        },
    )
    notify(connection, ROLLOUT_CHANNEL, rollout_id)


def touch(connection: Connection, rollout_id: str) -> None:
    """Count one more change of a roll-out, and have it looked at."""
    connection.execute(text("UPDATE rollouts SET version = version + 1 WHERE rollout_id = :id"), {"id": rollout_id})
    notify(connection, ROLLOUT_CHANNEL, rollout_id)


def release(connection: Connection, rollout_id: str, *, phase: int, now: datetime) -> None:
    """Note that everybody up to a phase is asked."""
    connection.execute(
        text(
            "UPDATE rollout_members SET released_at = :now, standing = 'working'"
            " WHERE rollout_id = :id AND phase <= :phase AND released_at IS NULL AND NOT is_left_out"
        ),
        {"id": rollout_id, "phase": phase, "now": now},
    )


def leave_out(connection: Connection, rollout_id: str, terminal_id: str) -> bool:
    """Take a terminal out of a roll-out; return False if it is not in it any more."""
    return (
        connection.execute(
            text(
                "UPDATE rollout_members SET is_left_out = true, standing = 'left_out', why = NULL"
                " WHERE rollout_id = :id AND terminal_id = :terminal AND NOT is_left_out RETURNING 1"
            ),
            {"id": rollout_id, "terminal": terminal_id},
        ).scalar_one_or_none()
        is not None
    )


def facts_of(connection: Connection, rollout_id: str) -> list[MemberFacts]:
    """Return every terminal of a roll-out with what is known of it."""
    rows = connection.execute(
        text(
            "SELECT m.terminal_id, m.phase, m.released_at, m.is_left_out, m.standing, m.why, t.last_word_at,"
            " (t.retired_at IS NOT NULL OR t.suspended_at IS NOT NULL) AS is_out,"
            # Most of a large roll-out have ended well, which does not change: their words need not be read again.
            " CASE WHEN m.standing IN ('kept', 'ahead') THEN NULL ELSE t.reported END AS reported, coalesce(d.number, 0) AS number,"
            " CASE WHEN m.standing IN ('kept', 'ahead') THEN NULL ELSE d.wanted END AS wanted"
            " FROM rollout_members m JOIN terminals t USING (terminal_id) LEFT JOIN desired_states d USING (terminal_id)"
            " WHERE m.rollout_id = :id ORDER BY m.phase, m.terminal_id"
        ),
        {"id": rollout_id},
    )
    return [
        MemberFacts(
            StoredMember(row.terminal_id, row.phase, row.released_at, row.is_left_out, row.standing, row.why),
            row.last_word_at,
            row.is_out,
            row.reported,
            row.number,
            row.wanted,
        )
        for row in rows
    ]


def save_standings(connection: Connection, rollout_id: str, standings: Mapping[str, tuple[str, str | None]]) -> None:
    """Store where terminals stand, and why."""
    if standings:
        connection.execute(
            text(
                "UPDATE rollout_members SET standing = :standing, why = :why"
                " WHERE rollout_id = :rollout AND terminal_id = :terminal"
            ),
            [
                {"rollout": rollout_id, "terminal": terminal, "standing": standing, "why": why}
                for terminal, (standing, why) in sorted(standings.items())
            ],
        )


def counts_of(connection: Connection, rollout_ids: Collection[str]) -> dict[str, dict[int, dict[str, int]]]:
    """Return how many terminals of roll-outs there are by phase and standing."""
    found: dict[str, dict[int, dict[str, int]]] = {each: {} for each in rollout_ids}
    rows = connection.execute(
        text(
            "SELECT rollout_id, phase, standing, count(*) AS terminals FROM rollout_members WHERE rollout_id = ANY(:ids)"
            " GROUP BY rollout_id, phase, standing ORDER BY rollout_id, phase, standing"
        ),
        {"ids": sorted(rollout_ids)},
    )
    for row in rows:
        found[row.rollout_id].setdefault(row.phase, {})[row.standing] = row.terminals
    return found


def members_of(
    connection: Connection,
    rollout_id: str,
    *,
    standings: Sequence[str] = (),
    after: str = "",
    before: str = "",
    limit: int,
) -> list[StoredMember]:
    """Return terminals of a roll-out by id after an id, or, the last ones, before one; of some standings, or of all."""
    order = "DESC" if before else "ASC"
    rows = connection.execute(
        text(
            "SELECT terminal_id, phase, released_at, is_left_out, standing, why FROM rollout_members WHERE rollout_id = :id"  # noqa: S608 - fixed
            " AND (CAST(:standings AS text[]) IS NULL OR standing = ANY(:standings))"
            " AND (:before = '' OR terminal_id < :before) AND terminal_id > :after"
            f" ORDER BY terminal_id {order} LIMIT :limit"
        ),
        {
            "id": rollout_id,
            "standings": list(standings) or None,
            "after": after,
            "before": before,
            "limit": limit,
        },
    )
    found = [StoredMember(*row) for row in rows]
    return found[::-1] if before else found


def membership(
    connection: Connection, rollout_ids: Collection[str], terminal_ids: Collection[str] | None
) -> dict[str, dict[str, StoredMember]]:
    """Return terminals, all or some, of roll-outs, by roll-out and terminal."""
    found: dict[str, dict[str, StoredMember]] = {each: {} for each in rollout_ids}
    rows = connection.execute(
        text(
            "SELECT rollout_id, terminal_id, phase, released_at, is_left_out, standing, why FROM rollout_members"
            " WHERE rollout_id = ANY(:rollouts) AND (CAST(:ids AS text[]) IS NULL OR terminal_id = ANY(:ids))"
        ),
        {"rollouts": sorted(rollout_ids), "ids": None if terminal_ids is None else sorted(terminal_ids)},
    )
    for row in rows:
        found[row.rollout_id][row.terminal_id] = StoredMember(*row[1:])
    return found


def released_at(connection: Connection, rollout_id: str, terminal_id: str) -> datetime | None:
    """Return when a roll-out asked a terminal; None if it has not, or the terminal came after its end."""
    found: datetime | None = connection.execute(
        text("SELECT released_at FROM rollout_members WHERE rollout_id = :rollout AND terminal_id = :terminal"),
        {"rollout": rollout_id, "terminal": terminal_id},
    ).scalar_one_or_none()
    return found


def open_rollouts_of(connection: Connection, terminal_id: str) -> list[tuple[StoredRollout, StoredMember]]:
    """Return the roll-outs that run, or are paused, with a terminal, and its place in each, the newest first."""
    states = {"running", "paused"}
    own = []
    for rollout in rollouts_in(connection, states):
        member = membership(connection, [rollout.rollout_id], [terminal_id])[rollout.rollout_id].get(terminal_id)
        if member is not None:
            own.append((rollout, member))
    return own


def terminals_in(connection: Connection, areas: Collection[str] | None) -> dict[str, str]:
    """Return the area of each terminal in service, of the whole fleet or of these areas and those below them."""
    rows = connection.execute(
        text(
            "WITH RECURSIVE below AS (SELECT CAST(unnest(CAST(:areas AS text[])) AS text) AS code"
            " UNION SELECT a.code FROM areas a JOIN below b ON a.parent = b.code)"
            " SELECT terminal_id, area FROM terminals WHERE retired_at IS NULL"
            " AND (CAST(:areas AS text[]) IS NULL OR area IN (SELECT code FROM below)) ORDER BY terminal_id"
        ),
        {"areas": None if areas is None else sorted(areas)},
    )
    return {row.terminal_id: row.area for row in rows}


def parents(connection: Connection) -> dict[str, str | None]:
    """Return the area above each area."""
    rows = connection.execute(text("SELECT code, parent FROM areas"))
    return {row.code: row.parent for row in rows}


def mark(connection: Connection) -> tuple[int, datetime | None]:
    """Return what changes whenever a terminal comes, goes or moves."""
    row = connection.execute(
        text(
            "SELECT (SELECT count(*) FROM terminals WHERE retired_at IS NULL) AS terminals,"
            " (SELECT max(since) FROM terminal_areas) AS moved"
        )
    ).one()
    return row.terminals, row.moved


_SELECT = (
    "SELECT rollout_id, place, bundle_id, settings, scope, target, areas, plan, state, phase, phase_since, why, version,"
    " made_at, started_at, ended_at, made_by_sealed, reason_sealed FROM rollouts"
)


def _rollout(row: Any) -> StoredRollout:
    return StoredRollout(
        rollout_id=row.rollout_id,
        place=row.place,
        bundle_id=row.bundle_id,
        settings=None if row.settings is None else SettingValues.model_validate(row.settings),
        target=None if row.scope is None else Target(Scope(row.scope), row.target),
        areas=None if row.areas is None else tuple(row.areas),
        plan=row.plan,
        state=row.state,
        phase=row.phase,
        phase_since=row.phase_since,
        why=row.why,
        version=row.version,
        made_at=row.made_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        made_by_sealed=bytes(row.made_by_sealed),
        reason_sealed=bytes(row.reason_sealed),
    )
