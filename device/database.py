"""SQLite files of the terminal: opened durably, shared by processes, never repaired by guessing.

Write-ahead log with `synchronous=FULL`: what a transaction committed survives power loss (sqlite.org/pragma.html#pragma_synchronous).
A file that is damaged, is something else or was made by a newer program is left exactly as it is: it may hold what exists
nowhere else.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from device.errors import DeviceError, StoreUnusable

PAGE_BYTES = 4096
_HEAD_BYTES = 100
_VERSION_AT, _APPLICATION_AT = 60, 68
_BUSY_TIMEOUT_S = 10.0
_MAX_PAGES = 4294967294
"""SQLite's own limit. Source: sqlite.org/limits.html, item 13."""
_PRIMARY_CODE = 0xFF
"""Low byte of an extended result code. Source: sqlite.org/rescode.html."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What a database file must be."""

    what: str
    """For messages: `outbox`, `roster`."""
    application_id: int
    version: int
    statements: tuple[str, ...]
    """Make an empty file of this version."""
    unavailable: type[DeviceError]
    """Raised when the file cannot be read or written now."""
    full: type[DeviceError]
    """Raised when no room is left."""
    upgrades: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """By an older version: what brings a file of it to the next one, losing nothing."""


def check_version(path: Path, schema: Schema) -> None:
    """Look whether this program could open a file, without opening it: whoever has it open notices nothing, and nothing is made.

    The version stands in the first page, at a place of its own. Source: sqlite.org/fileformat2.html, 1.3. What still lies in the log
    alone, of a file just made, counts as not there.

    Raises:
        StoreUnusable: if it is another kind of database, or of a version that this program does not know.
        DeviceError: the schema's `unavailable`, if it cannot be read now.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError:
        return
    except OSError as error:
        raise schema.unavailable(f"{schema.what} {path.name}: {error.strerror}") from error
    if len(head) < _HEAD_BYTES:
        return
    version, application = (int.from_bytes(head[place : place + 4]) for place in (_VERSION_AT, _APPLICATION_AT))
    if not version and not application:
        return
    if application != schema.application_id:
        raise StoreUnusable(f"{schema.what} {path}: is another kind of database")
    while version in schema.upgrades:
        version += 1
    if version != schema.version:
        raise StoreUnusable(f"{schema.what} {path}: schema version {version}, this program knows {schema.version}")


class Database:
    """One connection to one file, usable from several threads.

    Args:
        path: the file; made with mode 0600 if missing, with its folder.
        schema: what it must be.

    Raises:
        StoreUnusable: if the file is damaged, is something else, or was made by a newer version.
        DeviceError: the schema's `unavailable` or `full`, if it cannot be opened or made now.
    """

    def __init__(self, path: Path, schema: Schema) -> None:
        self._path = path
        self._schema = schema
        self._lock = threading.Lock()
        with self._translated(), _alone_in(path.parent):
            _make_file(path)
            self._db = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
            try:
                self._configure()
                self._check_schema()
            except BaseException:
                self._db.close()
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for one query."""
        with self._lock, self._translated():
            yield self._db

    @contextmanager
    def writing(self, *, max_bytes: int | None = None) -> Iterator[sqlite3.Connection]:
        """Lend the connection inside an IMMEDIATE transaction: committed at the end, rolled back on any exception.

        Args:
            max_bytes: if given, the size of the file above which this transaction fails as full.
        """
        with self._lock, self._translated():
            pages = _MAX_PAGES if max_bytes is None else max(1, max_bytes // PAGE_BYTES)
            self._db.execute(f"PRAGMA max_page_count = {pages}").fetchone()
            with self._transaction():
                yield self._db

    def scrub(self) -> bool:
        """Write the whole file anew and empty the log, so that nothing is left in either of what was deleted; say whether it was done.

        `secure_delete` overwrites what is deleted, but not the copies that stay behind in a page when SQLite moves rows between pages:
        after thousands of changes some bytes of rows long gone were found there (`erase_proof`). `VACUUM` leaves none, and the
        checkpoint puts its pages where the old ones were and cuts the log to nothing (sqlite.org/lang_vacuum.html, sqlite.org/wal.html).
        Another process that reads or writes for longer than the busy timeout prevents it; then nothing has changed.
        """
        with self._lock, self._translated():
            # What is kept for a moment must not go to a temporary file.
            self._db.execute("PRAGMA temp_store = MEMORY")
            self._db.execute("VACUUM")
            (busy, _, _) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy

    def close(self) -> None:
        """Close the file; may be called twice."""
        with self._lock:
            self._db.close()

    def _configure(self) -> None:
        self._db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        self._db.execute("PRAGMA journal_mode = WAL").fetchone()
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA secure_delete = ON").fetchone()

    def _check_schema(self) -> None:
        schema = self._schema
        with self._transaction():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            (application,) = self._db.execute("PRAGMA application_id").fetchone()
            (objects,) = self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if not objects and not version and not application:
                for statement in schema.statements:
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {schema.version}")
                self._db.execute(f"PRAGMA application_id = {schema.application_id}")
                return
            if application != schema.application_id:
                raise StoreUnusable(f"{schema.what} {self._path}: is another kind of database; it was left as it is")
            while version in schema.upgrades:
                for statement in schema.upgrades[version]:
                    self._db.execute(statement)
                version += 1
                self._db.execute(f"PRAGMA user_version = {version}")
            if version != schema.version:
                raise StoreUnusable(
                    f"{schema.what} {self._path}: schema version {version}, this program knows {schema.version};"
                    " run the program version that made it"
                )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            # After some errors SQLite has rolled back by itself (sqlite.org/lang_transaction.html, section 3).
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        schema = self._schema
        try:
            yield
        except sqlite3.Error as error:
            code = (getattr(error, "sqlite_errorcode", None) or 0) & _PRIMARY_CODE
            if code == sqlite3.SQLITE_FULL:
                raise schema.full(f"{schema.what} {self._path.name}: no room left") from error
            if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
                raise StoreUnusable(
                    f"{schema.what} {self._path}: damaged ({error}); it was left as it is, keep it for recovery"
                ) from error
            raise schema.unavailable(f"{schema.what} {self._path.name}: {error}") from error
        except OSError as error:
            raise schema.unavailable(f"{schema.what} {self._path.name}: {error.strerror}") from error


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes of ours from opening a file of this folder at the same moment.

    Switching a new file to the write-ahead log does not wait for a lock (sqlite.org/wal.html, section 5), so two programs
    that start together would otherwise fail now and then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_file(path: Path) -> None:
    # SQLite gives the log files beside it the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
