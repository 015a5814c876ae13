"""The route roster in an SQLite database whose rows are encrypted one by one.

Who takes the card out of a terminal learns neither who is assigned to it nor anybody's references: a row is found by a keyed
hash of its claim token, everything else in it is AES-256-GCM, and the key lies in a file of its own that systemd can hold
as a credential. Hash and encryption use keys derived from that one (HKDF, RFC 5869).
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
import unicodedata
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from device.database import Database, Schema
from device.errors import KeyUnusable, ReferencesUnavailable, StoreUnusable
from device.ports import Clock, Labelled
from device.storage import Sealer, derived, load_or_make_key
from protocol.roster import RosterEntry, RosterPage
from protocol.times import ClockSource, DeviceTime

_HEAD: Final = b"head"
_CHECK: Final = b"lifecert roster key check"

SCHEMA = Schema(
    what="roster",
    application_id=0x4C635246,
    version=1,
    statements=(
        """CREATE TABLE roster (
            id INTEGER PRIMARY KEY,
            in_force INTEGER NOT NULL UNIQUE CHECK (in_force IN (0, 1)),
            version INTEGER NOT NULL,
            issued_at INTEGER NOT NULL,
            expires_at INTEGER NOT NULL,
            sealed BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE subject (
            roster INTEGER NOT NULL,
            subject BLOB NOT NULL,
            claim BLOB NOT NULL,
            sealed BLOB NOT NULL,
            PRIMARY KEY (roster, subject),
            UNIQUE (roster, claim)
        ) STRICT""",
        "CREATE TABLE key_check (id INTEGER PRIMARY KEY CHECK (id = 1), sealed BLOB NOT NULL) STRICT",
    ),
    unavailable=ReferencesUnavailable,
    full=ReferencesUnavailable,
)
"""`subject` and `claim` are keyed hashes; `issued_at` and `expires_at` are in microseconds since 1970 (UTC). Of the two rosters there can
be, one is in force and the other is being gathered until it is complete."""


class _Secrets(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    claim_key: str
    feature_keys: dict[str, str]
    enrolment_domain: str | None = None


@dataclass(frozen=True, slots=True)
class _Head:
    """One of the two rosters."""

    number: int
    version: int
    issued_at: int
    sealed: bytes


class SqliteReferenceStore:
    """See `device.ports.ReferenceStore`. Safe to use from several threads and processes.

    Args:
        path: the database file; it is made if missing, with its folder.
        key_path: the storage key file (`device.storage`); made with mode 0600 if missing and the roster is new.
        clock: tells whether the roster has expired.

    Raises:
        KeyUnusable: if the key file cannot be read or made, or is not the one this roster was encrypted with.
        StoreUnusable: if the database is damaged, is something else, or was made by a newer version.
        ReferencesUnavailable: if the database cannot be opened or made now.
    """

    def __init__(self, path: Path, key_path: Path, clock: Clock) -> None:
        key = load_or_make_key(key_path)
        self._sealer = Sealer(key, b"lifecert roster rows")
        self._hash_key = derived(key, b"lifecert roster lookup")
        self._clock = clock
        self._path = path
        self._database = Database(path, SCHEMA)
        try:
            self._check_key(key_path)
        except BaseException:
            self._database.close()
            raise

    def version(self) -> int:
        """Return the version of the roster in force, 0 when there is none or it has expired."""
        with self._database.reading() as db:
            head = self._head(db, in_force=True)
        return 0 if head is None else head.version

    def received(self) -> int:
        """Return the version the next page is to build upon: that of the roster being gathered, else `version()`."""
        with self._database.reading() as db:
            head = self._head(db, in_force=False) or self._head(db, in_force=True)
        return 0 if head is None else head.version

    def apply(self, page: RosterPage) -> bool:
        """Apply a page whole; return False, unchanged, when it fits nothing that is here or has expired itself."""
        if page.expires_at <= self._moment():
            return False
        with self._database.writing() as db:
            gathered, in_force = self._head(db, in_force=False), self._head(db, in_force=True)
            if page.after == 0:
                newest = max((head.issued_at for head in (gathered, in_force) if head is not None), default=None)
                if newest is not None and _microseconds(page.issued_at) <= newest:
                    return False
                self._gather(db, page, None)
            elif gathered is not None and page.after == gathered.version:
                self._gather(db, page, gathered)
            elif in_force is not None and page.after == in_force.version:
                _drop(db, in_force=False)
                self._write(db, page, in_force.number, in_force=True, known=self._secrets(in_force))
            else:
                return False
        return True

    def claim_key(self) -> bytes | None:
        """Return the key for claim tokens, None when there is no roster, no complete one yet, or it has expired."""
        with self._database.reading() as db:
            head = self._head(db, in_force=True)
        return None if head is None else _secret(self._secrets(head).claim_key)

    def feature_key(self, domain: str) -> bytes | None:
        """Return the rotation key of a key domain, None when unknown or expired."""
        with self._database.reading() as db:
            head = self._head(db, in_force=True)
        text = None if head is None else self._secrets(head).feature_keys.get(domain)
        return None if text is None else _secret(text)

    def enrolment_domain(self) -> str | None:
        """Return the key domain of references made on this terminal, None where it makes none or the roster has expired."""
        with self._database.reading() as db:
            head = self._head(db, in_force=True)
        return None if head is None else self._secrets(head).enrolment_domain

    def find(self, token: str) -> RosterEntry | None:
        """Return the subject with this claim token, None when unknown or expired."""
        claim = self._hashed("claim", token)
        with self._database.reading() as db:
            head = self._head(db, in_force=True)
            if head is None:
                return None
            row = db.execute(
                "SELECT subject, sealed FROM subject WHERE roster = ? AND claim = ?", (head.number, claim)
            ).fetchone()
        return None if row is None else RosterEntry.model_validate_json(self._open(row[1], row[0] + claim))

    def people(self, part: str, *, offset: int, limit: int) -> list[Labelled]:
        """Return subjects whose name contains `part`, ordered by name and year of birth, so many at most from `offset` on.

        Every row is opened for it, because nothing about a name stands outside a seal: some 30 ms for a thousand people.
        """
        wanted = _folded(part)
        with self._database.reading() as db:
            head = self._head(db, in_force=True)
            if head is None:
                return []
            rows = db.execute("SELECT subject, claim, sealed FROM subject WHERE roster = ?", (head.number,)).fetchall()
        found = []
        for subject, claim, sealed in rows:
            entry = RosterEntry.model_validate_json(self._open(sealed, subject + claim))
            if entry.label is not None and wanted in _folded(entry.label.name):
                found.append(Labelled(entry.label.document, entry.claim_token, entry.label))
        found.sort(key=lambda one: (one.label.name, one.label.born or 0, one.token))
        return found[offset : offset + limit]

    def others(self, token: str, limit: int) -> list[RosterEntry]:
        """Return other subjects than the one with this claim token, so many at most."""
        claim = self._hashed("claim", token)
        with self._database.reading() as db:
            head = self._head(db, in_force=True)
            if head is None:
                return []
            # A keyed hash is an order of its own.
            rows = db.execute(
                "SELECT subject, claim, sealed FROM subject WHERE roster = ? AND claim <> ? ORDER BY subject LIMIT ?",
                (head.number, claim, limit),
            ).fetchall()
        return [RosterEntry.model_validate_json(self._open(sealed, subject + other)) for subject, other, sealed in rows]

    def expire(self, now: DeviceTime) -> None:
        """Delete everything whose roster has certainly expired at `now`; the freed pages are overwritten."""
        moment = _not_before(now)
        if moment is None:
            return
        expired = (_microseconds(moment),)
        with self._database.reading() as db:
            if db.execute("SELECT 1 FROM roster WHERE expires_at <= ?", expired).fetchone() is None:
                return
        with self._database.writing() as db:
            # Asked again inside the transaction: the other process may have applied a newer page in between.
            for (in_force,) in db.execute("SELECT in_force FROM roster WHERE expires_at <= ?", expired).fetchall():
                _drop(db, in_force=bool(in_force))

    def close(self) -> None:
        """Close the database; may be called twice."""
        self._database.close()

    def _moment(self) -> datetime:
        now = self._clock.now()
        # A terminal without a clock wakes up in the past; the fleet's last word keeps a roster from living longer by that.
        return max(now.wall_clock, now.last_fleet_time or now.wall_clock)

    def _head(self, db: sqlite3.Connection, *, in_force: bool) -> _Head | None:
        """Return one of the two rosters, None when it is not there or has expired."""
        row = db.execute(
            "SELECT id, version, issued_at, sealed FROM roster WHERE in_force = ? AND expires_at > ?",
            (in_force, _microseconds(self._moment())),
        ).fetchone()
        return None if row is None else _Head(*row)

    def _secrets(self, head: _Head) -> _Secrets:
        return _Secrets.model_validate_json(self._open(head.sealed, _HEAD))

    def _gather(self, db: sqlite3.Connection, page: RosterPage, gathered: _Head | None) -> None:
        """Begin a roster beside the one in force, or go on with it; put it in force once it is complete."""
        if gathered is None:
            _drop(db, in_force=False)
            (number,) = db.execute("SELECT coalesce(max(id), 0) + 1 FROM roster").fetchone()
        else:
            number = gathered.number
        if page.complete:
            _drop(db, in_force=True)
        known = None if gathered is None else self._secrets(gathered)
        self._write(db, page, number, in_force=page.complete, known=known)

    def _write(
        self, db: sqlite3.Connection, page: RosterPage, number: int, *, in_force: bool, known: _Secrets | None
    ) -> None:
        # Pages name the key domains of their own entries; those of earlier pages are still needed.
        domains = (known.feature_keys if known else {}) | page.feature_keys
        secrets = _Secrets(claim_key=page.claim_key, feature_keys=domains, enrolment_domain=page.enrolment_domain)
        sealed = self._seal(secrets.model_dump_json().encode(), _HEAD)
        db.execute(
            "INSERT OR REPLACE INTO roster (id, in_force, version, issued_at, expires_at, sealed) VALUES (?, ?, ?, ?, ?, ?)",
            (number, in_force, page.upto, _microseconds(page.issued_at), _microseconds(page.expires_at), sealed),
        )
        for entry in page.entries:
            self._write_entry(db, number, entry)

    def _write_entry(self, db: sqlite3.Connection, number: int, entry: RosterEntry) -> None:
        subject, claim = self._hashed("subject", entry.subject_id), self._hashed("claim", entry.claim_token)
        db.execute("DELETE FROM subject WHERE roster = ? AND (subject = ? OR claim = ?)", (number, subject, claim))
        if not entry.removed:
            sealed = self._seal(entry.model_dump_json().encode(), subject + claim)
            db.execute(
                "INSERT INTO subject (roster, subject, claim, sealed) VALUES (?, ?, ?, ?)",
                (number, subject, claim, sealed),
            )

    def _hashed(self, purpose: str, text: str) -> bytes:
        return hmac.new(self._hash_key, f"{purpose}:{text}".encode(), hashlib.sha256).digest()

    def _seal(self, plain: bytes, bound_to: bytes) -> bytes:
        return self._sealer.seal(plain, bound_to=bound_to)

    def _open(self, sealed: bytes, bound_to: bytes) -> bytes:
        try:
            return self._sealer.open(sealed, bound_to=bound_to)
        except StoreUnusable as error:
            raise StoreUnusable(
                f"roster {self._path}: a row was altered; delete the file, the fleet sends it anew"
            ) from error

    def _check_key(self, key_path: Path) -> None:
        with self._database.writing() as db:
            row = db.execute("SELECT sealed FROM key_check").fetchone()
            if row is None:
                db.execute("INSERT INTO key_check (id, sealed) VALUES (1, ?)", (self._seal(_CHECK, _CHECK),))
                return
        try:
            self._sealer.open(row[0], bound_to=_CHECK)
        except StoreUnusable as error:
            raise KeyUnusable(
                f"key file {key_path.name}: not the key of roster {self._path};"
                " put the right key back, or delete the roster and the fleet sends it anew"
            ) from error


def _drop(db: sqlite3.Connection, *, in_force: bool) -> None:
    db.execute("DELETE FROM subject WHERE roster = (SELECT id FROM roster WHERE in_force = ?)", (in_force,))
    db.execute("DELETE FROM roster WHERE in_force = ?", (in_force,))


def _not_before(now: DeviceTime) -> datetime | None:
    """Return the latest moment that has certainly passed, None when nothing vouches for any."""
    known = [] if now.last_fleet_time is None else [now.last_fleet_time]
    if now.source is not ClockSource.NONE and now.uncertainty_s is not None:
        # A bound may be longer than the calendar.
        since_1970_s = max(0.0, now.wall_clock.timestamp() - now.uncertainty_s)
        known.append(datetime.fromtimestamp(since_1970_s, UTC))
    return max(known, default=None)


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def _folded(name: str) -> str:
    """Return what all ways of writing a name have in common."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _secret(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
