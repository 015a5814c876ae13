"""Sessions of the console, tokens that are good once, and failed attempts to sign in, as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, text


class TokenKind(StrEnum):
    """What a token is good for."""

    LINK = "link"
    """Signing in by a link that was handed over."""
    PENDING = "pending"
    """A sign-in whose password was right and whose second factor is missing."""
    PASSKEY_SIGN_IN = "passkey_sign_in"
    """The challenge of a sign-in by passkey."""
    PASSKEY_NEW = "passkey_new"
    """The challenge of a new passkey."""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session as it is stored; nothing in it lets anybody take it over."""

    session_id: str
    account_id: str
    form_token: str
    how: str
    must_set_up: bool
    address_hash: bytes
    signed_in_at: datetime
    last_seen_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Resumed:
    """A session with what every request needs of its account."""

    session: StoredSession
    name_sealed: bytes
    grants: tuple[tuple[str, str | None], ...]
    """Roles and areas."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Failures in a row."""

    failures: int
    last_at: datetime


def add_session(connection: Connection, session_hash: bytes, session: StoredSession) -> None:
    """Store a session."""
    connection.execute(
        text(
            "INSERT INTO account_sessions (session_hash, session_id, account_id, form_value, how, must_set_up, address_hash,"
            " signed_in_at, last_seen_at) VALUES (:hash, :id, :account, :form, :how, :set_up, :address, :signed_in, :seen)"
        ),
        {
            "hash": session_hash,
            "id": session.session_id,
            "account": session.account_id,
            "form": session.form_token,
            "how": session.how,
            "set_up": session.must_set_up,
            "address": session.address_hash,
            "signed_in": session.signed_in_at,
            "seen": session.last_seen_at,
        },
    )


def resume_session(connection: Connection, session_hash: bytes) -> Resumed | None:
    """Return a session that nobody ended, of an account in service, with its name and roles as they are now."""
    row = connection.execute(
        text(
            f"SELECT {_SESSION}, name_sealed, (SELECT COALESCE(json_agg(json_build_array(role, area)"  # noqa: S608 - fixed
            " ORDER BY role, area NULLS FIRST), '[]') FROM account_grants g WHERE g.account_id = s.account_id) AS grants"
            " FROM account_sessions s JOIN accounts a USING (account_id)"
            " WHERE session_hash = :hash AND ended_at IS NULL AND a.disabled_at IS NULL"
        ),
        {"hash": session_hash},
    ).one_or_none()
    if row is None:
        return None
    return Resumed(_session(row), bytes(row.name_sealed), tuple((role, area) for role, area in row.grants))


def touch_session(connection: Connection, session_hash: bytes, *, now: datetime) -> None:
    """Note that a session was used."""
    connection.execute(
        text("UPDATE account_sessions SET last_seen_at = :now WHERE session_hash = :hash"),
        {"hash": session_hash, "now": now},
    )


def account_of_form(connection: Connection, form_token: str) -> str | None:
    """Return in whose sessions a form's token is or was good."""
    found: str | None = connection.execute(
        text("SELECT account_id FROM account_sessions WHERE form_value = :token LIMIT 1"), {"token": form_token}
    ).scalar_one_or_none()
    return found


def sessions_of(connection: Connection, account_id: str) -> list[StoredSession]:
    """Return an account's sessions that nobody ended, the newest first."""
    rows = connection.execute(
        text(
            f"SELECT {_SESSION} FROM account_sessions s WHERE account_id = :id AND ended_at IS NULL"  # noqa: S608 - fixed
            " ORDER BY signed_in_at DESC, session_id"
        ),
        {"id": account_id},
    )
    return [_session(row) for row in rows]


def end_sessions(
    connection: Connection, account_id: str, *, now: datetime, only: str | None = None, but: str | None = None
) -> int:
    """End an account's sessions; return how many.

    Args:
        connection: where.
        account_id: whose.
        now: when.
        only: id of the one that ends.
        but: id of the one that goes on.
    """
    return connection.execute(
        text(
            "UPDATE account_sessions SET ended_at = :now WHERE account_id = :account AND ended_at IS NULL"
            " AND (CAST(:only AS text) IS NULL OR session_id = :only) AND session_id IS DISTINCT FROM CAST(:but AS text)"
        ),
        {"now": now, "account": account_id, "only": only, "but": but},
    ).rowcount


def has_been_at(connection: Connection, account_id: str, address_hash: bytes) -> bool:
    """Return whether an account has had a session from an address, as far as sessions are kept."""
    return (
        connection.execute(
            text("SELECT 1 FROM account_sessions WHERE account_id = :id AND address_hash = :address LIMIT 1"),
            {"id": account_id, "address": address_hash},
        ).one_or_none()
        is not None
    )


