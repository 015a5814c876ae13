"""The outbox as an SQLite database, shared by the terminal and the uplink process.

The next counter, the end of the hash chain and the new row change in one IMMEDIATE transaction, so that two processes can
never use one counter, and what did not reach the disk has used nothing up.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from device.database import Database, Schema
from device.errors import OutboxFull, OutboxUnavailable
from device.ports import OutboxRow, RefusedRow, StoredRecord
from protocol.presence import OutboxCounts
from protocol.receipts import ReceiptItem, Verdict
from protocol.topics import TABLE, Kind

SCHEMA = Schema(
    what="outbox",
    application_id=0x4C634F42,
    version=1,
    statements=(
        """CREATE TABLE record (
            counter INTEGER PRIMARY KEY,
            sha256 TEXT NOT NULL UNIQUE,
            state TEXT NOT NULL CHECK (state IN ('pending', 'published', 'acknowledged', 'refused')),
            reason TEXT,
            envelope BLOB NOT NULL
        ) STRICT""",
        "CREATE INDEX record_by_state ON record (state, counter)",
        "CREATE TABLE chain (id INTEGER PRIMARY KEY CHECK (id = 1), counter INTEGER NOT NULL, sha256 TEXT) STRICT",
        "INSERT INTO chain (id, counter, sha256) VALUES (1, 0, NULL)",
    ),
    unavailable=OutboxUnavailable,
    full=OutboxFull,
)
"""`reason` is the fleet's last one, kept while a refused record is sent again; the state `purged` is the absence of a row."""

_DISK_RESERVE_BYTES = 8 * 1024 * 1024
"""A write-ahead log grows to about 4 MiB before it is folded into the file (sqlite.org/wal.html, section 2.2); twice that."""

_STATE = {
    Verdict.STORED: "acknowledged",
    Verdict.REPEATED: "acknowledged",
    Verdict.REFUSED: "refused",
}


