"""The route roster and the card keys in an SQLite database whose rows are encrypted one by one.

Who takes the card out of a terminal learns neither who is assigned to it nor anybody's references: a row is found by a keyed
hash of its claim token, everything else in it is AES-256-GCM, and the key lies in a file of its own that systemd can hold
as a credential. Hash and encryption use keys derived from that one (HKDF, RFC 5869).

What is deleted leaves no byte behind, neither in the tables nor in freed pages, slack and log: a transaction that deletes also notes that
the file is to be written anew, and until that was done (`Database.scrub`) it is tried again, at the next start at the latest.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from device.database import Database, Schema
from device.erasure import ErasureProof, erase_proof, files_of, overwrite
from device.errors import KeyUnusable, ReferencesUnavailable, StoreUnusable
from device.name_list import initials, matching
from device.ports import Clock, Labelled
from device.storage import Sealer, derived, load_or_make_key
from protocol import base64url
from protocol.reference_card import CardKeys
from protocol.roster import RosterEntry, RosterPage
from protocol.rules.acts import Act, ActKind, Channel
from protocol.times import ClockSource, DeviceTime, best_guess

logger = logging.getLogger(__name__)

_HEAD: Final = b"head"
_CHECK: Final = b"lifecert roster key check"
_CARD_KEYS: Final = b"card keys"
_VERSION_2: Final = (
    """CREATE TABLE card_keys (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        issued_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT""",
    "CREATE TABLE past (id INTEGER PRIMARY KEY CHECK (id = 1), expires_at INTEGER NOT NULL) STRICT",
    "CREATE TABLE unscrubbed (id INTEGER PRIMARY KEY CHECK (id = 1), deletions INTEGER NOT NULL) STRICT",
)
_VERSION_4: Final = (
    """CREATE TABLE act (
        id INTEGER PRIMARY KEY,
        claim BLOB NOT NULL,
        made_at INTEGER NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX act_by_claim ON act (claim)",
)
_VERSION_3: Final = ("CREATE TABLE refused (id INTEGER PRIMARY KEY CHECK (id = 1)) STRICT",)

SCHEMA = Schema(
    what="roster",
    application_id=0x4C635246,
    version=4,
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
        *_VERSION_2,
        *_VERSION_3,
        *_VERSION_4,
    ),
    unavailable=ReferencesUnavailable,
    full=ReferencesUnavailable,
    upgrades={1: _VERSION_2, 2: _VERSION_3, 3: _VERSION_4},
)
"""`subject` and `claim` are keyed hashes; `issued_at` and `expires_at` are in microseconds since 1970 (UTC). Of the two rosters there can
be, one is in force and the other is being gathered until it is complete. `past` is the one that was in force and was deleted when it
had expired, until another is. A row in `unscrubbed` means that something was deleted and may still stand in freed space.
A row in `refused` means that a roster came since the last page was applied and could not be taken.
An `act` is a certification made here of which the roster does not tell yet."""
_ACTS_KEPT: Final = timedelta(days=31)
"""Certifications made here are remembered that long at most. A roster is good for 30 days (`fleet.admission.ROSTER_VALIDITY`): whoever can
still be certified here after that is on one that the fleet made since, and what it does not tell of then did not count."""
_ACT: Final = b"act"