def add_token(
    connection: Connection,
    token_hash: bytes,
    kind: TokenKind,
    account_id: str | None,
    *,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Store a token."""
    connection.execute(
        text(
            "INSERT INTO account_tokens (token_hash, kind, account_id, made_at, expires_at)"
            " VALUES (:hash, :kind, :account, :now, :expires)"
        ),
        {"hash": token_hash, "kind": kind.value, "account": account_id, "now": now, "expires": expires_at},
    )


def find_token(
    connection: Connection, token_hash: bytes, kind: TokenKind, *, now: datetime
) -> tuple[str | None, int] | None:
    """Return whose token this is and how often it was used wrongly; None for one that is not or no longer good."""
    row = connection.execute(
        text(
            "SELECT account_id, failures FROM account_tokens"  # noqa: S608 - fixed
            f" WHERE token_hash = :hash AND kind = :kind AND {_GOOD}"
        ),
        {"hash": token_hash, "kind": kind.value, "now": now},
    ).one_or_none()
    return None if row is None else (row.account_id, row.failures)


def take_token(
    connection: Connection, token_hash: bytes, kind: TokenKind, *, now: datetime
) -> tuple[str | None] | None:
    """Use a token up; return whose it was, or None for one that is not or no longer good."""
    row = connection.execute(
        text(
            f"DELETE FROM account_tokens WHERE token_hash = :hash AND kind = :kind AND {_GOOD} RETURNING account_id"  # noqa: S608 - fixed
        ),
        {"hash": token_hash, "kind": kind.value, "now": now},
    ).one_or_none()
    return None if row is None else (row.account_id,)


def fail_token(connection: Connection, token_hash: bytes, *, most: int) -> None:
    """Count a wrong use of a token; the last that is allowed deletes it."""
    connection.execute(
        text("UPDATE account_tokens SET failures = failures + 1 WHERE token_hash = :hash"), {"hash": token_hash}
    )
    connection.execute(
        text("DELETE FROM account_tokens WHERE token_hash = :hash AND failures >= :most"),
        {"hash": token_hash, "most": most},
    )


def delete_tokens(connection: Connection, account_id: str) -> None:
    """Delete all tokens of an account."""
    connection.execute(text("DELETE FROM account_tokens WHERE account_id = :id"), {"id": account_id})


def lock_attempts(connection: Connection, keys: Sequence[bytes], *, now: datetime) -> dict[bytes, Attempts]:
    """Return the failures counted under these keys, and lock them until the transaction ends."""
    # Always in one order, so that two who try at once do not wait for each other.
    for key in sorted(keys):
        connection.execute(
            text("INSERT INTO account_attempts VALUES (:key, 0, :now) ON CONFLICT DO NOTHING"),
            {"key": key, "now": now},
        )
    rows = connection.execute(
        text(
            "SELECT key_hash, failures, last_at FROM account_attempts WHERE key_hash = ANY(:keys)"
            " ORDER BY key_hash FOR UPDATE"
        ),
        {"keys": sorted(keys)},
    )
    return {bytes(row.key_hash): Attempts(row.failures, row.last_at) for row in rows}


def set_attempts(connection: Connection, key: bytes, failures: int, *, now: datetime) -> None:
    """Store how many failures there are under a key, the last one now."""
    connection.execute(
        text("UPDATE account_attempts SET failures = :failures, last_at = :now WHERE key_hash = :key"),
        {"key": key, "failures": failures, "now": now},
    )


def forgive_attempt(connection: Connection, key: bytes) -> None:
    """Take back one failure that was counted before it was known whether it is one."""
    connection.execute(
        text("UPDATE account_attempts SET failures = failures - 1 WHERE key_hash = :key AND failures > 0"), {"key": key}
    )


def forget_attempts(connection: Connection, keys: Sequence[bytes]) -> None:
    """Delete what was counted under these keys."""
    connection.execute(text("DELETE FROM account_attempts WHERE key_hash = ANY(:keys)"), {"keys": sorted(keys)})


def delete_over(
    connection: Connection, *, sessions_before: datetime, attempts_before: datetime, now: datetime
) -> dict[str, int]:
    """Delete sessions and attempts that are over since long and tokens that have expired; return rows by table."""
    return {
        "account_sessions": connection.execute(
            text("DELETE FROM account_sessions WHERE COALESCE(ended_at, last_seen_at) < :before"),
            {"before": sessions_before},
        ).rowcount,
        "account_tokens": connection.execute(
            text("DELETE FROM account_tokens WHERE expires_at < :now"), {"now": now}
        ).rowcount,
        "account_attempts": connection.execute(
            text("DELETE FROM account_attempts WHERE last_at < :before"), {"before": attempts_before}
        ).rowcount,
    }


_SESSION = "session_id, s.account_id, form_value, how, must_set_up, address_hash, signed_in_at, last_seen_at, ended_at"
# A clock that was put back must not let an old token live again for longer than it was made for.
_GOOD = "expires_at > :now AND made_at <= CAST(:now AS timestamptz) + interval '5 minutes'"


def _session(row: Row[Any]) -> StoredSession:
    return StoredSession(
        row.session_id,
        row.account_id,
        row.form_value,
        row.how,
        row.must_set_up,
        bytes(row.address_hash),
        row.signed_in_at,
        row.last_seen_at,
        row.ended_at,
    )
