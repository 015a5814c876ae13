"""Commands from the office to a terminal and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from fleet.app import retention_rules
from fleet.audit.log import entries
from fleet.errors import NotFound, Refused
from fleet.ingest.messages import Inbound, Outbound
from fleet.privacy.retention import clean
from fleet.store import terminals
from fleet.terminals.commanding import GivenCommand, commands_of, give_command, withdraw_command
from protocol.commands import (
    COMMAND_TYP,
    RESULT_TYP,
    WITHDRAWAL_TYP,
    CommandKind,
    CommandResult,
    CommandWithdrawal,
    TerminalCommand,
)
from protocol.envelope import sign, verify
from protocol.roster import ROSTER_REQUEST_TYP, RosterRequest
from protocol.topics import Kind

pytestmark = pytest.mark.integration


def give(office: Any, kind: CommandKind = CommandKind.DIAGNOSE, terminal: str = "t-1", **changes: str) -> str:
    words = {"by": "Li", "reason": "it is slow", **changes}
    with office.database.begin() as connection:
        return give_command(
            connection, office.keys.cipher, terminal, kind, valid=timedelta(hours=24), now=office.now, **words
        )


def given(office: Any) -> list[GivenCommand]:
    with office.database.begin() as connection:
        return commands_of(connection, office.keys.cipher, "t-1")


def withdraw(office: Any, number: int, terminal: str = "t-1") -> None:
    with office.database.begin() as connection:
        withdraw_command(connection, office.keys.cipher, terminal, number, by="Wu", now=office.now)


def taken_back(office: Any, answers: list[Outbound]) -> list[int]:
    public = office.keys.signing.public()
    return [
        CommandWithdrawal.parse(verify(answer.payload, key_of=lambda _: public, typ=WITHDRAWAL_TYP).payload).number
        for answer in answers
        if answer.topic.kind is Kind.COMMAND_WITHDRAWAL
    ]


def sent(office: Any, answers: list[Outbound]) -> list[TerminalCommand]:
    public = office.keys.signing.public()
    return [
        TerminalCommand.parse(verify(answer.payload, key_of=lambda _: public, typ=COMMAND_TYP).payload)
        for answer in answers
        if answer.topic.kind is Kind.COMMAND
    ]


def result_of(office: Any, terminal: Any, command_id: str, **changes: Any) -> bytes:
    result = CommandResult.model_validate(
        {
            "fleet_id": "north",
            "terminal_id": terminal.terminal_id,
            "command_id": command_id,
            "verdict": "done",
            "finished_at": office.now,
            **changes,
        }
    )
    return sign(result.to_bytes(), key=terminal.signing, typ=RESULT_TYP)


def ask_for_roster(office: Any, terminal: Any, *, by_stick: bool = False) -> list[Outbound]:
    request = RosterRequest(fleet_id="north", terminal_id="t-1", have=0, asked_at=office.now)
    token = sign(request.to_bytes(), key=terminal.signing, typ=ROSTER_REQUEST_TYP)
    return office.handler.handle([Inbound(str(terminal.topic(Kind.ROSTER_REQUEST)), token, office.now, by_stick)])


def test_a_command_is_signed_numbered_and_given_again_until_it_is_answered(office: Any, terminal: Any) -> None:
    first, second = give(office), give(office, CommandKind.RESTART)
    found = sent(office, office.handler.push_commands("t-1"))
    assert [(c.command_id, c.number, c.kind) for c in found] == [
        (first, 1, CommandKind.DIAGNOSE),
        (second, 2, CommandKind.RESTART),
    ]
    assert found[0].expires_at == office.now + timedelta(hours=24)
    assert not office.handler.push_commands(only_unsent=True)
    again = sent(office, ask_for_roster(office, terminal))
    assert again == found, "whoever connects anew asks for the roster, and hears it again"
    answer = result_of(office, terminal, first, log=("a line",))
    for verdict in ("stored", "repeated"):
        assert office.verdicts(office.send(terminal, answer, kind=Kind.COMMAND_RESULT)) == [(verdict, None)]
    assert [c.command_id for c in sent(office, ask_for_roster(office, terminal))] == [second]
    newest, oldest = given(office)
    assert (oldest.state_at(office.now), oldest.asked_by, oldest.reason) == ("done", "Li", "it is slow")
    assert oldest.result is not None
    assert oldest.result.log == ("a line",)
    assert newest.state_at(office.now) == "waiting"


def test_no_command_travels_by_stick(office: Any, terminal: Any) -> None:
    give(office)
    assert not sent(office, ask_for_roster(office, terminal, by_stick=True))
    assert all(answer.topic.kind is not Kind.COMMAND for answer in office.handler.standing("t-1"))


def test_a_command_lapses_and_is_not_given_any_more(office: Any, terminal: Any) -> None:
    give(office)
    office.now += timedelta(hours=24)
    assert not office.handler.push_commands()
    assert given(office)[0].state_at(office.now) == "lapsed"


def test_a_command_that_is_taken_back_is_not_given_again_and_its_withdrawal_is_until_it_is_answered(
    office: Any, terminal: Any
) -> None:
    give(office, CommandKind.RESTART)
    second = give(office)
    office.handler.push_commands()
    withdraw(office, 2)
    assert given(office)[0].state_at(office.now) == "withdrawing"
    told = office.handler.push_commands(only_unsent=True)
    assert (sent(office, told), taken_back(office, told)) == ([], [2])
    assert not office.handler.push_commands(only_unsent=True)
    again = ask_for_roster(office, terminal)
    assert ([c.number for c in sent(office, again)], taken_back(office, again)) == ([1], [2])
    withdraw(office, 2)
    office.send(terminal, result_of(office, terminal, second, verdict="withdrawn"), kind=Kind.COMMAND_RESULT)
    assert taken_back(office, ask_for_roster(office, terminal)) == []
    command = given(office)[0]
    assert (command.state_at(office.now), command.withdrawn_by, command.withdrawn_at) == ("withdrawn", "Wu", office.now)
    assert not command.was_done_before
    with office.database.begin() as connection:
        (entry,) = [found for found in entries(connection) if found.action == "terminal.command_withdrawn"]
    assert (entry.object_id, entry.detail) == ("t-1", {"command": second, "kind": "diagnose", "number": 2})


def test_a_command_that_was_carried_out_before_it_was_taken_back_says_so(office: Any, terminal: Any) -> None:
    command_id = give(office, CommandKind.RESTART)
    office.handler.push_commands()
    withdraw(office, 1)
    office.send(terminal, result_of(office, terminal, command_id), kind=Kind.COMMAND_RESULT)
    (command,) = given(office)
    assert (command.state_at(office.now), command.was_done_before) == ("done", True)


def test_a_command_that_was_never_sent_is_taken_back_at_once(office: Any, terminal: Any) -> None:
    give(office)
    withdraw(office, 1)
    assert not office.handler.push_commands()
    office.now += timedelta(hours=25)
    assert given(office)[0].state_at(office.now) == "withdrawn"
    assert b"Wu" not in bytes(office.rows("SELECT withdrawn_by_sealed AS sealed FROM terminal_commands")[0].sealed)


def test_what_is_answered_lapsed_or_not_there_cannot_be_taken_back(office: Any, terminal: Any) -> None:
    office.send(terminal, result_of(office, terminal, give(office)), kind=Kind.COMMAND_RESULT)
    give(office)
    for number, terminal_id, code in (
        (1, "t-1", "command_answered"),
        (9, "t-1", "no_such_command"),
        (1, "t-9", "not_in_service"),
    ):
        with pytest.raises((Refused, NotFound)) as error:
            withdraw(office, number, terminal_id)
        assert error.value.code == code
    office.now += timedelta(hours=24)
    with pytest.raises(Refused) as error:
        withdraw(office, 2)
    assert error.value.code == "command_over"
    assert given(office)[0].withdrawn_at is None


def test_an_answer_of_another_terminal_or_with_another_key_changes_nothing(
    office: Any, terminal: Any, make_fleet_terminal: Callable[..., Any]
) -> None:
    command_id = give(office)
    other = make_fleet_terminal(terminal_id="t-2")
    office.register(other)
    office.send(other, result_of(office, other, command_id), kind=Kind.COMMAND_RESULT)
    other.terminal_id = "t-1"
    office.send(terminal, result_of(office, other, command_id), kind=Kind.COMMAND_RESULT)
    assert given(office)[0].result is None
    assert [row.reason for row in office.quarantine()] == ["signature"]


def test_who_asked_and_why_are_sealed_and_the_audit_log_has_it(office: Any, terminal: Any) -> None:
    command_id = give(office)
    (row,) = office.rows("SELECT * FROM terminal_commands")
    assert b"Li" not in bytes(row.asked_by_sealed)
    assert b"slow" not in bytes(row.reason_sealed)
    with office.database.begin() as connection:
        (entry,) = [found for found in entries(connection) if found.action == "terminal.commanded"]
    assert (entry.object_id, entry.detail) == ("t-1", {"command": command_id, "kind": "diagnose", "number": 1})


def test_a_terminal_that_is_not_in_service_and_a_command_without_a_reason_are_refused(
    office: Any, terminal: Any
) -> None:
    with pytest.raises(NotFound):
        give(office, terminal="t-9")
    for words in ({"reason": "  "}, {"reason": "x" * 501}, {"by": " "}):
        with pytest.raises(Refused):
            give(office, **words)
    give(office)
    with office.database.begin() as connection:
        terminals.retire(connection, "t-1", now=office.now)
    assert not office.handler.push_commands()
    with pytest.raises(NotFound):
        give(office)
    assert len(given(office)) == 1


def test_old_commands_go_and_numbers_go_on(office: Any, terminal: Any) -> None:
    give(office)
    give(office)
    office.now += timedelta(days=office.settings.terminals.command_days + 1)
    done = clean(office.database, retention_rules(office.settings), zone=office.settings.zone(), now=office.now)
    assert done["terminal_commands"] == 1
    give(office)
    assert [command.number for command in given(office)] == [3, 2]


def test_the_command_line_gives_and_shows_commands(
    office: Any, terminal: Any, program_in: Callable[..., Any], tmp_path: Any, database_url: str
) -> None:
    folder = office.settings.data_dir
    (tmp_path / "fleet.toml").write_text(
        f'fleet_id = "north"\ndata_dir = "{folder}"\ndatabase = "{database_url}"\n', encoding="utf-8"
    )
    run = program_in(tmp_path)
    asked = run("terminals", "command", "t-1", "log_bundle", "--reason", "it is slow", "--by", "Li")
    assert asked.exit_code == 0, asked.output
    shown = run("terminals", "commands", "t-1", "--json")
    (command,) = json.loads(shown.stdout)["commands"]
    assert (command["kind"], command["state"], command["asked_by"]) == ("log_bundle", "waiting", "Li")
    office.send(terminal, result_of(office, terminal, command["command_id"], log=("a line",)), kind=Kind.COMMAND_RESULT)
    assert "  a line" in run("terminals", "commands", "t-1").stdout.splitlines()
    assert run("terminals", "withdraw", "t-1", "1", "--by", "Wu").exit_code == 1, "it is answered"
    assert run("terminals", "command", "t-1", "restart", "--reason", "it is slow", "--by", "Li").exit_code == 0
    withdrawn = run("terminals", "withdraw", "t-1", "2", "--by", "Wu")
    assert withdrawn.exit_code == 0, withdrawn.output
    assert "by Wu" in run("terminals", "commands", "t-1").stdout
    command = json.loads(run("terminals", "commands", "t-1", "--json").stdout)["commands"][0]
    assert (command["state"], command["withdrawn_by"]) == ("withdrawn", "Wu")
    assert run("terminals", "commands", "t-9").exit_code == 1
    assert run("terminals", "command", "t-1", "explode", "--reason", "x", "--by", "Li").exit_code == 2


def test_a_terminal_erases_itself_only_for_somebody_who_said_yes(
    office: Any, terminal: Any, program_in: Callable[..., Any], tmp_path: Any, database_url: str
) -> None:
    (tmp_path / "fleet.toml").write_text(
        f'fleet_id = "north"\ndata_dir = "{office.settings.data_dir}"\ndatabase = "{database_url}"\n', encoding="utf-8"
    )
    erase = ("terminals", "command", "t-1", "decommission", "--reason", "worn out", "--by", "Li")
    run = program_in(tmp_path)
    for typed, told in (("n\n", "Aborted"), ("", "--yes does it without asking"), (None, "--yes")):
        refused = run(*erase, typed=typed)
        assert (refused.exit_code, told in refused.stderr) == (1, True), refused.output
        assert "Terminal t-1 erases its roster, records and keys for ever" in refused.stderr
    assert given(office) == []
    assert run(*erase, typed="y\n").exit_code == 0
    assert run(*erase[:2], "t-1", "restart", *erase[4:]).exit_code == 0, "what can be undone is not asked"
    kinds = [command.kind.value for command in given(office)]
    assert kinds == ["restart", "decommission"]
