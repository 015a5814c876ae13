"""Signs policies and puts them in force.

What lets a comparison count as a match is never one person's word: thresholds that name a calibration must be those that two persons
approved, and lower ones without a calibration need two names.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import Connection, text

from fleet.audit.log import UNNAMED, note
from fleet.errors import ImportRefused, Refused
from fleet.keys import FleetKeys
from fleet.store import calibrations, policies
from fleet.store.database import Database, notify
from fleet.store.names import seal_approver
from fleet.tables.toml import place_of
from protocol.envelope import sha256_of, sign
from protocol.errors import Problem
from protocol.policy import POLICY_FAULTS, POLICY_TYP, ComparisonPolicy, Policy, default_policy
from protocol.rules.faults import faults_in

MAX_POLICY_BYTES = 64 * 1024
"""Five times the one that is shipped."""
APPROVALS = 2
"""Different persons who must approve thresholds."""


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


def policy_of(raw: bytes) -> Policy:
    """Read a policy from the text of a file, as a page gets it.

    Raises:
        ImportRefused: with everything that is wrong, each a `Problem` with its key.
    """
    if len(raw) > MAX_POLICY_BYTES:
        sentence = f"{len(raw)} bytes, at most {MAX_POLICY_BYTES} are taken"
        raise ImportRefused([Problem(sentence, "too_long", bytes=len(raw), most=MAX_POLICY_BYTES)])
    try:
        return Policy.model_validate(tomllib.loads(raw.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise ImportRefused([Problem(f"not UTF-8 from byte {error.start}", "not_utf8", byte=error.start)]) from error
    except tomllib.TOMLDecodeError as error:
        line, column = place_of(error)
        raise ImportRefused([Problem(f"not TOML: {error}", "not_toml", line=line, column=column)]) from error
    except ValidationError as error:
        raise ImportRefused(faults_in(error, Policy, own=POLICY_FAULTS)) from error


def publish_policy(
    database: Database,
    keys: FleetKeys,
    policy: Policy,
    *,
    now: datetime,
    approved_by: Sequence[str] = (),
    by: str = UNNAMED,
) -> bool:
    """Sign a policy as issued now, store it and have it sent to every terminal; return False if it is in force and only sent again.

    The fleet alone says when a policy was issued, at the moment it signs: terminals take the one issued last, so a date from a file
    could lock out every later policy.

    Args:
        database: the fleet's.
        keys: the fleet's.
        policy: what is to be in force.
        now: when.
        approved_by: names of the two persons who answer for it, stored with it; needed where a threshold is lowered
            without a calibration, and taken with any policy.
        by: who publishes it.

    Raises:
        Refused: if this version was issued with other contents, because records name a policy by its version alone; if it was issued
            and replaced since; if the clock stands before the issue of the policy in force; if comparison thresholds name a
            calibration that two persons did not approve with these very values; or if thresholds without a
            calibration are lower than those in force and those shipped, and two persons are not named.
    """
    with database.begin() as connection:
        is_new = issue(connection, keys, policy, now=now, approved_by=approved_by)
        note(
            connection,
            keys.cipher,
            actor=by,
            action="policy.published",
            object_kind="policy",
            object_id=policy.policy_version,
            detail={"new": is_new, "approvals": len(approved_by)},
            now=now,
        )
    return is_new


def issue(
    connection: Connection, keys: FleetKeys, policy: Policy, *, now: datetime, approved_by: Sequence[str] = ()
) -> bool:
    """Do what `publish_policy` does, inside a transaction."""
    lock_policies(connection)
    newest = policies.newest_policy(connection)
    known = policies.find_policies(connection, {policy.policy_version}).get(policy.policy_version)
    if known is not None:
        if known.model_copy(update={"issued_at": policy.issued_at}) != policy:
            raise Refused(
                f"policy {policy.policy_version}: was issued with other contents; give this one another version",
                code="policy_other_contents",
                version=policy.policy_version,
            )
        if newest is None or newest.policy.policy_version != policy.policy_version:
            raise Refused(
                f"policy {policy.policy_version}: was replaced since; give this one another version",
                code="policy_replaced",
                version=policy.policy_version,
            )
        notify(connection, policies.POLICY_CHANNEL)
        return False
    if newest is not None and newest.policy.issued_at >= now:
        raise Refused(
            f"policy {policy.policy_version}: the one in force was issued at {newest.policy.issued_at:%Y-%m-%d %H:%M} UTC,"
            f" after this computer's time; set the clock",
            code="clock_behind",
            issued=f"{newest.policy.issued_at:%Y-%m-%d %H:%M} UTC",
        )
    names = [seal_approver(keys.cipher, name, of=policy.policy_version) for name in approved_by]
    if names and (len(names) != APPROVALS or len({name.digest for name in names}) != APPROVALS):
        raise Refused(
            f"policy {policy.policy_version}: two different persons expected, each with --approved-by NAME",
            code="policy_two_persons",
        )
    _check_thresholds(connection, policy, None if newest is None else newest.policy, has_approvals=bool(names))
    policy = policy.model_copy(update={"issued_at": now})
    envelope = sign(policy.to_bytes(), key=keys.signing, typ=POLICY_TYP)
    policies.add_policy(connection, policy, sha256=sha256_of(envelope), envelope=envelope, now=now)
    for place, name in enumerate(names, start=1):
        policies.add_approval(connection, policy.policy_version, place=place, name=name, now=now)
    return True


def lock_policies(connection: Connection) -> None:
    """Keep everybody else from issuing a policy until this transaction ends."""
    connection.execute(text("LOCK TABLE policies IN SHARE ROW EXCLUSIVE MODE"))


def demand_publishable(connection: Connection, policy: Policy, *, has_approvals: bool) -> None:
    """Refuse a policy that could not be issued now, but for the clock.

    Args:
        connection: where.
        policy: which one.
        has_approvals: whether two persons answer for it.

    Raises:
        Refused: as `publish_policy`; with the code `policy_lowered` if it takes two persons who answer for it.
    """
    if policies.find_policies(connection, {policy.policy_version}):
        raise Refused(
            f"policy {policy.policy_version}: was issued before; give this one another version",
            code="policy_other_contents",
            version=policy.policy_version,
        )
    newest = policies.newest_policy(connection)
    _check_thresholds(connection, policy, None if newest is None else newest.policy, has_approvals=has_approvals)


def _check_thresholds(connection: Connection, policy: Policy, in_force: Policy | None, *, has_approvals: bool) -> None:
    shipped = default_policy().comparison
    now_used = {} if in_force is None else in_force.comparison
    for network, limits in policy.comparison.items():
        where = f"policy {policy.policy_version}: [comparison.{network}]"
        if named := set(_calibrations_named(limits)):
            if not all(_is_approved(connection, calibration_id, network, limits) for calibration_id in named):
                raise Refused(
                    f"{where} names calibration {', '.join(sorted(named))}, but these are not values that two persons of this"
                    f" fleet approved under it; take the thresholds of an approved one unchanged, have them proposed and"
                    f" approved (lifecert-fleet calibrate, approve-calibration), or leave out source and normalised",
                    code="policy_calibration",
                    network=network,
                    calibrations=sorted(named),
                )
        elif not has_approvals and (lowered := _lowered(limits, now_used.get(network), shipped.get(network))):
            raise Refused(
                f"{where} {lowered}; have lower thresholds found and approved (lifecert-fleet calibrate,"
                f" approve-calibration), or name the two persons who answer for them: --approved-by NAME --approved-by NAME",
                code="policy_lowered",
                network=network,
            )


def _calibrations_named(limits: ComparisonPolicy) -> Iterator[str]:
    if limits.source is not None:
        yield limits.source.calibration_id
    if limits.normalised is not None:
        yield limits.normalised.source.calibration_id


def _is_approved(connection: Connection, calibration_id: str, network: str, limits: ComparisonPolicy) -> bool:
    found = calibrations.find_calibrations(connection, calibration_id)
    return (
        len(found) == 1
        and found[0].approvals == APPROVALS
        and found[0].network == network
        and ComparisonPolicy.model_validate(found[0].thresholds) == limits
    )


def _lowered(
    limits: ComparisonPolicy, in_force: ComparisonPolicy | None, shipped: ComparisonPolicy | None
) -> str | None:
    """Return what is lower than everything it can be measured against; None if nothing is."""
    known = [(name, found) for name, found in (("in force", in_force), ("shipped", shipped)) if found is not None]
    if not known:
        return "is of a network that has no thresholds in force or shipped"
    for name, value, others in (
        ("match", limits.match, [(which, found.match) for which, found in known]),
        ("grey", limits.grey, [(which, found.grey) for which, found in known]),
    ):
        if all(value < other for _, other in others):
            return f"{name} {value:g} is lower than {' and '.join(f'{other:g} {which}' for which, other in others)}"
    return None
