"""What `lifecert-fleet --help` shows: every command, under a heading, in the order in which a fleet needs them."""

from __future__ import annotations

import re

from typer.testing import CliRunner

from fleet.cli import app

HEADINGS = [
    "Setting up",
    "People",
    "Terminals",
    "Rules and status",
    "Stops and cases",
    "Exchange",
    "Figures",
    "Privacy and audit",
]


def panels() -> dict[str, list[str]]:
    """Return the commands that the help lists, by heading."""
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "100", "TERM": "dumb"})
    assert result.exit_code == 0
    found: dict[str, list[str]] = {}
    for line in result.output.splitlines():
        if heading := re.match(r"╭─ (.+?) ─", line):
            found[heading[1]] = []
        elif command := re.match(r"│ ([a-z][a-z-]*) ", line):
            found[list(found)[-1]].append(command[1])
    return found


def test_headings_come_in_the_order_of_the_work() -> None:
    assert [heading for heading in panels() if heading != "Options"] == HEADINGS


def test_every_command_stands_under_one_heading() -> None:
    listed = [name for heading, names in panels().items() if heading != "Options" for name in names]
    known = [command.name for command in app.registered_commands] + [group.name for group in app.registered_groups]
    assert sorted(listed) == sorted(str(name) for name in known)


def test_a_group_may_stand_before_a_single_command() -> None:
    people = panels()["People"]
    assert people.index("lists") < people.index("enrol") < people.index("references") < people.index("history")
