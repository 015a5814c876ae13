"""The route roster in an SQLite database whose rows are encrypted one by one.

Who takes the card out of a terminal learns neither who is assigned to it nor anybody's references: a row is found by a keyed
hash of its claim token, everything else in it is AES-256-GCM, and the key lies in a file of its own that systemd can hold
as a credential. Hash and encryption use keys derived from that one (HKDF, RFC 5869).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import sqlite3
import tempfile
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from pydantic import BaseModel, ConfigDict

from device.database import Database, Schema
from device.errors import KeyUnusable, ReferencesUnavailable, StoreUnusable
from device.ports import Clock
from protocol.roster import RosterEntry, RosterPage

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
"""96 bits, drawn at random for every row. Source: NIST SP 800-38D, section 8.2.2."""
_HEAD: Final = b"head"
_CHECK: Final = b"lifecert roster key check"

SCHEMA = Schema(
    what="roster",
    application_id=0x4C635246,
    version=1,
    statements=(
        """CREATE TABLE subject (
            subject BLOB PRIMARY KEY,
            claim BLOB NOT NULL UNIQUE,
            sealed BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE roster (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            version INTEGER NOT NULL,
            expires_at INTEGER,
            sealed BLOB
        ) STRICT""",
        "INSERT INTO roster (id, version) VALUES (1, 0)",
        "CREATE TABLE key_check (id INTEGER PRIMARY KEY CHECK (id = 1), sealed BLOB NOT NULL) STRICT",
    ),
    unavailable=ReferencesUnavailable,
    full=ReferencesUnavailable,
)
"""`subject` and `claim` are keyed hashes; `expires_at` is in seconds since 1970 (UTC)."""


class _Secrets(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    claim_key: str
    feature_keys: dict[str, str]


class SqliteReferenceStore:
    """See `device.ports.ReferenceStore`. Safe to use from several threads and processes.

    Args:
        path: the database file; it is made if missing, with its folder.
        key_path: the key file, `KEY_BYTES` bytes; made with mode 0600 if missing and the roster is new.
        clock: tells whether the roster has expired.

    Raises:
        KeyUnusable: if the key file cannot be read or made, or is not the one this roster was encrypted with.
        StoreUnusable: if the database is damaged, is something else, or was made by a newer version.
        ReferencesUnavailable: if the database cannot be opened or made now.
    """

    def __init__(self, path: Path, key_path: Path, clock: Clock) -> None:
        key = load_or_make_key(key_path)
        self._cipher = AESGCM(_derived(key, b"lifecert roster rows"))
        self._hash_key = _derived(key, b"lifecert roster lookup")
        self._clock = clock
        self._path = path
        self._database = Database(path, SCHEMA)
        try:
            self._check_key(key_path)
        except BaseException:
            self._database.close()
            raise

    def version(self) -> int:
        """Return the roster version, 0 when there is none or it has expired."""
        with self._database.reading() as db:
            return self._valid_version(db)

    def apply(self, page: RosterPage) -> bool:
        """Apply a page whole; return False, unchanged, when it does not build upon `version()` or has expired itself."""
        if page.expires_at <= self._moment():
            return False
        with self._database.writing() as db:
            if self._valid_version(db) != page.after:
                return False
            if page.after == 0:
                db.execute("DELETE FROM subject")
            secrets = self._secrets(db) if page.after else None
            self._write_head(db, page, secrets)
            for entry in page.entries:
                self._write_entry(db, entry)
        return True

    def claim_key(self) -> bytes | None:
        """Return the key for claim tokens, None when there is no roster or it has expired."""
        with self._database.reading() as db:
            secrets = self._secrets(db)
        return None if secrets is None else _secret(secrets.claim_key)

    def feature_key(self, domain: str) -> bytes | None:
        """Return the rotation key of a key domain, None when unknown or expired."""
        with self._database.reading() as db:
            secrets = self._secrets(db)
        text = None if secrets is None else secrets.feature_keys.get(domain)
        return None if text is None else _secret(text)

    def find(self, token: str) -> RosterEntry | None:
        """Return the subject with this claim token, None when unknown or expired."""
        with self._database.reading() as db:
            if not self._valid_version(db):
                return None
            claim = self._hashed("claim", token)
            row = db.execute("SELECT subject, sealed FROM subject WHERE claim = ?", (claim,)).fetchone()
        if row is None:
            return None
        return RosterEntry.model_validate_json(self._open(row[1], row[0] + claim))

    def expire(self, now: datetime) -> None:
        """Delete everything whose roster has expired at `now`; the freed pages are overwritten."""
        with self._database.reading() as db:
            (expires_at,) = db.execute("SELECT expires_at FROM roster").fetchone()
        if expires_at is None or now.timestamp() < expires_at:
            return
        with self._database.writing() as db:
            # Asked again inside the transaction: the other process may have applied a newer page in between.
            (expires_at,) = db.execute("SELECT expires_at FROM roster").fetchone()
            if expires_at is not None and now.timestamp() >= expires_at:
                db.execute("DELETE FROM subject")
                db.execute("UPDATE roster SET version = 0, expires_at = NULL, sealed = NULL")

    def close(self) -> None:
        """Close the database; may be called twice."""
        self._database.close()

    def _valid_version(self, db: sqlite3.Connection) -> int:
        version, expires_at = db.execute("SELECT version, expires_at FROM roster").fetchone()
        if expires_at is None or self._moment().timestamp() >= expires_at:
            return 0
        return int(version)

    def _moment(self) -> datetime:
        now = self._clock.now()
        # A terminal without a clock wakes up in the past; the fleet's last word keeps a roster from living longer by that.
        return max(now.wall_clock, now.last_fleet_time or now.wall_clock).astimezone(UTC)

    def _secrets(self, db: sqlite3.Connection) -> _Secrets | None:
        if not self._valid_version(db):
            return None
        (sealed,) = db.execute("SELECT sealed FROM roster").fetchone()
        return _Secrets.model_validate_json(self._open(sealed, _HEAD))

    def _write_head(self, db: sqlite3.Connection, page: RosterPage, known: _Secrets | None) -> None:
        # Pages name the key domains of their own entries; those of earlier pages are still needed.
        domains = (known.feature_keys if known else {}) | page.feature_keys
        secrets = _Secrets(claim_key=page.claim_key, feature_keys=domains)
        db.execute(
            "UPDATE roster SET version = ?, expires_at = ?, sealed = ?",
            (page.upto, int(page.expires_at.timestamp()), self._seal(secrets.model_dump_json().encode(), _HEAD)),
        )

    def _write_entry(self, db: sqlite3.Connection, entry: RosterEntry) -> None:
        subject, claim = self._hashed("subject", entry.subject_id), self._hashed("claim", entry.claim_token)
        db.execute("DELETE FROM subject WHERE subject = ? OR claim = ?", (subject, claim))
        if not entry.removed:
            sealed = self._seal(entry.model_dump_json().encode(), subject + claim)
            db.execute("INSERT INTO subject (subject, claim, sealed) VALUES (?, ?, ?)", (subject, claim, sealed))

    def _hashed(self, purpose: str, text: str) -> bytes:
        return hmac.new(self._hash_key, f"{purpose}:{text}".encode(), hashlib.sha256).digest()

    def _seal(self, plain: bytes, bound_to: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, bound_to)

    def _open(self, sealed: bytes, bound_to: bytes) -> bytes:
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError) as error:
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
            self._cipher.decrypt(row[0][:_NONCE_BYTES], row[0][_NONCE_BYTES:], _CHECK)
        except (InvalidTag, ValueError) as error:
            raise KeyUnusable(
                f"key file {key_path.name}: not the key of roster {self._path};"
                " put the right key back, or delete the roster and the fleet sends it anew"
            ) from error


def load_or_make_key(path: Path) -> bytes:
    """Return the key in a file; a missing file is made, whole and with mode 0600, exactly once among all processes.

    Raises:
        KeyUnusable: if the file cannot be read or made, or has not `KEY_BYTES` bytes.
    """
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise KeyUnusable(f"key file {path.name}: {error.strerror}") from error
    if len(key) != KEY_BYTES:
        raise KeyUnusable(f"key file {path.name}: {len(key)} bytes, {KEY_BYTES} expected")
    return key


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp makes mode 0600; a hard link appears with its whole content and fails if somebody else was first.
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        os.write(descriptor, os.urandom(KEY_BYTES))
        os.fsync(descriptor)
        try:
            os.link(name, path)
        except FileExistsError:
            return
    finally:
        os.close(descriptor)
        Path(name).unlink()


def _derived(key: bytes, purpose: bytes) -> bytes:
    return HKDFExpand(algorithm=SHA256(), length=KEY_BYTES, info=purpose).derive(key)


def _secret(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