class SqliteOutbox:
    """See `device.ports.Outbox`. Safe to use from several threads and processes.

    Args:
        path: the database file; it is made if missing, with its folder.
        max_rows: records without a verdict of the fleet, at which `append` raises `OutboxFull`.
        max_bytes: size of the database file above which `append` raises `OutboxFull`; receipts are applied all the same.

    Raises:
        StoreUnusable: if the file is damaged, is something else, or was made by a newer version.
        OutboxUnavailable: if the file cannot be opened or made now.
    """

    def __init__(self, path: Path, *, max_rows: int, max_bytes: int) -> None:
        self._path = path
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._database = Database(path, SCHEMA)

    def append(self, build: Callable[[int, str | None], bytes]) -> StoredRecord:
        """Store the record that `build` makes for the next counter and the digest of the record before."""
        with self._database.writing(max_bytes=self._max_bytes) as db:
            self._refuse_too_many(db)
            counter, previous = db.execute("SELECT counter, sha256 FROM chain").fetchone()
            envelope = build(counter + 1, previous)
            digest = hashlib.sha256(envelope).hexdigest()
            db.execute(
                "INSERT INTO record (counter, sha256, state, envelope) VALUES (?, ?, 'pending', ?)",
                (counter + 1, digest, envelope),
            )
            db.execute("UPDATE chain SET counter = ?, sha256 = ?", (counter + 1, digest))
        return StoredRecord(digest, counter + 1)

    def unconfirmed(self, limit: int, *, after: int = 0) -> Sequence[OutboxRow]:
        """Return the oldest rows that are pending or published, of those with a counter above `after`."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT sha256, counter, envelope FROM record WHERE state IN ('pending', 'published') AND counter > ?"
                " ORDER BY counter LIMIT ?",
                (after, limit),
            ).fetchall()
        return tuple(OutboxRow(sha256, counter, envelope) for sha256, counter, envelope in rows)

    def history(self, limit: int, *, after: int = 0) -> Sequence[OutboxRow]:
        """Return the oldest rows in whatever state, of those with a counter above `after`."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT sha256, counter, envelope FROM record WHERE counter > ? ORDER BY counter LIMIT ?",
                (after, limit),
            ).fetchall()
        return tuple(OutboxRow(sha256, counter, envelope) for sha256, counter, envelope in rows)

    def refused(self, limit: int) -> Sequence[RefusedRow]:
        """Return the oldest refused rows."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT sha256, counter, reason FROM record WHERE state = 'refused' ORDER BY counter LIMIT ?", (limit,)
            ).fetchall()
        return tuple(RefusedRow(sha256, counter, reason) for sha256, counter, reason in rows)

    def retry_refused(self, limit: int, *, reasons: Collection[str] | None = None) -> int:
        """Set the oldest refused rows pending again and return how many: those refused for one of `reasons`, None for any."""
        with self._database.writing() as db:
            return db.execute(
                "UPDATE record SET state = 'pending' WHERE counter IN (SELECT counter FROM record WHERE state = 'refused'"
                " AND (?1 IS NULL OR reason IN (SELECT value FROM json_each(?1))) ORDER BY counter LIMIT ?2)",
                (None if reasons is None else json.dumps(sorted(reasons)), limit),
            ).rowcount

    def mark_published(self, sha256s: Sequence[str]) -> None:
        """Note that the broker took these; what the fleet has already settled stays settled."""
        with self._database.writing() as db:
            db.executemany(
                "UPDATE record SET state = 'published' WHERE sha256 = ? AND state = 'pending'",
                [(sha256,) for sha256 in sha256s],
            )

    def settle(self, items: Sequence[ReceiptItem]) -> None:
        """Apply a receipt; unknown digests and records that are already acknowledged are left alone."""
        with self._database.writing() as db:
            db.executemany(
                "UPDATE record SET state = ?, reason = ? WHERE sha256 = ? AND state != 'acknowledged'",
                [(_STATE[item.verdict], item.reason, item.sha256) for item in items],
            )

    def purge(self, keep: int) -> int:
        """Delete acknowledged rows but the newest `keep`; the end of the chain is kept apart and stays."""
        with self._database.writing() as db:
            return db.execute(
                "DELETE FROM record WHERE state = 'acknowledged' AND counter <="
                " (SELECT counter FROM record WHERE state = 'acknowledged' ORDER BY counter DESC LIMIT 1 OFFSET ?)",
                (keep,),
            ).rowcount

    def counts(self) -> OutboxCounts:
        """Return the number of rows by state and of all that was ever stored, of one moment."""
        with self._database.reading() as db:
            # One statement sees one state of the database, whatever the other process is about to do.
            rows = db.execute(
                "SELECT chain.counter, record.state, count(record.state) FROM chain LEFT JOIN record GROUP BY record.state"
            ).fetchall()
        found = {state: count for _, state, count in rows if state is not None}
        return OutboxCounts(
            pending=found.get("pending", 0),
            published=found.get("published", 0),
            acknowledged=found.get("acknowledged", 0),
            refused=found.get("refused", 0),
            stored=rows[0][0],
        )

    def check(self) -> None:
        """Do nothing when a record could be stored now; raise what `append` would raise otherwise."""
        with contextlib.suppress(_Tried), self._database.writing(max_bytes=self._max_bytes) as db:
            self._refuse_too_many(db)
            free = os.statvfs(self._path.parent)
            if free.f_bavail * free.f_frsize < _DISK_RESERVE_BYTES:
                raise OutboxFull(f"outbox {self._path.name}: the disk has less than {_DISK_RESERVE_BYTES} bytes left")
            db.execute(
                "INSERT INTO record (counter, sha256, state, envelope) VALUES (-1, '', 'pending', zeroblob(?))",
                (TABLE[Kind.RECORD].max_bytes,),
            )
            # Nothing of the trial stays.
            raise _Tried

    def close(self) -> None:
        """Close the database; may be called twice."""
        self._database.close()

    def _refuse_too_many(self, db: sqlite3.Connection) -> None:
        (waiting,) = db.execute("SELECT count(*) FROM record WHERE state IN ('pending', 'published')").fetchone()
        if waiting >= self._max_rows:
            raise OutboxFull(f"outbox {self._path.name}: {waiting} records not confirmed, at most {self._max_rows}")


class _Tried(Exception):
    """Takes a trial transaction back."""
