"""Settings from afar: what somebody typed, checked against the protocol's bounds; set at once for one terminal, by a roll-out for more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from sqlalchemy import Connection

from fleet.admission.convergence import named
from fleet.audit.log import note
from fleet.errors import NotFound, Refused
from fleet.keys import FieldCipher
from fleet.store import terminal_settings as store
from fleet.store import terminals
from fleet.store.names import cleaned
from fleet.store.terminal_settings import Scope, Target
from fleet.updates.desired import refresh
from protocol.desired import SettingValues


@dataclass(frozen=True, slots=True)
class Schema:
    """One setting: what it takes."""

    name: str
    kind: type
    """`bool`, `int` or `float`."""
    least: float | None
    most: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that would change."""

    name: str
    before: float | bool | None
    after: float | bool | None


def schema() -> list[Schema]:
    """Return all settings with their bounds."""
    return [_schema(name, field) for name, field in SettingValues.model_fields.items()]


def parsed(typed: Mapping[str, str]) -> SettingValues:
    """Return the settings that were typed; an empty one is as the terminal's own file has it.

    Args:
        typed: texts by name; what is not named is empty. Of a switch `true` or `false`.

    Raises:
        Refused: for the first one that cannot be taken, with its bounds.
    """
    known = {each.name: each for each in schema()}
    for name in typed:
        if name not in known:
            raise Refused(
                f"setting {name}: there is none of this name, only {', '.join(known)}",
                code="setting_unknown",
                name=name,
            )
    values: dict[str, Any] = {}
    for name, each in known.items():
        text = typed.get(name, "").strip()
        if text:
            values[name] = _value(each, text)
    try:
        found = SettingValues.model_validate(values)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise _out_of_bounds(known[name]) from error
    if (found.updates_from_hour is None) != (found.updates_until_hour is None):
        raise Refused("settings: an hour without the other", code="setting_hours")
    return found


def differences(before: SettingValues, after: SettingValues) -> list[Difference]:
    """Return what would change."""
    return [
        Difference(name, getattr(before, name), getattr(after, name))
        for name in SettingValues.model_fields
        if getattr(before, name) != getattr(after, name)
    ]


def settings_of(connection: Connection, target: Target) -> SettingValues:
    """Return the settings of a target; none where none were ever set."""
    found = store.find_settings(connection, target)
    return SettingValues() if found is None else found.settings


def set_for_terminal(
    connection: Connection,
    cipher: FieldCipher,
    terminal_id: str,
    settings: SettingValues,
    *,
    by: str,
    reason: str,
    door: str | None,
    now: datetime,
) -> list[Difference]:
    """Set a terminal's own settings in place of those it had, and ask it for them. Call it last in a transaction.

    Args:
        connection: of the transaction.
        cipher: the fleet's.
        terminal_id: which.
        settings: all of its own; where one is None, what holds for its areas or the fleet holds for it.
        by: who sets them.
        reason: why.
        door: as of `fleet.updates.desired.door_of`.
        now: in UTC.

    Raises:
        NotFound: if no terminal of this name is in service.
        Refused: if nothing would change, or name or reason cannot be taken.
    """
    known = terminals.find_terminals(connection, [terminal_id], lock=True).get(terminal_id)
    if known is None or known.retired_at is not None:
        raise NotFound(f"terminal {terminal_id}: none of this name is in service", code="not_in_service")
    target = Target(Scope.TERMINAL, terminal_id)
    changed = differences(settings_of(connection, target), settings)
    if not changed:
        raise Refused(f"terminal {terminal_id}: has these settings already", code="settings_same")
    put(connection, cipher, target, settings, by=by, reason=reason, now=now)
    refresh(connection, [terminal_id], door=door, now=now)
    note(
        connection,
        cipher,
        actor=by,
        action="terminal.settings_set",
        object_kind="terminal",
        object_id=terminal_id,
        detail={"settings": settings_told(settings)},
        now=now,
    )
    return changed


def put(
    connection: Connection,
    cipher: FieldCipher,
    target: Target,
    settings: SettingValues,
    *,
    by: str,
    reason: str,
    now: datetime,
) -> None:
    """Store the settings of a target, with who set them and why."""
    of = store.sealed_of(target)
    store.save_settings(
        connection,
        target,
        settings,
        by=cipher.encrypt(cleaned(by), subject_id=of, field_name="changed_by"),
        reason=cipher.encrypt(cleaned(reason), subject_id=of, field_name="reason"),
        now=now,
    )


def texts_of(settings: SettingValues) -> dict[str, str]:
    """Return the settings that have a value, as they are typed."""
    return {name: text_of(value) for name, value in named(settings)}


def settings_told(settings: SettingValues) -> list[str]:
    """Return the settings that have a value as the audit log has them: `name=value`."""
    return [f"{name}={value}" for name, value in texts_of(settings).items()]


def text_of(value: float | bool | None) -> str:
    """Return a value as it is typed; empty for none."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if value < 10**6 else str(value)


def _schema(name: str, field: FieldInfo) -> Schema:
    kind = next(each for each in get_args(field.annotation) if each is not type(None))
    bounds = {part: getattr(each, part) for each in field.metadata for part in ("ge", "le") if hasattr(each, part)}
    return Schema(name, kind, bounds.get("ge"), bounds.get("le"))


def _value(schema: Schema, text: str) -> float | bool:
    if schema.kind is bool:
        if text.lower() not in ("true", "false"):
            raise Refused(f"setting {schema.name}: true or false expected", code="setting_switch", name=schema.name)
        return text.lower() == "true"
    try:
        return int(text) if schema.kind is int else float(text)
    except ValueError as error:
        raise _out_of_bounds(schema) from error


def _out_of_bounds(schema: Schema) -> Refused:
    least, most = schema.least, schema.most
    what = "a whole number" if schema.kind is int else "a number"
    return Refused(
        f"setting {schema.name}: {what} from {least:g} to {most:g} expected",
        code="setting_bounds",
        name=schema.name,
        least=0 if least is None else least,
        most=0 if most is None else most,
    )
