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
    registered_at: datetime
    retired_at: datetime | None
    suspended_at: datetime | None
    replaced_by: str | None
    """The terminal that took its place."""
    decommissioned_at: datetime | None
    """When the proof came that it has erased itself."""
    last_counter: int
    roster_version: int
    roster_pushed: int
    """Newest roster version that was sent to it."""
    presence: KnownPresence

    @property
    def is_in_service(self) -> bool:
        """Whether it is believed and gets anything."""
        return self.retired_at is None and self.suspended_at is None

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


def set_suspended(connection: Connection, terminal_id: str, since: datetime | None) -> None:
    """Note since when a terminal is suspended; None: it is not any more."""
    connection.execute(
        text("UPDATE terminals SET suspended_at = :since WHERE terminal_id = :id"), {"id": terminal_id, "since": since}
    )


def set_replaced(connection: Connection, terminal_id: str, by: str) -> None:
    """Note which terminal took the place of a retired one."""
    connection.execute(
        text("UPDATE terminals SET replaced_by = :by WHERE terminal_id = :id"), {"id": terminal_id, "by": by}
    )


def replaced_by(connection: Connection, terminal_id: str) -> list[str]:
    """Return the terminals whose place a terminal took."""
    rows = connection.execute(
        text("SELECT terminal_id FROM terminals WHERE replaced_by = :id ORDER BY terminal_id"), {"id": terminal_id}
    )
    return list(rows.scalars())


def set_decommissioned(connection: Connection, terminal_id: str, proof: bytes, *, now: datetime) -> bool:
    """Keep the proof that a retired terminal has erased itself; return False if there is one already."""
    added = connection.execute(
        text(
            "INSERT INTO decommission_proofs (terminal_id, proof, received_at) VALUES (:id, :proof, :now)"
            " ON CONFLICT (terminal_id) DO NOTHING RETURNING 1"
        ),
        {"id": terminal_id, "proof": proof, "now": now},
    ).scalar_one_or_none()
    if added is None:
        return False
    connection.execute(
        text("UPDATE terminals SET decommissioned_at = :now WHERE terminal_id = :id"), {"id": terminal_id, "now": now}
    )
    return True


def decommission_proof(connection: Connection, terminal_id: str) -> tuple[bytes, datetime] | None:
    """Return the proof of a terminal that has erased itself, and when it came."""
    row = connection.execute(
        text("SELECT proof, received_at FROM decommission_proofs WHERE terminal_id = :id"), {"id": terminal_id}
    ).one_or_none()
    return None if row is None else (bytes(row.proof), row.received_at)


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
    "terminal_id, area, signing_key, sealing_key, registered_at, retired_at, suspended_at, replaced_by, decommissioned_at, last_counter,"
    " roster_version, roster_pushed,"
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
        registered_at=row.registered_at,
        retired_at=row.retired_at,
        suspended_at=row.suspended_at,
        replaced_by=row.replaced_by,
        decommissioned_at=row.decommissioned_at,
        last_counter=row.last_counter,
        roster_version=row.roster_version,
        roster_pushed=row.roster_pushed,
        presence=KnownPresence(row.presence_state, row.presence_connection, row.presence_boot_id, row.presence_said_at),
    )
