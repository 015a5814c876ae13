"""The way to the database: one engine, transactions, and one error for "not now"."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Connection, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from fleet.errors import DatabaseUnavailable

logger = logging.getLogger(__name__)

_CONNECT_TIMEOUT_S = 5
_CLOSE_S = 5.0
_POOL = 10
_CONNECT_ARGS: dict[str, int] = {
    "connect_timeout": _CONNECT_TIMEOUT_S,
    # A server that vanished without a word is noticed within half a minute, idle or in the middle of a statement.
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
_OPTIONS = (
    # Longest statements: a rebuild's chunk of 1000 people and the import of a province; a lock is held for one batch.
    "-c timezone=UTC -c statement_timeout=120s -c lock_timeout=30s -c idle_in_transaction_session_timeout=300s"
    # A receipt says that the record is on the disk, whatever the server's own setting.
    " -c synchronous_commit=on"
)


class Database:
    """Transactions on one PostgreSQL database."""

    def __init__(self, url: str) -> None:
        self._url = _psycopg_url(url)
        self._engine = create_engine(
            self._url,
            pool_size=_POOL,
            max_overflow=_POOL,
            pool_timeout=_CONNECT_TIMEOUT_S,
            pool_pre_ping=True,
            # A statement's parameters can hold names and payloads; they do not belong in an error's text.
            hide_parameters=True,
            isolation_level="READ COMMITTED",
            connect_args={**_CONNECT_ARGS, "options": _OPTIONS},
        )
        self._changed = threading.Condition()
        self._under_way = 0
        self._is_closed = False

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Give a connection inside a transaction: committed at the end of the block, rolled back by an error.

        Raises:
            DatabaseUnavailable: if the server cannot be reached, went away, is out of room, or broke a deadlock by ending this
                transaction; the whole block may be tried again. Whether a commit that was cut off took effect is
                not known, so what is tried again must be idempotent. After `close` always.
        """
        try:
            with self._counted(), self._engine.begin() as connection:
                yield connection
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise DatabaseUnavailable(f"database: {_first_line(error)}") from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise DatabaseUnavailable(f"database: {_first_line(error)}") from error
            raise

    @contextmanager
    def listen(self, *channels: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """Give a connection of its own that hears notifications on the channels.

        Raises:
            DatabaseUnavailable: as in `begin`.
        """
        target = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        try:
            with psycopg.connect(make_conninfo(target, **_CONNECT_ARGS), autocommit=True) as connection:
                for channel in channels:
                    connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
                yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise DatabaseUnavailable(f"database: {_first_line(error)}") from error

    @contextmanager
    def alone(self, name: str) -> Iterator[bool]:
        """Give whether nobody else does what has this name, and keep everybody else from it until the end of the block.

        It ends with the connection: a program that was killed is in nobody's way.

        Raises:
            DatabaseUnavailable: as in `begin`.
        """
        with self.listen() as connection:
            row = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,)).fetchone()
            yield bool(row and row[0])

    def check(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            DatabaseUnavailable: if there is none.
        """
        with self.begin() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Begin no more transactions, and close their connections once they have ended, or after 5 s; can be called twice."""
        with self._changed:
            self._is_closed = True
            if not self._changed.wait_for(lambda: not self._under_way, _CLOSE_S):
                logger.warning("closed with transactions under way count=%d", self._under_way)
        # A connection that is in use now would come back to a pool that is gone, and be open until the program ends.
        self._engine.dispose()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._changed:
            if self._is_closed:
                raise DatabaseUnavailable("database: closed")
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()


def notify(connection: Connection, channel: str, payload: str = "") -> None:
    """Tell listeners on a channel, once this transaction is committed."""
    connection.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": channel, "payload": payload})


class Availability:
    """Says once that a peer is lost and once that it is back."""

    def __init__(self, peer: str) -> None:
        self._peer = peer
        self._lost = False

    def lost(self, why: object) -> None:
        """Note that the peer did not answer."""
        if not self._lost:
            logger.error("%s lost, trying again until it is back: %s", self._peer, why)
        self._lost = True

    def back(self) -> None:
        """Note that the peer answered."""
        if self._lost:
            logger.warning("%s is back", self._peer)
        self._lost = False


def _psycopg_url(text_url: str) -> URL:
    return make_url(text_url).set(drivername="postgresql+psycopg")


def _first_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]
