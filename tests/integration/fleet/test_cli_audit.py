"""What each command leaves in the audit log, and under whose name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import text
from typer.testing import CliRunner

from fleet.app import open_fleet
from fleet.audit.log import UNNAMED, entries, to_line, verify_lines
from fleet.cli import app
from fleet.settings import load_settings
from fleet.store import lives
from protocol.documents import check_digit

pytestmark = pytest.mark.integration

DIGITS = "99999919400101001"
NUMBER = DIGITS + check_digit(DIGITS)
PEOPLE = f"document_number,name,area,scheme,category,benefit_start\n{NUMBER},甲乙丙,east,pension,retired,2001-07-01\n"
OFFICER = "Wang Fang"
OPERATOR = "丁戊己"
DECIDER = "Qian"


@dataclass
class Program:
    """The program in a folder with settings, on a database of its own."""

    folder: Path
    seen: int = 0
    """Number of the last entry that was looked at."""

    def run(self, *arguments: str) -> Result:
        here = Path.cwd()
        os.chdir(self.folder)
        try:
            return CliRunner(env={"COLUMNS": "240"}).invoke(app, list(arguments))
        finally:
            os.chdir(here)

    def told(self, *arguments: str) -> Any:
        done = self.run(*arguments)
        assert done.exit_code == 0, (arguments, done.stderr)
        return json.loads(done.stdout) if "--json" in arguments else None

    def opened(self) -> Any:
        return open_fleet(load_settings(self.folder / "fleet.toml"))

    def new_entries(self) -> list[tuple[str, str, str]]:
        """Return action, object id and actor of what was written since the last call."""
        with self.opened() as fleet, fleet.database.begin() as connection:
            rows = connection.execute(
                text("SELECT entry, action, object_id, actor_sealed FROM audit_log WHERE entry > :seen ORDER BY entry"),
                {"seen": self.seen},
            ).all()
            open_name = fleet.keys.cipher.decrypt
            found = [
                (row.action, row.object_id, open_name(row.actor_sealed, subject_id="audit", field_name="actor"))
                for row in rows
            ]
        self.seen += len(found)
        return found

    def propose(self, *reference_ids: str) -> None:
        with self.opened() as fleet, fleet.database.begin() as connection:
            for reference_id in reference_ids:
                lives.propose(connection, reference_id, record_id="e" * 32, likeness=0.9)


@pytest.fixture
def program(
    make_data_dir: Callable[[], Path],
    database_url: str,
    feature_program: tuple[str, ...],
    make_fleet_terminal: Callable[..., Any],
) -> Program:
    folder = make_data_dir()
    (folder / "fleet.toml").write_text(
        f'fleet_id = "north"\ndata_dir = "data"\ndatabase = "{database_url}"\n'
        f"[references]\ncommand = {json.dumps(list(feature_program))}\n"
    )
    (folder / "people.csv").write_text(PEOPLE)
    (folder / "places.csv").write_text("code,name,area\ne1,East village,east\n")
    (folder / "t-1.reg").write_bytes(make_fleet_terminal().registration())
    for number in range(4):
        (folder / f"photo{number}.ppm").write_bytes(b"P6 1 1 255 ab%d" % number)
    made = Program(folder)
    made.told("init")
    made.told("import-subjects", "people.csv")
    made.new_entries()
    return made


def subject_of(program: Program) -> str:
    with program.opened() as fleet, fleet.database.begin() as connection:
        return str(connection.execute(text("SELECT subject_id FROM subjects")).scalar_one())


def enrolled(program: Program, who: str, by: tuple[str, ...]) -> list[str]:
    """Enrol four photos; return the ids of the references."""
    how = ("--kind", "photo-confirmed", "--officer", OFFICER, "--legal-basis", "consent", "--json", *by)
    return [program.told("enrol", f"photo{number}.ppm", "--subject", who, *how)["reference_id"] for number in range(4)]


@pytest.mark.parametrize(("by", "actor"), [((), UNNAMED), (("--by", "Li Na"), "Li Na")], ids=["unnamed", "named"])
def test_every_change_and_look_at_the_command_line_is_in_the_audit_log(
    program: Program, by: tuple[str, ...], actor: str
) -> None:
    who = subject_of(program)
    for command, action, object_id in (
        (("publish-policy",), "policy.published", None),
        (("register-terminal", "t-1.reg", "--area", "east"), "terminal.registered", "t-1"),
        (("assign", "--terminal", "t-1", "--all"), "terminal.assigned", "t-1"),
        (("assign", "--terminal", "t-1", "--all", "--remove"), "terminal.unassigned", "t-1"),
        (("name-list", "t-1", "on"), "terminal.name_list_set", "t-1"),
        (("retire-terminal", "t-1"), "terminal.retired", "t-1"),
        (("places", "import", "places.csv"), "places.imported", "all"),
        (
            ("operator", "add", OPERATOR, "--role", "worker", "--area", "east", "--id", "204"),
            "operator.added",
            "204",
        ),
        (("operator", "new-pin", "204"), "operator.pin_changed", "204"),
        (("operator", "list"), "operators.listed", "all"),
        (("operator", "retire", "204"), "operator.retired", "204"),
        (("benefits", "show", who), "benefits.viewed", who),
    ):
        assert (done := program.run(*command, *by)).exit_code == 0, (command, done.stderr)
        (entry,) = program.new_entries()
        assert (entry[0], entry[2]) == (action, actor)
        assert object_id in (None, entry[1])

    asked = ("cases", "open", "wrong_data", "--person", who, "--reason", "name", "--by", DECIDER, "--json")
    case_id = program.told(*asked)["case_id"]
    program.new_entries()
    program.told("cases", "show", case_id, *by)
    assert program.new_entries() == [("case.viewed", case_id, actor)]


@pytest.mark.parametrize(("by", "actor"), [((), UNNAMED), (("--by", "Li Na"), "Li Na")], ids=["unnamed", "named"])
def test_what_becomes_of_references_and_cards_is_in_the_audit_log(
    program: Program, by: tuple[str, ...], actor: str
) -> None:
    who = subject_of(program)
    ids = enrolled(program, who, by)
    assert program.new_entries() == [("reference.enrolled", each, actor) for each in ids]
    program.told("withdraw", ids[3], *by)
    assert program.new_entries() == [("reference.withdrawn", ids[3], actor)]
    # Decisions always have a name.
    program.propose(ids[1], ids[2])
    program.told("references", "approve", ids[1], "--as", DECIDER)
    program.told("references", "revert", who, "--as", DECIDER)
    program.told("references", "reject", ids[2], "--as", DECIDER)
    assert program.new_entries() == [
        ("reference.approved", ids[1], DECIDER),
        ("reference.reverted", ids[1], DECIDER),
        ("reference.rejected", ids[2], DECIDER),
    ]
    program.told("references", "rotate", *by)
    assert program.new_entries() == [("key_domain.added", "d1-r1", actor), ("key_domain.rotated", "d1-r1", actor)]

    program.told("card", "rotate-key", *by)
    ((action, key_id, found),) = program.new_entries()
    assert (action, found) == ("card_key.added", actor)
    picture = ("--picture", "photo0.ppm", "--officer", OFFICER)
    first = program.told("card", "issue", who, "--text", "--json", *picture, *by)["card_id"]
    second = program.told("card", "issue", who, "--text", "--json", "--forget", *by)["card_id"]
    program.told("card", "revoke", first, *by)
    program.told("card", "retire-key", key_id, "--yes", *by)
    assert program.new_entries() == [
        ("card.issued", first, actor),
        ("card.issued", second, actor),
        ("card.revoked", first, actor),
        ("card_key.given_up", key_id, actor),
    ]


def test_the_log_of_all_commands_is_whole_and_says_no_name_and_no_number(program: Program) -> None:
    by = ("--by", "Li Na")
    who = subject_of(program)
    enrolled(program, who, by)
    program.told("operator", "add", OPERATOR, "--role", "worker", "--area", "east", "--id", "204", *by)
    program.told("places", "import", "places.csv", *by)
    program.told("register-terminal", "t-1.reg", "--area", "east", *by)
    program.told("assign", "--terminal", "t-1", "--subject", NUMBER, *by)
    with program.opened() as fleet, fleet.database.begin() as connection:
        lines = [to_line(entry) for entry in entries(connection)]
    assert verify_lines(lines)[0] == len(lines) >= 8
    for private in (OPERATOR, OFFICER, "Li Na", "甲乙丙", NUMBER, "East village"):
        assert private not in "".join(lines)


def test_a_change_that_is_refused_leaves_no_entry(program: Program) -> None:
    refused = (
        ("withdraw", "0" * 32),
        ("operator", "retire", "204"),
        ("operator", "new-pin", "204"),
        ("retire-terminal", "t-1"),
        ("assign", "--terminal", "t-1", "--all"),
        ("name-list", "t-1", "on"),
        ("card", "revoke", "0" * 32),
        ("card", "retire-key", "00000000", "--yes"),
        ("references", "rotate", "--domain", "d9"),
        ("benefits", "show", "0" * 32),
        ("cases", "show", "0" * 32),
    )
    for command in refused:
        assert program.run(*command).exit_code == 1, command
    assert program.new_entries() == []


def test_no_change_stands_whose_entry_cannot_be_written(program: Program) -> None:
    nameless = ("--by", " ")
    for command in (
        ("register-terminal", "t-1.reg", "--area", "east"),
        ("operator", "add", OPERATOR, "--role", "worker", "--area", "east", "--id", "204"),
        ("places", "import", "places.csv"),
        ("card", "rotate-key"),
        ("publish-policy",),
        ("references", "rotate"),
    ):
        assert program.run(*command, *nameless).exit_code == 1, command
    with program.opened() as fleet, fleet.database.begin() as connection:
        for name in ("terminals", "operators", "places", "card_keys", "policies", "key_domains"):
            assert connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() == 0, name
