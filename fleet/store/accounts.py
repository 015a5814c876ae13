"""Accounts, their roles, and what they sign in with, as SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, Row, text

_LOCK = 0x6C636163
"""Advisory lock number of changes to accounts: "lcac" in ASCII."""


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """An account as it is stored."""

    account_id: str
    name_sealed: bytes
    password_hash: str | None
    totp_sealed: bytes | None
    totp_offered: bytes | None
    """A secret that its owner has not shown a code of yet."""
    totp_step: int
    """Last time step of which a code was used."""
    added_at: datetime
    disabled_at: datetime | None
    passkeys: int
    """How many they have."""

    @property
    def is_set_up(self) -> bool:
        """Whether they can sign in without a link: by a passkey, or by password and code."""
        return self.passkeys > 0 or (self.password_hash is not None and self.totp_sealed is not None)


@dataclass(frozen=True, slots=True)
class StoredPasskey:
    """A passkey as it is stored."""

    credential_id: bytes
    account_id: str
    public_key: bytes
    sign_count: int
    label_sealed: bytes
    transports: tuple[str, ...]
    added_at: datetime
    last_used_at: datetime | None


def lock_accounts(connection: Connection) -> None:
    """Keep everybody else from changing accounts and roles until this transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def add_account(
    connection: Connection, account_id: str, *, name_hash: bytes, name_sealed: bytes, now: datetime
) -> bool:
    """Store an account without roles; return False if the name is another's."""
    added = connection.execute(
        text(
            "INSERT INTO accounts (account_id, name_hash, name_sealed, added_at) VALUES (:id, :hash, :name, :now)"
            " ON CONFLICT DO NOTHING RETURNING 1"
        ),
        {"id": account_id, "hash": name_hash, "name": name_sealed, "now": now},
    )
    return added.scalar_one_or_none() is not None


def find_account(connection: Connection, account_id: str, *, lock: bool = False) -> StoredAccount | None:
    """Return an account by its id; locked, its factors stay as they are until the transaction ends."""
    if lock:
        connection.execute(text("SELECT 1 FROM accounts WHERE account_id = :id FOR UPDATE"), {"id": account_id})
    row = connection.execute(text(f"{_SELECT} WHERE account_id = :id"), {"id": account_id}).one_or_none()
    return None if row is None else _account(row)


def find_by_name(connection: Connection, name_hash: bytes) -> StoredAccount | None:
    """Return an account by the digest of its name."""
    row = connection.execute(text(f"{_SELECT} WHERE name_hash = :hash"), {"hash": name_hash}).one_or_none()
    return None if row is None else _account(row)


def all_accounts(connection: Connection) -> list[StoredAccount]:
    """Return all accounts, the oldest first."""
    return [_account(row) for row in connection.execute(text(f"{_SELECT} ORDER BY added_at, account_id"))]


def has_accounts(connection: Connection) -> bool:
    """Return whether there is any account."""
    return connection.execute(text("SELECT 1 FROM accounts LIMIT 1")).one_or_none() is not None


def set_disabled(connection: Connection, account_id: str, at: datetime | None) -> None:
    """Take an account out of service, or with None back into it."""
    connection.execute(
        text("UPDATE accounts SET disabled_at = :at WHERE account_id = :id"), {"id": account_id, "at": at}
    )


def forget_factors(connection: Connection, account_id: str) -> None:
    """Delete password, code generator, passkeys and recovery codes; the last used time step stays."""
    who = {"id": account_id}
    connection.execute(
        text(
            "UPDATE accounts SET password_hash = NULL, totp_sealed = NULL, totp_offered = NULL WHERE account_id = :id"
        ),
        who,
    )
    connection.execute(text("DELETE FROM account_passkeys WHERE account_id = :id"), who)
    connection.execute(text("DELETE FROM account_recovery_codes WHERE account_id = :id"), who)


