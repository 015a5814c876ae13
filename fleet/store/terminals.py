"""Terminals: keys, standing and presence, as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, text

from fleet.admission import KnownPresence
from protocol.keys import PublicJwk
from protocol.presence import Presence


@dataclass(frozen=True, slots=True)
class StoredTerminal:
    """What ingest must know of a terminal."""

    terminal_id: str
    area: str
    signing_key: PublicJwk
    signing_key_id: str
    """Its thumbprint, worked out once and not for every message."""
    sealing_key: PublicJwk
    retired_at: datetime | None
    last_counter: int
    roster_version: int
    roster_pushed: int
    """Newest roster version that was sent to it."""
    presence: KnownPresence

    def key_of(self, key_id: str) -> PublicJwk | None:
        """Return the key that may sign for this terminal, for `protocol.envelope.verify`."""
        return self.signing_key if self.signing_key_id == key_id else None


def find_terminals(
    connection: Connection, terminal_ids: Sequence[str] | None = None, *, lock: bool = False
) -> dict[str, StoredTerminal]:
    """Return terminals by id.

    Args:
        connection: where to look.
        terminal_ids: which; None for all.
        lock: hold them until the transaction ends, so that records of one terminal are admitted one after the other.
    """
    where = "" if terminal_ids is None else "WHERE terminal_id = ANY(:ids)"
    tail = "FOR NO KEY UPDATE" if lock else ""
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM terminals {where} ORDER BY terminal_id {tail}"),  # noqa: S608 - fixed fragments
        {} if terminal_ids is None else {"ids": sorted(set(terminal_ids))},
    )
    return {row.terminal_id: _terminal(row) for row in rows}


def add_terminal(
    connection: Connection,
    terminal_id: str,
    *,
    area: str,
    signing_key: PublicJwk,
    sealing_key: PublicJwk,
    now: datetime,
) -> bool:
    """Register a terminal; return False if the id is taken."""
    added = (
        connection.execute(
            text(
                "INSERT INTO terminals (terminal_id, area, signing_key, sealing_key, registered_at) VALUES"
                " (:id, :area, CAST(:signing AS jsonb), CAST(:sealing AS jsonb), :now)"
                " ON CONFLICT (terminal_id) DO NOTHING RETURNING terminal_id"
            ),
            {
                "id": terminal_id,
                "area": area,
                "signing": signing_key.model_dump_json(),
                "sealing": sealing_key.model_dump_json(),
                "now": now,
            },
        ).scalar_one_or_none()
        is not None
    )
    if added:
        _note_area(connection, terminal_id, area, now)
    return added


def set_area(connection: Connection, terminal_id: str, area: str, *, now: datetime) -> None:
    """Move a terminal to another area; where it stood before is kept."""
    moved = connection.execute(
        text("UPDATE terminals SET area = :area WHERE terminal_id = :id AND area <> :area RETURNING 1"),
        {"id": terminal_id, "area": area},
    ).scalar_one_or_none()
    if moved is not None:
        _note_area(connection, terminal_id, area, now)


def areas_of(connection: Connection, terminal_id: str) -> list[tuple[datetime, str]]:
    """Return since when a terminal stood in which area, the newest first."""
    rows = connection.execute(
        text("SELECT since, area FROM terminal_areas WHERE terminal_id = :id ORDER BY since DESC"), {"id": terminal_id}
    )
    return [(row.since, row.area) for row in rows]


def retire(connection: Connection, terminal_id: str, *, now: datetime) -> bool:
    """Mark a terminal retired; return False if there is none in service."""
    return (
        connection.execute(
            text("UPDATE terminals SET retired_at = :now WHERE terminal_id = :id AND retired_at IS NULL RETURNING 1"),
            {"id": terminal_id, "now": now},
        ).scalar_one_or_none()
        is not None
    )


def note_links(
    connection: Connection, terminal_id: str, *, counter: int, records: int, by_stick: bool, now: datetime
) -> None:
    """Remember the highest counter, how many records there are, and the newest arrival by the way it came.

    Args:
        connection: where to write.
        terminal_id: whose links.
        counter: the highest of those that arrived.
        records: how many of them are certification records.
        by_stick: whether they came by stick; else they are a word over the network.
        now: when they arrived.
    """
    connection.execute(
        text(
            "UPDATE terminals SET last_counter = greatest(last_counter, :counter), records = records + :records,"
            " last_record_at = greatest(last_record_at, :now),"
            " last_stick_at = CASE WHEN :stick THEN greatest(last_stick_at, :now) ELSE last_stick_at END,"
            " last_word_at = CASE WHEN :stick THEN last_word_at ELSE greatest(last_word_at, :now) END WHERE terminal_id = :id"
        ),
        {"id": terminal_id, "counter": counter, "records": records, "stick": by_stick, "now": now},
    )


def save_presence(connection: Connection, presence: Presence, *, now: datetime) -> None:
    """Store what a terminal says about itself.

    The same message once more, as the broker gives what it keeps to a fleet that connects anew, is no new word.
    """
    connection.execute(
        text(
            "UPDATE terminals SET presence_state = :state, presence_connection = :connection, presence_boot_id = :boot_id,"  # noqa: S608 - fixed
            f" presence_received_at = CASE WHEN {_REPEATED} THEN presence_received_at ELSE :now END,"
            f" last_word_at = CASE WHEN {_REPEATED} OR :state = 'offline' THEN last_word_at ELSE greatest(last_word_at, :now) END,"
            " offline_at = CASE WHEN :state = 'online' THEN NULL WHEN presence_state = 'offline' THEN coalesce(offline_at, :now)"
            " ELSE :now END,"
            " oldest_unconfirmed_at = CASE WHEN :pending + :published = 0 THEN NULL ELSE oldest_unconfirmed_at END,"
            " presence_said_at = :said_at, software = :software,"
            " policy_version = :policy_version, roster_have = :roster_have, outbox_pending = :pending,"
            " outbox_published = :published, outbox_acknowledged = :acknowledged, outbox_refused = :refused,"
            " pictures_waiting = :pictures_waiting, pictures_refused = :pictures_refused WHERE terminal_id = :id"
        ),
        {
            "id": presence.terminal_id,
            "state": presence.state,
            "connection": presence.connection,
            "boot_id": presence.boot_id,
            "said_at": presence.said_at,
            "now": now,
            "software": presence.software,
            "policy_version": presence.policy_version,
            "roster_have": presence.roster_version,
            "pending": presence.outbox.pending,
            "published": presence.outbox.published,
            "acknowledged": presence.outbox.acknowledged,
            "refused": presence.outbox.refused,
            "pictures_waiting": None if presence.pictures is None else presence.pictures.waiting,
            "pictures_refused": None if presence.pictures is None else presence.pictures.refused,
        },
    )


_REPEATED = (
    "(presence_received_at IS NOT NULL AND presence_connection = :connection AND presence_said_at = :said_at"
    " AND presence_state = :state)"
)
_COLUMNS = (
    "terminal_id, area, signing_key, sealing_key, retired_at, last_counter, roster_version, roster_pushed,"
    " presence_state, presence_connection, presence_boot_id, presence_said_at"
)


def _note_area(connection: Connection, terminal_id: str, area: str, now: datetime) -> None:
    connection.execute(
        text(
            "INSERT INTO terminal_areas (terminal_id, since, area) VALUES (:id, :now, :area)"
            " ON CONFLICT (terminal_id, since) DO UPDATE SET area = EXCLUDED.area"
        ),
        {"id": terminal_id, "now": now, "area": area},
    )


def _terminal(row: Row[tuple[object, ...]]) -> StoredTerminal:
    signing_key = PublicJwk.model_validate(row.signing_key)
    return StoredTerminal(
        terminal_id=row.terminal_id,
        area=row.area,
        signing_key=signing_key,
        signing_key_id=signing_key.key_id,
        sealing_key=PublicJwk.model_validate(row.sealing_key),
        retired_at=row.retired_at,
        last_counter=row.last_counter,
        roster_version=row.roster_version,
        roster_pushed=row.roster_pushed,
        presence=KnownPresence(row.presence_state, row.presence_connection, row.presence_boot_id, row.presence_said_at),
    )
