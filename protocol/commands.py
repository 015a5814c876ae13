"""What the office asks of one terminal, and what the terminal answers; both signed.

A command is numbered and ends: a terminal carries out each once, in order, whatever comes again, and none that is too old. The answer is
sent until the fleet's receipt names it, as a record is.

A command can be taken back until the terminal has begun it. The answer says which came first: `withdrawn`, or what was done.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from protocol.ids import FleetId, TerminalId
from protocol.selftest import SelftestReport
from protocol.wire import UtcTime, WireMessage

COMMAND_TYP = "lifecert-command"
WITHDRAWAL_TYP = "lifecert-command-withdrawal"
RESULT_TYP = "lifecert-command-result"
CommandId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
MOST_LINES = 400
MOST_LINE = 300
"""Of a log: 120 kB at most, which signed stays under the topic's limit."""
LogLine = Annotated[str, Field(max_length=MOST_LINE)]


class CommandKind(StrEnum):
    """What a terminal can be asked to do."""

    RESTART = "restart"
    """The process that certifies people ends and starts anew; never inside a session."""
    DIAGNOSE = "diagnose"
    """The terminal's self test, but for parts that are in use."""
    IDENTIFY = "identify"
    """For a minute its lamp blinks and its screen says so, that somebody on the spot knows which one is meant."""
    LOG_BUNDLE = "log_bundle"
    """The newest lines of its log, without numbers and ids that could be somebody's."""
    DECOMMISSION = "decommission"
    """It erases itself and its keys for ever, unless records or pictures are in it that the fleet has not confirmed; the signed proof
    comes to the fleet's door."""


class TerminalCommand(WireMessage):
    """One command to one terminal."""

    TYPE: ClassVar[str] = "command"
    VERSION: ClassVar[int] = 1

    type: Literal["command"] = "command"
    version: Literal[1] = 1
    fleet_id: FleetId
    terminal_id: TerminalId
    command_id: CommandId
    number: int = Field(ge=1)
    """One more for each command to this terminal: one that is not above the last one taken is a repetition."""
    kind: CommandKind
    issued_at: UtcTime
    expires_at: UtcTime


class CommandWithdrawal(WireMessage):
    """A command is taken back; the terminal answers it as not carried out, unless it has begun it or done it."""

    TYPE: ClassVar[str] = "command-withdrawal"
    VERSION: ClassVar[int] = 1

    type: Literal["command-withdrawal"] = "command-withdrawal"
    version: Literal[1] = 1
    fleet_id: FleetId
    terminal_id: TerminalId
    command_id: CommandId
    number: int = Field(ge=1)
    """Of the command."""
    withdrawn_at: UtcTime


class CommandResult(WireMessage):
    """What became of a command."""

    TYPE: ClassVar[str] = "command-result"
    VERSION: ClassVar[int] = 1

    type: Literal["command-result"] = "command-result"
    version: Literal[1] = 1
    fleet_id: FleetId
    terminal_id: TerminalId
    command_id: CommandId
    verdict: Literal["done", "failed", "expired", "withdrawn"]
    """`expired`: it was too old when its turn came, `withdrawn`: it was taken back before; nothing was done."""
    finished_at: UtcTime
    report: SelftestReport | None = None
    """Of a diagnosis."""
    log: tuple[LogLine, ...] | None = Field(default=None, max_length=MOST_LINES)
    """Of a log bundle, the oldest line first."""