def grants_of(connection: Connection, account_ids: Collection[str]) -> dict[str, list[tuple[str, str | None]]]:
    """Return roles and areas of these accounts, in order."""
    rows = connection.execute(
        text(
            "SELECT account_id, role, area FROM account_grants WHERE account_id = ANY(:ids)"
            " ORDER BY account_id, role, area NULLS FIRST"
        ),
        {"ids": sorted(account_ids)},
    )
    found: dict[str, list[tuple[str, str | None]]] = {account_id: [] for account_id in account_ids}
    for row in rows:
        found[row.account_id].append((row.role, row.area))
    return found


def add_grant(connection: Connection, account_id: str, role: str, area: str | None, *, now: datetime) -> None:
    """Give an account a role in an area, or with None in the whole fleet."""
    connection.execute(
        text("INSERT INTO account_grants (account_id, role, area, given_at) VALUES (:id, :role, :area, :now)"),
        {"id": account_id, "role": role, "area": area, "now": now},
    )


def delete_grant(connection: Connection, account_id: str, role: str, area: str | None) -> None:
    """Take a role from an account."""
    connection.execute(
        text(
            "DELETE FROM account_grants WHERE account_id = :id AND role = :role"
            " AND area IS NOT DISTINCT FROM CAST(:area AS text)"
        ),
        {"id": account_id, "role": role, "area": area},
    )


def add_hand(
    connection: Connection, account_id: str, by: str, how: Literal["added", "reset", "linked"], at: datetime
) -> None:
    """Store that one account made another one, reset it, or made a link for it."""
    connection.execute(
        text("INSERT INTO account_hands (account_id, by_account_id, how, at) VALUES (:account, :by, :how, :at)"),
        {"account": account_id, "by": by, "how": how, "at": at},
    )


def hands_of(connection: Connection, account_id: str, *, since: datetime) -> list[tuple[str, str, datetime]]:
    """Return who had this account in hand, and whom it had, since a moment: each as account, by whom, when."""
    rows = connection.execute(
        text(
            "SELECT account_id, by_account_id, at FROM account_hands WHERE (account_id = :id OR by_account_id = :id) AND at >= :since"
        ),
        {"id": account_id, "since": since},
    )
    return [(row.account_id, row.by_account_id, row.at) for row in rows]


def others_with(connection: Connection, role: str, account_id: str) -> int:
    """Return how many other accounts in service have a role."""
    found: int = connection.execute(
        text(
            "SELECT count(DISTINCT account_id) FROM account_grants JOIN accounts USING (account_id)"
            " WHERE role = :role AND disabled_at IS NULL AND account_id <> :id"
        ),
        {"role": role, "id": account_id},
    ).scalar_one()
    return found


def set_password(connection: Connection, account_id: str, password_hash: str) -> None:
    """Store the hash of a new password."""
    connection.execute(
        text("UPDATE accounts SET password_hash = :hash WHERE account_id = :id"),
        {"id": account_id, "hash": password_hash},
    )


def offer_totp(connection: Connection, account_id: str, secret_sealed: bytes) -> None:
    """Store a secret that its owner has yet to show a code of."""
    connection.execute(
        text("UPDATE accounts SET totp_offered = :secret WHERE account_id = :id"),
        {"id": account_id, "secret": secret_sealed},
    )


def confirm_totp(connection: Connection, account_id: str, *, step: int) -> None:
    """Let the offered secret be the one in use."""
    connection.execute(
        text(
            "UPDATE accounts SET totp_sealed = totp_offered, totp_offered = NULL, totp_step = :step"
            " WHERE account_id = :id"
        ),
        {"id": account_id, "step": step},
    )


def use_totp_step(connection: Connection, account_id: str, step: int) -> None:
    """Note the time step whose code was used."""
    connection.execute(
        text("UPDATE accounts SET totp_step = :step WHERE account_id = :id"), {"id": account_id, "step": step}
    )


def add_passkey(connection: Connection, passkey: StoredPasskey) -> bool:
    """Store a passkey; return False if there is one of this id, whosever."""
    added = connection.execute(
        text(
            "INSERT INTO account_passkeys (credential_id, account_id, public_key, sign_count, label_sealed, transports,"
            " added_at) VALUES (:id, :account, :key, :count, :label, :transports, :now) ON CONFLICT DO NOTHING RETURNING 1"
        ),
        {
            "id": passkey.credential_id,
            "account": passkey.account_id,
            "key": passkey.public_key,
            "count": passkey.sign_count,
            "label": passkey.label_sealed,
            "transports": list(passkey.transports),
            "now": passkey.added_at,
        },
    )
    return added.scalar_one_or_none() is not None


