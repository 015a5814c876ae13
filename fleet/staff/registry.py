"""Operators: added, given PINs and codes, retired."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from fleet.admission import covers
from fleet.audit.log import UNNAMED, note
from fleet.errors import NotFound, Refused
from fleet.keys import FleetKeys
from fleet.staff.lists import MOST_OPERATORS
from fleet.store import operators
from fleet.store.database import Database
from fleet.store.names import cleaned
from fleet.store.operators import StoredOperator
from fleet.store.terminals import find_terminals
from protocol.errors import Malformed, ProtocolError
from protocol.ids import parse_witness
from protocol.staff import OperatorCode, PinHash, Role

_ID_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
"""Without letters that are mistaken for one another when they are read out."""
_ID_LENGTH = 6
_PIN_DIGITS = 8
_SALT_BYTES, _CODE_BYTES = 16, 16


@dataclass(frozen=True, slots=True)
class Given:
    """What an operator is given once; it can be found nowhere afterwards."""

    operator_id: str
    pin: str | None
    """None where the operator has chosen it, or has none."""
    code: OperatorCode | None

    def __repr__(self) -> str:
        return f"Given({self.operator_id})"


def add_operator(
    database: Database,
    keys: FleetKeys,
    name: str,
    *,
    roles: Sequence[Role],
    area: str,
    valid_until: date,
    now: datetime,
    operator_id: str | None = None,
    pin: str | None = None,
    with_code: bool = False,
    by: str = UNNAMED,
) -> Given:
    """Store an operator with a PIN, and have the terminals told.

    Args:
        database: the fleet's.
        keys: the fleet's.
        name: as it is shown to whoever has signed in.
        roles: at least one.
        area: whose terminals, with all parts of it; empty for the whole fleet.
        valid_until: last day of validity.
        now: when.
        operator_id: the agency's own id; a random one without.
        pin: 6 to 12 digits that the operator has chosen; a random one without.
        with_code: whether to make a code to be printed, too.
        by: who adds him.

    Raises:
        Refused: if name, id or PIN cannot be taken, the id is taken, or a terminal would have more operators than a list takes.
    """
    chosen = _checked_id(operator_id)
    title = cleaned(name)
    given = pin if pin is not None else _random_pin()
    code = OperatorCode(chosen, os.urandom(_CODE_BYTES)) if with_code else None
    stored = StoredOperator(
        operator_id=chosen,
        name_sealed=keys.cipher.encrypt(title, subject_id=chosen, field_name="operator"),
        roles=tuple(role for role in Role if role in roles),
        area=area.strip(),
        pin_sealed=_sealed_pin(keys, chosen, given),
        code_sha256=None if code is None else code.sha256(),
        valid_until=valid_until,
        created_at=now,
        retired_at=None,
    )
    with database.begin() as connection:
        if not operators.add_operator(connection, stored):
            raise Refused(f"operator {chosen}: this id is taken; choose another one")
        _refuse_too_many(connection, today=now.date())
        added = {"roles": [role.value for role in stored.roles], "has_code": with_code}
        _note(connection, keys, by, "added", chosen, now, **added)
    return Given(chosen, given if pin is None else None, code)


def retire_operator(database: Database, keys: FleetKeys, operator_id: str, *, now: datetime, by: str = UNNAMED) -> None:
    """Take an operator out of service: what the terminals are sent from now on does not have him.

    Raises:
        NotFound: if none of this id is in service.
    """
    with database.begin() as connection:
        if not operators.retire_operator(connection, operator_id, now=now):
            raise NotFound(f"operator {operator_id}: none of this id is in service")
        _note(connection, keys, by, "retired", operator_id, now)


def new_pin(
    database: Database,
    keys: FleetKeys,
    operator_id: str,
    *,
    now: datetime,
    pin: str | None = None,
    by: str = UNNAMED,
) -> Given:
    """Give an operator another PIN.

    Raises:
        NotFound: if none of this id is in service.
        Refused: if it is no PIN.
    """
    given = pin if pin is not None else _random_pin()
    sealed = _sealed_pin(keys, operator_id, given)
    with database.begin() as connection:
        if not operators.set_pin(connection, operator_id, sealed):
            raise NotFound(f"operator {operator_id}: none of this id is in service")
        _note(connection, keys, by, "pin_changed", operator_id, now)
    return Given(operator_id, given if pin is None else None, None)


def _note(
    connection: Connection, keys: FleetKeys, by: str, verb: str, operator_id: str, now: datetime, **detail: object
) -> None:
    note(
        connection,
        keys.cipher,
        actor=by,
        action=f"operator.{verb}",
        object_kind="operator",
        object_id=operator_id,
        detail=detail,
        now=now,
    )


def _checked_id(wanted: str | None) -> str:
    if wanted is None:
        return "w-" + "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
    try:
        return parse_witness(wanted)
    except ProtocolError as error:
        raise Refused(str(error)) from error


def _random_pin() -> str:
    return "".join(secrets.choice("0123456789") for _ in range(_PIN_DIGITS))


def _sealed_pin(keys: FleetKeys, operator_id: str, pin: str) -> bytes:
    try:
        hashed = PinHash.of(pin, os.urandom(_SALT_BYTES))
    except Malformed as error:
        raise Refused(str(error)) from error
    return keys.cipher.encrypt(hashed.model_dump_json(), subject_id=operator_id, field_name="pin")


def _refuse_too_many(connection: Connection, *, today: date) -> None:
    known = operators.operators_in_service(connection, today=today)
    if len(known) <= MOST_OPERATORS:
        return
    for area in sorted({terminal.area for terminal in find_terminals(connection).values()}):
        count = sum(covers(operator.area, area) for operator in known)
        if count > MOST_OPERATORS:
            raise Refused(
                f"area {area}: would have {count} operators, a staff list takes {MOST_OPERATORS}; divide the area or retire some"
            )
