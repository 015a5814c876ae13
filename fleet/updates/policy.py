"""Signs policies and puts them in force."""

from __future__ import annotations

import tomllib
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import text

from fleet.errors import Refused
from fleet.keys import FleetKeys
from fleet.store import policies
from fleet.store.database import Database
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
    """Store a signed policy and have it sent to every terminal; return False if it was stored before and is only sent again.

    Raises:
        Refused: if this version was issued with other contents: records name a policy by its version alone.
    """
    with database.begin() as connection:
        connection.execute(text("LOCK TABLE policies IN SHARE ROW EXCLUSIVE MODE"))
        known = policies.find_policies(connection, {policy.policy_version}).get(policy.policy_version)
        if known is not None:
            if known != policy:
                raise Refused(
                    f"policy {policy.policy_version}: was issued with other contents; give this one another version"
                )
            policies.make_newest(connection, policy.policy_version, now=now)
            return False
        envelope = sign(policy.to_bytes(), key=keys.signing, typ=POLICY_TYP)
        policies.add_policy(connection, policy, sha256=sha256_of(envelope), envelope=envelope, now=now)
    return True