def find_passkey(connection: Connection, credential_id: bytes) -> StoredPasskey | None:
    """Return a passkey by its id."""
    row = connection.execute(
        text(f"SELECT {_PASSKEY} FROM account_passkeys WHERE credential_id = :id"),  # noqa: S608 - fixed
        {"id": credential_id},
    ).one_or_none()
    return None if row is None else _passkey(row)


def passkeys_of(connection: Connection, account_id: str) -> list[StoredPasskey]:
    """Return an account's passkeys, the oldest first."""
    rows = connection.execute(
        text(
            f"SELECT {_PASSKEY} FROM account_passkeys WHERE account_id = :id"  # noqa: S608 - fixed
            " ORDER BY added_at, credential_id"
        ),
        {"id": account_id},
    )
    return [_passkey(row) for row in rows]


def use_passkey(connection: Connection, credential_id: bytes, *, sign_count: int, now: datetime) -> None:
    """Note that a passkey was used."""
    connection.execute(
        text("UPDATE account_passkeys SET sign_count = :count, last_used_at = :now WHERE credential_id = :id"),
        {"id": credential_id, "count": sign_count, "now": now},
    )


def delete_passkey(connection: Connection, account_id: str, credential_id: bytes) -> bool:
    """Delete a passkey; return False if this account has none of this id."""
    gone = connection.execute(
        text("DELETE FROM account_passkeys WHERE account_id = :account AND credential_id = :id RETURNING 1"),
        {"account": account_id, "id": credential_id},
    )
    return gone.scalar_one_or_none() is not None


def replace_recovery_codes(connection: Connection, account_id: str, digests: Sequence[bytes]) -> None:
    """Store new recovery codes in place of those there were."""
    connection.execute(text("DELETE FROM account_recovery_codes WHERE account_id = :id"), {"id": account_id})
    connection.execute(
        text("INSERT INTO account_recovery_codes (account_id, code_hash) VALUES (:id, :hash)"),
        [{"id": account_id, "hash": digest} for digest in digests],
    )


def use_recovery_code(connection: Connection, account_id: str, digest: bytes) -> bool:
    """Use up a recovery code; return False if this account has none like it."""
    used = connection.execute(
        text("DELETE FROM account_recovery_codes WHERE account_id = :id AND code_hash = :hash RETURNING 1"),
        {"id": account_id, "hash": digest},
    )
    return used.scalar_one_or_none() is not None


def recovery_codes_left(connection: Connection, account_id: str) -> int:
    """Return how many recovery codes were not used yet."""
    left: int = connection.execute(
        text("SELECT count(*) FROM account_recovery_codes WHERE account_id = :id"), {"id": account_id}
    ).scalar_one()
    return left


_SELECT = (
    "SELECT account_id, name_sealed, password_hash, totp_sealed, totp_offered, totp_step, added_at, disabled_at,"
    " (SELECT count(*) FROM account_passkeys p WHERE p.account_id = accounts.account_id) AS passkeys FROM accounts"
)
_PASSKEY = "credential_id, account_id, public_key, sign_count, label_sealed, transports, added_at, last_used_at"


def _account(row: Row[tuple[object, ...]]) -> StoredAccount:
    return StoredAccount(
        row.account_id,
        bytes(row.name_sealed),
        row.password_hash,
        None if row.totp_sealed is None else bytes(row.totp_sealed),
        None if row.totp_offered is None else bytes(row.totp_offered),
        row.totp_step,
        row.added_at,
        row.disabled_at,
        row.passkeys,
    )


def _passkey(row: Row[tuple[object, ...]]) -> StoredPasskey:
    return StoredPasskey(
        bytes(row.credential_id),
        row.account_id,
        bytes(row.public_key),
        row.sign_count,
        bytes(row.label_sealed),
        tuple(row.transports),
        row.added_at,
        row.last_used_at,
    )
