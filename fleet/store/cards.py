"""Card keys and the ledger of reference cards, as SQL. The ledger holds no features: they are on the cards alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, text

from fleet.store.database import notify
from protocol.references import Reference

CARD_CHANNEL = "lifecert_cards"
"""Notified when every terminal is to get card keys anew, or with the id of the one that is."""


@dataclass(frozen=True, slots=True)
class StoredCardKey:
    """One generation of card keys, its secret encrypted with the fleet's own key."""

    key_id: str
    secret_sealed: bytes
    made_at: datetime


@dataclass(frozen=True, slots=True)
class StoredCard:
    """One card of the ledger."""

    card_id: str
    subject_id: str | None
    """None when the subject is no longer kept; such a card counts as revoked."""
    key_id: str
    capture: str
    issued_at: datetime
    valid_until: date
    revoked_at: datetime | None


def lock_cards(connection: Connection) -> None:
    """Keep everybody else from changing keys or ledger until this transaction ends."""
    connection.execute(text("LOCK TABLE card_keys, cards IN SHARE ROW EXCLUSIVE MODE"))


def add_key(connection: Connection, key_id: str, *, secret_sealed: bytes, now: datetime) -> None:
    """Store a new generation; it is the newest."""
    connection.execute(
        text("INSERT INTO card_keys (key_id, secret_sealed, made_at) VALUES (:id, :sealed, :now)"),
        {"id": key_id, "sealed": secret_sealed, "now": now},
    )
    notify(connection, CARD_CHANNEL)


def retire_key(connection: Connection, key_id: str, *, now: datetime) -> bool:
    """Give a generation up and erase its secret; return False if none of this id is in use."""
    found = connection.execute(
        text(
            "UPDATE card_keys SET retired_at = :now, secret_sealed = ''::bytea WHERE key_id = :id AND retired_at IS NULL"
            " RETURNING 1"
        ),
        {"id": key_id, "now": now},
    ).scalar_one_or_none()
    if found is not None:
        notify(connection, CARD_CHANNEL)
    return found is not None


def keys_in_use(connection: Connection) -> list[StoredCardKey]:
    """Return the generations in use, newest first."""
    rows = connection.execute(
        text(
            "SELECT key_id, secret_sealed, made_at FROM card_keys WHERE retired_at IS NULL ORDER BY made_at DESC, key_id"
        )
    )
    return [StoredCardKey(row.key_id, bytes(row.secret_sealed), row.made_at) for row in rows]


def has_keys(connection: Connection) -> bool:
    """Return whether this fleet ever had card keys, so that terminals must hear of them."""
    return connection.execute(text("SELECT 1 FROM card_keys LIMIT 1")).scalar_one_or_none() is not None


def add_card(
    connection: Connection,
    subject_id: str,
    reference: Reference,
    *,
    key_id: str,
    runtime: str,
    officer_sealed: bytes | None,
    now: datetime,
) -> None:
    """Enter a card into the ledger; its id is that of the reference on it."""
    connection.execute(
        text(
            "INSERT INTO cards (card_id, subject_id, key_id, model_sha256, runtime, quality, capture, legal_basis,"
            " captured_at, valid_until, officer_sealed, issued_at) VALUES (:card_id, :subject_id, :key_id, :model_sha256,"
            " :runtime, :quality, :capture, :legal_basis, :captured_at, :valid_until, :officer_sealed, :now)"
        ),
        {
            "card_id": reference.reference_id,
            "subject_id": subject_id,
            "key_id": key_id,
            "model_sha256": reference.model_sha256,
            "runtime": runtime,
            "quality": reference.quality,
            "capture": reference.capture.value,
            "legal_basis": reference.legal_basis.value,
            "captured_at": reference.captured_at,
            "valid_until": reference.valid_until,
            "officer_sealed": officer_sealed,
            "now": now,
        },
    )


def revoke_card(connection: Connection, card_id: str, *, now: datetime) -> str | None:
    """Mark a card revoked; return its subject, or None if no such card is in use."""
    found = connection.execute(
        text(
            "UPDATE cards SET revoked_at = :now WHERE card_id = :id AND revoked_at IS NULL AND subject_id IS NOT NULL"
            " RETURNING subject_id"
        ),
        {"id": card_id, "now": now},
    ).scalar_one_or_none()
    if found is None:
        return None
    notify(connection, CARD_CHANNEL)
    return str(found)


def revoked_cards(connection: Connection, *, today: date) -> list[str]:
    """Return the ids that terminals must know: cards of generations in use, revoked and otherwise still valid."""
    rows = connection.execute(
        text(
            "SELECT card_id FROM cards JOIN card_keys USING (key_id)"
            " WHERE (revoked_at IS NOT NULL OR subject_id IS NULL) AND valid_until >= :today AND retired_at IS NULL"
            " ORDER BY card_id"
        ),
        {"today": today},
    )
    return [str(card_id) for card_id in rows.scalars()]


def find_cards(connection: Connection, subject_id: str | None = None, *, limit: int) -> list[StoredCard]:
    """Return the newest cards, of one subject or of all."""
    rows = connection.execute(
        text(
            "SELECT card_id, subject_id, key_id, capture, issued_at, valid_until, revoked_at FROM cards"
            " WHERE CAST(:subject AS text) IS NULL OR subject_id = :subject ORDER BY issued_at DESC, card_id LIMIT :limit"
        ),
        {"limit": limit, "subject": subject_id},
    )
    return [StoredCard(*row) for row in rows]


def count_valid(connection: Connection, key_id: str, *, today: date) -> int:
    """Return how many cards of a generation are in use."""
    return int(
        connection.execute(
            text("SELECT count(*) FROM cards WHERE key_id = :id AND revoked_at IS NULL AND valid_until >= :today"),
            {"id": key_id, "today": today},
        ).scalar_one()
    )


def terminals_due(connection: Connection, terminal_ids: Sequence[str], *, sent_before: datetime) -> list[str]:
    """Return those terminals to which the present card keys were not sent, or not since a moment."""
    rows = connection.execute(
        text(
            "SELECT terminal_id FROM terminals WHERE terminal_id = ANY(:ids) AND (card_keys_sent_at IS NULL"
            " OR card_keys_sent_at < :before OR card_keys_sent_at < ("
            "  SELECT max(greatest(made_at, retired_at)) FROM card_keys"
            " ) OR card_keys_sent_at < (SELECT max(revoked_at) FROM cards)) ORDER BY terminal_id"
        ),
        {"ids": list(terminal_ids), "before": sent_before},
    )
    return [str(name) for name in rows.scalars()]


def note_sent(connection: Connection, terminal_ids: Sequence[str], *, now: datetime) -> None:
    """Remember that these terminals were sent the present card keys."""
    connection.execute(
        text("UPDATE terminals SET card_keys_sent_at = :now WHERE terminal_id = ANY(:ids)"),
        {"ids": list(terminal_ids), "now": now},
    )
