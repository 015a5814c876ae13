"""What the page of one terminal shows besides its row, as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One session of a terminal, without whom it was about."""

    record_id: str
    counter: int
    outcome: str
    reasons: list[str]
    purpose: str
    path: str
    event_at: datetime
    received_at: datetime
    seconds: float | None
    """From its start to the decision, by the clock of the boot; None where the board started anew in between."""
    quality: dict[str, float]
    flags: list[str]
    chain: str


@dataclass(frozen=True, slots=True)
class Published:
    """What the fleet has published for one terminal."""

    policy_version: str | None
    rule_packs: datetime | None
    """When the newest pack in force came into force, which names the set."""
    staff: datetime | None
    card_keys: datetime | None


def session_lines(connection: Connection, terminal_id: str, *, limit: int) -> list[SessionLine]:
    """Return the newest sessions of a terminal by its own count."""
    rows = connection.execute(
        text(
            "SELECT r.record_id, r.counter, r.outcome, r.payload #> '{decision,reasons}' AS reasons,"
            " coalesce(r.payload ->> 'purpose', 'certification') AS purpose, r.payload #>> '{decision,path}' AS path, r.event_at,"
            " r.received_at, CAST(CASE WHEN r.payload #>> '{started,boot_id}' = r.payload #>> '{decided,boot_id}' THEN"
            " (CAST(r.payload #>> '{decided,monotonic_ns}' AS bigint) - CAST(r.payload #>> '{started,monotonic_ns}' AS bigint))"
            " / 1e9 END AS double precision) AS seconds, coalesce(r.payload -> 'quality', '{}') AS quality, r.flags, l.chain"
            " FROM records r JOIN links l USING (record_id) WHERE r.terminal_id = :id ORDER BY r.counter DESC LIMIT :limit"
        ),
        {"id": terminal_id, "limit": limit},
    )
    return [SessionLine(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class SessionPerson:
    """Whom a session was about."""

    record_id: str
    outcome: str
    event_at: datetime
    subject_id: str
    name_sealed: bytes


def session_people(
    connection: Connection, terminal_id: str, within: Sequence[str] | None, *, limit: int
) -> list[SessionPerson]:
    """Return whom the newest sessions of a terminal were about, as far as they live or are paid in these areas themselves; None for all.

    Sessions about nobody who is known, or somebody from elsewhere, are left out.
    """
    rows = connection.execute(
        text(
            "SELECT r.record_id, r.outcome, r.event_at, s.subject_id, s.name_sealed FROM ("
            "SELECT record_id, outcome, event_at, subject_id, counter FROM records WHERE terminal_id = :id"
            " ORDER BY counter DESC LIMIT :limit) r JOIN subjects s USING (subject_id)"
            " WHERE CAST(:within AS text[]) IS NULL OR EXISTS (SELECT 1 FROM subject_areas a"
            " WHERE a.subject_id = s.subject_id AND a.area = ANY(:within)) ORDER BY r.counter DESC"
        ),
        {"id": terminal_id, "limit": limit, "within": None if within is None else list(within)},
    )
    return [SessionPerson(*row) for row in rows]


def published_for(connection: Connection, terminal_id: str) -> Published:
    """Return what a terminal is to have besides its roster."""
    row = connection.execute(
        text(
            "SELECT (SELECT policy_version FROM policies ORDER BY issued_at DESC, policy_version DESC LIMIT 1) AS policy,"
            " (SELECT max(in_force_at) FROM rule_packs) AS packs, staff_sent_at, card_keys_sent_at FROM terminals"
            " WHERE terminal_id = :id"
        ),
        {"id": terminal_id},
    ).one()
    return Published(*row)
