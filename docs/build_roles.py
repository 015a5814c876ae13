#!/usr/bin/env python3
"""Write `docs/roles.md` from the table of `fleet.accounts.roles`; with `--check`, say whether the page is current."""

from __future__ import annotations

import sys
from pathlib import Path

from fleet.accounts.roles import (
    CONFLICTS,
    DECISIVE_ROLES,
    FLEET_WIDE_ROLES,
    GIVEN_BY_AREA,
    PERMISSIONS,
    Permission,
    Role,
)

PAGE = Path(__file__).resolve().parent / "roles.md"

_INTRO = """# Roles of the console

<!-- Made by docs/build_roles.py from fleet/accounts/roles.py; change that. -->

Somebody holds a role in the whole fleet, or in an area with all below it; what they may do is all of their roles together, each where
it holds. A page that shows what belongs to no area (the audit log, privacy, rule packs that are proposed) takes the role in the whole
fleet. The server asks on every request; `tests/integration/fleet/console/routes.csv` says for every address who gets an answer, and a
test asks as everybody.

"""


def page() -> str:
    """Return the whole page."""
    names = [role.value.replace("_", " ") for role in Role]
    rows = [
        f"| `{permission.value}` | "
        + " | ".join("yes" if permission in PERMISSIONS[role] else "" for role in Role)
        + " |"
        for permission in Permission
    ]
    pairs = sorted(" and ".join(sorted(role.value.replace("_", " ") for role in pair)) for pair in CONFLICTS)
    wide = ", ".join(sorted(role.value.replace("_", " ") for role in FLEET_WIDE_ROLES))
    decisive = ", ".join(sorted(role.value.replace("_", " ") for role in DECISIVE_ROLES))
    given = ", ".join(sorted(role.value.replace("_", " ") for role in GIVEN_BY_AREA))
    return "\n".join(
        [
            _INTRO.rstrip("\n"),
            "",
            f"| may | {' | '.join(names)} |",
            "|---|" + "---|" * len(names),
            *rows,
            "",
            "## What is never in one hand",
            "",
            *(f"- {pair}" for pair in pairs),
            "",
            f"Only in the whole fleet: {wide}. An area administrator gives, in their own areas: {given}. Nobody",
            "changes their own roles, and the last fleet administrator can neither be put out of service nor lose the role.",
            "",
            f"Two administrators give, and two reset or make a link for whoever has: {decisive}.",
            "At the server's keyboard one is enough; the audit log says so.",
            "",
        ]
    )


def main() -> int:
    """Write or check the page."""
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.read_text(encoding="utf-8") == page() else 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