class _OwnAct(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    act_id: str
    day: date
    kind: ActKind
    channel: Channel


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
            self._scrub()
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
            if not self._applied(db, page):
                return False
            db.execute("DELETE FROM refused")
        self._scrub()
        return True

    def has_expired(self) -> bool:
        """Say whether the roster in force has expired and no other has taken its place."""
        ends = self.expires_at()
        return ends is not None and ends <= self._moment()

    def expires_at(self) -> datetime | None:
        """Return when the roster in force ends, or ended if no other has taken its place."""
        with self._database.reading() as db:
            row = db.execute(
                "SELECT expires_at FROM roster WHERE in_force UNION ALL SELECT expires_at FROM past"
            ).fetchone()
        return None if row is None else datetime.fromtimestamp(row[0] / 1_000_000, UTC)

    def note_refused(self) -> None:
        """Remember until a page is applied that one was refused."""
        with self._database.writing() as db:
            db.execute("INSERT OR IGNORE INTO refused (id) VALUES (1)")

    def was_refused(self) -> bool:
        """Say whether a page was refused and none has been applied since."""
        with self._database.reading() as db:
            return db.execute("SELECT 1 FROM refused").fetchone() is not None

    def apply_card_keys(self, keys: CardKeys) -> bool:
        """Keep card keys instead of those before; return False, unchanged, when they are not newer or have expired themselves."""
        if keys.expires_at <= self._moment():
            return False
        issued = _microseconds(keys.issued_at)
        with self._database.writing() as db:
            row = db.execute("SELECT issued_at FROM card_keys").fetchone()
            if row is not None and issued <= row[0]:
                return False
            db.execute(
                "INSERT OR REPLACE INTO card_keys (id, issued_at, expires_at, sealed) VALUES (1, ?, ?, ?)",
                (issued, _microseconds(keys.expires_at), self._seal(keys.to_bytes(), _CARD_KEYS)),
            )
            if row is not None:
                _owe_scrub(db)
        self._scrub()
        return True

    def card_keys(self) -> CardKeys | None:
        """Return what opens reference cards, None when there is nothing or it has expired."""
        moment = _microseconds(self._moment())
        with self._database.reading() as db:
            row = db.execute("SELECT sealed FROM card_keys WHERE expires_at > ?", (moment,)).fetchone()
        return None if row is None else CardKeys.model_validate_json(self._open(row[0], _CARD_KEYS))

    def claim_key(self) -> bytes | None:
        """Return the key for claim tokens, None when there is no roster, no complete one yet, or it has expired."""
        with self._database.reading() as db:
            head = self._head(db, in_force=True)
        return None if head is None else base64url.decode(self._secrets(head).claim_key)

    def feature_key(self, domain: str) -> bytes | None:
        """Return the rotation key of a key domain, None when unknown or expired."""
        with self._database.reading() as db:
            head = self._head(db, in_force=True)
        text = None if head is None else self._secrets(head).feature_keys.get(domain)
        return None if text is None else base64url.decode(text)

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

    def issued_at(self) -> datetime | None:
        """Return when the fleet last said something of the roster in force; None when there is none, or it has expired."""
        with self._database.reading() as db:
            head = self._head(db, in_force=True)
        return None if head is None else datetime.fromtimestamp(head.issued_at / 1_000_000, UTC)

    def note_act(self, token: str, act: Act) -> None:
        """Remember a certification made here."""
        claim = self._hashed("claim", token)
        own = _OwnAct(act_id=act.act_id, day=act.day, kind=act.kind, channel=act.channel)
        sealed = self._seal(own.model_dump_json().encode(), _ACT + claim)
        moment = self._moment()
        with self._database.writing() as db:
            if db.execute("DELETE FROM act WHERE made_at <= ?", (_microseconds(moment - _ACTS_KEPT),)).rowcount:
                _owe_scrub(db)
            db.execute(
                "INSERT INTO act (claim, made_at, sealed) VALUES (?, ?, ?)", (claim, _microseconds(moment), sealed)
            )

    def acts(self, token: str) -> list[Act]:
        """Return what was certified here under this claim token and the fleet has not told of yet."""
        with self._database.reading() as db:
            return [act for _, act in self._own_acts(db, self._hashed("claim", token))]

    def _own_acts(self, db: sqlite3.Connection, claim: bytes) -> list[tuple[int, Act]]:
        since = _microseconds(self._moment() - _ACTS_KEPT)
        rows = db.execute("SELECT id, sealed FROM act WHERE claim = ? AND made_at > ? ORDER BY id", (claim, since))
        found = [(number, _OwnAct.model_validate_json(self._open(sealed, _ACT + claim))) for number, sealed in rows]
        return [(number, Act(own.act_id, own.day, own.kind, own.channel)) for number, own in found]

    def people(self, part: str, *, offset: int, limit: int) -> list[Labelled]:
        """Return a page of those whose name contains `part`."""
        return matching(self._labelled(), part)[offset : offset + limit]

    def initials(self) -> list[str]:
        """Return the characters that names begin with, the most frequent first."""
        return initials(self._labelled())

    def _labelled(self) -> list[Labelled]:
        """Return everybody with a name.

        Every row is opened for it, because nothing about a name stands outside a seal: some 30 ms for a thousand people.
        """
        with self._database.reading() as db:
            head = self._head(db, in_force=True)
            if head is None:
                return []
            rows = db.execute("SELECT subject, claim, sealed FROM subject WHERE roster = ?", (head.number,)).fetchall()
        entries = (
            RosterEntry.model_validate_json(self._open(sealed, subject + claim)) for subject, claim, sealed in rows
        )
        return [
            Labelled(entry.label.document, entry.claim_token, entry.label)
            for entry in entries
            if entry.label is not None
        ]

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
            known = "SELECT expires_at FROM roster UNION ALL SELECT expires_at FROM card_keys"
            has_expired = db.execute(f"SELECT 1 FROM ({known}) WHERE expires_at <= ?", expired).fetchone() is not None  # noqa: S608 - fixed text
        if has_expired:
            with self._database.writing() as db:
                # Asked again inside the transaction: the other process may have applied something newer in between.
                gone = db.execute("SELECT in_force, expires_at FROM roster WHERE expires_at <= ?", expired).fetchall()
                for in_force, expires_at in gone:
                    _drop(db, in_force=bool(in_force))
                    if in_force:
                        db.execute("INSERT OR REPLACE INTO past (id, expires_at) VALUES (1, ?)", (expires_at,))
                        db.execute("DELETE FROM act")
                        logger.warning("roster expired and deleted")
                if db.execute("DELETE FROM card_keys WHERE expires_at <= ?", expired).rowcount:
                    _owe_scrub(db)
                    logger.warning("card keys expired and deleted")
        self._scrub()

    def close(self) -> None:
        """Close the database; may be called twice."""
        self._database.close()

    def _moment(self) -> datetime:
        # A terminal without a clock wakes up in the past or far ahead; what has certainly passed is reckoned with then.
        return best_guess(self._clock.now())

    def _head(self, db: sqlite3.Connection, *, in_force: bool) -> _Head | None:
        """Return one of the two rosters, None when it is not there or has expired."""
        row = db.execute(
            "SELECT id, version, issued_at, sealed FROM roster WHERE in_force = ? AND expires_at > ?",
            (in_force, _microseconds(self._moment())),
        ).fetchone()
        return None if row is None else _Head(*row)

    def _applied(self, db: sqlite3.Connection, page: RosterPage) -> bool:
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

    def _scrub(self) -> None:
        """Write the file anew if something was deleted since; a file in use by another process is left for the next time."""
        with self._database.reading() as db:
            owed = db.execute("SELECT deletions FROM unscrubbed").fetchone()
        if owed is None:
            return
        try:
            if not self._database.scrub():
                logger.info("roster file in use, freed space is overwritten later")
                return
            with self._database.writing() as db:
                # The other process may have deleted something since.
                db.execute("DELETE FROM unscrubbed WHERE deletions = ?", owed)
        except ReferencesUnavailable as error:
            logger.warning("freed space of the roster not overwritten yet why=%s", error)

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
        if in_force:
            db.execute("DELETE FROM past")
        for entry in page.entries:
            self._write_entry(db, number, entry)

    def _write_entry(self, db: sqlite3.Connection, number: int, entry: RosterEntry) -> None:
        subject, claim = self._hashed("subject", entry.subject_id), self._hashed("claim", entry.claim_token)
        known = (number, subject, claim)
        if db.execute("DELETE FROM subject WHERE roster = ? AND (subject = ? OR claim = ?)", known).rowcount:
            _owe_scrub(db)
        told = [found.last.day for found in entry.entitlements if found.last is not None]
        for own, act in self._own_acts(db, claim) if told else ():
            if act.day <= max(told):
                db.execute("DELETE FROM act WHERE id = ?", (own,))
                _owe_scrub(db)
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
                f"key file {key_path}: not the key of roster {self._path};"
                " put the right key back, or delete the roster and the fleet sends it anew"
            ) from error


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased, and what the search in the overwritten files showed."""

    is_key_destroyed: bool
    """Whether the storage key is gone: it may lie where this program cannot write."""
    was_readable: bool
    """Whether the database could be read before, so that its content could be looked for afterwards."""
    subjects: int
    references: int
    proof: ErasureProof


def erase_all(path: Path, key_path: Path) -> Erased:
    """Destroy the storage key, then everything in the database, then the files, and search for what was in them.

    The key goes first: whatever a flash card still holds of old blocks can then be opened by nobody. May be called again after it was
    cut off, with or without key or database.

    Raises:
        ReferencesUnavailable: if another program has the database open, or a file cannot be written.
    """
    content, subjects, references = _content_of(path, key_path)
    try:
        is_key_destroyed = _destroy_key(key_path)
        files = files_of(path)
        for file in files:
            overwrite(file)
        proof = erase_proof(path, content)
        for file in files:
            file.unlink()
    except OSError as error:
        raise ReferencesUnavailable(f"roster {path.name}: cannot be erased: {error.strerror}; try again") from error
    return Erased(is_key_destroyed, bool(content), subjects, references, proof)


def held_in(path: Path, key_path: Path) -> tuple[int, int]:
    """Return how many subjects, and references of them that can be read, a roster has; none where there is no roster.

    Raises:
        ReferencesUnavailable: if another program has the database open.
    """
    _, subjects, references = _content_of(path, key_path)
    return subjects, references


def _content_of(path: Path, key_path: Path) -> tuple[list[bytes], int, int]:
    """Return what is to be looked for: rows as they are stored and, where the key opens them, what they say; and how many there are."""
    if not path.exists():
        return [], 0, 0
    db = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        # A program that has it open holds a lock that this one cannot be had beside (sqlite.org/pragma.html#pragma_locking_mode).
        db.execute("PRAGMA locking_mode = EXCLUSIVE").fetchone()
        db.execute("BEGIN EXCLUSIVE")
        rows = db.execute("SELECT subject, claim, sealed FROM subject").fetchall()
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        # A database of an older version has no acts.
        sealed = [f"SELECT sealed FROM {name}" for name in ("roster", "key_check", "act") if name in tables]  # noqa: S608 - our own names
        others = [row[0] for row in db.execute(" UNION ALL ".join(sealed))]
        db.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise ReferencesUnavailable(
                f"roster {path.name}: in use; stop lifecert-terminal and lifecert-uplink first"
            ) from error
        return [], 0, 0
    except sqlite3.DatabaseError:
        # Damaged: there is nothing to say about its content, and it is overwritten all the same.
        return [], 0, 0
    finally:
        db.close()
    content = [*others, *(part for row in rows for part in row)]
    opened = list(_opened_rows(rows, key_path))
    for entry in opened:
        content.append(entry.model_dump_json().encode())
        content += [reference.features.encode() for reference in entry.references]
        content += [reference.vector().tobytes() for reference in entry.references]
    return content, len(rows), sum(len(entry.references) for entry in opened)


def _opened_rows(rows: Sequence[tuple[bytes, bytes, bytes]], key_path: Path) -> Iterator[RosterEntry]:
    try:
        sealer = Sealer(key_path.read_bytes(), b"lifecert roster rows")
        for subject, claim, sealed in rows:
            yield RosterEntry.model_validate_json(sealer.open(sealed, bound_to=subject + claim))
    except (OSError, ValueError, StoreUnusable):
        # Without the key, or with another one, only the stored form can be looked for.
        return


def _destroy_key(path: Path) -> bool:
    try:
        overwrite(path)
        path.unlink()
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileNotFoundError:
        return True
    except OSError as error:
        logger.error("storage key not destroyed file=%s why=%s", path.name, error.strerror)  # noqa: TRY400 - the message says all
        return False
    return True


def _drop(db: sqlite3.Connection, *, in_force: bool) -> None:
    db.execute("DELETE FROM subject WHERE roster = (SELECT id FROM roster WHERE in_force = ?)", (in_force,))
    if db.execute("DELETE FROM roster WHERE in_force = ?", (in_force,)).rowcount:
        _owe_scrub(db)


def _owe_scrub(db: sqlite3.Connection) -> None:
    more = (
        "INSERT INTO unscrubbed (id, deletions) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET deletions = deletions + 1"
    )
    db.execute(more)


def _not_before(now: DeviceTime) -> datetime | None:
    """Return the latest moment that has certainly passed, None when nothing vouches for any."""
    known = [found for found in (now.last_fleet_time, now.not_before) if found is not None]
    if now.source is not ClockSource.NONE and now.uncertainty_s is not None:
        # A bound may be longer than the calendar.
        since_1970_s = max(0.0, now.wall_clock.timestamp() - now.uncertainty_s)
        known.append(datetime.fromtimestamp(since_1970_s, UTC))
    return max(known, default=None)


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
