"""Rule packs, as SQL. What is in force is signed, and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Connection, text

from protocol.rules.pack import RulePack, parse_pack
from protocol.rules.shelf import Shelf
from protocol.shipped_packs import default_pack


@dataclass(frozen=True, slots=True)
class StoredPack:
    """One version of a pack."""

    pack: RulePack
    text: str
    sha256: str
    proposed_at: datetime
    in_force_at: datetime | None
    envelope: bytes | None
    """The signed text; None as long as it is a proposal."""


def lock_packs(connection: Connection) -> None:
    """Have proposals and approvals happen one after the other, until the transaction ends; who reads packs waits for nobody."""
    connection.execute(text("LOCK TABLE rule_packs IN SHARE ROW EXCLUSIVE MODE"))


def shelf_of(connection: Connection) -> Shelf:
    """Return all packs in force, over the default one."""
    rows = connection.execute(
        text("SELECT text FROM rule_packs WHERE in_force_at IS NOT NULL ORDER BY pack_id, version")
    ).scalars()
    return Shelf(tuple(parsed(found) for found in rows), default_pack())


def packs(connection: Connection) -> list[StoredPack]:
    """Return all packs, proposals with them."""
    rows = connection.execute(text(_SELECT + " ORDER BY pack_id, version"))
    return [_stored(*row) for row in rows]


def find_pack(connection: Connection, pack_id: str, version: int) -> StoredPack | None:
    """Return one version of a pack."""
    row = connection.execute(
        text(_SELECT + " WHERE pack_id = :id AND version = :version"), {"id": pack_id, "version": version}
    ).one_or_none()
    return None if row is None else _stored(*row)


def save_proposal(connection: Connection, pack: RulePack, written: str, sha256: str, *, now: datetime) -> None:
    """Store a proposal, in place of an earlier one of the same version that is not in force."""
    connection.execute(
        text(
            "INSERT INTO rule_packs (pack_id, version, valid_from, valid_until, text, sha256, proposed_at)"
            " VALUES (:id, :version, :from, :until, :text, :sha256, :now) ON CONFLICT (pack_id, version) DO UPDATE SET"
            " valid_from = EXCLUDED.valid_from, valid_until = EXCLUDED.valid_until, text = EXCLUDED.text,"
            " sha256 = EXCLUDED.sha256, proposed_at = EXCLUDED.proposed_at WHERE rule_packs.in_force_at IS NULL"
        ),
        {
            "id": pack.pack_id,
            "version": pack.version,
            "from": pack.valid_from,
            "until": pack.valid_until,
            "text": written,
            "sha256": sha256,
            "now": now,
        },
    )


def put_in_force(connection: Connection, pack_id: str, version: int, envelope: bytes, *, now: datetime) -> None:
    """Put a proposal in force."""
    connection.execute(
        text(
            "UPDATE rule_packs SET envelope = :envelope, in_force_at = :now WHERE pack_id = :id AND version = :version"
            " AND in_force_at IS NULL"
        ),
        {"id": pack_id, "version": version, "envelope": envelope, "now": now},
    )


@lru_cache(maxsize=256)
def parsed(written: str) -> RulePack:
    """Return a stored pack; read once."""
    return parse_pack(written)


def _stored(
    written: str, sha256: str, proposed_at: datetime, in_force_at: datetime | None, envelope: bytes | None
) -> StoredPack:
    signed = None if envelope is None else bytes(envelope)
    return StoredPack(parsed(written), written, sha256, proposed_at, in_force_at, signed)


_SELECT = "SELECT text, sha256, proposed_at, in_force_at, envelope FROM rule_packs"
