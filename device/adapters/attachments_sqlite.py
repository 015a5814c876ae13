"""Sealed pictures on their way to the fleet, as an SQLite database shared by the terminal and the uplink process.

They are sealed before they come here: the terminal itself cannot open them again. The fleet's receipt deletes them at once, and what is
deleted is overwritten.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path

from device.database import Database, Schema
from device.errors import AttachmentsFull, AttachmentsUnavailable
from device.ports import Attachment, RefusedAttachment
from protocol.presence import PictureCounts
from protocol.receipts import ReceiptItem, Verdict

SCHEMA = Schema(
    what="attachments",
    application_id=0x4C634154,
    version=2,
    statements=(
        """CREATE TABLE attachment (
            sha256 TEXT PRIMARY KEY,
            stored INTEGER NOT NULL UNIQUE,
            refused INTEGER NOT NULL DEFAULT 0 CHECK (refused IN (0, 1)),
            sealed BLOB NOT NULL,
            reason TEXT
        ) STRICT""",
    ),
    unavailable=AttachmentsUnavailable,
    full=AttachmentsFull,
    upgrades={1: ("ALTER TABLE attachment ADD COLUMN reason TEXT", "UPDATE attachment SET refused = 0")},
)
"""`stored` orders them by when they came or were last refused; `reason` is the fleet's last one. Version 1 kept no reason: what it calls
refused is tried once more."""


class SqliteAttachmentStore:
    """See `device.ports.AttachmentStore`. Safe to use from several threads and processes.

    Args:
        path: the database file; made if missing.
        max_bytes: size of the file above which `put` raises `AttachmentsFull`.

    Raises:
        StoreUnusable: if the file is damaged, is something else, or was made by a newer version.
        AttachmentsUnavailable: if it cannot be opened or made now.
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._database = Database(path, SCHEMA)

    def put(self, sealed: Sequence[bytes]) -> tuple[str, ...]:
        """Store sealed pictures in one transaction and return their digests."""
        digests = tuple(hashlib.sha256(one).hexdigest() for one in sealed)
        with self._database.writing(max_bytes=self._max_bytes) as db:
            (newest,) = db.execute("SELECT coalesce(max(stored), 0) FROM attachment").fetchone()
            db.executemany(
                "INSERT OR IGNORE INTO attachment (sha256, stored, sealed) VALUES (?, ?, ?)",
                [
                    (digest, newest + number, one)
                    for number, (digest, one) in enumerate(zip(digests, sealed, strict=True), 1)
                ],
            )
        return digests

    def waiting(self, limit: int, *, skip: int = 0) -> Sequence[Attachment]:
        """Return the oldest that the fleet has said nothing about, but the `skip` oldest of them."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT sha256, sealed FROM attachment WHERE refused = 0 ORDER BY stored LIMIT ? OFFSET ?",
                (limit, skip),
            ).fetchall()
        return tuple(Attachment(sha256, sealed) for sha256, sealed in rows)

    def settle(self, items: Sequence[ReceiptItem]) -> None:
        """Apply a receipt: what the fleet has is deleted, what it refuses is kept aside; unknown digests are ignored."""
        with self._database.writing() as db:
            gone = [(item.sha256,) for item in items if item.verdict is not Verdict.REFUSED]
            refused = [(item.reason, item.sha256) for item in items if item.verdict is Verdict.REFUSED]
            db.executemany("DELETE FROM attachment WHERE sha256 = ?", gone)
            db.executemany(
                "UPDATE attachment SET refused = 1, reason = ?, stored = (SELECT max(stored) + 1 FROM attachment) WHERE sha256 = ?",
                refused,
            )

    def refused(self, limit: int) -> Sequence[RefusedAttachment]:
        """Return those that were refused, longest ago first."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT sha256, reason FROM attachment WHERE refused = 1 ORDER BY stored LIMIT ?", (limit,)
            ).fetchall()
        return tuple(RefusedAttachment(sha256, reason) for sha256, reason in rows)

    def retry_refused(self, limit: int, *, reasons: Collection[str] | None = None) -> int:
        """Let so many refused ones wait again, behind those that wait, and return how many."""
        with self._database.writing() as db:
            found = db.execute(
                "SELECT sha256 FROM attachment WHERE refused = 1"
                " AND (?1 IS NULL OR reason IN (SELECT value FROM json_each(?1))) ORDER BY stored LIMIT ?2",
                (None if reasons is None else json.dumps(sorted(reasons)), limit),
            ).fetchall()
            db.executemany(
                "UPDATE attachment SET refused = 0, stored = (SELECT max(stored) + 1 FROM attachment) WHERE sha256 = ?",
                found,
            )
        return len(found)

    def drop(self, sha256s: Sequence[str]) -> None:
        """Delete pictures whose case could not be stored."""
        with self._database.writing() as db:
            db.executemany("DELETE FROM attachment WHERE sha256 = ?", [(sha256,) for sha256 in sha256s])

    def counts(self) -> PictureCounts:
        """Return how many wait and how many were refused, of one moment."""
        with self._database.reading() as db:
            everything, refused = db.execute("SELECT count(*), coalesce(sum(refused), 0) FROM attachment").fetchone()
        return PictureCounts(waiting=everything - refused, refused=refused)

    def close(self) -> None:
        """Close the database; may be called twice."""
        self._database.close()
