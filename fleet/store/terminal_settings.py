"""Settings that the office sets from afar, for the fleet, for areas and for terminals, as SQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text

from protocol.desired import SettingValues


class Scope(StrEnum):
    """For whom settings hold; of two values for a terminal the later one here wins."""

    FLEET = "fleet"
    AREA = "area"
    TERMINAL = "terminal"


@dataclass(frozen=True, slots=True)
class Target:
    """For whom exactly."""

    scope: Scope
    name: str = ""
    """Code of the area, id of the terminal; empty for the fleet."""


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """Settings of one target."""

    target: Target
    settings: SettingValues
    number: int
    """How often they were set."""
    changed_at: datetime
    changed_by_sealed: bytes = field(repr=False)
    reason_sealed: bytes = field(repr=False)


def find_settings(connection: Connection, target: Target) -> StoredSettings | None:
    """Return the settings of a target; None if there never were any."""
    row = connection.execute(
        text(f"{_SELECT} WHERE scope = :scope AND target = :target"),
        {"scope": target.scope.value, "target": target.name},
    ).one_or_none()
    return None if row is None else _settings(row)


def all_settings(connection: Connection, scope: Scope | None = None) -> dict[Target, StoredSettings]:
    """Return the settings of all targets, or of all of a scope."""
    rows = connection.execute(
        text(f"{_SELECT} WHERE CAST(:scope AS text) IS NULL OR scope = :scope ORDER BY scope, target"),
        {"scope": None if scope is None else scope.value},
    )
    return {found.target: found for found in map(_settings, rows)}


def save_settings(
    connection: Connection, target: Target, settings: SettingValues, *, by: bytes, reason: bytes, now: datetime
) -> int:
    """Store the settings of a target in place of what it had; return their number."""
    return int(
        connection.execute(
            text(
                "INSERT INTO terminal_settings AS s (scope, target, settings, number, changed_at, changed_by_sealed, reason_sealed)"
                " VALUES (:scope, :target, CAST(:settings AS jsonb), 1, :now, :by, :reason) ON CONFLICT (scope, target) DO UPDATE"
                " SET settings = EXCLUDED.settings, number = s.number + 1, changed_at = EXCLUDED.changed_at,"
                " changed_by_sealed = EXCLUDED.changed_by_sealed, reason_sealed = EXCLUDED.reason_sealed RETURNING number"
            ),
            {
                "scope": target.scope.value,
                "target": target.name,
                "settings": settings.model_dump_json(exclude_none=True),
                "now": now,
                "by": by,
                "reason": reason,
            },
        ).scalar_one()
    )


def sealed_of(target: Target) -> str:
    """Return under which name the words about a target's settings are sealed."""
    return f"settings:{target.scope}:{target.name}"


_SELECT = "SELECT scope, target, settings, number, changed_at, changed_by_sealed, reason_sealed FROM terminal_settings"


def _settings(row: Any) -> StoredSettings:
    return StoredSettings(
        Target(Scope(row.scope), row.target),
        SettingValues.model_validate(row.settings),
        row.number,
        row.changed_at,
        bytes(row.changed_by_sealed),
        bytes(row.reason_sealed),
    )
