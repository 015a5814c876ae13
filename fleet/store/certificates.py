"""Certificates of terminals, as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from fleet.store.database import notify

REVOKED_CHANNEL = "lifecert_revoked"
"""Notified with the id of a terminal whose certificates hold no more; with none where some hold again."""


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """One certificate."""

    serial: str
    """In hexadecimal."""
    terminal_id: str
    key_sha256: str
    """Of the public key (SubjectPublicKeyInfo)."""
    issued_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    is_on_hold: bool = False
    """Whether it can hold again: its terminal is suspended."""


class Revoked(NamedTuple):
    """A certificate that was taken back, as a revocation list names it: without whose it is."""

    serial: str
    """In hexadecimal."""
    since: datetime
    is_on_hold: bool = False
    """Whether it can hold again."""


def add_certificate(connection: Connection, certificate: StoredCertificate) -> None:
    """Store one that was issued."""
    connection.execute(
        text(
            "INSERT INTO certificates (serial, terminal_id, key_sha256, issued_at, expires_at)"
            " VALUES (:serial, :terminal, :key, :issued, :expires)"
        ),
        {
            "serial": certificate.serial,
            "terminal": certificate.terminal_id,
            "key": certificate.key_sha256,
            "issued": certificate.issued_at,
            "expires": certificate.expires_at,
        },
    )


def certificates_of(connection: Connection, terminal_id: str, *, limit: int = 30) -> list[StoredCertificate]:
    """Return a terminal's certificates, the newest first."""
    rows = connection.execute(
        text(f"{_SELECT} WHERE terminal_id = :id ORDER BY issued_at DESC, serial LIMIT :limit"),
        {"id": terminal_id, "limit": limit},
    )
    return [StoredCertificate(*row) for row in rows]


def ends(connection: Connection, *, now: datetime) -> dict[str, datetime]:
    """Return until when the newest certificate that holds is good, by terminal; without those that have none."""
    rows = connection.execute(
        text(
            "SELECT terminal_id, max(expires_at) AS until FROM certificates WHERE revoked_at IS NULL AND expires_at > :now"
            " GROUP BY terminal_id"
        ),
        {"now": now},
    )
    return {row.terminal_id: row.until for row in rows}


def key_is_anothers(connection: Connection, key_sha256: str, terminal_id: str) -> bool:
    """Say whether another terminal has, or had, a certificate for this key."""
    return (
        connection.execute(
            text("SELECT 1 FROM certificates WHERE key_sha256 = :key AND terminal_id <> :id LIMIT 1"),
            {"key": key_sha256, "id": terminal_id},
        ).scalar_one_or_none()
        is not None
    )


def revoke_certificates(connection: Connection, terminal_id: str, *, now: datetime, on_hold: bool = False) -> int:
    """Take back all certificates of a terminal that still hold, and have the broker told; return how many there were.

    Args:
        connection: a transaction.
        terminal_id: whose.
        now: in UTC.
        on_hold: whether `restore_certificates` may give them back; else those that are on hold are taken back for good, too.
    """
    count = connection.execute(
        text(
            "UPDATE certificates SET revoked_at = coalesce(revoked_at, :now), is_on_hold = :hold WHERE terminal_id = :id"
            " AND (revoked_at IS NULL OR is_on_hold AND NOT :hold) AND expires_at > :now"
        ),
        {"id": terminal_id, "now": now, "hold": on_hold},
    ).rowcount
    if count:
        notify(connection, REVOKED_CHANNEL, terminal_id)
    return count


def restore_certificates(connection: Connection, terminal_id: str) -> int:
    """Let what was put on hold hold again, and have the broker told; return how many certificates that are."""
    count = connection.execute(
        text("UPDATE certificates SET revoked_at = NULL, is_on_hold = false WHERE terminal_id = :id AND is_on_hold"),
        {"id": terminal_id},
    ).rowcount
    if count:
        # Nobody is put off: a new list is all there is to do.
        notify(connection, REVOKED_CHANNEL, "")
    return count


def revoked_certificates(
    connection: Connection, *, now: datetime, over_before: datetime | None = None
) -> list[Revoked]:
    """Return all that were taken back and would otherwise hold, those of lists alone (`take_listed`) among them.

    Args:
        connection: a transaction.
        now: in UTC.
        over_before: what a list alone knows and was taken back before this has ended meanwhile; None leaves nothing of it out.
    """
    rows = connection.execute(
        text(
            "SELECT serial, revoked_at, is_on_hold FROM certificates WHERE revoked_at IS NOT NULL AND expires_at > :now"
            " UNION ALL SELECT serial, revoked_at, false FROM listed_serials"
            " WHERE CAST(:over AS timestamptz) IS NULL OR revoked_at > :over ORDER BY serial"
        ),
        {"now": now, "over": over_before},
    )
    return [Revoked(*row) for row in rows]


def take_listed(connection: Connection, final: Sequence[Revoked], others: Sequence[Revoked]) -> int:
    """Take over what a revocation list names and this database does not know, as one that was restored from a backup; return how much.

    Args:
        connection: a transaction.
        final: what the list says is taken back for good.
        others: what it says is on hold, or does not say which. Of a certificate that is known this database's word counts: its terminal
            may be believed again.
    """
    if not final and not others:
        return 0
    values = {"serials": [each.serial for each in final], "times": [each.since for each in final]}
    lists = "unnest(CAST(:serials AS text[]), CAST(:times AS timestamptz[])) AS l (serial, since)"
    count = connection.execute(
        text(
            f"UPDATE certificates c SET revoked_at = coalesce(c.revoked_at, l.since), is_on_hold = false FROM {lists}"  # noqa: S608 - fixed
            " WHERE c.serial = l.serial AND (c.revoked_at IS NULL OR c.is_on_hold)"
        ),
        values,
    ).rowcount
    whole = [*final, *others]
    values = {"serials": [each.serial for each in whole], "times": [each.since for each in whole]}
    return (
        count
        + connection.execute(
            text(
                f"INSERT INTO listed_serials (serial, revoked_at) SELECT l.serial, l.since FROM {lists}"  # noqa: S608 - fixed
                " WHERE NOT EXISTS (SELECT 1 FROM certificates c WHERE c.serial = l.serial)"
                " ON CONFLICT DO NOTHING"
            ),
            values,
        ).rowcount
    )


def terminals_put_out(connection: Connection, *, now: datetime) -> list[str]:
    """Return the terminals of which a certificate that was taken back would otherwise hold, and none that holds came after it."""
    rows = connection.execute(
        text(
            "SELECT terminal_id FROM certificates WHERE expires_at > :now GROUP BY terminal_id"
            " HAVING bool_and(revoked_at IS NOT NULL) ORDER BY terminal_id"
        ),
        {"now": now},
    )
    return [row.terminal_id for row in rows]


_SELECT = "SELECT serial, terminal_id, key_sha256, issued_at, expires_at, revoked_at, is_on_hold FROM certificates"
