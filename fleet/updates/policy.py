"""Signs policies and puts them in force."""

from __future__ import annotations

import tomllib
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import Connection, text

from fleet.errors import Refused
from fleet.keys import FleetKeys
from fleet.store import policies
from fleet.store.database import Database, notify
from protocol.envelope import sha256_of, sign
from protocol.policy import POLICY_TYP, Policy, default_policy


def read_policy(path: Path | None) -> Policy:
    """Read a policy from a TOML file, or the one a new fleet starts with.

    Raises:
        Refused: with every problem of the file.
    """
    if path is None:
        return default_policy()
    try:
        return Policy.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refused(f"{path}: not TOML: {error}") from error
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise Refused(f"{path}: {found}") from error


def publish_policy(database: Database, keys: FleetKeys, policy: Policy, *, now: datetime) -> bool:
    """Sign a policy as issued now, store it and have it sent to every terminal; return False if it is in force and only sent again.

    The fleet alone says when a policy was issued, at the moment it signs: terminals take the one issued last, so a date from a file
    could lock out every later policy.

    Raises:
        Refused: if this version was issued with other contents, because records name a policy by its version alone; if it was issued
            and replaced since; or if the clock stands before the issue of the policy in force.
    """
    with database.begin() as connection:
        return issue(connection, keys, policy, now=now)


def issue(connection: Connection, keys: FleetKeys, policy: Policy, *, now: datetime) -> bool:
    """Do what `publish_policy` does, inside a transaction."""
    lock_policies(connection)
    newest = policies.newest_policy(connection)
    known = policies.find_policies(connection, {policy.policy_version}).get(policy.policy_version)
    if known is not None:
        if known.model_copy(update={"issued_at": policy.issued_at}) != policy:
            raise Refused(
                f"policy {policy.policy_version}: was issued with other contents; give this one another version"
            )
        if newest is None or newest.policy.policy_version != policy.policy_version:
            raise Refused(f"policy {policy.policy_version}: was replaced since; give this one another version")
        notify(connection, policies.POLICY_CHANNEL)
        return False
    if newest is not None and newest.policy.issued_at >= now:
        raise Refused(
            f"policy {policy.policy_version}: the one in force was issued at {newest.policy.issued_at:%Y-%m-%d %H:%M} UTC,"
            f" after this computer's time; set the clock"
        )
    policy = policy.model_copy(update={"issued_at": now})
    envelope = sign(policy.to_bytes(), key=keys.signing, typ=POLICY_TYP)
    policies.add_policy(connection, policy, sha256=sha256_of(envelope), envelope=envelope, now=now)
    return True


def lock_policies(connection: Connection) -> None:
    """Keep everybody else from issuing a policy until this transaction ends."""
    connection.execute(text("LOCK TABLE policies IN SHARE ROW EXCLUSIVE MODE"))
