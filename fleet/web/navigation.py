"""The menu: which pages there are, and who is shown which."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.accounts.roles import Permission
from fleet.accounts.visitor import Visitor


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the menu."""

    group: str
    """Names the group of pages: its templates' folder, its texts, its name in the menu (`texts.menu`)."""
    path: str
    permission: Permission
    is_fleet_wide: bool = False
    """Whether it shows what belongs to no area: then a permission in an area is not enough."""


ENTRIES = (
    Entry("overview", "/", Permission.OVERVIEW),
    Entry("people", "/people", Permission.PEOPLE),
    Entry("cases", "/cases", Permission.CASES),
    Entry("stops", "/stops", Permission.STOPS),
    Entry("terminals", "/terminals", Permission.TERMINALS),
    Entry("rules", "/rules", Permission.RULES),
    Entry("figures", "/figures", Permission.FIGURES),
    Entry("duplicates", "/duplicates", Permission.DUPLICATES),
    Entry("reminders", "/reminders", Permission.REMINDERS),
    Entry("exchange", "/exchange", Permission.EXCHANGE),
    Entry("audit", "/audit", Permission.AUDIT, is_fleet_wide=True),
    Entry("privacy", "/privacy", Permission.PRIVACY, is_fleet_wide=True),
    Entry("accounts", "/accounts", Permission.ACCOUNTS),
)


def entries_for(visitor: Visitor) -> list[Entry]:
    """Return what a visitor's menu has."""
    if visitor.must_set_up:
        return []
    return [
        entry
        for entry in ENTRIES
        if visitor.may(entry.permission) and (not entry.is_fleet_wide or visitor.areas_for(entry.permission) is None)
    ]
