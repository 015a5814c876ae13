"""What a terminal was asked to be beside what it says that it is: bundles and settings, line by line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from fleet.admission.convergence import (
    BundleLine,
    SettingLine,
    Wanted,
    bundle_line,
    setting_lines,
    shadow_line,
)
from fleet.store import desired
from protocol.desired import RunningBundle, SettingValues


@dataclass(frozen=True, slots=True)
class AskedAndSaid:
    """One terminal."""

    number: int
    """Of what is asked for; 0 where nothing ever was."""
    taken: int | None
    """The number that the terminal has taken; None if it does not say."""
    asked_at: datetime | None
    said_at: datetime | None
    """When the fleet heard what the terminal says."""
    behind_since: datetime | None
    bundles: tuple[BundleLine, ...]
    others: tuple[RunningBundle, ...]
    """What runs of kinds that nobody asked for."""
    settings: tuple[SettingLine, ...]
    in_force: SettingValues | None
    """All settings as the terminal says that they are."""


def asked_and_said(connection: Connection, terminal_id: str) -> AskedAndSaid:
    """Return what a registered terminal was asked to be, and what it says."""
    asked = desired.find_desired(connection, [terminal_id]).get(terminal_id)
    known = desired.find_reported(connection, terminal_id)
    said = None if known is None else known.state
    wanted = Wanted() if asked is None else asked.wanted
    lines = [bundle_line(each, said) for each in wanted.bundles]
    if wanted.shadow is not None:
        lines.append(shadow_line(wanted.shadow, said))
    named = {each.kind for each in wanted.bundles}
    running = () if said is None else said.running
    return AskedAndSaid(
        number=0 if asked is None else asked.number,
        taken=None if said is None else said.desired_number,
        asked_at=None if asked is None else asked.changed_at,
        said_at=None if known is None else known.reported_at,
        behind_since=None if known is None else known.behind_since,
        bundles=tuple(lines),
        others=tuple(each for each in running if each.kind not in named),
        settings=tuple(setting_lines(wanted.settings, said)),
        in_force=None if said is None else said.settings,
    )
