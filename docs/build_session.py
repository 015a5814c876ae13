#!/usr/bin/env python3
"""Write `docs/session.md` from the table of `device.session.machine`; with `--check`, say whether the page is current."""

from __future__ import annotations

import sys
from pathlib import Path

from device.session import machine
from device.session.decision import decide
from device.session.events import EVENTS
from device.session.machine import IGNORED, TABLE, Row, State

PAGE = Path(__file__).resolve().parent / "session.md"

_INTRO = """# The certification session

<!-- Made by docs/build_session.py from device/session/machine.py; change that. -->

"""


def page() -> str:
    """Return the whole page."""
    theory = (machine.__doc__ or "").strip()
    rules = (sys.modules[decide.__module__].__doc__ or "").strip()
    return "\n".join(
        [
            _INTRO + theory,
            "",
            "## States",
            "",
            "```mermaid",
            "stateDiagram-v2",
            "    [*] --> idle",
            *_arrows(),
            "```",
            "",
            "## Every pair of state and event",
            "",
            "`→` names the states that a pair may lead to; `–` is passed over on purpose; `!` is a bug of the terminal.",
            "",
            "| event | " + " | ".join(State) + " |",
            "|---|" + "---|" * len(State),
            *(
                f"| `{event.__name__}` | " + " | ".join(_cell(state, event) for state in State) + " |"
                for event in EVENTS
            ),
            "",
            "Passed over on purpose:",
            "",
            *(f"- {reason}: {', '.join(pairs)}" for reason, pairs in sorted(_reasons().items())),
            "",
            "## The decision",
            "",
            rules,
            "",
        ]
    )


def _arrows() -> list[str]:
    arrows: dict[tuple[State, State], list[str]] = {}
    for (state, _), row in TABLE.items():
        for target in row.to:
            if row.label and (target is not state or len(row.to) == 1):
                arrows.setdefault((state, target), []).append(row.label)
    return [f"    {state} --> {target}: {' / '.join(labels)}" for (state, target), labels in arrows.items()]


def _cell(state: State, event: type) -> str:
    row: Row | None = next((found for key, found in TABLE.items() if key == (state, event)), None)
    if row is not None:
        return "→ " + ", ".join(row.to)
    return "–" if any(key == (state, event) for key in IGNORED) else "!"


def _reasons() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for (state, event), reason in IGNORED.items():
        found.setdefault(reason, []).append(f"`{event.__name__}` in {state}")
    return found


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit(
            PAGE.read_text(encoding="utf-8") != page() and f"{PAGE.name} is out of date: run {Path(__file__).name}"
        )
    PAGE.write_text(page(), encoding="utf-8")
